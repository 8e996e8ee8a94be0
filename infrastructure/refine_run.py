"""One run of the Glue job, started and followed by an operator's command."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from bovespa.errors import BovespaError
from bovespa.session_state import QUEUED, UNFINISHED_RUN_STATES
from infrastructure.steps import Report
from infrastructure.waiting import polls

_WORD_EVERY_S = 30.0
_STOP_TIMEOUT_S = 120.0


class RunFailed(BovespaError):
    """The run did not succeed; the message is Glue's own."""

    code = "run_failed"


class RunTimedOut(BovespaError):
    """The run was not over in time."""

    code = "run_timed_out"


class RefineRuns:
    """The runs of the job.

    Args:
        glue: A client.
        job: Its name.
        report: Receives a line for each change, and one now and then.
    """

    def __init__(self, glue: Any, job: str, report: Report) -> None:
        self._glue = glue
        self._job = job
        self._report = report

    def start(self, arguments: Mapping[str, str], *, timeout_min: int) -> str:
        """Start a run; return its id. Glue ends it after *timeout_min* minutes, whatever the job's own limit is."""
        answer = self._glue.start_job_run(JobName=self._job, Arguments=dict(arguments), Timeout=timeout_min, **QUEUED)
        run_id: str = answer["JobRunId"]
        self._report(f"run {run_id} of {self._job} started")
        return run_id

    def follow(self, run_id: str, *, timeout_min: int) -> float:
        """Wait until the run has succeeded; return the seconds that it took, its waiting included.

        Raises:
            RunFailed: It failed, or somebody stopped it.
            RunTimedOut: It took longer than *timeout_min* minutes and some.
        """
        started = said = time.monotonic()
        state = ""
        # Glue's own limit does not count the time that a run waits for its turn.
        for _ in polls(60.0 * timeout_min + _STOP_TIMEOUT_S, first_s=0.2, slowest_s=5.0):
            run = self._run(run_id)
            now = time.monotonic()
            if run["JobRunState"] != state or now - said > _WORD_EVERY_S:
                state, said = run["JobRunState"], now
                self._report(f"run {run_id} {state}, {now - started:.0f} s")
            if state == "SUCCEEDED":
                return now - started
            if state == "TIMEOUT":
                raise RunTimedOut(
                    f"Run {run_id} took longer than {timeout_min} minutes; give --timeout more, or deploy "
                    "with --parameter GlueWorkers=10."
                )
            if state not in UNFINISHED_RUN_STATES:
                reason = (run.get("ErrorMessage") or "no reason given").strip()
                raise RunFailed(f"Run {run_id} {state}: {reason}")
        raise RunTimedOut(f"Run {run_id} is still {state} after {timeout_min} minutes; give --timeout more.")

    def stop(self, run_id: str) -> None:
        """Stop the run if it is under way, and wait until it writes no more."""
        if self._run(run_id)["JobRunState"] not in UNFINISHED_RUN_STATES:
            return
        self._report(f"stopping run {run_id}")
        self._glue.batch_stop_job_run(JobName=self._job, JobRunIds=[run_id])
        for _ in polls(_STOP_TIMEOUT_S, first_s=0.2, slowest_s=5.0):
            if self._run(run_id)["JobRunState"] not in UNFINISHED_RUN_STATES:
                return
        self._report(f"run {run_id} has not stopped; it will find nothing to write to, and fail")

    def under_way(self) -> list[Mapping[str, Any]]:
        """Return the runs that are at work or wait for their turn."""
        pages = self._glue.get_paginator("get_job_runs").paginate(JobName=self._job, PaginationConfig={"MaxItems": 200})
        try:
            return [run for page in pages for run in page["JobRuns"] if run["JobRunState"] in UNFINISHED_RUN_STATES]
        except ClientError as error:
            if error.response["Error"]["Code"] == "EntityNotFoundException":
                return []
            raise

    def _run(self, run_id: str) -> Mapping[str, Any]:
        run: Mapping[str, Any] = self._glue.get_job_run(JobName=self._job, RunId=run_id)["JobRun"]
        return run
