"""What the lake holds of one stored session, read for its report; writes nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from bovespa.errors import SessionNotStored, StorageUnavailable, UnexpectedEvent, UnreadablePortfolio
from bovespa.layout import Receipt, Session, portfolio_index_prefix
from bovespa.portfolio import Portfolio
from bovespa.session_report import Evidence
from bovespa.session_state import JobRun, State
from s3_bucket_manager.aws import error_code, is_conflict, is_missing, storage_errors
from s3_bucket_manager.listing import list_all
from s3_bucket_manager.raw_parquet import read_portfolio
from s3_bucket_manager.session_states import SessionStates, job_run

_NEAR = dt.timedelta(days=45)
"""In which the session before is looked for first: one page of a listing."""


class SessionEvidence:
    """Reads what a report is made from: some ten requests, whatever the length of the history."""

    def __init__(
        self, s3: Any, glue: Any, states: SessionStates, *, raw_bucket: str, refined_bucket: str, glue_job: str
    ) -> None:
        self._s3 = s3
        self._glue = glue
        self._states = states
        self._raw_bucket = raw_bucket
        self._refined_bucket = refined_bucket
        self._glue_job = glue_job

    def of(self, session: Session) -> Evidence:
        """Return what there is of *session*.

        Raises:
            SessionNotStored: There is no raw object of it.
            StorageUnavailable: S3 or Glue did not answer or refused, or an object is damaged.
        """
        state, facts = self._states.of(session)
        if state.raw is None or state.state is State.MISSING:
            raise SessionNotStored(f"Nothing is stored of {session}. `GET /sessions` tells what is.")
        raw = self._get(self._raw_bucket, session.raw_key, version=state.raw.version)
        if raw is None:
            raise StorageUnavailable(f"{state.raw.uri} has changed just now. Ask again.")
        source_key = facts.get("source_key")
        source = None if source_key is None else self._get(self._raw_bucket, source_key)
        receipt, refined_at = self._receipt(Receipt(session, state.raw.version))
        return Evidence(
            state,
            self._portfolio(session, raw["Body"]),
            facts,
            source_uri=None if source_key is None else f"s3://{self._raw_bucket}/{source_key}",
            source=None if source is None else source["Body"],
            previous=self._previous(session),
            receipt=receipt,
            refined_at=refined_at,
            run=state.run if receipt is None else self._run(receipt),
        )

    def _portfolio(self, session: Session, content: bytes) -> Portfolio:
        try:
            return read_portfolio(content, session)
        except UnreadablePortfolio as error:
            uri = f"s3://{self._raw_bucket}/{session.raw_key}"
            raise StorageUnavailable(
                f"{uri} is damaged: {error}. `flask --app app doctor --repair` mends it."
            ) from error

    def _previous(self, session: Session) -> Portfolio | None:
        """The newest stored session before *session*; the whole history is listed only if it is not a near one."""
        for since in (session.session_date - _NEAR, dt.date.min):
            if (before := self._newest(session, since)) is None:
                continue
            found = self._get(self._raw_bucket, before.raw_key)
            return None if found is None else self._portfolio(before, found["Body"])
        return None

    def _newest(self, session: Session, since: dt.date) -> Session | None:
        prefix = portfolio_index_prefix(session.index_code)
        newest: Session | None = None
        for entry in list_all(self._s3, self._raw_bucket, prefix, start_after=f"{prefix}{since}"):
            if entry.key >= session.raw_key:
                break
            try:
                newest = Session.from_raw_key(entry.key)
            except UnexpectedEvent:
                continue  # an operator's file beside ours
        return newest

    def _receipt(self, receipt: Receipt) -> tuple[Mapping[str, Any] | None, dt.datetime | None]:
        found = self._get(self._refined_bucket, receipt.key)
        if found is None:
            return None, None
        try:
            content = json.loads(found["Body"])
        except ValueError:
            content = {}  # its key alone says that the session is refined
        return content if isinstance(content, dict) else {}, found["LastModified"]

    def _run(self, receipt: Mapping[str, Any]) -> JobRun | None:
        run_id = receipt.get("job_run_id")
        if not isinstance(run_id, str) or not run_id:
            return None
        with storage_errors(f"asking for run {run_id} of {self._glue_job}"):
            try:
                run = self._glue.get_job_run(JobName=self._glue_job, RunId=run_id)["JobRun"]
            except ClientError as error:
                # Glue forgets runs after some weeks.
                if error_code(error) in ("EntityNotFoundException", "InvalidInputException"):
                    return None
                raise
        return job_run(run)

    def _get(self, bucket: str, key: str, *, version: str | None = None) -> dict[str, Any] | None:
        condition = {} if version is None else {"IfMatch": f'"{version}"'}
        with storage_errors(f"reading s3://{bucket}/{key}"):
            try:
                found: dict[str, Any] = self._s3.get_object(Bucket=bucket, Key=key, **condition)
            except ClientError as error:
                if is_missing(error) or is_conflict(error):
                    return None
                raise
            return {**found, "Body": found["Body"].read()}
