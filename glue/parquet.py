"""Rows as Parquet: which rows are one session's, and their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bovespa.layout import Session, TradingDay
from glue.schema import Columns, arrow_schema


def with_columns(columns: Columns, rows: pa.Table) -> pa.Table:
    """Return *rows* with exactly *columns*, in their order and of their types."""
    schema = arrow_schema(columns)
    return rows.select(schema.names).cast(schema)


def parquet_bytes(rows: pa.Table, *, row_group_rows: int | None = None) -> bytes:
    """Return *rows* as Parquet.

    The same rows give the same bytes, so a repeated run can see that nothing changed.

    Args:
        rows: From `with_columns`, in the order in which they are to be stored.
        row_group_rows: After how many rows a new row group begins; by default all rows are one.
    """
    sink = pa.BufferOutputStream()
    several = rows.num_rows > 1
    pq.write_table(
        rows,
        sink,
        compression="snappy",
        version="2.6",
        # Of one row, both would only say the values again.
        use_dictionary=several,
        write_statistics=several,
        # Arrow's own words for the types that Parquet states anyway.
        store_schema=False,
        row_group_size=row_group_rows,
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_parquet(content: bytes) -> pa.Table:
    """Return the rows of one whole Parquet file, its columns as they are.

    Raises:
        pyarrow.ArrowInvalid: *content* is no Parquet file.
    """
    # Not pq.read_table: it imports datasets and pandas, half a second in every new worker, and reads in threads of
    # Arrow's own that outlive the read. A process that ends before they do aborts
    # (https://github.com/apache/arrow/issues/34314).
    return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)


def by_session(table: pa.Table, *, order: str) -> Iterator[tuple[Session, pa.Table]]:
    """Yield the rows of each index's session, sorted by the column *order*."""
    for (index_code, session_date), rows in _grouped(table, ("index_code", "session_date"), order):
        yield Session(index_code, session_date), rows


def by_trading_day(table: pa.Table, *, order: str) -> Iterator[tuple[TradingDay, pa.Table]]:
    """Yield the rows of each day of the whole market, sorted by the column *order*."""
    for (session_date,), rows in _grouped(table, ("session_date",), order):
        yield TradingDay(session_date), rows


def _grouped(table: pa.Table, keys: tuple[str, ...], order: str) -> Iterator[tuple[tuple[Any, ...], pa.Table]]:
    table = table.sort_by([(name, "ascending") for name in (*keys, order)])
    starts: dict[tuple[Any, ...], int] = {}
    for position, key in enumerate(zip(*(table[name].to_pylist() for name in keys), strict=True)):
        starts.setdefault(key, position)
    bounds = [*starts.values(), table.num_rows]
    for key, first, end in zip(starts, bounds[:-1], bounds[1:], strict=True):
        yield key, table.slice(first, end - first)
