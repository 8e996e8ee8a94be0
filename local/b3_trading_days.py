"""The records of trading days that the stand-in publishes: recorded ones from a folder, or invented ones."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bovespa.calendar import is_trading_day
from bovespa.cotahist import RECORD_BYTES
from bovespa.cotahist_archive import open_cotahist
from local.synthetic_market import FIRST_YEAR
from local.synthetic_trading import synthetic_cotahist, zipped

_ASKED = re.compile(r"COTAHIST_D(\d\d)(\d\d)(\d{4})\.ZIP", re.ASCII)
_RECORDED = re.compile(r"COTAHIST_D(\d\d)(\d\d)(\d{4})\b.*\.(?:TXT|ZIP)", re.ASCII | re.IGNORECASE)


class TradingDays(Protocol):
    """Where records come from."""

    def text(self, day: dt.date) -> bytes | None:
        """Return the text of one day, None if there is none."""


class SyntheticTradingDays:
    """A record of every trading day."""

    def text(self, day: dt.date) -> bytes | None:
        """See `TradingDays`."""
        known = FIRST_YEAR <= day.year < FIRST_YEAR + 100 and is_trading_day(day)
        return synthetic_cotahist(day) if known else None


@dataclass(frozen=True, slots=True)
class RecordedTradingDays:
    """The files named `COTAHIST_DDDMMYYYY*.TXT` or `.ZIP` of a folder, looked up at each request, byte for byte."""

    folder: Path

    def text(self, day: dt.date) -> bytes | None:
        """See `TradingDays`."""
        # The shortest name first: a name with more in it is a copy.
        for path in sorted(self.folder.iterdir(), key=lambda path: (len(path.name), path.name)):
            if _day(_RECORDED.fullmatch(path.name)) == day:
                with path.open("rb") as file, open_cotahist(file) as text:
                    return text.read()
        return None


def day_of(file_name: str) -> dt.date | None:
    """Return the day that a name of B3 asks for, None if it is no such name."""
    return _day(_ASKED.fullmatch(file_name))


def answer_of(text: bytes, file_name: str, faults: Collection[str]) -> bytes:
    """Return the ZIP that B3 would send, with what the faults do to the text in it."""
    if "truncated_record" in faults:
        text = text[: len(text) * 2 // 3 // (RECORD_BYTES + 2) * (RECORD_BYTES + 2) + 100]
    if "wrong_totals" in faults:
        place = text.rindex(b"\n99") + 1 + 31
        text = text[:place] + b"%011d" % (int(text[place : place + 11]) + 1) + text[place + 11 :]
    return zipped(text, file_name)


def _day(match: re.Match[str] | None) -> dt.date | None:
    if match is None:
        return None
    day, month, year = map(int, match.groups())
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None
