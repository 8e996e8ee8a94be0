"""Work that is under way is shared; work that has ended is not."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from api.single_flight import SingleFlight
from tests.until import until


class Work:
    """Waits for its release, then returns its number or raises."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.runs = 0
        self.release = threading.Event()
        self._failure = failure

    def __call__(self) -> int:
        self.runs += 1
        run = self.runs
        assert self.release.wait(10)
        if self._failure:
            raise self._failure
        return run


def together(flights: SingleFlight[str, int], work: Work, pool: ThreadPoolExecutor, callers: int) -> list[Future[int]]:
    """Start calls, let the work end only once all of them are in."""
    calls = [pool.submit(flights.run, "IBOV", work) for _ in range(callers)]
    until(lambda: flights.callers("IBOV") == callers)
    work.release.set()
    return calls


def test_simultaneous_calls_share_one_run():
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    with ThreadPoolExecutor(8) as pool:
        assert [call.result(10) for call in together(flights, work, pool, 8)] == [1] * 8
    assert (work.runs, flights.callers("IBOV")) == (1, 0)


def test_simultaneous_calls_share_the_failure():
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work(LookupError("gone"))
    with ThreadPoolExecutor(3) as pool:
        calls = together(flights, work, pool, 3)
        assert [str(call.exception(10)) for call in calls] == ["gone"] * 3
    assert work.runs == 1
    # A failure is not kept: the next call tries again.
    with pytest.raises(LookupError):
        flights.run("IBOV", work)
    assert work.runs == 2


def test_a_later_call_runs_again():
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    work.release.set()
    assert [flights.run("IBOV", work), flights.run("IBOV", work)] == [1, 2]


def test_another_key_does_not_wait():
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(flights.run, "IBOV", work)
        until(lambda: flights.callers("IBOV") == 1)
        assert flights.run("SMLL", lambda: 7) == 7
        work.release.set()
        assert waiting.result(10) == 1


def test_whoever_stops_can_wait_for_the_work_under_way():
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    assert flights.wait_until_idle(0)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(flights.run, "IBOV", work)
        until(lambda: flights.callers("IBOV") == 1)
        assert not flights.wait_until_idle(0.01)
        work.release.set()
        assert flights.wait_until_idle(10)
        assert call.result(10) == 1
