"""Which sessions a run must read and which it must write: pure, from the calendar and what the lake holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
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
    is_output: bool
    """Whether this run writes it."""
    last_rebalance_date: dt.date
    """The latest session, this one included, in which a rebalanced portfolio came into force."""
    next_rebalance_date: dt.date


@dataclass(frozen=True, slots=True)
class Reach:
    """The dates whose raw objects can influence, or be influenced by, a set of sessions of one index."""

    first: dt.date
    last: dt.date


def reach(session_dates: Iterable[dt.date]) -> Reach:
    """Return the dates that a run over *session_dates* must list.

    A late session changes the metrics of the later sessions whose window it enters, and those look back in turn. Dates
    that the lake holds although the calendar calls them closed only ever shorten a window, so the calendar's reach is
    enough.
    """
    dates = sorted(session_dates)
    look = WINDOW_SESSIONS - 1
    return Reach(first=trading_days_before(dates[0], look)[0], last=trading_days_after(dates[-1], look)[-1])


def plan_calendar(index_code: str, requested: Iterable[dt.date], stored: Iterable[dt.date]) -> list[CalendarDay]:
    """Number the trading sessions around the requested ones and say which to read and which to write.

    Args:
        index_code: The index.
        requested: Sessions whose raw object changed; they need not be stored any more.
        stored: Every session of the index within `reach(requested)` that the lake holds.

    Returns:
        One entry a trading session from the first to the last date that matters, in order. A date that the lake holds
        although the calendar calls it closed counts as a session: what B3 published happened.
    """
    wanted = sorted(set(requested))
    held = set(stored)
    within = reach(wanted)
    days = sorted(
        {*trading_days(within.first, within.last), *(day for day in held if within.first <= day <= within.last)}
    )
    number = {day: position for position, day in enumerate(days)}
    targets = [number[day] if day in number else _insertion(days, day) for day in wanted]
    return [
        CalendarDay(
            index_code=index_code,
            session_date=day,
            session_number=position,
            is_stored=day in held,
            is_output=day in held and any(target <= position < target + WINDOW_SESSIONS for target in targets),
            last_rebalance_date=last_rebalance_on_or_before(day),
            next_rebalance_date=next_rebalance_after(day),
        )
        for position, day in enumerate(days)
    ]


def _insertion(days: list[dt.date], day: dt.date) -> int:
    """Where *day* would stand: it is closed and no longer stored, so it has no number of its own."""
    return sum(1 for other in days if other < day)
