"""The project's own generator of sessions: any index, any trading day since 2000, no recorded number in it.

Everything is a pure function of index, date and view, so the same call gives the same bytes on every machine, and the
sessions of one index fit each other: members change only when B3 rebalances, quantities in between only by a split of
one share, flags of *Tipo* stay several sessions, participations follow prices. `local.synthetic_market` is the market.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from bovespa.calendar import is_trading_day, last_rebalance_on_or_before, trading_days_before
from bovespa.indexes import require_index_code
from bovespa.portfolio import Holding, Portfolio, View
from bovespa.portfolio_csv import serialise_csv
from local.synthetic_market import (
    FIRST_YEAR,
    Share,
    draw,
    drift,
    events,
    price_cents,
    shares,
    shown_event,
    split_factor,
)

_HUNDRED_PERCENT = 100_000
"""In B3's smallest unit of participation, 0.001 %."""

_EQUAL_VALUE_CENTS = 200_000_000_000
"""What each member of an equally weighted index is worth when it is rebalanced."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """How an index chooses its members."""

    eligible: Callable[[Share], bool]
    members: int
    skip: int = 0
    """How many of the most liquid it leaves out."""
    equal_weight: bool = False
    shuffled: bool = False
    """Whether it ranks by something of its own (dividends, beta, ...) rather than by liquidity."""


def _group(*groups: str) -> Callable[[Share], bool]:
    return lambda share: share.group in groups


def _equity(share: Share) -> bool:
    return share.is_equity


def _governed(share: Share) -> bool:
    return share.is_equity and share.listing_segment is not None


def _novo_mercado(share: Share) -> bool:
    return share.is_equity and share.listing_segment == "NM"


_RULES: dict[str, _Rule] = {
    "AGFS": _Rule(_group("food"), 20),
    "BDRX": _Rule(_group("bdr"), 115),
    "GPTW": _Rule(_equity, 42, shuffled=True),
    "IBBC": _Rule(_equity, 90),
    "IBBE": _Rule(_equity, 90, equal_weight=True),
    "IBBR": _Rule(_equity, 91),
    "IBEE": _Rule(_group("electricity", "water", "oil"), 12),
    "IBEP": _Rule(_group("consumption", "real_estate", "finance", "food", "industry", "materials"), 74),
    "IBEW": _Rule(_equity, 86, equal_weight=True),
    "IBHB": _Rule(_equity, 25, shuffled=True),
    "IBLV": _Rule(_equity, 24, shuffled=True),
    "IBOV": _Rule(_equity, 86),
    "IBRA": _Rule(_equity, 180),
    "IBSD": _Rule(_equity, 21, equal_weight=True, shuffled=True),
    "IBXL": _Rule(_equity, 50),
    "IBXX": _Rule(_equity, 100),
    "ICO2": _Rule(_equity, 66, shuffled=True),
    "ICON": _Rule(_group("consumption", "food"), 84),
    "IDIV": _Rule(_equity, 54, shuffled=True),
    "IDVR": _Rule(_equity, 79, equal_weight=True, shuffled=True),
    "IEEX": _Rule(_group("electricity"), 18, equal_weight=True),
    "IFIL": _Rule(_group("fund"), 72),
    "IFIX": _Rule(_group("fund"), 116),
    "IFNC": _Rule(_group("finance"), 28),
    "IGCT": _Rule(_governed, 138),
    "IGCX": _Rule(_governed, 206),
    "IGNM": _Rule(_novo_mercado, 146),
    "IMAT": _Rule(_group("materials"), 17),
    "IMOB": _Rule(_group("real_estate"), 24),
    "INDX": _Rule(_group("industry", "food", "materials"), 46),
    "ISEE": _Rule(_equity, 78, shuffled=True),
    "ITAG": _Rule(_equity, 205),
    "IVBX": _Rule(_equity, 50, skip=10),
    "MLCX": _Rule(_equity, 76),
    "SMLL": _Rule(_equity, 136, skip=76),
    "UTIL": _Rule(_group("electricity", "water"), 27),
}


@dataclass(frozen=True, slots=True)
class _Rebalance:
    """What is fixed on the day an index is rebalanced, until the next time."""

    session_date: dt.date
    quantities: tuple[tuple[Share, int], ...]
    """Members and their quantities, sorted as B3 sorts rows."""
    value_cents: int
    reductor: Decimal


def synthetic_portfolio(index_code: str, session_date: dt.date, view: View = View.SECTOR) -> Portfolio:
    """Return the invented portfolio of one index for one session.

    Args:
        index_code: One of `bovespa.indexes.INDEX_CODES`.
        session_date: A trading day of B3 from 2000 to 2099.
        view: The sector view has the same values, sorted by sector, and the sectors.

    Raises:
        UnknownIndex: *index_code* is none.
        ValueError: *session_date* is no trading day of those years.
    """
    require_index_code(index_code)
    if not FIRST_YEAR <= session_date.year < FIRST_YEAR + 100 or not is_trading_day(session_date):
        raise ValueError(f"{session_date} is not a trading day of B3 between {FIRST_YEAR} and {FIRST_YEAR + 99}")
    rebalance = _rebalance(index_code, last_rebalance_on_or_before(session_date))
    members = [
        (share, _after_splits(quantity, share, rebalance.session_date, session_date))
        for share, quantity in rebalance.quantities
    ]
    previous = trading_days_before(session_date, 1)[0]
    values = [quantity * price_cents(share, previous, session_date) for share, quantity in members]
    participations = _participations(values)
    holdings = [
        Holding(
            ticker=share.ticker,
            company=share.company,
            share_class=share.share_class,
            corporate_event=shown_event(share, session_date),
            listing_segment=share.listing_segment,
            theoretical_quantity=quantity,
            participation_pct=participation,
        )
        for (share, quantity), participation in zip(members, participations, strict=True)
    ]
    if view is View.SECTOR:
        holdings = _by_sector(holdings, [share.sector_label for share, _ in members])
    return Portfolio(
        index_code=index_code,
        session_date=session_date,
        view=view,
        holdings=tuple(holdings),
        total_theoretical_quantity=sum(quantity for _, quantity in members),
        reductor=_reductor(rebalance, session_date),
    )


def synthetic_csv(index_code: str, session_date: dt.date, view: View = View.SECTOR) -> bytes:
    """Return `synthetic_portfolio` as the bytes that B3 would send."""
    return serialise_csv(synthetic_portfolio(index_code, session_date, view))


@lru_cache(maxsize=512)
def _rebalance(index_code: str, session_date: dt.date) -> _Rebalance:
    rule = _RULES[index_code]
    ranking = _own_ranking(index_code, session_date) if rule.shuffled else _ranking(session_date)
    eligible = [share for share in ranking if rule.eligible(share)]
    # The number of members changes a little, as it does when B3's criteria decide it.
    count = rule.members + round(drift(f"members of {index_code}", session_date, 200, -rule.members / 40, 2))
    members = eligible[rule.skip : rule.skip + count]
    previous = trading_days_before(session_date, 1)[0]
    prices = {share: price_cents(share, previous, session_date) for share in members}
    quantities = tuple(
        (share, _EQUAL_VALUE_CENTS // prices[share] if rule.equal_weight else _free_float(share, session_date))
        for share in sorted(members, key=lambda share: (share.company, share.ticker))
    )
    value_cents = sum(quantity * prices[share] for share, quantity in quantities)
    return _Rebalance(session_date, quantities, value_cents, _fresh_reductor(index_code, session_date, value_cents))


@lru_cache(maxsize=128)
def _ranking(session_date: dt.date) -> tuple[Share, ...]:
    """What is listed, the most liquid first."""
    return _ranked(session_date, "liquidity", lambda share: share.liquidity)


def _own_ranking(index_code: str, session_date: dt.date) -> tuple[Share, ...]:
    return _ranked(session_date, index_code, lambda share: draw(index_code, share.ticker))


def _ranked(session_date: dt.date, about: str, score: Callable[[Share], float]) -> tuple[Share, ...]:
    listed = [share for share in shares() if share.listed_from <= session_date <= share.listed_until]
    # Over years, each moves up or down by up to a quarter: some members change at each rebalance, most stay.
    scores = {
        share: score(share) * drift(f"{about} of {share.ticker}", session_date, 1200, 0.8, 1.25) for share in listed
    }
    return tuple(sorted(listed, key=lambda share: (-scores[share], share.ticker)))


def _free_float(share: Share, session_date: dt.date) -> int:
    """Shares in free float, as counted for one rebalance; buybacks and sales move it by a few percent."""
    counted = share.base_float * (0.97 + 0.06 * draw("float", share.ticker, session_date))
    new, old = split_factor(share, dt.date.min, session_date)
    return max(1, int(counted) * new // old)


def _after_splits(quantity: int, share: Share, after: dt.date, until: dt.date) -> int:
    new, old = split_factor(share, after, until)
    return max(1, quantity * new // old)


def _fresh_reductor(index_code: str, session_date: dt.date, value_cents: int) -> Decimal:
    """Chosen so that value / reductor is the index's level on the day it is rebalanced."""
    usual = 130_000 if index_code == "IBOV" else 900 + int(40_000 * draw("level", index_code))
    level_cents = int(100 * usual * drift(f"level of {index_code}", session_date, 1024, 0.75, 1.35))
    return Decimal(value_cents) / Decimal(level_cents)


def _reductor(rebalance: _Rebalance, session_date: dt.date) -> Decimal:
    """Constant between rebalances, but for dividends: on each ex-date it falls by what leaves the companies."""
    previous = trading_days_before(rebalance.session_date, 1)[0]
    paid = sum(
        quantity * price_cents(share, previous, rebalance.session_date) * event.yield_bp
        for share, quantity in rebalance.quantities
        for event in events(share, rebalance.session_date, session_date)
        if rebalance.session_date < event.ex_date <= session_date
    )
    kept = 1 - Decimal(paid) / (10_000 * rebalance.value_cents)
    return (rebalance.reductor * kept).quantize(Decimal("0.00000001"), ROUND_HALF_EVEN)


def _participations(values: list[int]) -> list[Decimal]:
    """Share 100.000 % out by value with the method of largest remainders, so that the parts sum to it exactly."""
    total = sum(values)
    parts = [divmod(value * _HUNDRED_PERCENT, total) for value in values]
    missing = _HUNDRED_PERCENT - sum(units for units, _ in parts)
    by_remainder = sorted(range(len(parts)), key=lambda place: (-parts[place][1], place))
    raised = frozenset(by_remainder[:missing])
    return [Decimal(units + (place in raised)).scaleb(-3) for place, (units, _) in enumerate(parts)]


def _by_sector(holdings: list[Holding], sector_labels: list[str]) -> list[Holding]:
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for holding, label in zip(holdings, sector_labels, strict=True):
        totals[label] += holding.participation_pct
    rows = sorted(zip(sector_labels, holdings, strict=True), key=lambda row: (row[0], row[1].company, row[1].ticker))
    return [replace(holding, sector_label=label, sector_participation_pct=totals[label]) for label, holding in rows]
