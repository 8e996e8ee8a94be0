"""The errors that only HTTP callers cause, as leaves of the tree in `bovespa.errors`."""

from __future__ import annotations

from bovespa.errors import InvalidRequest


class BadJson(InvalidRequest):
    """The body is not a JSON object."""

    code = "bad_json"


class MissingField(InvalidRequest):
    """The body lacks fields; the message names them all."""

    code = "missing_field"


class InvalidField(InvalidRequest):
    """A field of the body is not of the kind it must be."""

    code = "invalid_field"


class UnknownParameter(InvalidRequest):
    """The query has a parameter that this route does not know, or one of them twice."""

    code = "unknown_parameter"


class InvalidDate(InvalidRequest):
    """A date is not one, or lies outside what the calendar knows."""

    code = "invalid_date"


class InvalidPeriod(InvalidRequest):
    """A period ends before it begins, or is too long."""

    code = "invalid_period"


class TooSoon(InvalidRequest):
    """The caller asks more often than is good for everybody.

    Attributes:
        retry_after_s: When the same request may be sent again.
    """

    code = "too_soon"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRequests(TooSoon):
    """The caller's address has sent more requests than one may in a minute."""

    code = "too_many_requests"


class LoginLocked(TooSoon):
    """Too many logins under the name failed; whether such a user exists is not told."""

    code = "login_locked"


class Busy(TooSoon):
    """As many requests wait for this kind of work as may; this caller has done nothing wrong."""

    code = "busy"


class NotAuthenticated(InvalidRequest):
    """The caller has not shown who they are."""

    code = "not_authenticated"


class InvalidCredentials(NotAuthenticated):
    """User name and password do not belong together; which of them is wrong is not told."""

    code = "invalid_credentials"


class TokenMissing(NotAuthenticated):
    """The request carries no Bearer token."""

    code = "token_missing"


class TokenInvalid(NotAuthenticated):
    """The token is not one that this API issued."""

    code = "token_invalid"


class TokenExpired(NotAuthenticated):
    """The token was good once."""

    code = "token_expired"
