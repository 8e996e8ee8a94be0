"""B3's daily portfolio file: bytes in, `Portfolio` out, and back.

Every line is parsed by an explicit grammar or the file is refused. Only what cannot change a value is forgiven: LF for
CRLF, UTF-8 for ISO-8859-1, a missing `;` at the end of a row. The format is described in B3's recorded files: title,
heading, one row a share, *Quantidade Teórica Total*, *Redutor*.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import NoReturn

from bovespa.clock import short_date
from bovespa.errors import ColumnsChanged, UnreadablePortfolio, UnreconciledPortfolio
from bovespa.indexes import INDEX_CODES
from bovespa.layout import INDEX_CODE, TICKER
from bovespa.portfolio import Holding, Portfolio, View, reconcile

ENCODING = "iso-8859-1"

# When B3 renames a column, put the new heading before the old one: the files that are kept have the old one for ever,
# and the doctor, reports and imports read them. What is written has the first.
_HEADINGS = {
    View.CODE: ("Código;Ação;Tipo;Qtde. Teórica;Part. (%)",),
    View.SECTOR: ("Setor;Código;Ação;Tipo;Qtde. Teórica;Part. (%);Part. (%)Acum.",),
}
_VIEW_OF_HEADING = {heading: view for view, headings in _HEADINGS.items() for heading in headings}
_COLUMNS = {view: len(headings[0].split(";")) for view, headings in _HEADINGS.items()}
_TOTAL_LABEL = "Quantidade Teórica Total"
_REDUCTOR_LABEL = "Redutor"

_TITLE = re.compile(rf"({INDEX_CODE}) - Carteira do Dia (\d\d)/(\d\d)/(\d\d)", re.ASCII)
_FILE_NAME = re.compile(rf"({INDEX_CODE})Dia_(\d\d)-(\d\d)-(\d\d)\b.*\.csv", re.ASCII)
_QUANTITY = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})*", re.ASCII)
_PERCENT = re.compile(r"(?:0|[1-9]\d{0,2}),\d{3}", re.ASCII)
_REDUCTOR = re.compile(r"(?:0|[1-9]\d{0,2}(?:\.\d{3})*),\d{8}", re.ASCII)
_REDUCTOR_BOUND = Decimal(10) ** 16
"""B3's have some ten digits; every table keeps 16 before the comma."""
_TICKER = re.compile(TICKER, re.ASCII)
_TYPE_WIDTH = 10
# 10 fixed characters in three left-aligned parts: class (4), corporate event (4), listing segment (2).
_TYPE_PARTS = (
    (slice(0, 4), re.compile(r"[A-Z][A-Z0-9]{1,3}", re.ASCII)),
    (slice(4, 8), re.compile(r"(?:[A-Z][A-Z0-9]{0,3})?", re.ASCII)),
    (slice(8, 10), re.compile(r"(?:[A-Z][A-Z0-9])?", re.ASCII)),
)

MAX_BYTES = 1 << 20
"""The largest recorded file has 12 kB; a megabyte is not a daily portfolio."""


def parse_csv(
    content: bytes,
    *,
    index_code: str | None = None,
    session_date: dt.date | None = None,
    file_name: str | None = None,
) -> Portfolio:
    """Read B3's file, in either view, or refuse it.

    Args:
        content: The bytes as downloaded.
        index_code: The index that was asked for; the title must name it.
        session_date: The session that the page showed; the title must name it.
        file_name: The name that the file came under. If it is one of B3's (`IBOVDia_03-02-25.csv`), the title must
            name the same index and date.

    Returns:
        The portfolio, its rows in the file's order, proven to add up to the file's own totals.

    Raises:
        UnreadablePortfolio: A line breaks the format.
        ColumnsChanged: The heading is not one that B3 is known to print.
        UnreconciledPortfolio: The rows do not add up.
    """
    lines = _lines(content)
    title_index_code, title_date = _parse_title(lines[0])
    _check_title(title_index_code, title_date, index_code, session_date, file_name)
    if len(lines) < 5:
        _refuse(f"the file ends after {len(lines)} lines: rows or footer are missing", len(lines))
    view = _VIEW_OF_HEADING.get(lines[1])
    if view is None:
        raise ColumnsChanged(f"the heading is {_shown(lines[1])}, not one that B3 is known to print", line=2)
    total_line, reductor_line = len(lines) - 1, len(lines)
    total_quantity, total_participation = _parse_total(lines[-2], view, total_line)
    reductor = _parse_reductor(lines[-1], view, reductor_line)
    holdings = tuple(_parse_row(text, view, number) for number, text in enumerate(lines[2:-2], start=3))
    _refuse_duplicates(holdings)
    reconcile(
        holdings,
        total_theoretical_quantity=total_quantity,
        total_participation_pct=total_participation,
        line=total_line,
    )
    if view is View.SECTOR:
        _reconcile_sectors(holdings)
    return Portfolio(title_index_code, title_date, view, holdings, total_quantity, reductor)


def serialise_csv(portfolio: Portfolio) -> bytes:
    """Return *portfolio* as the bytes that B3 would send: ISO-8859-1, CRLF, rows ending in `;`."""
    sector = portfolio.view is View.SECTOR
    lead = ";;;;" if sector else ";;;"
    lines = [
        f"{portfolio.index_code} - Carteira do Dia {portfolio.session_date:%d/%m/%y}",
        _HEADINGS[portfolio.view][0],
        *(_row(holding, sector) for holding in portfolio.holdings),
        f"{_TOTAL_LABEL}{lead}{_thousands(portfolio.total_theoretical_quantity)};100,000" + (";100,000" * sector),
        f"{_REDUCTOR_LABEL}{lead}{_br_number(portfolio.reductor)}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode(ENCODING)


def view_of(content: bytes) -> View | None:
    """Return the view that a file's heading is of, None if it has no heading that is known; nothing else is read."""
    lines = _decode(content).split("\n", 2)
    return _VIEW_OF_HEADING.get(lines[1].rstrip("\r")) if len(lines) > 1 else None


def file_name(index_code: str, session_date: dt.date) -> str:
    """Return the name under which B3's page saves the file of this session."""
    return f"{index_code}Dia_{session_date:%d-%m-%y}.csv"


def parse_file_name(name: str) -> tuple[str, dt.date] | None:
    """Return the index code and the session date that a name like `IBOVDia_03-02-25.csv` says, or None.

    What a person added before the ending (`IBOVDia_03-02-25 (1).csv`, `IBOVDia_04-05-22.sector.csv`) does not matter.
    """
    match = _FILE_NAME.fullmatch(name)
    if match is None:
        return None
    session_date = short_date(match[2], match[3], match[4])
    return None if session_date is None else (match[1], session_date)


def _row(holding: Holding, sector: bool) -> str:
    kind = f"{holding.share_class:<4}{holding.corporate_event or '':<4}{holding.listing_segment or ''}".rstrip()
    fields = [
        holding.ticker,
        holding.company,
        kind,
        _thousands(holding.theoretical_quantity),
        _br_number(holding.participation_pct),
    ]
    if sector:
        if holding.sector_label is None or holding.sector_participation_pct is None:
            raise ValueError(f"{holding.ticker} has no sector, so it has no row in the sector view")
        fields = [holding.sector_label, *fields, _br_number(holding.sector_participation_pct)]
    return ";".join(fields) + ";"


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def _br_number(number: Decimal) -> str:
    return f"{number:,}".translate(str.maketrans(",.", ".,"))


def _lines(content: bytes) -> list[str]:
    if not content.strip():
        _refuse("the file is empty", 1)
    if len(content) > MAX_BYTES:
        _refuse(f"the file has {len(content)} bytes: too many for a daily portfolio", 1)
    text = _decode(content)
    lines = re.split(r"\r?\n", text)
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if "\ufffd" in line:
            _refuse("it holds replacement characters: the file was damaged by a change of encoding", number)
        if not line.isprintable():
            _refuse(f"it holds characters that do not print: {_shown(line)}", number)
        if not line.strip():
            _refuse("it is blank", number)
    return lines


def _decode(content: bytes) -> str:
    """UTF-8 if it is valid UTF-8: B3's accented letters in ISO-8859-1, followed by ASCII, never are."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode(ENCODING)


def _parse_title(line: str) -> tuple[str, dt.date]:
    match = _TITLE.fullmatch(line)
    if match is None:
        _refuse(f"the title is {_shown(line)}, not like 'IBOV - Carteira do Dia 03/02/25'", 1)
    index_code, day, month, year = match.groups()
    if index_code not in INDEX_CODES:
        _refuse(f"the title names {index_code!r}, which is no known index", 1)
    session_date = short_date(day, month, year)
    if session_date is None:
        _refuse(f"the title's date {day}/{month}/{year} does not exist", 1)
    if session_date.weekday() >= 5:
        _refuse(f"the title's date {session_date} is a {session_date:%A}: B3 has no session on it", 1)
    return index_code, session_date


def _check_title(
    title_index_code: str,
    title_date: dt.date,
    index_code: str | None,
    session_date: dt.date | None,
    name: str | None,
) -> None:
    if index_code is not None and title_index_code != index_code:
        _refuse(f"the title names index {title_index_code}, but {index_code} was asked for", 1)
    if session_date is not None and title_date != session_date:
        _refuse(f"the title names session {title_date}, but the page showed {session_date}", 1)
    named = parse_file_name(name) if name else None
    if named not in (None, (title_index_code, title_date)):
        _refuse(f"the title names {title_index_code} of {title_date}, but the file is called {name}", 1)


def _parse_row(text: str, view: View, number: int) -> Holding:
    fields = _fields(text, _COLUMNS[view], number, trailing=True)
    sector_label: str | None = None
    sector_participation: Decimal | None = None
    if view is View.SECTOR:
        sector_label, *fields = fields
        sector_participation = _percent(fields.pop(), "the sector's participation", number)
        _require_text(sector_label, "sector", number)
    ticker, company, kind, quantity, participation = fields
    if not _TICKER.fullmatch(ticker):
        _refuse(f"the ticker is {_shown(ticker)}, not like 'PETR4'", number)
    _require_text(company, "company", number)
    share_class, corporate_event, listing_segment = _split_type(kind, number)
    return Holding(
        ticker=ticker,
        company=company,
        share_class=share_class,
        corporate_event=corporate_event or None,
        listing_segment=listing_segment or None,
        theoretical_quantity=_quantity(quantity, number),
        participation_pct=_percent(participation, "the participation", number),
        sector_label=sector_label,
        sector_participation_pct=sector_participation,
    )


def _split_type(text: str, number: int) -> tuple[str, str, str]:
    padded = text.ljust(_TYPE_WIDTH)
    parts = tuple(padded[place].rstrip() for place, _ in _TYPE_PARTS)
    if (
        text != text.rstrip()
        or len(padded) > _TYPE_WIDTH
        or not all(grammar.fullmatch(part) for part, (_, grammar) in zip(parts, _TYPE_PARTS, strict=True))
    ):
        _refuse(f"the type is {_shown(text)}, not a class, an event and a segment in 10 fixed characters", number)
    return parts[0], parts[1], parts[2]


def _parse_total(text: str, view: View, number: int) -> tuple[int, Decimal]:
    blanks = 3 if view is View.SECTOR else 2
    if not text.startswith(_TOTAL_LABEL + ";" * (blanks + 1)):
        _refuse(f"expected {_TOTAL_LABEL!r} and its totals, found {_shown(text)}", number)
    fields = _fields(text, _COLUMNS[view], number, trailing=False)
    quantity, *participations = fields[1 + blanks :]
    totals = {_percent(participation, "the total participation", number) for participation in participations}
    if len(totals) != 1:
        raise UnreconciledPortfolio(f"the two total participations differ: {_shown(text)}", line=number)
    return _quantity(quantity, number), totals.pop()


def _parse_reductor(text: str, view: View, number: int) -> Decimal:
    label = _REDUCTOR_LABEL + (";;;;" if view is View.SECTOR else ";;;")
    value = text.removeprefix(label)
    if value == text or not _REDUCTOR.fullmatch(value):
        _refuse(f"expected {_REDUCTOR_LABEL!r} and a number with 8 decimals, found {_shown(text)}", number)
    reductor = _number(value)
    if not reductor:
        _refuse("the Redutor is zero", number)
    if reductor >= _REDUCTOR_BOUND:
        _refuse(f"the Redutor {value} is too large to be one", number)
    return reductor


def _fields(text: str, count: int, number: int, *, trailing: bool) -> list[str]:
    fields = text.split(";")
    if trailing and len(fields) == count + 1 and fields[-1] == "":
        fields.pop()
    if len(fields) != count:
        _refuse(f"expected {count} fields, found {len(fields)}: {_shown(text)}", number)
    return fields


def _quantity(text: str, number: int) -> int:
    if not _QUANTITY.fullmatch(text):
        _refuse(f"the quantity is {_shown(text)}, not a whole number like '4.394.835.131'", number)
    quantity = int(text.replace(".", ""))
    if quantity >= 1 << 63:
        _refuse(f"the quantity {text} is too large to be one", number)
    return quantity


def _percent(text: str, what: str, number: int) -> Decimal:
    if not _PERCENT.fullmatch(text):
        _refuse(f"{what} is {_shown(text)}, not a number with 3 decimals like '0,313'", number)
    return _number(text)


def _number(text: str) -> Decimal:
    """B3's `1.234,56` is 1234.56; the grammar was checked before."""
    return Decimal(text.replace(".", "").replace(",", "."))


def _require_text(text: str, what: str, number: int) -> None:
    if not text or text != text.strip():
        _refuse(f"the {what} is {_shown(text)}: empty, or with blanks around it", number)


def _refuse_duplicates(holdings: Sequence[Holding]) -> None:
    seen: dict[str, int] = {}
    for number, holding in enumerate(holdings, start=3):
        if holding.ticker in seen:
            _refuse(f"{holding.ticker} stands here again, after line {seen[holding.ticker]}", number)
        seen[holding.ticker] = number


def _reconcile_sectors(holdings: Sequence[Holding]) -> None:
    """*Part. (%)Acum.* is the total of all rows with the same sector text, repeated on each of them."""
    sums: defaultdict[str | None, Decimal] = defaultdict(Decimal)
    for holding in holdings:
        sums[holding.sector_label] += holding.participation_pct
    for number, holding in enumerate(holdings, start=3):
        total = sums[holding.sector_label]
        if holding.sector_participation_pct != total:
            raise UnreconciledPortfolio(
                f"{holding.ticker} says its sector {holding.sector_label!r} has {holding.sector_participation_pct} %, "
                f"but the rows of that sector sum to {total} %",
                line=number,
            )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _refuse(reason: str, line: int) -> NoReturn:
    raise UnreadablePortfolio(reason, line=line)
