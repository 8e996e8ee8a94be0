"""Records of trading days as files: what their names say, and what is in one, a day at a time and in bounded memory."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bovespa.cotahist import RECORD_BYTES, CotahistReader
from bovespa.cotahist_archive import open_cotahist
from bovespa.cotahist_writer import header, trailer
from bovespa.errors import UnreadableTradingDay, UnreconciledTradingDay
from bovespa.source_files import SourceFile
from bovespa.trading_day import Quote

_NAME = re.compile(r"COTAHIST_(?:D(\d\d)(\d\d)(\d{4})|A(\d{4}))\b.*", re.ASCII | re.IGNORECASE)
_SPOOLED_BYTES = 4 << 20
_STEP = 8192
"""Records between two words of progress."""


@dataclass(frozen=True, slots=True)
class NamedPeriod:
    """What a name of B3 promises."""

    day: dt.date | None
    """The one day of `COTAHIST_DDDMMYYYY`."""
    year: int | None
    """The year of `COTAHIST_AYYYY`."""


def parse_file_name(name: str) -> NamedPeriod:
    """Read a name of B3; any other name promises nothing.

    Raises:
        UnreadableTradingDay: It is one of B3's names with a date that does not exist.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return NamedPeriod(None, None)
    if match[4]:
        return NamedPeriod(None, int(match[4]))
    try:
        return NamedPeriod(dt.date(int(match[3]), int(match[2]), int(match[1])), None)
    except ValueError:
        raise UnreadableTradingDay(f"the name {name} has a date that does not exist") from None


def read_day(source: SourceFile, session_date: dt.date) -> tuple[list[Quote], int]:
    """Read the record of one day whole.

    Returns:
        The quotes of the cash market, and how many records the file has.

    Raises:
        InvalidTradingDay: It is no such record, or not of that day, or without a quote of the cash market.
    """
    with source.open() as file, open_cotahist(file) as text:
        reader = CotahistReader(text, session_date=session_date)
        quotes = list(reader)
    _refuse_nothing(reader)
    return quotes, reader.records


class DaySpool:
    """The cash-market records of a file of any length, by day, in a folder of their own.

    The order of the file does not matter. One file of the folder is open at a time.

    Args:
        folder: Empty.
        memory_bytes: How much is kept in memory before it goes to the folder.
    """

    def __init__(self, folder: Path, *, memory_bytes: int = _SPOOLED_BYTES) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._pending: defaultdict[dt.date, list[bytes]] = defaultdict(list)
        self._pending_bytes = 0
        self._counts: defaultdict[dt.date, int] = defaultdict(int)
        self.year: int | None = None
        """The year under which the file is to be kept; None for a file of one day."""

    @property
    def days(self) -> list[dt.date]:
        """The days of which there is anything, in order."""
        return sorted(self._counts)

    def fill(self, source: SourceFile, named: NamedPeriod, advance: Callable[[int], None]) -> None:
        """Read a file from its header to its trailer; only when this returns, anything of it may be published.

        Args:
            source: The file.
            named: What its name promises.
            advance: Told how many bytes more of it were read.

        Raises:
            InvalidTradingDay: It is no such record, or not of the period that it is named after.
        """
        with source.open() as file, open_cotahist(file) as text:
            reader = CotahistReader(text, session_date=named.day)
            told, next_word = 0, _STEP
            for quote in reader:
                self._add(quote.session_date, reader.line)
                if reader.records >= next_word:
                    next_word = reader.records + _STEP
                    position = max(told, file.tell())
                    advance(position - told)
                    told = position
        _refuse_nothing(reader)
        if named.year is not None and named.year != reader.year:
            raise UnreconciledTradingDay(f"the name says {named.year}, the header {reader.year}")
        self._flush()
        self.year = None if self.days == [reader.file_date] else reader.year
        advance(source.size_bytes - told)

    def quotes(self, day: dt.date) -> Sequence[Quote]:
        """Return the quotes of one day, in the file's order."""
        records = self._counts[day]
        lines = [header(day), self._path(day).read_bytes()[:-1], trailer(day, records + 2)]
        # Proven before; read by the same reader, so that there is one way from a record to a quote.
        return list(CotahistReader(io.BytesIO(b"\n".join(lines)), session_date=day))

    def _add(self, day: dt.date, line: bytes) -> None:
        self._pending[day].append(line)
        self._counts[day] += 1
        self._pending_bytes += RECORD_BYTES
        if self._pending_bytes >= self._memory_bytes:
            self._flush()

    def _flush(self) -> None:
        for day, lines in self._pending.items():
            with self._path(day).open("ab") as file:
                file.writelines(line + b"\n" for line in lines)
        self._pending.clear()
        self._pending_bytes = 0

    def _path(self, day: dt.date) -> Path:
        return self._folder / f"{day}.txt"


def _refuse_nothing(reader: CotahistReader) -> None:
    if not reader.kept:
        raise UnreadableTradingDay("no quote of the cash market is in it")
