"""Rows as Parquet: which rows are one session's, and their bytes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from bovespa.layout import Session
from glue.schema import Columns, arrow_schema


def parquet_bytes(columns: Columns, rows: pa.Table, *, row_group_rows: int | None = None) -> bytes:
    """Return *rows* as Parquet with exactly *columns*.

    The same rows give the same bytes, so a repeated run can see that nothing changed.

    Args:
        columns: Of the table; other columns of *rows* are left out.
        rows: In the order in which they are to be stored.
        row_group_rows: After how many rows a new row group begins; by default all rows are one.
    """
    schema = arrow_schema(columns)
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows.select(schema.names).cast(schema),
        sink,
        compression="snappy",
        version="2.6",
        write_statistics=True,
        row_group_size=row_group_rows,
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def by_session(table: pa.Table, *, order: str) -> Iterator[tuple[Session, pa.Table]]:
    """Yield each session's rows, sorted by the column *order*."""
    table = table.sort_by([(name, "ascending") for name in ("index_code", "session_date", order)])
    keys = zip(table["index_code"].to_pylist(), table["session_date"].to_pylist(), strict=True)
    starts: dict[tuple[str, dt.date], int] = {}
    for position, key in enumerate(keys):
        starts.setdefault(key, position)
    bounds = [*starts.values(), table.num_rows]
    for (index_code, session_date), first, end in zip(starts, bounds[:-1], bounds[1:], strict=True):
        yield Session(index_code, session_date), table.slice(first, end - first)
