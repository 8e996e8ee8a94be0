"""The doctor's knowledge of trading days: what there is of them, in; what is wrong with it, out. No I/O."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from bovespa.calendar import trading_days
from bovespa.errors import InvalidTradingDay
from bovespa.layout import TRADING_PREFIX, TradingDay, trading_year_source_key
from bovespa.session_state import JobRun, RawObject, State, state_of
from bovespa.trading_day import Quote
from maintenance.checks import Quarantined
from maintenance.findings import RUN_IT, Cure, Finding, Kind, foreign_object, in_order, refused_file
from maintenance.listing import TRADING_SUFFIXES
from maintenance.runs import check_progress, failed_runs
from maintenance.years import YearFacts, check_years
from s3_bucket_manager.trading_parquet import read_trading_day, read_trading_facts

_FETCH_IT = "`doctor --repair` fetches it from B3 again; a day that B3 keeps in a yearly file only, `import-cotahist`."


@dataclass(frozen=True, slots=True)
class RawTradingDay:
    """A raw trading day and what opening it told."""

    stored: RawObject
    source_key: str = ""
    """Key of the file that it says it was made from, empty if it says none."""
    defect: str | None = None
    """What is wrong with it, as far as that was looked at; None for nothing."""


@dataclass(frozen=True, slots=True)
class TradingDayFacts:
    """Everything that is known of one trading day, whichever part of it exists."""

    day: TradingDay
    raw: RawTradingDay | None = None
    receipts: frozenset[str] = frozenset()
    """Versions of the raw object that a receipt speaks of."""
    is_refined_object_there: bool = False


@dataclass(frozen=True, slots=True)
class TradingInventory:
    """What there is of trading days within a period."""

    any_stored: bool
    """Whether there is a trading day at all, within the period or not."""
    days: tuple[TradingDayFacts, ...] = ()
    """Every day of which anything exists but a file of B3."""
    source_keys: frozenset[str] = frozenset()
    """Every file of B3 that is kept, of whatever day."""
    damaged_source_keys: tuple[str, ...] = ()
    """Those that do not hold the bytes that their names say, as far as that was looked at."""
    refined_bucket: str = ""
    years: tuple[YearFacts, ...] = ()
    """Every year of the period of which table `trading` has anything."""
    runs: tuple[JobRun, ...] = ()
    """Runs of the job, at least back to the oldest day without a receipt."""
    quarantined: tuple[Quarantined, ...] = ()
    foreign_keys: tuple[str, ...] = ()
    """URIs of objects that are in no day's place."""


@dataclass(frozen=True, slots=True)
class RowTally:
    """Rows of one day, whatever their order, in a few bytes: to be compared within one process."""

    rows: int = 0
    hashes: int = 0

    def plus(self, quote: Quote) -> RowTally:
        """This and one more row."""
        return RowTally(self.rows + 1, (self.hashes + hash(quote)) % 2**64)


def tally(quotes: Iterable[Quote]) -> RowTally:
    """Return the tally of *quotes*."""
    found = RowTally()
    for quote in quotes:
        found = found.plus(quote)
    return found


def open_raw(stored: RawObject, content: bytes, day: TradingDay) -> RawTradingDay:
    """Return what the Parquet of a trading day tells of itself; its rows are not compared with anything.

    Args:
        stored: The object.
        content: Its bytes.
        day: The day that its key names.
    """
    try:
        facts = read_trading_facts(content)
    except InvalidTradingDay as error:
        return RawTradingDay(stored, defect=f"it cannot be read: {error.reason}")
    key, sha256 = facts.get("source_key", ""), facts.get("source_sha256", "")
    of_day = {day.source_key(sha256, suffix) for suffix in TRADING_SUFFIXES}
    of_year = {trading_year_source_key(day.session_date.year, sha256, suffix) for suffix in TRADING_SUFFIXES}
    if not sha256 or key not in of_day | of_year:
        return RawTradingDay(stored, defect="it does not say which bytes it was made from")
    return RawTradingDay(stored, key)


def tally_of_raw(content: bytes, day: TradingDay) -> RowTally:
    """Return the tally of a raw trading day.

    Raises:
        UnreadableTradingDay: *content* is no raw trading day.
    """
    return tally(read_trading_day(content, day))


def quarantined(key: str, reason: bytes | None) -> Quarantined:
    """Return what is known of a refused file.

    Args:
        key: Of the file.
        reason: The object beside it that says why; None if there is none.
    """
    # The name of the file is the digest of its bytes.
    unexplained = Quarantined(key, "", "", "its reason cannot be read", PurePosixPath(key).stem)
    if reason is None:
        return unexplained
    try:
        found: Mapping[str, Any] = json.loads(reason)
        return Quarantined(key, found["index_code"], found["file_name"], found["reason"], found["sha256"])
    except (ValueError, KeyError, TypeError):
        return unexplained


def check_trading_days(
    inventory: TradingInventory, *, first: dt.date, last: dt.date, is_wanted: bool = False
) -> list[Finding]:
    """Return everything that is wrong with trading days.

    Args:
        inventory: What there is of them.
        first: The first day that should be there.
        last: The last one.
        is_wanted: Whether days are missed even where none was ever stored. A lake that only collects portfolios lacks
            nothing.
    """
    findings: list[Finding] = []
    if is_wanted or inventory.any_stored:
        stored = {facts.day.session_date for facts in inventory.days if facts.raw}
        findings = [_missing(day) for day in trading_days(first, last) if day not in stored]
    for facts in inventory.days:
        findings += _check_day(facts, inventory)
    findings += check_years(inventory.years, inventory.refined_bucket, findings)
    findings = in_order(findings)
    findings += _check_files(inventory)
    if inventory.any_stored or inventory.days:
        findings += failed_runs(inventory.runs, index_code=None, prefix=TRADING_PREFIX)
    return findings


def _check_files(inventory: TradingInventory) -> Iterator[Finding]:
    """What is wrong with files that belong to no day, or to many."""
    for key in inventory.damaged_source_keys:
        yield Finding(
            Kind.SOURCE_DAMAGED,
            None,
            None,
            f"{key} does not hold the bytes that its name says.",
            "Restore the first version of the object: the bucket is versioned.",
            Cure.BY_HAND,
        )
    known = {key.rpartition("/")[2].partition(".")[0] for key in inventory.source_keys}
    for refused in inventory.quarantined:
        if refused.sha256 not in known:
            yield refused_file(None, refused.key, refused.file_name, refused.reason)
    for uri in inventory.foreign_keys:
        yield foreign_object(None, uri)


def _missing(day: dt.date) -> Finding:
    return Finding(
        Kind.MISSING_TRADING_DAY,
        None,
        TradingDay(day),
        "Not stored, and its day is over.",
        "`doctor --repair` fetches it from B3; for years, `import-cotahist` the yearly file.",
        Cure.FETCH,
    )


def _check_day(facts: TradingDayFacts, inventory: TradingInventory) -> Iterator[Finding]:
    day = facts.day

    def found(kind: Kind, detail: str, remedy: str, cure: Cure) -> Finding:
        return Finding(kind, None, day, detail, remedy, cure)

    refined = "A refined object" if facts.is_refined_object_there else ""
    if facts.raw is None:
        there = [refined.lower()] if refined else []
        there += [f"{len(facts.receipts)} receipts"] if facts.receipts else []
        yield found(
            Kind.REFINED_WITHOUT_RAW,
            f"{day.raw_key} is not stored, but there are {' and '.join(there)}.",
            "`doctor --repair` removes them, or refines the day anew if B3 gives it again.",
            Cure.REFINE,
        )
        return
    if facts.raw.defect is not None:
        yield found(Kind.RAW_DAMAGED, f"{day.raw_key}: {facts.raw.defect}.", _FETCH_IT, Cure.FETCH)
    elif facts.raw.source_key not in inventory.source_keys:
        yield found(
            Kind.SOURCE_MISSING,
            f"{facts.raw.source_key}, from which the raw object was made, is gone.",
            "Restore it: the bucket is versioned; or import the same file. The values are safe in the raw object.",
            Cure.BY_HAND,
        )
    has_receipt = facts.raw.stored.version in facts.receipts
    state = state_of(day, facts.raw.stored, has_receipt=has_receipt, runs=inventory.runs)
    yield from check_progress(state, facts.receipts, refined, found)
    if state.state is State.REFINED and not facts.is_refined_object_there:
        yield found(Kind.MISSING_FILE, "Table trading has no object of the day.", RUN_IT, Cure.REFINE)
