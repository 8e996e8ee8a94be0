"""The columns of the raw and refined Parquet, written once; the catalog's tables and every writer must equal them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

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
"""Name and Hive type of each column of a raw object, in order; its index and session are in its key."""

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
)
"""Columns of an object of `portfolio`."""

YEAR_COLUMNS: Columns = (("index_code", "string"), ("session_year", "int"))
"""Partition keys of the compact tables."""


@dataclass(frozen=True, slots=True)
class CompactTable:
    """A table with one object an index and session, in one partition an index and year."""

    name: str
    columns: Columns
    order: str
    """The column by which the rows of a session are sorted."""


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


def spark_ddl(columns: Columns) -> str:
    """Return *columns* as Spark's DDL string, for `DataFrameReader.schema`."""
    return ", ".join(f"{name} {kind}" for name, kind in columns)


def arrow_schema(columns: Columns) -> pa.Schema:
    """Return *columns* as an Arrow schema, every field nullable as Hive's are."""
    import pyarrow as pa  # noqa: PLC0415 - the Lambda and the planner need the names, not Arrow

    return pa.schema([pa.field(name, _arrow_type(kind)) for name, kind in columns])


def _arrow_type(kind: str) -> pa.DataType:
    import pyarrow as pa  # noqa: PLC0415

    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "date": pa.date32(), "boolean": pa.bool_()}[
        kind
    ]
