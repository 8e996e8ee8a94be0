"""The recorded trading days of 25 and 26/03/2021 and the portfolio of the second, from raw objects to SQL.

What the lake says is held against the reckoning, value for value, and against what is known of these days.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from bovespa.layout import Session
from tests.lake import Lake
from tests.recorded_trading import recorded_portfolio, recorded_trading_days
from tests.trading_reckoning import refined_rows, session_rows, trading_rows

SESSION = Session("IBOV", dt.date(2021, 3, 26))


@pytest.fixture(scope="module")
def portfolio(recordings: Path) -> bytes:
    return recorded_portfolio(recordings)


@pytest.fixture(scope="module")
def texts(recordings: Path) -> list[bytes]:
    return recorded_trading_days(recordings)


@pytest.fixture(scope="module")
def refined(lake: Lake, portfolio: bytes, texts: list[bytes]) -> Lake:
    """The session first, then its trading day, then, late, the one before: each arrival starts its own run."""
    lake.store(portfolio)
    lake.wait_until_refined(SESSION)
    for text in reversed(texts):
        lake.wait_until_refined(lake.store_trading_day(text))
    return lake


def test_the_close_of_the_index_is_recomputed_from_the_lake(refined: Lake) -> None:
    (row,) = refined.ask(
        "SELECT index_level, participations_compared, participations_reproduced, participation_max_difference_pp "
        "FROM sessions WHERE index_code = 'IBOV' AND session_date = DATE '2021-03-26'"
    ).as_dicts()
    # B3 published 114,780.62.
    assert round(Decimal(str(row["index_level"])), 2) == Decimal("114780.63")
    assert (row["participations_compared"], row["participations_reproduced"]) == (82, 66)
    assert Decimal(str(row["participation_max_difference_pp"])) <= Decimal("0.009")


def test_the_trades_of_a_day_are_found_in_every_table(refined: Lake) -> None:
    where = "session_date = DATE '2021-03-26' AND ticker = 'PETR4'"
    for table in ("trading", "portfolio", "holdings"):
        assert refined.ask(f"SELECT trades FROM {table} WHERE {where}").rows == ((64400,),)  # noqa: S608 - our own words


def test_every_column_of_every_row_is_that_of_the_reckoning(
    refined: Lake, portfolio: bytes, texts: list[bytes]
) -> None:
    where = "index_code = 'IBOV' AND session_date = DATE '2021-03-26'"
    rows = refined_rows([portfolio], texts)
    assert refined.rows(where) == rows
    assert refined.table("sessions", "index_code", "session_date", where=where) == session_rows([portfolio], texts)
    assert len(rows) == 82


def test_every_row_of_the_market_is_that_of_the_reckoning(refined: Lake, texts: list[bytes]) -> None:
    where = "session_date BETWEEN DATE '2021-03-25' AND DATE '2021-03-26'"
    expected = trading_rows(texts)
    assert refined.table("trading", "session_date", "ticker", where=where) == expected
    assert len({ticker for _, ticker in expected}) > 400
