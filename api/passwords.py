"""Passwords: one slow check, equally slow for names that do not exist."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from werkzeug.security import check_password_hash, generate_password_hash

from bovespa.errors import ConfigurationError

log = logging.getLogger(__name__)

# werkzeug's forms: scrypt:N:r:p$salt$hash and pbkdf2:digest:iterations$salt$hash.
_HASH = re.compile(r"(scrypt:\d+:\d+:\d+|pbkdf2:\w+:\d+)\$[^$]+\$[0-9a-f]+", re.ASCII)


def _is_hash(text: str) -> bool:
    """Whether *text* has the form of a hash, and a method by which this machine can check passwords."""
    match = _HASH.fullmatch(text)
    if match is None:
        return False
    kind, *numbers = match[1].split(":")
    if kind == "scrypt":
        cost, *others = map(int, numbers)
        return cost > 1 and cost.bit_count() == 1 and min(others) > 0
    digest, iterations = numbers
    try:
        hashlib.pbkdf2_hmac(digest, b"", b"", 1)
    except ValueError:
        return False
    return int(iterations) > 0


# OWASP's password storage cheat sheet holds it equal to N=32768, p=3 and better than werkzeug's own N=32768, p=1, with
# half the memory: 16 MB a check.
_METHOD = "scrypt:16384:8:5"


def hash_password(password: str) -> str:
    """Return a salted scrypt hash of *password*, as `BOVESPA_USERS` holds it."""
    return generate_password_hash(password, method=_METHOD)


class Passwords:
    """The users' password hashes.

    Raises:
        ConfigurationError: A hash is none; the message names every such user and no hash.
    """

    def __init__(self, hashes: Mapping[str, str]) -> None:
        malformed = sorted(user for user, hashed in hashes.items() if not _is_hash(hashed))
        if malformed:
            raise ConfigurationError(
                f"BOVESPA_USERS holds no password hash for {', '.join(malformed)}. "
                "Make one with `flask --app app hash-password`."
            )
        self._hashes = dict(hashes)
        methods = {hashed.partition("$")[0] for hashed in hashes.values()}
        if len(methods) > 1:
            # An unknown name costs as much as the first user; others could be told from it by the clock.
            log.warning("hash all passwords anew: they cost differently", extra={"methods": sorted(methods)})
        method, _, digest = next(iter(self._hashes.values())).split("$")
        # Costs a check as much as a real hash does, and no password is known to match it.
        self._dummy = f"{method}${secrets.token_hex(8)}${secrets.token_hex(len(digest) // 2)}"
        # scrypt takes 16 MB and more for each check. Many at once must not add up, and neither must what the C library
        # keeps of it for each thread that has ever made one.
        self._checker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")

    def __contains__(self, user: object) -> bool:
        return user in self._hashes

    def match(self, user: str, password: str) -> bool:
        """Whether *password* is that of *user*; takes as long for a user who does not exist."""
        matches = self._checker.submit(check_password_hash, self._hashes.get(user, self._dummy), password).result()
        return matches and user in self._hashes
