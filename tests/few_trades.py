"""Trading days on which little of the invented market traded: an index, and some of the others.

For tests that the size of a day tells nothing: of some 650 rows a day, each is reckoned, refined, read and compared.
"""

from __future__ import annotations

import datetime as dt
import zlib

from bovespa.calendar import trading_days_after
from bovespa.cotahist_writer import whole_file
from local.synthetic import synthetic_portfolio
from local.synthetic_trading import synthetic_quotes, synthetic_records

_ONE_IN = 10
"""Of so many papers outside the index, one trades."""


def few_cotahist(session_date: dt.date, index_code: str) -> bytes:
    """The record of a day as B3 would write it: members of that session's and the next one's index, and some others."""
    traded, records, is_kept = _traded(session_date, index_code), [], False
    for record in synthetic_records(session_date):
        # Odd lots and calls follow their paper.
        if record[24:27] == b"010":
            is_kept = record[12:24].decode().strip() in traded
        if is_kept:
            records.append(record)
    return whole_file(session_date, records)


def _traded(session_date: dt.date, index_code: str) -> set[str]:
    days = (session_date, *trading_days_after(session_date, 1))
    members = {holding.ticker for day in days for holding in synthetic_portfolio(index_code, day).holdings}
    others = {quote.ticker for quote in synthetic_quotes(session_date)}
    return members | {ticker for ticker in others if zlib.crc32(ticker.encode()) % _ONE_IN == 0}
