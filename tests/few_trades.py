"""Trading days on which little of the invented market traded: an index, and some of the others.

For tests that the size of a day tells nothing: of some 650 rows a day, each is reckoned, refined, read and compared.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from bovespa.calendar import is_trading_day, trading_days_after
from bovespa.cotahist_writer import whole_file
from bovespa.trading_day import Quote
from local.synthetic import synthetic_portfolio
from local.synthetic_trading import records_of, synthetic_quotes

_ONE_IN = 10
"""Of so many papers outside the index, one trades."""


@dataclass(frozen=True, slots=True)
class FewTradingDays:
    """What a stand-in publishes (`local.b3_trading_days.TradingDays`) where only the index and some others trade."""

    index_code: str

    def text(self, day: dt.date) -> bytes | None:
        """Return the record of one day, None if it is no trading day."""
        return few_cotahist(day, self.index_code) if is_trading_day(day) else None


def few_cotahist(session_date: dt.date, index_code: str) -> bytes:
    """The record of a day as B3 would write it."""
    return whole_file(session_date, few_records(session_date, index_code))


def few_records(session_date: dt.date, index_code: str) -> Iterator[bytes]:
    """The quotes of a day in every market, as records without line ends."""
    return records_of(few_quotes(session_date, index_code))


@lru_cache(maxsize=64)
def few_quotes(session_date: dt.date, index_code: str) -> tuple[Quote, ...]:
    """What members of that session's and the next one's index, and some others, did in the cash market."""
    days = (session_date, *trading_days_after(session_date, 1))
    members = {holding.ticker for day in days for holding in synthetic_portfolio(index_code, day).holdings}
    quotes = synthetic_quotes(session_date)
    return tuple(quote for quote in quotes if quote.ticker in members or _is_traded(quote.ticker))


def _is_traded(ticker: str) -> bool:
    return zlib.crc32(ticker.encode()) % _ONE_IN == 0
