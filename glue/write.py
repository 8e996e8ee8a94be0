"""Refined rows to objects, of every table; nothing of it is registered yet."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bovespa.layout import Session, TradingDay
from glue.compact_writer import STORED_DDL, compact_writer
from glue.lake import delete_compact, s3_client
from glue.raw_reader import HOLDINGS_DDL, QUOTES_DDL, REQUESTED_DAYS_DDL, REQUESTED_DDL, raw_reader, trading_reader
from glue.refine import Refined, refine, refine_market, show_market
from glue.refined_writer import WRITTEN_DDL, WrittenSession, from_row, partition_writer
from glue.schema import SECTORS, SESSIONS, TRADING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

    from glue.subjects import Plan

log = logging.getLogger("glue.write")

_SESSIONS_A_TASK = 32

_FEW_ROWS = {
    # Spark takes rows that Python made for the most there can be, and therefore shuffles them around each join, even
    # where all are in one task. Told that they are few, it shuffles none; and for them no broadcast is worth a job.
    "spark.sql.defaultSizeInBytes": "1000",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    # What the optimizer infers of so many columns takes it longer than the rows, and saves none of them.
    "spark.sql.constraintPropagation.enabled": "false",
    # Nor do they repay the Java that Spark would write and compile for each plan: a second and a half of a first run.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


Writer = Callable[[Iterable[Any]], Iterable[Any]]
"""What `DataFrame.mapInArrow` takes."""


class RowsMissing(RuntimeError):
    """A session or trading day that has a raw object came out without rows: a defect of the job; nothing is registered.

    The raw objects are whole. Mend the SQL, then run the sessions again.
    """


@dataclass(frozen=True, slots=True)
class WrittenTradingDay:
    """What one trading day's object holds after the run."""

    day: TradingDay
    tickers: int
    objects_put: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a run wrote, in order."""

    sessions: Sequence[WrittenSession]
    trading_days: Sequence[WrittenTradingDay]


def write(spark: SparkSession, plan: Plan, *, raw_bucket: str, refined_bucket: str) -> Written:
    """Refine and write what *plan* says, from raw objects in exactly the versions that it lists.

    Raises:
        PySparkException: Among others, an object was replaced or deleted since it was listed.
        RowsMissing: A session or trading day has no rows.
    """
    if not (plan.sessions or plan.trading_days):
        return Written((), ())
    # 200 shuffle partitions, Spark's default, would be 200 tasks for 90 rows.
    most = max(len(plan.sessions), len(plan.trading_days))
    settings = {"spark.sql.shuffle.partitions": str(_tasks(spark, most))} | (_FEW_ROWS if _is_small(plan) else {})
    with _settings(spark, settings):
        if plan.trading_days_read:
            show_market(spark, _keeper(plan)(_read_trading(spark, raw_bucket, plan)), plan.market)
        sessions = _write_sessions(spark, plan, raw_bucket, refined_bucket) if plan.sessions else []
        trading_days = _write_market(spark, plan, refined_bucket) if plan.trading_days else []
    if [one.session for one in sessions] != plan.sessions:
        raise RowsMissing(f"{len(plan.sessions)} sessions were to be written, {len(sessions)} were.")
    if [one.day for one in trading_days] != plan.trading_days:
        raise RowsMissing(f"{len(plan.trading_days)} trading days were to be written, {len(trading_days)} were.")
    return Written(sessions, trading_days)


def _write_sessions(spark: SparkSession, plan: Plan, raw_bucket: str, bucket: str) -> list[WrittenSession]:
    keep = _keeper(plan)
    raw_holdings = keep(_read_holdings(spark, raw_bucket, plan))
    refined: Refined = refine(spark, raw_holdings, plan.calendar, with_market=bool(plan.trading_days_read), keep=keep)
    tasks = _tasks(spark, len(plan.sessions))

    def written(rows: DataFrame, writer: Writer, ddl: str) -> list[Row]:
        return _whole(rows, tasks, "index_code", "session_date").mapInArrow(writer, ddl).collect()

    # At once, because each is mostly waiting: for Spark's plan, for a Python worker, for the bucket.
    # `portfolio` comes last: from its first object on, readers see a mix of old and new, until all is published.
    with ThreadPoolExecutor(3) as pool:
        stored = {
            table: pool.submit(written, rows, compact_writer(bucket, table), STORED_DDL)
            for table, rows in ((SESSIONS, refined.sessions), (SECTORS, refined.sectors))
        }
        portfolio = pool.submit(written, refined.portfolio, partition_writer(bucket), WRITTEN_DDL)
    sessions = sorted((from_row(row) for row in portfolio.result()), key=lambda one: one.session)
    for table, rows in stored.items():
        found = {Session(row["index_code"], row["session_date"]) for row in rows.result()}
        absent = [one.session for one in sessions if one.session not in found]
        if absent and table is SESSIONS:
            raise RowsMissing(f"sessions.sql gave no row for {absent[0]}, the first of {len(absent)}.")
        delete_compact(s3_client(), bucket, table, absent)
    _warn_of_unknown_sectors(sessions)
    return sessions


def _warn_of_unknown_sectors(sessions: Iterable[WrittenSession]) -> None:
    if unknown := sorted({label for one in sessions for label in one.unknown_sector_labels}):
        log.warning("sector spellings are unknown; add them to bovespa/sectors.py", extra={"labels": unknown})


def _write_market(spark: SparkSession, plan: Plan, bucket: str) -> list[WrittenTradingDay]:
    whole = _whole(refine_market(spark), _tasks(spark, len(plan.trading_days)), "session_date")
    stored = whole.mapInArrow(compact_writer(bucket, TRADING), STORED_DDL).collect()
    written = [WrittenTradingDay(TradingDay(row["session_date"]), row["rows"], row["objects_put"]) for row in stored]
    return sorted(written, key=lambda one: one.day)


@contextlib.contextmanager
def _settings(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Spark with *settings*, and in the end with its own again and nothing kept."""
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        spark.catalog.clearCache()
        for name in settings:
            spark.conf.unset(name)


def _is_small(plan: Plan) -> bool:
    """Whether one task computes all; it then needs no shuffle, of which each costs more than a day's rows do."""
    return max(len(plan.sessions), len(plan.trading_days)) <= _SESSIONS_A_TASK


def _keeper(plan: Plan) -> Callable[[DataFrame], DataFrame]:
    """How rows that are used more than once are kept.

    Cached rows can be computed again if their machine is lost, but every query on them is planned with all that they
    came from: for a few sessions that takes longer than the rows. Those are cut off from it; if their machine is lost,
    the run fails and is started again.
    """
    if _is_small(plan):
        return lambda rows: rows.localCheckpoint(eager=False)
    return lambda rows: rows.persist()


def _tasks(spark: SparkSession, sessions: int) -> int:
    """As many tasks as there are cores, or so many that none holds too many sessions; never more than sessions."""
    return max(1, min(sessions, max(spark.sparkContext.defaultParallelism, -(-sessions // _SESSIONS_A_TASK))))


def _whole(rows: DataFrame, tasks: int, *keys: str) -> DataFrame:
    """All rows of equal *keys* in one task."""
    return rows.repartition(tasks, *keys) if tasks > 1 else rows.coalesce(1)


def _read_holdings(spark: SparkSession, bucket: str, plan: Plan) -> DataFrame:
    wanted = [
        (session.index_code, session.session_date, plan.versions.sessions[session]) for session in plan.sessions_read
    ]
    rows = spark.createDataFrame(wanted, REQUESTED_DDL).mapInArrow(raw_reader(bucket), HOLDINGS_DDL)
    return rows.coalesce(1) if _is_small(plan) else rows


def _read_trading(spark: SparkSession, bucket: str, plan: Plan) -> DataFrame:
    wanted = [(day.session_date, plan.versions.trading_days[day]) for day in plan.trading_days_read]
    rows = spark.createDataFrame(wanted, REQUESTED_DAYS_DDL).mapInArrow(trading_reader(bucket), QUOTES_DDL)
    return rows.coalesce(1) if _is_small(plan) else rows
