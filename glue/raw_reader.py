"""Raw objects to rows, on Spark's workers.

Each object is asked for in exactly the version that the planner listed, and its columns must be exactly the raw schema:
a run never mixes two versions of a session, and a type that drifted is an error, not a guess.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bovespa.layout import Session
from glue.lake import PARALLEL_REQUESTS, s3_client
from glue.schema import RAW_COLUMNS, arrow_schema, spark_ddl

REQUESTED_DDL = "index_code string, session_date date, version string"
"""Spark's schema of what `raw_reader` takes: one row a raw object."""

HOLDINGS_DDL = spark_ddl((("index_code", "string"), ("session_date", "date"), *RAW_COLUMNS))
"""Spark's schema of what `raw_reader` returns: one row a holding."""


class UnexpectedRawSchema(RuntimeError):
    """A raw object's columns are not those that the raw store writes."""


def raw_reader(bucket: str) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return the function for `DataFrame.mapInArrow` that reads raw objects of *bucket*.

    The function raises `ClientError` (412) if an object is not in the requested version any more, and
    `UnexpectedRawSchema` if its columns are not `RAW_COLUMNS`.
    """

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        client = s3_client()
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            for batch in batches:
                # In slices, because the pool would read ahead without end.
                for start in range(0, batch.num_rows, 4 * PARALLEL_REQUESTS):
                    wanted = batch.slice(start, 4 * PARALLEL_REQUESTS).to_pylist()
                    yield from pool.map(lambda row: _read_object(client, bucket, **row), wanted)

    return read


def _read_object(client: Any, bucket: str, index_code: str, session_date: dt.date, version: str) -> pa.RecordBatch:
    key = Session(index_code, session_date).raw_key
    body = client.get_object(Bucket=bucket, Key=key, IfMatch=version)["Body"].read()
    table = pq.read_table(pa.BufferReader(body))
    schema = arrow_schema(RAW_COLUMNS)
    if [(field.name, field.type) for field in table.schema] != [(field.name, field.type) for field in schema]:
        raise UnexpectedRawSchema(f"s3://{bucket}/{key} has the columns {table.schema.to_string()}")
    rows = table.combine_chunks()
    session = [
        pa.repeat(pa.scalar(index_code), rows.num_rows),
        pa.repeat(pa.scalar(session_date, pa.date32()), rows.num_rows),
    ]
    columns = [column.chunk(0) for column in rows.columns]
    return pa.RecordBatch.from_arrays([*session, *columns], names=["index_code", "session_date", *schema.names])
