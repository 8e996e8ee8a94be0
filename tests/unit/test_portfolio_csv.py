"""The strict parser: all that B3 sent is read to the last digit, all that was damaged is refused."""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bovespa.errors import ColumnsChanged, InvalidPortfolio, UnreadablePortfolio, UnreconciledPortfolio
from bovespa.portfolio import Holding, Portfolio, View
from bovespa.portfolio_csv import file_name, parse_csv, parse_file_name, serialise_csv, view_of

CODE = (
    "IBOV - Carteira do Dia 03/02/25\r\n"
    "Código;Ação;Tipo;Qtde. Teórica;Part. (%)\r\n"
    "PETR4;PETROBRAS;PN  EDJ N2;4.000.000;59,999;\r\n"
    "VALE3;VALE;ON      NM;1.500.000;40,001;\r\n"
    "XPTO11;XPTO S/A;UNT;7;0,000;\r\n"
    "Quantidade Teórica Total;;;5.500.007;100,000\r\n"
    "Redutor;;;16.036.751,16744128\r\n"
)
SECTOR = (
    "IBOV - Carteira do Dia 03/02/25\r\n"
    "Setor;Código;Ação;Tipo;Qtde. Teórica;Part. (%);Part. (%)Acum.\r\n"
    "Petróleo/ Exploração;PETR4;PETROBRAS;PN  EDJ N2;4.000.000;60,000;60,000;\r\n"
    "Mats Básicos / Mineração;VALE3;VALE;ON      NM;1.000.000;30,000;40,000;\r\n"
    "Mats Básicos / Mineração;CMIN3;CSNMINERACAO;ON      N2;500.000;10,000;40,000;\r\n"
    "Quantidade Teórica Total;;;;5.500.000;100,000;100,000\r\n"
    "Redutor;;;;16.036.751,16744128\r\n"
)


def parse(text: str, **expected: object) -> Portfolio:
    return parse_csv(text.encode("iso-8859-1"), **expected)  # type: ignore[arg-type]


def test_the_code_view_gives_the_whole_portfolio() -> None:
    assert parse(CODE) == Portfolio(
        index_code="IBOV",
        session_date=dt.date(2025, 2, 3),
        view=View.CODE,
        holdings=(
            Holding("PETR4", "PETROBRAS", "PN", "EDJ", "N2", 4_000_000, Decimal("59.999")),
            Holding("VALE3", "VALE", "ON", None, "NM", 1_500_000, Decimal("40.001")),
            Holding("XPTO11", "XPTO S/A", "UNT", None, None, 7, Decimal("0.000")),
        ),
        total_theoretical_quantity=5_500_007,
        reductor=Decimal("16036751.16744128"),
    )


@pytest.mark.parametrize(
    ("text", "view"), [(CODE, View.CODE), (SECTOR, View.SECTOR), (SECTOR.replace("Setor;", "Ramo;"), None), ("", None)]
)
@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_the_heading_alone_tells_the_view(text: str, view: View | None, line_end: str) -> None:
    assert view_of(text.replace("\r\n", line_end).encode("iso-8859-1")) is view


def test_the_sector_view_gives_each_row_its_sector_and_the_sectors_total() -> None:
    portfolio = parse(SECTOR)
    assert portfolio.view is View.SECTOR
    assert [(row.ticker, row.sector_label, row.sector_participation_pct) for row in portfolio.holdings] == [
        ("PETR4", "Petróleo/ Exploração", Decimal("60.000")),
        ("VALE3", "Mats Básicos / Mineração", Decimal("40.000")),
        ("CMIN3", "Mats Básicos / Mineração", Decimal("40.000")),
    ]


@pytest.mark.parametrize("text", [CODE, SECTOR])
def test_a_parsed_file_serialises_to_its_own_bytes(text: str) -> None:
    content = text.encode("iso-8859-1")
    assert serialise_csv(parse_csv(content)) == content


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: text.replace("\r\n", "\n").encode("iso-8859-1"), "LF for CRLF"),
        (lambda text: text.encode("utf-8"), "UTF-8"),
        (lambda text: text.encode("utf-8-sig"), "UTF-8 with a byte order mark"),
        (lambda text: text.replace(",001;\r", ",001\r").encode("iso-8859-1"), "one row without its last ;"),
        (lambda text: text.replace(";\r", "\r").encode("iso-8859-1"), "no row with its last ;"),
        (lambda text: text.removesuffix("\r\n").encode("iso-8859-1"), "no line end after the last line"),
    ],
)
def test_a_cosmetic_difference_changes_no_value(change: object, what: str) -> None:
    assert parse_csv(change(CODE)) == parse(CODE), what  # type: ignore[operator]


@pytest.mark.parametrize(
    ("old", "new", "error", "line", "reason"),
    [
        ("IBOV -", "IBOW -", UnreadablePortfolio, 1, "no known index"),
        ("03/02/25", "31/02/25", UnreadablePortfolio, 1, "does not exist"),
        ("03/02/25", "02/02/25", UnreadablePortfolio, 1, "Sunday"),
        ("03/02/25", "03/02/2025", UnreadablePortfolio, 1, "the title is"),
        ("Dia 03", "dia 03", UnreadablePortfolio, 1, "the title is"),
        ("Qtde. Teórica;", "Quantidade;", ColumnsChanged, 2, "the heading is"),
        ("Código;Ação", "Ação;Código", ColumnsChanged, 2, "the heading is"),
        ("PETR4", "PETR", UnreadablePortfolio, 3, "the ticker is"),
        ("PETR4", "petr4", UnreadablePortfolio, 3, "the ticker is"),
        ("VALE3", "PETR4", UnreadablePortfolio, 4, "again, after line 3"),
        (";VALE;", ";;", UnreadablePortfolio, 4, "the company is"),
        (";VALE;", "; VALE;", UnreadablePortfolio, 4, "the company is"),
        ("ON      NM", "ON     NM", UnreadablePortfolio, 4, "the type is"),
        ("ON      NM", "ON      NM9", UnreadablePortfolio, 4, "the type is"),
        ("ON      NM", "", UnreadablePortfolio, 4, "the type is"),
        ("1.500.000", "1500000", UnreadablePortfolio, 4, "the quantity is"),
        ("1.500.000", "1.500.00", UnreadablePortfolio, 4, "the quantity is"),
        ("1.500.000", "-1.500.000", UnreadablePortfolio, 4, "the quantity is"),
        ("1.500.000", "0", UnreadablePortfolio, 4, "the quantity is"),
        ("1.500.000", "1,500,000", UnreadablePortfolio, 4, "the quantity is"),
        ("1.500.000", "9.999.999.999.999.999.999", UnreadablePortfolio, 4, "too large"),
        ("40,001", "40.001", UnreadablePortfolio, 4, "the participation is"),
        ("40,001", "40,01", UnreadablePortfolio, 4, "the participation is"),
        ("40,001", "٤0,001".encode().decode("latin-1"), UnreadablePortfolio, 4, "the participation is"),
        (";VALE;", ";VA\x85LE;", UnreadablePortfolio, 4, "do not print"),
        ("40,001;", "40,001;;", UnreadablePortfolio, 4, "expected 5 fields, found 7"),
        ("1.500.000", "1.500.001", UnreconciledPortfolio, 6, "(+1)"),
        ("40,001", "40,002", UnreconciledPortfolio, 6, "sum to 100.001"),
        ("VALE3;VALE;ON      NM;1.500.000;40,001;\r\n", "", UnreconciledPortfolio, 5, "the 2 quantities sum"),
        ("VALE;ON", "VA\ufffdLE;ON", UnreadablePortfolio, 4, "replacement characters"),
        ("VALE3;", "\r\nVALE3;", UnreadablePortfolio, 4, "blank"),
        ("Quantidade Teórica Total", "Total", UnreadablePortfolio, 6, "expected 'Quantidade"),
        ("5.500.007;100,000", "5.500.007;100", UnreadablePortfolio, 6, "the total participation is"),
        (",16744128", ",1674412", UnreadablePortfolio, 7, "8 decimals"),
        ("16.036.751,", "16.036751,", UnreadablePortfolio, 7, "8 decimals"),
        ("16.036.751,16744128", "0,00000000", UnreadablePortfolio, 7, "zero"),
        ("16.036.751,16744128", "10.000.000.000.000.000,00000000", UnreadablePortfolio, 7, "too large"),
        ("Redutor;;;16.036.751,16744128\r\n", "", UnreadablePortfolio, 5, "expected 'Quantidade"),
    ],
)
def test_damage_is_refused_with_its_line_and_reason(
    old: str, new: str, error: type[InvalidPortfolio], line: int, reason: str
) -> None:
    assert old in CODE
    damaged = CODE.replace(old, new, 1)
    encoding = "utf-8" if "\ufffd" in new else "iso-8859-1"
    with pytest.raises(InvalidPortfolio) as refusal:
        parse_csv(damaged.encode(encoding))
    assert (type(refusal.value), refusal.value.line) == (error, line)
    assert reason in refusal.value.reason
    assert f"line {line}: " in str(refusal.value)


def test_totals_below_one_hundred_percent_are_refused_even_when_the_rows_agree() -> None:
    with pytest.raises(UnreconciledPortfolio, match=r"is 99\.999, not 100\.000"):
        parse(CODE.replace("40,001", "40,000").replace("5.500.007;100,000", "5.500.007;99,999"))


def test_a_sector_whose_rows_do_not_give_its_total_is_refused() -> None:
    with pytest.raises(UnreconciledPortfolio, match=r"line 5: CMIN3 says its sector"):
        parse(SECTOR.replace("10,000;40,000", "10,000;41,000"))


@pytest.mark.parametrize("content", [b"", b"\r\n\r\n", b"IBOV - Carteira do Dia 03/02/25\r\n", b"x" * (2 << 20)])
def test_what_is_no_portfolio_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadablePortfolio):
        parse_csv(content)


def test_the_file_must_be_the_one_that_was_asked_for() -> None:
    parse(CODE, index_code="IBOV", session_date=dt.date(2025, 2, 3), file_name="IBOVDia_03-02-25.csv")
    parse(CODE, file_name="whatever.csv")
    with pytest.raises(UnreadablePortfolio, match="SMLL was asked for"):
        parse(CODE, index_code="SMLL")
    with pytest.raises(UnreadablePortfolio, match="the page showed 2025-02-04"):
        parse(CODE, session_date=dt.date(2025, 2, 4))
    with pytest.raises(UnreadablePortfolio, match=r"the file is called IBOVDia_04-02-25\.csv"):
        parse(CODE, file_name="IBOVDia_04-02-25.csv")


def test_file_names_go_both_ways() -> None:
    name = file_name("IBOV", dt.date(2025, 2, 3))
    assert name == "IBOVDia_03-02-25.csv"
    assert parse_file_name(name) == ("IBOV", dt.date(2025, 2, 3))
    assert parse_file_name("IBOVDia_03-02-25 (1).csv") == ("IBOV", dt.date(2025, 2, 3))
    assert parse_file_name("IBOVDia_31-02-25.csv") is None
    assert parse_file_name("notes.csv") is None


def test_two_views_of_one_session_have_the_same_values() -> None:
    sector = parse(SECTOR)
    code = Portfolio(
        sector.index_code,
        sector.session_date,
        View.CODE,
        tuple(
            Holding(
                row.ticker,
                row.company,
                row.share_class,
                row.corporate_event,
                row.listing_segment,
                row.theoretical_quantity,
                row.participation_pct,
            )
            for row in reversed(sector.holdings)
        ),
        sector.total_theoretical_quantity,
        sector.reductor,
    )
    assert code.same_values_as(sector)
    assert not code.same_values_as(parse(CODE))


@settings(max_examples=400, deadline=None)
@given(position=st.integers(0, len(CODE) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_never_changes_a_number_unnoticed(position: int, byte: int) -> None:
    """Names and flags carry no checksum; every number does, through the totals, except the Redutor's digits."""
    content = bytearray(CODE.encode("iso-8859-1"))
    content[position] = byte
    try:
        portfolio = parse_csv(bytes(content), index_code="IBOV", session_date=dt.date(2025, 2, 3))
    except InvalidPortfolio:
        return
    original = parse(CODE)
    assert [(row.theoretical_quantity, row.participation_pct) for row in portfolio.holdings] == [
        (row.theoretical_quantity, row.participation_pct) for row in original.holdings
    ]
    assert portfolio.total_theoretical_quantity == original.total_theoretical_quantity
    assert (portfolio.index_code, portfolio.session_date) == (original.index_code, original.session_date)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_in_our_own_words(content: bytes) -> None:
    with pytest.raises(InvalidPortfolio):
        parse_csv(content)


def test_every_recorded_session_is_read_to_the_last_digit(recordings: Path) -> None:
    """Against a second reading that shares nothing with the parser: split, strip, compare."""
    with (recordings / "sessions" / "INDEX.tsv").open(encoding="utf-8") as index:
        listed = list(csv.DictReader(index, delimiter="\t"))
    assert len(listed) == 54
    for entry in listed:
        content = (recordings / "sessions" / entry["file"]).read_bytes()
        portfolio = parse_csv(content, file_name=entry["file"])
        assert (portfolio.index_code, str(portfolio.session_date)) == (entry["index"], entry["session_date"])
        assert (str(portfolio.view), len(portfolio.holdings)) == (entry["view"], int(entry["rows"]))
        lines = content.decode("iso-8859-1").replace("\r\n", "\n").splitlines()
        skip = 1 if entry["view"] == "sector" else 0
        for line, holding in zip(lines[2:-2], portfolio.holdings, strict=True):
            ticker, company, kind, quantity, participation = line.split(";")[skip : skip + 5]
            assert (holding.ticker, holding.company) == (ticker, company)
            assert kind.split() == [
                part for part in (holding.share_class, holding.corporate_event, holding.listing_segment) if part
            ]
            assert str(holding.theoretical_quantity) == quantity.replace(".", "")
            assert str(holding.participation_pct) == participation.replace(",", ".")
        assert str(portfolio.reductor) == lines[-1].split(";")[-1].replace(".", "").replace(",", ".")
        assert serialise_csv(portfolio).replace(b";\r\n", b"\r\n") == content.replace(b";\r\n", b"\r\n")


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("IBOVDia_11-05-26.replacement-characters.csv", 2, "replacement characters"),
        ("IBOVDia_26-03-21.mangled-redutor.csv", 86, "8 decimals"),
        ("IBOVDia_31-07-24.spreadsheet-resave.csv", 1, "the title is"),
        ("IDIVDia_01-12-22.tipo-removed.csv", 1, "the title is"),
        ("IFNCDia_04-05-22.title-disagrees-with-name.csv", 1, "the file is called"),
        ("headless.csv", 1, "the title is"),
        ("mojibake-footer.csv", 1, "the title is"),
        ("not-a-portfolio.csv", 1, "blank"),
        ("renamed-columns.csv", 1, "the title is"),
    ],
)
def test_every_recorded_broken_file_is_refused(recordings: Path, name: str, line: int, reason: str) -> None:
    with pytest.raises(InvalidPortfolio) as refusal:
        parse_csv((recordings / "bad" / name).read_bytes(), file_name=name)
    assert refusal.value.line == line
    assert reason in refusal.value.reason


def test_the_list_of_broken_files_is_complete(recordings: Path) -> None:
    assert len(list((recordings / "bad").iterdir())) == 9
