"""`make bench`: what a session costs, measured in one run on this machine and compared with its alternatives."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.fetching import the_usual_way, through_the_api, with_plain_http
from benchmarks.memory import descendants, peak_memory_mb
from benchmarks.visibility import until_visible
from bovespa.calendar import trading_days_after
from bovespa.layout import Session
from local.api_client import ApiClient
from local.console import Progress, print_table
from local.pipeline import running_pipeline
from scrap.browser_detection import find_browser

INDEX_CODE = "IBOV"
FIRST_DAY = dt.date(2025, 2, 3)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach."""

    name: str
    value: float
    unit: str
    bound: float
    at_least: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether the value is within its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def row(self) -> tuple[str, str, str, str]:
        """Return the cells of the table."""
        sign = "at least" if self.at_least else "at most"
        return (
            self.name,
            f"{self.value:.2f} {self.unit}",
            f"{sign} {self.bound:g} {self.unit}",
            "reached" if self.is_reached else "MISSED",
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--times", type=int, default=7, help="measurements behind each median (default: %(default)s)")
    parser.add_argument(
        "--usual", type=int, default=3, help="times to go the usual way, 16 s each (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print every figure as one line of JSON")
    arguments = parser.parse_args(argv)
    figures = measure(arguments.times, arguments.usual, Progress())
    targets = _targets(figures)
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        _print(figures, targets)
    return 0 if all(target.is_reached for target in targets) else 1


def measure(times: int, usual: int, progress: Progress) -> dict[str, Any]:
    """Run every measurement against one pipeline that was started for it."""
    days = iter([FIRST_DAY, *trading_days_after(FIRST_DAY, 3 * times + 3)])
    with running_pipeline(report=progress.say) as running:
        client = ApiClient(running)
        cold = until_visible(running, client, Session(INDEX_CODE, next(days)))
        progress.say(f"first request: stored {cold.stored_s:.2f} s, visible {cold.visible_s:.2f} s")
        steady = [until_visible(running, client, Session(INDEX_CODE, next(days))) for _ in range(times)]
        progress.say(f"{times} requests, each visible before the next")
        # Other indexes and no waiting for Spark would share the cores; the fetch is measured with Spark at rest.
        fetched = []
        for _ in range(times):
            day = next(days)
            fetched += through_the_api(running, client, INDEX_CODE, [day])
            client.wait_until_refined(Session(INDEX_CODE, day))
        progress.say(f"{times} fetches through the API, Spark at rest")
        plain = with_plain_http(running, INDEX_CODE, times)
        progress.say(f"{times} fetches with a plain HTTP client")
        slept = the_usual_way(running, INDEX_CODE, usual)
        progress.say(f"{usual} fetches the usual way")
        return {
            "machine": _machine(),
            "command": f"python -m benchmarks --times {times} --usual {usual}",
            "cold_stored_s": cold.stored_s,
            "cold_visible_s": cold.visible_s,
            "stored_s": [one.stored_s for one in steady],
            "refined_s": [one.refined_s for one in steady],
            "visible_s": [one.visible_s for one in steady],
            "fetched_s": fetched,
            "plain_http_s": plain,
            "usual_way_s": slept,
            "api_peak_memory_mb": peak_memory_mb(running.api_process.pid),
            # Forked Python workers share most of their pages, so the sum says more than the job really holds.
            "job_peak_memory_mb": sum(
                map(peak_memory_mb, descendants(running.cloud.process.pid, "local.spark_worker"))
            ),
        }


def _targets(figures: dict[str, Any]) -> list[Target]:
    fetched = statistics.median(figures["fetched_s"])
    return [
        Target("GET /bovespaDay, median", fetched, "s", 2),
        Target(
            "... faster than the usual way",
            statistics.median(figures["usual_way_s"]) / fetched,
            "times",
            8,
            at_least=True,
        ),
        Target("request to visible row, first of all", figures["cold_visible_s"], "s", 12),
        Target("request to visible row, median", statistics.median(figures["visible_s"]), "s", 6),
        Target("peak memory of the API process", figures["api_peak_memory_mb"], "MB", 200),
    ]


def _print(figures: dict[str, Any], targets: list[Target]) -> None:
    sys.stdout.write(f"{figures['machine']}\n{figures['command']}\n\n")
    floor = statistics.median(figures["plain_http_s"])
    names = {
        "plain_http_s": "plain HTTP client, the floor",
        "fetched_s": "GET /bovespaDay, Spark at rest",
        "stored_s": "GET /bovespaDay, right after a run",
        "refined_s": "request to refined",
        "visible_s": "request to visible in SQL",
        "usual_way_s": "page, click, sleep 15 s",
    }
    rows = [
        (
            "GET /bovespaDay, first of all",
            1,
            f"{figures['cold_stored_s']:.3f}",
            "",
            "",
            f"{figures['cold_stored_s'] / floor:.0f}",
        ),
        (
            "request to visible, first of all",
            1,
            f"{figures['cold_visible_s']:.3f}",
            "",
            "",
            f"{figures['cold_visible_s'] / floor:.0f}",
        ),
    ]
    for key, name in names.items():
        values = figures[key]
        median = statistics.median(values)
        rows.append(
            (name, len(values), f"{median:.3f}", f"{min(values):.3f}", f"{max(values):.3f}", f"{median / floor:.0f}")
        )
    print_table(("what", "n", "median_s", "min_s", "max_s", "times_the_floor"), rows, title="Time")
    print_table(
        ("what", "peak_mb"),
        [
            ("API process", f"{figures['api_peak_memory_mb']:.0f}"),
            ("Spark job, all processes", f"{figures['job_peak_memory_mb']:.0f}"),
        ],
        title="Memory",
    )
    print_table(("target", "measured", "bound", "verdict"), [target.row() for target in targets], title="Targets")


def _machine() -> str:
    browser = find_browser().binary
    version = subprocess.run([browser, "--version"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}, {version}"


if __name__ == "__main__":
    sys.exit(main())
