"""The job's view of the two buckets: listings, deletions and receipts."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from bovespa.errors import UnexpectedEvent
from bovespa.layout import (
    DATED_TRADING_PREFIX,
    PORTFOLIO_PREFIX,
    RECEIPTS_PREFIX,
    TRADING_RECEIPTS_PREFIX,
    TRADING_TABLE,
    CompactYear,
    Receipt,
    Session,
    TradingDay,
    TradingReceipt,
    compact_prefix,
    index_of_folder,
    portfolio_index_prefix,
)
from glue.schema import CompactTable

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=32,
)

PARALLEL_REQUESTS = 16
"""Requests one worker keeps in flight: a small object's request is nearly all waiting."""

_DELETE_LIMIT = 1000
"""What one DeleteObjects call takes."""

_T = TypeVar("_T")
_StoredT = TypeVar("_StoredT", Session, TradingDay)


_MOVED = ("PreconditionFailed", "NoSuchKey")
"""S3's words for an object that is there in another version, and for one that is not there."""


class ObjectMoved(RuntimeError):
    """An object was replaced or deleted since it was listed."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing."""

    key: str
    etag: str
    """Without quotes."""
    size_bytes: int
    modified_at: dt.datetime
    """By S3's clock."""


@cache
def s3_client() -> Any:
    """Return this process's S3 client; made late, so that importing reaches nothing."""
    return boto3.client("s3", config=_CONFIG)


@cache
def glue_client() -> Any:
    """Return this process's Glue client."""
    return boto3.client("glue", config=_CONFIG)


def list_objects(client: Any, bucket: str, prefix: str, *, start_after: str = "") -> Iterator[StoredObject]:
    """Yield the objects of *bucket* under *prefix* in key order, those after the key *start_after*."""
    arguments = {"Bucket": bucket, "Prefix": prefix}
    if start_after:
        arguments["StartAfter"] = start_after
    for page in client.get_paginator("list_objects_v2").paginate(**arguments):
        for item in page.get("Contents", ()):
            yield StoredObject(item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])


def holds_any(client: Any, bucket: str, prefix: str) -> bool:
    """Return whether there is an object under *prefix*, however many there are."""
    return bool(client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents"))


def raw_versions(client: Any, bucket: str, index_code: str, first: dt.date, last: dt.date) -> dict[Session, str]:
    """Return the raw sessions of one index from *first* to *last* and the version (ETag) of each.

    Dates sort as text, so the listing starts at *first* and is left at *last*: its cost does not grow with history.
    """
    return _versions(client, bucket, portfolio_index_prefix(index_code), Session.from_raw_key, first=first, last=last)


def raw_trading_versions(client: Any, bucket: str, first: dt.date, last: dt.date) -> dict[TradingDay, str]:
    """Return the raw trading days from *first* to *last* and the version (ETag) of each, at the same bounded cost."""
    return _versions(client, bucket, DATED_TRADING_PREFIX, TradingDay.from_raw_key, first=first, last=last)


def _versions(
    client: Any, bucket: str, prefix: str, from_key: Callable[[str], _StoredT], *, first: dt.date, last: dt.date
) -> dict[_StoredT, str]:
    found: dict[_StoredT, str] = {}
    for item in list_objects(client, bucket, prefix, start_after=f"{prefix}{first}"):
        for one in _ours([item.key], from_key):
            if one.session_date > last:
                return found
            found[one] = item.etag
    return found


def stored_index_codes(client: Any, bucket: str) -> list[str]:
    """Return the indexes of which *bucket*, raw or refined, holds sessions, or anything beside them."""
    found = map(index_of_folder, _folders(client, bucket, PORTFOLIO_PREFIX))
    return [index_code for index_code in found if index_code is not None]


def every_raw_session(client: Any, bucket: str) -> Iterator[Session]:
    """Yield every session that the raw bucket holds."""
    return _ours((item.key for item in list_objects(client, bucket, PORTFOLIO_PREFIX)), Session.from_raw_key)


def every_raw_trading_day(client: Any, bucket: str) -> Iterator[TradingDay]:
    """Yield every trading day that the raw bucket holds."""
    return _ours((item.key for item in list_objects(client, bucket, DATED_TRADING_PREFIX)), TradingDay.from_raw_key)


def every_receipted_session(client: Any, bucket: str) -> Iterator[Session]:
    """Yield every session of which the refined bucket has a receipt."""
    keys = (item.key for item in list_objects(client, bucket, RECEIPTS_PREFIX))
    return (receipt.session for receipt in _ours(keys, Receipt.from_key))


def every_receipted_trading_day(client: Any, bucket: str) -> Iterator[TradingDay]:
    """Yield every trading day of which the refined bucket has a receipt."""
    keys = (item.key for item in list_objects(client, bucket, TRADING_RECEIPTS_PREFIX))
    return (receipt.day for receipt in _ours(keys, TradingReceipt.from_key))


def every_refined_session(client: Any, bucket: str) -> Iterator[Session]:
    """Yield every session of which the refined bucket holds tickers."""
    for index_code in stored_index_codes(client, bucket):
        yield from _ours(_folders(client, bucket, portfolio_index_prefix(index_code)), Session.of_refined_folder)


def every_refined_trading_day(client: Any, bucket: str) -> Iterator[TradingDay]:
    """Yield every trading day of which the refined bucket holds rows of its own."""

    def day_of(key: str) -> TradingDay:
        return TradingDay(CompactYear.of_key(TRADING_TABLE, None, key).session_date(key))

    keys = (item.key for item in list_objects(client, bucket, compact_prefix(TRADING_TABLE, None)))
    return _ours(keys, day_of)


def _folders(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    """The folders whose names begin with *prefix*, each up to its slash, without a look at what is in them."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
        yield from (folder["Prefix"] for folder in page.get("CommonPrefixes", ()))


def _ours(keys: Iterable[str], from_key: Callable[[str], _T]) -> Iterator[_T]:
    """What *keys* name; others may lie beside them, which are not ours to touch: the doctor names them."""
    for key in keys:
        with contextlib.suppress(UnexpectedEvent):
            yield from_key(key)


def read_version(client: Any, bucket: str, key: str, etag: str) -> bytes:
    """Return the object at *key* in the version that a listing gave.

    Raises:
        ObjectMoved: It is not there in that version any more.
    """
    try:
        content: bytes = client.get_object(Bucket=bucket, Key=key, IfMatch=etag)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in _MOVED:
            raise ObjectMoved(f"s3://{bucket}/{key} is not there in version {etag} any more.") from error
        raise
    return content


def put_unless_same(client: Any, bucket: str, key: str, body: bytes, etag: str | None) -> bool:
    """Make the object at *key* hold *body*; return whether it had to be put.

    Args:
        client: Of S3.
        bucket: Where the object is.
        key: Its name.
        body: What it is to hold.
        etag: Of what is there now, None for nothing.
    """
    # With KMS encryption an ETag is no MD5; the object is then simply put again.
    if etag == hashlib.md5(body, usedforsecurity=False).hexdigest():
        return False
    client.put_object(Bucket=bucket, Key=key, Body=body)
    return True


def delete_objects(client: Any, bucket: str, keys: Iterable[str]) -> None:
    """Delete *keys* from *bucket*; keys that are gone already are success.

    Raises:
        RuntimeError: S3 refused to delete some; the message names the first.
    """
    pending = [{"Key": key} for key in keys]
    for start in range(0, len(pending), _DELETE_LIMIT):
        batch = pending[start : start + _DELETE_LIMIT]
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if errors := answer.get("Errors"):
            first = errors[0]
            raise RuntimeError(f"S3 did not delete {first['Key']}: {first['Code']} {first.get('Message', '')}")


def delete_compact(
    client: Any, bucket: str, table: CompactTable, sessions: Iterable[Session] | Iterable[TradingDay]
) -> None:
    """Delete the objects that *table* has of *sessions*, which have no rows in it (any more)."""
    dates: defaultdict[CompactYear, set[dt.date]] = defaultdict(set)
    for session in sessions:
        dates[CompactYear.of(table.name, session)].add(session.session_date)
    for year, session_dates in dates.items():
        unwanted = {year.key(session_date) for session_date in session_dates}
        # Looked up first: deleting what is not there would leave a marker in a versioned bucket at every run.
        listed = list_objects(client, bucket, year.sessions_prefix)
        delete_objects(client, bucket, [item.key for item in listed if item.key in unwanted])


def write_receipt(client: Any, bucket: str, receipt: Receipt | TradingReceipt, content: dict[str, Any]) -> None:
    """State that *receipt*'s version is refined and visible, and withdraw the receipts of other versions."""
    body = json.dumps(content, sort_keys=True).encode()
    client.put_object(Bucket=bucket, Key=receipt.key, Body=body, ContentType="application/json")
    subject = receipt.session if isinstance(receipt, Receipt) else receipt.day
    withdraw_receipts(client, bucket, subject, keep=receipt.key)


def withdraw_receipts(client: Any, bucket: str, subject: Session | TradingDay, *, keep: str | None = None) -> None:
    """Delete the receipts of *subject*, except the one at *keep*."""
    others = [item.key for item in list_objects(client, bucket, subject.receipts_prefix) if item.key != keep]
    if others:
        delete_objects(client, bucket, others)
