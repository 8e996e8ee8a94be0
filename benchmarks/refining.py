"""An archive and one more session to the layout of `portfolio`: ours beside three other ways, on the same cloud.

What each does differs. Ours reads raw sessions, computes every metric, writes `portfolio` and the three compact tables,
merges the past year of each, registers everything and writes a receipt for each session. The others get the very rows
that ours has refined, in one local file, and only write and register `portfolio`. Every process has started before its
time begins, but has done nothing yet. In the end all four tables must hold the same rows.
"""

from __future__ import annotations

import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.raw_sessions import INDEX_CODE, store_raw
from benchmarks.refined_rows import make_portfolio, require_same_rows, write_portfolio_rows
from benchmarks.request_counts import counted, total
from benchmarks.runs import no_events, run
from benchmarks.targets import Target
from benchmarks.ways import WAYS, Write
from bovespa.calendar import trading_days_after, trading_days_before
from bovespa.layout import Session
from local.cloud import Cloud, running_cloud
from local.console import Progress, print_table

BEFORE = dt.date(2025, 1, 4)
"""The archive ends before it: with a session of the next year, so that a rebuild takes its year for a past one."""

OURS = "this project"
REQUESTS_BOUND = 3.0
"""To S3, for each partition that is written."""

_BUCKET = "bovespa-compared"


@dataclass(frozen=True, slots=True)
class Cost:
    """One writing of some sessions."""

    seconds: float
    requests: Mapping[str, int]
    """To S3 and to Glue, by kind."""
    partitions: int
    """Of `portfolio` that were written."""

    @property
    def requests_a_partition(self) -> float:
        """Requests to S3 for each partition."""
        return total(self.requests, "S3") / self.partitions


def measure(sessions: int, times: int, archives: int, ways: Collection[str], progress: Progress) -> dict[str, Any]:
    """Refine *sessions* by one run and *times* single ones after it, then write the same rows in each other of *ways*.

    All of it happens *archives* times, each in a cloud of its own.

    Raises:
        DifferentRows: The tables are not the same, row for row.
        WayFailed: Another way could not write.
        EnvironmentNotMade: awswrangler could not be installed.
    """
    rounds = [_measured(sessions, times, ways, progress) for _ in range(archives)]
    return {
        "sessions": sessions,
        "rebuild": {way: [asdict(one[way][0]) for one in rounds] for way in rounds[0]},
        # The first of the single ones is not counted: the first small run after a large one makes its classes.
        "session": {way: [asdict(cost) for one in rounds for cost in one[way][2:]] for way in rounds[0]},
    }


def _measured(sessions: int, times: int, ways: Collection[str], progress: Progress) -> dict[str, list[Cost]]:
    """What each way takes for the archive, then for each single session; one more of those than *times*."""
    with tempfile.TemporaryDirectory(prefix="bovespa-bench-") as name:
        folder = Path(name)
        log = folder / "requests"
        with running_cloud(requests_log=log) as cloud, no_events(cloud):
            days = trading_days_before(BEFORE, sessions)
            new = trading_days_after(days[-1], times + 1)
            ours = _ours(cloud, log, days, new)
            progress.say(f"{sessions} sessions refined by one run, {ours[0][0]:.0f} s")
            files = [write_portfolio_rows(cloud, folder / "archive.parquet", INDEX_CODE, days)]
            files += [write_portfolio_rows(cloud, folder / f"{day}.parquet", INDEX_CODE, [day]) for day in new]
            partitions = [pq.read_metadata(file).num_rows for file in files]
            found = {OURS: ours}
            cloud.client("s3").create_bucket(Bucket=_BUCKET)
            for way in ways:
                table = make_portfolio(cloud, bucket=_BUCKET, name=way)
                with WAYS[way](cloud, table) as write:
                    found[way] = [_theirs(write, log, file) for file in files]
                progress.say(f"{sessions} sessions written with {way}, {found[way][0][0]:.0f} s")
                rows = require_same_rows(cloud, table)
                progress.say(f"{rows:,} rows written with {way} are the same")
    return {
        way: [Cost(*one, count) for one, count in zip(each, partitions, strict=True)] for way, each in found.items()
    }


def joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of the archives of two calls of `measure` as if of one: each archive has a cloud of its own.

    Raises:
        ValueError: The archives are of another size.
    """
    if one["sessions"] != other["sessions"]:
        raise ValueError(f"archives of {one['sessions']} sessions and of {other['sessions']}")
    costs = {
        name: {way: [*one[name].get(way, ()), *other[name].get(way, ())] for way in one[name] | other[name]}
        for name in ("rebuild", "session")
    }
    return {"sessions": one["sessions"], **costs}


def show(figures: Mapping[str, Any]) -> None:
    """Print what `measure` found."""
    titles = {"rebuild": f"{figures['sessions']} sessions written at once", "session": "One more session"}
    for name, title in titles.items():
        costs = _costs(figures, name)
        ours = _median_s(costs[OURS])
        rows, kinds = [], []
        for way, found in costs.items():
            seconds = _median_s(found)
            # What it sends hardly varies, and the middle one's kinds fit each other.
            middle = sorted(found, key=lambda one: one.requests_a_partition)[len(found) // 2]
            rows.append(
                (
                    way,
                    len(found),
                    f"{seconds:.2f}",
                    f"{seconds / ours:.2f}",
                    f"{middle.partitions:,}",
                    f"{middle.requests_a_partition:.2f}",
                )
            )
            kinds += [(way, kind, f"{count:,}") for kind, count in sorted(middle.requests.items())]
        columns = ("way", "n", "median_s", "times_ours", "partitions", "s3_requests_a_partition")
        print_table(columns, rows, title=title)
        print_table(("way", "kind", "requests"), kinds, title=f"{title}: requests")


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return what was to be reached."""
    rebuild, session = _costs(figures, "rebuild"), _costs(figures, "session")
    return [
        *(
            Target(
                f"{figures['sessions']} sessions refined, beside awswrangler writing them",
                _median_s(rebuild[OURS]) / _median_s(found),
                "times",
                1,
            )
            for way, found in rebuild.items()
            if way == "awswrangler"
        ),
        *(
            Target(
                f"... requests to S3 for each partition, {name}",
                statistics.median(one.requests_a_partition for one in found[OURS]),
                "requests",
                REQUESTS_BOUND,
            )
            for name, found in (("all at once", rebuild), ("one more session", session))
        ),
    ]


def _median_s(costs: Collection[Cost]) -> float:
    return statistics.median(one.seconds for one in costs)


def _costs(figures: Mapping[str, Any], name: str) -> dict[str, list[Cost]]:
    return {way: [Cost(**one) for one in each] for way, each in figures[name].items()}


def _ours(
    cloud: Cloud, log: Path, days: Sequence[dt.date], new: Sequence[dt.date]
) -> list[tuple[float, dict[str, int]]]:
    buckets = cloud.outputs["RawBucketName"], cloud.outputs["RefinedBucketName"]
    found = []
    for stored, named in [(days, None), *(([day], [Session(INDEX_CODE, day)]) for day in new)]:
        store_raw(cloud, stored)
        with counted(log, *buckets) as requests:
            seconds = run(cloud, named)
        found.append((seconds, requests))
    return found


def _theirs(write: Write, log: Path, file: Path) -> tuple[float, dict[str, int]]:
    with counted(log, _BUCKET) as requests:
        started_s = time.perf_counter()
        write(file)
        seconds = time.perf_counter() - started_s
    return seconds, requests
