"""Who asks: every route wants a token, except those named as public."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container

from flask import Flask, g, request

from api.errors import TokenInvalid, TokenMissing
from api.tokens import verify_token


def require_tokens(
    app: Flask,
    *,
    public: Container[str],
    secret: str,
    users: Container[str],
    clock: Callable[[], dt.datetime],
) -> None:
    """Refuse requests without a good token on all routes of *app*, those added later included.

    Args:
        app: The application.
        public: Endpoints that want no token.
        secret: The key that tokens are signed with.
        users: Users that exist: the token of a removed one is good no longer.
        clock: Tells the present.
    """

    def check_token() -> None:
        # Without an endpoint there is nothing to protect: the answer is 404 or 405.
        if request.endpoint is None or request.endpoint in public:
            return
        authorization = request.authorization
        if authorization is None or authorization.type != "bearer" or not authorization.token:
            raise TokenMissing("Send `Authorization: Bearer <token>` with a token from POST /login.")
        user = verify_token(authorization.token, secret=secret, now=clock())
        if user not in users:
            raise TokenInvalid("The token's user does not exist any more.")
        g.user = user

    app.before_request(check_token)
