"""Twenty years of the compact tables merged: what the end of a rebuild takes at that size.

The sessions' objects of `holdings`, `sessions` and `sectors` are put there by the job's own writer of such objects,
with the rows of some sessions that the job has refined, again and again under other dates; what such rows say of
earlier sessions is therefore not true, and nobody reads it here. `portfolio` and the raw sessions of those years are
not there. What is measured is what `Publisher.publish_years` does in a rebuild, in a Spark that has started: each past
year of each table is listed, its objects are read and put as one, and the catalog is pointed at it; then the same
again, when nothing has changed. Reading and refining raw sessions, and writing their objects, is no part of it.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.raw_sessions import INDEX_CODE, store_raw
from benchmarks.refined_rows import DifferentRows, rows_of
from benchmarks.request_counts import counted, total
from benchmarks.runs import no_events, run
from benchmarks.targets import Target
from benchmarks.ways import spark_scripts
from bovespa.calendar import trading_days_before
from bovespa.layout import Session
from glue.compact_writer import CompactObjects
from glue.schema import COMPACT_TABLES
from local.athena import ask
from local.cloud import Cloud, running_cloud
from local.console import Progress, print_table

BEFORE = dt.date(2025, 1, 4)
"""The years end before it: the last one has two sessions and is not merged."""
REFINED = 5
"""Sessions whose rows are taken."""
REQUESTS_BOUND = 1.1
"""To S3, for each object that is merged: it is read once, and listing and putting are nothing beside that."""

_WRITERS = 16


@dataclass(frozen=True, slots=True)
class Merge:
    """All past years of the compact tables, merged once."""

    seconds: float
    requests: Mapping[str, int]


def measure(sessions: int, progress: Progress) -> dict[str, Any]:
    """Merge the years of *sessions* sessions, and once more when nothing has changed.

    Raises:
        DifferentRows: Athena does not see the rows that were put.
    """
    days = trading_days_before(BEFORE, sessions)
    with tempfile.TemporaryDirectory(prefix="bovespa-bench-") as folder:
        log = Path(folder) / "requests"
        with running_cloud(requests_log=log) as cloud, no_events(cloud):
            started_s = time.perf_counter()
            rows = _put(cloud, days)
            progress.say(f"{len(days)} sessions of {len(rows)} tables put, {time.perf_counter() - started_s:.0f} s")
            first, again = _merged(cloud, log, days)
            progress.say(f"merged in {first.seconds:.1f} s, and with nothing to do in {again.seconds:.1f} s")
            for table, count in rows.items():
                _require_rows(cloud, table, count, len(days))
    years = {day.year for day in days}
    return {
        "sessions": len(days),
        "years": len(years) - 1,
        "rows": rows,
        "first": asdict(first),
        "again": asdict(again),
    }


def show(figures: Mapping[str, Any]) -> None:
    """Print what `measure` found."""
    both = [Merge(**figures[name]) for name in ("first", "again")]
    rows: list[tuple[str, ...]] = [("seconds", *(f"{one.seconds:.2f}" for one in both))]
    kinds = sorted({kind for one in both for kind in one.requests})
    rows += [(kind, *(f"{one.requests.get(kind, 0):,}" for one in both)) for kind in kinds]
    counts = ", ".join(f"{count:,} {table}" for table, count in figures["rows"].items())
    title = f"{figures['years']} past years of {figures['sessions']:,} sessions merged ({counts})"
    print_table(("what", "all_merged", "nothing_changed"), rows, title=title)


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return what the merging may take."""
    requests = total(figures["first"]["requests"], "S3") / (figures["sessions"] * len(figures["rows"]))
    again = figures["again"]["seconds"] / figures["first"]["seconds"]
    return [
        Target("years merged: requests to S3 for each session's object", requests, "requests", REQUESTS_BOUND),
        Target("... with nothing changed, beside the first time", again, "times", 1),
    ]


def _put(cloud: Cloud, days: Sequence[dt.date]) -> dict[str, int]:
    """Put the sessions' objects; return the rows of each table."""
    refined = days[-REFINED:]
    store_raw(cloud, refined)
    run(cloud, [Session(INDEX_CODE, day) for day in refined])
    rows: dict[str, int] = {}
    for table in COMPACT_TABLES:
        found = rows_of(cloud, table, INDEX_CODE, refined)
        objects = CompactObjects(cloud.client("s3"), cloud.outputs["RefinedBucketName"], table)
        objects.look_up(Session(INDEX_CODE, day) for day in days)

        def put(number: int, found: list[pa.Table] = found, objects: CompactObjects = objects) -> int:
            day = days[number]
            # Counted from the last, so that the refined ones keep their own.
            own = found[(number - len(days)) % len(found)]
            place = own.column_names.index("session_date")
            dates = pa.repeat(pa.scalar(day), own.num_rows)
            objects.put(Session(INDEX_CODE, day), own.set_column(place, "session_date", dates))
            return int(own.num_rows)

        with ThreadPoolExecutor(_WRITERS) as pool:
            rows[table.name] = sum(pool.map(put, range(len(days))))
    return rows


def _merged(cloud: Cloud, log: Path, days: Sequence[dt.date]) -> tuple[Merge, Merge]:
    bucket = cloud.outputs["RefinedBucketName"]
    names = ("--bucket", bucket, "--database", cloud.outputs["DatabaseName"], "--index_code", INDEX_CODE)
    argv = [*names, "--first", str(days[0].year), "--last", str(days[-1].year)]

    with spark_scripts(cloud) as run_script:

        def merge() -> Merge:
            with counted(log, bucket) as requests:
                started_s = time.perf_counter()
                run_script(Path(__file__).with_name("merge_years.py"), argv)
                seconds = time.perf_counter() - started_s
            return Merge(seconds, requests)

        return merge(), merge()


def _require_rows(cloud: Cloud, table: str, rows: int, sessions: int) -> None:
    sql = f"SELECT COUNT(*), COUNT(DISTINCT session_date) FROM {table}"  # noqa: S608 - our own words
    found = ask(cloud.client("athena"), sql).rows[0]
    if found != (rows, sessions):
        raise DifferentRows(f"{table} was given {rows} rows of {sessions} sessions, and Athena sees {found}")
