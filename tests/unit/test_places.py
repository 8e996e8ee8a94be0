"""Logins and fetches that wait leave threads to everybody else."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from werkzeug.test import TestResponse

from api.errors import Busy
from api.places import BUSY_S, FETCHES, LOGINS, THREADS, Places
from tests.api_in_process import File, bearer, client, published, trading_days
from tests.until import until


def test_who_finds_no_place_is_told_to_come_back():
    places = Places(1)
    with places.taken():
        with pytest.raises(Busy) as caught, places.taken():
            pass
        assert caught.value.retry_after_s == BUSY_S
    with pytest.raises(KeyError), places.taken():
        raise KeyError
    with places.taken():
        pass


def test_threads_are_left_when_all_places_are_taken():
    assert THREADS - FETCHES - LOGINS >= 4


def test_a_crowd_of_fetches_leaves_the_other_routes_alone():
    may_land = threading.Event()

    def fetch(index_code: str) -> File:
        assert may_land.wait(30)
        return published(index_code)

    api = client(fetch, trading=trading_days())

    def ask(path: str) -> TestResponse:
        # A client keeps cookies and such, so that each call has its own.
        return api.application.test_client().get(path, headers=bearer())

    with ThreadPoolExecutor(FETCHES + 1) as pool:
        calls: list[Future[TestResponse]] = [pool.submit(ask, "/bovespaDay?index=IBOV") for _ in range(FETCHES + 1)]
        try:
            # One of them found no place, so the others have all.
            until(lambda: any(call.done() for call in calls))
            refused = ask("/tradingDay?date=2025-02-20")
            assert (refused.get_json()["code"], refused.headers["Retry-After"]) == ("busy", str(BUSY_S))
            assert ask("/sessions?index=IBOV").status_code == 200
            # What is wrong with a request is told even then.
            assert ask("/bovespaDay?index=NOPE").get_json()["code"] == "unknown_index"
        finally:
            may_land.set()
        assert sorted(call.result().status_code for call in calls) == [200] * FETCHES + [503]
    assert ask("/bovespaDay?index=IBOV").status_code == 200
