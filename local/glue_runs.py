"""The local Glue's Spark: every job run is a real Spark run of the job's own script, one at a time.

The emulator has Glue's API but reports a Spark run as succeeded without running it where there is no Docker. `install`
puts this module's runner in the place where it would start a container. The place is private to the emulator, whose
version is pinned; a contract test fails if an upgrade moves it.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from local.aws_environment import aws_environment
from local.enforcement import JobSession
from local.spark_pool import PooledSpark
from local.spark_process import RunStopped, SparkWorker, start_worker

log = logging.getLogger(__name__)


class _StopOfRun:
    """Tells a run of its stop: the cloud's, or its own through Glue's API."""

    def __init__(self, cloud: threading.Event, run: Mapping[str, Any]) -> None:
        self._cloud, self._run = cloud, run

    def is_set(self) -> bool:
        return self._cloud.is_set() or self._run.get("JobRunState") == "STOPPED"


class GlueSparkRunner:
    """Runs Glue's Spark jobs one after the other in a warm worker.

    Args:
        endpoint_url: Where the cloud is.
        work_dir: Gets the log of each run.
        pool: Socket of a `local.spark_pool` whose Spark is used; None for one of its own.
    """

    def __init__(self, *, endpoint_url: str, work_dir: Path, pool: Path | None = None) -> None:
        self._endpoint_url = endpoint_url
        self._work_dir = work_dir
        self._pool = pool
        # The same code has the same path for all who share a Spark.
        self._code_dir = (pool.parent if pool else work_dir) / "code"
        self._turn = threading.Lock()
        self._stopped = threading.Event()
        self._worker: SparkWorker | PooledSpark | None = None
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
        request = {
            "script": str(script),
            "argv": [part for name, value in arguments.items() for part in (name, value)],
            "py_files": list(map(str, py_files)),
            "environ": aws_environment(self._endpoint_url) | self._session.credentials.environment,
            "log": str(self._work_dir / f"run-{run['Id']}.log"),
        }
        if self._worker is not None and (self._worker.has_ended or not self._worker.fits(request)):
            self._drop_worker()
        if self._worker is None:
            self._worker = self._start_worker()
        try:
            return self._worker.run(request, deadline=deadline, stopped=_StopOfRun(self._stopped, run))
        except BaseException:
            # It is lost, or in the middle of something.
            self._drop_worker()
            raise

    @functools.cached_property
    def _s3(self) -> Any:
        """As the job's role; one for all runs, for a client costs more than what it fetches."""
        mine = self._session.credentials
        return boto3.client(
            "s3",
            endpoint_url=self._endpoint_url,
            aws_access_key_id=mine.access_key_id,
            aws_secret_access_key=mine.secret_access_key,
            aws_session_token=mine.session_token,
        )

    def _start_worker(self) -> SparkWorker | PooledSpark:
        if self._pool is not None:
            return PooledSpark(self._pool)
        return start_worker(self._endpoint_url, self._work_dir, credentials=self._session.credentials.environment)

    def _drop_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _fetch(self, uri: str) -> Path:
        """Download the object at *uri* to a file whose folder names its content, so other content is another file."""
        parts = urlsplit(uri)
        key = parts.path.lstrip("/")
        try:
            body = self._s3.get_object(Bucket=parts.netloc, Key=key)["Body"].read()
        except ClientError as error:
            raise FileNotFoundError(f"{uri}: {error}") from error
        path = self._code_dir / hashlib.sha256(body).hexdigest()[:16] / Path(key).name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(body)
            unfinished.replace(path)
        return path


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
