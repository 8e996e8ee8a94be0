"""What the doctor says of trading days, from what is there: one fault a case, and exactly that fault found."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bovespa.layout import CompactYear, TradingDay, trading_year_source_key
from bovespa.session_state import JobRun, RawObject
from local.synthetic_trading import synthetic_quotes
from maintenance.checks import Quarantined
from maintenance.command import _table
from maintenance.findings import Cure, Finding, Kind
from maintenance.listing import PORTFOLIO_SUFFIXES, TRADING_SUFFIXES, refused_files, unexplained_files
from maintenance.trading import (
    RawTradingDay,
    TradingDayFacts,
    TradingInventory,
    check_trading_days,
    open_raw,
    quarantined,
    tally,
    tally_of_raw,
)
from maintenance.years import YearFacts
from s3_bucket_manager.trading_parquet import trading_bytes

FRIDAY, MONDAY, TUESDAY = dt.date(2025, 2, 21), dt.date(2025, 2, 24), dt.date(2025, 2, 25)
NOON = dt.datetime(2025, 2, 24, 12, tzinfo=dt.UTC)
DAY = TradingDay(MONDAY)
SHA256 = "ab" * 32
SOURCE_KEY = DAY.source_key(SHA256, ".zip")
STORED = RawObject("s3://raw/key", "0af1", NOON)
HEALTHY = TradingDayFacts(DAY, RawTradingDay(STORED, SOURCE_KEY), frozenset({"0af1"}), is_refined_object_there=True)
UNREFINED = replace(HEALTHY, receipts=frozenset(), is_refined_object_there=False)
YEAR = CompactYear.of("trading", DAY)
OBJECTS = {YEAR.key(MONDAY): "0e"}
MERGED = YEAR.merged_version(OBJECTS.items())


def inventory(*days: dt.date, any_stored: bool = True, **more: Any) -> TradingInventory:
    facts = tuple(replace(HEALTHY, day=TradingDay(day)) for day in days)
    return TradingInventory(any_stored, facts, frozenset({SOURCE_KEY}), refined_bucket="refined", **more)


def examined(facts: TradingDayFacts, *runs: JobRun, **more: Any) -> list[Finding]:
    known = replace(inventory(runs=runs), days=(facts,), **more)
    return check_trading_days(known, first=dt.date.max, last=TUESDAY)


def run(state: str, minutes: int, *names: str, error: str | None = None) -> JobRun:
    started = NOON + dt.timedelta(minutes=minutes)
    return JobRun(f"jr_{minutes}", state, started, started, frozenset(names or {str(DAY)}), error)


def test_each_trading_day_that_is_not_stored_is_missed_and_can_be_fetched() -> None:
    findings = check_trading_days(inventory(MONDAY), first=FRIDAY, last=TUESDAY)
    assert [(one.kind, one.session, one.cure, one.index_code) for one in findings] == [
        (Kind.MISSING_TRADING_DAY, TradingDay(FRIDAY), Cure.FETCH, None),
        (Kind.MISSING_TRADING_DAY, TradingDay(TUESDAY), Cure.FETCH, None),
    ]
    assert all(one.cure.is_repairable for one in findings)
    assert findings[0].as_json()["session_date"] == "2025-02-21"


def test_a_lake_that_never_stored_a_trading_day_lacks_none_unless_asked() -> None:
    nothing = inventory(any_stored=False, runs=(run("FAILED", 1, "all"),))
    assert check_trading_days(nothing, first=FRIDAY, last=TUESDAY) == []
    assert len(check_trading_days(nothing, first=FRIDAY, last=TUESDAY, is_wanted=True)) == 3


def test_nothing_is_missed_before_the_first_portfolio_or_after_the_last_session() -> None:
    assert check_trading_days(inventory(), first=dt.date.max, last=TUESDAY) == []


def test_a_healthy_day_has_no_findings() -> None:
    year = YearFacts(YEAR, OBJECTS, location=f"s3://refined/{YEAR.sessions_prefix}")
    assert examined(HEALTHY, run("SUCCEEDED", 1), years=(year,)) == []


Change = Callable[[TradingDayFacts], TradingDayFacts]


@pytest.mark.parametrize(
    ("change", "kind", "cure", "named"),
    [
        (lambda _day: UNREFINED, Kind.NOT_REFINED, Cure.REFINE, "never refined"),
        (lambda day: replace(day, receipts=frozenset()), Kind.RECEIPT_MISSING, Cure.REFINE, "no receipt"),
        (lambda day: replace(day, receipts=day.receipts | {"0ld"}), Kind.OUTDATED_RECEIPT, Cure.REFINE, "0ld"),
        (lambda day: replace(day, is_refined_object_there=False), Kind.MISSING_FILE, Cure.REFINE, "no object"),
        (lambda day: replace(day, raw=None), Kind.REFINED_WITHOUT_RAW, Cure.REFINE, "refined object and 1 receipts"),
        (
            lambda day: replace(day, raw=None, is_refined_object_there=False),
            Kind.REFINED_WITHOUT_RAW,
            Cure.REFINE,
            "there are 1 receipts",
        ),
        (
            lambda day: replace(day, raw=RawTradingDay(STORED, SOURCE_KEY, "its rows are not")),
            Kind.RAW_DAMAGED,
            Cure.FETCH,
            f"{DAY.raw_key}: its rows are not",
        ),
        # A damaged object that names no file says nothing of a file that is gone.
        (lambda day: replace(day, raw=RawTradingDay(STORED, "", "it is not")), Kind.RAW_DAMAGED, Cure.FETCH, "it is"),
        (
            lambda day: replace(day, raw=RawTradingDay(STORED, "source/trading/x")),
            Kind.SOURCE_MISSING,
            Cure.BY_HAND,
            "source/trading/x",
        ),
    ],
)
def test_a_fault_is_found_alone_and_named_with_what_mends_it(
    change: Change, kind: Kind, cure: Cure, named: str
) -> None:
    (found,) = examined(change(HEALTHY))
    assert (found.kind, found.cure, found.session, found.index_code) == (kind, cure, DAY, None)
    assert named in found.detail
    assert found.remedy


@pytest.mark.parametrize(
    ("runs", "found"),
    [
        ([run("SUCCEEDED", 1, "trading/2025-02-25", "IBOV/2025-02-24")], {Kind.NOT_REFINED}),
        ([run("FAILED", 1, error="out of memory")], {Kind.RUN_FAILED, Kind.FAILED_RUN}),
        ([run("RUNNING", 1, "IBOV/2025-02-24", str(DAY))], {Kind.REFINING}),
        ([run("WAITING", 1, "import:0f")], {Kind.REFINING}),
        ([run("STARTING", 1, "all")], {Kind.REFINING}),
        ([run("FAILED", -90), run("SUCCEEDED", 1, "all")], {Kind.NOT_REFINED}),
    ],
)
def test_a_day_that_was_not_refined_says_what_its_runs_did(runs: list[JobRun], found: set[Kind]) -> None:
    assert {one.kind for one in examined(UNREFINED, *runs)} == found


def test_failed_runs_over_trading_days_count_until_one_succeeds() -> None:
    failed, wide = run("FAILED", 5, "trading/2025-02-21", error="no\nmemory"), run("TIMEOUT", 6, "import:0f")
    found = examined(HEALTHY, failed, wide, run("SUCCEEDED", 1), run("FAILED", 0), run("FAILED", 9, "IBOV/2025-02-24"))
    assert [(one.kind, one.index_code) for one in found] == [(Kind.FAILED_RUN, None)] * 2
    assert {"jr_5", "jr_6"} == {word for one in found for word in one.detail.split() if word.startswith("jr_")}
    assert examined(HEALTHY, failed, wide, run("SUCCEEDED", 7, "IBOV/2025-02-24", "trading/2025-02-25")) == []


@pytest.mark.parametrize(
    ("facts", "kind", "cure"),
    [
        (YearFacts(YEAR, OBJECTS), Kind.MISSING_PARTITION, Cure.REFINE),
        (YearFacts(YEAR, OBJECTS, location="s3://other/"), Kind.WRONG_LOCATION, Cure.REFINE),
        (
            YearFacts(YEAR, OBJECTS, location=f"s3://refined/{YEAR.merged_location(MERGED)}"),
            Kind.PARTITION_WITHOUT_FILE,
            Cure.REFINE,
        ),
        (
            YearFacts(YEAR, {YEAR.key(MONDAY): "1e"}, location=f"s3://refined/{YEAR.merged_location(MERGED)}"),
            Kind.STALE_MERGE,
            Cure.REFINE,
        ),
        (YearFacts(YEAR, location=f"s3://refined/{YEAR.sessions_prefix}"), Kind.PARTITION_WITHOUT_FILE, Cure.BY_HAND),
    ],
)
def test_the_year_of_the_table_leads_readers_to_what_is_there(facts: YearFacts, kind: Kind, cure: Cure) -> None:
    (found,) = examined(HEALTHY, years=(facts,))
    assert (found.kind, found.cure, found.index_code) == (kind, cure, None)
    assert found.session == (DAY if facts.objects else None)
    assert "trading 2025" in found.detail
    assert {one.kind for one in examined(UNREFINED, run("RUNNING", 1), years=(facts,))} == {Kind.REFINING}


def test_a_file_with_other_bytes_than_its_name_says_is_for_a_person() -> None:
    (found,) = examined(HEALTHY, damaged_source_keys=(SOURCE_KEY,))
    assert (found.kind, found.cure, found.session) == (Kind.SOURCE_DAMAGED, Cure.BY_HAND, None)
    assert SOURCE_KEY in found.detail


def test_a_raw_object_says_which_file_of_its_day_or_year_it_was_made_from() -> None:
    quotes = synthetic_quotes(MONDAY)

    def opened(**facts: str) -> RawTradingDay:
        return open_raw(STORED, trading_bytes(quotes, facts), DAY)

    of_year = trading_year_source_key(2025, SHA256, ".txt")
    assert opened(source_sha256=SHA256, source_key=SOURCE_KEY) == RawTradingDay(STORED, SOURCE_KEY)
    assert opened(source_sha256=SHA256, source_key=of_year) == RawTradingDay(STORED, of_year)
    other_day = TradingDay(TUESDAY).source_key(SHA256, ".zip")
    for wrong in ({}, {"source_key": SOURCE_KEY}, {"source_sha256": SHA256, "source_key": other_day}):
        assert opened(**wrong).defect == "it does not say which bytes it was made from"
    assert "no Parquet file" in str(open_raw(STORED, b"PAR1", DAY).defect)


def test_rows_are_compared_whatever_their_order_and_every_value_counts() -> None:
    quotes = synthetic_quotes(MONDAY)
    stored = tally_of_raw(trading_bytes(quotes, {}), DAY)
    assert tally(reversed(quotes)) == stored
    changed, *others = quotes
    assert tally([replace(changed, trades=changed.trades + 1), *others]) != stored
    assert tally(others) != stored


def test_a_refused_file_waits_until_its_bytes_are_stored() -> None:
    refused = (Quarantined("quarantine/a.zip", "", "x.zip", "broken", "cd"), Quarantined("b", "", "y", "z", SHA256))
    findings = check_trading_days(inventory(quarantined=refused), first=dt.date.max, last=TUESDAY)
    assert [(one.kind, one.cure) for one in findings] == [(Kind.QUARANTINED, Cure.BY_HAND)]
    assert "quarantine/a.zip (x.zip): broken" in findings[0].detail


def test_refused_files_belong_to_the_dataset_that_they_end_like() -> None:
    keys = ["q/1/a.csv", "q/1/a.json", "q/1/b.zip", "q/1/b.json", "q/2/c.json", "q/2/c.txt", "q/3/d.json"]
    assert refused_files(keys, PORTFOLIO_SUFFIXES) == {"q/1/a.json": "q/1/a.csv", "q/3/d.json": "q/3/d.csv"}
    assert refused_files(keys, TRADING_SUFFIXES) == {"q/1/b.json": "q/1/b.zip", "q/2/c.json": "q/2/c.txt"}


def test_a_reason_that_cannot_be_read_is_told_as_such() -> None:
    reason = {"index_code": "", "file_name": "x.zip", "reason": "broken", "sha256": "cd"}
    assert quarantined("k", json.dumps(reason).encode()) == Quarantined("k", "", "x.zip", "broken", "cd")
    assert quarantined("k", b"{").reason == "its reason cannot be read"


def test_a_refused_file_whose_reason_was_never_put_is_found_all_the_same() -> None:
    keys = ["q/1/a.csv", "q/1/a.json", "q/1/b.csv", "q/2/c.txt", "q/2/d.zip", "q/2/d.json"]
    assert unexplained_files(keys, PORTFOLIO_SUFFIXES) == ["q/1/b.csv"]
    assert unexplained_files(keys, TRADING_SUFFIXES) == ["q/2/c.txt"]
    # By its name it is known whether its bytes were stored since.
    assert quarantined("q/1/b.csv", None) == Quarantined("q/1/b.csv", "", "", "its reason cannot be read", "b")


def test_the_table_names_trading_days_as_a_run_does() -> None:
    lines = _table(check_trading_days(inventory(), first=MONDAY, last=TUESDAY) + examined(UNREFINED))
    assert [line.split("  ")[0] for line in lines] == [
        "trading/2025-02-24 to 2025-02-25 (2)",
        "trading/2025-02-24",
    ]
