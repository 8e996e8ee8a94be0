"""The columns of the raw and refined Parquet, written once; the catalog's table and both writers must equal them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

RAW_COLUMNS: tuple[tuple[str, str], ...] = (
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

PARTITION_COLUMNS: tuple[tuple[str, str], ...] = (
    ("index_code", "string"),
    ("session_date", "date"),
    ("ticker", "string"),
)
"""Partition keys of the refined table: they are in the path, never in the file."""

REFINED_COLUMNS: tuple[tuple[str, str], ...] = (
    ("company", "string"),
    ("share_class", "string"),
    ("corporate_event", "string"),
    ("listing_segment", "string"),
    ("sector_as_published", "string"),
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
    ("sessions_present", "int"),
    ("presence_frequency_pct", "decimal(6,3)"),
    ("membership", "string"),
    ("participation_rank", "int"),
    ("participation_rank_change", "int"),
    ("cumulative_participation_pct", "decimal(6,3)"),
    ("participation_level", "string"),
)
"""Name and Hive type of each column of a refined object, in order."""


def spark_ddl(columns: tuple[tuple[str, str], ...]) -> str:
    """Return *columns* as Spark's DDL string, for `DataFrameReader.schema`."""
    return ", ".join(f"{name} {kind}" for name, kind in columns)


def arrow_schema(columns: tuple[tuple[str, str], ...]) -> pa.Schema:
    """Return *columns* as an Arrow schema, every field nullable as Hive's are."""
    import pyarrow as pa  # noqa: PLC0415 - the Lambda and the planner need the names, not Arrow

    return pa.schema([pa.field(name, _arrow_type(kind)) for name, kind in columns])


def _arrow_type(kind: str) -> pa.DataType:
    import pyarrow as pa  # noqa: PLC0415

    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "date": pa.date32()}[kind]
