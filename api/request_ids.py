"""`X-Request-ID`: the caller's id of a request, or one made here, is the correlation id of what the request does."""

from __future__ import annotations

from flask import Flask, Response, request

from bovespa.correlation import correlation_id, follow, is_correlation_id, new_correlation_id

HEADER = "X-Request-ID"


def correlate(app: Flask) -> None:
    """Give every request of *app* an id, and tell it in the answer. To be called before anything that logs is added.

    An id of a caller that is not well-formed is replaced, not refused: a request is not worse for it.
    """
    app.before_request(_begin)
    app.after_request(_tell)
    app.teardown_request(_end)


def _begin() -> None:
    given = request.headers.get(HEADER)
    follow(given if is_correlation_id(given) else new_correlation_id())


def _tell(response: Response) -> Response:
    response.headers[HEADER] = correlation_id() or ""
    return response


def _end(_error: BaseException | None) -> None:
    # The thread serves other callers next.
    follow(None)
