"""Who asks: every route wants a token, except those named as public."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container

from flask import Flask, g, request

from api.errors import TokenMissing
from api.tokens import Tokens


def require_tokens(
    app: Flask,
    *,
    public: Container[str],
    tokens: Tokens,
    clock: Callable[[], dt.datetime],
) -> None:
    """Refuse requests without a good token on all routes of *app*, those added later included.

    Args:
        app: The application.
        public: Endpoints that want no token.
        tokens: Verifies them.
        clock: Tells the present.
    """

    def check_token() -> None:
        # Without an endpoint there is nothing to protect: the answer is 404 or 405.
        if request.endpoint is None or request.endpoint in public:
            return
        authorization = request.authorization
        if authorization is None or authorization.type != "bearer" or not authorization.token:
            raise TokenMissing("Send `Authorization: Bearer <token>` with a token from POST /login.")
        g.user = tokens.verify(authorization.token, now=clock())

    app.before_request(check_token)
