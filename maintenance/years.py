"""Whether readers find the years of the compact tables, by index or of the whole market. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bovespa.layout import CompactYear, Session, TradingDay
from maintenance.findings import RUN_IT, Cure, Finding, Kind


@dataclass(frozen=True, slots=True)
class YearFacts:
    """What there is of one year of a compact table."""

    year: CompactYear
    objects: Mapping[str, str] = field(default_factory=dict)
    """ETag of each session's or trading day's object, by key."""
    merged_keys: frozenset[str] = frozenset()
    location: str | None = None
    """Where the catalog sends readers; None if it does not know the year."""


def subject(year: CompactYear, key: str) -> Session | TradingDay:
    """Return what the object at *key* is of: a session, or in a table of no index a trading day.

    Raises:
        UnexpectedEvent: *key* is not the key of an object of this year.
    """
    return TradingDay(year.session_date(key)) if year.index_code is None else year.session(key)


def check_years(years: Iterable[YearFacts], bucket: str, known: Iterable[Finding]) -> list[Finding]:
    """Whether readers find what is there of *years*.

    Args:
        years: What there is of each.
        bucket: The refined one.
        known: Findings on the sessions or trading days in them. A run writes its objects first and shows them last, so
            what one that is under way has yet to show is not wrong.
    """
    at_work = {one.session.session_date.year for one in known if one.kind is Kind.REFINING and one.session}
    quiet = (facts for facts in years if facts.year.session_year not in at_work)
    return [finding for facts in quiet for finding in _check_year(facts, bucket)]


def _check_year(facts: YearFacts, bucket: str) -> Iterator[Finding]:
    """Whether readers find what is there of a year; a run over any one session or trading day of it mends it.

    Args:
        facts: What there is.
        bucket: The refined one.
    """
    year = facts.year
    where = " ".join((year.table, *year.values))

    def found(kind: Kind, detail: str, newest: Session | TradingDay | None) -> Finding:
        if newest is None:
            return Finding(kind, year.index_code, None, detail, "Remove it from the catalog.", Cure.BY_HAND)
        return Finding(kind, year.index_code, newest, detail, RUN_IT, Cure.REFINE)

    newest = subject(year, max(facts.objects)) if facts.objects else None
    if facts.location is None:
        if newest is not None:
            yield found(Kind.MISSING_PARTITION, f"SQL does not see {where}.", newest)
        return
    location = f"{facts.location.rstrip('/')}/".removeprefix(f"s3://{bucket}/")
    if location == year.sessions_prefix:
        if newest is None:
            yield found(Kind.PARTITION_WITHOUT_FILE, f"{where} is registered and has no object.", None)
    elif not location.startswith(year.merged_prefix):
        yield found(Kind.WRONG_LOCATION, f"{where} leads elsewhere: {facts.location}.", newest)
    elif location != year.merged_location(year.merged_version(facts.objects.items())):
        yield found(Kind.STALE_MERGE, f"Readers of {where} get an older state than what it was merged from.", newest)
    elif year.merged_key(year.merged_version(facts.objects.items())) not in facts.merged_keys:
        yield found(Kind.PARTITION_WITHOUT_FILE, f"{where} leads to a merged object that is gone.", newest)
