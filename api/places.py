"""How many requests at once may do what takes long, so that threads are left for what is answered at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from api.errors import Busy

THREADS = 32
"""Of the server; each keeps some megabytes once it has worked."""
FETCHES = 24
"""Most of them wait: for the fetch of another caller, or for one of the two browsers."""
LOGINS = 4
"""Passwords are checked one at a time, some tenths of a second each."""

BUSY_S = 5
"""When there will be a place, more often than not."""


class Places:
    """So many places for one kind of work; whoever finds none is told to come back, and holds no thread meanwhile."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place for the body of the `with`.

        Raises:
            Busy: There is none.
        """
        if not self._free.acquire(blocking=False):
            raise Busy("Too many callers wait for the same kind of work. Try again later.", retry_after_s=BUSY_S)
        try:
            yield
        finally:
            self._free.release()
