"""The files of B3 that the faults are tried with."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal

from bovespa.calendar import trading_days_before
from bovespa.layout import Session
from bovespa.portfolio import Portfolio
from bovespa.portfolio_csv import serialise_csv
from local.synthetic import synthetic_portfolio


@dataclass(frozen=True, slots=True)
class Files:
    """Two sessions of one index, and a correction of the first."""

    first: Portfolio
    second: Portfolio
    corrected: Portfolio
    """The first session with every quantity changed and one ticker less."""

    @classmethod
    def of(cls, index_code: str, before: dt.date = dt.date(2023, 9, 29)) -> Files:
        """Return the files of the last two sessions before a day."""
        one, two = (synthetic_portfolio(index_code, day) for day in trading_days_before(before, 2))
        return cls(one, two, _corrected(one))


def session_of(portfolio: Portfolio) -> Session:
    """Return where *portfolio* is filed."""
    return Session(portfolio.index_code, portfolio.session_date)


def bytes_of(portfolio: Portfolio) -> bytes:
    """Return *portfolio* as B3 would send it."""
    return serialise_csv(portfolio)


def _corrected(portfolio: Portfolio) -> Portfolio:
    """One ticker gone, its share with the largest, and one more of every other share; the totals are right again."""
    gone = min(portfolio.holdings, key=lambda row: (row.participation_pct, row.ticker))
    largest = max(portfolio.holdings, key=lambda row: (row.participation_pct, row.ticker))
    moved = [
        replace(
            row,
            theoretical_quantity=row.theoretical_quantity + 1,
            participation_pct=row.participation_pct + (gone.participation_pct if row is largest else 0),
        )
        for row in portfolio.holdings
        if row is not gone
    ]
    sectors: defaultdict[str | None, Decimal] = defaultdict(Decimal)
    for row in moved:
        sectors[row.sector_label] += row.participation_pct
    holdings = tuple(replace(row, sector_participation_pct=sectors[row.sector_label]) for row in moved)
    total = sum(row.theoretical_quantity for row in holdings)
    return replace(portfolio, holdings=holdings, total_theoretical_quantity=total)
