"""When B3 trades, and when its indexes rebalance.

The rules are those of the `BVMF` calendar of the `exchange_calendars` package, written with the standard
library because this module also runs inside the Lambda and the Glue job; a test holds the two equal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import lru_cache

FIRST_YEAR = 1998
"""First year for which the holiday rules below hold."""

REVIEW_BY = dt.date(2027, 12, 1)
"""Day by which the rules shall be compared with the calendar that B3 publishes for the year after, and this day moved
a year on. Holidays are made by law: rules that nobody looks at grow wrong in silence, so an alarm rings before it."""

REBALANCE_MONTHS = (1, 5, 9)
"""B3's index portfolios come into force on the first Monday of these months, or the next session."""

_DAY = dt.timedelta(days=1)

# Brazil hosted the World Cup and opened it in São Paulo; B3 did not trade.
_SINGLE_CLOSURES = frozenset({dt.date(2014, 6, 12)})


def is_trading_day(day: dt.date) -> bool:
    """Whether B3's calendar has a trading session on *day*.

    Raises:
        ValueError: *day* is before `FIRST_YEAR`, for which the rules are not known to hold.
    """
    return day.weekday() < 5 and day not in _closures(day.year)


def trading_days(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Yield the trading days from *first* to *last*, both included, in order."""
    day = first
    while day <= last:
        if is_trading_day(day):
            yield day
        day += _DAY


def trading_day_on_or_after(day: dt.date) -> dt.date:
    """Return *day* itself if B3 trades on it, else the next day on which it does."""
    while not is_trading_day(day):
        day += _DAY
    return day


def trading_days_before(day: dt.date, count: int) -> list[dt.date]:
    """Return the last *count* trading days before *day*, oldest first: fewer where the calendar begins."""
    found: list[dt.date] = []
    while len(found) < count and day > dt.date(FIRST_YEAR, 1, 1):
        day -= _DAY
        if is_trading_day(day):
            found.append(day)
    return found[::-1]


def trading_days_after(day: dt.date, count: int) -> list[dt.date]:
    """Return the next *count* trading days after *day*, oldest first."""
    found: list[dt.date] = []
    while len(found) < count:
        day += _DAY
        if is_trading_day(day):
            found.append(day)
    return found


def next_rebalance_after(day: dt.date) -> dt.date:
    """Return the first session after *day* in which a rebalanced portfolio is in force."""
    for year in (day.year, day.year + 1):
        for month in REBALANCE_MONTHS:
            session = rebalance_session(year, month)
            if session > day:
                return session
    raise AssertionError("January of the next year always lies ahead")


def last_rebalance_on_or_before(day: dt.date) -> dt.date:
    """Return the latest session, *day* included, in which a rebalanced portfolio came into force."""
    for year in (day.year, day.year - 1):
        for month in reversed(REBALANCE_MONTHS):
            session = rebalance_session(year, month)
            if session <= day:
                return session
    raise AssertionError("September of the year before always lies behind")


def rebalance_session(year: int, month: int) -> dt.date:
    """Return the session of *year* and *month* in which the rebalanced portfolio comes into force."""
    first = dt.date(year, month, 1)
    first_monday = first + dt.timedelta(days=-first.weekday() % 7)
    return trading_day_on_or_after(first_monday)


@lru_cache(maxsize=256)
def _closures(year: int) -> frozenset[dt.date]:
    """The weekdays and weekends of *year* on which B3 is closed by holiday."""
    if year < FIRST_YEAR:
        raise ValueError(f"B3's holidays before {FIRST_YEAR} are not known to this calendar (asked for {year}).")
    easter = _easter(year)
    days = {
        dt.date(year, 1, 1),  # Confraternização Universal
        easter - dt.timedelta(days=48),  # Carnival Monday
        easter - dt.timedelta(days=47),  # Carnival Tuesday
        easter - dt.timedelta(days=2),  # Good Friday
        dt.date(year, 4, 21),  # Tiradentes
        dt.date(year, 5, 1),  # Labour Day
        easter + dt.timedelta(days=60),  # Corpus Christi
        dt.date(year, 9, 7),  # Independence
        dt.date(year, 10, 12),  # Nossa Senhora Aparecida
        dt.date(year, 11, 2),  # Finados
        dt.date(year, 11, 15),  # Proclamation of the Republic
        dt.date(year, 12, 24),
        dt.date(year, 12, 25),
        _last_bank_day(year),
    }
    # São Paulo's own holidays stopped closing the exchange in 2022; 20 November came back as a national one in 2024.
    if year <= 2021:
        days.add(dt.date(year, 1, 25))
    if year <= 2019 or year == 2021:
        days.add(dt.date(year, 7, 9))
    if 2004 <= year <= 2019 or year >= 2024:
        days.add(dt.date(year, 11, 20))
    return frozenset(days | _SINGLE_CLOSURES)


def _last_bank_day(year: int) -> dt.date:
    """31 December, or the Friday before when it falls on a weekend: banks are closed to the public."""
    day = dt.date(year, 12, 31)
    return day - dt.timedelta(days=max(0, day.weekday() - 4))


def _easter(year: int) -> dt.date:
    """Easter Sunday of *year* by the anonymous Gregorian algorithm (Meeus, *Astronomical Algorithms*, ch. 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * weekday) // 433
    month = (h + weekday - 7 * m + 90) // 25
    return dt.date(year, month, (h + weekday - 7 * m + 33 * month + 19) % 32)
