"""The catalog's tables in a Spark session, as Athena's Spark has them: only partitions that are registered are read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

_VIEW = "VIRTUAL_VIEW"
"""Athena's views are written for Trino; no Spark can read them, neither here nor on AWS."""

_PARTITIONS_A_STATEMENT = 500


def register_tables(spark: Any, glue: Any, database: str) -> dict[str, int]:
    """Create the tables of *database* in *spark*, each partition at the place that the catalog names.

    Args:
        spark: A session that has no such database yet.
        glue: A boto3 Glue client.
        database: The catalog's database, which gets the same name in Spark.

    Returns:
        How many partitions each table has, by its name.
    """
    spark.sql(f"CREATE DATABASE `{database}`")
    counts: dict[str, int] = {}
    for page in glue.get_paginator("get_tables").paginate(DatabaseName=database):
        for table in page["TableList"]:
            if table.get("TableType") != _VIEW:
                counts[table["Name"]] = _register(spark, glue, database, table)
    return counts


def _register(spark: Any, glue: Any, database: str, table: Mapping[str, Any]) -> int:
    name = f"`{database}`.`{table['Name']}`"
    keys = [key["Name"] for key in table["PartitionKeys"]]
    columns = [f"`{one['Name']}` {one['Type']}" for one in (*table["StorageDescriptor"]["Columns"], *table["PartitionKeys"])]
    location = table["StorageDescriptor"]["Location"]
    spark.sql(
        f"CREATE TABLE {name} ({', '.join(columns)}) USING PARQUET PARTITIONED BY ({', '.join(keys)}) "
        f"LOCATION '{location}'"
    )
    count = 0
    partitions = _partitions(glue, database, table["Name"])
    while some := list(islice(partitions, _PARTITIONS_A_STATEMENT)):
        with _existence_taken_for_granted(spark):
            spark.sql(f"ALTER TABLE {name} ADD {' '.join(_clause(keys, *one) for one in some)}")
        count += len(some)
    return count


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
def _existence_taken_for_granted(spark: Any) -> Iterator[None]:
    """Keep Spark's own catalog from asking S3 for every partition that it is told of.

    It would look for each of the thousands of places, and make those that are missing. A file system that answers
    without a request stands in for S3 meanwhile; nothing is read.
    """
    settings = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - pyspark has no other way to it
    names = {"fs.s3.impl": "org.apache.hadoop.fs.http.HttpFileSystem", "fs.s3.impl.disable.cache": "true"}
    before = {name: settings.get(name) for name in names}
    for name, value in names.items():
        settings.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                settings.unset(name)
            else:
                settings.set(name, value)
