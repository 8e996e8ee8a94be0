"""B3's record of one trading day over HTTPS: no browser, several attempts within one time budget. It parses nothing."""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import requests
from urllib3.exceptions import ReadTimeoutError

from bovespa.calendar import is_trading_day
from bovespa.clock import last_finished_session
from bovespa.errors import PageChanged, SourceTimeout, SourceUnavailable, TradingDayNotPublished
from scrap.deadline import Deadline

MAX_BYTES = 64 << 20
"""Of one ZIP; a day of B3's is about a tenth of that."""

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5
_CONNECT_S = 5.0
_SILENCE_S = 15.0
"""How long B3 may send nothing before the attempt counts as failed, at most."""
_CHUNK_BYTES = 64 << 10
_TEMPORARY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class FetchedTradingDay:
    """A file as B3 gave it, unread, and where it came from."""

    content: bytes
    file_name: str
    url: str
    session_date: dt.date
    """The day that was asked for."""
    received_at: dt.datetime
    """When the download had ended, UTC."""
    way: str = "https"


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
    failures: list[_Temporary] = []
    with requests.Session() as client:
        for attempt in range(_ATTEMPTS):
            if attempt:
                # Between half of it and all: callers that failed together do not come back together.
                pause.wait(min(_FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1), deadline.remaining_s))  # noqa: S311
            if deadline.passed:
                break
            try:
                content = _download(client, url, session_date, deadline, now)
            except _Temporary as failure:
                failures.append(failure)
                continue
            return FetchedTradingDay(content, file_name(session_date), url, session_date, received_at=now())
    if not failures or isinstance(failures[-1], _Silence):
        last = f": {failures[-1]}" if failures else "."
        raise SourceTimeout(f"{url} took longer than {timeout_s:g} s{last}")
    raise SourceUnavailable(f"{failures[-1]} That was attempt {len(failures)}; try again later.")


class _Temporary(Exception):
    """An attempt failed in a way that another one may not."""


class _Silence(_Temporary):
    """B3 sent nothing for too long."""


def _download(
    client: requests.Session, url: str, session_date: dt.date, deadline: Deadline, now: Callable[[], dt.datetime]
) -> bytes:
    silence_s = max(0.05, min(_SILENCE_S, deadline.timeout_s / _ATTEMPTS, deadline.remaining_s))
    try:
        # B3 has these files where it says; who is sent elsewhere is sent to an error page.
        with client.get(
            url, stream=True, allow_redirects=False, timeout=(min(_CONNECT_S, silence_s), silence_s)
        ) as answer:
            _refuse_other_status(answer, url, session_date, now)
            content = _body(answer, url, deadline)
    except requests.Timeout:
        raise _Silence(f"B3 sent nothing from {url} for {silence_s:g} s.") from None
    except requests.exceptions.SSLError as error:
        raise SourceUnavailable(f"The certificate of {url} cannot be trusted: {error}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _Temporary(f"B3 broke off while it sent {url}: {error}.") from error
    except requests.RequestException as error:
        # What a read of the body makes of its time-out.
        if error.args and isinstance(error.args[0], ReadTimeoutError):
            raise _Silence(f"B3 stopped in the middle of {url} for {silence_s:g} s.") from None
        raise _Temporary(f"B3 cannot be reached at {url}: {type(error).__name__}.") from error
    if content[:512].lstrip()[:1] == b"<":
        raise _Temporary(f"B3 answered {url} with a page instead of the file.")
    if not content:
        raise _Temporary(f"B3 answered {url} with nothing.")
    return content


def _refuse_other_status(
    answer: requests.Response, url: str, session_date: dt.date, now: Callable[[], dt.datetime]
) -> None:
    if answer.status_code == HTTPStatus.OK:
        return
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise TradingDayNotPublished(_why_not_there(url, session_date, now()))
    if answer.is_redirect:
        raise _Temporary(f"B3 sent the download from {url} to {answer.headers['Location'][:80]!r}.")
    what = f"B3 answered {url} with HTTP {answer.status_code}."
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status_code in _TEMPORARY:
        raise _Temporary(what)
    raise SourceUnavailable(what)


def _body(answer: requests.Response, url: str, deadline: Deadline) -> bytes:
    content = bytearray()
    for chunk in answer.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_BYTES:
            raise PageChanged(f"{url} is larger than {MAX_BYTES >> 20} MiB, which no day of B3 is. Look at it.")
        if deadline.passed:
            raise SourceTimeout(f"{url} took longer than {deadline.timeout_s:g} s: {len(content)} bytes have come.")
    return bytes(content)


def _why_not_there(url: str, session_date: dt.date, now: dt.datetime) -> str:
    if not is_trading_day(session_date):
        return f"B3 does not trade on {session_date}, so there is no {url}."
    if session_date >= last_finished_session(now):
        return f"B3 has not published {url} yet. Try again later."
    return (
        f"B3 has no {url}. Either it did not trade on {session_date}, and bovespa/calendar.py lacks a holiday, or it "
        "keeps the day in a yearly file only: import that with `flask --app app import-cotahist`."
    )
