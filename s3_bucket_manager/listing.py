"""Listings of a bucket, whole or of a period."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from s3_bucket_manager.aws import storage_errors


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing."""

    key: str
    etag: str
    modified_at: dt.datetime


def list_all(s3: Any, bucket: str, prefix: str, *, start_after: str = "") -> Iterator[Entry]:
    """Yield the objects under *prefix* in the order of their keys, those after the key *start_after*.

    Raises:
        StorageUnavailable: S3 did not answer or refused.
    """
    arguments = {"Bucket": bucket, "Prefix": prefix} | ({"StartAfter": start_after} if start_after else {})
    pages = s3.get_paginator("list_objects_v2").paginate(**arguments)
    with storage_errors(f"listing s3://{bucket}/{prefix}"):
        for page in pages:
            for item in page.get("Contents", ()):
                yield Entry(item["Key"], item["ETag"].strip('"'), item["LastModified"])


def list_period(s3: Any, bucket: str, prefix: str, first: dt.date, last: dt.date) -> Iterator[Entry]:
    """Yield the objects whose keys go on with a date of the period: the listing starts and ends with it.

    Raises:
        StorageUnavailable: S3 did not answer or refused.
    """
    end = f"{prefix}{last + dt.timedelta(days=1)}"
    return itertools.takewhile(
        lambda entry: entry.key < end, list_all(s3, bucket, prefix, start_after=f"{prefix}{first}")
    )
