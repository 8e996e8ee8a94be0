"""One session after the other for a long time: what the API process holds afterwards that it did not hold before."""

from __future__ import annotations

import datetime as dt
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fetching import through_the_api
from benchmarks.targets import Target
from bovespa.calendar import trading_days_after
from load.watch import Watch, descendants
from local.api_client import ApiClient
from local.console import Progress, print_table
from local.pipeline import Pipeline

FIRST_DAY = dt.date(2024, 1, 2)
SLOPE_MB = 1.0
"""Megabytes a hundred sessions that the memory may seem to grow by in the second half: what allocators do by chance."""
LEAST_FOR_A_SLOPE = 100
"""Fewer sessions say nothing about a slope."""

_A_TOKEN = 50
"""Sessions with one login: far fewer than take the lifetime of a token."""
_SETTLES_S = 15.0
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a process holds at one moment."""

    processes: int
    open_files: int
    """Sockets and pipes among them."""
    connections: int
    temporary_folders: int

    def grown_since(self, before: Holdings) -> dict[str, int]:
        """Return by how much each number is greater than it was in *before*."""
        now, then = asdict(self), asdict(before)
        return {name: max(0, now[name] - then[name]) for name in now}


def measure(
    running: Pipeline,
    index_code: str,
    times: int,
    progress: Progress,
    *,
    temp_dir: Path | None = None,
    first_day: dt.date = FIRST_DAY,
) -> dict[str, Any]:
    """Collect *times* sessions of *index_code* through the API, each of another day, and return the figures.

    Args:
        running: The API, whose `GET /bovespaDay` does what `flask ingest` does.
        index_code: None of the days may have been stored.
        times: How many sessions, after some that only warm the process up.
        progress: Hears of every fiftieth.
        temp_dir: The API process's own folder for temporary files; None looks at the browsers' own folders only.
        first_day: The trading day before the first session.

    Raises:
        ApiRefused: A session could not be stored.
        RuntimeError: A session was stored before, or the API has ended.
    """
    process = psutil.Process(running.api_process.pid)
    watch = Watch(process.pid)
    warming = max(1, min(10, times // 10))
    days = list(trading_days_after(first_day, times + warming))
    seconds: list[float] = []
    memory_mb: list[float] = []
    with watch.watching():
        client = ApiClient(running)
        through_the_api(running, client, index_code, days[:warming])
        before = _settled(process, temp_dir)
        for number, day in enumerate(days[warming:], start=1):
            seconds += through_the_api(running, client, index_code, [day])
            memory_mb.append(process.memory_info().rss / 1e6)
            if number % _A_TOKEN == 0:
                progress.say(f"{number} of {times} sessions, the API holds {memory_mb[-1]:.0f} MB")
                client = ApiClient(running)
        after = _settled(process, temp_dir, no_more_than=before)
    left = watch.browsers.left_folders
    return {
        "sessions": times,
        "median_s": statistics.median(seconds),
        "max_s": max(seconds),
        "memory_mb": memory_mb,
        "slope_mb": slope_mb(memory_mb) if times >= LEAST_FOR_A_SLOPE else None,
        "before": asdict(before),
        "after": asdict(after),
        "grown": after.grown_since(before),
        "browsers": len(watch.browsers.seen),
        "browser_folders_left": len(left),
    }


def holdings(process: psutil.Process, temp_dir: Path | None) -> Holdings:
    """Return what *process* holds now; its temporary folders are those in *temp_dir*."""
    return Holdings(
        processes=len(descendants(process)),
        open_files=process.num_fds(),
        connections=len(process.net_connections()),
        temporary_folders=0 if temp_dir is None else sum(1 for _ in temp_dir.iterdir()),
    )


def slope_mb(memory_mb: Sequence[float]) -> float:
    """Return by how much memory grew in the second half, in MB a hundred sessions (least squares)."""
    half = memory_mb[len(memory_mb) // 2 :]
    return statistics.linear_regression(range(len(half)), half).slope * 100


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return what may be left over: nothing."""
    grown = [
        Target(f"soak: more {name.replace('_', ' ')}", number, "more", 0) for name, number in figures["grown"].items()
    ]
    folders = Target("soak: folders of browsers left", figures["browser_folders_left"], "folders", 0)
    if figures["slope_mb"] is None:
        return [*grown, folders]
    return [
        Target("soak: memory, second half, a hundred sessions", figures["slope_mb"], "MB", SLOPE_MB),
        *grown,
        folders,
    ]


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures."""
    memory_mb = figures["memory_mb"]
    slope = figures["slope_mb"]
    rows = [
        ("GET /bovespaDay, median_s", None, f"{figures['median_s']:.2f}"),
        ("GET /bovespaDay, max_s", None, f"{figures['max_s']:.2f}"),
        ("memory_mb", f"{memory_mb[0]:.1f}", f"{memory_mb[-1]:.1f}"),
        ("memory_mb, halfway", None, f"{memory_mb[len(memory_mb) // 2]:.1f}"),
        ("memory_mb a hundred sessions, second half", None, None if slope is None else f"{slope:.2f}"),
        *((name, figures["before"][name], figures["after"][name]) for name in figures["before"]),
        ("browsers started", None, figures["browsers"]),
        ("folders of browsers left", None, figures["browser_folders_left"]),
    ]
    print_table(("what", "before", "after"), rows, title=f"{figures['sessions']} sessions, one after the other")


def _settled(process: psutil.Process, temp_dir: Path | None, *, no_more_than: Holdings | None = None) -> Holdings:
    """Return what *process* holds once it has come to rest: without *no_more_than*, when no process of its is left."""
    deadline_s = time.monotonic() + _SETTLES_S
    pause = threading.Event()
    while True:
        found = holdings(process, temp_dir)
        rests = not any(found.grown_since(no_more_than).values()) if no_more_than else found.processes == 0
        if rests or time.monotonic() > deadline_s:
            return found
        pause.wait(_LOOK_S)
