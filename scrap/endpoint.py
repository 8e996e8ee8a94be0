"""The second way in: the endpoints that B3's own page calls, over HTTPS and without a browser. It gives bytes."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import requests

from bovespa.clock import short_date
from bovespa.errors import PageChanged, SourceError, SourceTimeout, SourceUnavailable
from bovespa.fetched import FetchedFile
from bovespa.portfolio_csv import file_name
from scrap.deadline import Deadline
from scrap.https import SILENCE_S, Answer, Silence, Temporary, get

MAX_BYTES = 4 << 20
"""Of one answer; the largest portfolio is some hundredth of that."""

_BY_SECTOR = "2"
_LANGUAGE = "pt-br"
_DATE = re.compile(r"(\d\d)/(\d\d)/(\d\d)", re.ASCII)


def fetch_portfolio_over_https(
    index_code: str,
    *,
    b3_url: str,
    timeout_s: float,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> FetchedFile:
    """Download the portfolio of one index, in one attempt, with the two calls that B3's page makes.

    The first gives the session, from the header that the page makes its heading of, and the second the file.

    Args:
        index_code: One of `bovespa.indexes.INDEX_CODES`.
        b3_url: Where B3's index pages are, without a slash at its end.
        timeout_s: Within which both calls must be answered.
        now: The clock of `FetchedFile.received_at`.

    Raises:
        SourceUnavailable: B3 answers with an error or with nothing to download.
        SourceTimeout: It did not end in time.
        PageChanged: The endpoints are gone, or answer what this module does not know.
    """
    deadline = Deadline(timeout_s)
    with requests.Session() as client:

        def call(name: str, question: dict[str, str | int]) -> tuple[str, Answer]:
            # Without blanks and in this order, as the page's script writes it.
            encoded = base64.b64encode(json.dumps(question, separators=(",", ":")).encode()).decode()
            url = f"{b3_url}/indexProxy/indexCall/{name}/{encoded}"
            return url, _ask(client, url, deadline)

        asked: dict[str, str | int] = {"language": _LANGUAGE, "pageNumber": 1, "pageSize": 20, "index": index_code}
        data_url, data = call("GetPortfolioDay", asked | {"segment": _BY_SECTOR})
        session_date = _session_date(data.content, data_url)
        question: dict[str, str | int] = {"index": index_code, "language": _LANGUAGE, "segment": _BY_SECTOR}
        url, answer = call("GetDownloadPortfolioDay", question)
    content = _decoded(answer.content, url)
    return FetchedFile(
        content,
        file_name(index_code, session_date),
        url,
        session_date,
        received_at=now(),
        b3_time=answer.b3_time,
    )


def _ask(client: requests.Session, url: str, deadline: Deadline) -> Answer:
    def refused(status: int) -> SourceError:
        what = f"B3 answered {url} with HTTP {status}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            # What Cloudflare says to who looks like a robot to it today.
            return SourceUnavailable(f"{what}.")
        return PageChanged(f"{what}: the endpoint is gone, or wants another question; update scrap/endpoint.py.")

    if deadline.passed:
        raise SourceTimeout(f"{url} was not asked: {deadline.timeout_s:g} s were over.")
    try:
        return get(client, url, deadline, silence_s=SILENCE_S, max_bytes=MAX_BYTES, refused=refused)
    except Silence as error:
        raise SourceTimeout(str(error)) from error
    except Temporary as error:
        raise SourceUnavailable(str(error)) from error


def _session_date(content: bytes, url: str) -> dt.date:
    try:
        data: Any = json.loads(content)
    except ValueError:
        raise SourceUnavailable(f"B3 answered {url} with something that is no JSON.") from None
    header = data.get("header") if isinstance(data, dict) else None
    results = data.get("results") if isinstance(data, dict) else None
    shown = header.get("date") if isinstance(header, dict) else None
    if not isinstance(results, list) or not isinstance(shown, str):
        raise PageChanged(f"B3 answered {url} without `header.date` or `results`; update scrap/endpoint.py.")
    if not results:
        raise SourceUnavailable(f"B3 shows no portfolio at {url}: there is no row. Try again later.")
    match = _DATE.fullmatch(shown)
    if match is None:
        raise PageChanged(f"`header.date` at {url} is {shown[:80]!r}, not like 24/02/25.")
    if (session_date := short_date(*match.groups())) is None:
        raise PageChanged(f"`header.date` at {url} is {shown!r}, which does not exist.")
    return session_date


def _decoded(content: bytes, url: str) -> bytes:
    """Return the file in *content*: Base64, bare or inside double quotes."""
    try:
        file = base64.b64decode(content.strip().removeprefix(b'"').removesuffix(b'"'), validate=True)
    except binascii.Error:
        raise SourceUnavailable(f"B3 answered {url} with something that is no Base64.") from None
    if not file:
        raise SourceUnavailable(f"B3 shows no portfolio at {url}: the file is empty. Try again later.")
    return file
