"""Refined rows to objects, of every table; nothing of it is registered yet."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bovespa.layout import Session, TradingDay
from glue.compact_writer import STORED_COLUMNS, compact_writer
from glue.lake import delete_compact, s3_client
from glue.raw_reader import (
    HOLDINGS_READ_COLUMNS,
    QUOTES_READ_COLUMNS,
    REQUESTED_COLUMNS,
    REQUESTED_DAYS_COLUMNS,
    raw_reader,
    trading_reader,
)
from glue.refine import refine, refine_market, show_market
from glue.refined_writer import WRITTEN_COLUMNS, WrittenSession, from_row, partition_writer
from glue.schema import SECTORS, SESSIONS, TRADING, Columns
from glue.transport import OnWorkers, Step, ThroughDriver, Transport

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from glue.subjects import Plan

log = logging.getLogger("glue.write")

_SESSIONS_A_TASK = 32

_TRADING_DAYS_IN_DRIVER = 64
"""Of some 650 rows each; a window before and after what a run writes are 40."""


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
        ObjectMoved: A raw object was replaced or deleted since it was listed.
        UnexpectedRawSchema: A raw object is not one of the raw store's.
        PySparkException: Spark failed; where its workers read and write, also all of the above.
        RowsMissing: A session or trading day has no rows.
    """
    if not (plan.sessions or plan.trading_days):
        return Written((), ())
    transport = _transport(spark, plan)
    with _settings(spark, transport.settings):
        if plan.trading_days_read:
            show_market(_read_trading(transport, raw_bucket, plan), plan.market, transport)
        sessions = _write_sessions(spark, plan, transport, raw_bucket, refined_bucket) if plan.sessions else []
        trading_days = _write_market(spark, transport, refined_bucket) if plan.trading_days else []
    if [one.session for one in sessions] != plan.sessions:
        raise RowsMissing(f"{len(plan.sessions)} sessions were to be written, {len(sessions)} were.")
    if [one.day for one in trading_days] != plan.trading_days:
        raise RowsMissing(f"{len(plan.trading_days)} trading days were to be written, {len(trading_days)} were.")
    return Written(sessions, trading_days)


def _write_sessions(
    spark: SparkSession, plan: Plan, transport: Transport, raw_bucket: str, bucket: str
) -> list[WrittenSession]:
    raw_holdings = _read_holdings(transport, raw_bucket, plan)
    refined = refine(spark, raw_holdings, plan.calendar, transport, with_market=bool(plan.trading_days_read))

    def written(rows: DataFrame, writer: Step, columns: Columns) -> Sequence[Mapping[str, Any]]:
        return transport.write(rows, ("index_code", "session_date"), writer, columns)

    # At once, because each is mostly waiting: for Spark's plan, for the bucket.
    # `portfolio` comes last: from its first object on, readers see a mix of old and new, until all is published.
    with ThreadPoolExecutor(3) as pool:
        stored = {
            table: pool.submit(written, rows, compact_writer(bucket, table), STORED_COLUMNS)
            for table, rows in ((SESSIONS, refined.sessions), (SECTORS, refined.sectors))
        }
        portfolio = pool.submit(written, refined.portfolio, partition_writer(bucket), WRITTEN_COLUMNS)
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


def _write_market(spark: SparkSession, transport: Transport, bucket: str) -> list[WrittenTradingDay]:
    stored = transport.write(refine_market(spark), ("session_date",), compact_writer(bucket, TRADING), STORED_COLUMNS)
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


def _transport(spark: SparkSession, plan: Plan) -> Transport:
    """The way of what *plan* reads and writes: through the driver if one task and the driver's memory are enough."""
    written = max(len(plan.sessions), len(plan.trading_days))
    if written <= _SESSIONS_A_TASK and len(plan.trading_days_read) <= _TRADING_DAYS_IN_DRIVER:
        return ThroughDriver(spark)
    # As many as there are cores, or so many that none holds too many sessions.
    return OnWorkers(spark, tasks=max(spark.sparkContext.defaultParallelism, -(-written // _SESSIONS_A_TASK)))


def _read_holdings(transport: Transport, bucket: str, plan: Plan) -> DataFrame:
    wanted = [
        (session.index_code, session.session_date, plan.versions.sessions[session]) for session in plan.sessions_read
    ]
    return transport.read(wanted, REQUESTED_COLUMNS, raw_reader(bucket), HOLDINGS_READ_COLUMNS)


def _read_trading(transport: Transport, bucket: str, plan: Plan) -> DataFrame:
    wanted = [(day.session_date, plan.versions.trading_days[day]) for day in plan.trading_days_read]
    return transport.read(wanted, REQUESTED_DAYS_COLUMNS, trading_reader(bucket), QUOTES_READ_COLUMNS)
