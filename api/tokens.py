"""Access tokens: issue and verify. Knows no Flask and no clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import jwt

from api.errors import TokenExpired, TokenInvalid

ISSUER = "bovespa-api"

# The algorithm is ours to choose: a token that picks its own could pick "none".
_ALGORITHM = "HS256"
_CLAIMS = ("sub", "iat", "exp", "iss")

_CLOCK_LEEWAY_S = 5
"""How far the clock of another process with the same secret may run ahead of ours."""


def issue_token(user: str, *, secret: str, now: dt.datetime, lifetime_s: int) -> str:
    """Return a token that says who *user* is for the next *lifetime_s* seconds.

    Args:
        user: The user's name.
        secret: HMAC key of at least 32 characters.
        now: The present, aware.
        lifetime_s: Seconds for which the token is good.
    """
    issued_at = int(now.timestamp())
    claims = {"sub": user, "iat": issued_at, "exp": issued_at + lifetime_s, "iss": ISSUER}
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def verify_token(token: str, *, secret: str, now: dt.datetime) -> str:
    """Return the name of the user whom *token* was issued to.

    Raises:
        TokenExpired: Its time is over.
        TokenInvalid: It was not issued by `issue_token` with this secret.
    """
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            issuer=ISSUER,
            # Times are checked below against `now`; the library would read the clock itself.
            options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except jwt.InvalidTokenError as error:
        raise TokenInvalid("The token is not one of ours. Log in again.") from error
    issued_at, expires_at = claims["iat"], claims["exp"]
    if not (type(issued_at) is int and type(expires_at) is int) or not claims["sub"]:
        raise TokenInvalid("The token's claims are not ours. Log in again.")
    present = now.timestamp()
    if issued_at > present + _CLOCK_LEEWAY_S:
        raise TokenInvalid("The token was issued in the future. Check the clocks of the API's machines.")
    if present >= expires_at:
        raise TokenExpired("The token has expired. Log in again.")
    return str(claims["sub"])
