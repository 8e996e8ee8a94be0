"""One time-out for everything that a fetch does."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """A moment by which all must be done, on a clock that nobody sets."""

    def __init__(self, timeout_s: float, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.timeout_s = timeout_s
        self._clock_s = clock_s
        self._end = clock_s() + timeout_s

    @property
    def remaining_s(self) -> float:
        """Seconds left; never below zero."""
        return max(0.0, self._end - self._clock_s())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining_s == 0.0
