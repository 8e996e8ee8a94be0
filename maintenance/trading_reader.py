"""Reads what there is of trading days within a period: a listing a kind of object, and each raw object once."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from bovespa.cotahist import CotahistReader
from bovespa.cotahist_archive import open_cotahist
from bovespa.errors import InvalidTradingDay, UnexpectedEvent
from bovespa.layout import (
    DATED_TRADING_PREFIX,
    DATED_TRADING_RECEIPTS_PREFIX,
    DATED_TRADING_SOURCE_PREFIX,
    QUARANTINE_PREFIX,
    TRADING_PREFIX,
    TRADING_SOURCE_PREFIX,
    TRADING_TABLE,
    TradingDay,
    TradingReceipt,
)
from bovespa.session_state import RawObject
from maintenance.checks import Quarantined
from maintenance.listing import TRADING_SUFFIXES, read_bodies, refused_files, unexplained_files
from maintenance.trading import (
    RawTradingDay,
    RowTally,
    TradingDayFacts,
    TradingInventory,
    open_raw,
    quarantined,
    tally_of_raw,
)
from maintenance.year_reader import YearReader
from maintenance.years import YearFacts
from s3_bucket_manager.aws import is_missing, storage_errors
from s3_bucket_manager.listing import list_all, list_period
from s3_bucket_manager.session_states import SessionStates


class TradingReader:
    """Reads inventories; writes nothing.

    Args:
        s3: A client.
        glue: A client.
        states: Reads the runs of the job.
        raw_bucket: Where the trading days are.
        refined_bucket: Where the rows are.
        database: The Glue database of table `trading`.
    """

    def __init__(
        self, s3: Any, glue: Any, states: SessionStates, *, raw_bucket: str, refined_bucket: str, database: str
    ) -> None:
        self._s3 = s3
        self._states = states
        self._raw_bucket = raw_bucket
        self._refined_bucket = refined_bucket
        self._years = YearReader(s3, glue, refined_bucket=refined_bucket, database=database)

    def read(self, first: dt.date, last: dt.date, *, compare_rows: bool = False) -> TradingInventory:
        """Return what there is from *first* to *last*, both included.

        Where trading days were never collected, that is two listings of a few names, and the refused files.

        Args:
            first: The period's first day.
            last: The period's last day.
            compare_rows: Whether each day's rows are compared with those of the file that it was made from. Each file
                is read once, whole: a yearly one takes half a minute.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused.
        """
        in_raw, in_refined = self._folders(self._raw_bucket), self._folders(self._refined_bucket)
        refused = tuple(self._quarantined(first, last)) if QUARANTINE_PREFIX in in_raw else ()
        if TRADING_PREFIX not in in_raw | in_refined:
            return TradingInventory(any_stored=False, quarantined=refused)
        foreign: list[str] = []
        stored = self._stored(first, last, foreign)
        sources = frozenset(entry.key for entry in list_all(self._s3, self._raw_bucket, TRADING_SOURCE_PREFIX))
        receipts = self._receipts(first, last, foreign)
        years = tuple(self._years.read(TRADING_TABLE, None, range(first.year, last.year + 1), foreign))
        objects = {day for facts in years for day in _days_of(facts) if first <= day.session_date <= last}
        raw, tallies = self._open(stored, compare_rows=compare_rows)
        damaged: list[str] = []
        for day, defect in self._compare(raw, tallies, sources, damaged):
            raw[day] = replace(raw[day], defect=defect)
        pending = [one.stored.stored_at for day, one in raw.items() if one.stored.version not in receipts.get(day, ())]
        return TradingInventory(
            any_stored=TRADING_PREFIX in in_raw,
            days=tuple(
                TradingDayFacts(day, raw.get(day), frozenset(receipts.get(day, ())), day in objects)
                for day in sorted(raw.keys() | receipts.keys() | objects)
            ),
            source_keys=sources,
            damaged_source_keys=tuple(damaged),
            refined_bucket=self._refined_bucket,
            years=years,
            # Back to the oldest version that waits for a run; without one, the newest page tells the last success.
            runs=tuple(self._states.runs_since(min(pending, default=dt.datetime.max.replace(tzinfo=dt.UTC)))),
            quarantined=refused,
            foreign_keys=tuple(foreign),
        )

    def _folders(self, bucket: str) -> set[str]:
        """The first part of every key of a bucket: one page, however much there is."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/")
        with storage_errors(f"listing s3://{bucket}/"):
            return {folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", ())}

    def _stored(self, first: dt.date, last: dt.date, foreign: list[str]) -> dict[TradingDay, RawObject]:
        found = {}
        for entry in list_period(self._s3, self._raw_bucket, DATED_TRADING_PREFIX, first, last):
            uri = f"s3://{self._raw_bucket}/{entry.key}"
            try:
                found[TradingDay.from_raw_key(entry.key)] = RawObject(uri, entry.etag, entry.modified_at)
            except UnexpectedEvent:
                foreign.append(uri)
        return found

    def _receipts(self, first: dt.date, last: dt.date, foreign: list[str]) -> dict[TradingDay, set[str]]:
        found: defaultdict[TradingDay, set[str]] = defaultdict(set)
        for entry in list_period(self._s3, self._refined_bucket, DATED_TRADING_RECEIPTS_PREFIX, first, last):
            try:
                receipt = TradingReceipt.from_key(entry.key)
            except UnexpectedEvent:
                foreign.append(f"s3://{self._refined_bucket}/{entry.key}")
            else:
                found[receipt.day].add(receipt.raw_version)
        return found

    def _open(
        self, stored: Mapping[TradingDay, RawObject], *, compare_rows: bool
    ) -> tuple[dict[TradingDay, RawTradingDay], dict[TradingDay, RowTally]]:
        """Each raw object as it tells of itself, and the tallies of those that can be compared; none is kept."""
        raw: dict[TradingDay, RawTradingDay] = {}
        tallies: dict[TradingDay, RowTally] = {}
        days = {day.raw_key: day for day in stored}
        for key, content in read_bodies(self._s3, self._raw_bucket, days):
            day = days[key]
            raw[day] = open_raw(stored[day], content, day)
            if compare_rows and raw[day].defect is None:
                tallies[day] = tally_of_raw(content, day)
        return raw, tallies

    def _compare(
        self,
        raw: Mapping[TradingDay, RawTradingDay],
        tallies: Mapping[TradingDay, RowTally],
        sources: Collection[str],
        damaged: list[str],
    ) -> Iterator[tuple[TradingDay, str]]:
        """Yield the days whose rows are not those of their file, with what is wrong."""
        made_from: defaultdict[str, list[TradingDay]] = defaultdict(list)
        for day in tallies:
            if raw[day].source_key in sources:
                made_from[raw[day].source_key].append(day)
        for key, days in made_from.items():
            with tempfile.TemporaryFile() as file:
                if not self._download(key, file):
                    continue  # gone since it was listed
                if hashlib.file_digest(file, "sha256").hexdigest() != key.rpartition("/")[2].partition(".")[0]:
                    damaged.append(key)
                    continue
                file.seek(0)
                try:
                    found = _tallies_of_file(file, days[0] if key.startswith(DATED_TRADING_SOURCE_PREFIX) else None)
                except InvalidTradingDay as error:
                    yield from ((day, f"the bytes that it names are no record of it: {error}") for day in days)
                    continue
            for day in days:
                if found.get(day) != tallies[day]:
                    yield day, "its rows are not those of the bytes that it names"

    def _download(self, key: str, file: BinaryIO) -> bool:
        with storage_errors(f"reading s3://{self._raw_bucket}/{key}"):
            try:
                shutil.copyfileobj(self._s3.get_object(Bucket=self._raw_bucket, Key=key)["Body"], file)
            except ClientError as error:
                if is_missing(error):
                    return False
                raise
        file.seek(0)
        return True

    def _quarantined(self, first: dt.date, last: dt.date) -> Iterator[Quarantined]:
        keys = [entry.key for entry in list_period(self._s3, self._raw_bucket, QUARANTINE_PREFIX, first, last)]
        files = refused_files(keys, TRADING_SUFFIXES)
        for reason_key, reason in read_bodies(self._s3, self._raw_bucket, files):
            yield quarantined(files[reason_key], reason)
        yield from (quarantined(key, None) for key in unexplained_files(keys, TRADING_SUFFIXES))


def _tallies_of_file(file: BinaryIO, day: TradingDay | None) -> dict[TradingDay, RowTally]:
    """The tally of each day of a file; *day* if it must be of that one."""
    found: dict[TradingDay, RowTally] = {}
    with open_cotahist(file) as text:
        for quote in CotahistReader(text, session_date=None if day is None else day.session_date):
            of_day = TradingDay(quote.session_date)
            found[of_day] = found.get(of_day, RowTally()).plus(quote)
    return found


def _days_of(facts: YearFacts) -> Iterator[TradingDay]:
    return (TradingDay(facts.year.session_date(key)) for key in facts.objects)
