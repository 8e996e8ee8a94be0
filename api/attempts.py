"""Which way to B3 is tried next, after what pause and for how long. A decision: no clock, no browser, no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bovespa.errors import BovespaError, BrowserNotFound, ColumnsChanged, InvalidPortfolio, PageChanged, SourceError

Failure = SourceError | InvalidPortfolio | BrowserNotFound
"""What an attempt may end with and another one may not."""

_FIRST_PAUSE_S = 3.0
_WORTHWHILE_S = 1.0
"""In less, no attempt that follows another comes to anything."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often B3 is asked for one session."""

    budget_s: float
    """For all attempts and the pauses between them."""
    attempts: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that is to be made."""

    number: int
    """From 1."""
    way: str
    pause_s: float
    """To be waited before it."""
    timeout_s: float


class Course:
    """The attempts to get one session.

    The ways take turns. Another way is tried at once; before a way is tried again there is a pause, twice as long each
    time and shortened at random, so that callers who failed together do not come back together. A refused file is B3's
    and not the way's: there is a pause after it in any case. A way that cannot heal is not tried again.
    """

    def __init__(self, ways: Sequence[str], patience: Patience, *, jitter: Callable[[float, float], float]) -> None:
        """Plan attempts.

        Args:
            ways: Their names, the preferred one first.
            patience: For all of them together.
            jitter: Draws a number between two, as `random.uniform`.
        """
        self._ways = tuple(ways)
        self._open = list(ways)
        self._patience = patience
        self._jitter = jitter
        self._attempts: list[Attempt] = []
        self._failures: list[Failure] = []
        self._since_pause: set[str] = set()
        self._next_pause_s = _FIRST_PAUSE_S

    def next(self, spent_s: float) -> Attempt | None:
        """Return the attempt to make now, None when there is none left.

        Args:
            spent_s: Since the first attempt began.
        """
        left_s = self._patience.budget_s - spent_s
        made = len(self._attempts)
        if not self._open or made >= self._patience.attempts or (made and left_s < _WORTHWHILE_S):
            return None
        way = self._following()
        pause_s = min(self._pause_before(way), left_s / 4)
        is_last = made + 1 == self._patience.attempts
        # Half of what is left, so that a way that hangs leaves the other one its turn.
        timeout_s = (left_s - pause_s) if is_last else (left_s - pause_s) / 2
        self._attempts.append(Attempt(made + 1, way, pause_s, timeout_s))
        return self._attempts[-1]

    def failed(self, error: Failure) -> None:
        """Take note of what the last attempt ended with."""
        self._failures.append(error)
        if isinstance(error, ColumnsChanged):
            self._open.clear()  # every way brings the same file
        elif isinstance(error, PageChanged | BrowserNotFound):
            self._open.remove(self._attempts[-1].way)

    @property
    def error(self) -> BovespaError:
        """What to tell when all attempts have failed: the last error that somebody must act on, or the last one."""
        return max(enumerate(self._failures), key=lambda numbered: (_urgency(numbered[1]), numbered[0]))[1]

    def _following(self) -> str:
        """The next open way after the last one that was tried, around the circle."""
        if not self._attempts:
            return self._open[0]
        last = self._ways.index(self._attempts[-1].way)
        around = self._ways[last + 1 :] + self._ways[: last + 1]
        return next(way for way in around if way in self._open)

    def _pause_before(self, way: str) -> float:
        refused = bool(self._failures) and isinstance(self._failures[-1], InvalidPortfolio)
        if way not in self._since_pause and not refused:
            self._since_pause.add(way)
            return 0.0
        self._since_pause = {way}
        longest_s, self._next_pause_s = self._next_pause_s, self._next_pause_s * 2
        return self._jitter(longest_s / 2, longest_s)


def _urgency(error: Failure) -> int:
    """Who must act: somebody on a file in quarantine, the maintainer, the operator, or nobody."""
    order = (InvalidPortfolio, PageChanged, BrowserNotFound)
    return next((len(order) - place for place, kind in enumerate(order) if isinstance(error, kind)), 0)
