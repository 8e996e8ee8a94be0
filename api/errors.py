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
