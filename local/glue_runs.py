"""The local Glue's Spark: every job run is a real Spark run of the job's own script, one at a time.

The emulator has Glue's API but reports a Spark run as succeeded without running it where there is no Docker. `install`
puts this module's runner in the place where it would start a container. The place is private to the emulator, whose
version is pinned; a contract test fails if an upgrade moves it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from local.aws_environment import aws_environment
from local.enforcement import Credentials, JobSession
from local.spark_settings import spark_properties, write_properties

log = logging.getLogger(__name__)

_STOP_GRACE_S = 5.0
_LOOK_S = 0.2
"""How often a waiting run looks whether it was stopped."""


class RunStopped(Exception):
    """The run was stopped through Glue's API or with the cloud."""


class WorkerLost(Exception):
    """The Spark process ended during a run."""


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
        self.code: str | None = None
        """Digest of the code that this process has loaded; other code needs another process."""

    def run(
        self, request: Mapping[str, Any], *, deadline: float, stopped: threading.Event, run: Mapping[str, Any]
    ) -> str | None:
        """Run one script; return its failure as text, or None.

        Raises:
            TimeoutError: *deadline* (monotonic) passed.
            RunStopped: *stopped* was set, or the run's state became STOPPED.
            WorkerLost: The process ended.
        """
        if not self._ready:
            self._read_reply(deadline, stopped, run)
            self._ready = True
        if self._process.stdin is None:
            raise WorkerLost("the Spark process has no input")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost(f"the Spark process ended with exit status {self._process.poll()}") from None
        error: str | None = self._read_reply(deadline, stopped, run)["error"]
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
                self._read_reply(time.monotonic() + timeout_s, threading.Event(), {})
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

    def _read_reply(self, deadline: float, stopped: threading.Event, run: Mapping[str, Any]) -> dict[str, Any]:
        while True:
            readable, _, _ = select.select([self._replies], [], [], _LOOK_S)
            if readable:
                line = self._replies.readline()
                if not line:
                    raise WorkerLost(f"the Spark process ended with exit status {self._process.wait()}")
                reply: dict[str, Any] = json.loads(line)
                return reply
            if stopped.is_set() or run.get("JobRunState") == "STOPPED":
                raise RunStopped
            if time.monotonic() > deadline:
                raise TimeoutError


class GlueSparkRunner:
    """Runs Glue's Spark jobs one after the other in a warm worker."""

    def __init__(self, *, endpoint_url: str, work_dir: Path) -> None:
        self._endpoint_url = endpoint_url
        self._work_dir = work_dir
        self._turn = threading.Lock()
        self._stopped = threading.Event()
        self._worker: SparkWorker | None = None
        self._session = JobSession()
        self._unfinished: dict[str, dict[str, Any]] = {}
        self._told_to_stop: set[str] = set()
        work_dir.mkdir(parents=True, exist_ok=True)

    def warm_up(self) -> None:
        """Start the worker's JVM now, so that the first run does not wait for it."""
        with self._turn:
            if self._worker is None and not self._stopped.is_set():
                self._worker = self._start_worker()

    def tell_to_stop(self, run_ids: Iterable[str]) -> None:
        """Remember that runs are about to be stopped: emulator and runner both set their state as they begin."""
        self._told_to_stop.update(run_ids)

    def execute(self, run: dict[str, Any], job: Mapping[str, Any], arguments: Mapping[str, str]) -> None:
        """Run one Glue job run to its end and set its state, as the emulator's own executor would."""
        self._unfinished[run["Id"]] = run
        run["JobRunState"] = "WAITING"
        try:
            with self._turn:
                error = self._execute(run, job, arguments)
            state = "SUCCEEDED" if error is None else "FAILED"
            run["ErrorMessage"] = error or ""
        except RunStopped:
            state, run["ErrorMessage"] = "STOPPED", "The run was stopped."
        except TimeoutError:
            state, run["ErrorMessage"] = "TIMEOUT", f"The run took longer than {run['Timeout']} minutes."
        except Exception as error:
            # Whatever it was: a run that stays RUNNING for ever would hide it.
            log.exception("glue run %s broke down", run["Id"])
            state, run["ErrorMessage"] = "FAILED", f"{type(error).__name__}: {error}"
        finally:
            self._unfinished.pop(run["Id"], None)
            self._told_to_stop.discard(run["Id"])
        run["JobRunState"] = state
        log.info("glue run %s of %s: %s %s", run["Id"], run["JobName"], state, run["ErrorMessage"])

    def close(self) -> None:
        """Stop the runs under way and the worker; no process is left."""
        self._stopped.set()
        for run in list(self._unfinished.values()):
            run["JobRunState"], run["ErrorMessage"] = "STOPPED", "The local cloud was stopped during the run."
        with self._turn:
            self._drop_worker()

    def _execute(self, run: dict[str, Any], job: Mapping[str, Any], arguments: Mapping[str, str]) -> str | None:
        """Run the job's script with the worker that is ours for now; return its failure as text, or None."""
        if self._stopped.is_set() or run["JobRunState"] == "STOPPED":
            raise RunStopped
        run["JobRunState"] = "RUNNING"
        # A stop that came before this line has been overwritten by it; one that comes later is seen in the state.
        if run["Id"] in self._told_to_stop:
            raise RunStopped
        deadline = time.monotonic() + 60 * float(run["Timeout"])
        # Whatever the run does, reading its own code included, it does as the job's role.
        self._session.assume(job["Role"], run["Id"])
        script = self._fetch(job["Command"]["ScriptLocation"])
        extra = [uri for uri in arguments.get("--extra-py-files", "").split(",") if uri]
        py_files = [self._fetch(uri) for uri in extra]
        code = " ".join(map(str, (script, *py_files)))
        if self._worker is not None and (self._worker.has_ended or self._worker.code not in (None, code)):
            self._drop_worker()
        if self._worker is None:
            self._worker = self._start_worker()
        self._worker.code = code
        request = {
            "script": str(script),
            "argv": [part for name, value in arguments.items() for part in (name, value)],
            "py_files": list(map(str, py_files)),
            "log": str(self._work_dir / f"run-{run['Id']}.log"),
        }
        try:
            return self._worker.run(request, deadline=deadline, stopped=self._stopped, run=run)
        except BaseException:
            # It is lost, or in the middle of something.
            self._drop_worker()
            raise

    def _start_worker(self) -> SparkWorker:
        return start_worker(self._endpoint_url, self._work_dir, credentials=self._session.credentials)

    def _drop_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _fetch(self, uri: str) -> Path:
        """Download the object at *uri* to a file whose folder names its content, so other content is another file."""
        parts = urlsplit(uri)
        key = parts.path.lstrip("/")
        mine = self._session.credentials
        client = boto3.client(
            "s3",
            endpoint_url=self._endpoint_url,
            aws_access_key_id=mine.access_key_id,
            aws_secret_access_key=mine.secret_access_key,
            aws_session_token=mine.session_token,
        )
        try:
            body = client.get_object(Bucket=parts.netloc, Key=key)["Body"].read()
        except ClientError as error:
            raise FileNotFoundError(f"{uri}: {error}") from error
        path = self._work_dir / "code" / hashlib.sha256(body).hexdigest()[:16] / Path(key).name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return path


def start_worker(
    endpoint_url: str, work_dir: Path, *, class_option: str | None = None, credentials: Credentials | None = None
) -> SparkWorker:
    """Start a Spark process whose `s3://` is the cloud at *endpoint_url*; it gets ready in the background.

    Args:
        endpoint_url: Where the local cloud is.
        work_dir: Folder of scratch files and logs.
        class_option: As of `local.spark_settings.spark_properties`.
        credentials: As whom it calls; None for the operator.
    """
    properties = work_dir / "spark.properties"
    write_properties(spark_properties(endpoint_url, work_dir, class_option=class_option), properties)
    environ = {
        **os.environ,
        **aws_environment(endpoint_url),
        **({} if credentials is None else credentials.environment),
        "PYSPARK_PYTHON": sys.executable,
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
    return {"script": str(script), "argv": argv, "py_files": [], "log": str(log_path)}


def _wait_until_gone(process: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait until no process of *process*'s group is left."""
    pause = threading.Event()
    while time.monotonic() < deadline:
        process.poll()
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        pause.wait(_LOOK_S)
    raise TimeoutError


class _NoContainers:
    """Stands where the emulator asks Docker whether it has the job's image: every run is ours."""

    def __init__(self) -> None:
        self.images = self

    def get(self, _name: str) -> _NoContainers:
        return self


def install(runner: GlueSparkRunner) -> None:
    """Replace the emulator's Spark executor by *runner*, within this process."""
    from ministack.services import glue  # noqa: PLC0415 - the emulator reads its environment when it is imported

    containers = _NoContainers()
    start, stop = glue._start_job_run, glue._batch_stop_job_run  # noqa: SLF001
    starting = threading.Lock()

    def start_job_run(data: dict[str, Any]) -> Any:
        # The emulator forgets that a run may be given a time-out of its own.
        with starting:
            answer = start(data)
            if data.get("Timeout") and answer[0] == 200:
                glue._job_runs[data["JobName"]][-1]["Timeout"] = data["Timeout"]  # noqa: SLF001
        return answer

    def stop_job_runs(data: dict[str, Any]) -> Any:
        named = set(data.get("JobRunIds", ()))
        runs = glue._job_runs.get(data.get("JobName"), ())  # noqa: SLF001
        # Before the emulator writes their state, and only those that it stops.
        runner.tell_to_stop(
            run["Id"] for run in runs if run["Id"] in named and run["JobRunState"] in ("STARTING", "RUNNING")
        )
        return stop(data)

    def execute(
        run: dict[str, Any], job: dict[str, Any], _name: str, arguments: dict[str, str], _script: str, _docker: object
    ) -> None:
        with starting:
            pass
        runner.execute(run, job, arguments)

    # Where the emulator finds no script it reports success, too; the runner fetches it and fails with the reason.
    find_script = glue._resolve_script  # noqa: SLF001
    glue._resolve_script = lambda location: find_script(location) or location  # noqa: SLF001
    glue._get_docker = lambda: containers  # noqa: SLF001 - the pinned emulator's own seam for its containers
    glue._execute_spark_docker = execute  # noqa: SLF001
    glue._start_job_run = start_job_run  # noqa: SLF001
    glue._batch_stop_job_run = stop_job_runs  # noqa: SLF001
