"""Many callers at once: the table of their answers, and what the API needed for it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.memory import peak_memory_mb
from benchmarks.targets import Target
from load.watch import Watch
from local.cloud import PROJECT
from local.console import print_table
from local.pipeline import Pipeline

MEANT = frozenset({"429 too_many_requests", "503 busy"})
"""What is no error although it is no answer: one caller who asks too often, and all callers together; both are told
when to come back. Nothing is broken while the load runs, so no other 503 is meant."""

HEALTH_P99_MS = 1500
PEAK_MB = 200
BROWSERS_AT_ONCE = 2

MOST_CALLERS = 250
_SHARING = 5
"""One caller of so many sits behind one address together with the others of that kind; the rest have their own."""
_ANSWERS_END_S = 150
"""How long callers wait at the end for what they have asked for: more than the budget of a session."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One client: a user, and the loopback address from which it calls."""

    username: str
    password: str = field(repr=False)
    address: str


@dataclass(frozen=True, slots=True)
class Row:
    """What one route answered. Times are those of the answers with 200, in milliseconds; None without any."""

    route: str
    requests: int
    per_second: float
    median_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    meant: Mapping[str, int]
    """Refusals that are meant, by status and code."""
    errors: Mapping[str, int]
    """Everything else that is no success, by status and code."""


def callers(users: Mapping[str, str], count: int) -> list[Caller]:
    """Return *count* callers, each with a user of *users* (name to password), every fifth at the shared address."""
    names = list(users)
    made = []
    for number in range(count):
        name = names[number % len(names)]
        made.append(Caller(name, users[name], "127.1.0.1" if number % _SHARING == 0 else f"127.1.1.{number + 1}"))
    return made


def measure(
    running: Pipeline, calling: Sequence[Caller], index_codes: Sequence[str], *, seconds: float
) -> dict[str, Any]:
    """Let *calling* call the API for *seconds*, and return the figures.

    Args:
        running: What is called.
        calling: Who calls, all at once.
        index_codes: Which indexes they ask for, in turn.
        seconds: After so many nobody asks for more; what was asked for is still answered.

    Raises:
        RuntimeError: The callers' process failed, which says nothing about the API.
    """
    orders = {
        "url": running.api_url,
        "seconds": seconds,
        "stop_timeout_s": _ANSWERS_END_S,
        "index_codes": list(index_codes),
        "callers": [{"username": one.username, "password": one.password, "address": one.address} for one in calling],
    }
    watch = Watch(running.api_process.pid)
    started_s = time.perf_counter()
    with watch.watching():
        answer = subprocess.run(
            # Passwords go through its standard input.
            [sys.executable, "-m", "load.clients"],
            cwd=PROJECT,
            input=json.dumps(orders),
            capture_output=True,
            text=True,
            check=False,
        )
    elapsed_s = time.perf_counter() - started_s
    if answer.returncode != 0:
        raise RuntimeError(f"the callers failed: {answer.stderr[-2000:]}")
    said = json.loads(answer.stdout)
    if said["failures"]:
        raise RuntimeError(f"the callers failed: {said['failures'][0]}")
    browsers = watch.browsers
    return {
        "clients": len(calling),
        "addresses": len({one.address for one in calling}),
        "seconds": seconds,
        "elapsed_s": elapsed_s,
        "rows": rows(said["answers"], seconds),
        "api_peak_memory_mb": peak_memory_mb(running.api_process.pid),
        "browsers": len(browsers.seen),
        "browsers_of_known_index": len(browsers.index_codes),
        "browsers_at_once": browsers.most_at_once,
        "browsers_of_an_index": browsers.most_of_an_index,
    }


def rows(answers: Mapping[str, Mapping[str, Sequence[float]]], seconds: float) -> list[Row]:
    """Return the table's rows.

    Args:
        answers: Milliseconds of each answer, by route and code.
        seconds: How long was called.
    """
    made = []
    for route, by_code in sorted(answers.items()):
        refused = {code: len(times) for code, times in sorted(by_code.items()) if code != "200"}
        count = len(by_code.get("200", ())) + sum(refused.values())
        median_ms, p95_ms, p99_ms = _percentiles(by_code.get("200", ()))
        made.append(
            Row(
                route,
                count,
                count / seconds,
                median_ms,
                p95_ms,
                p99_ms,
                {code: number for code, number in refused.items() if code in MEANT},
                {code: number for code, number in refused.items() if code not in MEANT},
            )
        )
    return made


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return what the API has to bear."""
    errors = sum(sum(row.errors.values()) for row in figures["rows"])
    health_ms = [row.p99_ms for row in figures["rows"] if row.route == "GET /health" and row.p99_ms is not None]
    return [
        Target("answers that are not meant", errors, "answers", 0),
        # Without a single answer there is nothing good to tell.
        Target("GET /health, p99", health_ms[0] if health_ms else float("inf"), "ms", HEALTH_P99_MS),
        Target("browsers of one index at once", figures["browsers_of_an_index"], "browsers", 1),
        Target("browsers at once", figures["browsers_at_once"], "browsers", BROWSERS_AT_ONCE),
        Target("peak memory of the API process", figures["api_peak_memory_mb"], "MB", PEAK_MB),
    ]


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures."""
    title = f"{figures['clients']} clients at {figures['addresses']} addresses for {figures['seconds']:g} s"
    print_table(
        ("route", "requests", "per_second", "median_ms", "p95_ms", "p99_ms", "meant", "errors"),
        [
            (
                row.route,
                row.requests,
                f"{row.per_second:.1f}",
                *(None if one is None else f"{one:.0f}" for one in (row.median_ms, row.p95_ms, row.p99_ms)),
                _counts(row.meant),
                _counts(row.errors),
            )
            for row in figures["rows"]
        ],
        title=title,
    )
    print_table(
        ("what", "value"),
        [
            ("API process, peak_mb", f"{figures['api_peak_memory_mb']:.0f}"),
            ("browsers started", figures["browsers"]),
            ("... that showed an index", figures["browsers_of_known_index"]),
            ("browsers at once", figures["browsers_at_once"]),
            ("... of one index", figures["browsers_of_an_index"]),
        ],
        title="Meanwhile",
    )


def _percentiles(times_ms: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    if not times_ms:
        return None, None, None
    if len(times_ms) == 1:
        return (times_ms[0],) * 3
    cuts = statistics.quantiles(times_ms, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


def _counts(counts: Mapping[str, int]) -> str:
    return "\n".join(f"{number} x {code}" for code, number in counts.items()) or "-"
