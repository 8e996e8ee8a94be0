"""Runs of the job, started or awaited, and timed to the poll."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from bovespa.layout import Session
from bovespa.session_state import ALL_SESSIONS, SESSIONS_ARGUMENT
from local.cloud import Cloud

_POLL_S = 0.05
_TIMEOUT_S = 1800.0
_UNFINISHED = ("STARTING", "RUNNING", "WAITING", "STOPPING")


def run(cloud: Cloud, sessions: Iterable[Session] | None = None) -> float:
    """Run the job over *sessions*, None for all; return the seconds until it has succeeded."""
    text = ALL_SESSIONS if sessions is None else ",".join(map(str, sessions))
    glue, job = cloud.client("glue"), cloud.outputs["GlueJobName"]
    started = time.perf_counter()
    run_id = glue.start_job_run(JobName=job, Arguments={SESSIONS_ARGUMENT: text}, Timeout=30)["JobRunId"]
    for _ in _polls():
        found = glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]
        if found["JobRunState"] not in _UNFINISHED:
            break
    _require_success(found)
    return time.perf_counter() - started


def wait_for_every_run(cloud: Cloud) -> list[dict[str, Any]]:
    """Wait until there has been a run and none is under way; return all."""
    glue, job = cloud.client("glue"), cloud.outputs["GlueJobName"]
    for _ in _polls():
        runs: list[dict[str, Any]] = glue.get_job_runs(JobName=job)["JobRuns"]
        if runs and not any(one["JobRunState"] in _UNFINISHED for one in runs):
            break
    for one in runs:
        _require_success(one)
    return runs


def _require_success(found: dict[str, Any]) -> None:
    if found["JobRunState"] != "SUCCEEDED":
        raise RuntimeError(f"run {found['Id']} {found['JobRunState']}: {found.get('ErrorMessage')}")


def _polls() -> Iterator[None]:
    deadline = time.monotonic() + _TIMEOUT_S
    pause = threading.Event()
    while time.monotonic() < deadline:
        yield
        pause.wait(_POLL_S)
    raise RuntimeError(f"the run was not over after {_TIMEOUT_S:g} s")


@contextlib.contextmanager
def no_events(cloud: Cloud) -> Iterator[None]:
    """Let raw objects arrive without starting runs, for the body of the `with`."""
    s3, bucket = cloud.client("s3"), cloud.outputs["RawBucketName"]
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    found.pop("ResponseMetadata", None)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=found)
