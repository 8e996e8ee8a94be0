"""The doctor's knowledge: what the buckets, the catalog and the runs hold, in; what is wrong with it, out. No I/O."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bovespa.calendar import trading_days
from bovespa.errors import InvalidPortfolio
from bovespa.layout import COMPACT_TABLE_NAMES, SECTORS_TABLE, RefinedPartition, Session
from bovespa.portfolio import Portfolio, View
from bovespa.portfolio_csv import parse_csv
from bovespa.session_state import JobRun, RawObject, State, state_of
from maintenance.findings import RUN_IT, Cure, Finding, Kind, foreign_object, in_order, refused_file, shown
from maintenance.runs import Found, check_progress, failed_runs
from maintenance.years import YearFacts, check_years
from s3_bucket_manager.manager import is_news
from s3_bucket_manager.raw_parquet import read_facts, read_portfolio

_REBUILD_IT = "`doctor --repair` makes it anew from the bytes and refines the session."


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes of B3 that are kept for a session."""

    sha256: str
    """The digest that the key names."""
    arrived_at: dt.datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """A session's raw object, opened."""

    stored: RawObject
    content: bytes


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Everything that is known of one session, whichever part of it exists."""

    session: Session
    raw: Raw | None = None
    sources: tuple[Source, ...] = ()
    files: frozenset[str] = frozenset()
    """Tickers that have a file in the refined bucket."""
    foreign_keys: tuple[str, ...] = ()
    """Other objects in the session's folder of the refined bucket."""
    partitions: Mapping[str, str] = field(default_factory=dict)
    """Location of each ticker that the catalog has."""
    receipts: frozenset[str] = frozenset()
    """Versions of the raw object that a receipt speaks of."""
    compact: frozenset[str] = frozenset()
    """The compact tables that have an object of the session."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A refused file that is kept."""

    key: str
    index_code: str
    file_name: str
    reason: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is of one index within a period."""

    index_code: str
    refined_bucket: str
    sessions: tuple[SessionFacts, ...]
    """Every session of which anything exists."""
    runs: tuple[JobRun, ...]
    """Runs of the job, at least back to the oldest session without a receipt."""
    compact_years: tuple[YearFacts, ...] = ()
    """Every year of the period, of each compact table, of which anything exists."""
    quarantined: tuple[Quarantined, ...] = ()
    foreign_keys: tuple[str, ...] = ()
    """URIs of objects of the index that are in no session's place."""
    first_stored: dt.date | None = None
    """Date of the first raw session of the index, within the period or not."""


def check(inventory: Inventory, *, first: dt.date, last: dt.date, today: dt.date) -> list[Finding]:
    """Return everything that is wrong with an index, by session.

    Args:
        inventory: What there is.
        first: The period's first day.
        last: The period's last day.
        today: B3's date. Its session is not over, so that it is not stored yet is no gap.
    """
    findings: list[Finding] = []
    for facts in inventory.sessions:
        findings += _check_session(facts, inventory)
    findings += check_years(inventory.compact_years, inventory.refined_bucket, findings)
    findings += _gaps(inventory, first, min(last, today - dt.timedelta(days=1)))
    findings = in_order(findings)
    code = inventory.index_code
    known = {source.sha256 for facts in inventory.sessions for source in facts.sources}
    for refused in inventory.quarantined:
        if refused.sha256 not in known:
            findings.append(refused_file(code, refused.key, refused.file_name, refused.reason))
    findings += [foreign_object(code, uri) for uri in inventory.foreign_keys]
    return findings + failed_runs(inventory.runs, index_code=code, prefix=f"{code}/")


def best_source(session: Session, sources: Iterable[Source]) -> tuple[Source, Portfolio] | None:
    """Return the bytes that the raw object of *session* is to be made from: what storing them in order would keep."""
    best: tuple[Source, Portfolio] | None = None
    for source in sorted(sources, key=lambda one: (one.arrived_at, one.sha256)):
        if hashlib.sha256(source.content).hexdigest() != source.sha256:
            continue
        try:
            portfolio = parse_csv(source.content, index_code=session.index_code, session_date=session.session_date)
        except InvalidPortfolio:
            continue
        if best is None or is_news(portfolio, best[1]):
            best = source, portfolio
    return best


def raw_defect(facts: SessionFacts, raw: Raw) -> str | None:
    """Return in what the raw object differs from the bytes that it says it was made from, None if in nothing."""
    try:
        portfolio = read_portfolio(raw.content, facts.session)
        digest = read_facts(raw.content).get("source_sha256", "")
    except InvalidPortfolio as error:
        return f"it cannot be read: {error.reason}"
    (named,) = [source for source in facts.sources if source.sha256 == digest] or (None,)
    if named is None:
        return None if digest else "it does not say which bytes it was made from"
    if hashlib.sha256(named.content).hexdigest() != digest:
        return None
    try:
        expected = parse_csv(
            named.content, index_code=facts.session.index_code, session_date=facts.session.session_date
        )
    except InvalidPortfolio as error:
        return f"the bytes that it names are no portfolio of this session: {error}"
    return None if portfolio == expected else "its rows are not those of the bytes that it names"


def _check_session(facts: SessionFacts, inventory: Inventory) -> Iterator[Finding]:
    session = facts.session

    def found(kind: Kind, detail: str, remedy: str, cure: Cure) -> Finding:
        return Finding(kind, inventory.index_code, session, detail, remedy, cure)

    for source in facts.sources:
        if hashlib.sha256(source.content).hexdigest() != source.sha256:
            yield found(
                Kind.SOURCE_DAMAGED,
                f"{session.source_key(source.sha256)} does not hold the bytes that its name says.",
                "Restore the first version of the object: the bucket is versioned.",
                Cure.BY_HAND,
            )
    if facts.raw is None:
        yield from _without_raw(facts, found)
        return
    yield from _check_raw(facts, facts.raw, found)
    state = state_of(
        session, facts.raw.stored, has_receipt=facts.raw.stored.version in facts.receipts, runs=inventory.runs
    )
    refined = f"{len(facts.files)} refined files" if facts.files else ""
    yield from check_progress(state, facts.receipts, refined, found)
    if state.state is State.REFINING:
        return
    yield from _check_refined(facts, facts.raw, inventory.refined_bucket, is_refined=state.state is State.REFINED)


def _without_raw(facts: SessionFacts, found: Found) -> Iterator[Finding]:
    key = facts.session.raw_key
    if facts.sources:
        if best_source(facts.session, facts.sources) is not None:
            yield found(Kind.RAW_MISSING, f"{key} is gone; B3's bytes are here.", _REBUILD_IT, Cure.REBUILD)
        else:
            yield found(
                Kind.RAW_MISSING,
                f"{key} is not there, and none of the {len(facts.sources)} files of the session can be read.",
                "Restore an older version of the object or of its bytes: the bucket is versioned.",
                Cure.BY_HAND,
            )
    leftovers = {
        "files": len(facts.files) + len(facts.foreign_keys),
        "partitions": len(facts.partitions),
        "receipts": len(facts.receipts),
        "compact objects": len(facts.compact),
    }
    if any(leftovers.values()):
        shown = ", ".join(f"{count} {what}" for what, count in leftovers.items() if count)
        yield found(
            Kind.REFINED_WITHOUT_RAW,
            f"Nothing is stored for the session, but there are {shown}.",
            "`doctor --repair` removes them, or refines the session anew if its raw object can be made again.",
            Cure.REFINE,
        )


def _check_raw(facts: SessionFacts, raw: Raw, found: Found) -> Iterator[Finding]:
    defect = raw_defect(facts, raw)
    rebuildable = best_source(facts.session, facts.sources) is not None
    if defect is not None:
        yield found(
            Kind.RAW_DAMAGED,
            f"{facts.session.raw_key}: {defect}.",
            _REBUILD_IT if rebuildable else "Restore an older version of the object: the bucket is versioned.",
            Cure.REBUILD if rebuildable else Cure.BY_HAND,
        )
        return
    digest = read_facts(raw.content)["source_sha256"]
    if digest not in {source.sha256 for source in facts.sources}:
        yield found(
            Kind.SOURCE_MISSING,
            f"{facts.session.source_key(digest)}, from which the raw object was made, is gone.",
            "Restore it: the bucket is versioned. The values are safe in the raw object.",
            Cure.BY_HAND,
        )
    # The bytes are kept before the Parquet is put, so that a writer that dies in between leaves them alone.
    later = [source for source in facts.sources if source.arrived_at > raw.stored.stored_at]
    newest = best_source(facts.session, later)
    if newest is not None and is_news(newest[1], read_portfolio(raw.content, facts.session)):
        yield found(
            Kind.RAW_OUTDATED,
            f"{facts.session.source_key(newest[0].sha256)} came later than {facts.session.raw_key} and says otherwise.",
            _REBUILD_IT,
            Cure.REBUILD,
        )


def _check_refined(facts: SessionFacts, raw: Raw, bucket: str, *, is_refined: bool) -> Iterator[Finding]:
    session = facts.session

    def found(kind: Kind, detail: str) -> Finding:
        return Finding(kind, session.index_code, session, detail, RUN_IT, Cure.REFINE)

    if facts.foreign_keys:
        yield found(Kind.FOREIGN_OBJECT, f"Objects that no run writes: {shown(facts.foreign_keys)}.")
    homeless = sorted(facts.partitions.keys() - facts.files)
    if homeless:
        yield found(Kind.PARTITION_WITHOUT_FILE, f"Partitions without a file: {shown(homeless)}.")
    wrong = sorted(
        ticker
        for ticker, location in facts.partitions.items()
        if f"{location.rstrip('/')}/" != f"s3://{bucket}/{RefinedPartition(session, ticker).prefix}"
    )
    if wrong:
        places = (f"{ticker} at {facts.partitions[ticker]}" for ticker in wrong)
        yield found(Kind.WRONG_LOCATION, f"Partitions that lead elsewhere: {shown(list(places))}.")
    if not is_refined:
        # What a run has yet to write is not missing.
        return
    try:
        portfolio = read_portfolio(raw.content, session)
    except InvalidPortfolio:
        return
    yield from _check_compact(facts, portfolio.view, found)
    tickers = {holding.ticker for holding in portfolio.holdings}
    stale = sorted((facts.files | facts.partitions.keys()) - tickers)
    if stale:
        yield found(Kind.STALE_TICKER, f"Tickers that are not in the portfolio: {shown(stale)}.")
    missing = sorted(tickers - facts.files)
    if missing:
        yield found(Kind.MISSING_FILE, f"Tickers without a file: {shown(missing)}.")
    unregistered = sorted((tickers & facts.files) - facts.partitions.keys())
    if unregistered:
        yield found(Kind.MISSING_PARTITION, f"Tickers that SQL does not see: {shown(unregistered)}.")


def _check_compact(facts: SessionFacts, view: View, found: Callable[[Kind, str], Finding]) -> Iterator[Finding]:
    expected = {*COMPACT_TABLE_NAMES} if view is View.SECTOR else {*COMPACT_TABLE_NAMES} - {SECTORS_TABLE}
    if absent := sorted(expected - facts.compact):
        yield found(Kind.MISSING_FILE, f"Tables without an object of the session: {shown(absent)}.")
    if unwanted := sorted(facts.compact - expected):
        yield found(Kind.FOREIGN_OBJECT, f"B3 gave the session by code, but there is an object in {shown(unwanted)}.")


def _gaps(inventory: Inventory, first: dt.date, last: dt.date) -> Iterator[Finding]:
    """Trading days since the first stored one of which nothing is there."""
    if inventory.first_stored is None:
        return
    kept = {facts.session.session_date for facts in inventory.sessions if facts.raw or facts.sources}
    for day in trading_days(max(first, inventory.first_stored), last):
        if day not in kept:
            yield Finding(
                Kind.MISSING_SESSION,
                inventory.index_code,
                Session(inventory.index_code, day),
                "Never stored, and its day is over.",
                "Lost, unless somebody has B3's file: then `import-csv` it. B3 does not offer it again.",
                Cure.NONE,
            )
