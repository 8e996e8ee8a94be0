"""The process that Spark forks its Python workers from: it has imported what all of them need, once.

Spark starts it (`spark.python.daemon.module`). PySpark's own daemon imports nothing, so that each worker spends a
second on pyarrow, pandas and boto3, and after every task it looks for garbage among all objects there are: a quarter of
a worker's CPU, where a task takes tenths of a second.
"""

from __future__ import annotations

import gc
import importlib
import sys
import zipfile

_TASKS_UNTIL_ALL = 1000

_MODULES = ("pandas", "pyarrow.compute", "pyarrow.parquet", "pyspark.sql.pandas.serializers", "pyspark.worker")


class NewGarbage:
    """Stands where PySpark's daemon has `gc`: what outlived one task is not looked through again after the next.

    Once in a thousand tasks it is, or what dies later would be kept for ever. Not more often: it writes to every page
    that the worker still shares with the daemon.
    """

    def __init__(self) -> None:
        self._tasks = 0

    def collect(self) -> int:
        """Collect as `gc.collect` does; return how many objects were unreachable."""
        self._tasks += 1
        if self._tasks % _TASKS_UNTIL_ALL == 0:
            gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        return found


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
    garbage = NewGarbage()
    garbage.collect()
    daemon = importlib.import_module("pyspark.daemon")
    daemon.gc = garbage  # type: ignore[attr-defined]
    daemon.manager()


if __name__ == "__main__":
    main()
