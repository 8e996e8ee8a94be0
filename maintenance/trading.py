"""The doctor's knowledge of trading days: which are stored, which should be, and which files were refused."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bovespa.calendar import trading_days
from bovespa.errors import UnexpectedEvent
from bovespa.layout import RAW_TRADING_PREFIX, TRADING_PREFIX, TradingDay
from maintenance.checks import Quarantined
from maintenance.findings import Cure, Finding, Kind
from maintenance.listing import TRADING_SUFFIXES, list_all, list_period, refused_files
from s3_bucket_manager.aws import storage_errors

_SOURCE_PREFIX = "source/trading/"
_SHA256 = re.compile(r"/([0-9a-f]{64})\.(?:zip|txt)$", re.ASCII)


@dataclass(frozen=True, slots=True)
class TradingInventory:
    """What there is of trading days within a period."""

    any_stored: bool
    """Whether there is a trading day at all, within the period or not."""
    stored: frozenset[dt.date]
    sources: frozenset[str]
    """Digests of every file that is kept, of whatever day."""
    quarantined: tuple[Quarantined, ...] = ()
    foreign_keys: tuple[str, ...] = ()
    """URIs of objects that are in no day's place."""


class TradingReader:
    """Reads inventories; writes nothing.

    Args:
        s3: A client.
        raw_bucket: Where the trading days are.
    """

    def __init__(self, s3: Any, *, raw_bucket: str) -> None:
        self._s3 = s3
        self._raw_bucket = raw_bucket

    def read(self, first: dt.date, last: dt.date) -> TradingInventory:
        """Return what there is from *first* to *last*, both included.

        Raises:
            StorageUnavailable: S3 did not answer or refused.
        """
        days: set[dt.date] = set()
        foreign: list[str] = []
        for entry in list_period(self._s3, self._raw_bucket, RAW_TRADING_PREFIX, first, last):
            try:
                days.add(TradingDay.from_raw_key(entry.key).session_date)
            except UnexpectedEvent:
                foreign.append(f"s3://{self._raw_bucket}/{entry.key}")
        sources = {
            match[1]
            for entry in list_all(self._s3, self._raw_bucket, _SOURCE_PREFIX)
            if (match := _SHA256.search(entry.key))
        }
        return TradingInventory(
            bool(days) or next(list_all(self._s3, self._raw_bucket, TRADING_PREFIX), None) is not None,
            frozenset(days),
            frozenset(sources),
            tuple(self._quarantined(first, last)),
            tuple(foreign),
        )

    def _quarantined(self, first: dt.date, last: dt.date) -> Iterator[Quarantined]:
        keys = [entry.key for entry in list_period(self._s3, self._raw_bucket, "quarantine/", first, last)]
        for reason_key, key in refused_files(keys, TRADING_SUFFIXES).items():
            with storage_errors(f"reading s3://{self._raw_bucket}/{reason_key}"):
                body = self._s3.get_object(Bucket=self._raw_bucket, Key=reason_key)["Body"].read()
            yield quarantined(key, body)


def quarantined(key: str, reason: bytes) -> Quarantined:
    """Return what is known of a refused file.

    Args:
        key: Of the file.
        reason: The object beside it that says why.
    """
    try:
        found: Mapping[str, Any] = json.loads(reason)
        return Quarantined(key, found["index_code"], found["file_name"], found["reason"], found["sha256"])
    except (ValueError, KeyError, TypeError):
        return Quarantined(key, "", "", "its reason cannot be read", "")


def check_trading_days(
    inventory: TradingInventory, *, first: dt.date, last: dt.date, is_wanted: bool = False
) -> list[Finding]:
    """Return everything that is wrong with the trading days from *first* to *last*.

    Args:
        inventory: What there is of them.
        first: The first day that should be there.
        last: The last one.
        is_wanted: Whether days are missed even where none was ever stored. A lake that only collects portfolios lacks
            nothing.
    """
    findings = []
    if is_wanted or inventory.any_stored:
        findings = [_missing(day) for day in trading_days(first, last) if day not in inventory.stored]
    findings += [
        Finding(
            Kind.QUARANTINED,
            None,
            None,
            f"{refused.key} ({refused.file_name or 'no name'}): {refused.reason}",
            "See the runbook, *A file was refused*: import it, or delete it and its .json.",
            Cure.BY_HAND,
        )
        for refused in inventory.quarantined
        if refused.sha256 not in inventory.sources
    ]
    findings += [
        Finding(Kind.FOREIGN_OBJECT, None, None, f"{uri} is none of ours.", "Move or delete it.", Cure.BY_HAND)
        for uri in inventory.foreign_keys
    ]
    return findings


def _missing(day: dt.date) -> Finding:
    return Finding(
        Kind.MISSING_TRADING_DAY,
        None,
        TradingDay(day),
        "Not stored, and its day is over.",
        "`doctor --repair` fetches it from B3; for years, `import-cotahist` the yearly file.",
        Cure.FETCH,
    )
