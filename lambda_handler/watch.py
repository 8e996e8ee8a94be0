"""Looks once a day whether the pipeline collected and refined what it should have; alarms watch the numbers it tells.

EventBridge Scheduler calls it every evening, when the session of the day must be in the raw bucket. One line of its log
holds the numbers; metric filters of the template turn them into metrics. What it cannot see ends with an exception: the
function's own error is an alarm, too.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from bovespa.calendar import REVIEW_BY, trading_days, trading_days_before
from bovespa.clock import date_in_sao_paulo, last_finished_session
from bovespa.errors import ConfigurationError, InvalidRequest, UnexpectedEvent
from bovespa.indexes import require_index_code
from bovespa.layout import (
    DATED_TRADING_PREFIX,
    DATED_TRADING_RECEIPTS_PREFIX,
    QUARANTINE_PREFIX,
    Receipt,
    Session,
    TradingDay,
    TradingReceipt,
    portfolio_index_prefix,
    quarantine_key,
    receipts_index_prefix,
)

log = logging.getLogger(__name__)

LOOK_BACK = dt.timedelta(days=7)
"""How far back anything but the last session counts: an alarm that never ends is no alarm."""

REFINED_WITHIN = dt.timedelta(hours=1)
"""How long a stored session may wait for its run to be over; a run takes minutes, and may wait for others."""

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3, read_timeout=10)


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look found."""

    session_date: dt.date
    """The session that must be there: the last one that is over."""
    missing: tuple[str, ...]
    """Index codes of which the raw bucket has no object of that session."""
    missing_trading_days: tuple[dt.date, ...]
    """Trading days of the last seven that are not stored, before that session and after the first that ever was."""
    unrefined: tuple[str, ...]
    """Sessions and trading days of the last seven days that were stored an hour ago and of which no run is over."""
    quarantined_files: int
    """Files that were refused in the last seven days."""
    calendar_days_left: int
    """Days until the calendar's rules shall have been reviewed; negative when that is overdue."""

    def as_fields(self) -> dict[str, Any]:
        """Return the fields of the line of log; the template's metric filters name them."""
        return {
            "session_date": str(self.session_date),
            "missing_sessions": len(self.missing),
            "missing": list(self.missing),
            "missing_trading_days": len(self.missing_trading_days),
            "missing_days": [str(day) for day in self.missing_trading_days],
            "unrefined_sessions": len(self.unrefined),
            "unrefined": list(self.unrefined),
            "quarantined_files": self.quarantined_files,
            "calendar_days_left": self.calendar_days_left,
        }


def lambda_handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Look, log the numbers, and return them.

    Raises:
        ConfigurationError: A bucket's name or `INDEX_CODES` is not set, or names no index of B3.
        UnexpectedEvent: *event* has no `scheduled_at`.
        ClientError: S3 refused.
    """
    raw_bucket, refined_bucket, index_codes = _settings(os.environ)
    s3 = boto3.client("s3", config=_CONFIG)
    found = watch(s3, raw_bucket, refined_bucket, index_codes, _moment(event)).as_fields()
    log.info("looked", extra=found)
    return found


def watch(s3: Any, raw_bucket: str, refined_bucket: str, index_codes: Sequence[str], moment: dt.datetime) -> Watched:
    """Return what the two buckets lack at *moment*.

    Args:
        s3: A boto3 S3 client that may list the buckets.
        raw_bucket: Where sessions are stored.
        refined_bucket: Where the receipts of their runs are.
        index_codes: The indexes that are collected.
        moment: Aware; before 20:00 in São Paulo the session of the day before is looked for.
    """
    session_date = last_finished_session(moment)
    missing = tuple(code for code in index_codes if not _is_there(s3, raw_bucket, Session(code, session_date).raw_key))
    since = date_in_sao_paulo(moment) - LOOK_BACK
    market = list(_listed(s3, raw_bucket, DATED_TRADING_PREFIX, since))
    places = [
        (_listed(s3, raw_bucket, portfolio_index_prefix(code), since), receipts_index_prefix(code))
        for code in index_codes
    ]
    places.append((iter(market), DATED_TRADING_RECEIPTS_PREFIX))
    return Watched(
        session_date,
        missing,
        tuple(_missing_trading_days(s3, raw_bucket, market, since, session_date)),
        tuple(
            name
            for stored, prefix in places
            for name in _unrefined(stored, _listed(s3, refined_bucket, prefix, since), moment - REFINED_WITHIN)
        ),
        _quarantined(s3, raw_bucket, moment - LOOK_BACK),
        (REVIEW_BY - date_in_sao_paulo(moment)).days,
    )


def _is_there(s3: Any, bucket: str, key: str) -> bool:
    # A listing, not a HEAD: it needs no right to read an object.
    answer = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return any(item["Key"] == key for item in answer.get("Contents", ()))


def _missing_trading_days(
    s3: Any, bucket: str, stored: Iterable[Mapping[str, Any]], since: dt.date, session_date: dt.date
) -> Iterator[dt.date]:
    """Yield those that B3 has had an evening for, unless nobody collects any: B3 offers each for long."""
    first = s3.list_objects_v2(Bucket=bucket, Prefix=DATED_TRADING_PREFIX, MaxKeys=1).get("Contents", ())
    there = {item["Key"] for item in stored}
    for day in trading_days(since, trading_days_before(session_date, 1)[0]):
        key = TradingDay(day).raw_key
        if key not in there and any(key > item["Key"] for item in first):
            yield day


def _unrefined(
    stored: Iterable[Mapping[str, Any]], receipts: Iterable[Mapping[str, Any]], stored_by: dt.datetime
) -> Iterator[str]:
    """Yield the sessions or trading days that are stored and have no receipt of the version that is."""
    there = {item["Key"] for item in receipts}
    for item in stored:
        try:
            name, receipt_key = _awaited(item["Key"], item["ETag"].strip('"'))
        except UnexpectedEvent:
            continue  # somebody else's; the doctor tells
        if receipt_key not in there and item["LastModified"] <= stored_by:
            yield name


def _awaited(raw_key: str, version: str) -> tuple[str, str]:
    """Return the session or trading day at *raw_key*, and the key of the receipt that it is to have.

    Raises:
        UnexpectedEvent: *raw_key* is of neither.
    """
    if raw_key.startswith(DATED_TRADING_PREFIX):
        day = TradingDay.from_raw_key(raw_key)
        return str(day), TradingReceipt(day, version).key
    session = Session.from_raw_key(raw_key)
    return str(session), Receipt(session, version).key


def _listed(s3: Any, bucket: str, prefix: str, since: dt.date) -> Iterator[Mapping[str, Any]]:
    """What is of the date *since* or a later one."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=f"{prefix}{since}")
    return (item for page in pages for item in page.get("Contents", ()))


def _quarantined(s3: Any, bucket: str, since: dt.datetime) -> int:
    """How many files were refused since then; the reason beside each is no file of B3."""
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=QUARANTINE_PREFIX, StartAfter=quarantine_key(since, "", "")
    )
    return sum(not item["Key"].endswith(".json") for page in pages for item in page.get("Contents", ()))


def _moment(event: Mapping[str, Any]) -> dt.datetime:
    """When the scheduler meant to call, so that a call that comes late, or again, looks for the same session."""
    try:
        moment = dt.datetime.fromisoformat(event["scheduled_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnexpectedEvent(f"No scheduled_at like 2025-02-03T23:00:00Z in the event: {error!r}.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _settings(environ: Mapping[str, str]) -> tuple[str, str, list[str]]:
    names = ("RAW_BUCKET_NAME", "REFINED_BUCKET_NAME", "INDEX_CODES")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise ConfigurationError(f"The function's environment lacks {', '.join(missing)}; deploy the template again.")
    try:
        index_codes = [require_index_code(code.strip()) for code in environ[names[2]].split(",")]
    except InvalidRequest as error:
        raise ConfigurationError(f"INDEX_CODES: {error} Deploy with --parameter IndexCodes=IBOV.") from error
    return environ[names[0]], environ[names[1]], index_codes
