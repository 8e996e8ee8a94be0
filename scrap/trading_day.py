"""B3's record of one trading day over HTTPS: no browser, several attempts within one time budget. It parses nothing."""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Callable
from http import HTTPStatus

import requests

from bovespa.calendar import is_trading_day
from bovespa.clock import last_finished_session
from bovespa.errors import SourceError, SourceTimeout, SourceUnavailable, TradingDayNotPublished
from bovespa.fetched import FetchedTradingDay
from scrap.deadline import Deadline
from scrap.https import SILENCE_S, Silence, Temporary, get

MAX_BYTES = 64 << 20
"""Of one ZIP; a day of B3's is about a tenth of that."""

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5


def file_name(session_date: dt.date) -> str:
    """Return B3's name of the record of one day."""
    return f"COTAHIST_D{session_date:%d%m%Y}.ZIP"


def fetch_trading_day(
    session_date: dt.date,
    *,
    cotahist_url: str,
    timeout_s: float,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> FetchedTradingDay:
    """Download B3's record of one trading day.

    Errors that may pass are tried again, up to four times in all, each time after a longer pause of random length.

    Args:
        session_date: The day.
        cotahist_url: Folder that the files are in, without a slash at its end.
        timeout_s: Within which everything must be done, pauses included.
        now: The clock of `FetchedTradingDay.received_at`.

    Raises:
        TradingDayNotPublished: B3 has no such file.
        SourceUnavailable: B3 cannot be reached, or answers with errors, with pages, or with half a file.
        SourceTimeout: B3 sends nothing, or too slowly.
        PageChanged: B3's file is larger than any day can be.
    """
    url = f"{cotahist_url}/{file_name(session_date)}"
    deadline = Deadline(timeout_s)
    pause = threading.Event()
    failures: list[Temporary] = []
    with requests.Session() as client:
        for attempt in range(_ATTEMPTS):
            if attempt:
                # Between half of it and all: callers that failed together do not come back together.
                pause.wait(min(_FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1), deadline.remaining_s))  # noqa: S311
            if deadline.passed:
                break
            try:
                content = _download(client, url, session_date, deadline, now)
            except Temporary as failure:
                failures.append(failure)
                continue
            return FetchedTradingDay(content, file_name(session_date), url, session_date, received_at=now())
    if not failures or isinstance(failures[-1], Silence):
        last = f": {failures[-1]}" if failures else "."
        raise SourceTimeout(f"{url} took longer than {timeout_s:g} s{last}")
    raise SourceUnavailable(f"{failures[-1]} That was attempt {len(failures)}; try again later.")


def _download(
    client: requests.Session, url: str, session_date: dt.date, deadline: Deadline, now: Callable[[], dt.datetime]
) -> bytes:
    def refused(status: int) -> SourceError:
        if status == HTTPStatus.NOT_FOUND:
            return TradingDayNotPublished(_why_not_there(url, session_date, now()))
        return SourceUnavailable(f"B3 answered {url} with HTTP {status}.")

    silence_s = min(SILENCE_S, deadline.timeout_s / _ATTEMPTS)
    return get(client, url, deadline, silence_s=silence_s, max_bytes=MAX_BYTES, refused=refused).content


def _why_not_there(url: str, session_date: dt.date, now: dt.datetime) -> str:
    if not is_trading_day(session_date):
        return f"B3 does not trade on {session_date}, so there is no {url}."
    if session_date >= last_finished_session(now):
        return f"B3 has not published {url} yet. Try again later."
    return (
        f"B3 has no {url}. Either it did not trade on {session_date}, and bovespa/calendar.py lacks a holiday, or it "
        "keeps the day in a yearly file only: import that with `flask --app app import-cotahist`."
    )
