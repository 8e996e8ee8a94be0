"""Raw objects to rows.

Each object is asked for in exactly the version that the planner listed, and its columns must be exactly the raw schema:
a run never mixes two versions of a session, and a type that drifted is an error, not a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from bovespa.layout import Session, TradingDay
from bovespa.sectors import sector_name
from glue.lake import PARALLEL_REQUESTS, read_version, s3_client
from glue.parquet import read_parquet
from glue.schema import RAW_COLUMNS, TRADING_RAW_COLUMNS, Columns, arrow_schema
from glue.transport import Step

_SESSION_KEYS: Columns = (("index_code", "string"), ("session_date", "date"))
_DAY_KEYS: Columns = (("session_date", "date"),)
_VERSION: Columns = (("version", "string"),)

REQUESTED_COLUMNS = _SESSION_KEYS + _VERSION
"""What `raw_reader` takes: one row a raw object."""

_SECTOR_COLUMNS: Columns = (("sector", "string"), ("subsector", "string"))

HOLDINGS_READ_COLUMNS = _SESSION_KEYS + RAW_COLUMNS + _SECTOR_COLUMNS
"""What `raw_reader` returns: one row a holding, its sector in one spelling beside B3's label.

Both names are null where B3 gave no label, or one that `bovespa.sectors` does not know.
"""

REQUESTED_DAYS_COLUMNS = _DAY_KEYS + _VERSION
"""What `trading_reader` takes: one row a raw trading day."""

QUOTES_READ_COLUMNS = _DAY_KEYS + TRADING_RAW_COLUMNS
"""What `trading_reader` returns: one row a ticker of the cash market and trading day."""


class UnexpectedRawSchema(RuntimeError):
    """A raw object's columns are not those that the raw store writes."""


def raw_reader(bucket: str) -> Step:
    """Return the function that reads raw sessions of *bucket*.

    The function raises `ObjectMoved` if an object is not there in the requested version any more, and
    `UnexpectedRawSchema` if its columns are not `RAW_COLUMNS`.
    """

    def read(client: Any, *, version: str, **keys: Any) -> pa.RecordBatch:
        rows = _read_object(client, bucket, Session(**keys).raw_key, version, RAW_COLUMNS)
        return _batch(keys, _with_sectors(rows))

    return _reader(read)


def trading_reader(bucket: str) -> Step:
    """Return the function that reads raw trading days of *bucket*.

    The function raises what that of `raw_reader` does, with `TRADING_RAW_COLUMNS`.
    """

    def read(client: Any, *, version: str, **keys: Any) -> pa.RecordBatch:
        return _batch(keys, _read_object(client, bucket, TradingDay(**keys).raw_key, version, TRADING_RAW_COLUMNS))

    return _reader(read)


def _reader(read_object: Callable[..., pa.RecordBatch]) -> Step:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        client = s3_client()
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            for batch in batches:
                # In slices, because the pool would read ahead without end.
                for start in range(0, batch.num_rows, 4 * PARALLEL_REQUESTS):
                    wanted = batch.slice(start, 4 * PARALLEL_REQUESTS).to_pylist()
                    yield from pool.map(lambda row: read_object(client, **row), wanted)

    return read


def _read_object(client: Any, bucket: str, key: str, version: str, columns: Columns) -> pa.Table:
    table = read_parquet(read_version(client, bucket, key, version))
    schema = arrow_schema(columns)
    if [(field.name, field.type) for field in table.schema] != [(field.name, field.type) for field in schema]:
        raise UnexpectedRawSchema(
            f"s3://{bucket}/{key} has other columns than the raw store writes; `doctor --repair` makes it anew "
            f"from B3's bytes. Its columns: {table.schema.to_string()}"
        )
    return table


def _with_sectors(rows: pa.Table) -> pa.Table:
    names = [label and sector_name(label) for label in rows["sector_label"].to_pylist()]
    for column, _ in _SECTOR_COLUMNS:
        values = [name and getattr(name, column) for name in names]
        rows = rows.append_column(column, pa.array(values, pa.string()))
    return rows


def _batch(keys: Mapping[str, Any], table: pa.Table) -> pa.RecordBatch:
    """The rows, with what their object's key says before them."""
    rows = table.combine_chunks()
    of_key = [pa.repeat(pa.scalar(value), rows.num_rows) for value in keys.values()]
    own = [column.chunk(0) for column in rows.columns]
    return pa.RecordBatch.from_arrays([*of_key, *own], names=[*keys, *rows.column_names])
