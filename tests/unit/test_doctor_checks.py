"""What the doctor concludes from what there is: one fault a case, and exactly that fault found."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bovespa.layout import COMPACT_TABLE_NAMES, CompactYear, RefinedPartition, Session
from bovespa.portfolio import View
from bovespa.portfolio_csv import parse_csv, serialise_csv
from bovespa.session_state import JobRun, RawObject
from local.synthetic import synthetic_csv
from maintenance.checks import Inventory, Quarantined, Raw, SessionFacts, Source, best_source, check
from maintenance.command import _summary, _table
from maintenance.findings import Cure, Finding, Kind
from maintenance.years import YearFacts
from s3_bucket_manager.parquet_files import to_parquet_bytes
from s3_bucket_manager.raw_parquet import portfolio_table

INDEX = "IBEW"
MONDAY, TUESDAY, WEDNESDAY = (dt.date(2025, 6, day) for day in (2, 3, 4))
SESSION = Session(INDEX, MONDAY)
NOON = dt.datetime(2025, 6, 2, 12, tzinfo=dt.UTC)
CSV = synthetic_csv(INDEX, MONDAY)
PORTFOLIO = parse_csv(CSV)
TICKERS = frozenset(holding.ticker for holding in PORTFOLIO.holdings)
FIRST, SECOND = sorted(TICKERS)[:2]


def source(content: bytes = CSV, *, hours: int = 0) -> Source:
    return Source(hashlib.sha256(content).hexdigest(), NOON + dt.timedelta(hours=hours), content)


def parquet(content: bytes = CSV, **facts: str) -> bytes:
    return to_parquet_bytes(
        portfolio_table(parse_csv(content), {"source_sha256": hashlib.sha256(CSV).hexdigest()} | facts)
    )


def raw(content: bytes | None = None) -> Raw:
    return Raw(RawObject("s3://raw/key", "0af1", NOON), content or parquet())


def location(ticker: str) -> str:
    return f"s3://refined/{RefinedPartition(SESSION, ticker).prefix}"


HEALTHY = SessionFacts(
    SESSION,
    raw=raw(),
    sources=(source(),),
    files=TICKERS,
    partitions={ticker: location(ticker) for ticker in TICKERS},
    receipts=frozenset({"0af1"}),
    compact=frozenset(COMPACT_TABLE_NAMES),
)
YEAR = CompactYear.of("holdings", SESSION)
OBJECTS = {YEAR.key(MONDAY): "0e"}
MERGED = YEAR.merged_version(OBJECTS.items())


def run(state: str, minutes: int, *sessions: str, error: str | None = None) -> JobRun:
    started = NOON + dt.timedelta(minutes=minutes)
    return JobRun(f"jr_{minutes}", state, started, started, frozenset(sessions or {str(SESSION)}), error)


def examined(facts: SessionFacts | None, *runs: JobRun, today: dt.date = TUESDAY, **changes: Any) -> list[Finding]:
    inventory = Inventory(INDEX, "refined", (facts,) if facts else (), runs, first_stored=MONDAY)
    return check(replace(inventory, **changes), first=MONDAY, last=dt.date(2199, 12, 30), today=today)


def kinds(findings: list[Finding]) -> set[Kind]:
    return {one.kind for one in findings}


def test_a_healthy_session_has_no_findings() -> None:
    assert examined(HEALTHY) == []


DAMAGED = replace(source(), content=b"x")
_CHANGED, *_OTHERS = PORTFOLIO.holdings
CORRECTED = source(serialise_csv(replace(PORTFOLIO, holdings=(replace(_CHANGED, company="NEW"), *_OTHERS))), hours=1)
Change = Callable[[SessionFacts], SessionFacts]


@pytest.mark.parametrize(
    ("change", "kind", "cure", "named"),
    [
        (lambda s: replace(s, files=s.files - {FIRST}), Kind.MISSING_FILE, Cure.REFINE, FIRST),
        (lambda s: replace(s, files=s.files - {FIRST}), Kind.PARTITION_WITHOUT_FILE, Cure.REFINE, FIRST),
        (lambda s: replace(s, files=s.files | {"XXXX3"}), Kind.STALE_TICKER, Cure.REFINE, "XXXX3"),
        (lambda s: _partition(s, "YYYY3", location("YYYY3")), Kind.STALE_TICKER, Cure.REFINE, "YYYY3"),
        (lambda s: _partition(s, SECOND, None), Kind.MISSING_PARTITION, Cure.REFINE, SECOND),
        (lambda s: _partition(s, SECOND, "s3://elsewhere/"), Kind.WRONG_LOCATION, Cure.REFINE, "s3://elsewhere/"),
        (lambda s: replace(s, foreign_keys=("portfolio/a/part-0",)), Kind.FOREIGN_OBJECT, Cure.REFINE, "part-0"),
        (lambda s: replace(s, receipts=s.receipts | {"0ld"}), Kind.OUTDATED_RECEIPT, Cure.REFINE, "0ld"),
        (lambda s: replace(s, receipts=frozenset()), Kind.RECEIPT_MISSING, Cure.REFINE, f"{len(TICKERS)} refined"),
        (lambda s: replace(s, sources=()), Kind.SOURCE_MISSING, Cure.BY_HAND, hashlib.sha256(CSV).hexdigest()),
        (lambda s: replace(s, sources=(DAMAGED,)), Kind.SOURCE_DAMAGED, Cure.BY_HAND, "bytes"),
        (lambda s: replace(s, raw=None), Kind.RAW_MISSING, Cure.REBUILD, SESSION.raw_key),
        (lambda s: replace(s, raw=None), Kind.REFINED_WITHOUT_RAW, Cure.REFINE, f"{len(TICKERS)} files"),
        (
            lambda s: replace(s, raw=None, sources=(replace(source(), content=b"x"),)),
            Kind.RAW_MISSING,
            Cure.BY_HAND,
            "",
        ),
        (lambda s: replace(s, compact=s.compact - {"sessions"}), Kind.MISSING_FILE, Cure.REFINE, "sessions"),
        (lambda s: replace(s, raw=raw(b"PAR1")), Kind.RAW_DAMAGED, Cure.REBUILD, "cannot be read"),
        (lambda s: replace(s, raw=raw(b"PAR1"), sources=()), Kind.RAW_DAMAGED, Cure.BY_HAND, "cannot be read"),
        (lambda s: replace(s, raw=raw(_forged())), Kind.RAW_DAMAGED, Cure.REBUILD, "rows are not those"),
        (lambda s: replace(s, raw=raw(parquet(source_sha256=""))), Kind.RAW_DAMAGED, Cure.REBUILD, "does not say"),
        (lambda s: replace(s, sources=(source(), CORRECTED)), Kind.RAW_OUTDATED, Cure.REBUILD, CORRECTED.sha256),
    ],
)
def test_a_fault_is_named_with_what_mends_it(change: Change, kind: Kind, cure: Cure, named: str) -> None:
    found = [one for one in examined(change(HEALTHY)) if one.kind is kind]
    assert [(one.cure, one.session) for one in found] == [(cure, SESSION)]
    assert named in found[0].detail
    assert found[0].remedy


@pytest.mark.parametrize(
    ("facts", "kind", "cure"),
    [
        (YearFacts(YEAR, OBJECTS, location=f"s3://refined/{YEAR.sessions_prefix}"), None, None),
        (
            YearFacts(
                YEAR,
                OBJECTS,
                frozenset({YEAR.merged_key(MERGED)}),
                f"s3://refined/{YEAR.merged_location(MERGED)}",
            ),
            None,
            None,
        ),
        (YearFacts(YEAR, OBJECTS), Kind.MISSING_PARTITION, Cure.REFINE),
        (YearFacts(YEAR, OBJECTS, location="s3://other/"), Kind.WRONG_LOCATION, Cure.REFINE),
        (
            YearFacts(YEAR, OBJECTS, frozenset(), f"s3://refined/{YEAR.merged_location(MERGED)}"),
            Kind.PARTITION_WITHOUT_FILE,
            Cure.REFINE,
        ),
        (
            YearFacts(
                YEAR,
                {YEAR.key(MONDAY): "1e"},
                frozenset({YEAR.merged_key(MERGED)}),
                f"s3://refined/{YEAR.merged_location(MERGED)}",
            ),
            Kind.STALE_MERGE,
            Cure.REFINE,
        ),
        (YearFacts(YEAR, location=f"s3://refined/{YEAR.sessions_prefix}"), Kind.PARTITION_WITHOUT_FILE, Cure.BY_HAND),
    ],
)
def test_a_year_of_a_compact_table_leads_readers_to_what_is_there(
    facts: YearFacts, kind: Kind | None, cure: Cure | None
) -> None:
    found = examined(HEALTHY, compact_years=(facts,))
    assert [(one.kind, one.cure) for one in found] == ([] if kind is None else [(kind, cure)])
    assert all(one.session == (SESSION if facts.objects else None) for one in found)


def test_a_year_is_left_alone_while_a_run_over_it_is_at_work() -> None:
    waiting = replace(HEALTHY, receipts=frozenset())
    found = examined(waiting, run("RUNNING", 1), compact_years=(YearFacts(YEAR, OBJECTS),))
    assert kinds(found) == {Kind.REFINING}


def _partition(facts: SessionFacts, ticker: str, place: str | None) -> SessionFacts:
    partitions = {name: found for name, found in {**facts.partitions, ticker: place}.items() if found is not None}
    return replace(facts, partitions=partitions)


def _forged() -> bytes:
    """One company of the sector view under another name; the totals still fit."""
    changed, *others = PORTFOLIO.holdings
    forged = replace(PORTFOLIO, holdings=(replace(changed, company="FORGED"), *others))
    return parquet(serialise_csv(forged))


def test_a_fault_is_found_alone() -> None:
    """The table above looks for one kind; these say that nothing else is made of the same fault."""
    assert kinds(examined(_partition(HEALTHY, SECOND, None))) == {Kind.MISSING_PARTITION}
    assert kinds(examined(replace(HEALTHY, files=HEALTHY.files | {"XXXX3"}))) == {Kind.STALE_TICKER}
    assert kinds(examined(replace(HEALTHY, receipts=frozenset()))) == {Kind.RECEIPT_MISSING}
    assert kinds(examined(replace(HEALTHY, raw=raw(_forged())))) == {Kind.RAW_DAMAGED}


def test_what_came_after_the_raw_object_and_says_nothing_new_is_no_correction() -> None:
    code = source(synthetic_csv(INDEX, MONDAY, View.CODE), hours=1)
    broken, damaged = source(b"no portfolio", hours=2), replace(CORRECTED, content=b"x")
    assert examined(replace(HEALTHY, sources=(source(), code, broken))) == []
    assert kinds(examined(replace(HEALTHY, sources=(source(), damaged)))) == {Kind.SOURCE_DAMAGED}
    # B3 took it back: the first bytes, which were there, were published again after it.
    at_last = RawObject("s3://raw/key", "0af1", CORRECTED.arrived_at)
    assert examined(replace(HEALTHY, raw=replace(raw(), stored=at_last), sources=(source(), CORRECTED))) == []


UNREFINED = replace(HEALTHY, files=frozenset(), partitions={}, receipts=frozenset())


@pytest.mark.parametrize(
    ("runs", "found"),
    [
        ([], {Kind.NOT_REFINED}),
        ([run("SUCCEEDED", 1, "IBEW/2025-06-03")], {Kind.NOT_REFINED}),
        ([run("FAILED", 1, error="out of memory")], {Kind.RUN_FAILED, Kind.FAILED_RUN}),
        ([run("RUNNING", 1)], {Kind.REFINING}),
        ([run("WAITING", 1, "import:0f")], {Kind.REFINING}),
        ([run("FAILED", -90), run("SUCCEEDED", 1, "all")], {Kind.NOT_REFINED}),
    ],
)
def test_a_session_that_was_not_refined_says_what_its_runs_did(runs: list[JobRun], found: set[Kind]) -> None:
    assert kinds(examined(UNREFINED, *runs)) == found


def test_a_session_that_is_being_refined_is_no_case_for_a_repair() -> None:
    (finding,) = examined(replace(UNREFINED, files=frozenset({FIRST})), run("RUNNING", 1))
    assert (finding.cure, finding.cure.is_repairable) == (Cure.WAIT, False)


def test_failed_runs_count_until_one_succeeds_and_those_of_other_indexes_never() -> None:
    failed, wide = run("FAILED", 5, error="no\nmemory"), run("TIMEOUT", 6, "import:0f")
    found = examined(HEALTHY, failed, wide, run("SUCCEEDED", 1), run("FAILED", 0), run("FAILED", 9, "IBOV/2025-06-02"))
    assert [one.kind for one in found] == [Kind.FAILED_RUN] * 2
    assert {"jr_5", "jr_6"} == {word for one in found for word in one.detail.split() if word.startswith("jr_")}
    assert examined(HEALTHY, failed, wide, run("SUCCEEDED", 7)) == []


def test_trading_days_without_anything_are_gaps_until_yesterday() -> None:
    found = examined(HEALTHY, today=dt.date(2025, 6, 6))
    assert [(one.kind, one.cure, one.session) for one in found] == [
        (Kind.MISSING_SESSION, Cure.NONE, Session(INDEX, dt.date(2025, 6, day))) for day in (3, 4, 5)
    ]
    # The 7th and 8th are a weekend, and the 9th is not over.
    assert len(examined(HEALTHY, today=dt.date(2025, 6, 9))) == 4
    assert examined(HEALTHY, today=WEDNESDAY, first_stored=None) == []
    assert examined(HEALTHY, today=WEDNESDAY, first_stored=WEDNESDAY) == []


def test_a_day_whose_bytes_are_kept_is_no_gap() -> None:
    kept = SessionFacts(Session(INDEX, TUESDAY), sources=(source(synthetic_csv(INDEX, TUESDAY)),))
    found = examined(kept, first_stored=TUESDAY, today=WEDNESDAY)
    assert kinds(found) == {Kind.RAW_MISSING}


def test_what_is_refined_of_nothing_is_removed_and_its_day_is_a_gap() -> None:
    found = examined(replace(HEALTHY, raw=None, sources=()))
    assert kinds(found) == {Kind.REFINED_WITHOUT_RAW, Kind.MISSING_SESSION}


def test_quarantined_and_foreign_things_are_for_a_person() -> None:
    refused = Quarantined("quarantine/a.csv", INDEX, "x.csv", "it is broken", "0f")
    found = examined(HEALTHY, quarantined=(refused,), foreign_keys=("s3://raw/portfolio/notes.txt",))
    assert [(one.kind, one.cure, one.session) for one in found] == [
        (Kind.QUARANTINED, Cure.BY_HAND, None),
        (Kind.FOREIGN_OBJECT, Cure.BY_HAND, None),
    ]
    # Refused once by an older parser, stored since.
    assert examined(HEALTHY, quarantined=(replace(refused, sha256=source().sha256),)) == []


def test_a_raw_object_is_made_from_what_storing_the_files_in_order_would_keep() -> None:
    code = source(synthetic_csv(INDEX, MONDAY, View.CODE), hours=1)
    broken = source(b"no portfolio", hours=2)
    other_day = source(synthetic_csv(INDEX, TUESDAY), hours=3)
    damaged = replace(source(hours=4), content=b"x")
    corrected = replace(CORRECTED, arrived_at=NOON + dt.timedelta(hours=5))

    def chosen(*sources: Source) -> Source | None:
        best = best_source(SESSION, sources)
        return None if best is None else best[0]

    assert chosen(code, source(), broken, other_day, damaged) == source()
    assert chosen(source(hours=2), code) == source(hours=2)
    assert chosen(corrected, source()) == corrected
    assert chosen(broken, other_day, damaged) is None


def test_the_table_shows_the_days_of_one_gap_in_one_line() -> None:
    gaps = examined(HEALTHY, today=dt.date(2025, 6, 10))
    refused = Quarantined("quarantine/a.csv", INDEX, "x.csv", "it is broken", "0f")
    other = examined(HEALTHY, quarantined=(refused,))
    lines = _table([*gaps[:2], *gaps[3:], *other])
    assert [line.split("  ")[0] for line in lines] == [
        "IBEW/2025-06-03 to 2025-06-04 (2)",
        "IBEW/2025-06-06 to 2025-06-09 (2)",
        "IBEW",
    ]
    assert "irrecoverable" in lines[0]
    assert _summary(gaps, gaps[:1], repair=True)[0] == "4 of 5 findings were mended."
    assert _summary([], [], repair=False) == ["All is well with what is stored."]
