"""The short form of `make load`, against the pipeline of the tests."""

from __future__ import annotations

import datetime as dt
import http.client
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from benchmarks.runs import no_events
from bovespa.settings import Settings
from load import crowd, soak
from local.console import Progress
from local.pipeline import Pipeline
from tests.until import until

CROWD_INDEXES = ("IBSD", "IDVR")
SOAK_INDEX = "IFIL"
"""Of no other test's sessions: `test_chain_faults` compares all that there is of its indexes."""
ROUTES = ["GET /bovespaDay", "GET /health", "GET /sessions", "POST /login"]


@pytest.fixture
def loaded(pipeline: Pipeline) -> Iterator[Pipeline]:
    """The pipeline, with Spark left in peace."""
    pipeline.stand_in.set(today=soak.FIRST_DAY)
    with no_events(pipeline.cloud):
        yield pipeline
    pipeline.stand_in.set(today=None)


def spend_the_logins(api_url: str, address: str) -> None:
    """Send what a minute allows from *address*; empty logins count, and cost no check of a password.

    Minutes are the clock's, and soon after a full one some of what was spent before is allowed again.
    """
    until(lambda: time.time() % 60 < 45, timeout_s=20)
    where = urlsplit(api_url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=30, source_address=(address, 0))
    for _ in range(Settings.logins_per_minute):
        connection.request("POST", "/login", body=b"{}", headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 400
    connection.close()


def test_a_crowd_is_answered_with_one_browser_an_index(loaded: Pipeline):
    callers = crowd.callers({loaded.username: loaded.password}, 4)
    spend_the_logins(loaded.api_url, callers[0].address)
    figures = crowd.measure(loaded, callers, CROWD_INDEXES, seconds=3)
    rows = {row.route: row for row in figures["rows"]}
    assert sorted(rows) == ROUTES
    assert {route: row.errors for route, row in rows.items() if row.errors} == {}
    # The first one calls from where everything is spent; the others are not concerned.
    assert list(rows["POST /login"].meant) == ["429 too_many_requests"]
    assert all(row.median_ms is not None for row in rows.values())
    assert rows["GET /health"].requests > len(callers)
    # Times and memory are the machine's and of all tests before.
    told = {target.name: target for target in crowd.targets(figures)}
    browsers = ("browsers of one index at once", "browsers at once")
    assert all(told[name].is_reached for name in ("answers that are not meant", *browsers))
    assert figures["browsers_of_known_index"] >= len(CROWD_INDEXES)
    assert 10 < told["peak memory of the API process"].value < 2000


def test_sessions_in_a_row_leave_nothing_behind(loaded: Pipeline):
    figures = soak.measure(loaded, SOAK_INDEX, 5, Progress(), first_day=soak.FIRST_DAY + dt.timedelta(days=30))
    assert [target.name for target in soak.targets(figures) if not target.is_reached] == []
    assert (figures["sessions"], figures["browsers"], len(figures["memory_mb"])) == (5, 6, 5)
    assert figures["before"]["open_files"] > figures["before"]["connections"] > 0
