"""One Spark driver process of this machine: started, handed one run after the other, ended with all that it started."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from local.aws_environment import aws_environment
from local.spark_settings import PYTHON_ENVIRON, spark_properties, write_properties

log = logging.getLogger(__name__)

_STOP_GRACE_S = 5.0
LOOK_S = 0.2
"""How often a waiting run looks whether it was stopped."""


class RunStopped(Exception):
    """The run was stopped through Glue's API, with the cloud, or by the end of whoever asked for it."""


class WorkerLost(Exception):
    """The Spark process ended during a run."""


class Stop(Protocol):
    """What tells a run that it shall end: an event, or a connection that is watched."""

    def is_set(self) -> bool:
        """Whether the run shall end now."""


class SparkWorker:
    """A running `local.spark_worker` process and its JVM."""

    def __init__(self, environ: Mapping[str, str], log_path: Path) -> None:
        read_fd, write_fd = os.pipe()
        with log_path.open("ab") as output:
            # Its own process group: the JVM and its Python workers go with it.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "local.spark_worker", str(write_fd)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(write_fd,),
                env=dict(environ),
                cwd=Path(__file__).resolve().parent.parent,
                start_new_session=True,
            )
        os.close(write_fd)
        self._replies = os.fdopen(read_fd, "rb")
        self._ready = False
        self._py_files: list[str] = []

    def fits(self, request: Mapping[str, Any]) -> bool:
        """Whether the process can run *request*: modules that a process has loaded stay, other ones need another."""
        return not self._py_files or request["py_files"] in ([], self._py_files)

    def run(self, request: Mapping[str, Any], *, deadline: float, stopped: Stop) -> str | None:
        """Run one script; return its failure as text, or None.

        Args:
            request: As of `local.spark_worker`.
            deadline: On the monotonic clock.
            stopped: Is looked at until the run has ended.

        Raises:
            TimeoutError: *deadline* passed.
            RunStopped: *stopped* was set.
            WorkerLost: The process ended.
        """
        self._py_files = self._py_files or request["py_files"]
        if not self._ready:
            self._read_reply(deadline, stopped)
            self._ready = True
        if self._process.stdin is None:
            raise WorkerLost("the Spark process has no input")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost(f"the Spark process ended with exit status {self._process.poll()}") from None
        error: str | None = self._read_reply(deadline, stopped)["error"]
        return error

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone, though nobody told it to go."""
        return self._process.poll() is not None

    def finish(self, timeout_s: float) -> None:
        """Let the process get ready and then end by itself, which is when its JVM writes a class archive.

        Raises:
            TimeoutError: It took longer than *timeout_s*.
            WorkerLost: The process ended before it was ready.
        """
        try:
            if not self._ready:
                self._read_reply(time.monotonic() + timeout_s, threading.Event())
            if self._process.stdin is not None:
                self._process.stdin.close()
            # The JVM outlives its Python parent by the seconds it takes to write.
            _wait_until_gone(self._process, time.monotonic() + timeout_s)
        finally:
            self.close()

    def close(self) -> None:
        """End the process, its JVM and its Python workers."""
        if self._process.stdin is not None:
            # A request that a dead process did not take is written once more by closing.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(_STOP_GRACE_S)
        except ProcessLookupError:
            self._process.wait()
        except subprocess.TimeoutExpired:
            log.warning("the Spark process did not stop in %s s; killing it", _STOP_GRACE_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._replies.close()

    def _read_reply(self, deadline: float, stopped: Stop) -> dict[str, Any]:
        while True:
            readable, _, _ = select.select([self._replies], [], [], LOOK_S)
            if readable:
                line = self._replies.readline()
                if not line:
                    raise WorkerLost(f"the Spark process ended with exit status {self._process.wait()}")
                reply: dict[str, Any] = json.loads(line)
                return reply
            if stopped.is_set():
                raise RunStopped
            if time.monotonic() > deadline:
                raise TimeoutError


def start_worker(
    endpoint_url: str,
    work_dir: Path,
    *,
    class_option: str | None = None,
    credentials: Mapping[str, str] = MappingProxyType({}),
) -> SparkWorker:
    """Start a Spark process whose `s3://` is the cloud at *endpoint_url*; it gets ready in the background.

    Args:
        endpoint_url: Where the local cloud is.
        work_dir: Folder of scratch files and logs.
        class_option: As of `local.spark_settings.spark_properties`.
        credentials: AWS's variables of whom it calls as; none for the operator.
    """
    properties = work_dir / "spark.properties"
    write_properties(spark_properties(endpoint_url, work_dir, class_option=class_option), properties)
    environ = {
        **os.environ,
        **aws_environment(endpoint_url),
        **credentials,
        **PYTHON_ENVIRON,
        "PYSPARK_SUBMIT_ARGS": f"--properties-file {properties} pyspark-shell",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONWARNINGS": "ignore",
    }
    return SparkWorker(environ, work_dir / "spark.log")


def run_of_the_checkout(outputs: Mapping[str, str], sessions: str, log_path: Path) -> dict[str, Any]:
    """What a worker is asked, to run the job as it lies here, beside Glue and without its knowledge.

    Args:
        outputs: Of the stack whose buckets and catalog it works on.
        sessions: As the job's argument has them.
        log_path: Gets its log.
    """
    buckets = ("--raw_bucket", outputs["RawBucketName"], "--refined_bucket", outputs["RefinedBucketName"])
    argv = [*("--sessions", sessions), *buckets, *("--database", outputs["DatabaseName"])]
    script = Path(__file__).resolve().parent.parent / "glue" / "job.py"
    return {"script": str(script), "argv": argv, "py_files": [], "environ": {}, "log": str(log_path)}


def _wait_until_gone(process: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait until no process of *process*'s group is left."""
    pause = threading.Event()
    while time.monotonic() < deadline:
        process.poll()
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        pause.wait(LOOK_S)
    raise TimeoutError
