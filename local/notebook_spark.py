"""The Spark that the notebooks of a run share: one JVM with the catalog's tables, warm from the second notebook on.

On Athena each notebook has a Spark of its own. Here most of what one costs is the JVM's first seconds; a kernel gets a
session of its own in it (`local.notebook_gateway`), so that no setting or temporary view meets another notebook.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bovespa.errors import BovespaError
from local.aws_environment import aws_environment
from local.cloud import PROJECT
from local.processes import stop_group
from local.spark_settings import PYTHON_ENVIRON, spark_properties, write_properties

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 15.0
_FEW_ROWS = {
    # With the usual 200 tasks a shuffle, starting tasks would be most of the work.
    "spark.sql.shuffle.partitions": "1",
    # Some thousand rows do not repay the Java that Spark would write and compile for each query.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # From 33 places on, Spark would look for their files by a job with a task for each.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
}


class SparkDidNotStart(BovespaError):
    """The notebooks' Spark ended, or did not have its tables in time; the message shows its last words."""

    code = "spark_did_not_start"


@contextlib.contextmanager
def running_spark(endpoint_url: str, work_dir: Path) -> Iterator[Mapping[str, str]]:
    """Run a Spark with the tables of a cloud for the body of the `with`, and yield the variables that a kernel needs.

    Args:
        endpoint_url: The cloud whose tables it has, as they are now.
        work_dir: An empty folder for what it leaves behind.

    Raises:
        ConfigurationError: Java is missing.
        SparkDidNotStart: It did not come up, or could not read the catalog.
    """
    read_fd, write_fd = os.pipe()
    with (work_dir / "spark.log").open("wb") as log, os.fdopen(read_fd, "rb") as replies:
        try:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "local.notebook_tables", str(write_fd)],
                # If we are killed, it reads the end of this.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=PROJECT,
                env=_environment(endpoint_url, work_dir),
                pass_fds=(write_fd,),
                # Ctrl-C in the terminal reaches only the parent, which ends it after the kernels.
                start_new_session=True,
            )
        finally:
            os.close(write_fd)
        try:
            readable, _, _ = select.select([replies], [], [], _START_TIMEOUT_S)
            reply = replies.readline() if readable else b""
            if not reply:
                words = (work_dir / "spark.log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise SparkDidNotStart(f"Spark did not start (exit status {process.poll()}):\n{words}")
            yield json.loads(reply)
        finally:
            stop_group(process, timeout_s=_STOP_TIMEOUT_S)
            if process.stdin is not None:
                process.stdin.close()


def _environment(endpoint_url: str, work_dir: Path) -> Mapping[str, str]:
    properties = spark_properties(endpoint_url, work_dir)
    write_properties(properties | _FEW_ROWS, work_dir / "spark.properties")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOVESPA_"))},
        **aws_environment(endpoint_url),
        **PYTHON_ENVIRON,
        "PYSPARK_SUBMIT_ARGS": f"--properties-file {work_dir / 'spark.properties'} pyspark-shell",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TMPDIR": str(work_dir),
    }
