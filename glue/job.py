"""The Glue job: raw sessions in, refined partitions out, registered in the catalog.

    job.py --sessions IBOV/2025-02-03[,...]|import:ID|all
        --raw_bucket NAME --refined_bucket NAME --database NAME

Plain PySpark and boto3, no DynamicFrame: the same file runs on AWS Glue 5.1 and under `pyspark==3.5.6`.

A run reads the requested sessions and the 21-session windows they lie in, recomputes the requested sessions and the
later ones whose window they enter, and replaces those sessions whole. What it writes depends only on the raw objects,
so order, repetition and simultaneous runs do not matter: a run that finds, when it is done, that a raw object has
changed since it looked starts over, so the last writer has always seen the newest objects.

`all` is the rebuild: it also removes what has no raw session any more, and merges past years of the compact tables.
"""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from bovespa.imports import ImportManifest
from bovespa.layout import CompactYear, Import, Receipt, Session
from bovespa.sectors import sector_rows
from glue.catalog import PartitionCatalog, PartitionChanges
from glue.compact_writer import STORED_DDL, compact_writer
from glue.compact_years import MERGED_DDL, YEAR_DDL, CompactYears, year_merger
from glue.lake import (
    delete_compact,
    delete_objects,
    every_raw_session,
    every_receipted_session,
    glue_client,
    list_objects,
    raw_versions,
    s3_client,
    withdraw_receipts,
    write_receipt,
)
from glue.raw_reader import HOLDINGS_DDL, REQUESTED_DDL, raw_reader
from glue.refined_writer import WRITTEN_DDL, WrittenSession, from_row, partition_writer
from glue.schema import COMPACT_TABLES, PARTITION_COLUMNS, REFINED_COLUMNS, SECTORS, SESSIONS, Columns
from glue.window import CalendarDay, plan_calendar, reach

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger("glue.job")

ALL_SESSIONS = "all"
_MAX_ATTEMPTS = 5
_SESSIONS_A_TASK = 32
_PARALLEL_SESSIONS = 8
"""Sessions that are made visible at once: each is a handful of calls, one after the other."""

_CALENDAR_DDL = (
    "index_code string, session_date date, session_number int, is_stored boolean, is_output boolean, "
    "last_rebalance_date date, next_rebalance_date date"
)

_SECTOR_NAMES_DDL = "sector_label string, sector string, subsector string"


class RawKeepsChanging(RuntimeError):
    """Raw objects changed during every attempt; run the sessions again when the import is over."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the run was asked to do."""

    sessions: tuple[Session, ...] | Import | None
    """The sessions whose raw objects changed, or the import that changed them; None means every raw session."""
    raw_bucket: str
    refined_bucket: str
    database: str
    run_id: str


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Read the job's arguments; Glue adds some of its own, which are left alone."""
    parser = argparse.ArgumentParser(prog="job.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", required=True, help="IBOV/2025-02-03[,...], 'import:ID', or 'all' for a rebuild")
    parser.add_argument("--raw_bucket", required=True)
    parser.add_argument("--refined_bucket", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--JOB_RUN_ID", default="local", help="set by Glue")
    known, _glue_own = parser.parse_known_args(argv)
    sessions: tuple[Session, ...] | Import | None = None
    if known.sessions.startswith("import:"):
        sessions = Import.parse(known.sessions)
    elif known.sessions != ALL_SESSIONS:
        sessions = tuple(Session.parse(text) for text in known.sessions.split(","))
    return Arguments(sessions, known.raw_bucket, known.refined_bucket, known.database, run_id=known.JOB_RUN_ID)


def run(spark: SparkSession, arguments: Arguments) -> list[WrittenSession]:
    """Refine the requested sessions until what was written rests on the newest raw objects.

    Returns:
        One entry a session written, in order.

    Raises:
        RawKeepsChanging: Raw objects changed during each of the attempts.
    """
    requested = _requested(arguments)
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        before = _versions(arguments.raw_bucket, requested)
        try:
            written = _refine(spark, arguments, requested, before)
        except PySparkException:
            # A worker may have met an object that was replaced or deleted since it was listed.
            if _versions(arguments.raw_bucket, requested) == before:
                raise
        else:
            if _versions(arguments.raw_bucket, requested) == before:
                return written
        log.warning("raw objects changed during the run; starting over", extra={"attempt": attempt})
    raise RawKeepsChanging(
        f"Raw objects changed during each of {_MAX_ATTEMPTS} attempts; run these sessions again later."
    )


@dataclass(frozen=True, slots=True)
class Refined:
    """The rows of every table, for the sessions that a run writes: the partition columns, then the table's own."""

    portfolio: DataFrame
    sessions: DataFrame
    sectors: DataFrame


def refine(spark: SparkSession, raw_holdings: DataFrame, calendar: Iterable[CalendarDay]) -> Refined:
    """Return the refined rows of the calendar's output sessions: the three `.sql` files over *raw_holdings*.

    Args:
        spark: The session.
        raw_holdings: `RAW_COLUMNS` of every stored session of the window, with `index_code` and `session_date`.
        calendar: The trading sessions of the window.
    """
    days = [
        (
            day.index_code,
            day.session_date,
            day.session_number,
            day.is_stored,
            day.is_output,
            day.last_rebalance_date,
            day.next_rebalance_date,
        )
        for day in calendar
    ]
    spark.createDataFrame(days, _CALENDAR_DDL).createOrReplaceTempView("calendar")
    raw_holdings.createOrReplaceTempView("raw_holdings")
    labels = {row[0] for row in raw_holdings.select("sector_label").distinct().collect()} - {None}
    names = sector_rows(labels)
    if unknown := sorted(labels.difference(label for label, _, _ in names)):
        log.warning("sector spellings are unknown; add them to bovespa/sectors.py", extra={"labels": unknown})
    spark.createDataFrame(names, _SECTOR_NAMES_DDL).createOrReplaceTempView("sector_names")
    portfolio = _transformed(spark, "transformations.sql", PARTITION_COLUMNS + REFINED_COLUMNS).persist()
    portfolio.createOrReplaceTempView("refined")
    keys = (("index_code", "string"),)
    return Refined(
        portfolio,
        _transformed(spark, "sessions.sql", keys + SESSIONS.columns),
        _transformed(spark, "sectors.sql", keys + SECTORS.columns),
    )


def _transformed(spark: SparkSession, name: str, columns: Columns) -> DataFrame:
    sql = files("glue").joinpath(name).read_text(encoding="utf-8")
    return spark.sql(sql).select(*(column for column, _ in columns))


def _requested(arguments: Arguments) -> tuple[Session, ...]:
    if arguments.sessions is None:
        stored = every_raw_session(s3_client(), arguments.raw_bucket)
        # Sessions whose raw object is gone are withdrawn.
        return tuple({*stored, *every_receipted_session(s3_client(), arguments.refined_bucket)})
    if isinstance(arguments.sessions, Import):
        body = s3_client().get_object(Bucket=arguments.raw_bucket, Key=arguments.sessions.key)["Body"].read()
        return ImportManifest.from_json(body).sessions
    return arguments.sessions


def _versions(bucket: str, requested: Iterable[Session]) -> dict[Session, str]:
    """The raw objects that can influence, or be influenced by, the requested sessions, and their versions."""
    dates: defaultdict[str, list[dt.date]] = defaultdict(list)
    for session in requested:
        dates[session.index_code].append(session.session_date)
    found: dict[Session, str] = {}
    for index_code, session_dates in dates.items():
        within = reach(session_dates)
        found |= raw_versions(s3_client(), bucket, index_code, within.first, within.last)
    return found


def _refine(
    spark: SparkSession, arguments: Arguments, requested: Iterable[Session], versions: Mapping[Session, str]
) -> list[WrittenSession]:
    calendar = _calendar(requested, versions)
    outputs = [Session(day.index_code, day.session_date) for day in calendar if day.is_output]
    gone = sorted(set(requested) - versions.keys())
    log.info(
        "refining",
        extra={"sessions_read": len(versions), "sessions_written": len(outputs), "sessions_gone": len(gone)},
    )
    written: list[WrittenSession] = []
    if outputs:
        tasks = min(len(outputs), max(spark.sparkContext.defaultParallelism, -(-len(outputs) // _SESSIONS_A_TASK)))
        # 200 shuffle partitions, Spark's default, would be 200 tasks for 90 rows.
        spark.conf.set("spark.sql.shuffle.partitions", str(tasks))
        raw_holdings = _read(spark, arguments.raw_bucket, versions).persist()
        try:
            written = _write(arguments.refined_bucket, refine(spark, raw_holdings, calendar), tasks)
        finally:
            spark.catalog.clearCache()
    if [one.session for one in written] != sorted(outputs):
        raise RuntimeError(f"{len(outputs)} sessions were to be written, {len(written)} were.")
    _publish(spark, arguments, written, gone, versions)
    return written


def _write(bucket: str, refined: Refined, tasks: int) -> list[WrittenSession]:
    """Write every object of every table; nothing of it is registered yet."""

    def whole_sessions(rows: DataFrame) -> DataFrame:
        return rows.repartition(tasks, "index_code", "session_date") if tasks > 1 else rows.coalesce(1)

    rows = whole_sessions(refined.portfolio).mapInArrow(partition_writer(bucket), WRITTEN_DDL).collect()
    written = sorted((from_row(row) for row in rows), key=lambda one: one.session)
    for table, frame in ((SESSIONS, refined.sessions), (SECTORS, refined.sectors)):
        stored = whole_sessions(frame).mapInArrow(compact_writer(bucket, table), STORED_DDL).collect()
        found = {Session(row["index_code"], row["session_date"]) for row in stored}
        absent = [one.session for one in written if one.session not in found]
        if absent and table is SESSIONS:
            raise RuntimeError(f"sessions.sql gave no row for {absent[0]}, the first of {len(absent)}.")
        delete_compact(s3_client(), bucket, table, absent)
    return written


def _calendar(requested: Iterable[Session], versions: Mapping[Session, str]) -> list[CalendarDay]:
    wanted: defaultdict[str, list[dt.date]] = defaultdict(list)
    stored: defaultdict[str, list[dt.date]] = defaultdict(list)
    for session in requested:
        wanted[session.index_code].append(session.session_date)
    for session in versions:
        stored[session.index_code].append(session.session_date)
    return [day for index_code in wanted for day in plan_calendar(index_code, wanted[index_code], stored[index_code])]


def _read(spark: SparkSession, bucket: str, versions: Mapping[Session, str]) -> DataFrame:
    """The rows of the listed sessions, each in the listed version."""
    wanted = [(session.index_code, session.session_date, version) for session, version in sorted(versions.items())]
    return spark.createDataFrame(wanted, REQUESTED_DDL).mapInArrow(raw_reader(bucket), HOLDINGS_DDL)


def _publish(
    spark: SparkSession,
    arguments: Arguments,
    written: Sequence[WrittenSession],
    gone: Sequence[Session],
    versions: Mapping[Session, str],
) -> None:
    """Make the written sessions, and nothing else of them, visible to SQL; then say so in the receipts."""
    bucket = arguments.refined_bucket

    def catalog(table: str) -> PartitionCatalog:
        return PartitionCatalog(glue_client(), database=arguments.database, table=table, bucket=bucket)

    portfolio = catalog("portfolio")

    def publish(one: WrittenSession) -> PartitionChanges:
        # A vanished ticker leaves the catalog before its file goes, so that no query meets a partition without one.
        changes = portfolio.replace(one.session, one.tickers)
        delete_objects(s3_client(), bucket, one.stale_keys)
        return changes

    def withdraw(session: Session) -> PartitionChanges:
        withdraw_receipts(s3_client(), bucket, session)
        changes = portfolio.replace(session, ())
        keys = [item.key for item in list_objects(s3_client(), bucket, session.refined_prefix)]
        delete_objects(s3_client(), bucket, keys)
        return changes

    def acknowledge(one: WrittenSession) -> None:
        receipt = Receipt(one.session, versions[one.session])
        write_receipt(s3_client(), bucket, receipt, _receipt_content(one, receipt, arguments.run_id))

    for table in COMPACT_TABLES:
        delete_compact(s3_client(), bucket, table, gone)
    years = CompactYears(s3_client(), bucket, {table.name: catalog(table.name) for table in COMPACT_TABLES})
    with ThreadPoolExecutor(_PARALLEL_SESSIONS) as pool:
        changes = [*pool.map(publish, written), *pool.map(withdraw, gone)]
        stored = [one.session for one in written]
        past = _past_years(stored) if arguments.sessions is None else frozenset()
        _publish_years(spark, pool, years, [*stored, *gone], past)
        list(pool.map(acknowledge, written))
    log.info(
        "published",
        extra={
            "sessions": len(written),
            "partitions_added": sum(one.added for one in changes),
            "partitions_changed": sum(one.changed for one in changes),
            "partitions_removed": sum(one.removed for one in changes),
            "objects_put": sum(one.objects_put for one in written),
            "objects_unchanged": sum(one.objects_unchanged for one in written),
            "objects_deleted": sum(len(one.stale_keys) for one in written),
        },
    )


def _publish_years(
    spark: SparkSession,
    pool: ThreadPoolExecutor,
    years: CompactYears,
    sessions: Iterable[Session],
    past: Collection[CompactYear],
) -> None:
    """Register the years of the compact tables that hold *sessions*, those of *past* merged."""
    versions = _merge(spark, years.bucket, past) if past else {}
    touched = {CompactYear.of(table.name, session) for table in COMPACT_TABLES for session in sessions}
    list(pool.map(years.show, touched - versions.keys()))
    list(pool.map(lambda year: years.show_merged(year, versions[year]), versions))


def _past_years(sessions: Collection[Session]) -> frozenset[CompactYear]:
    """The years of which the index has a later one: no clock is needed, and the result is the same on any day."""
    newest: dict[str, int] = {}
    for session in sessions:
        newest[session.index_code] = max(session.session_date.year, newest.get(session.index_code, 0))
    return frozenset(
        CompactYear.of(table.name, session)
        for table in COMPACT_TABLES
        for session in sessions
        if session.session_date.year < newest[session.index_code]
    )


def _merge(spark: SparkSession, bucket: str, years: Collection[CompactYear]) -> dict[CompactYear, str]:
    """Write the merged object of each of *years* that can be merged; return their versions."""
    rows = [(year.table, year.index_code, year.session_year) for year in sorted(years)]
    tasks = min(len(rows), 4 * spark.sparkContext.defaultParallelism)
    frame = spark.createDataFrame(rows, YEAR_DDL).repartition(tasks)
    merged = frame.mapInArrow(year_merger(bucket), MERGED_DDL).collect()
    return {CompactYear(row["table"], row["index_code"], row["session_year"]): row["version"] for row in merged}


def _receipt_content(one: WrittenSession, receipt: Receipt, run_id: str) -> dict[str, Any]:
    return {
        "index_code": one.session.index_code,
        "session_date": one.session.session_date.isoformat(),
        "holdings": one.holdings,
        "theoretical_quantity": one.theoretical_quantity,
        "participation_pct": str(one.participation_pct),
        "raw_version": receipt.raw_version,
        "job_run_id": run_id,
    }


def main(argv: Sequence[str]) -> None:
    """Run the job as Glue does."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    arguments = parse_arguments(argv)
    spark = SparkSession.builder.appName("bovespa-refine").getOrCreate()
    run(spark, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
