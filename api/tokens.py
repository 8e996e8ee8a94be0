"""Access tokens: issue and verify. Knows no Flask and no clock."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import jwt

from api.errors import TokenExpired, TokenInvalid

ISSUER = "bovespa-api"

# The algorithm is ours to choose: a token that picks its own could pick "none".
_ALGORITHM = "HS256"
_CLAIMS = ("sub", "iat", "exp", "iss", "aud", "cred")

_CLOCK_LEEWAY_S = 5
"""How far the clock of another process with the same secret may run ahead of ours."""
_MAX_LENGTH = 4096
"""Ours are a tenth of that; longer ones are not even parsed."""


class Tokens:
    """Issues tokens and verifies them.

    A token holds a digest of its user's password hash (`cred`), so that a removed user's tokens and those from before
    a new password are good no longer, without a list of revoked ones (ADR 25).

    Args:
        hashes: Password hash of each user.
        secret: HMAC key of at least 32 characters, which signs and verifies.
        previous_secret: The key before the last rotation, which verifies only; empty for none.
        audience: The deployment that the tokens are for.
        lifetime_s: Seconds for which a token is good.
    """

    def __init__(
        self, hashes: Mapping[str, str], *, secret: str, previous_secret: str = "", audience: str, lifetime_s: int
    ) -> None:
        self._hashes = dict(hashes)
        # No `kid`: two keys are tried in a fixed order, and nothing in a token chooses one.
        self._secrets = tuple(filter(None, (secret, previous_secret)))
        self._audience = audience
        self.lifetime_s = lifetime_s

    def issue(self, user: str, *, now: dt.datetime) -> str:
        """Return a token that says who *user*, one of the users, is.

        Args:
            user: The user's name.
            now: The present, aware.
        """
        issued_at = int(now.timestamp())
        secret = self._secrets[0]
        claims = {
            "sub": user,
            "iat": issued_at,
            "exp": issued_at + self.lifetime_s,
            "iss": ISSUER,
            "aud": self._audience,
            "cred": credential(self._hashes[user], secret),
        }
        return jwt.encode(claims, secret, algorithm=_ALGORITHM)

    def verify(self, token: str, *, now: dt.datetime) -> str:
        """Return the name of the user whom *token* was issued to.

        Raises:
            TokenExpired: Its time is over.
            TokenInvalid: It was not issued by `issue` with these secrets, or its user or password is another one now.
        """
        claims, secret = self._decoded(token)
        issued_at, expires_at, valid_from = claims["iat"], claims["exp"], claims.get("nbf", 0)
        # A boolean is an `int` to Python, and no time.
        if any(type(moment) is not int for moment in (issued_at, expires_at, valid_from)) or not claims["sub"]:
            raise TokenInvalid("The token's claims are not ours. Log in again.")
        present = now.timestamp()
        if max(issued_at, valid_from) > present + _CLOCK_LEEWAY_S:
            raise TokenInvalid("The token is for the future. Check the clocks of the API's machines.")
        if present >= expires_at:
            raise TokenExpired("The token has expired. Log in again.")
        user = str(claims["sub"])
        hashed = self._hashes.get(user)
        if hashed is None:
            raise TokenInvalid("The token's user does not exist any more.")
        if not hmac.compare_digest(str(claims["cred"]).encode(errors="replace"), credential(hashed, secret).encode()):
            raise TokenInvalid("The token is from before the user's password was changed. Log in again.")
        return user

    def _decoded(self, token: str) -> tuple[Mapping[str, Any], str]:
        failure: jwt.InvalidTokenError | None = None
        for secret in self._secrets if len(token) <= _MAX_LENGTH else ():
            try:
                claims = jwt.decode(
                    token,
                    secret,
                    algorithms=[_ALGORITHM],
                    issuer=ISSUER,
                    audience=self._audience,
                    # Times are checked against the given present; the library would read the clock itself.
                    options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
                )
            except jwt.InvalidTokenError as error:
                failure = error
            else:
                return claims, secret
        raise TokenInvalid("The token is not one of ours. Log in again.") from failure


def credential(password_hash: str, secret: str) -> str:
    """Return what a token says of a password hash; without *secret* nothing can be guessed from it."""
    digest = hmac.digest(secret.encode(), b"bovespa credential:" + password_hash.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
