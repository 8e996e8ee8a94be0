"""A session's theoretical portfolio as a value, and the proof that it is complete."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from bovespa.errors import UnreconciledPortfolio

TOTAL_PARTICIPATION_PCT = Decimal("100.000")
"""What the participations of every daily file sum to, exactly (94 of 94 recorded files)."""


class View(StrEnum):
    """Which of B3's two tables a portfolio was read from; only the sector view carries sectors."""

    CODE = "code"
    SECTOR = "sector"


@dataclass(frozen=True, slots=True)
class Holding:
    """One share of the portfolio, as B3 prints it."""

    ticker: str
    """B3's *Código*, for example `PETR4`."""
    company: str
    """B3's *Ação*: the company's trading name, for example `PETROBRAS`."""
    share_class: str
    """Characters 1-4 of B3's *Tipo*: `ON`, `PN`, `PNA`, `UNT`, ..."""
    corporate_event: str | None
    """Characters 5-8 of *Tipo*: `ED` ex-dividend, `EJ` ex-interest, `ATZ` adjusted, ...; None on most days."""
    listing_segment: str | None
    """Characters 9-10 of *Tipo*: `NM` Novo Mercado, `N1`, `N2`, `MB`; None for the traditional segment."""
    theoretical_quantity: int
    """B3's *Qtde. Teórica*, in shares."""
    participation_pct: Decimal
    """B3's *Part. (%)* at the opening of the session, three decimals."""
    sector_label: str | None = None
    """B3's *Setor*, in B3's own spelling; None in the code view."""
    sector_participation_pct: Decimal | None = None
    """B3's *Part. (%)Acum.*: the total of all rows with the same `sector_label`; None in the code view."""


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The theoretical portfolio of one index for one session."""

    index_code: str
    session_date: dt.date
    """The session the portfolio is valid for, from the file's title; not the day it was fetched."""
    view: View
    holdings: tuple[Holding, ...]
    """In the file's order."""
    total_theoretical_quantity: int
    """The file's own *Quantidade Teórica Total*."""
    reductor: Decimal
    """The file's *Redutor*, eight decimals: index = sum(price x quantity) / reductor."""

    def same_values_as(self, other: Portfolio) -> bool:
        """Whether both hold the same numbers, whatever view they were read from and in whatever order."""
        return _values(self) == _values(other)


def _values(portfolio: Portfolio) -> tuple[object, ...]:
    rows = sorted(
        (
            holding.ticker,
            holding.company,
            holding.share_class,
            holding.corporate_event or "",
            holding.listing_segment or "",
            holding.theoretical_quantity,
            holding.participation_pct,
        )
        for holding in portfolio.holdings
    )
    return (
        portfolio.index_code,
        portfolio.session_date,
        portfolio.total_theoretical_quantity,
        portfolio.reductor,
        rows,
    )


def reconcile(
    holdings: Sequence[Holding],
    *,
    total_theoretical_quantity: int,
    total_participation_pct: Decimal,
    line: int | None = None,
) -> None:
    """Prove that no row was lost, doubled or changed: the rows must reproduce the file's totals exactly.

    Args:
        holdings: All rows of the file.
        total_theoretical_quantity: The footer's total, in shares.
        total_participation_pct: The footer's total participation.
        line: Line of the footer, for the message.

    Raises:
        UnreconciledPortfolio: A sum differs from its total.
    """
    quantity = sum(holding.theoretical_quantity for holding in holdings)
    if quantity != total_theoretical_quantity:
        raise UnreconciledPortfolio(
            f"the {len(holdings)} quantities sum to {quantity}, not to the file's total {total_theoretical_quantity} "
            f"({quantity - total_theoretical_quantity:+d})",
            line=line,
        )
    participation = sum((holding.participation_pct for holding in holdings), Decimal("0.000"))
    if participation != total_participation_pct:
        raise UnreconciledPortfolio(
            f"the {len(holdings)} participations sum to {participation}, not to the file's total "
            f"{total_participation_pct}",
            line=line,
        )
    if total_participation_pct != TOTAL_PARTICIPATION_PCT:
        raise UnreconciledPortfolio(
            f"the file's total participation is {total_participation_pct}, not {TOTAL_PARTICIPATION_PCT}", line=line
        )
