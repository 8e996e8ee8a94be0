"""`POST /login`: a password for a token."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.errors import InvalidCredentials
from api.parameters import json_texts, query
from api.passwords import Passwords
from api.tokens import issue_token


def login_blueprint(
    passwords: Passwords, *, secret: str, lifetime_s: int, clock: Callable[[], dt.datetime]
) -> Blueprint:
    """Return the route that issues tokens.

    Args:
        passwords: The users.
        secret: The key that tokens are signed with.
        lifetime_s: Seconds for which a token is good.
        clock: Tells the present.
    """
    blueprint = Blueprint("login", __name__)

    @blueprint.post("/login")
    def login() -> ResponseReturnValue:
        query()
        username, password = json_texts("username", "password")
        if not passwords.match(username, password):
            raise InvalidCredentials("User name and password do not belong together.")
        token = issue_token(username, secret=secret, now=clock(), lifetime_s=lifetime_s)
        return {"access_token": token, "token_type": "Bearer", "expires_in": lifetime_s}

    return blueprint
