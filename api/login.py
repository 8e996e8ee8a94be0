"""`POST /login`: a password for a token."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from api.client_address import client_address
from api.errors import InvalidCredentials
from api.lockout import Lockout
from api.parameters import json_texts, query
from api.passwords import Passwords
from api.places import LOGINS, Places
from api.tokens import Tokens


def login_blueprint(passwords: Passwords, tokens: Tokens, *, clock: Callable[[], dt.datetime]) -> Blueprint:
    """Return the route that issues tokens.

    Args:
        passwords: The users.
        tokens: Issues them.
        clock: Tells the present.
    """
    blueprint = Blueprint("login", __name__)
    lockout = Lockout(passwords, clock=clock)
    places = Places(LOGINS)

    @blueprint.post("/login")
    def login() -> ResponseReturnValue:
        query()
        username, password = json_texts("username", "password")
        with places.taken():
            matches = lockout.match(username, password, client_address(request.remote_addr))
        if not matches:
            raise InvalidCredentials("User name and password do not belong together.")
        token = tokens.issue(username, now=clock())
        return {"access_token": token, "token_type": "Bearer", "expires_in": tokens.lifetime_s}

    return blueprint
