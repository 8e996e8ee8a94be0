"""The second way in against the stand-in: what it brings is what the page would have, and what fails has its error."""

from __future__ import annotations

import base64
import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.attempts import Patience
from api.ingestion import Ingestion
from bovespa.clock import require_plausible_session
from bovespa.errors import PageChanged, SourceError, SourceTimeout, SourceUnavailable
from bovespa.fetched import FetchedFile
from bovespa.indexes import INDEX_CODES
from bovespa.portfolio import View
from bovespa.portfolio_csv import parse_csv, view_of
from local.b3_stand_in import StandIn, running_stand_in
from local.synthetic import synthetic_csv
from scrap.endpoint import fetch_portfolio_over_https
from tests.api_in_process import Shelf

SATURDAY, MONDAY = dt.date(2025, 2, 22), dt.date(2025, 2, 24)
NOON = dt.datetime(2025, 2, 22, 12, tzinfo=dt.UTC)
CALLS = "/indexProxy/indexCall"


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with running_stand_in(today=SATURDAY) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(running: StandIn) -> StandIn:
    running.set(today=SATURDAY, faults=[])
    running.requests.clear()
    return running


def fetch(stand_in: StandIn, index_code: str = "IBOV", *, timeout_s: float = 20.0) -> FetchedFile:
    return fetch_portfolio_over_https(index_code, b3_url=stand_in.url, timeout_s=timeout_s, now=lambda: NOON)


def asked(request: str) -> str:
    """The Base64 at the end of a call."""
    return request.rpartition("/")[2]


def test_the_file_is_the_one_that_the_page_gives(stand_in: StandIn) -> None:
    fetched = fetch(stand_in)
    assert [request.rpartition("/")[0] for request in stand_in.requests] == [
        f"GET {CALLS}/GetPortfolioDay",
        f"GET {CALLS}/GetDownloadPortfolioDay",
    ]
    assert [base64.b64decode(asked(request)) for request in stand_in.requests] == [
        b'{"language":"pt-br","pageNumber":1,"pageSize":20,"index":"IBOV","segment":"2"}',
        b'{"index":"IBOV","language":"pt-br","segment":"2"}',
    ]
    assert fetched == FetchedFile(
        content=synthetic_csv("IBOV", MONDAY, View.SECTOR),
        file_name="IBOVDia_24-02-25.csv",
        url=f"{stand_in.url}{CALLS}/GetDownloadPortfolioDay/{asked(stand_in.requests[-1])}",
        session_date=MONDAY,
        received_at=NOON,
        b3_time=NOON,
    )


@pytest.mark.parametrize("index_code", INDEX_CODES)
def test_every_index_comes_whole(stand_in: StandIn, index_code: str) -> None:
    fetched = fetch(stand_in, index_code)
    portfolio = parse_csv(
        fetched.content, index_code=index_code, session_date=fetched.session_date, file_name=fetched.file_name
    )
    assert portfolio.session_date == MONDAY


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("index_code", "today", "file_name", "view"),
    [
        ("IBOV", SATURDAY, "IBOVDia_24-02-25.csv", View.CODE),
        ("SMLL", dt.date(2022, 6, 10), "SMLLDia_10-06-22.sector.csv", View.SECTOR),
    ],
)
def test_a_recorded_session_arrives_byte_for_byte(
    recordings: Path, index_code: str, today: dt.date, file_name: str, view: View
) -> None:
    with running_stand_in(recordings / "sessions", today=today) as recorded:
        fetched = fetch(recorded, index_code)
    assert fetched.content == (recordings / "sessions" / file_name).read_bytes()
    assert view_of(fetched.content) is view


@pytest.mark.recordings
@pytest.mark.parametrize("today", [None, dt.date(2025, 2, 22), dt.date(2025, 5, 2)])
def test_recordings_are_shown_on_a_day_on_which_b3_would_show_them(recordings: Path, today: dt.date | None) -> None:
    with running_stand_in(recordings / "sessions", today=today) as recorded:
        fetched = fetch(recorded)
    assert fetched.b3_time is not None
    require_plausible_session(fetched.session_date, fetched.b3_time)


@pytest.mark.parametrize("fault", ["bare_base64", {"fault": "slow_page", "seconds": 0.3}])
def test_what_changes_nothing_changes_nothing(stand_in: StandIn, fault: object) -> None:
    expected = fetch(stand_in)
    stand_in.set(faults=[fault])
    assert fetch(stand_in) == expected


def test_the_code_view_is_taken_when_b3_gives_no_sectors(stand_in: StandIn) -> None:
    stand_in.set(faults=["code_view_only"])
    assert fetch(stand_in).content == synthetic_csv("IBOV", MONDAY, View.CODE)


@pytest.mark.parametrize("fault", ["truncated_csv", "wrong_totals", "renamed_columns", "date_far_off"])
def test_a_spoilt_file_is_returned_as_it_came(stand_in: StandIn, fault: str) -> None:
    good = fetch(stand_in)
    stand_in.set(faults=[fault])
    spoilt = fetch(stand_in)
    assert spoilt.content != good.content
    assert spoilt.b3_time == NOON
    if fault == "date_far_off":
        assert spoilt.session_date == parse_csv(spoilt.content).session_date == dt.date(2028, 2, 24)
    else:
        assert replace(spoilt, content=good.content) == good


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        ({"fault": "http_520", "on": ["data"]}, SourceUnavailable, "GetPortfolioDay.* HTTP 520"),
        ({"fault": "http_520", "on": ["download"]}, SourceUnavailable, "GetDownloadPortfolioDay.* HTTP 520"),
        ({"fault": "redirect_to_error_page", "on": ["data"]}, SourceUnavailable, "to '/erro'"),
        ({"fault": "redirect_to_error_page", "on": ["download"]}, SourceUnavailable, "to '/erro'"),
        ({"fault": "html_instead_of_data", "on": ["data"]}, SourceUnavailable, "a page instead of the file"),
        ({"fault": "html_instead_of_data", "on": ["download"]}, SourceUnavailable, "a page instead of the file"),
        ("empty_table", SourceUnavailable, "there is no row"),
        ("download_breaks_off", SourceUnavailable, "broke off"),
        ("download_never_ends", SourceTimeout, "stopped in the middle|took longer"),
        ({"fault": "slow_page", "seconds": 60}, SourceTimeout, "sent nothing"),
        ({"fault": "endpoint_gone", "on": ["data"]}, PageChanged, "GetPortfolioDay.* HTTP 404"),
        ({"fault": "endpoint_gone", "on": ["download"]}, PageChanged, "GetDownloadPortfolioDay.* HTTP 404"),
    ],
)
def test_each_failure_of_b3_is_the_error_of_who_must_act(
    stand_in: StandIn, fault: object, error: type[SourceError], reason: str
) -> None:
    stand_in.set(faults=[fault])
    started_s = time.monotonic()
    with pytest.raises(error, match=reason) as caught:
        fetch(stand_in, timeout_s=1)
    assert type(caught.value) is error
    assert time.monotonic() - started_s < 5


def test_without_a_session_there_is_nothing_to_download(recordings: Path) -> None:
    with (
        running_stand_in(recordings / "sessions", today=dt.date(2030, 1, 2)) as recorded,
        pytest.raises(SourceUnavailable, match="there is no row"),
    ):
        fetch(recorded)


def test_where_nobody_listens_b3_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        fetch_portfolio_over_https("IBOV", b3_url="http://127.0.0.1:9", timeout_s=10)


@pytest.mark.parametrize(
    "fault",
    [
        *("http_520", "redirect_to_error_page", "html_instead_of_data", "empty_table", "slow_page"),
        *("download_never_ends", "download_breaks_off", "truncated_csv", "wrong_totals", "date_far_off"),
    ],
)
def test_every_fault_that_hits_one_request_costs_one_attempt(stand_in: StandIn, fault: str) -> None:
    stand_in.set(faults=[{"fault": fault, "times": 1, **({"seconds": 60} if fault == "slow_page" else {})}])
    shelf = Shelf()
    ways = {"https": lambda index_code, _timeout_s: fetch(stand_in, index_code, timeout_s=1)}
    pauses: list[float] = []
    ingested = Ingestion(ways, shelf, patience=Patience(120, 3), pause=pauses.append).run("IBOV")
    refused = fault in ("truncated_csv", "wrong_totals", "date_far_off")
    # The one request that a date far off hits is the data call, so the file names another session than its header.
    assert (ingested.attempts, len(pauses), len(shelf.refused)) == (2, 1, int(refused))
    assert ingested.portfolio.session_date == MONDAY
