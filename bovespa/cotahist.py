"""B3's record of trading days, COTAHIST: a stream of bytes in, one `Quote` a record out.

Fixed width, 245 bytes a record: header (00), quotes (01), trailer (99). Every record is matched against the whole
layout, and every number of a kept one against its neighbours, or the file is refused. One record is held at a time, and
the key of each kept one (some 100 bytes), so that a year of two million records is read in little memory.

The layout is that of B3's document "Séries Históricas"; the recorded days of 25 and 26/03/2021 obey every rule below.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import BinaryIO, NoReturn

from bovespa.calendar import FIRST_YEAR
from bovespa.errors import UnreadableTradingDay, UnreconciledTradingDay
from bovespa.trading_day import Market, Quote

ENCODING = "iso-8859-1"
RECORD_BYTES = 245

CASH_MARKET = frozenset({Market.CASH})
"""What is kept unless told otherwise; the other markets trade in derived papers or in fractions of a lot."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a quote, by the 1-based columns of B3's document, both included."""

    name: str
    first: int
    last: int
    grammar: bytes

    @property
    def width(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1


def _digits(name: str, first: int, last: int) -> Field:
    return Field(name, first, last, rb"[0-9]{%d}" % (last - first + 1))


def _text(name: str, first: int, last: int) -> Field:
    # ISO-8859-1 without control characters.
    return Field(name, first, last, rb"[\x20-\x7e\xa0-\xff]{%d}" % (last - first + 1))


LAYOUT = (
    Field("TIPREG", 1, 2, b"01"),
    _digits("DATA", 3, 10),
    _text("CODBDI", 11, 12),
    _text("CODNEG", 13, 24),
    _digits("TPMERC", 25, 27),
    _text("NOMRES", 28, 39),
    _text("ESPECI", 40, 49),
    _text("PRAZOT", 50, 52),
    _text("MODREF", 53, 56),
    _digits("PREABE", 57, 69),
    _digits("PREMAX", 70, 82),
    _digits("PREMIN", 83, 95),
    _digits("PREMED", 96, 108),
    _digits("PREULT", 109, 121),
    _digits("PREOFC", 122, 134),
    _digits("PREOFV", 135, 147),
    _digits("TOTNEG", 148, 152),
    _digits("QUATOT", 153, 170),
    _digits("VOLTOT", 171, 188),
    _digits("PREEXE", 189, 201),
    _digits("INDOPC", 202, 202),
    _digits("DATVEN", 203, 210),
    _digits("FATCOT", 211, 217),
    _digits("PTOEXE", 218, 230),
    _text("CODISI", 231, 242),
    _digits("DISMES", 243, 245),
)
"""Every field of a quote, under B3's own name."""

# What a quote is made of; the others are checked, and only for being what the layout says.
_KEPT = frozenset(
    """
    DATA CODBDI CODNEG TPMERC NOMRES ESPECI PREABE PREMAX PREMIN PREMED PREULT TOTNEG QUATOT VOLTOT FATCOT CODISI
    """.split()
)
_RECORD = re.compile(
    b"".join(b"(?P<%s>%s)" % (one.name.encode(), one.grammar) if one.name in _KEPT else one.grammar for one in LAYOUT)
)
_MARKET = slice(24, 27)
_MARKETS = {market.value.encode(): market for market in Market}
_HEADER = re.compile(rb"00COTAHIST\.([0-9]{4})BOVESPA ([0-9]{8}) {214}")
_TRAILER = re.compile(rb"99COTAHIST\.([0-9]{4})BOVESPA ([0-9]{8})([0-9]{11}) {203}")
_TICKER = re.compile(r"([A-Z0-9]{4,12}) *", re.ASCII)
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]", re.ASCII)
# 'CI *' and 'ON *' occur beside 'CI' and 'ON'; B3's document does not say what the star means, so it is kept.
_SHARE_CLASS = re.compile(r"[A-Z][A-Z0-9](?:[A-Z0-9]{0,2}| \*)", re.ASCII)
_FACTORS = frozenset(10**exponent for exponent in range(7))


@dataclass
class CotahistReader:
    """Reads one file, once: iterate over it for the quotes, then ask for the counts.

    Nothing that was yielded may be published before the iteration has ended, because only the trailer says whether the
    file is whole.
    """

    stream: BinaryIO
    session_date: dt.date | None = None
    """The one trading day that the file must be of; None for a file of many days, all in the year of its header."""
    markets: Collection[Market] | None = field(default=CASH_MARKET)
    """The markets to keep; None for all."""
    records: int = field(default=0, init=False)
    """Records read so far, header and trailer included."""
    kept: int = field(default=0, init=False)
    """Quotes yielded so far."""
    file_date: dt.date | None = field(default=None, init=False)
    """The date in the header, once that was read."""
    year: int | None = field(default=None, init=False)
    """The year in the header, once that was read: the year of every record, except in a file of one day."""
    line: bytes = field(default=b"", init=False)
    """The record of the quote that was yielded last, as it stands in the file, without its line end."""
    skipped: Counter[Market] = field(default_factory=Counter, init=False)
    """Quotes of other markets, checked against the layout and left out."""

    def __iter__(self) -> Iterator[Quote]:
        """Yield the kept quotes in the file's order.

        Raises:
            UnreadableTradingDay: A record breaks the layout, or header or trailer is missing or not where it belongs.
            UnreconciledTradingDay: The trailer counts other records than there are, a date is not the file's, a ticker
                stands twice, or the numbers of a quote contradict each other.
        """
        lines = self._lines()
        header = next(lines, b"")
        match = _HEADER.fullmatch(header)
        if match is None:
            _refuse(f"the header is {_shown(header)}, not like '00COTAHIST.2021BOVESPA 20210326'", 1)
        year, file_date = match[1], _date(match[2], 1)
        self.year, self.file_date = int(year), file_date
        if self.year < FIRST_YEAR:
            _refuse(f"it is of {self.year}, and the calendar that windows are counted by begins in {FIRST_YEAR}", 1)
        self._check_session_date(file_date)
        seen: set[bytes] = set()
        trailer: re.Match[bytes] | None = None
        for line in lines:
            if trailer is not None:
                _refuse(f"it comes after the trailer: {_shown(line)}", self.records)
            if line.startswith(b"99"):
                trailer = self._trailer(line, header)
            elif (quote := self._quote(line, year, file_date)) is not None:
                # Forwards of one ticker differ in their days (PRAZOT); in the cash market it is blank.
                key = line[2:10] + line[12:27] + line[49:52]
                if key in seen:
                    _contradict(f"{quote.ticker} stands twice on {quote.session_date}", self.records)
                seen.add(key)
                self.kept += 1
                self.line = line
                yield quote
        if trailer is None:
            _refuse("the file ends without a trailer: it was cut off", self.records)

    def _lines(self) -> Iterator[bytes]:
        """The records without their line ends, which are LF or CRLF."""
        while line := self.stream.readline(RECORD_BYTES + 3):
            self.records += 1
            record = line.removesuffix(b"\n").removesuffix(b"\r")
            if len(record) != RECORD_BYTES:
                _refuse(f"it has {len(record)} bytes, not {RECORD_BYTES}: {_shown(record)}", self.records)
            yield record

    def _check_session_date(self, file_date: dt.date) -> None:
        if self.session_date is not None and file_date != self.session_date:
            _contradict(f"the header's date is {file_date}, but {self.session_date} was asked for", 1)

    def _trailer(self, line: bytes, header: bytes) -> re.Match[bytes]:
        match = _TRAILER.fullmatch(line)
        if match is None:
            _refuse(
                f"the trailer is {_shown(line)}, not like '99COTAHIST.2021BOVESPA 2021032600000006102'", self.records
            )
        if line[2:31] != header[2:31]:
            _contradict(f"the trailer names {_shown(line[2:31])}, the header {_shown(header[2:31])}", self.records)
        if int(match[3]) != self.records:
            _contradict(f"the trailer counts {int(match[3])} records, the file has {self.records}", self.records)
        return match

    def _quote(self, line: bytes, year: bytes, file_date: dt.date) -> Quote | None:
        match = _RECORD.fullmatch(line)
        if match is None:
            _refuse(_first_breach(line), self.records)
        market = _MARKETS.get(line[_MARKET])
        if market is None:
            _refuse(f"TPMERC is {_shown(line[_MARKET])}, which is no market of B3's document", self.records)
        if self.session_date is None and match["DATA"][:4] != year:
            _contradict(f"the record is of {_shown(match['DATA'])}, the file of the year {_shown(year)}", self.records)
        session_date = _date(match["DATA"], self.records)
        if session_date > file_date or self.session_date not in (None, session_date):
            _contradict(f"the record is of {session_date}, the file of {file_date}", self.records)
        if self.markets is not None and market not in self.markets:
            self.skipped[market] += 1
            return None
        return _parse(match, market, session_date, self.records)


def _parse(match: re.Match[bytes], market: Market, session_date: dt.date, number: int) -> Quote:
    def text(name: str) -> str:
        return match[name].decode(ENCODING)

    ticker = _TICKER.fullmatch(text("CODNEG"))
    if ticker is None:
        _refuse(f"CODNEG is {text('CODNEG')!r}, not like 'PETR4       '", number)
    isin = text("CODISI")
    if _ISIN.fullmatch(isin) is None:
        _refuse(f"CODISI is {isin!r}, not like 'BRPETRACNPR6'", number)
    kind = text("ESPECI")
    share_class = kind[0:4].rstrip()
    if _SHARE_CLASS.fullmatch(share_class) is None:
        _refuse(f"ESPECI is {kind!r}, which does not begin with a class like 'ON' or 'PNA'", number)
    factor = int(match["FATCOT"])
    if factor not in _FACTORS:
        _refuse(f"FATCOT is {factor}, not a power of ten up to 1,000,000", number)
    quantity, volume = int(match["QUATOT"]), int(match["VOLTOT"])
    low, high = int(match["PREMIN"]), int(match["PREMAX"])
    average = int(match["PREMED"])
    _check(match, number, low=low, high=high, average=average, quantity=quantity, volume=volume, factor=factor)
    places = -2 - (len(str(factor)) - 1)
    return Quote(
        session_date=session_date,
        ticker=ticker[1],
        market=market,
        bdi_code=text("CODBDI"),
        company=text("NOMRES").rstrip(),
        share_class=share_class,
        corporate_event=kind[4:8].strip() or None,
        listing_segment=kind[8:10].strip() or None,
        open_price_brl=Decimal(int(match["PREABE"])).scaleb(places),
        high_price_brl=Decimal(high).scaleb(places),
        low_price_brl=Decimal(low).scaleb(places),
        average_price_brl=Decimal(average).scaleb(places),
        close_price_brl=Decimal(int(match["PREULT"])).scaleb(places),
        trades=int(match["TOTNEG"]),
        traded_quantity=quantity,
        volume_brl=Decimal(volume).scaleb(-2),
        quotation_factor=factor,
        isin=isin,
    )


def _check(
    match: re.Match[bytes],
    number: int,
    *,
    low: int,
    high: int,
    average: int,
    quantity: int,
    volume: int,
    factor: int,
) -> None:
    """Hold the numbers of one record against each other, in hundredths of a BRL.

    Every record of the two whole recorded days, in every market, passes: the average is the volume by the quantity, cut
    off behind its second decimal, and the volume itself is exact to 0.01.
    """
    ticker = match["CODNEG"].decode(ENCODING).rstrip()
    for name in ("PREABE", "PREMED", "PREULT"):
        if not low <= int(match[name]) <= high:
            _contradict(f"{ticker}'s {name} {int(match[name])} is not within {low} and {high}, the day's range", number)
    trades = int(match["TOTNEG"])
    if low == 0 or not 0 < trades <= quantity:
        _contradict(f"{ticker} has {trades} trades of {quantity} shares from {low} upwards", number)
    if not average * quantity - factor <= volume * factor <= (average + 1) * quantity + factor:
        _contradict(f"{ticker}'s volume {volume} is not its {quantity} shares at {average}", number)


def _first_breach(line: bytes) -> str:
    """What is wrong with a record that the layout does not match."""
    for one in LAYOUT:
        value = line[one.first - 1 : one.last]
        if re.fullmatch(one.grammar, value) is None:
            return f"{one.name} (columns {one.first} to {one.last}) is {_shown(value)}"
    raise AssertionError("a record whose every field matches, matches")


@lru_cache(maxsize=1024)
def _known_date(text: bytes) -> dt.date:
    return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _date(text: bytes, number: int) -> dt.date:
    try:
        found = _known_date(text)
    except ValueError:
        _refuse(f"the date {_shown(text)} does not exist", number)
    if found.weekday() >= 5:
        _refuse(f"the date {found} is a {found:%A}: B3 does not trade on it", number)
    return found


def _shown(content: bytes) -> str:
    text = content.decode(ENCODING)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _refuse(reason: str, record: int) -> NoReturn:
    raise UnreadableTradingDay(reason, line=record)


def _contradict(reason: str, record: int) -> NoReturn:
    raise UnreconciledTradingDay(reason, line=record)
