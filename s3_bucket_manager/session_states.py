"""How far each session has come, read from the two buckets and the runs of the Glue job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from bovespa.errors import UnexpectedEvent
from bovespa.layout import Receipt, Session, portfolio_index_prefix, receipts_index_prefix
from bovespa.session_state import REFINED_BUCKET_ARGUMENT, SESSIONS_ARGUMENT, JobRun, RawObject, SessionState, state_of
from s3_bucket_manager.aws import is_missing, storage_errors
from s3_bucket_manager.listing import list_period

_MAX_RUN_PAGES = 10
"""Pages of 200 runs: enough for a backfill, bounded for a caller who waits."""


class SessionStates:
    """Reads states; writes nothing."""

    def __init__(self, s3: Any, glue: Any, *, raw_bucket: str, refined_bucket: str, glue_job: str) -> None:
        self._s3 = s3
        self._glue = glue
        self._raw_bucket = raw_bucket
        self._refined_bucket = refined_bucket
        self._glue_job = glue_job

    def of(self, session: Session) -> tuple[SessionState, Mapping[str, str]]:
        """Return the state of one session, and what its raw object says of its origin.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused.
        """
        found = self._look_up(self._raw_bucket, session.raw_key)
        if found is None:
            return state_of(session, None, has_receipt=False, runs=()), {}
        raw = self._raw_object(session, found["ETag"].strip('"'), found["LastModified"])
        has_receipt = self._look_up(self._refined_bucket, Receipt(session, raw.version).key) is not None
        runs = [] if has_receipt else self.runs_since(raw.stored_at)
        facts = {name.replace("-", "_"): value for name, value in found["Metadata"].items()}
        return state_of(session, raw, has_receipt=has_receipt, runs=runs), facts

    def between(self, index_code: str, first: dt.date, last: dt.date) -> list[SessionState]:
        """Return the states of all stored sessions of an index from *first* to *last*, both included, in order.

        Two listings and the newest runs tell them all; no object is opened.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused.
        """
        stored = self._stored(index_code, first, last)
        receipts = self._receipts(index_code, first, last) if stored else set()
        pending = [raw.stored_at for session, raw in stored.items() if Receipt(session, raw.version) not in receipts]
        runs = self.runs_since(min(pending)) if pending else []
        return [
            state_of(session, raw, has_receipt=Receipt(session, raw.version) in receipts, runs=runs)
            for session, raw in sorted(stored.items())
        ]

    def _look_up(self, bucket: str, key: str) -> Mapping[str, Any] | None:
        # GET, not HEAD: a HEAD has no body to tell a missing object from a missing bucket.
        with storage_errors(f"reading s3://{bucket}/{key}"):
            try:
                found: dict[str, Any] = self._s3.get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
            found["Body"].read()  # a few kB; a connection with an unread body cannot be used again
        return found

    def _stored(self, index_code: str, first: dt.date, last: dt.date) -> dict[Session, RawObject]:
        found = {}
        for entry in list_period(self._s3, self._raw_bucket, portfolio_index_prefix(index_code), first, last):
            try:
                session = Session.from_raw_key(entry.key)
            except UnexpectedEvent:
                continue  # an operator's file beside ours
            found[session] = self._raw_object(session, entry.etag, entry.modified_at)
        return found

    def _receipts(self, index_code: str, first: dt.date, last: dt.date) -> set[Receipt]:
        found = set()
        for entry in list_period(self._s3, self._refined_bucket, receipts_index_prefix(index_code), first, last):
            try:
                found.add(Receipt.from_key(entry.key))
            except UnexpectedEvent:
                continue
        return found

    def runs_since(self, moment: dt.datetime) -> list[JobRun]:
        """Return the runs of the job, newest first, at least back to *moment* or as far as a caller can wait for.

        Raises:
            StorageUnavailable: Glue did not answer or refused.
        """
        runs: list[JobRun] = []
        token: dict[str, str] = {}
        with storage_errors(f"asking for the runs of {self._glue_job}"):
            for _ in range(_MAX_RUN_PAGES):
                page = self._glue.get_job_runs(JobName=self._glue_job, MaxResults=200, **token)
                runs += [job_run(run) for run in page["JobRuns"] if self._is_of_this_lake(run)]
                # A second's grace, because S3 and Glue may tell whole seconds.
                oldest = min((run["StartedOn"] for run in page["JobRuns"]), default=None)
                reached = oldest is not None and oldest < moment - dt.timedelta(seconds=1)
                if reached or "NextToken" not in page:
                    break
                token = {"NextToken": page["NextToken"]}
        return runs

    def _is_of_this_lake(self, run: Mapping[str, Any]) -> bool:
        """A rebuild aside writes elsewhere: whatever becomes of it, no session here is refined or failed by it."""
        bucket = run.get("Arguments", {}).get(REFINED_BUCKET_ARGUMENT)
        return bucket is None or bucket == self._refined_bucket

    def _raw_object(self, session: Session, version: str, stored_at: dt.datetime) -> RawObject:
        return RawObject(f"s3://{self._raw_bucket}/{session.raw_key}", version, stored_at)


def job_run(run: Mapping[str, Any]) -> JobRun:
    """Return a run of the job as Glue describes it."""
    return JobRun(
        run_id=run["Id"],
        state=run["JobRunState"],
        started_at=run["StartedOn"],
        completed_at=run.get("CompletedOn"),
        sessions=frozenset(run.get("Arguments", {}).get(SESSIONS_ARGUMENT, "").split(",")),
        error=run.get("ErrorMessage") or None,
    )
