"""Errors become HTTP here and nowhere else: `application/problem+json` (RFC 9457) with a stable `code`.

Errors that nobody foresaw stay unknown to the caller: Flask logs the traceback, and the answer is a bare 500.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, Response, json
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from api import errors as api_errors
from api.lockout import MAX_LOCK_S
from api.places import BUSY_S
from bovespa import errors

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What every answer with one `code` has in common."""

    code: str
    status: int
    title: str
    retry_after_s: int | None = None
    """When it makes sense to try again, at the latest; None when trying again changes nothing."""


_OF_ERROR: dict[type[errors.BovespaError], ProblemKind] = {
    error: ProblemKind(error.code, status, title, retry_after_s)
    for error, status, title, retry_after_s in (
        (errors.InvalidRequest, 400, "The request asks for nothing we know", None),
        (errors.UnknownIndex, 400, "Unknown index", None),
        (errors.NotATradingDay, 400, "B3 does not trade on the day", None),
        (errors.DayNotOver, 400, "The day is not over", None),
        (api_errors.BadJson, 400, "The body is not a JSON object", None),
        (api_errors.MissingField, 400, "A field is missing", None),
        (api_errors.InvalidField, 400, "A field is malformed", None),
        (api_errors.UnknownParameter, 400, "Unknown parameter", None),
        (api_errors.InvalidDate, 400, "Invalid date", None),
        (api_errors.InvalidPeriod, 400, "Invalid period", None),
        (api_errors.InvalidCredentials, 401, "Invalid credentials", None),
        (api_errors.TokenMissing, 401, "No token", None),
        (api_errors.TokenInvalid, 401, "Invalid token", None),
        (api_errors.TokenExpired, 401, "Expired token", None),
        (errors.SessionNotStored, 404, "Nothing is stored of the session", None),
        (errors.TradingDayNotPublished, 404, "B3 has not published the day", 1800),
        (api_errors.TooManyRequests, 429, "Too many requests", 60),
        (api_errors.LoginLocked, 429, "Too many failed logins", MAX_LOCK_S),
        (errors.PageChanged, 502, "B3 has changed its page or its file", None),
        (errors.ColumnsChanged, 502, "B3 has changed its page or its file", None),
        (errors.UnreadablePortfolio, 502, "B3's file cannot be read", None),
        (errors.UnreconciledPortfolio, 502, "B3's file does not add up", None),
        (errors.ImplausibleSession, 502, "B3's file is of a session far away", None),
        (errors.UnreadableTradingDay, 502, "B3's file cannot be read", None),
        (errors.UnreconciledTradingDay, 502, "B3's file does not add up", None),
        (api_errors.Busy, 503, "Too many callers wait", BUSY_S),
        (errors.SourceUnavailable, 503, "B3 is unavailable", 60),
        (errors.SourceTimeout, 504, "B3 took too long", 60),
        (errors.StorageUnavailable, 503, "The storage is unavailable", 30),
        (errors.BrowserNotFound, 503, "No browser to fetch with", 300),
    )
}

_OF_STATUS: dict[int, ProblemKind] = {
    kind.status: kind
    for kind in (
        ProblemKind("bad_request", 400, "Bad request"),
        ProblemKind("not_found", 404, "Not found"),
        ProblemKind("method_not_allowed", 405, "Method not allowed"),
        ProblemKind("payload_too_large", 413, "The body is too large"),
        ProblemKind("unsupported_media_type", 415, "The body is not JSON"),
        ProblemKind("internal", 500, "Internal error"),
    )
}

KINDS: dict[str, ProblemKind] = {kind.code: kind for kind in (*_OF_ERROR.values(), *_OF_STATUS.values())}
"""Every kind of problem that this API answers with, by its code."""


def kind_of(error: errors.BovespaError) -> ProblemKind | None:
    """Return what *error* is to a caller; None if it is not theirs to know, as a bug or a wrong setting."""
    for ancestor in type(error).__mro__:
        if ancestor in _OF_ERROR:
            return _OF_ERROR[ancestor]
    return None


def problem(kind: ProblemKind, detail: str | None = None, **extensions: int) -> Response:
    """Return the response for one problem.

    Args:
        kind: Which problem.
        detail: What happened this time and what to do.
        extensions: Further members of the problem object.
    """
    body = {
        "type": f"/docs#{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "code": kind.code,
        **({} if detail is None else {"detail": detail}),
        **extensions,
    }
    response = Response(json.dumps(body) + "\n", kind.status, content_type=MEDIA_TYPE)
    if kind.retry_after_s is not None:
        response.headers["Retry-After"] = str(kind.retry_after_s)
    if kind.status == HTTPStatus.UNAUTHORIZED:
        # RFC 6750, 3: a request without a token learns of no error.
        invalid = kind.code in (api_errors.TokenInvalid.code, api_errors.TokenExpired.code)
        response.headers["WWW-Authenticate"] = 'Bearer realm="bovespa"' + ', error="invalid_token"' * invalid
    return response


def register(app: Flask) -> None:
    """Answer every error of *app* with a problem."""
    app.register_error_handler(errors.BovespaError, answer)
    app.register_error_handler(HTTPException, _http_error)


def answer(error: errors.BovespaError) -> ResponseReturnValue:
    """Return the response for *error*, or raise it again if it is not for callers."""
    kind = kind_of(error)
    if kind is None:
        raise error
    level = logging.WARNING if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO
    log.log(level, "refused a request", extra={"code": kind.code, "why": str(error)})
    if isinstance(error, errors.InvalidFile) and error.line is not None:
        return problem(kind, str(error), line=error.line)
    response = problem(kind, str(error))
    if isinstance(error, api_errors.TooSoon):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _http_error(error: HTTPException) -> ResponseReturnValue:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status < HTTPStatus.BAD_REQUEST:  # werkzeug raises redirects, too
        return error
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(_OF_STATUS[500])
    response = problem(_OF_STATUS.get(status, _OF_STATUS[400]), error.description)
    for name, value in error.get_headers():  # 405 says which methods are allowed
        if name != "Content-Type":
            response.headers[name] = value
    return response
