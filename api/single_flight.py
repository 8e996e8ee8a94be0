"""Many callers, one piece of work: whoever comes while it is under way shares its result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class _Flight(Generic[V]):
    landed: Future[V] = field(default_factory=Future)
    callers: int = 0


class SingleFlight(Generic[K, V]):
    """Runs at most one piece of work a key at any moment.

    The result is not kept: a call that comes after the work has ended starts it anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[K, _Flight[V]] = {}

    def run(self, key: K, work: Callable[[], V]) -> V:
        """Return what *work* returns, or what the same key's work already under way returns.

        Raises:
            BaseException: Whatever the work raised, to the first caller and to all who wait.
        """
        with self._lock:
            flight = self._flights.setdefault(key, _Flight())
            leads = flight.callers == 0
            flight.callers += 1
        if not leads:
            return flight.landed.result()
        try:
            result = work()
        except BaseException as error:
            self._end(key)
            flight.landed.set_exception(error)
            raise
        self._end(key)
        flight.landed.set_result(result)
        return result

    def callers(self, key: K) -> int:
        """Return how many calls share the key's work under way now."""
        with self._lock:
            return self._flights[key].callers if key in self._flights else 0

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for the work under way now; return whether all of it ended in time."""
        with self._lock:
            landings = [flight.landed for flight in self._flights.values()]
        return not wait(landings, timeout=timeout_s).not_done

    def _end(self, key: K) -> None:
        """Before the result is out: whoever calls after seeing it starts anew."""
        with self._lock:
            del self._flights[key]
