"""Rows to the layout of `portfolio` with Spark's own writer: `partitionBy`, `overwrite`, its partitions registered.

    way_spark.py --bucket NAME --prefix PREFIX --database NAME --table NAME --rows FILE

Run by a worker of `local.spark_process`, with the settings that the job has there.
"""

from __future__ import annotations

import sys

import boto3
from pyspark.sql import SparkSession

from benchmarks.registering import register
from benchmarks.way_loop import PARTITION_KEYS, Target, parser


def main(argv: list[str]) -> None:
    """Write the rows of the Parquet file that *argv* names, and make them visible."""
    arguments = parser()
    arguments.add_argument("--rows", required=True)
    given = vars(arguments.parse_args(argv))
    rows = given.pop("rows")
    target = Target(**given)
    spark = SparkSession.builder.getOrCreate()
    # Only the partitions that are written are overwritten, as everybody sets it who adds a day to a table.
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    frame = spark.read.parquet(f"file://{rows}")
    location = f"s3://{target.bucket}/{target.prefix}"
    # By session first: a task that has whole sessions writes each partition once.
    whole = frame.repartition(spark.sparkContext.defaultParallelism, *PARTITION_KEYS[:2])
    whole.write.partitionBy(*PARTITION_KEYS).mode("overwrite").parquet(location)
    register(boto3.client("glue"), target, [row.asDict() for row in frame.select(*PARTITION_KEYS).collect()])


if __name__ == "__main__":
    main(sys.argv[1:])
