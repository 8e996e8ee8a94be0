"""Starts the Glue job: one run for each session or trading day whose raw object arrived, and one for each import.

S3 invokes the function asynchronously, at least once for each object. An invocation that raises is tried again by
Lambda and in the end kept in the dead-letter queue; one that returns, whatever it returns, is a success. So everything
that is not done raises, and since every step can run twice, starting a run again is harmless.

Objects that an import brings carry its id in their metadata and start nothing: the import ends with a manifest, whose
arrival starts one run for all of them. The very version that is announced is asked for its metadata, so a session that
is stored by the API in the middle of an import still gets its own run. The same metadata tells the correlation id,
which the run is given and each log line about the object carries.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol
from urllib.parse import unquote_plus

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bovespa.correlation import is_correlation_id
from bovespa.errors import ConfigurationError, UnexpectedEvent
from bovespa.layout import (
    CORRELATION_ID_METADATA,
    IMPORT_ID_METADATA,
    IMPORT_PREFIX,
    IMPORT_SUFFIX,
    PORTFOLIO_PREFIX,
    RAW_SUFFIX,
    TRADING_PREFIX,
    Import,
    Session,
    TradingDay,
)
from bovespa.session_state import CORRELATION_ID_ARGUMENT, QUEUED, SESSIONS_ARGUMENT

log = Logger(service="bovespa-start-refine")

_OUR_KEYS = ((PORTFOLIO_PREFIX, RAW_SUFFIX), (TRADING_PREFIX, RAW_SUFFIX), (IMPORT_PREFIX, IMPORT_SUFFIX))

# Tried again here first: 5 attempts fit well into the function's 60 s, and Lambda's own retries come a minute later.
_MAX_ATTEMPTS = 5
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": _MAX_ATTEMPTS}, connect_timeout=3, read_timeout=10)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One object of ours that S3 says was created."""

    subject: Session | TradingDay | Import
    """What a run would be started for; its `str` is the run's `--sessions`."""
    key: str
    version_id: str | None = None
    """The version that was created; None where the bucket has no versions."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the metadata of an object says of how it came."""

    import_id: str | None = None
    """The import that put it, whose manifest starts its run."""
    correlation_id: str | None = None
    """The id of what stored it; None if it was put by hand or by older code."""


class Context(Protocol):
    """What Lambda tells of an invocation."""

    function_name: str
    memory_limit_in_mb: int
    invoked_function_arn: str
    aws_request_id: str


@log.inject_lambda_context
def lambda_handler(event: Mapping[str, Any], context: Context) -> list[dict[str, str]]:
    """Start the runs that *event* asks for and name them.

    Raises:
        ConfigurationError: `GLUE_JOB_NAME` or `RAW_BUCKET_NAME` is not set.
        UnexpectedEvent: *event* is not a notification of our raw bucket; nothing was started.
        ExceptionGroup: Some runs could not be started; the others were.
    """
    job_name, raw_bucket = _settings(os.environ)

    def origin(announced: Announcement) -> Origin:
        return origin_of(_client("s3"), raw_bucket, announced)

    return start_runs(
        announcements(event, raw_bucket),
        job_name,
        _client("glue").start_job_run,
        origin,
        invocation_id=context.aws_request_id,
    )


def announcements(event: Mapping[str, Any], raw_bucket: str) -> list[Announcement]:
    """Return the raw objects and the manifests of imports that *event* announces, each once, in order of appearance.

    Ignored, because they are foreign and that is all right: the test event that S3 sends when a notification is set,
    events other than creation, keys that are none of `portfolio/*.parquet`, `trading/*.parquet` and `imports/*.json`,
    and objects without content.

    Raises:
        UnexpectedEvent: *event* is not an S3 notification of *raw_bucket* in a version we know, or a key looks like
            ours and names nothing.
    """
    if event.get("Event") == "s3:TestEvent":
        log.info("ignored the test event of S3")
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise UnexpectedEvent(f"Not an S3 notification: no list of Records in it, only {sorted(map(str, event))}.")
    found = (_announcement(record, raw_bucket) for record in records)
    return list(dict.fromkeys(one for one in found if one is not None))


def origin_of(s3: Any, bucket: str, announced: Announcement) -> Origin:
    """Return what the announced version of an object says of how it came.

    Raises:
        ClientError: S3 refused. That the version is gone is no refusal: it is none of an import's.
    """
    version = {} if announced.version_id is None else {"VersionId": announced.version_id}
    try:
        found = s3.head_object(Bucket=bucket, Key=announced.key, **version)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return Origin()
        raise
    metadata = found["Metadata"]
    followed = metadata.get(CORRELATION_ID_METADATA)
    # Anybody who may write to the bucket can write metadata, and this becomes an argument of a run.
    return Origin(metadata.get(IMPORT_ID_METADATA), followed if is_correlation_id(followed) else None)


def start_runs(
    announced: Iterable[Announcement],
    job_name: str,
    start_job_run: Callable[..., Mapping[str, Any]],
    origin: Callable[[Announcement], Origin],
    *,
    invocation_id: str,
) -> list[dict[str, str]]:
    """Start one run of *job_name* for each session, trading day and import, but none for what an import brought.

    Args:
        announced: What arrived.
        job_name: The Glue job.
        start_job_run: The Glue client's method of that name.
        origin: Tells how an object came; a manifest is not asked about, for its name says it.
        invocation_id: The correlation id of a run whose object has none.

    Raises:
        ExceptionGroup: What kept some runs from starting, one error each; the other runs were started first.
    """
    started: dict[str, str] = {}
    failures: list[Exception] = []
    for one in announced:
        sessions = str(one.subject)
        if sessions in started:
            continue
        about = {"sessions": sessions, "correlation_id": invocation_id}
        try:
            came = Origin(correlation_id=one.subject.import_id) if isinstance(one.subject, Import) else origin(one)
            about["correlation_id"] = came.correlation_id or invocation_id
            if came.import_id is not None:
                log.info("ignored an object of an import", extra={**about, "import_id": came.import_id})
                continue
            named = {SESSIONS_ARGUMENT: sessions, CORRELATION_ID_ARGUMENT: about["correlation_id"]}
            answer = start_job_run(JobName=job_name, Arguments=named, **QUEUED)
        except (BotoCoreError, ClientError) as error:
            error.add_note(f"while starting {job_name} for {sessions}")
            log.exception("could not start a run", extra={**about, "job": job_name})
            failures.append(error)
        else:
            run_id = answer["JobRunId"]
            log.info("started a run", extra={**about, "job": job_name, "job_run_id": run_id})
            started[sessions] = run_id
    if failures:
        total = len(started) + len(failures)
        # The message is all that the dead-letter queue and the console show of it.
        why = "; ".join(dict.fromkeys(map(str, failures)))
        raise ExceptionGroup(f"{len(failures)} of {total} runs of {job_name} could not be started: {why}", failures)
    return [{"sessions": sessions, "job_run_id": run_id} for sessions, run_id in started.items()]


def _announcement(record: Mapping[str, Any], raw_bucket: str) -> Announcement | None:
    """What one record announces, or None if the record is none of our business."""
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
    return Announcement(_subject(key), key, stored.get("versionId"))


def _subject(key: str) -> Session | TradingDay | Import:
    if key.startswith(PORTFOLIO_PREFIX):
        return Session.from_raw_key(key)
    return TradingDay.from_raw_key(key) if key.startswith(TRADING_PREFIX) else Import.from_key(key)


def _why_ignored(event_name: str, key: str, size_bytes: int | None) -> str | None:
    if not event_name.startswith("ObjectCreated:"):
        return "nothing was created"
    if not any(key.startswith(prefix) and key.endswith(suffix) for prefix, suffix in _OUR_KEYS):
        return "the key is none of a raw portfolio, a raw trading day and a manifest"
    if size_bytes == 0:
        return "the object is empty"
    return None


def _settings(environ: Mapping[str, str]) -> tuple[str, str]:
    names = ("GLUE_JOB_NAME", "RAW_BUCKET_NAME")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise ConfigurationError(f"The function's environment lacks {', '.join(missing)}; deploy the template again.")
    return environ[names[0]], environ[names[1]]


def _pause_while_full(response: tuple[Any, Mapping[str, Any]] | None, attempts: int, **_others: Any) -> float | None:
    """Seconds after which botocore asks Glue again; None leaves it to botocore, which knows throttling but not this."""
    error = {} if response is None else response[1].get("Error", {})
    if error.get("Code") != "ConcurrentRunsExceededException" or attempts >= _MAX_ATTEMPTS:
        return None
    # Half of it by chance, so that events that came together do not come together again.
    return float(2 ** (attempts - 1)) * (0.5 + random.random() / 2)  # noqa: S311 - no secret


@cache
def _client(service: str) -> Any:
    """The client of this execution environment; made late, so that importing reaches nothing."""
    client = boto3.client(service, config=_CONFIG)
    client.meta.events.register("needs-retry.glue.StartJobRun", _pause_while_full)
    return client
