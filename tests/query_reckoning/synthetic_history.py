"""A history in which everything happens that queries ask about, as the project's generator makes it.

Between its days lie three rebalances, entries, exits, the return of FARF3 (IBOV) and OURU3 (IEEX) after one rebalance's
absence, the split of UMBU3, gaps of fewer and of more than 20 sessions, and changes between B3's two views. Some
sessions have their trading day and some lack it, the latest among them. Members of IBOV do not trade on some days, one
of them on none of a window, so the index has no level there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from bovespa.cotahist_writer import whole_file
from bovespa.portfolio import View
from local.synthetic import synthetic_csv
from local.synthetic_trading import synthetic_records

_DAYS = tuple(
    dt.date.fromisoformat(day)
    for day in (
        "2022-04-28 2022-04-29 2022-05-02 2022-05-03 2022-09-02 2022-09-05 2022-09-06 2022-09-09 2022-09-21 2022-09-22 "
        "2022-12-29 2023-01-02 2023-01-03"
    ).split()
)
_SECTOR_DAYS = {"IBOV": (_DAYS[1], _DAYS[6], _DAYS[8]), "IEEX": (_DAYS[2], _DAYS[10])}
_TRADING_DAYS = tuple(
    dt.date.fromisoformat(day)
    for day in (
        "2022-04-29 2022-05-02 2022-09-02 2022-09-05 2022-09-08 2022-09-09 2022-09-20 2022-09-21 2022-09-22 2022-12-28 "
        "2022-12-29 2023-01-02"
    ).split()
)
_NOT_TRADED = {
    dt.date(2022, 4, 29): {"QUAB4"},
    dt.date(2022, 5, 2): {"QUAB4"},
    dt.date(2022, 9, 22): {"FARF3"},
    dt.date(2023, 1, 2): {"HORN4", "VENA4"},
}


def synthetic_contents() -> list[bytes]:
    """Return the files."""
    return [
        synthetic_csv(index_code, day, View.SECTOR if day in sector_days else View.CODE)
        for index_code, sector_days in _SECTOR_DAYS.items()
        for day in (_DAYS if index_code == "IBOV" else _DAYS[::2])
    ]


def synthetic_trading_days() -> list[bytes]:
    """Return the records of the trading days."""
    return [whole_file(day, _records(day)) for day in _TRADING_DAYS]


def _records(day: dt.date) -> Iterator[bytes]:
    missing = {ticker.ljust(12).encode() for ticker in _NOT_TRADED.get(day, ())}
    return (record for record in synthetic_records(day) if record[12:24] not in missing)


SYNTHETIC_CHOICES: tuple[dict[str, str], ...] = (
    {},
    {
        "index_code": "IBOV",
        "ticker": "FARF3",
        "session_date": "2022-09-05",
        "from_date": "2022-05-01",
        "to_date": "2022-09-22",
        "sessions": "3",
        "top": "3",
        "least_trades": "0",
        "year": "2022",
    },
    {
        "index_code": "IEEX",
        "ticker": "OURU3",
        "session_date": "2022-12-31",
        "from_date": "2022-05-02",
        "top": "100",
        "year": "2022",
    },
    {"index_code": "IBOV", "from_date": "2022-09-06", "to_date": "2022-09-21"},
    {"session_date": "2022-09-22", "least_trades": "2", "top": "500"},
    {"session_date": "2022-05-02", "top": "1"},
    {"index_code": "UTIL", "ticker": "NONE3", "session_date": "2000-01-01", "to_date": "2000-01-01", "year": "2000"},
)
"""Values of parameters: none, one bound and all, an index, a ticker and days that are not there."""

RECORDED_CHOICES: tuple[dict[str, str], ...] = (
    {},
    {
        "index_code": "IBOV",
        "ticker": "ITSA4",
        "session_date": "2025-03-01",
        "from_date": "2025-02-05",
        "to_date": "2025-02-27",
        "sessions": "40",
        "top": "7",
        "least_trades": "0",
        "year": "2025",
    },
    {"index_code": "SMLL", "ticker": "CVCB3", "session_date": "2022-06-10", "to_date": "2022-12-31", "top": "300"},
)
