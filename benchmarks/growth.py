"""One new session after few and after many: what a run costs must not grow with the history."""

from __future__ import annotations

import datetime as dt
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.runs import no_events, run
from benchmarks.targets import Target
from bovespa.calendar import trading_days_after, trading_days_before
from bovespa.layout import Session
from bovespa.portfolio_csv import parse_csv
from bovespa.records import Provenance
from local.cloud import Cloud, running_cloud
from local.console import Progress, print_table
from local.synthetic import synthetic_csv
from s3_bucket_manager.manager import RawStore

INDEX_CODE = "IBBC"
"""Ninety tickers."""
FEW = 25
LAST_OF_FEW = dt.date(2024, 11, 29)
"""Late in its year, so that with many sessions the new ones join a year that is nearly full."""

_WRITERS = 8
_CALLS = {"GET": "GET", "HEAD": "HEAD", "PUT": "PUT", "POST": "DELETE"}
"""What a request to an object store is; POST is DeleteObjects."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What new sessions cost beside a history of one length."""

    stored: int
    """Raw sessions there are before the first of the new ones."""
    seconds: tuple[float, ...]
    """Of each new session's run."""
    requests: tuple[dict[str, int], ...]
    """Of each new session's run, by kind: S3's and Glue's."""

    def as_json(self) -> dict[str, Any]:
        """Return the figures in terms of JSON."""
        return {"stored": self.stored, "seconds": list(self.seconds), "requests": list(self.requests)}

    @property
    def median_requests(self) -> float:
        """Requests of a run, all kinds together."""
        return statistics.median(sum(one.values()) for one in self.requests)


def measure(times: int, many: int, progress: Progress) -> dict[str, Any]:
    """Measure *times* new sessions after 25 stored ones, and again after *many*."""
    with tempfile.TemporaryDirectory(prefix="bovespa-bench-") as folder:
        log = Path(folder) / "requests"
        with running_cloud(requests_log=log) as cloud, no_events(cloud):
            few = [*trading_days_before(LAST_OF_FEW, FEW - 2), LAST_OF_FEW]
            new = trading_days_after(LAST_OF_FEW, 2 * times + 2)
            _store(cloud, few)
            run(cloud)
            # One that is not counted: the first small run after a large one finds a full heap, and makes its classes.
            _one_more(cloud, log, new[0])
            before = [_one_more(cloud, log, day) for day in new[1 : times + 1]]
            progress.say(f"{times} new sessions after {FEW}")
            started = time.perf_counter()
            _store(cloud, trading_days_before(few[0], many - FEW - times - 1))
            stored_s = time.perf_counter() - started
            progress.say(f"{many} raw sessions stored, {stored_s:.0f} s")
            refined_s = run(cloud)
            progress.say(f"{many} sessions refined by one run, {refined_s:.0f} s")
            _one_more(cloud, log, new[times + 1])
            after = [_one_more(cloud, log, day) for day in new[times + 2 :]]
            progress.say(f"{times} new sessions after {many}")
    return {
        "tickers": len(parse_csv(synthetic_csv(INDEX_CODE, LAST_OF_FEW)).holdings),
        "few": _growth(FEW, before).as_json(),
        "many": _growth(many, after).as_json(),
        "store_s": stored_s,
        "rebuild_s": refined_s,
    }


def targets(figures: dict[str, Any]) -> list[Target]:
    """Return what the growth may be at most."""
    few, many = (_read(figures[name]) for name in ("few", "many"))
    return [
        Target(
            f"a new session after {many.stored}, beside after {few.stored}: seconds",
            statistics.median(many.seconds) / statistics.median(few.seconds),
            "times",
            1.2,
        ),
        Target("... requests", many.median_requests / few.median_requests, "times", 1.2),
    ]


def show(figures: dict[str, Any]) -> None:
    """Print the figures."""
    both = [_read(figures[name]) for name in ("few", "many")]
    rows: list[tuple[str, ...]] = [
        (
            name,
            *(f"{pick(one.seconds):.3f}" for one in both),
            f"{pick(both[1].seconds) / pick(both[0].seconds):.2f}",
        )
        for name, pick in (("run_s, median", statistics.median), ("run_s, least", min), ("run_s, most", max))
    ]
    for kind in sorted({kind for one in both for each in one.requests for kind in each}):
        counts = [statistics.median(each.get(kind, 0) for each in one.requests) for one in both]
        rows.append((kind, *(f"{count:g}" for count in counts), f"{counts[1] / counts[0]:.2f}" if counts[0] else ""))
    title = f"One new session of {figures['tickers']} tickers beside a history ({len(both[0].seconds)} times each)"
    print_table(("what", *(f"after_{one.stored}" for one in both), "ratio"), rows, title=title)


def _read(figures: dict[str, Any]) -> Growth:
    return Growth(figures["stored"], tuple(figures["seconds"]), tuple(figures["requests"]))


def _growth(stored: int, measured: Sequence[tuple[float, dict[str, int]]]) -> Growth:
    return Growth(stored, tuple(one for one, _ in measured), tuple(one for _, one in measured))


def _one_more(cloud: Cloud, log: Path, day: dt.date) -> tuple[float, dict[str, int]]:
    """Store and refine one more session; return the seconds and the requests of the run."""
    _store(cloud, [day])
    start = log.stat().st_size
    seconds = run(cloud, [Session(INDEX_CODE, day)])
    with log.open(encoding="utf-8") as lines:
        lines.seek(start)
        return seconds, requests_of_the_job(lines, cloud.outputs["RawBucketName"], cloud.outputs["RefinedBucketName"])


def requests_of_the_job(lines: Iterable[str], *buckets: str) -> dict[str, int]:
    """Count the requests to *buckets* and to the catalog; who starts and watches a run is no part of it.

    Args:
        lines: Of `local.request_log`.
        *buckets: Those that the job reads and writes.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        method, path, query, target = line.rstrip("\n").split("\t")
        if target.startswith("AWSGlue."):
            if "JobRun" not in target:
                counts[f"Glue {target.removeprefix('AWSGlue.')}"] += 1
        elif path.split("/")[1] in buckets:
            counts[f"S3 {'LIST' if 'list-type=' in query else _CALLS.get(method, method)}"] += 1
    return dict(counts)


def _store(cloud: Cloud, days: Iterable[dt.date]) -> None:
    """Put raw sessions where the API would put them."""
    store = RawStore(cloud.client("s3"), cloud.outputs["RawBucketName"])
    moment = dt.datetime(2025, 1, 2, 12, tzinfo=dt.UTC)

    def put(day: dt.date) -> None:
        content = synthetic_csv(INDEX_CODE, day)
        provenance = Provenance(
            index_code=INDEX_CODE, file_name="", url="file:synthetic", received_at=moment, way="benchmark"
        )
        store.store(parse_csv(content), content, provenance)

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(put, days))
