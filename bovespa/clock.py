"""B3's clock: what day it is in São Paulo, how B3 writes a day, and the last session whose record it has written."""

from __future__ import annotations

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bovespa.calendar import is_trading_day, trading_days_before
from bovespa.errors import ImplausibleSession

PUBLISHED_FROM = dt.time(20)
"""When the record of a day is there, in São Paulo: after the last auction, with an hour or two to spare."""

MOST_DAYS_OFF = 10
"""How far the session that B3 shows may be from the day on which it shows it: twice the longest pause that B3 makes."""


@cache
def sao_paulo() -> dt.tzinfo:
    """Return B3's time zone."""
    try:
        return ZoneInfo("America/Sao_Paulo")
    except ZoneInfoNotFoundError:
        # A machine without a time zone database; Brazil has had no daylight saving time since 2019.
        return dt.timezone(dt.timedelta(hours=-3))


def date_in_sao_paulo(moment: dt.datetime) -> dt.date:
    """Return the date on B3's clock.

    Args:
        moment: Aware.
    """
    return moment.astimezone(sao_paulo()).date()


def short_date(day: str, month: str, year: str) -> dt.date | None:
    """Return the date that B3 writes as DD/MM/YY, or None if there is no such day.

    Args:
        day: Two digits.
        month: Two digits.
        year: Its last two digits; B3's portfolios are of this century.
    """
    try:
        return dt.date(2000 + int(year), int(month), int(day))
    except ValueError:
        return None


def last_finished_session(moment: dt.datetime) -> dt.date:
    """Return the last trading day whose record is there: this one from `PUBLISHED_FROM` on, the one before until then.

    Args:
        moment: Aware.
    """
    local = moment.astimezone(sao_paulo())
    if is_trading_day(local.date()) and local.time() >= PUBLISHED_FROM:
        return local.date()
    return trading_days_before(local.date(), 1)[0]


def require_plausible_session(session_date: dt.date, shown_at: dt.datetime) -> None:
    """Refuse a session that B3 cannot have meant to show.

    B3 shows the next session, which is a few days ahead at Carnival and Christmas and today's on most days.

    Args:
        session_date: The session of a file that came from B3 just now.
        shown_at: When it came, by B3's own clock if that is known; aware.

    Raises:
        ImplausibleSession: It is more than `MOST_DAYS_OFF` away, before or after.
    """
    today = date_in_sao_paulo(shown_at)
    if abs((session_date - today).days) > MOST_DAYS_OFF:
        raise ImplausibleSession(
            f"the title names session {session_date}, but B3 showed it on {today}: more than {MOST_DAYS_OFF} days off. "
            "If it is right all the same, bring the file in with `flask --app app import-csv`.",
            line=1,
        )
