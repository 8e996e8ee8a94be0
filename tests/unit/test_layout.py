"""Keys go both ways, and nothing else is taken for one of ours."""

from __future__ import annotations

import datetime as dt
import json
import re

import pytest

from bovespa.errors import InvalidRequest, UnexpectedEvent
from bovespa.imports import ImportManifest
from bovespa.indexes import INDEX_CODES
from bovespa.layout import (
    INDEX_CODE,
    CompactYear,
    Import,
    Receipt,
    RefinedPartition,
    Session,
    TradingDay,
    TradingReceipt,
    index_of_folder,
    quarantine_key,
    trading_year_source_key,
)

SESSION = Session("IBOV", dt.date(2025, 2, 3))
DAY = TradingDay(dt.date(2021, 3, 26))


def test_keys_are_those_of_the_contract() -> None:
    assert SESSION.raw_key == "portfolio/index_code=IBOV/session_date=2025-02-03/portfolio.parquet"
    assert SESSION.source_key("ab" * 32) == f"source/index_code=IBOV/session_date=2025-02-03/{'ab' * 32}.csv"
    partition = RefinedPartition(SESSION, "PETR4")
    assert partition.key == "portfolio/index_code=IBOV/session_date=2025-02-03/ticker=PETR4/portfolio.parquet"
    received_at = dt.datetime(2025, 2, 3, 20, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
    assert quarantine_key(received_at, "ab", ".json") == "quarantine/2025-02-03T230506Z/ab.json"


def test_every_index_code_fits_the_keys() -> None:
    assert [code for code in INDEX_CODES if not re.fullmatch(INDEX_CODE, code)] == []


def test_keys_of_a_trading_day_have_no_index() -> None:
    receipt = TradingReceipt(DAY, "d41d8cd98f00b204e9800998ecf8427e")
    assert receipt.key == "receipts/trading/session_date=2021-03-26/d41d8cd98f00b204e9800998ecf8427e.json"
    assert TradingReceipt.from_key(receipt.key) == receipt
    year = CompactYear.of("trading", DAY)
    assert year.values == ("2021",)
    assert year.key(DAY.session_date) == "trading/session_year=2021/sessions/2021-03-26.parquet"
    assert year.session_date(year.key(DAY.session_date)) == DAY.session_date
    with pytest.raises(UnexpectedEvent):
        year.session(year.key(DAY.session_date))
    assert CompactYear.of("sessions", SESSION).values == ("IBOV", "2025")


@pytest.mark.parametrize("key", [Receipt(SESSION, "0f").key, "receipts/trading/session_date=2025-02-30/0f.json"])
def test_other_keys_are_not_receipts_of_trading_days(key: str) -> None:
    with pytest.raises(UnexpectedEvent):
        TradingReceipt.from_key(key)


def test_files_of_b3_and_folders_name_their_session() -> None:
    assert Session.from_source_key(SESSION.source_key("ab" * 32)) == (SESSION, "ab" * 32)
    assert Session.of_refined_folder(f"{SESSION.refined_prefix}anything/at/all") == SESSION
    assert index_of_folder("source/index_code=IBOV/") == index_of_folder("portfolio/index_code=IBOV/") == "IBOV"
    assert index_of_folder("source/trading/") is index_of_folder("portfolio/index_code=IBOV/x/") is None
    for key in (SESSION.raw_key, SESSION.source_key("AB" * 32), DAY.source_key("ab" * 32, ".zip")):
        with pytest.raises(UnexpectedEvent):
            Session.from_source_key(key)
    for key in ("portfolio/index_code=IBOV/x.txt", "portfolio/index_code=IBOV/session_date=2025-02-30/x.txt"):
        with pytest.raises(UnexpectedEvent):
            Session.of_refined_folder(key)


@pytest.mark.parametrize("year", [CompactYear("sessions", "IBOV", 2025), CompactYear("trading", None, 2025)])
def test_a_key_names_the_year_of_its_table(year: CompactYear) -> None:
    for key in (year.key(SESSION.session_date), year.merged_key("0f")):
        assert CompactYear.of_key(year.table, year.index_code, key) == year
    for key in (f"{year.prefix}x.parquet", CompactYear("sectors", "IBOV", 2025).key(SESSION.session_date)):
        with pytest.raises(UnexpectedEvent):
            CompactYear.of_key(year.table, year.index_code, key)


def test_keys_round_trip() -> None:
    assert Session.from_raw_key(SESSION.raw_key) == SESSION
    assert Session.parse(str(SESSION)) == SESSION
    made_by = Import("20250203T120000-000001-0f")
    assert made_by.key == "imports/20250203T120000-000001-0f.json"
    assert Import.parse(str(made_by)) == made_by
    for item in (made_by, RefinedPartition(SESSION, "PETR4"), Receipt(SESSION, "d41d8cd98f00b204e9800998ecf8427e-2")):
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


@pytest.mark.parametrize("text", ["import:", "import:a/b", "import:a,IBOV/2025-02-03", "all", "import:0f\n"])
def test_other_texts_are_not_imports(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Import.parse(text)


@pytest.mark.parametrize("key", ["imports/.json", "imports/a/b.json", "imports/a.json.bak", "other/imports/a.json"])
def test_other_keys_are_not_manifests(key: str) -> None:
    with pytest.raises(UnexpectedEvent):
        Import.from_key(key)


def test_a_manifest_round_trips() -> None:
    manifest = ImportManifest(
        Import("0f"), (SESSION, Session("SMLL", dt.date(2025, 2, 4))), dt.datetime(2025, 2, 3, 12, tzinfo=dt.UTC)
    )
    assert ImportManifest.from_json(manifest.to_json()) == manifest
    content = json.loads(manifest.to_json())
    assert (content["import_id"], content["sessions"]) == ("0f", ["IBOV/2025-02-03", "SMLL/2025-02-04"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"import_id": "../a", "sessions": [], "created_at": "2025-02-03", "code_version": "1"}',
        b'{"import_id": "a", "sessions": ["IBOV"], "created_at": "2025-02-03", "code_version": "1"}',
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(UnexpectedEvent):
        ImportManifest.from_json(content)


def test_a_trading_day_has_the_keys_and_the_name_of_the_contract():
    assert str(DAY) == "trading/2021-03-26"
    assert DAY.raw_key == "trading/session_date=2021-03-26/trading.parquet"
    assert DAY.source_key("ab", ".zip") == "source/trading/session_date=2021-03-26/ab.zip"
    assert trading_year_source_key(2021, "ab", ".txt") == "source/trading/year=2021/ab.txt"


def test_name_and_key_of_a_trading_day_go_both_ways():
    assert TradingDay.parse(str(DAY)) == DAY
    assert TradingDay.from_raw_key(DAY.raw_key) == DAY


@pytest.mark.parametrize("text", ["IBOV/2021-03-26", "trading/2021-3-26", "trading/2021-02-30", "trading/", "TRAD"])
def test_what_is_no_trading_day_is_refused(text: str):
    with pytest.raises(InvalidRequest):
        TradingDay.parse(text)


@pytest.mark.parametrize(
    "key",
    [
        "trading/session_date=2021-03-26/portfolio.parquet",
        "trading/session_date=2021-02-30/trading.parquet",
        "trading/session_date=2021-03-26/trading.parquet/",
        "portfolio/index_code=IBOV/session_date=2021-03-26/portfolio.parquet",
        "source/trading/session_date=2021-03-26/trading.parquet",
    ],
)
def test_what_is_no_key_of_a_trading_day_is_refused(key: str):
    with pytest.raises(UnexpectedEvent):
        TradingDay.from_raw_key(key)


def test_a_session_and_a_trading_day_are_never_mistaken_for_each_other():
    with pytest.raises(InvalidRequest):
        Session.parse(str(DAY))
    with pytest.raises(UnexpectedEvent):
        Session.from_raw_key(DAY.raw_key)


def test_a_manifest_names_trading_days_and_one_of_before_they_existed_is_still_read():
    manifest = ImportManifest(
        Import("20250203T120000Z-0f"), (), dt.datetime(2025, 2, 3, 12, tzinfo=dt.UTC), trading_days=(DAY,)
    )
    assert ImportManifest.from_json(manifest.to_json()) == manifest
    old = json.loads(manifest.to_json())
    assert old.pop("trading_days") == ["trading/2021-03-26"]
    assert ImportManifest.from_json(json.dumps(old).encode()).trading_days == ()
