"""Guessing passwords: after some failures a name is locked for a while, longer each time, never for long.

Known and unknown names are locked alike, and a locked login costs the same slow check as any other: neither answer nor
time tells whether a user exists, or whether a guess during the lock was right.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from api.errors import LoginLocked
from api.passwords import Passwords

log = logging.getLogger(__name__)

FREE_FAILURES = 5
"""People mistype; that many failures lock nothing."""
FIRST_LOCK_S = 10
MAX_LOCK_S = 300
"""A stranger can keep a name locked for others, but each gap comes after five minutes at most."""
_FORGET_S = 3600
"""So long after its last failure, a name starts anew."""
_REMEMBERED = 10_000
"""Names and addresses kept; the oldest go first, so that a flood of invented names fills no memory."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0
    locked_until: float = 0.0


_Kept = TypeVar("_Kept")


class Lockout:
    """Checks passwords and remembers failures, in the memory of this process.

    A name is locked for everybody, except for addresses that it has logged in from before: for those only their own
    failures count. So a stranger cannot lock out the owner at the usual place.
    """

    def __init__(self, passwords: Passwords, *, clock: Callable[[], dt.datetime]) -> None:
        self._passwords = passwords
        self._clock = clock
        # One check at a time, so that simultaneous guesses cannot all slip in before the first failure is counted.
        # The check itself is one at a time anyway (`Passwords.match`).
        self._lock = threading.Lock()
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()
        self._usual: OrderedDict[bytes, None] = OrderedDict()

    def match(self, user: str, password: str, address: str) -> bool:
        """Whether *password* is that of *user*.

        Raises:
            LoginLocked: The name is locked for *address*; the password was not looked at, though the time was spent.
        """
        with self._lock:
            now = self._clock().timestamp()
            place = _digest(user, address)
            # Not the name itself: it may be 16 KB, or a password in the wrong field.
            key = place if place in self._usual else _digest(user)
            locked_s = self._locked_s(key, now)
            matches = self._passwords.match(user, password)
            if locked_s > 0:
                raise LoginLocked(
                    "Too many logins under this name have failed. Wait, then try again.",
                    retry_after_s=min(int(locked_s) + 1, MAX_LOCK_S),
                )
            if matches:
                self._failures.pop(key, None)
                _remember(self._usual, place, None)
            else:
                self._count(key, user, address, now)
            return matches

    def _locked_s(self, key: bytes, now: float) -> float:
        known = self._failures.get(key)
        return 0.0 if known is None else known.locked_until - now

    def _count(self, key: bytes, user: str, address: str, now: float) -> None:
        known = self._failures.get(key)
        if known is None or now - known.last > _FORGET_S:
            known = _Failures()
        known.count += 1
        known.last = now
        beyond = known.count - FREE_FAILURES
        if beyond >= 0:
            # The exponent is bounded because a float is.
            lock_s = min(FIRST_LOCK_S * 2 ** min(beyond, 20), MAX_LOCK_S)
            known.locked_until = now + lock_s
            # A name that is no user's may be a password in the wrong field.
            whom = user if user in self._passwords else None
            log.warning("locked a login", extra={"user": whom, "address": address, "lock_s": lock_s})
        _remember(self._failures, key, known)


def _remember(kept: OrderedDict[bytes, _Kept], key: bytes, value: _Kept) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _REMEMBERED:
        kept.popitem(last=False)


def _digest(*parts: str) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        # Of fixed length each, so that no two lists of parts are one text.
        whole.update(hashlib.sha256(part.encode()).digest())
    return whole.digest()
