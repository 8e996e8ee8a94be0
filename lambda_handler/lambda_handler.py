"""Starts one run of the Glue job for each session whose raw object arrived.

S3 invokes the function asynchronously, at least once for each object. An invocation that raises is tried again by
Lambda and in the end kept in the dead-letter queue; one that returns, whatever it returns, is a success. So everything
that is not done raises, and since every step can run twice, starting a session's run again is harmless.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bovespa.errors import ConfigurationError, UnexpectedEvent
from bovespa.layout import RAW_PREFIX, RAW_SUFFIX, Session

log = logging.getLogger(__name__)

# Throttling and ConcurrentRunsExceededException are tried again here first: 5 attempts fit well into the function's
# 60 s, and Lambda's own retries come a minute later.
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3, read_timeout=10)


def lambda_handler(event: Mapping[str, Any], _context: object) -> list[dict[str, str]]:
    """Start the runs that *event* asks for and name them.

    Raises:
        ConfigurationError: `GLUE_JOB_NAME` or `RAW_BUCKET_NAME` is not set.
        UnexpectedEvent: *event* is not a notification of our raw bucket; nothing was started.
        ExceptionGroup: Some runs could not be started; the others were.
    """
    job_name, raw_bucket = _settings(os.environ)
    return start_runs(raw_sessions(event, raw_bucket), job_name, _glue_client().start_job_run)


def raw_sessions(event: Mapping[str, Any], raw_bucket: str) -> list[Session]:
    """Return the sessions whose raw objects *event* announces, each once, in order of appearance.

    Ignored, because they are foreign and that is all right: the test event that S3 sends when a notification is set,
    events other than creation, keys outside `portfolio/` or without `.parquet`, and objects without content.

    Raises:
        UnexpectedEvent: *event* is not an S3 notification of *raw_bucket* in a version we know, or a key looks like
            ours and names no session.
    """
    if event.get("Event") == "s3:TestEvent":
        log.info("ignored the test event of S3")
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise UnexpectedEvent(f"Not an S3 notification: no list of Records in it, only {sorted(map(str, event))}.")
    sessions = (_session(record, raw_bucket) for record in records)
    return list(dict.fromkeys(session for session in sessions if session is not None))


def start_runs(
    sessions: Iterable[Session], job_name: str, start_job_run: Callable[..., Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Start one run of *job_name* for each of *sessions*.

    Args:
        sessions: What arrived.
        job_name: The Glue job.
        start_job_run: The Glue client's method of that name.

    Raises:
        ExceptionGroup: What kept some runs from starting, one error a session; the other runs were started first.
    """
    started: list[dict[str, str]] = []
    failures: list[Exception] = []
    for session in sessions:
        try:
            answer = start_job_run(JobName=job_name, Arguments={"--sessions": str(session)})
        except (BotoCoreError, ClientError) as error:
            error.add_note(f"while starting {job_name} for {session}")
            log.exception("could not start a run", extra={"session": str(session), "job": job_name})
            failures.append(error)
        else:
            run_id = answer["JobRunId"]
            log.info("started a run", extra={"session": str(session), "job": job_name, "job_run_id": run_id})
            started.append({"session": str(session), "job_run_id": run_id})
    if failures:
        total = len(started) + len(failures)
        raise ExceptionGroup(f"{len(failures)} of {total} runs of {job_name} could not be started", failures)
    return started


def _session(record: Mapping[str, Any], raw_bucket: str) -> Session | None:
    """The session of one record, or None if the record is none of our business."""
    try:
        source, version, name = record["eventSource"], record["eventVersion"], record["eventName"]
        bucket, stored = record["s3"]["bucket"]["name"], record["s3"]["object"]
        quoted_key = stored["key"]
    except (KeyError, TypeError) as error:
        raise UnexpectedEvent(f"Not a record of an S3 notification: {error!r}.") from error
    if not isinstance(name, str) or not isinstance(quoted_key, str):
        raise UnexpectedEvent(f"Not a record of an S3 notification: event {name!r} of key {quoted_key!r}.")
    # Only a new major version may change what the fields mean.
    if source != "aws:s3" or str(version).split(".")[0] != "2":
        raise UnexpectedEvent(f"A record of {source!r}, version {version!r}, instead of 'aws:s3', version 2.")
    if bucket != raw_bucket:
        raise UnexpectedEvent(f"A record of bucket {bucket!r} instead of {raw_bucket!r}: check its notifications.")
    # S3 form-encodes keys: '=' comes as '%3D' and a blank as '+'.
    key = unquote_plus(quoted_key)
    reason = _why_ignored(name, key, stored.get("size"))
    if reason:
        log.info("ignored a record", extra={"reason": reason, "key": key, "event": name})
        return None
    return Session.from_raw_key(key)


def _why_ignored(event_name: str, key: str, size_bytes: int | None) -> str | None:
    if not event_name.startswith("ObjectCreated:"):
        return "nothing was created"
    if not (key.startswith(RAW_PREFIX) and key.endswith(RAW_SUFFIX)):
        return f"the key is not {RAW_PREFIX}*{RAW_SUFFIX}"
    if size_bytes == 0:
        return "the object is empty"
    return None


def _settings(environ: Mapping[str, str]) -> tuple[str, str]:
    names = ("GLUE_JOB_NAME", "RAW_BUCKET_NAME")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise ConfigurationError(f"The function's environment lacks {', '.join(missing)}; deploy the template again.")
    return environ[names[0]], environ[names[1]]


@cache
def _glue_client() -> Any:
    """The client of this execution environment; made late, so that importing reaches nothing."""
    return boto3.client("glue", config=_CONFIG)
