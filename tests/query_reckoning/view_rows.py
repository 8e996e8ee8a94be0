"""An independent reckoning of each view: plain Python over a `History`."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

from tests.query_reckoning.history import History, Row, grouped, nulls_last, rounded, total

VIEW_ROWS: dict[str, Callable[[History], list[Row]]] = {}


def _view(function: Callable[[History], list[Row]]) -> Callable[[History], list[Row]]:
    VIEW_ROWS[function.__name__] = function
    return function


@_view
def holdings_with_sectors(history: History) -> list[Row]:
    known: defaultdict[str, dict[dt.date, Row]] = defaultdict(dict)
    for index_code in sorted(history.holdings):
        for date, rows in history.holdings[index_code].items():
            for ticker, row in rows.items():
                if row["sector"] is not None:
                    known[ticker].setdefault(date, row)
    filled = []
    for by_date in history.holdings.values():
        for date, rows in by_date.items():
            for ticker, row in rows.items():
                source = row if row["sector"] is not None else None
                missing = row["sector_as_published"] is None
                if missing and known[ticker]:
                    nearest = min(known[ticker], key=lambda other: (abs((other - date).days), other))
                    source = known[ticker][nearest]
                filled.append(
                    row
                    | {name: source and source[name] for name in ("sector", "subsector")}
                    | {
                        "is_sector_filled": missing and source is not None,
                        "sector_session_date": source and source["session_date"],
                    }
                )
    return filled


@_view
def sectors_filled(history: History) -> list[Row]:
    found = []
    for (index_code, date), rows in grouped(holdings_with_sectors(history), "index_code", "session_date").items():
        groups = grouped(rows, "sector", "subsector")
        order = sorted(groups, key=lambda names: (-total(groups[names]), *map(nulls_last, names)))
        for rank, names in enumerate(order, start=1):
            members = groups[names]
            from_elsewhere = [row for row in members if row["is_sector_filled"]]
            found.append(
                {
                    "index_code": index_code,
                    "session_year": date.year,
                    "session_date": date,
                    "sector": names[0],
                    "subsector": names[1],
                    "holdings": len(members),
                    "companies": len({row["company"] for row in members}),
                    "theoretical_quantity": total(members, "theoretical_quantity"),
                    "participation_pct": total(members),
                    "participation_rank": rank,
                    "filled_holdings": len(from_elsewhere),
                    "filled_participation_pct": Decimal("0.000") + total(from_elsewhere),
                }
            )
    return found


@_view
def membership_stays(history: History) -> list[Row]:
    found = []
    for index_code, by_date in history.holdings.items():
        dates = list(by_date)
        for ticker in sorted({ticker for rows in by_date.values() for ticker in rows}):
            number, stay = 0, list[int]()
            for place in range(len(dates) + 1):
                if place < len(dates) and ticker in by_date[dates[place]]:
                    stay.append(place)
                elif stay:
                    number += 1
                    rows = [by_date[dates[one]][ticker] for one in stay]
                    found.append(_stay(index_code, ticker, number, rows, history))
                    stay = []
    return found


def _stay(index_code: str, ticker: str, number: int, rows: list[Row], history: History) -> Row:
    days = [row["session_date"] for row in rows]
    return {
        "index_code": index_code,
        "ticker": ticker,
        "company": rows[-1]["company"],
        "stay_number": number,
        "first_session_date": days[0],
        "last_session_date": days[-1],
        "sessions": len(days),
        "longest_gap_days": max(((later - day).days for day, later in itertools.pairwise(days)), default=None),
        "first_participation_pct": rows[0]["participation_pct"],
        "last_participation_pct": rows[-1]["participation_pct"],
        "previous_session_date": history.before(index_code, days[0]),
        "next_session_date": history.after(index_code, days[-1]),
        "is_current": days[-1] == history.dates(index_code)[-1],
    }


@_view
def ticker_history(history: History) -> list[Row]:
    found = []
    for (index_code, ticker), stays in grouped(membership_stays(history), "index_code", "ticker").items():
        rows = [rows[ticker] for rows in history.holdings[index_code].values() if ticker in rows]
        shares = [row["participation_pct"] for row in rows]
        first = stays[0]["first_session_date"]
        since = [date for date in history.dates(index_code) if date >= first]
        found.append(
            {
                "index_code": index_code,
                "ticker": ticker,
                "company": rows[-1]["company"],
                "first_session_date": first,
                "last_session_date": stays[-1]["last_session_date"],
                "sessions": len(rows),
                "presence_pct": rounded(Decimal(100 * len(rows)) / len(since), 3),
                "stays": len(stays),
                "is_current": ticker in history.holdings[index_code][since[-1]],
                "min_participation_pct": min(shares),
                "max_participation_pct": max(shares),
                "avg_participation_pct": rounded(sum(shares, Decimal(0)) / len(shares), 3),
            }
        )
    return found


@_view
def latest_sessions(history: History) -> list[Row]:
    return [list(by_date.values())[-1] for by_date in history.sessions.values()]
