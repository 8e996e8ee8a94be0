"""What a run is asked to do, and the raw objects that matter to it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bovespa.imports import ImportManifest
from bovespa.layout import TRADING_PREFIX, Import, Session, TradingDay
from bovespa.session_state import ALL_SESSIONS
from glue.lake import (
    PARALLEL_REQUESTS,
    every_raw_session,
    every_raw_trading_day,
    every_receipted_session,
    every_receipted_trading_day,
    every_refined_session,
    every_refined_trading_day,
    raw_trading_versions,
    raw_versions,
    stored_index_codes,
)
from glue.window import CalendarDay, MarketDay, plan_calendar, plan_market, reach


@dataclass(frozen=True, slots=True)
class Subjects:
    """Sessions and trading days whose raw objects changed; they need not be stored any more."""

    sessions: frozenset[Session]
    trading_days: frozenset[TradingDay]


Named = Subjects | Import | None
"""What a run's `--sessions` names; None is everything."""


def parse_subjects(text: str) -> Named:
    """Read a run's `--sessions`.

    Raises:
        InvalidRequest: *text* is not of one of its forms.
    """
    if text == ALL_SESSIONS:
        return None
    if text.startswith(Import.NAME_PREFIX):
        return Import.parse(text)
    named = text.split(",")
    return _subjects([TradingDay.parse(one) if one.startswith(TRADING_PREFIX) else Session.parse(one) for one in named])


def subjects_of(named: Named, s3: Any, *, raw_bucket: str, refined_bucket: str) -> Subjects:
    """Return the sessions and trading days that *named* stands for, as of now.

    Everything is what is stored, and what is not stored any more and must be withdrawn: what has a receipt, and what
    has rows, for a run that withdraws begins with the receipts and may not come to its end.
    """
    if isinstance(named, Subjects):
        return named
    if isinstance(named, Import):
        manifest = ImportManifest.from_json(s3.get_object(Bucket=raw_bucket, Key=named.key)["Body"].read())
        return _subjects([*manifest.sessions, *manifest.trading_days])
    return _subjects(
        [
            *every_raw_session(s3, raw_bucket),
            *every_receipted_session(s3, refined_bucket),
            *every_refined_session(s3, refined_bucket),
            *every_raw_trading_day(s3, raw_bucket),
            *every_receipted_trading_day(s3, refined_bucket),
            *every_refined_trading_day(s3, refined_bucket),
        ]
    )


def _subjects(found: list[Session | TradingDay]) -> Subjects:
    return Subjects(
        frozenset(one for one in found if isinstance(one, Session)),
        frozenset(one for one in found if isinstance(one, TradingDay)),
    )


@dataclass(frozen=True, slots=True)
class Versions:
    """Raw objects and the version (ETag) of each: two that are equal are the same state of the raw bucket."""

    sessions: Mapping[Session, str]
    trading_days: Mapping[TradingDay, str]


def versions_within_reach(subjects: Subjects, s3: Any, raw_bucket: str) -> Versions:
    """List the raw objects that can influence, or be influenced by, *subjects*.

    A trading day concerns every index; a session concerns its own, and reads trading days.
    """
    market = {day.session_date for day in subjects.trading_days}
    dates: defaultdict[str, set[dt.date]] = defaultdict(set)
    for session in subjects.sessions:
        dates[session.index_code].add(session.session_date)
    every_date = market.union(*dates.values())
    if not every_date:
        return Versions({}, {})

    def sessions_of(index_code: str) -> dict[Session, str]:
        within = reach(dates.get(index_code, set()) | market)
        return raw_versions(s3, raw_bucket, index_code, within.first, within.last)

    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        within = reach(every_date)
        trading_days = pool.submit(raw_trading_versions, s3, raw_bucket, within.first, within.last)
        concerned = dates.keys() | (stored_index_codes(s3, raw_bucket) if market else [])
        sessions: dict[Session, str] = {}
        for found in pool.map(sessions_of, sorted(concerned)):
            sessions |= found
        return Versions(sessions, trading_days.result())


@dataclass(frozen=True)
class Plan:
    """What a run reads, writes and withdraws."""

    subjects: Subjects
    versions: Versions
    calendar: tuple[CalendarDay, ...]
    """The trading sessions of each index."""
    market: tuple[MarketDay, ...]
    """The trading days of the whole market."""

    @cached_property
    def sessions(self) -> list[Session]:
        """The sessions to write, in order."""
        return sorted(Session(day.index_code, day.session_date) for day in self.calendar if day.is_output)

    @cached_property
    def sessions_read(self) -> list[Session]:
        """The stored sessions on which something that is written can depend, in order."""
        return sorted(Session(day.index_code, day.session_date) for day in self.calendar if day.is_read)

    @cached_property
    def trading_days(self) -> list[TradingDay]:
        """The trading days to write, in order."""
        return [TradingDay(day.session_date) for day in self.market if day.is_output]

    @cached_property
    def trading_days_read(self) -> list[TradingDay]:
        """The stored trading days on which something that is written can depend, in order."""
        return [TradingDay(day.session_date) for day in self.market if day.is_read]

    @property
    def sessions_gone(self) -> list[Session]:
        """Sessions that were asked for and are not stored any more."""
        return sorted(self.subjects.sessions - self.versions.sessions.keys())

    @property
    def trading_days_gone(self) -> list[TradingDay]:
        """Trading days that were asked for and are not stored any more."""
        return sorted(self.subjects.trading_days - self.versions.trading_days.keys())


def plan(subjects: Subjects, versions: Versions) -> Plan:
    """Say what a run over *subjects* does when the raw bucket is in the state *versions*."""
    wanted: defaultdict[str, list[dt.date]] = defaultdict(list)
    stored: defaultdict[str, list[dt.date]] = defaultdict(list)
    for session in subjects.sessions:
        wanted[session.index_code].append(session.session_date)
    for session in versions.sessions:
        stored[session.index_code].append(session.session_date)
    moved = [day.session_date for day in subjects.trading_days]
    calendar = tuple(
        day
        for index_code in sorted(wanted.keys() | stored.keys())
        for day in plan_calendar(index_code, wanted[index_code], stored[index_code], moved)
    )
    market = plan_market(
        moved,
        [day.session_date for day in versions.trading_days],
        [day.session_date for day in calendar if day.is_output],
    )
    return Plan(subjects, versions, calendar, tuple(market))
