"""The API's secrets from AWS Secrets Manager instead of the environment: one secret, read once, at the start."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from bovespa.errors import ConfigurationError

SECRET_ID = "BOVESPA_SECRET_ID"  # noqa: S105 - the name of a variable
_FIELDS = {"jwt_secret": "BOVESPA_JWT_SECRET", "users": "BOVESPA_USERS"}
_PREVIOUS = "jwt_secret_previous"
_PREVIOUS_VARIABLE = "BOVESPA_JWT_SECRET_PREVIOUS"


def with_secret(environ: Mapping[str, str], read: Callable[[str], str]) -> Mapping[str, str]:
    """Return *environ* with what the secret holds, if `BOVESPA_SECRET_ID` names one.

    A variable that is set as well would leave open which of the two holds, so that is an error.

    Args:
        environ: The environment.
        read: Returns the text of the secret of that name or ARN: a JSON object of `jwt_secret`, a text, and `users`,
            an object of user name to password hash; during a rotation also of `jwt_secret_previous`, a text.

    Raises:
        ConfigurationError: The secret is no such object, or a variable is set as well. The message holds nothing of it.
    """
    name = environ.get(SECRET_ID)
    if not name:
        return environ
    doubled = [variable for variable in (*_FIELDS.values(), _PREVIOUS_VARIABLE) if environ.get(variable)]
    if doubled:
        raise ConfigurationError(f"{', '.join(doubled)} and {SECRET_ID} are set; unset one or the other.")
    try:
        found = json.loads(read(name))
    except ValueError:
        # Not `from`: a parser's error quotes what it cannot read.
        raise ConfigurationError(f"The secret {name} is no JSON; write it as docs/operations.md shows.") from None
    if not isinstance(found, dict) or set(found) - {_PREVIOUS} != set(_FIELDS):
        known = " and ".join(_FIELDS)
        raise ConfigurationError(f"The secret {name} must be an object with just {known}, and {_PREVIOUS} if wanted.")
    previous = found.get(_PREVIOUS, "")
    if not (isinstance(found["jwt_secret"], str) and isinstance(previous, str) and isinstance(found["users"], dict)):
        raise ConfigurationError(f"In the secret {name}, the keys must be texts and users an object.")
    return {
        **environ,
        "BOVESPA_JWT_SECRET": found["jwt_secret"],
        _PREVIOUS_VARIABLE: previous,
        "BOVESPA_USERS": json.dumps(found["users"]),
    }
