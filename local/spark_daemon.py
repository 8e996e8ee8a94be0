"""The process that Spark forks its Python workers from: it has imported what all of them need, once.

Spark starts it (`spark.python.daemon.module`) for the first run of more sessions than the driver itself reads and
writes. PySpark's own daemon imports nothing, so that each worker spends a second on pyarrow, pandas and boto3.
"""

from __future__ import annotations

import gc
import importlib
import sys
import zipfile

_MODULES = ("pandas", "pyarrow.compute", "pyarrow.parquet", "pyspark.sql.pandas.serializers", "pyspark.worker")


def main() -> None:
    """Import, then fork a worker whenever Spark asks for one."""
    # Spark puts PySpark, Py4J and a jar of its own first, as archives. A worker reads the listing of each anew before
    # every task, once for each package in it: three quarters of its time. The same versions are installed beside us.
    sys.path[:] = [entry for entry in sys.path if not zipfile.is_zipfile(entry)]
    sys.path_importer_cache.clear()
    for name in _MODULES:
        importlib.import_module(name)
    # Reads the description of the service, which boto3 keeps for every client after this one.
    importlib.import_module("boto3").client("s3")
    # No worker looks for garbage in what is imported.
    gc.freeze()
    importlib.import_module("pyspark.daemon").manager()


if __name__ == "__main__":
    main()
