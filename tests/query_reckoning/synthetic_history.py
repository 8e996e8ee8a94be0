"""A history in which everything happens that queries ask about, as the project's generator makes it.

Between its days lie three rebalances, entries, exits, the return of FARF3 (IBOV) and OURU3 (IEEX) after one rebalance's
absence, the split of UMBU3, gaps of fewer and of more than 20 sessions, and changes between B3's two views.
"""

from __future__ import annotations

import datetime as dt

from bovespa.portfolio import View
from local.synthetic import synthetic_csv

_DAYS = tuple(
    dt.date.fromisoformat(day)
    for day in (
        "2022-04-28 2022-04-29 2022-05-02 2022-05-03 2022-09-02 2022-09-05 2022-09-06 2022-09-09 2022-09-21 2022-09-22 "
        "2022-12-29 2023-01-02 2023-01-03"
    ).split()
)
_SECTOR_DAYS = {"IBOV": (_DAYS[1], _DAYS[6], _DAYS[8]), "IEEX": (_DAYS[2], _DAYS[10])}


def synthetic_contents() -> list[bytes]:
    """Return the files."""
    return [
        synthetic_csv(index_code, day, View.SECTOR if day in sector_days else View.CODE)
        for index_code, sector_days in _SECTOR_DAYS.items()
        for day in (_DAYS if index_code == "IBOV" else _DAYS[::2])
    ]


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
        "year": "2025",
    },
    {"index_code": "SMLL", "ticker": "CVCB3", "session_date": "2022-06-10", "to_date": "2022-12-31", "top": "300"},
)
