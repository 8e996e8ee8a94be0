"""Raw rows to refined rows: the `.sql` files of this folder, and which of them a run needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from glue.schema import (
    LEVEL_COLUMNS,
    PARTITION_COLUMNS,
    REFINED_COLUMNS,
    SECTORS,
    SESSIONS,
    TRADED_COLUMNS,
    TRADING,
    Columns,
)
from glue.transport import Transport
from glue.window import CalendarDay, MarketDay

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_CALENDAR_COLUMNS: Columns = (
    ("index_code", "string"),
    ("session_date", "date"),
    ("session_number", "int"),
    ("is_stored", "boolean"),
    ("is_read", "boolean"),
    ("is_output", "boolean"),
    ("last_rebalance_date", "date"),
    ("next_rebalance_date", "date"),
)
_MARKET_CALENDAR_COLUMNS: Columns = (
    ("session_date", "date"),
    ("day_number", "int"),
    ("is_stored", "boolean"),
    ("follows_stored", "boolean"),
    ("is_read", "boolean"),
    ("is_output", "boolean"),
)

_HOLDING: Columns = PARTITION_COLUMNS
_INDEX: Columns = (("index_code", "string"),)
_SESSION: Columns = (("index_code", "string"), ("session_date", "date"))


@dataclass(frozen=True, slots=True)
class Refined:
    """The rows of the tables that are by index, of the sessions that a run writes: partition keys, then columns."""

    portfolio: DataFrame
    sessions: DataFrame
    sectors: DataFrame


def show_market(raw_trading: DataFrame, market: Iterable[MarketDay], transport: Transport) -> None:
    """Make trading days visible to `refine` and `refine_market`.

    Args:
        raw_trading: `TRADING_RAW_COLUMNS` of every trading day that is read, with `session_date`.
        market: The trading days of the window.
        transport: The way into Spark.
    """
    raw_trading.createOrReplaceTempView("raw_trading")
    _show("market_calendar", market, _MARKET_CALENDAR_COLUMNS, transport)


def refine_market(spark: SparkSession) -> DataFrame:
    """Return the rows of table `trading` of the market's output days, after `show_market`."""
    return _transformed(spark, "trading.sql", TRADING.columns)


def refine(
    spark: SparkSession,
    raw_holdings: DataFrame,
    calendar: Iterable[CalendarDay],
    transport: Transport,
    *,
    with_market: bool,
) -> Refined:
    """Return the refined rows of the calendar's output sessions.

    Args:
        spark: The session.
        raw_holdings: `HOLDINGS_READ_COLUMNS` of every session that is read.
        calendar: The trading sessions of the window.
        transport: The way into Spark.
        with_market: Whether `show_market` was called. Without it, what trading days say is null, and costs nothing.
    """
    raw_holdings.createOrReplaceTempView("raw_holdings")
    _show("calendar", calendar, _CALENDAR_COLUMNS, transport)
    compared = spark.sql(_sql("compared.sql"))
    # Without trading days, only one query reads it.
    (transport.keep(compared) if with_market else compared).createOrReplaceTempView("compared")
    refined = transport.keep(spark.sql(_sql("transformations.sql")))
    refined.createOrReplaceTempView("refined")
    own = tuple(column for column in REFINED_COLUMNS if column not in TRADED_COLUMNS)
    portfolio = _selected(refined, _HOLDING + own)
    sectors = _transformed(spark, "sectors.sql", _INDEX + SECTORS.columns)
    own = tuple(column for column in SESSIONS.columns if column not in LEVEL_COLUMNS)
    sessions = _transformed(spark, "sessions.sql", _INDEX + own)
    if not with_market:
        return Refined(_with_nulls(portfolio, TRADED_COLUMNS), _with_nulls(sessions, LEVEL_COLUMNS), sectors)
    transport.keep(spark.sql(_sql("closes.sql"))).createOrReplaceTempView("closes")
    traded = transport.keep(spark.sql(_sql("holdings_traded.sql")))
    traded.createOrReplaceTempView("traded")
    levels = _transformed(spark, "sessions_traded.sql", _SESSION + LEVEL_COLUMNS)
    return Refined(
        _joined(portfolio, _selected(traded, _HOLDING + TRADED_COLUMNS), on=_HOLDING),
        _joined(sessions, levels, on=_SESSION),
        sectors,
    )


def _show(name: str, days: Iterable[CalendarDay] | Iterable[MarketDay], columns: Columns, transport: Transport) -> None:
    transport.frame([astuple(day) for day in days], columns).createOrReplaceTempView(name)


def _transformed(spark: SparkSession, name: str, columns: Columns) -> DataFrame:
    return _selected(spark.sql(_sql(name)), columns)


def _sql(name: str) -> str:
    return files("glue").joinpath(name).read_text(encoding="utf-8")


# As text: Python asks the JVM for each column that is an object, three to five times, which was half of a run's calls.
def _selected(frame: DataFrame, columns: Columns) -> DataFrame:
    return frame.selectExpr(*(name for name, _ in columns))


def _with_nulls(frame: DataFrame, columns: Columns) -> DataFrame:
    return frame.selectExpr("*", *(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns))


def _joined(frame: DataFrame, others: DataFrame, *, on: Columns) -> DataFrame:
    """Every row of *frame* with the columns of *others*, which are null where it has none."""
    return frame.join(others, [name for name, _ in on], "left")
