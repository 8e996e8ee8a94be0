"""B3's trading days and rebalances, held equal to the calendar that the field uses and to what B3 published."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import exchange_calendars
import pytest

from bovespa.calendar import (
    is_trading_day,
    last_rebalance_on_or_before,
    next_rebalance_after,
    rebalance_session,
    trading_day_on_or_after,
    trading_days,
    trading_days_after,
    trading_days_before,
)


def test_the_trading_days_are_those_of_exchange_calendars() -> None:
    first, last = dt.date(1998, 1, 1), dt.date(2040, 12, 31)
    reference = exchange_calendars.get_calendar("BVMF", start=str(first), end=str(last))
    assert list(trading_days(first, last)) == [session.date() for session in reference.sessions]


def test_every_recorded_session_lies_on_a_trading_day(recordings: Path) -> None:
    with (recordings / "sessions" / "INDEX.tsv").open(encoding="utf-8") as index:
        days = [dt.date.fromisoformat(row["session_date"]) for row in csv.DictReader(index, delimiter="\t")]
    assert [day for day in days if not is_trading_day(day)] == []


def test_the_day_b3_shows_on_a_weekend_or_at_carnival_is_the_next_session() -> None:
    assert trading_day_on_or_after(dt.date(2025, 2, 22)) == dt.date(2025, 2, 24)
    assert trading_day_on_or_after(dt.date(2025, 3, 1)) == dt.date(2025, 3, 5)
    assert trading_day_on_or_after(dt.date(2025, 3, 5)) == dt.date(2025, 3, 5)


def test_neighbouring_trading_days_skip_the_closed_ones() -> None:
    assert trading_days_before(dt.date(2025, 3, 5), 2) == [dt.date(2025, 2, 27), dt.date(2025, 2, 28)]
    assert trading_days_after(dt.date(2025, 2, 28), 2) == [dt.date(2025, 3, 5), dt.date(2025, 3, 6)]


def test_no_trading_day_is_before_the_calendar() -> None:
    assert trading_days_before(dt.date(1998, 1, 6), 3) == [dt.date(1998, 1, 2), dt.date(1998, 1, 5)]
    assert trading_days_before(dt.date(1998, 1, 2), 3) == []


@pytest.mark.parametrize(
    ("year", "month", "day"),
    [
        (2025, 1, dt.date(2025, 1, 6)),
        (2025, 5, dt.date(2025, 5, 5)),
        (2025, 9, dt.date(2025, 9, 1)),
        (2023, 5, dt.date(2023, 5, 2)),  # the first Monday was Labour Day
        (2024, 1, dt.date(2024, 1, 2)),  # the first Monday was New Year's Day
    ],
)
def test_a_rebalance_comes_into_force_on_the_first_monday_or_the_next_session(
    year: int, month: int, day: dt.date
) -> None:
    assert rebalance_session(year, month) == day


def test_the_rebalance_of_the_day_itself_is_the_last_one_not_the_next() -> None:
    day = dt.date(2025, 5, 5)
    assert last_rebalance_on_or_before(day) == day
    assert next_rebalance_after(day) == dt.date(2025, 9, 1)
    assert last_rebalance_on_or_before(dt.date(2025, 1, 3)) == dt.date(2024, 9, 2)
    assert next_rebalance_after(dt.date(2025, 12, 30)) == dt.date(2026, 1, 5)


def test_years_whose_holidays_are_unknown_are_an_error_not_a_guess() -> None:
    with pytest.raises(ValueError, match="before 1998"):
        is_trading_day(dt.date(1997, 6, 2))
