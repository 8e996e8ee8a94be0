"""B3's clock: what day it is in São Paulo, and the last session whose record B3 has written."""

from __future__ import annotations

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bovespa.calendar import is_trading_day, trading_days_before

PUBLISHED_FROM = dt.time(20)
"""When the record of a day is there, in São Paulo: after the last auction, with an hour or two to spare."""


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


def last_finished_session(moment: dt.datetime) -> dt.date:
    """Return the last trading day whose record is there: this one from `PUBLISHED_FROM` on, the one before until then.

    Args:
        moment: Aware.
    """
    local = moment.astimezone(sao_paulo())
    if is_trading_day(local.date()) and local.time() >= PUBLISHED_FROM:
        return local.date()
    return trading_days_before(local.date(), 1)[0]
