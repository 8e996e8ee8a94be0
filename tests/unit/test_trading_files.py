"""Records of trading days written and read back, named, and split by day; and the Parquet made from them."""

from __future__ import annotations

import datetime as dt
import io
import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from api.trading_files import DaySpool, NamedPeriod, parse_file_name, read_day
from bovespa.cotahist import CotahistReader
from bovespa.cotahist_writer import record, whole_file
from bovespa.errors import InvalidTradingDay, UnreadableTradingDay, UnreconciledTradingDay
from bovespa.layout import TradingDay
from bovespa.portfolio import View
from bovespa.source_files import SourceFile
from bovespa.trading_day import Market, Quote
from local.synthetic import synthetic_portfolio
from local.synthetic_trading import synthetic_cotahist, synthetic_quotes, synthetic_records, zipped
from s3_bucket_manager.parquet_files import to_parquet_bytes
from s3_bucket_manager.trading_parquet import (
    TRADING_SCHEMA,
    read_trading_day,
    read_trading_facts,
    trading_bytes,
    trading_table,
)

MONDAY, TUESDAY, FRIDAY = dt.date(2025, 2, 24), dt.date(2025, 2, 25), dt.date(2025, 2, 28)
DAY = TradingDay(MONDAY)


def source_of(text: bytes) -> SourceFile:
    return SourceFile.of_bytes(text)


def spooled(folder: Path, text: bytes, named: NamedPeriod = NamedPeriod(None, None)) -> DaySpool:  # noqa: B008
    spool = DaySpool(folder)
    spool.fill(source_of(text), named, lambda _bytes: None)
    return spool


# --- the generator and the writer


@pytest.mark.parametrize("day", [MONDAY, dt.date(2000, 1, 3), dt.date(2061, 7, 6), dt.date(2099, 12, 30)])
def test_the_synthetic_day_is_what_the_reader_accepts_and_the_same_every_time(day: dt.date) -> None:
    text = synthetic_cotahist(day)
    reader = CotahistReader(io.BytesIO(text), session_date=day)
    assert list(reader) == synthetic_quotes(day)
    assert set(reader.skipped) == {Market.FRACTIONAL, Market.CALL_OPTION}
    assert text == synthetic_cotahist(day)
    assert len(list(CotahistReader(io.BytesIO(text), markets=None))) == reader.records - 2


@pytest.mark.parametrize("day", [dt.date(2025, 2, 22), dt.date(2025, 3, 4), dt.date(1999, 12, 30)])
def test_no_day_is_invented_on_which_b3_does_not_trade(day: dt.date) -> None:
    with pytest.raises(ValueError, match="not a trading day"):
        synthetic_quotes(day)


@pytest.mark.parametrize("index_code", ["IBOV", "SMLL", "IFIX", "BDRX"])
def test_the_participations_of_a_portfolio_follow_the_closes_of_the_day_before(index_code: str) -> None:
    closes = {quote.ticker: quote.close_price_brl for quote in synthetic_quotes(MONDAY)}
    holdings = synthetic_portfolio(index_code, TUESDAY, View.CODE).holdings
    values = {one.ticker: one.theoretical_quantity * closes[one.ticker] for one in holdings}
    total = sum(values.values())
    for one in holdings:
        # A unit of B3's three decimals may go to another for the sum's sake.
        assert abs(100 * values[one.ticker] / total - one.participation_pct) < Decimal("0.0011")


def test_a_quote_that_does_not_fit_its_record_is_an_error() -> None:
    quote = synthetic_quotes(MONDAY)[0]
    with pytest.raises(ValueError, match="TOTNEG"):
        record(Quote(**{name: getattr(quote, name) for name in Quote.__slots__} | {"trades": 100_000}))


def test_every_recorded_quote_survives_being_written(recordings: Path) -> None:
    for path in sorted((recordings / "cotahist").glob("COTAHIST_D2?032021.TXT")):
        reader = CotahistReader(io.BytesIO(path.read_bytes()))
        quotes = list(reader)
        written = whole_file(reader.file_date or dt.date.min, map(record, quotes))
        assert list(CotahistReader(io.BytesIO(written))) == quotes


# --- names and days


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("COTAHIST_D26032021.ZIP", NamedPeriod(dt.date(2021, 3, 26), None)),
        ("cotahist_d26032021 (1).txt", NamedPeriod(dt.date(2021, 3, 26), None)),
        ("COTAHIST_A2021.ZIP", NamedPeriod(None, 2021)),
        ("COTAHIST_M032021.ZIP", NamedPeriod(None, None)),
        ("prices.zip", NamedPeriod(None, None)),
    ],
)
def test_a_name_of_b3_promises_a_day_or_a_year(name: str, expected: NamedPeriod) -> None:
    assert parse_file_name(name) == expected


def test_a_name_with_a_date_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnreadableTradingDay, match="does not exist"):
        parse_file_name("COTAHIST_D31022021.ZIP")


def test_a_day_is_read_from_the_text_and_from_the_zip_alike() -> None:
    text = synthetic_cotahist(MONDAY)
    packed = source_of(zipped(text, "COTAHIST_D24022025.ZIP"))
    assert (packed.suffix, source_of(text).suffix) == (".zip", ".txt")
    assert read_day(packed, MONDAY) == read_day(source_of(text), MONDAY)
    assert read_day(packed, MONDAY)[1] == text.count(b"\n")


def test_the_zip_does_not_depend_on_when_it_was_made() -> None:
    assert zipped(b"a", "A.ZIP") == zipped(b"a", "A.ZIP")


@pytest.mark.parametrize("asked", [TUESDAY, dt.date(2024, 2, 23)])
def test_a_file_of_another_day_is_refused(asked: dt.date) -> None:
    with pytest.raises(UnreconciledTradingDay, match="was asked for"):
        read_day(source_of(synthetic_cotahist(MONDAY)), asked)


def test_a_file_without_a_quote_of_the_cash_market_is_refused(tmp_path: Path) -> None:
    odd_lots = [one for one in synthetic_records(MONDAY) if one[24:27] == b"020"]
    text = whole_file(MONDAY, odd_lots)
    with pytest.raises(UnreadableTradingDay, match="no quote of the cash market"):
        read_day(source_of(text), MONDAY)
    with pytest.raises(UnreadableTradingDay, match="no quote of the cash market"):
        spooled(tmp_path, text)


@pytest.mark.parametrize("memory_bytes", [1, 5000, 1 << 24])
def test_a_file_of_many_days_is_split_whatever_the_order_of_its_records(tmp_path: Path, memory_bytes: int) -> None:
    records = [one for day in (MONDAY, TUESDAY, FRIDAY) for one in synthetic_records(day)]
    random.Random(1).shuffle(records)
    told: list[int] = []
    text = whole_file(FRIDAY, records)
    spool = DaySpool(tmp_path, memory_bytes=memory_bytes)
    spool.fill(source_of(text), NamedPeriod(None, 2025), told.append)
    assert (spool.days, spool.year) == ([MONDAY, TUESDAY, FRIDAY], 2025)
    for day in spool.days:
        assert sorted(spool.quotes(day), key=lambda quote: quote.ticker) == sorted(
            synthetic_quotes(day), key=lambda quote: quote.ticker
        )
    assert sum(told) == len(text)
    assert all(more >= 0 for more in told)


def test_a_file_of_one_day_is_that_days_and_one_of_a_year_in_its_first_week_is_the_years(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert spooled(tmp_path / "a", synthetic_cotahist(MONDAY)).year is None
    (tmp_path / "b").mkdir()
    # One day of trade, and a header that is later: a yearly file that has just begun.
    assert spooled(tmp_path / "b", whole_file(TUESDAY, synthetic_records(MONDAY))).year == 2025


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        (NamedPeriod(None, 2024), "the name says 2024, the header 2025"),
        (NamedPeriod(TUESDAY, None), "2025-02-25 was asked for"),
    ],
)
def test_a_file_that_is_not_what_it_is_named_after_is_refused(tmp_path: Path, named: NamedPeriod, reason: str) -> None:
    with pytest.raises(InvalidTradingDay, match=reason):
        spooled(tmp_path, synthetic_cotahist(MONDAY), named)


# --- the Parquet file


def test_a_trading_day_survives_its_parquet_file_sorted_by_ticker() -> None:
    quotes = synthetic_quotes(MONDAY)
    content = trading_bytes(quotes, {"way": "https"})
    assert read_trading_day(content, DAY) == tuple(sorted(quotes, key=lambda quote: quote.ticker))
    assert read_trading_facts(content) == {"way": "https"}
    assert trading_bytes(quotes[::-1], {"way": "https"}) == content


def test_the_columns_are_those_of_the_contract_and_the_date_is_in_the_key_only() -> None:
    table = trading_table(synthetic_quotes(MONDAY), {})
    assert table.schema.equals(TRADING_SCHEMA)
    assert [(field.name, str(field.type), field.nullable) for field in TRADING_SCHEMA] == [
        ("ticker", "string", False),
        ("company", "string", False),
        ("share_class", "string", False),
        ("corporate_event", "string", True),
        ("listing_segment", "string", True),
        ("bdi_code", "string", False),
        ("isin", "string", False),
        *((f"{name}_price_brl", "decimal128(19, 8)", False) for name in ("open", "high", "low", "average", "close")),
        ("trades", "int64", False),
        ("traded_quantity", "int64", False),
        ("volume_brl", "decimal128(18, 2)", False),
        ("quotation_factor", "int32", False),
    ]


def test_a_price_of_a_millionth_of_the_published_one_keeps_its_digits() -> None:
    quote = synthetic_quotes(MONDAY)[0]
    values = {name: getattr(quote, name) for name in Quote.__slots__}
    price = Decimal("0.00002345")
    prices = {f"{name}_price_brl": price for name in ("open", "high", "low", "average", "close")}
    odd = Quote(**values | prices | {"quotation_factor": 1_000_000, "company": "", "bdi_code": "  "})
    assert read_trading_day(trading_bytes([odd], {}), DAY) == (odd,)


def test_the_recorded_day_has_the_trades_that_b3_counted(recordings: Path) -> None:
    source = SourceFile.of_path(recordings / "cotahist" / "COTAHIST_D26032021.TXT")
    day = dt.date(2021, 3, 26)
    quotes, records = read_day(source, day)
    assert records == 6102
    stored = {one.ticker: one for one in read_trading_day(trading_bytes(quotes, {}), TradingDay(day))}
    assert (stored["PETR4"].trades, stored["PETR4"].traded_quantity) == (64_400, 60_918_600)
    assert list(stored.values()) == sorted(quotes, key=lambda quote: quote.ticker)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"COTAHIST", id="a text"),
        pytest.param(to_parquet_bytes(pa.table({"ticker": ["PETR4"]})), id="another table"),
    ],
)
def test_what_is_no_raw_trading_day_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableTradingDay):
        read_trading_day(content, DAY)
