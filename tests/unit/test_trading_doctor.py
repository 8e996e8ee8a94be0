"""What the doctor says of trading days, from what is there."""

from __future__ import annotations

import datetime as dt
import json

from bovespa.layout import TradingDay
from maintenance.checks import Quarantined
from maintenance.findings import Cure, Kind
from maintenance.listing import PORTFOLIO_SUFFIXES, TRADING_SUFFIXES, refused_files
from maintenance.trading import TradingInventory, check_trading_days, quarantined

FRIDAY, MONDAY, TUESDAY = dt.date(2025, 2, 21), dt.date(2025, 2, 24), dt.date(2025, 2, 25)


def inventory(*days: dt.date, any_stored: bool = True, **more: object) -> TradingInventory:
    return TradingInventory(any_stored, frozenset(days), frozenset({"ab"}), **more)  # type: ignore[arg-type]


def test_each_trading_day_that_is_not_stored_is_missed_and_can_be_fetched() -> None:
    findings = check_trading_days(inventory(MONDAY), first=FRIDAY, last=TUESDAY)
    assert [(one.kind, one.session, one.cure, one.index_code) for one in findings] == [
        (Kind.MISSING_TRADING_DAY, TradingDay(FRIDAY), Cure.FETCH, None),
        (Kind.MISSING_TRADING_DAY, TradingDay(TUESDAY), Cure.FETCH, None),
    ]
    assert all(one.cure.is_repairable for one in findings)
    assert findings[0].as_json()["session_date"] == "2025-02-21"


def test_a_lake_that_never_stored_a_trading_day_lacks_none_unless_asked() -> None:
    nothing = inventory(any_stored=False)
    assert check_trading_days(nothing, first=FRIDAY, last=TUESDAY) == []
    assert len(check_trading_days(nothing, first=FRIDAY, last=TUESDAY, is_wanted=True)) == 3


def test_nothing_is_missed_before_the_first_portfolio_or_after_the_last_session() -> None:
    assert check_trading_days(inventory(), first=dt.date.max, last=TUESDAY) == []


def test_a_refused_file_waits_until_its_bytes_are_stored() -> None:
    refused = (Quarantined("quarantine/a.zip", "", "x.zip", "broken", "cd"), Quarantined("b", "", "y", "z", "ab"))
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
