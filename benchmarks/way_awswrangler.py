"""Rows to the layout of `portfolio` with awswrangler, in an environment of its own (`benchmarks.awswrangler_python`).

python -m benchmarks.way_awswrangler --bucket NAME --prefix PREFIX --database NAME --table NAME
"""

from __future__ import annotations

import awswrangler as wr
import boto3
import pandas as pd  # type: ignore[import-untyped]

from benchmarks.way_loop import PARTITION_KEYS, Target, serve


def write(target: Target, rows: str) -> None:
    """Write the rows of the Parquet file at *rows*, and make them visible."""
    # Arrow's types: they say what a column is whose values are all null, and nothing is turned into objects.
    wr.s3.to_parquet(
        df=pd.read_parquet(rows, dtype_backend="pyarrow"),
        path=f"s3://{target.bucket}/{target.prefix}",
        dataset=True,
        mode="overwrite_partitions",
        database=target.database,
        table=target.table,
        partition_cols=PARTITION_KEYS,
        # Left to itself, it makes a session for each partition, and that is most of what it then does.
        boto3_session=boto3.Session(),
    )


if __name__ == "__main__":
    serve(write)
