"""Keys go both ways, and nothing else is taken for one of ours."""

from __future__ import annotations

import datetime as dt

import pytest

from bovespa.errors import InvalidRequest, UnexpectedEvent
from bovespa.layout import Receipt, RefinedPartition, Session, quarantine_key

SESSION = Session("IBOV", dt.date(2025, 2, 3))


def test_keys_are_those_of_the_contract() -> None:
    assert SESSION.raw_key == "portfolio/index_code=IBOV/session_date=2025-02-03/portfolio.parquet"
    assert SESSION.source_key("ab" * 32) == f"source/index_code=IBOV/session_date=2025-02-03/{'ab' * 32}.csv"
    partition = RefinedPartition(SESSION, "PETR4")
    assert partition.key == "portfolio/index_code=IBOV/session_date=2025-02-03/ticker=PETR4/portfolio.parquet"
    received_at = dt.datetime(2025, 2, 3, 20, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
    assert quarantine_key(received_at, "ab", ".json") == "quarantine/2025-02-03T230506Z/ab.json"


def test_keys_round_trip() -> None:
    assert Session.from_raw_key(SESSION.raw_key) == SESSION
    assert Session.parse(str(SESSION)) == SESSION
    for item in (RefinedPartition(SESSION, "PETR4"), Receipt(SESSION, "d41d8cd98f00b204e9800998ecf8427e-2")):
        assert type(item).from_key(item.key) == item


@pytest.mark.parametrize(
    "key",
    [
        "portfolio/index_code=IBOV/session_date=2025-02-31/portfolio.parquet",
        "portfolio/index_code=IBOV/session_date=2025-02-03/portfolio.parquet.tmp",
        "portfolio/index_code=ibov/session_date=2025-02-03/portfolio.parquet",
        "portfolio/index_code=IBOV/session_date=2025-02-03/other.parquet",
        "portfolio/index_code%3DIBOV/session_date%3D2025-02-03/portfolio.parquet",
        "other/portfolio/index_code=IBOV/session_date=2025-02-03/portfolio.parquet",
        "",
    ],
)
def test_other_keys_are_not_raw_sessions(key: str) -> None:
    with pytest.raises(UnexpectedEvent):
        Session.from_raw_key(key)


@pytest.mark.parametrize(
    "text", ["IBOV", "IBOV/2025-2-3", "IBOV/2025-02-30", "../IBOV/2025-02-03", "IBOV/2025-02-03\n"]
)
def test_other_texts_are_not_sessions(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Session.parse(text)
