"""The recorded trading days of 25 and 26/03/2021 and the portfolio of the second, from raw objects to SQL.

What the lake says is held against the reckoning, value for value, and against what is known of these days.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from bovespa.layout import Session, TradingDay
from tests.lake import Lake
from tests.trading_reckoning import refined_rows, session_rows, trading_rows

SESSION = Session("IBOV", dt.date(2021, 3, 26))
DAYS = [TradingDay(dt.date(2021, 3, 25)), TradingDay(dt.date(2021, 3, 26))]


@pytest.fixture(scope="module")
def portfolio(recordings: Path) -> bytes:
    """The portfolio of 26/03/2021; the recorded copy lost the Redutor, which is known."""
    mangled = (recordings / "bad" / "IBOVDia_26-03-21.mangled-redutor.csv").read_bytes()
    before, _, _ = mangled.rstrip().rpartition(b"Redutor")
    return before + b"Redutor;;;18.296.803,37677573\r\n"


@pytest.fixture(scope="module")
def texts(recordings: Path) -> list[bytes]:
    folder = recordings / "cotahist"
    return [(folder / f"COTAHIST_D{day.session_date:%d%m%Y}.TXT").read_bytes() for day in DAYS]


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
