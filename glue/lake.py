"""The job's view of the two buckets: listings, deletions and receipts."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from bovespa.errors import UnexpectedEvent
from bovespa.layout import RAW_PREFIX, RECEIPTS_PREFIX, CompactYear, Receipt, Session, raw_index_prefix
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


def raw_versions(client: Any, bucket: str, index_code: str, first: dt.date, last: dt.date) -> dict[Session, str]:
    """Return the raw sessions of one index from *first* to *last* and the version (ETag) of each.

    Dates sort as text, so the listing starts at *first* and is left at *last*: its cost does not grow with history.
    """
    prefix = raw_index_prefix(index_code)
    found: dict[Session, str] = {}
    for item in list_objects(client, bucket, prefix, start_after=f"{prefix}{first}"):
        session = _raw_session(item.key)
        if session is None:
            continue
        if session.session_date > last:
            break
        found[session] = item.etag
    return found


def every_raw_session(client: Any, bucket: str) -> Iterator[Session]:
    """Yield every session that the raw bucket holds."""
    for item in list_objects(client, bucket, RAW_PREFIX):
        session = _raw_session(item.key)
        if session is not None:
            yield session


def every_receipted_session(client: Any, bucket: str) -> Iterator[Session]:
    """Yield every session of which the refined bucket has a receipt."""
    for item in list_objects(client, bucket, RECEIPTS_PREFIX):
        with contextlib.suppress(UnexpectedEvent):  # not ours; the doctor names it
            yield Receipt.from_key(item.key).session


def _raw_session(key: str) -> Session | None:
    """Other objects may lie beside a raw Parquet; they are not ours to read."""
    try:
        return Session.from_raw_key(key)
    except UnexpectedEvent:
        return None


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


def delete_compact(client: Any, bucket: str, table: CompactTable, sessions: Iterable[Session]) -> None:
    """Delete the objects that *table* has of *sessions*, which have no rows in it (any more)."""
    dates: defaultdict[CompactYear, set[dt.date]] = defaultdict(set)
    for session in sessions:
        dates[CompactYear.of(table.name, session)].add(session.session_date)
    for year, session_dates in dates.items():
        unwanted = {year.key(session_date) for session_date in session_dates}
        # Looked up first: deleting what is not there would leave a marker in a versioned bucket at every run.
        listed = list_objects(client, bucket, year.sessions_prefix)
        delete_objects(client, bucket, [item.key for item in listed if item.key in unwanted])


def write_receipt(client: Any, bucket: str, receipt: Receipt, content: dict[str, Any]) -> None:
    """State that *receipt*'s version of the session is refined and visible, and withdraw other versions' receipts."""
    body = json.dumps(content, sort_keys=True).encode()
    client.put_object(Bucket=bucket, Key=receipt.key, Body=body, ContentType="application/json")
    withdraw_receipts(client, bucket, receipt.session, keep=receipt.key)


def withdraw_receipts(client: Any, bucket: str, session: Session, *, keep: str | None = None) -> None:
    """Delete the receipts of *session*, except the one at *keep*."""
    others = [item.key for item in list_objects(client, bucket, session.receipts_prefix) if item.key != keep]
    if others:
        delete_objects(client, bucket, others)
