"""The catalog's tables in a Spark session, as Athena's Spark has them: only partitions that are registered are read.

    python -m local.notebook_tables REPLY_FD

writes one line to REPLY_FD once the tables are there, with the variables by which a kernel reaches its JVM
(`local.notebook_gateway`), and stays until its standard input ends. `local.notebook_spark` starts it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import boto3
from pyspark import SparkContext
from pyspark.sql import SparkSession

from local.athena import DATABASE
from local.notebook_gateway import gateway_variables

_VIEW = "VIRTUAL_VIEW"
"""Athena's views are written for Trino; no Spark can read them, neither here nor on AWS."""

_PARTITIONS_A_STATEMENT = 500


def session_with_tables(glue: Any, database: str) -> SparkSession:
    """Return a new Spark session in which *database* is as the catalog has it, each partition at its registered place.

    Args:
        glue: A boto3 Glue client.
        database: The catalog's database, which gets the same name in Spark.
    """
    context = SparkContext.getOrCreate()
    with _nothing_asked_of_s3(context):
        spark = SparkSession(context)
        spark.sql(f"CREATE DATABASE `{database}`")
        for page in glue.get_paginator("get_tables").paginate(DatabaseName=database):
            for table in page["TableList"]:
                if table.get("TableType") != _VIEW:
                    _register(spark, glue, database, table)
    return spark


def _register(spark: SparkSession, glue: Any, database: str, table: Mapping[str, Any]) -> None:
    name = f"`{database}`.`{table['Name']}`"
    described, keys = table["StorageDescriptor"], [key["Name"] for key in table["PartitionKeys"]]
    columns = [f"`{column['Name']}` {column['Type']}" for column in (*described["Columns"], *table["PartitionKeys"])]
    spark.sql(
        f"CREATE TABLE {name} ({', '.join(columns)}) USING PARQUET PARTITIONED BY ({', '.join(keys)}) "
        f"LOCATION '{described['Location']}'"
    )
    partitions = _partitions(glue, database, table["Name"])
    while some := list(islice(partitions, _PARTITIONS_A_STATEMENT)):
        spark.sql(f"ALTER TABLE {name} ADD {' '.join(_clause(keys, *one) for one in some)}")


def _partitions(glue: Any, database: str, table: str) -> Iterator[tuple[Sequence[str], str]]:
    """Yield values and location of each registered partition."""
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName=database, TableName=table, ExcludeColumnSchema=True
    )
    for page in pages:
        for partition in page["Partitions"]:
            yield partition["Values"], partition["StorageDescriptor"]["Location"]


def _clause(keys: Sequence[str], values: Sequence[str], location: str) -> str:
    parts = ", ".join(f"{key} = '{value}'" for key, value in zip(keys, values, strict=True))
    return f"PARTITION ({parts}) LOCATION '{location}'"


@contextlib.contextmanager
def _nothing_asked_of_s3(context: SparkContext) -> Iterator[None]:
    """Keep Spark's own catalog from looking for every place that it is told of, and from making those it misses.

    The catalog takes the file systems that are configured when it is made, which is when the session is first used.
    One that says of everything that it is there, without a request, stands in for S3 until then.
    """
    settings = context._jsc.hadoopConfiguration()  # noqa: SLF001 - there is no other way
    real = settings.get("fs.s3.impl")
    settings.set("fs.s3.impl", "org.apache.hadoop.fs.http.HttpFileSystem")
    try:
        yield
    finally:
        settings.set("fs.s3.impl", real)
        # It was kept for each bucket; the next to ask gets S3's.
        context._jvm.org.apache.hadoop.fs.FileSystem.closeAll()  # type: ignore[union-attr]  # noqa: SLF001


def main() -> None:
    """Register the tables, say where the JVM is, and stay until standard input ends."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as replies:
        spark = session_with_tables(boto3.client("glue"), DATABASE)
        replies.write(json.dumps(gateway_variables(spark)) + "\n")
    sys.stdin.read()
    spark.stop()


if __name__ == "__main__":
    main()
