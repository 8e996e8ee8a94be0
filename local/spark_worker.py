"""One Spark driver process of the local Glue: it keeps its JVM warm and runs one job script after another.

    python -m local.spark_worker REPLY_FD

Each line of standard input is a run (`{"script", "argv", "py_files", "environ", "log"}`); each gets one line of answer
on REPLY_FD (`{"error": null}` or `{"error": "..."}`) after a first one that says the JVM is up. The script runs as
`__main__` with its own arguments and AWS's variables (`environ`: those of the process, where it names none), exactly as
Glue runs it. AWS starts a new process a run; here the JVM stays, because
starting one costs longer than a session's whole run. The runner starts a new worker whenever the code changes, or a run
was stopped in the middle.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import runpy
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import boto3
import botocore.loaders
import botocore.session
import pandas as pd  # type: ignore[import-untyped]
from py4j.java_gateway import java_import
from pyspark.sql import SparkSession

from local.spark_settings import s3a_properties

AS_FEW_ROWS_ARE_REFINED = {
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.pyspark.fallback.enabled": "false",
    "spark.sql.execution.arrow.localRelationThreshold": "0",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""Of what the job sets for a session's run (`glue.transport`): others would load and compile what it does not use.

Written again, because a module of the job that is loaded here would stay, whatever code a run brings.
"""

_DESCRIPTIONS = botocore.loaders.create_loader()

_NAMED_BY_PYSPARK = (
    "org.apache.spark.api.python.PythonRDD",
    "org.apache.spark.api.python.PythonUtils",
    "org.apache.spark.api.python.SerDeUtil",
    "org.apache.spark.api.python.SimplePythonFunction",
    "org.apache.spark.sql.SparkSession",
    "org.apache.spark.sql.SparkSession$",
    "org.apache.spark.sql.api.python.PythonSQLUtils",
)
"""Classes that PySpark asks for by their short names: each time, the JVM would look into nine packages of 300 jars."""


def main() -> None:
    """Serve runs until standard input ends."""
    reply = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    spark = SparkSession.builder.appName("local-glue").getOrCreate()
    for name in _NAMED_BY_PYSPARK:
        java_import(spark._jvm, name)  # noqa: SLF001
    _rehearse(spark)
    own_modules = frozenset(sys.modules)
    added: set[str] = set()
    _answer(reply, None)
    for line in sys.stdin:
        request = json.loads(line)
        with _output_to(Path(request["log"])):
            _call_as(spark, request["environ"], own_modules)
            _add(spark, request["py_files"], added)
            error = _run(spark, request)
        _answer(reply, error)
    spark.stop()


def _rehearse(spark: SparkSession) -> None:
    """Load and compile, ahead of the first run, what a session's run needs: rows of Arrow, joins, windows."""
    for name, value in AS_FEW_ROWS_ARE_REFINED.items():
        spark.conf.set(name, value)
    rows = pd.DataFrame(
        {
            "name": ["a", "b"],
            "day": [dt.date(2025, 1, 2), dt.date(2025, 1, 3)],
            "part": [Decimal("1.000"), Decimal("2.000")],
            "quantity": [1, 2],
        }
    )
    frame = spark.createDataFrame(rows, "name string, day date, part decimal(6,3), quantity bigint")
    frame.coalesce(1).createOrReplaceTempView("rehearsal")
    numbers = pd.DataFrame({"name": ["a", "b"], "number": [1, 2]})
    spark.createDataFrame(numbers, "name string, number int").coalesce(1).createOrReplaceTempView("numbers")
    spark.sql("""
        WITH numbered AS (
            SELECT rehearsal.*, number, COUNT(*) OVER (
                PARTITION BY rehearsal.name ORDER BY number RANGE BETWEEN 20 PRECEDING AND CURRENT ROW
            ) AS present
            FROM rehearsal INNER JOIN numbers ON rehearsal.name = numbers.name
        )
        SELECT
            name,
            DATEDIFF(day, DATE '2025-01-01') AS days,
            CAST(part / present AS DECIMAL(6, 3)) AS share,
            SUM(part) OVER (PARTITION BY day, name) AS total,
            ROW_NUMBER() OVER (PARTITION BY day ORDER BY part DESC, name) AS position
        FROM numbered
    """).localCheckpoint(eager=False).toPandas()
    spark.catalog.dropTempView("rehearsal")
    spark.catalog.dropTempView("numbers")
    spark.sql("RESET")


def _call_as(spark: SparkSession, environ: Mapping[str, str], own_modules: frozenset[str]) -> None:
    """Let everything from now on call the cloud, and as the principal, that AWS's variables in *environ* name."""
    changed = {name: value for name, value in environ.items() if os.environ.get(name) != value}
    if not changed:
        return
    os.environ.update(changed)
    # Python workers are forked from a process for each environment.
    spark.sparkContext.environment.update(changed)
    configuration = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001
    for name, value in s3a_properties(environ).items():
        configuration.set(name, value)
    # What was made before calls as before: the JVM's file systems, boto3's session, clients that jobs' modules keep.
    jvm: Any = spark._jvm  # noqa: SLF001
    jvm.org.apache.hadoop.fs.FileSystem.closeAll()
    boto3.setup_default_session(botocore_session=_session())
    for name in frozenset(sys.modules) - own_modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and not file.startswith((sys.prefix, sys.base_prefix)):
            del sys.modules[name]


def _session() -> botocore.session.Session:
    """A new session that does not read AWS's descriptions of its services anew: megabytes, most of a client's cost."""
    # Each of boto3's sessions adds its own folder.
    _DESCRIPTIONS.search_paths[:] = dict.fromkeys(_DESCRIPTIONS.search_paths)
    session = botocore.session.get_session()
    session.register_component("data_loader", _DESCRIPTIONS)
    return session


def _add(spark: SparkSession, py_files: Iterable[str], added: set[str]) -> None:
    """Let this process and Python workers import from *py_files*; those in *added* they have already."""
    for path in py_files:
        # PySpark does not look whether it has one: its paths would get longer by each run.
        if path not in added:
            spark.sparkContext.addPyFile(path)
            added.add(path)


def _run(spark: SparkSession, request: dict[str, Any]) -> str | None:
    """Run one script and return its failure, as text, if it failed."""
    sys.argv = [request["script"], *request["argv"]]
    try:
        runpy.run_path(request["script"], run_name="__main__")
    except SystemExit as stop:
        # argparse and sys.exit end a script this way; Glue reads any code but 0 as a failure.
        return None if stop.code in (None, 0) else f"SystemExit: {stop.code}"
    except BaseException as error:  # noqa: BLE001 - whatever ended the script is the run's outcome, not this process's
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    finally:
        _tidy(spark)
    return None


def _tidy(spark: SparkSession) -> None:
    """Leave the session as a run found it, however the run ended: nothing of it may meet the next one."""
    spark.sparkContext.cancelAllJobs()
    spark.catalog.clearCache()
    # `spark.catalog` only knows to list tables, which is a query of its own each time.
    spark._jsparkSession.sessionState().catalog().clearTempTables()  # noqa: SLF001
    spark.sql("RESET")


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send this process's output, its children's included, to the run's own log."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for target, source in zip((1, 2), kept, strict=True):
            os.dup2(source, target)
            os.close(source)


def _answer(reply: TextIO, error: str | None) -> None:
    reply.write(json.dumps({"error": error}) + "\n")
    reply.flush()


if __name__ == "__main__":
    main()
