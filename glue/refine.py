"""Raw rows to refined rows: the `.sql` files of this folder, and which of them a run needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from operator import attrgetter
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
    return _select(spark, _names(TRADING.columns), _query("trading.sql"))


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
    transport.keep(spark.sql(_sql("transformations.sql"))).createOrReplaceTempView("refined")
    of_holdings = _names(_HOLDING + tuple(column for column in REFINED_COLUMNS if column not in TRADED_COLUMNS))
    of_sessions = _names(_INDEX + tuple(column for column in SESSIONS.columns if column not in LEVEL_COLUMNS))
    sectors = _select(spark, _names(_INDEX + SECTORS.columns), _query("sectors.sql"))
    if not with_market:
        portfolio = _select(spark, of_holdings + _nulls(TRADED_COLUMNS), "refined")
        sessions = _select(spark, of_sessions + _nulls(LEVEL_COLUMNS), _query("sessions.sql"))
        return Refined(portfolio, sessions, sectors)
    transport.keep(spark.sql(_sql("closes.sql"))).createOrReplaceTempView("closes")
    transport.keep(spark.sql(_sql("holdings_traded.sql"))).createOrReplaceTempView("traded")
    portfolio = _select(spark, of_holdings, "refined")
    sessions = _select(spark, of_sessions, _query("sessions.sql"))
    traded = _select(spark, _names(_HOLDING + TRADED_COLUMNS), "traded")
    levels = _select(spark, _names(_SESSION + LEVEL_COLUMNS), _query("sessions_traded.sql"))
    return Refined(_joined(portfolio, traded, on=_HOLDING), _joined(sessions, levels, on=_SESSION), sectors)


def _show(name: str, days: Iterable[CalendarDay] | Iterable[MarketDay], columns: Columns, transport: Transport) -> None:
    value_of = attrgetter(*_names(columns))
    transport.frame([value_of(day) for day in days], columns).createOrReplaceTempView(name)


def _sql(name: str) -> str:
    return files("glue").joinpath(name).read_text(encoding="utf-8")


def _query(name: str) -> str:
    """The text of a file as what a FROM names; a line of its own ends its last comment."""
    return f"(\n{_sql(name)}\n)"


def _names(columns: Columns) -> tuple[str, ...]:
    return tuple(name for name, _ in columns)


def _nulls(columns: Columns) -> tuple[str, ...]:
    return tuple(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns)


# As one text: each column that is named through PySpark's methods is a call of the JVM and is parsed by itself.
def _select(spark: SparkSession, columns: Iterable[str], source: str) -> DataFrame:
    return spark.sql(f"SELECT {', '.join(columns)} FROM {source}")  # noqa: S608 - all of it is this project's text


def _joined(frame: DataFrame, others: DataFrame, *, on: Columns) -> DataFrame:
    """Every row of *frame* with the columns of *others*, which are null where it has none."""
    return frame.join(others, list(_names(on)), "left")
