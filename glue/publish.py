"""Written objects to readers: the catalog's partitions first, then the receipts that say so."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bovespa.layout import PORTFOLIO_TABLE, CompactYear, Receipt, Session, TradingDay, TradingReceipt
from glue.catalog import PartitionCatalog, PartitionChanges
from glue.compact_years import COMPACT_YEAR_COLUMNS, MERGED_COLUMNS, CompactYears, year_merger
from glue.lake import (
    delete_compact,
    delete_objects,
    glue_client,
    list_objects,
    s3_client,
    withdraw_receipts,
    write_receipt,
)
from glue.schema import COMPACT_TABLES, TRADING
from glue.transport import OnWorkers, ThroughDriver, Transport

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from glue.refined_writer import WrittenSession
    from glue.subjects import Plan
    from glue.write import Written, WrittenTradingDay

log = logging.getLogger("glue.publish")

_YEARS_IN_DRIVER = 8
"""Of at most 250 objects each: as long as Python workers take to start."""

_PARALLEL_SESSIONS = 8
"""Sessions that are made visible at once: each is a handful of calls, one after the other."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Makes what a run wrote, and nothing else of its sessions and trading days, visible to SQL."""

    spark: SparkSession
    bucket: str
    """The refined one."""
    database: str
    run_id: str
    correlation_id: str

    def publish(self, plan: Plan, written: Written, *, merge_past_years: bool) -> None:
        """Register what was written, and withdraw what is gone.

        Args:
            plan: What the run was to do.
            written: What it did.
            merge_past_years: Whether years of the compact tables that have a later one become one object each.

        Raises:
            CatalogRefused: Glue did not take a partition.
        """
        started_s = time.perf_counter()
        portfolio = self._catalog(PORTFOLIO_TABLE)

        def register(one: WrittenSession) -> PartitionChanges:
            # A vanished ticker leaves the catalog before its file goes, so that no query meets a partition without one.
            changes = portfolio.replace(one.session, one.tickers)
            delete_objects(s3_client(), self.bucket, one.stale_keys)
            return changes

        def withdraw(session: Session) -> PartitionChanges:
            withdraw_receipts(s3_client(), self.bucket, session)
            changes = portfolio.replace(session, ())
            keys = [item.key for item in list_objects(s3_client(), self.bucket, session.refined_prefix)]
            delete_objects(s3_client(), self.bucket, keys)
            return changes

        for table in COMPACT_TABLES:
            delete_compact(s3_client(), self.bucket, table, plan.sessions_gone)
        with ThreadPoolExecutor(_PARALLEL_SESSIONS) as pool:
            changes = [*pool.map(register, written.sessions), *pool.map(withdraw, plan.sessions_gone)]
            list(pool.map(self._withdraw_trading_day, plan.trading_days_gone))
            delete_compact(s3_client(), self.bucket, TRADING, plan.trading_days_gone)
            self._publish_years(plan, written, merge_past_years=merge_past_years)
        log.info(
            "registered",
            extra={
                "elapsed_ms": round((time.perf_counter() - started_s) * 1000),
                "sessions": len(written.sessions),
                "trading_days": len(written.trading_days),
                "trading_objects_put": sum(one.objects_put for one in written.trading_days),
                "partitions_added": sum(one.added for one in changes),
                "partitions_changed": sum(one.changed for one in changes),
                "partitions_removed": sum(one.removed for one in changes),
                "objects_put": sum(one.objects_put for one in written.sessions),
                "objects_unchanged": sum(one.objects_unchanged for one in written.sessions),
                "objects_deleted": sum(len(one.stale_keys) for one in written.sessions),
            },
        )

    def acknowledge(self, plan: Plan, written: Written) -> None:
        """Say in the receipts that what was published is what the raw objects give.

        To be called when the raw objects are still those that *plan* saw. A receipt that stood before could stay over
        rows of a run that gave up, and nobody would look there again.

        Args:
            plan: What the run was to do.
            written: What it did.
        """
        with ThreadPoolExecutor(_PARALLEL_SESSIONS) as pool:
            list(pool.map(lambda one: self._acknowledge(plan, one), written.sessions))
            # Only those that were asked for: of the others, it is not known that every session has them.
            asked = [one for one in written.trading_days if one.day in plan.subjects.trading_days]
            list(pool.map(lambda one: self._acknowledge_trading_day(plan, one), asked))
        log.info("published", extra={"sessions": len(written.sessions), "trading_days": len(written.trading_days)})

    def _catalog(self, table: str) -> PartitionCatalog:
        return PartitionCatalog(
            glue_client(),
            database=self.database,
            table=table,
            bucket=self.bucket,
            parameters={"correlation_id": self.correlation_id, "job_run_id": self.run_id},
        )

    def publish_years(self, touched: Collection[CompactYear], *, merged: Collection[CompactYear]) -> None:
        """Let readers take what years of the compact tables hold now.

        Args:
            touched: Those in which something was written or is gone.
            merged: Those of them that become one object.

        Raises:
            CatalogRefused: Glue did not take a partition.
        """
        versions = self._merge(merged) if merged else {}
        tables = {year.table for year in touched}
        years = CompactYears(s3_client(), self.bucket, {table: self._catalog(table) for table in tables})
        with ThreadPoolExecutor(_PARALLEL_SESSIONS) as pool:
            list(pool.map(years.show, set(touched) - versions.keys()))
            list(pool.map(lambda year: years.show_merged(year, versions[year]), versions))

    def _publish_years(self, plan: Plan, written: Written, *, merge_past_years: bool) -> None:
        sessions = [one.session for one in written.sessions]
        trading_days = [one.day for one in written.trading_days]
        past = _past_years(sessions) | _past_years(trading_days) if merge_past_years else frozenset()
        touched = _years([*sessions, *plan.sessions_gone]) | _years([*trading_days, *plan.trading_days_gone])
        self.publish_years(touched, merged=past)

    def _merge(self, years: Collection[CompactYear]) -> dict[CompactYear, str]:
        """Write the merged object of each of *years* that can be merged; return their versions."""
        rows = [(year.table, year.index_code, year.session_year) for year in sorted(years)]
        tasks = min(len(rows), 4 * self.spark.sparkContext.defaultParallelism)
        few = len(rows) <= _YEARS_IN_DRIVER
        transport: Transport = ThroughDriver(self.spark) if few else OnWorkers(self.spark, tasks)
        merged = transport.apply(rows, COMPACT_YEAR_COLUMNS, year_merger(self.bucket), MERGED_COLUMNS)
        return {CompactYear(row["table"], row["index_code"], row["session_year"]): row["version"] for row in merged}

    def _withdraw_trading_day(self, day: TradingDay) -> None:
        withdraw_receipts(s3_client(), self.bucket, day)

    def _acknowledge(self, plan: Plan, one: WrittenSession) -> None:
        receipt = Receipt(one.session, plan.versions.sessions[one.session])
        content = {
            "index_code": one.session.index_code,
            "session_date": one.session.session_date.isoformat(),
            "holdings": one.holdings,
            "theoretical_quantity": one.theoretical_quantity,
            "participation_pct": str(one.participation_pct),
        }
        self._write_receipt(receipt, content)

    def _acknowledge_trading_day(self, plan: Plan, one: WrittenTradingDay) -> None:
        receipt = TradingReceipt(one.day, plan.versions.trading_days[one.day])
        self._write_receipt(receipt, {"session_date": one.day.session_date.isoformat(), "tickers": one.tickers})

    def _write_receipt(self, receipt: Receipt | TradingReceipt, content: dict[str, Any]) -> None:
        told = {
            **content,
            "raw_version": receipt.raw_version,
            "job_run_id": self.run_id,
            "correlation_id": self.correlation_id,
        }
        write_receipt(s3_client(), self.bucket, receipt, told)


def _years(subjects: Iterable[Session | TradingDay]) -> set[CompactYear]:
    """The partitions of the compact tables in which *subjects* have their rows."""
    return {
        CompactYear.of(table.name, one)
        for one in subjects
        for table in (COMPACT_TABLES if isinstance(one, Session) else (TRADING,))
    }


def _past_years(subjects: Iterable[Session | TradingDay]) -> frozenset[CompactYear]:
    """The years of which index or market has a later one: no clock is needed, and the result is the same on any day."""
    years = _years(subjects)
    newest: dict[tuple[str, str | None], int] = {}
    for year in years:
        of = (year.table, year.index_code)
        newest[of] = max(year.session_year, newest.get(of, 0))
    return frozenset(year for year in years if year.session_year < newest[year.table, year.index_code])
