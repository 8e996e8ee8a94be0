"""The columns of the raw and refined Parquet, written once; the catalog's tables and every writer must equal them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

Columns = tuple[tuple[str, str], ...]
"""Name and Hive type of each column, in order."""

RAW_COLUMNS: Columns = (
    ("ticker", "string"),
    ("company", "string"),
    ("share_class", "string"),
    ("corporate_event", "string"),
    ("listing_segment", "string"),
    ("theoretical_quantity", "bigint"),
    ("participation_pct", "decimal(6,3)"),
    ("sector_label", "string"),
    ("sector_participation_pct", "decimal(6,3)"),
    ("total_theoretical_quantity", "bigint"),
    ("reductor", "decimal(24,8)"),
)
"""Name and Hive type of each column of a raw session, in order; its index and date are in its key."""

TRADING_RAW_COLUMNS: Columns = (
    ("ticker", "string"),
    ("company", "string"),
    ("share_class", "string"),
    ("corporate_event", "string"),
    ("listing_segment", "string"),
    ("bdi_code", "string"),
    ("isin", "string"),
    ("open_price_brl", "decimal(19,8)"),
    ("high_price_brl", "decimal(19,8)"),
    ("low_price_brl", "decimal(19,8)"),
    ("average_price_brl", "decimal(19,8)"),
    ("close_price_brl", "decimal(19,8)"),
    ("trades", "bigint"),
    ("traded_quantity", "bigint"),
    ("volume_brl", "decimal(18,2)"),
    ("quotation_factor", "int"),
)
"""Name and Hive type of each column of a raw trading day, in order; its date is in its key."""

PARTITION_COLUMNS: Columns = (
    ("index_code", "string"),
    ("session_date", "date"),
    ("ticker", "string"),
)
"""Partition keys of `portfolio`: they are in the path, never in the file."""

_DATE_COLUMNS: Columns = (
    ("previous_session_date", "date"),
    ("days_since_previous_session", "int"),
    ("sessions_missed", "int"),
    ("last_rebalance_date", "date"),
    ("days_since_rebalance", "int"),
    ("next_rebalance_date", "date"),
    ("days_to_next_rebalance", "int"),
    ("weekday", "int"),
    ("quarter", "int"),
    ("sessions_observed", "int"),
)
"""What the calendar says of a session: the same for all its holdings."""

TRADED_COLUMNS: Columns = (
    ("trades", "bigint"),
    ("transaction_frequency", "decimal(12,6)"),
    ("index_trades_pct", "decimal(9,6)"),
    ("volume_brl", "decimal(18,2)"),
    ("index_volume_pct", "decimal(9,6)"),
    ("close_price_brl", "decimal(19,8)"),
    ("close_price_date", "date"),
    ("market_value_brl", "decimal(26,8)"),
    ("closing_participation_pct", "decimal(9,6)"),
    ("participation_drift_pp", "decimal(9,6)"),
    ("index_contribution_points", "decimal(14,4)"),
)
"""What a session's trading day says of a holding; null unless that day is stored."""

LEVEL_COLUMNS: Columns = (
    ("index_level", "decimal(14,4)"),
    ("previous_index_level", "decimal(14,4)"),
    ("index_change_points", "decimal(14,4)"),
    ("index_change_pct", "decimal(12,6)"),
    ("trades", "bigint"),
    ("volume_brl", "decimal(18,2)"),
    ("holdings_traded", "int"),
    ("participations_compared", "int"),
    ("participations_reproduced", "int"),
    ("participation_max_difference_pp", "decimal(6,3)"),
)
"""What the trading days up to a session say of its index; null where those that it takes are not stored."""

REFINED_COLUMNS: Columns = (
    ("company", "string"),
    ("share_class", "string"),
    ("corporate_event", "string"),
    ("listing_segment", "string"),
    ("sector_as_published", "string"),
    ("sector", "string"),
    ("subsector", "string"),
    ("theoretical_quantity", "bigint"),
    ("theoretical_quantity_change", "bigint"),
    ("quantity_change_cause", "string"),
    ("participation_pct", "decimal(6,3)"),
    ("participation_change_pp", "decimal(6,3)"),
    ("index_theoretical_quantity", "bigint"),
    ("reductor", "decimal(24,8)"),
    ("company_share_classes", "int"),
    ("company_theoretical_quantity", "bigint"),
    ("company_participation_pct", "decimal(6,3)"),
    *_DATE_COLUMNS,
    ("sessions_present", "int"),
    ("presence_frequency_pct", "decimal(6,3)"),
    ("membership", "string"),
    ("participation_rank", "int"),
    ("participation_rank_change", "int"),
    ("cumulative_participation_pct", "decimal(6,3)"),
    ("participation_level", "string"),
    *TRADED_COLUMNS,
)
"""Columns of an object of `portfolio`."""

YEAR_COLUMNS: Columns = (("index_code", "string"), ("session_year", "int"))
"""Partition keys of the compact tables that are by index."""

MARKET_YEAR_COLUMNS: Columns = (("session_year", "int"),)
"""Partition key of the compact table of the whole market."""


@dataclass(frozen=True, slots=True)
class CompactTable:
    """A table with one object a session, in one partition a year; of each index, or of the whole market."""

    name: str
    columns: Columns
    order: str
    """The column by which the rows of a session are sorted."""
    partition_keys: Columns = YEAR_COLUMNS

    @property
    def is_by_index(self) -> bool:
        """Whether its sessions are those of an index, not of the whole market."""
        return self.partition_keys == YEAR_COLUMNS


HOLDINGS = CompactTable("holdings", (("session_date", "date"), ("ticker", "string"), *REFINED_COLUMNS), order="ticker")
"""The rows of `portfolio` again, for questions about history."""

SESSIONS = CompactTable(
    "sessions",
    (
        ("session_date", "date"),
        ("holdings", "int"),
        ("companies", "int"),
        ("theoretical_quantity", "bigint"),
        ("reductor", "decimal(24,8)"),
        ("reductor_change_pct", "decimal(12,6)"),
        ("concentration_hhi", "decimal(12,6)"),
        ("effective_holdings", "decimal(9,3)"),
        ("top_1_participation_pct", "decimal(6,3)"),
        ("top_5_participation_pct", "decimal(6,3)"),
        ("top_10_participation_pct", "decimal(6,3)"),
        ("entries", "int"),
        ("exits", "int"),
        ("turnover_pct", "decimal(7,4)"),
        ("quantity_changes", "int"),
        ("corporate_actions", "int"),
        ("corporate_events", "int"),
        ("is_rebalance", "boolean"),
        *_DATE_COLUMNS,
        *LEVEL_COLUMNS,
    ),
    order="session_date",
)
"""One row an index and session."""

SECTORS = CompactTable(
    "sectors",
    (
        ("session_date", "date"),
        ("sector", "string"),
        ("subsector", "string"),
        ("holdings", "int"),
        ("companies", "int"),
        ("theoretical_quantity", "bigint"),
        ("participation_pct", "decimal(6,3)"),
        ("participation_change_pp", "decimal(6,3)"),
        ("participation_rank", "int"),
        ("previous_session_date", "date"),
    ),
    order="participation_rank",
)
"""One row an index, session, sector and subsector; none for a session that B3 gave by code."""

COMPACT_TABLES = (HOLDINGS, SESSIONS, SECTORS)
"""The compact tables that are by index."""

TRADING = CompactTable(
    "trading",
    (
        ("session_date", "date"),
        *TRADING_RAW_COLUMNS,
        ("market_trades_pct", "decimal(9,6)"),
        ("market_volume_pct", "decimal(9,6)"),
        ("trading_days_observed", "int"),
        ("traded_days", "int"),
        ("average_trades", "decimal(18,6)"),
        ("transaction_frequency", "decimal(12,6)"),
        ("previous_close_price_brl", "decimal(19,8)"),
        ("previous_close_price_date", "date"),
        ("price_change_pct", "decimal(15,6)"),
    ),
    order="ticker",
    partition_keys=MARKET_YEAR_COLUMNS,
)
"""One row a trading day and ticker of the cash market."""


def spark_schema(columns: Columns) -> StructType:
    """Return *columns* as a Spark schema, every field nullable.

    Not as Spark's DDL, which would be sent to the JVM, parsed there and sent back, for each frame.
    """
    from pyspark.sql.types import StructType  # noqa: PLC0415 - readers of the schema need no Spark

    fields = [{"name": name, "type": _spark_type(kind), "nullable": True, "metadata": {}} for name, kind in columns]
    return StructType.fromJson({"type": "struct", "fields": fields})


def _spark_type(kind: str) -> str | dict[str, Any]:
    """What Spark's JSON calls a type of Hive's."""
    if kind == "array<string>":
        return {"type": "array", "elementType": "string", "containsNull": True}
    return {"bigint": "long", "int": "integer"}.get(kind, kind)


def arrow_schema(columns: Columns) -> pa.Schema:
    """Return *columns* as an Arrow schema, every field nullable as Hive's are."""
    return pa.schema([pa.field(name, _arrow_type(kind)) for name, kind in columns])


def _arrow_type(kind: str) -> pa.DataType:
    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return {
        "string": pa.string(),
        "array<string>": pa.list_(pa.string()),
        "bigint": pa.int64(),
        "int": pa.int32(),
        "date": pa.date32(),
        "boolean": pa.bool_(),
    }[kind]
