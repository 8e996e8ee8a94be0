"""The reader of trading days: every record is accounted for, every damage is refused or stays where it is."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import zipfile
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bovespa.cotahist import LAYOUT, RECORD_BYTES, CotahistReader
from bovespa.cotahist_archive import open_cotahist
from bovespa.errors import InvalidTradingDay, UnreadableTradingDay, UnreconciledTradingDay
from bovespa.trading_day import Market, Quote

DAY = dt.date(2024, 3, 6)
HEADER = b"00COTAHIST.2024BOVESPA 20240306".ljust(RECORD_BYTES)


def record(**fields: object) -> bytes:
    """A quote of 100 shares at 10.00 to 11.00, with *fields*, named as B3 does, in place of the usual ones."""
    values: dict[str, object] = {
        "TIPREG": "01",
        "DATA": "20240306",
        "CODBDI": "02",
        "CODNEG": "ABCD3",
        "TPMERC": "010",
        "NOMRES": "ABCDE",
        "ESPECI": "ON  EDJ NM",
        "PRAZOT": "",
        "MODREF": "R$",
        "PREABE": 1000,
        "PREMAX": 1100,
        "PREMIN": 990,
        "PREMED": 1050,
        "PREULT": 1090,
        "PREOFC": 1089,
        "PREOFV": 1091,
        "TOTNEG": 7,
        "QUATOT": 100,
        "VOLTOT": 105_000,
        "PREEXE": 0,
        "INDOPC": 0,
        "DATVEN": "99991231",
        "FATCOT": 1,
        "PTOEXE": 0,
        "CODISI": "BRABCDACNOR0",
        "DISMES": 106,
    } | fields
    parts = []
    for one in LAYOUT:
        value = values.pop(one.name)
        text = str(value)
        parts.append(text.rjust(one.width, "0") if isinstance(value, int) else text.ljust(one.width))
    assert not values
    line = "".join(parts).encode("iso-8859-1")
    assert len(line) == RECORD_BYTES
    return line


def file_of(*records: bytes, end: bytes = b"\r\n", counted: int | None = None) -> bytes:
    count = len(records) + 2 if counted is None else counted
    trailer = (b"99" + HEADER[2:31] + b"%011d" % count).ljust(RECORD_BYTES)
    return b"".join(line + end for line in (HEADER, *records, trailer))


def read(content: bytes, **options: object) -> list[Quote]:
    return list(CotahistReader(io.BytesIO(content), **options))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------- one record


def test_the_layout_covers_every_column_once() -> None:
    assert (LAYOUT[0].first, LAYOUT[-1].last) == (1, RECORD_BYTES)
    assert all(after.first == before.last + 1 for before, after in pairwise(LAYOUT))


def test_a_quote_is_read_to_the_last_digit() -> None:
    assert read(file_of(record())) == [
        Quote(
            session_date=DAY,
            ticker="ABCD3",
            market=Market.CASH,
            bdi_code="02",
            company="ABCDE",
            share_class="ON",
            corporate_event="EDJ",
            listing_segment="NM",
            open_price_brl=Decimal("10.00"),
            high_price_brl=Decimal("11.00"),
            low_price_brl=Decimal("9.90"),
            average_price_brl=Decimal("10.50"),
            close_price_brl=Decimal("10.90"),
            trades=7,
            traded_quantity=100,
            volume_brl=Decimal("1050.00"),
            quotation_factor=1,
            isin="BRABCDACNOR0",
        )
    ]


def test_the_price_is_that_of_one_share_whatever_the_quotation_factor() -> None:
    (quote,) = read(file_of(record(FATCOT=1000, QUATOT=100_000, VOLTOT=105_000)))
    assert (quote.close_price_brl, quote.quotation_factor) == (Decimal("0.01090"), 1000)
    assert quote.volume_brl == Decimal("1050.00")


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_both_line_ends_are_read(end: bytes) -> None:
    assert len(read(file_of(record(), end=end))) == 1


def test_the_last_line_needs_no_end() -> None:
    assert len(read(file_of(record()).removesuffix(b"\r\n"))) == 1


def test_other_markets_are_counted_and_left_out_unless_asked_for() -> None:
    option = record(CODNEG="ABCDC10", TPMERC="070", CODBDI="78")
    content = file_of(record(), option, option.replace(b"ABCDC10", b"ABCDC11"))
    reader = CotahistReader(io.BytesIO(content))
    assert [quote.ticker for quote in reader] == ["ABCD3"]
    assert (reader.kept, reader.skipped, reader.records) == (1, {Market.CALL_OPTION: 2}, 5)
    assert [quote.ticker for quote in read(content, markets=None)] == ["ABCD3", "ABCDC10", "ABCDC11"]
    assert [quote.ticker for quote in read(content, markets={Market.CALL_OPTION})] == ["ABCDC10", "ABCDC11"]


# ------------------------------------------------------------------------------------------------------ whole files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: the header is ''"),
        (b"<html>busy</html>\n", "line 1: it has 17 bytes, not 245"),
        (file_of(record())[len(HEADER) + 2 :], "line 1: the header is"),
        (file_of(record()).replace(b"2024", b"1997"), "line 1: it is of 1997, and the calendar"),
        (file_of(record())[: 2 * 247], "line 2: the file ends without a trailer: it was cut off"),
        (file_of(record())[:-100], "line 3: it has 147 bytes"),
        (file_of(record()) + record() + b"\r\n", "line 4: it comes after the trailer"),
        (file_of(record()) + b"\x1a", "line 4: it has 1 bytes"),
        (file_of(record()[:-1]), "line 2: it has 244 bytes"),
        (file_of(record() + b" "), "line 2: it has 246 bytes"),
        (file_of(b"02" + record()[2:]), "line 2: TIPREG (columns 1 to 2) is '02'"),
        (file_of(record(TPMERC="011")), "line 2: TPMERC is '011'"),
        (file_of(record(CODNEG="abcd3")), "line 2: CODNEG is 'abcd3       '"),
        (file_of(record(CODNEG="")), "line 2: CODNEG is '            '"),
        (file_of(record(CODISI="BR")), "line 2: CODISI is 'BR          '"),
        (file_of(record(ESPECI="")), "line 2: ESPECI is '          '"),
        (file_of(record(FATCOT=3)), "line 2: FATCOT is 3"),
        (file_of(record(FATCOT=0)), "line 2: FATCOT is 0"),
        (file_of(record(DATA="20240230")), "line 2: the date '20240230' does not exist"),
        (file_of(record(DATA="20240303")), "line 2: the date 2024-03-03 is a Sunday"),
        (file_of(b"01x" + record()[3:]), "line 2: DATA (columns 3 to 10) is 'x0240306'"),
    ],
)
def test_what_breaks_the_layout_is_unreadable(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableTradingDay) as refused:
        read(content)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (file_of(record(), counted=4), "line 3: the trailer counts 4 records, the file has 3"),
        (file_of(record(), record()), "line 3: ABCD3 stands twice on 2024-03-06"),
        (file_of(record(DATA="20240307")), "line 2: the record is of 2024-03-07, the file of 2024-03-06"),
        (file_of(record(DATA="20230306")), "line 2: the record is of '20230306', the file of the year '2024'"),
        (file_of(record()).replace(b"99COTAHIST.2024", b"99COTAHIST.2023"), "line 3: the trailer names"),
        (file_of(record(PREABE=989)), "ABCD3's PREABE 989 is not within 990 and 1100"),
        (file_of(record(PREULT=1101)), "ABCD3's PREULT 1101 is not within 990 and 1100"),
        (file_of(record(PREMAX=900)), "is not within 990 and 900"),
        (file_of(record(TOTNEG=0)), "ABCD3 has 0 trades of 100 shares"),
        (file_of(record(TOTNEG=101)), "ABCD3 has 101 trades of 100 shares"),
        (file_of(record(VOLTOT=105_102)), "ABCD3's volume 105102 is not its 100 shares at 1050"),
        (file_of(record(VOLTOT=104_998)), "ABCD3's volume 104998 is not its 100 shares at 1050"),
    ],
)
def test_what_contradicts_itself_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(UnreconciledTradingDay) as refused:
        read(content)
    assert words in str(refused.value)


def test_the_average_is_cut_off_behind_its_second_decimal() -> None:
    """So the volume may exceed quantity by average, by less than 0.01 a share, give or take its own last digit."""
    for volume in (104_999, 105_000, 105_099, 105_101):
        assert len(read(file_of(record(VOLTOT=volume)))) == 1


def test_a_file_of_another_day_than_the_asked_one_is_refused() -> None:
    with pytest.raises(UnreconciledTradingDay, match="header's date is 2024-03-06, but 2024-03-07 was asked for"):
        read(file_of(record()), session_date=dt.date(2024, 3, 7))


def test_a_file_of_many_days_is_read_where_no_single_one_is_asked_for() -> None:
    content = file_of(record(DATA="20240305"), record())
    assert [quote.session_date.day for quote in read(content)] == [5, 6]
    with pytest.raises(UnreconciledTradingDay, match="line 2: the record is of 2024-03-05"):
        read(content, session_date=DAY)


def test_a_cut_off_file_yields_no_end() -> None:
    """Whoever publishes after the iteration publishes nothing of it."""
    reader = CotahistReader(io.BytesIO(file_of(record(), record(CODNEG="ABCD4"))[: 3 * 247]))
    quotes = iter(reader)
    assert [next(quotes).ticker, next(quotes).ticker] == ["ABCD3", "ABCD4"]
    with pytest.raises(UnreadableTradingDay):
        next(quotes)


# ------------------------------------------------------------------------------------------------------- properties

_OF_FIELD = {
    "DATA": ("session_date",),
    "PREABE": ("open_price_brl",),
    "PREMAX": ("high_price_brl",),
    "PREMIN": ("low_price_brl",),
    "PREMED": ("average_price_brl",),
    "PREULT": ("close_price_brl",),
    "TOTNEG": ("trades",),
    "QUATOT": ("traded_quantity",),
    "VOLTOT": ("volume_brl",),
    "TPMERC": ("market",),
    # A price is of so many shares: the factor is part of every price.
    "FATCOT": (
        "quotation_factor",
        "open_price_brl",
        "high_price_brl",
        "low_price_brl",
        "average_price_brl",
        "close_price_brl",
    ),
}
_NUMERIC = [one for one in LAYOUT if b"[0-9]" in one.grammar]


@settings(max_examples=1500, deadline=None)
@given(st.data())
def test_a_changed_byte_of_a_number_is_refused_or_changes_only_that_field(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(_NUMERIC))
    place = data.draw(st.integers(one.first - 1, one.last - 1))
    byte = data.draw(st.one_of(st.sampled_from(b"0123456789"), st.integers(0, 255)))
    line = record()
    damaged = line[:place] + bytes([byte]) + line[place + 1 :]
    (before,) = read(file_of(line))
    try:
        (after,) = read(file_of(damaged), markets=None)
    except InvalidTradingDay:
        assert damaged != line
        return
    assert bytes([byte]).isdigit()
    allowed = set(_OF_FIELD.get(one.name, ()))
    changed = {
        each.name for each in dataclasses.fields(Quote) if getattr(after, each.name) != getattr(before, each.name)
    }
    assert changed <= allowed


@settings(max_examples=300, deadline=None)
@given(
    low=st.integers(1, 10**9),
    spread=st.integers(0, 10**6),
    average=st.floats(0, 1),
    # With the highest price, the volume fills its 18 digits just so.
    quantity=st.integers(1, 10**9 - 10**6),
    exponent=st.integers(0, 6),
    ticker=st.from_regex(r"[A-Z0-9]{4}[0-9]{1,2}", fullmatch=True),
)
def test_any_consistent_quote_is_read_exactly(
    *, low: int, spread: int, average: float, quantity: int, exponent: int, ticker: str
) -> None:
    factor = 10**exponent
    high = low + spread
    mean = low + int(spread * average)
    volume = mean * quantity // factor
    (quote,) = read(
        file_of(
            record(
                CODNEG=ticker,
                PREABE=high,
                PREMAX=high,
                PREMIN=low,
                PREMED=mean,
                PREULT=low,
                TOTNEG=1,
                QUATOT=quantity,
                VOLTOT=volume,
                FATCOT=factor,
            )
        )
    )
    assert quote.ticker == ticker
    assert quote.low_price_brl * factor * 100 == low
    assert quote.high_price_brl * factor * 100 == high
    assert quote.average_price_brl * factor * 100 == mean
    assert (quote.traded_quantity, quote.volume_brl * 100) == (quantity, volume)


# --------------------------------------------------------------------------------------------------------- archives


def zipped(**members: bytes) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    packed.seek(0)
    return packed


def test_a_zip_and_the_text_itself_are_read_alike() -> None:
    content = file_of(record())
    for file in (io.BytesIO(content), zipped(COTAHIST_TXT=content)):
        with open_cotahist(file) as text:
            assert [quote.ticker for quote in CotahistReader(text)] == ["ABCD3"]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (zipped(), "holds nothing, not one text"),
        (zipped(A_TXT=b"", B_TXT=b""), "holds A.TXT, B.TXT, not one text"),
        (zipped(A_EXE=b""), "holds A.EXE, not one text"),
        (io.BytesIO(b"PK and nothing behind it"), "the ZIP cannot be read"),
    ],
)
def test_an_archive_that_is_not_one_text_is_refused(file: io.BytesIO, words: str) -> None:
    with pytest.raises(UnreadableTradingDay, match=words), open_cotahist(file):
        pass


def test_a_damaged_archive_is_refused_while_it_is_read() -> None:
    packed = bytearray(zipped(A_TXT=file_of(*(record(CODNEG=f"AAAA{n}") for n in range(99)))).getvalue())
    packed[200] ^= 0xFF
    with pytest.raises(InvalidTradingDay), open_cotahist(io.BytesIO(bytes(packed))) as text:
        list(CotahistReader(text))


# ------------------------------------------------------------------------------------------------------- recordings


@pytest.mark.parametrize("name", ["COTAHIST_D25032021.TXT", "COTAHIST_D26032021.TXT"])
def test_every_record_of_a_recorded_day_is_accounted_for_and_a_second_reading_agrees(
    recordings: Path, name: str
) -> None:
    path = recordings / "cotahist" / name
    with path.open("rb") as file:
        reader = CotahistReader(file)
        quotes = {quote.ticker: quote for quote in reader}
    counted = int(path.read_bytes().splitlines()[-1][31:42])
    assert reader.records == counted == reader.kept + reader.skipped.total() + 2
    assert len(quotes) == reader.kept
    columns = {
        "market": (24, 27),
        "ticker": (12, 24),
        "company": (27, 39),
        "open_price_brl": (56, 69),
        "high_price_brl": (69, 82),
        "low_price_brl": (82, 95),
        "average_price_brl": (95, 108),
        "close_price_brl": (108, 121),
        "trades": (147, 152),
        "traded_quantity": (152, 170),
        "volume_brl": (170, 188),
        "quotation_factor": (210, 217),
        "isin": (230, 242),
    }
    table = pd.read_fwf(
        path,
        colspecs=list(columns.values()),
        names=list(columns),
        skiprows=1,
        skipfooter=1,
        dtype=str,
        encoding="latin-1",
        engine="python",
    )
    cash = table[table["market"] == "010"]
    assert len(cash) == len(quotes)
    for row in cash.to_dict("records"):
        quote = quotes[row["ticker"]]
        for column, text in row.items():
            if column == "market":
                continue
            found = getattr(quote, column)
            if column.endswith("price_brl"):
                assert found * 100 * quote.quotation_factor == int(text), (row["ticker"], column)
            elif column == "volume_brl":
                assert found * 100 == int(text)
            else:
                assert str(found) == (text if isinstance(found, str) else str(int(text)))


def test_every_market_of_the_recorded_days_obeys_the_rules(recordings: Path) -> None:
    for name, quotes in (("COTAHIST_D25032021.TXT", 6212), ("COTAHIST_D26032021.TXT", 6100)):
        with (recordings / "cotahist" / name).open("rb") as file:
            assert sum(1 for _ in CotahistReader(file, markets=None)) == quotes


def test_the_recorded_day_has_the_trades_that_facts_tells(recordings: Path) -> None:
    with (recordings / "cotahist" / "COTAHIST_D26032021.TXT").open("rb") as file:
        (petr4,) = (quote for quote in CotahistReader(file) if quote.ticker == "PETR4")
    assert petr4.trades == 64_400


def test_the_recorded_truncated_file_is_refused(recordings: Path) -> None:
    with (recordings / "cotahist" / "COTAHIST_D04012016.truncated.TXT").open("rb") as file:
        reader = CotahistReader(file)
        with pytest.raises(UnreconciledTradingDay, match="line 506: the trailer counts 1745 records, the file has 506"):
            list(reader)
