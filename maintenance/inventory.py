"""Reads what there is of an index within a period: three listings a bucket, and each session's bytes once."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from bovespa.errors import UnexpectedEvent
from bovespa.layout import (
    COMPACT_TABLE_NAMES,
    PORTFOLIO_PREFIX,
    PORTFOLIO_TABLE,
    QUARANTINE_PREFIX,
    SOURCE_PREFIX,
    Receipt,
    RefinedPartition,
    Session,
    index_of_folder,
    portfolio_index_prefix,
    receipts_index_prefix,
    source_index_prefix,
)
from bovespa.session_state import JobRun, RawObject
from maintenance.checks import Inventory, Quarantined, Raw, SessionFacts, Source
from maintenance.listing import PORTFOLIO_SUFFIXES, read_bodies, refused_files, unexplained_files
from maintenance.trading import quarantined
from maintenance.year_reader import YearReader
from maintenance.years import YearFacts
from s3_bucket_manager.aws import storage_errors
from s3_bucket_manager.listing import Entry, list_all, list_period
from s3_bucket_manager.session_states import SessionStates


class InventoryReader:
    """Reads inventories; writes nothing.

    Args:
        s3: A client.
        glue: A client.
        states: Reads the runs of the job.
        raw_bucket: Where the sessions are.
        refined_bucket: Where the rows are.
        database: The Glue database of the refined table.
    """

    def __init__(
        self, s3: Any, glue: Any, states: SessionStates, *, raw_bucket: str, refined_bucket: str, database: str
    ) -> None:
        self._s3 = s3
        self._states = states
        self._raw_bucket = raw_bucket
        self._refined_bucket = refined_bucket
        self._years = YearReader(s3, glue, refined_bucket=refined_bucket, database=database)

    def index_codes(self) -> list[str]:
        """Return every index of which there is anything in the two buckets.

        Raises:
            StorageUnavailable: S3 did not answer or refused.
        """
        found: set[str] = set()
        folders = (
            (self._raw_bucket, SOURCE_PREFIX),
            (self._raw_bucket, PORTFOLIO_PREFIX),
            (self._refined_bucket, PORTFOLIO_PREFIX),
        )
        for bucket, prefix in folders:
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
            with storage_errors(f"listing s3://{bucket}/{prefix}"):
                for page in pages:
                    codes = (index_of_folder(one["Prefix"]) for one in page.get("CommonPrefixes", ()))
                    found |= {index_code for index_code in codes if index_code is not None}
        return sorted(found)

    def read(self, index_code: str, first: dt.date, last: dt.date) -> Inventory:
        """Return what there is of one index from *first* to *last*, both included.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused.
        """
        foreign: list[str] = []
        raw = self._raw_objects(index_code, first, last, foreign)
        sources = self._source_entries(index_code, first, last, foreign)
        files, foreign_in = self._refined_files(index_code, first, last, foreign)
        receipts = self._receipts(index_code, first, last, foreign)
        partitions = self._partitions(index_code, first, last)
        years = self._compact_years(index_code, first, last, foreign)
        compact = _sessions_of(years, first, last)
        keys = [(session.raw_key, session) for session in raw]
        keys += [(session.source_key(sha256), session) for session, found in sources.items() for sha256 in found]
        bodies = self._bodies(key for key, _ in keys)
        places = (raw, sources, files, foreign_in, receipts, partitions, compact)
        sessions = sorted({session for place in places for session in place})
        pending = [
            stored.stored_at for session, stored in raw.items() if stored.version not in receipts.get(session, ())
        ]
        return Inventory(
            index_code,
            self._refined_bucket,
            tuple(
                SessionFacts(
                    session,
                    # Gone since it was listed is as good as never listed.
                    Raw(raw[session], bodies[session.raw_key]) if session.raw_key in bodies else None,
                    tuple(
                        Source(sha256, entry.modified_at, bodies[entry.key])
                        for sha256, entry in sorted(sources.get(session, {}).items())
                        if entry.key in bodies
                    ),
                    frozenset(files.get(session, ())),
                    tuple(foreign_in.get(session, ())),
                    partitions.get(session, {}),
                    frozenset(receipts.get(session, ())),
                    frozenset(compact.get(session, ())),
                )
                for session in sessions
            ),
            tuple(self._runs(pending)),
            tuple(years),
            tuple(self._quarantined(index_code, first, last)),
            tuple(foreign),
            self.first_stored(index_code),
        )

    def _runs(self, pending: list[dt.datetime]) -> list[JobRun]:
        """Back to the oldest version that waits for a run; without one, the newest page tells the last success."""
        return self._states.runs_since(min(pending, default=dt.datetime.max.replace(tzinfo=dt.UTC)))

    def _raw_objects(
        self, index_code: str, first: dt.date, last: dt.date, foreign: list[str]
    ) -> dict[Session, RawObject]:
        found = {}
        for entry in self._list(self._raw_bucket, portfolio_index_prefix(index_code), first, last):
            try:
                session = Session.from_raw_key(entry.key)
            except UnexpectedEvent:
                foreign.append(f"s3://{self._raw_bucket}/{entry.key}")
                continue
            found[session] = RawObject(f"s3://{self._raw_bucket}/{entry.key}", entry.etag, entry.modified_at)
        return found

    def _source_entries(
        self, index_code: str, first: dt.date, last: dt.date, foreign: list[str]
    ) -> dict[Session, dict[str, Entry]]:
        found: defaultdict[Session, dict[str, Entry]] = defaultdict(dict)
        for entry in self._list(self._raw_bucket, source_index_prefix(index_code), first, last):
            try:
                session, sha256 = Session.from_source_key(entry.key)
            except UnexpectedEvent:
                foreign.append(f"s3://{self._raw_bucket}/{entry.key}")
            else:
                found[session][sha256] = entry
        return found

    def _refined_files(
        self, index_code: str, first: dt.date, last: dt.date, foreign: list[str]
    ) -> tuple[dict[Session, set[str]], dict[Session, list[str]]]:
        files: defaultdict[Session, set[str]] = defaultdict(set)
        foreign_in: defaultdict[Session, list[str]] = defaultdict(list)
        # The refined table's folders are named like those of the raw bucket.
        for entry in self._list(self._refined_bucket, portfolio_index_prefix(index_code), first, last):
            try:
                partition = RefinedPartition.from_key(entry.key)
            except UnexpectedEvent:
                try:
                    foreign_in[Session.of_refined_folder(entry.key)].append(entry.key)
                except UnexpectedEvent:
                    foreign.append(f"s3://{self._refined_bucket}/{entry.key}")
            else:
                files[partition.session].add(partition.ticker)
        return files, foreign_in

    def _receipts(self, index_code: str, first: dt.date, last: dt.date, foreign: list[str]) -> dict[Session, set[str]]:
        found: defaultdict[Session, set[str]] = defaultdict(set)
        for entry in self._list(self._refined_bucket, receipts_index_prefix(index_code), first, last):
            try:
                receipt = Receipt.from_key(entry.key)
            except UnexpectedEvent:
                foreign.append(f"s3://{self._refined_bucket}/{entry.key}")
            else:
                found[receipt.session].add(receipt.raw_version)
        return found

    def _partitions(self, index_code: str, first: dt.date, last: dt.date) -> dict[Session, dict[str, str]]:
        found: defaultdict[Session, dict[str, str]] = defaultdict(dict)
        within = f"index_code = '{index_code}' AND session_date BETWEEN '{first}' AND '{last}'"
        for (code, date, ticker), location in self._years.registered(PORTFOLIO_TABLE, within):
            session = Session(code, dt.date.fromisoformat(date))
            if session.index_code != index_code or not first <= session.session_date <= last:
                continue  # what a repair rests on is checked again here
            found[session][ticker] = location
        return found

    def _compact_years(self, index_code: str, first: dt.date, last: dt.date, foreign: list[str]) -> list[YearFacts]:
        """Whole years, of which the period may be a part: a merged object is one year's."""
        within = range(first.year, last.year + 1)
        return [
            facts for table in COMPACT_TABLE_NAMES for facts in self._years.read(table, index_code, within, foreign)
        ]

    def _quarantined(self, index_code: str, first: dt.date, last: dt.date) -> Iterator[Quarantined]:
        """Refused files of the index that came within the period."""
        keys = [entry.key for entry in self._list(self._raw_bucket, QUARANTINE_PREFIX, first, last)]
        files = refused_files(keys, PORTFOLIO_SUFFIXES)
        for reason_key, body in self._bodies(files).items():
            found = quarantined(files[reason_key], body)
            # A file that says no index concerns every one of them.
            if found.index_code in ("", index_code):
                yield found
        yield from (quarantined(key, None) for key in unexplained_files(keys, PORTFOLIO_SUFFIXES))

    def first_stored(self, index_code: str) -> dt.date | None:
        """Return the date of the first raw session of one index, None if there is none.

        Raises:
            StorageUnavailable: S3 did not answer or refused.
        """
        for entry in list_all(self._s3, self._raw_bucket, portfolio_index_prefix(index_code)):
            # What somebody else has put before it must not hide the first one.
            with contextlib.suppress(UnexpectedEvent):
                return Session.from_raw_key(entry.key).session_date
        return None

    def _list(self, bucket: str, prefix: str, first: dt.date, last: dt.date) -> Iterator[Entry]:
        return list_period(self._s3, bucket, prefix, first, last)

    def _bodies(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The content of objects of the raw bucket; those that are gone by now are left out."""
        return dict(read_bodies(self._s3, self._raw_bucket, keys))


def _sessions_of(years: Iterable[YearFacts], first: dt.date, last: dt.date) -> dict[Session, set[str]]:
    """The compact tables that have an object of each session of the period."""
    found: defaultdict[Session, set[str]] = defaultdict(set)
    for facts in years:
        for session in map(facts.year.session, facts.objects):
            if first <= session.session_date <= last:
                found[session].add(facts.year.table)
    return found
