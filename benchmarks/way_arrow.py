"""Rows to the layout of `portfolio` with pyarrow alone: one process, a dataset written, its partitions registered.

    python -m benchmarks.way_arrow --bucket NAME --prefix PREFIX --database NAME --table NAME

What a good engineer writes on one page. A repetition writes the same names again; a ticker that is gone stays.
"""

from __future__ import annotations

import os

import boto3
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from benchmarks.registering import register
from benchmarks.way_loop import PARTITION_KEYS, Target, serve

_OPEN_FILES = 32


def write(target: Target, rows: str) -> None:
    """Write the rows of the Parquet file at *rows*, and make them visible."""
    table = pq.read_table(rows)
    scheme, _, host = os.environ["AWS_ENDPOINT_URL"].partition("://")
    store = fs.S3FileSystem(
        endpoint_override=host,
        scheme=scheme,
        region=os.environ["AWS_DEFAULT_REGION"],
        # One request a file instead of the three of an upload in parts.
        allow_delayed_open=True,
    )
    ds.write_dataset(
        table,
        f"{target.bucket}/{target.prefix}",
        filesystem=store,
        format="parquet",
        file_options=ds.ParquetFileFormat().make_write_options(compression="snappy"),
        partitioning=ds.partitioning(table.select(PARTITION_KEYS).schema, flavor="hive"),
        existing_data_behavior="overwrite_or_ignore",
        max_partitions=table.num_rows,
        # Each open file holds megabytes for its upload: with the usual 1,024, an archive needs 12 GB.
        max_open_files=_OPEN_FILES,
        create_dir=False,
    )
    register(boto3.client("glue"), target, table.select(PARTITION_KEYS).to_pylist())


if __name__ == "__main__":
    serve(write)
