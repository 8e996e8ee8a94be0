"""Which sessions and trading days a run must read and which it must write: pure, from calendar and what is stored."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bovespa.calendar import (
    last_rebalance_on_or_before,
    next_rebalance_after,
    trading_days,
    trading_days_after,
    trading_days_before,
)

WINDOW_SESSIONS = 21
"""How many trading sessions a metric looks at, the current one included: about a month."""


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One trading session of an index, whether the lake holds it or not."""

    index_code: str
    session_date: dt.date
    session_number: int
    """Position among the trading sessions of the window; consecutive sessions differ by 1, gaps included."""
    is_stored: bool
    """Whether the lake holds a raw object for it."""
    is_read: bool
    """Whether what this run writes can depend on it."""
    is_output: bool
    """Whether this run writes it."""
    last_rebalance_date: dt.date
    """The latest session, this one included, in which a rebalanced portfolio came into force."""
    next_rebalance_date: dt.date


@dataclass(frozen=True, slots=True)
class MarketDay:
    """One trading day of the whole market, whether the lake holds its record or not."""

    session_date: dt.date
    day_number: int
    """Position among the trading days of the window; consecutive days differ by 1, gaps included."""
    is_stored: bool
    """Whether the lake holds a raw object for it."""
    follows_stored: bool
    """Whether the lake holds the trading day right before it."""
    is_read: bool
    """Whether what this run writes can depend on it."""
    is_output: bool
    """Whether this run writes it."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The dates whose raw objects can influence, or be influenced by, a set of sessions or trading days."""

    first: dt.date
    last: dt.date


def reach(session_dates: Iterable[dt.date]) -> Reach:
    """Return the dates that a run over *session_dates*, of sessions or of trading days, must list.

    A late one changes the metrics of the later sessions whose window it enters, and those look back in turn. Dates
    that the lake holds although the calendar calls them closed only ever shorten a window, so the calendar's reach is
    enough.
    """
    dates = sorted(session_dates)
    look = WINDOW_SESSIONS - 1
    # Nothing is before the calendar's first day.
    first = next(iter(trading_days_before(dates[0], look)), dates[0])
    return Reach(first, last=trading_days_after(dates[-1], look)[-1])


def plan_calendar(
    index_code: str,
    requested: Iterable[dt.date],
    stored: Iterable[dt.date],
    market_days: Iterable[dt.date] = (),
) -> list[CalendarDay]:
    """Number the trading sessions around the requested ones and say which to read and which to write.

    Args:
        index_code: The index.
        requested: Sessions whose raw object changed; they need not be stored any more.
        stored: Every session of the index, within `reach` of all the others, that the lake holds.
        market_days: Trading days whose raw object changed; they need not be stored any more, nor be sessions.

    Returns:
        One entry a trading session from the first to the last date that matters, in order. A date that the lake holds
        although the calendar calls it closed counts as a session: what B3 published happened.
    """
    wanted, moved, held = sorted(set(requested)), sorted(set(market_days)), set(stored)
    within = reach([*wanted, *moved])
    open_days = list(trading_days(within.first, within.last))
    days = sorted({*open_days, *(day for day in held if within.first <= day <= within.last)})
    # Only closed dates that are no longer stored are not among the days; such a one stands before the next.
    targets = [bisect_left(days, day) for day in wanted]

    def is_touched(day: dt.date, position: int) -> bool:
        before = bisect_right(targets, position)
        return (before > 0 and position - targets[before - 1] < WINDOW_SESSIONS) or _is_reached(day, moved, open_days)

    outputs = {day for position, day in enumerate(days) if day in held and is_touched(day, position)}
    readers = [position for position, day in enumerate(days) if day in outputs]
    return [
        CalendarDay(
            index_code=index_code,
            session_date=day,
            session_number=position,
            is_stored=day in held,
            is_read=day in held and _is_looked_at(position, readers),
            is_output=day in outputs,
            last_rebalance_date=last_rebalance_on_or_before(day),
            next_rebalance_date=next_rebalance_after(day),
        )
        for position, day in enumerate(days)
    ]


def plan_market(
    requested: Iterable[dt.date], stored: Iterable[dt.date], sessions: Iterable[dt.date]
) -> list[MarketDay]:
    """Number the trading days around what a run writes and say which to read and which to write.

    Args:
        requested: Trading days whose raw object changed; they need not be stored any more.
        stored: Every trading day, within `reach` of all the others, that the lake holds.
        sessions: Sessions, of any index, that this run writes.

    Returns:
        One entry a trading day from the first to the last date that matters, in order. Like a session, a stored one
        counts although the calendar calls it closed.
    """
    moved, held, written = sorted(set(requested)), set(stored), set(sessions)
    if not (moved or written):
        return []
    within = reach([*moved, *written])
    open_days = list(trading_days(within.first, within.last))
    days = sorted({*open_days, *(day for day in held if within.first <= day <= within.last)})
    outputs = {day for day in days if day in held and _is_reached(day, moved, open_days)}
    # A session on a closed date that is no trading day either looks at none, but reading for it does no harm.
    readers = [bisect_right(days, day) - 1 for day in sorted(outputs | written)]
    return [
        MarketDay(
            session_date=day,
            day_number=position,
            is_stored=day in held,
            follows_stored=position > 0 and days[position - 1] in held,
            is_read=day in held and _is_looked_at(position, readers),
            is_output=day in outputs,
        )
        for position, day in enumerate(days)
    ]


def _is_looked_at(position: int, readers: Sequence[int]) -> bool:
    """Whether the window of one of *readers*, positions in order, holds *position*."""
    after = bisect_left(readers, position)
    return after < len(readers) and readers[after] - position < WINDOW_SESSIONS


def _is_reached(day: dt.date, moved: Sequence[dt.date], open_days: Sequence[dt.date]) -> bool:
    """Whether one of the trading days *moved* can be within the window of *day*.

    Counted in days on which the calendar has B3 open: stored days beyond those only ever shorten a window.
    """
    before = bisect_right(moved, day)
    if not before:
        return False
    return bisect_right(open_days, day) - bisect_right(open_days, moved[before - 1]) < WINDOW_SESSIONS
