"""Refined rows as Parquet: every type survives, and a file of one row, as `portfolio` has them, says nothing twice."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glue.parquet import parquet_bytes, read_parquet
from glue.schema import COMPACT_TABLES, REFINED_COLUMNS, TRADING, Columns, arrow_schema

TABLES = {"portfolio": REFINED_COLUMNS} | {table.name: table.columns for table in (*COMPACT_TABLES, TRADING)}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
def test_what_is_read_has_the_types_of_its_table(columns: Columns, count: int) -> None:
    schema = arrow_schema(columns)
    rows = pa.table([pa.nulls(count, field.type) for field in schema], schema=schema)
    assert read_parquet(parquet_bytes(rows)).equals(rows)


@pytest.mark.parametrize("count", [1, 90])
def test_only_several_rows_have_statistics_and_dictionaries(count: int) -> None:
    content = parquet_bytes(pa.table({"company": ["PETROBRAS", "VALE"] * 45}).slice(0, count))
    described = pq.ParquetFile(pa.BufferReader(content)).metadata
    column = described.row_group(0).column(0)
    assert column.is_stats_set == (count > 1)
    assert column.has_dictionary_page == (count > 1)
    assert b"ARROW:schema" not in (described.metadata or {})
