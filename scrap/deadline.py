"""One time-out for everything that a fetch does."""

from __future__ import annotations

import time


class Deadline:
    """A moment by which all must be done, on a clock that nobody sets."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end = time.monotonic() + timeout_s

    @property
    def remaining_s(self) -> float:
        """Seconds left; never below zero."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining_s == 0.0
