"""One session: from the request to the row in SQL, beside its alternatives, and the memory that it takes."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.fetching import USUAL_SLEEP_S, browser_alone, the_usual_way, through_the_api, with_plain_http
from benchmarks.memory import descendants, peak_memory_mb
from benchmarks.stages import STAGES, StageNotLogged
from benchmarks.targets import Target
from benchmarks.visibility import until_visible
from bovespa.calendar import trading_days_after
from bovespa.layout import Session
from local.api_client import ApiClient
from local.console import Progress, print_table
from local.pipeline import running_pipeline

INDEX_CODE = "IBOV"
FIRST_DAY = dt.date(2025, 2, 3)


def measure(times: int, usual: int, progress: Progress) -> dict[str, Any]:
    """Measure single sessions: the first of all in a pipeline of its own each time, the others in the last of these."""
    days = iter([FIRST_DAY, *trading_days_after(FIRST_DAY, 3 * times + 3)])
    first = Session(INDEX_CODE, next(days))
    cold = []
    for _ in range(times - 1):
        with running_pipeline() as running:
            cold.append(until_visible(running, ApiClient(running), first))
            progress.say(f"first request: stored {cold[-1].stored_s:.2f} s, visible {cold[-1].visible_s:.2f} s")
    with running_pipeline(report=progress.say) as running:
        client = ApiClient(running)
        cold.append(until_visible(running, client, first))
        progress.say(f"first request: stored {cold[-1].stored_s:.2f} s, visible {cold[-1].visible_s:.2f} s")
        steady = [until_visible(running, client, Session(INDEX_CODE, next(days))) for _ in range(times)]
        progress.say(f"{times} requests, each visible before the next")
        stages = [one.stages_s for one in steady if one.stages_s is not None]
        if not stages:
            raise StageNotLogged(f"Of {times} sessions, none has a line for every stage in the logs.")
        # Other indexes and no waiting for Spark would share the cores; the fetch is measured with Spark at rest.
        fetched = []
        for _ in range(times):
            day = next(days)
            fetched += through_the_api(running, client, INDEX_CODE, [day])
            client.wait_until_refined(Session(INDEX_CODE, day))
        progress.say(f"{times} fetches through the API, Spark at rest")
        plain = with_plain_http(running, INDEX_CODE, times)
        progress.say(f"{times} fetches with a plain HTTP client")
        alone = browser_alone(running, INDEX_CODE, times)
        progress.say(f"{times} navigations of a browser alone")
        slept = the_usual_way(running, INDEX_CODE, usual)
        progress.say(f"{usual} fetches the usual way")
        return {
            "cold_stored_s": [one.stored_s for one in cold],
            "cold_visible_s": [one.visible_s for one in cold],
            "stored_s": [one.stored_s for one in steady],
            "refined_s": [one.refined_s for one in steady],
            "visible_s": [one.visible_s for one in steady],
            "fetched_s": fetched,
            "plain_http_s": plain,
            "browser_alone_s": alone,
            "usual_way_s": slept,
            "stages_s": {stage: [one[stage] for one in stages] for stage in STAGES},
            "api_peak_memory_mb": peak_memory_mb(running.api_process.pid),
            # Forked Python workers share most of their pages, so the sum says more than the job really holds.
            "job_peak_memory_mb": sum(
                map(peak_memory_mb, descendants(running.cloud.process.pid, "local.spark_worker"))
            ),
        }


def targets(figures: dict[str, Any]) -> list[Target]:
    """Return what a session may take."""
    fetched = statistics.median(figures["fetched_s"])
    least = statistics.median(figures["plain_http_s"]) + statistics.median(figures["browser_alone_s"])
    return [
        Target("GET /bovespaDay, median", fetched, "s", 2),
        Target("GET /bovespaDay, beside floor + browser's own navigation", fetched / least, "times", 3),
        Target(
            "... faster than the usual way",
            statistics.median(figures["usual_way_s"]) / fetched,
            "times",
            8,
            at_least=True,
        ),
        Target("request to visible row, first of all, median", statistics.median(figures["cold_visible_s"]), "s", 8),
        Target("request to visible row, median", statistics.median(figures["visible_s"]), "s", 4),
        Target("peak memory of the API process", figures["api_peak_memory_mb"], "MB", 200),
    ]


def alternatives(figures: Mapping[str, Any]) -> list[tuple[str, Sequence[float]]]:
    """Return the seconds of a session and of its alternatives, by what they are."""
    return [
        ("GET /bovespaDay, first of all", figures["cold_stored_s"]),
        ("request to visible, first of all", figures["cold_visible_s"]),
        ("plain HTTP client, the floor", figures["plain_http_s"]),
        ("browser's own navigation", figures["browser_alone_s"]),
        ("GET /bovespaDay, Spark at rest", figures["fetched_s"]),
        ("GET /bovespaDay, right after a run", figures["stored_s"]),
        ("request to refined", figures["refined_s"]),
        ("request to visible in SQL", figures["visible_s"]),
        (f"page, click, sleep {USUAL_SLEEP_S:g} s", figures["usual_way_s"]),
    ]


def show(figures: dict[str, Any]) -> None:
    """Print the figures."""
    floor = statistics.median(figures["plain_http_s"])
    rows = [
        (
            name,
            len(values),
            *(f"{fold(values):.3f}" for fold in (statistics.median, min, max)),
            f"{statistics.median(values) / floor:.0f}",
        )
        for name, values in alternatives(figures)
    ]
    print_table(("what", "n", "median_s", "min_s", "max_s", "times_the_floor"), rows, title="Time")
    _show_stages(figures["stages_s"])
    print_table(
        ("what", "peak_mb"),
        [
            ("API process", f"{figures['api_peak_memory_mb']:.0f}"),
            ("Spark job, all processes", f"{figures['job_peak_memory_mb']:.0f}"),
        ],
        title="Memory",
    )


def _show_stages(stages_s: Mapping[str, Sequence[float]]) -> None:
    """Print the median of each stage. Medians need not add up to the median of the whole, so parts are of their sum."""
    medians = {stage: statistics.median(values) for stage, values in stages_s.items()}
    whole_s = sum(medians.values())
    rows = [
        (
            stage,
            f"{median:.3f}",
            f"{min(stages_s[stage]):.3f}",
            f"{max(stages_s[stage]):.3f}",
            f"{median / whole_s:.1%}",
        )
        for stage, median in medians.items()
    ]
    title = f"Request to visible in SQL: until ..., {len(next(iter(stages_s.values())))} sessions, one after the other"
    print_table(
        ("until", "median_s", "min_s", "max_s", "part"), [*rows, ("all", f"{whole_s:.3f}", "", "", "")], title=title
    )
