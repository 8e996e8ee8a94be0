from __future__ import annotations

import datetime as dt
import re
import time
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from bovespa.calendar import rebalance_session, trading_days
from bovespa.errors import UnknownIndex
from bovespa.indexes import INDEX_CODES
from bovespa.portfolio import Portfolio, View
from bovespa.portfolio_csv import parse_csv, serialise_csv
from local.synthetic import synthetic_csv, synthetic_portfolio
from local.synthetic_market import shares

SOME_DATES = (dt.date(2000, 1, 3), dt.date(2014, 6, 13), dt.date(2025, 2, 24), dt.date(2026, 11, 23))
TWO_YEARS = tuple(trading_days(dt.date(2025, 1, 2), dt.date(2026, 12, 30)))


@pytest.fixture(scope="module")
def two_years_of_ibov() -> list[Portfolio]:
    return [synthetic_portfolio("IBOV", day, View.CODE) for day in TWO_YEARS]


@pytest.mark.parametrize("index_code", INDEX_CODES)
@pytest.mark.parametrize("view", View)
def test_the_strict_parser_accepts_every_index_and_gives_the_same_values_back(index_code: str, view: View) -> None:
    for session_date in SOME_DATES:
        portfolio = synthetic_portfolio(index_code, session_date, view)

        assert parse_csv(serialise_csv(portfolio), index_code=index_code, session_date=session_date) == portfolio


@pytest.mark.parametrize("index_code", ["IBOV", "SMLL", "IFIX", "IEEX"])
def test_both_views_hold_the_same_values(index_code: str) -> None:
    code = synthetic_portfolio(index_code, SOME_DATES[2], View.CODE)
    sector = synthetic_portfolio(index_code, SOME_DATES[2], View.SECTOR)

    assert code.same_values_as(sector)
    assert [holding.company for holding in code.holdings] == sorted(holding.company for holding in code.holdings)
    assert [holding.sector_label for holding in sector.holdings] == sorted(
        holding.sector_label or "" for holding in sector.holdings
    )


def test_the_same_call_gives_the_same_bytes_on_every_machine() -> None:
    # A digest, because data that others stored must not change when this generator is touched without thinking.
    assert sha256(synthetic_csv("IBOV", dt.date(2025, 2, 24))).hexdigest() == (
        "f389967fb68aa70b59f107eba6517a04301f9783afd285573cab83a71f78a728"
    )


def test_sizes_are_those_of_b3() -> None:
    sizes = {code: len(synthetic_portfolio(code, SOME_DATES[3], View.CODE).holdings) for code in INDEX_CODES}

    assert 80 <= sizes["IBOV"] <= 92
    assert 172 <= sizes["IBRA"] <= 186
    assert sizes["SMLL"] > 120
    assert min(sizes.values()) > 10
    assert len(set(sizes.values())) > 20


def test_rows_have_the_variety_of_recorded_ones() -> None:
    holdings = [holding for code in INDEX_CODES for holding in synthetic_portfolio(code, SOME_DATES[2]).holdings]

    assert any(holding.theoretical_quantity > 1 << 31 for holding in holdings)
    assert any(holding.participation_pct == 0 for holding in holdings)
    assert {holding.listing_segment for holding in holdings} == {"NM", "N1", "N2", "MB", None}
    assert {holding.share_class for holding in holdings} >= {"ON", "PN", "PNA", "PNB", "UNT", "DRN", "CI"}
    assert {holding.corporate_event for holding in holdings} >= {"ED", "EJ", None}
    assert any(re.fullmatch(r"[A-Z]\d[A-Z]{2}34", holding.ticker) for holding in holdings)
    assert max(len(holding.company) for holding in holdings) == 12
    spellings = {holding.sector_label or "" for holding in holdings}
    assert any(" / " in text for text in spellings)
    assert any(re.search(r"\S/\S", text) for text in spellings)
    assert any("  " in text for text in spellings)


def test_companies_have_several_share_classes() -> None:
    holdings = synthetic_portfolio("IBRA", SOME_DATES[2]).holdings

    companies = [holding.company for holding in holdings]
    assert len(set(companies)) < len(companies)
    assert len({holding.ticker for holding in holdings}) == len(holdings)


def test_one_ticker_is_the_same_share_in_every_index() -> None:
    known: dict[str, tuple[object, ...]] = {}
    for code in INDEX_CODES:
        for holding in synthetic_portfolio(code, SOME_DATES[2]).holdings:
            share = (holding.company, holding.share_class, holding.listing_segment, holding.sector_label)
            assert known.setdefault(holding.ticker, share) == share


def test_members_change_only_when_b3_rebalances(two_years_of_ibov: list[Portfolio]) -> None:
    rebalances = {rebalance_session(year, month) for year in (2025, 2026) for month in (1, 5, 9)}
    changes = {
        today.session_date for yesterday, today in pairwise(two_years_of_ibov) if _tickers(yesterday) != _tickers(today)
    }

    assert changes
    assert changes <= rebalances


def test_quantities_change_in_between_only_by_the_split_of_one_share(two_years_of_ibov: list[Portfolio]) -> None:
    rebalances = {rebalance_session(year, month) for year in (2025, 2026) for month in (1, 5, 9)}
    splits = 0
    for yesterday, today in pairwise(two_years_of_ibov):
        before, after = _quantities(yesterday), _quantities(today)
        changed = [ticker for ticker in before if before[ticker] != after.get(ticker)]
        if today.session_date in rebalances:
            assert len(changed) > len(before) / 2
        else:
            assert len(changed) <= 1
            splits += len(changed)

    assert 1 <= splits <= 10


def test_a_flag_stays_several_sessions(two_years_of_ibov: list[Portfolio]) -> None:
    lengths: list[int] = []
    running: dict[str, tuple[str, int]] = {}
    for portfolio in two_years_of_ibov:
        for holding in portfolio.holdings:
            kind, length = running.get(holding.ticker, ("", 0))
            if holding.corporate_event == kind and kind:
                running[holding.ticker] = (kind, length + 1)
                continue
            if kind:
                lengths.append(length)
            running[holding.ticker] = (holding.corporate_event or "", 1)

    assert len(lengths) > 100
    # A flag may be cut short by another one, or by the rebalance in which its share leaves.
    assert sum(length >= 3 for length in lengths) / len(lengths) > 0.95


def test_the_reductor_moves_a_little_and_falls_on_dividends(two_years_of_ibov: list[Portfolio]) -> None:
    rebalances = {rebalance_session(year, month) for year in (2025, 2026) for month in (1, 5, 9)}
    moved = 0
    for yesterday, today in pairwise(two_years_of_ibov):
        if today.session_date in rebalances:
            continue
        assert Decimal("0.99") < today.reductor / yesterday.reductor <= 1
        moved += today.reductor != yesterday.reductor

    assert moved > 50
    assert all(portfolio.reductor.as_tuple().exponent == -8 for portfolio in two_years_of_ibov)


def test_participations_follow_prices_from_session_to_session(two_years_of_ibov: list[Portfolio]) -> None:
    yesterday, today = two_years_of_ibov[10:12]
    before = {holding.ticker: holding.participation_pct for holding in yesterday.holdings}
    moves = [abs(holding.participation_pct - before[holding.ticker]) for holding in today.holdings]

    assert 0 < max(moves) < 1
    assert sum(move > 0 for move in moves) > len(moves) / 2


def test_a_year_of_sessions_takes_seconds() -> None:
    started = time.perf_counter()

    for session_date in TWO_YEARS[:250]:
        synthetic_csv("IBXX", session_date)

    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("day", [dt.date(2025, 2, 22), dt.date(2025, 3, 4), dt.date(1999, 12, 30)])
def test_a_day_without_a_session_has_no_portfolio(day: dt.date) -> None:
    with pytest.raises(ValueError, match=str(day)):
        synthetic_portfolio("IBOV", day)


def test_an_unknown_index_has_no_portfolio() -> None:
    with pytest.raises(UnknownIndex):
        synthetic_portfolio("NOPE", SOME_DATES[2])


@pytest.mark.recordings
def test_no_invented_company_is_a_real_one(recordings: Path) -> None:
    text = "".join(path.read_text("iso-8859-1") for path in (recordings / "sessions").glob("*Dia_*.csv"))
    real = {ticker[:4] for ticker in re.findall(r"\b[A-Z0-9]{4}\d{1,2}(?=;)", text)}

    assert len(real) > 100
    assert real.isdisjoint(share.ticker[:4] for share in shares())


def _tickers(portfolio: Portfolio) -> set[str]:
    return {holding.ticker for holding in portfolio.holdings}


def _quantities(portfolio: Portfolio) -> dict[str, int]:
    return {holding.ticker: holding.theoretical_quantity for holding in portfolio.holdings}
