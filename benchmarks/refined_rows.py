"""The refined rows of a lake as one file, tables that are to hold the same, and the proof that they do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.way_loop import Target
from bovespa.errors import BovespaError
from bovespa.layout import CompactYear, Session
from glue.schema import HOLDINGS, PARTITION_COLUMNS, REFINED_COLUMNS, CompactTable
from infrastructure.compare import compare
from local.athena import ask
from local.cloud import Cloud

PORTFOLIO = "portfolio"

_READERS = 16


class DifferentRows(BovespaError):
    """A table does not hold the rows that ours holds."""

    code = "different_rows"


def rows_of(cloud: Cloud, table: CompactTable, index_code: str, days: Iterable[dt.date]) -> list[pa.Table]:
    """Read the object of each of *days* in the compact table *table*, in their order."""
    s3, bucket = cloud.client("s3"), cloud.outputs["RefinedBucketName"]

    def read(day: dt.date) -> pa.Table:
        key = CompactYear.of(table.name, Session(index_code, day)).key(day)
        return pq.read_table(pa.BufferReader(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read, days))


def write_portfolio_rows(cloud: Cloud, path: Path, index_code: str, days: Iterable[dt.date]) -> Path:
    """Write the rows that `portfolio` has of *days* to one Parquet file at *path*: partition keys, then columns."""
    rows = pa.concat_tables(rows_of(cloud, HOLDINGS, index_code, days))
    rows = rows.append_column("index_code", pa.repeat(pa.scalar(index_code), rows.num_rows))
    pq.write_table(rows.select([name for name, _ in (*PARTITION_COLUMNS, *REFINED_COLUMNS)]), path)
    return path


def make_portfolio(cloud: Cloud, *, bucket: str, name: str) -> Target:
    """Make a table with the definition of `portfolio` in a database of its own, its data in *bucket* under *name*."""
    glue = cloud.client("glue")
    found = glue.get_table(DatabaseName=cloud.outputs["DatabaseName"], Name=PORTFOLIO)["Table"]
    target = Target(bucket, f"{name}/{PORTFOLIO}/", f"compared_{name}", PORTFOLIO)
    glue.create_database(DatabaseInput={"Name": target.database})
    glue.create_table(
        DatabaseName=target.database,
        TableInput={
            "Name": PORTFOLIO,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": found["Parameters"],
            "PartitionKeys": found["PartitionKeys"],
            "StorageDescriptor": {**found["StorageDescriptor"], "Location": f"s3://{bucket}/{target.prefix}"},
        },
    )
    return target


def require_same_rows(cloud: Cloud, target: Target) -> int:
    """Return how many rows `portfolio` and *target* have, by Athena's word, each row once in both.

    Raises:
        DifferentRows: One of them has a row that the other has not; the message names the first.
    """
    athena = cloud.client("athena")
    columns = [name for name, _ in (*PARTITION_COLUMNS, *REFINED_COLUMNS)]
    found = compare(
        lambda sql: ask(athena, sql), PORTFOLIO, columns, live=cloud.outputs["DatabaseName"], rebuilt=target.database
    )
    if not found.is_equal or not found.rows_live:
        raise DifferentRows(
            f"{target.database}.{PORTFOLIO} has {found.rows_rebuilt} rows, ours has {found.rows_live}, "
            f"and they differ in {found.only_live + found.only_rebuilt}: {'; '.join(map(str, found.examples))}"
        )
    return found.rows_live
