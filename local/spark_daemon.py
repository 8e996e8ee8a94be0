"""The process that Spark forks its Python workers from: it has imported what all of them need, once.

Spark starts it (`spark.python.daemon.module`). PySpark's own daemon imports nothing, so that each worker spends a
second on pyarrow and boto3, and collects garbage among all their objects after every task.
"""

from __future__ import annotations

import gc
import importlib

import boto3
from pyspark import daemon

_MODULES = ("pandas", "pyarrow.compute", "pyarrow.parquet", "pyspark.sql.pandas.serializers", "pyspark.worker")


def main() -> None:
    """Import, then fork a worker whenever Spark asks for one."""
    for name in _MODULES:
        importlib.import_module(name)
    # Reads the description of the service, which boto3 keeps for every client after this one.
    boto3.client("s3")
    gc.collect()
    gc.freeze()
    daemon.manager()  # type: ignore[no-untyped-call]  # PySpark has no types for it


if __name__ == "__main__":
    main()
