"""One request to B3 over HTTPS without a browser: certificates verified, no redirect followed, nothing parsed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
from urllib3.exceptions import ReadTimeoutError

from bovespa.errors import PageChanged, SourceError, SourceTimeout, SourceUnavailable
from scrap.deadline import Deadline

SILENCE_S = 15.0
"""How long B3 may send nothing before an attempt counts as failed, at most."""

_CONNECT_S = 5.0
_SHORTEST_S = 0.05
_CHUNK_BYTES = 64 << 10
_TEMPORARY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class Temporary(Exception):
    """An attempt failed in a way that another one may not."""


class Silence(Temporary):
    """B3 sent nothing for too long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What B3 sent, whole, and when by its own clock."""

    content: bytes
    b3_time: dt.datetime | None
    """From the header `Date`, aware; None where there is none."""


def get(
    client: requests.Session,
    url: str,
    deadline: Deadline,
    *,
    silence_s: float,
    max_bytes: int,
    refused: Callable[[int], SourceError],
) -> Answer:
    """Download *url*, in one attempt.

    Args:
        client: May be used again afterwards, whatever happens.
        url: Where the file is.
        deadline: By when it must be here.
        silence_s: How long B3 may send nothing.
        max_bytes: What is larger is not what was asked for.
        refused: What a status from 400 to 499 means that asking again does not change.

    Raises:
        Temporary: Errors, pages, redirects, nothing, or half a file.
        Silence: B3 sent nothing for *silence_s*.
        SourceTimeout: The deadline passed while the file came.
        SourceUnavailable: The certificate cannot be trusted.
        PageChanged: The file is larger than *max_bytes*.
        SourceError: What *refused* says.
    """
    silence_s = max(_SHORTEST_S, min(silence_s, deadline.remaining_s))
    try:
        # B3 has these files where it says; who is sent elsewhere is sent to an error page.
        with client.get(
            url, stream=True, allow_redirects=False, timeout=(min(_CONNECT_S, silence_s), silence_s)
        ) as answer:
            _refuse_other_status(answer, url, refused)
            content = _body(answer, url, deadline, max_bytes)
            b3_time = moment(answer.headers.get("Date"))
    except requests.Timeout:
        raise Silence(f"B3 sent nothing from {url} for {silence_s:g} s.") from None
    except requests.exceptions.SSLError as error:
        raise SourceUnavailable(f"The certificate of {url} cannot be trusted: {error}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise Temporary(f"B3 broke off while it sent {url}: {error}.") from error
    except requests.RequestException as error:
        # What a read of the body makes of its time-out.
        if error.args and isinstance(error.args[0], ReadTimeoutError):
            raise Silence(f"B3 stopped in the middle of {url} for {silence_s:g} s.") from None
        raise Temporary(f"B3 cannot be reached at {url}: {type(error).__name__}.") from error
    if content[:512].lstrip()[:1] == b"<":
        raise Temporary(f"B3 answered {url} with a page instead of the file.")
    if not content:
        raise Temporary(f"B3 answered {url} with nothing.")
    return Answer(content, b3_time)


def moment(header: str | None) -> dt.datetime | None:
    """Return what the header `Date` says, aware; None if it says nothing."""
    try:
        said = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    # A zone of "-0000" is UTC of which nothing else is known.
    return said if said.tzinfo is not None else said.replace(tzinfo=dt.UTC)


def _refuse_other_status(answer: requests.Response, url: str, refused: Callable[[int], SourceError]) -> None:
    status = answer.status_code
    if status == HTTPStatus.OK:
        return
    if answer.is_redirect:
        raise Temporary(f"B3 sent the download from {url} to {answer.headers['Location'][:80]!r}.")
    what = f"B3 answered {url} with HTTP {status}."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TEMPORARY:
        raise Temporary(what)
    raise refused(status) if status >= HTTPStatus.BAD_REQUEST else SourceUnavailable(what)


def _body(answer: requests.Response, url: str, deadline: Deadline, max_bytes: int) -> bytes:
    content = bytearray()
    for chunk in answer.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise PageChanged(f"{url} is larger than {max_bytes >> 20} MiB, which no file of its kind is. Look at it.")
        if deadline.passed:
            raise SourceTimeout(f"{url} took longer than {deadline.timeout_s:g} s: {len(content)} bytes have come.")
    return bytes(content)
