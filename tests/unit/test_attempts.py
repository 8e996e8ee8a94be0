"""Which way to B3 is tried next, when and for how long, with clocks that only these tests move."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from api.attempts import Attempt, Course, Failure, Patience
from api.ingestion import Ingested, Ingestion
from bovespa.clock import MOST_DAYS_OFF, require_plausible_session
from bovespa.errors import (
    BovespaError,
    BrowserNotFound,
    ColumnsChanged,
    ConfigurationError,
    ImplausibleSession,
    PageChanged,
    SourceTimeout,
    SourceUnavailable,
    StorageUnavailable,
    UnreadablePortfolio,
    UnreconciledPortfolio,
)
from local.synthetic import synthetic_csv
from tests.api_in_process import MONDAY, NOW, File, Shelf, published

WAYS = ("browser", "https")
TWO_MINUTES = Patience(120, 6)
UNAVAILABLE, SLOW = SourceUnavailable("520"), SourceTimeout("slow")
CHANGED, NO_BROWSER = PageChanged("no link"), BrowserNotFound("none")
UNREADABLE, UNRECONCILED = UnreadablePortfolio("half a row", line=3), UnreconciledPortfolio("one too many")


def longest(_low: float, high: float) -> float:
    return high


def course(*failures: Failure, patience: Patience = TWO_MINUTES, ways: Sequence[str] = WAYS) -> Course:
    """A course on which the first attempts failed in no time."""
    planned = Course(ways, patience, jitter=longest)
    for failure in failures:
        assert planned.next(0) is not None
        planned.failed(failure)
    return planned


def all_attempts(failure: Callable[[Attempt], Failure], ways: Sequence[str] = WAYS) -> list[tuple[str, float]]:
    """The way of each attempt and the pause before it, when each fails."""
    planned = Course(ways, Patience(1000, 6), jitter=longest)
    made = []
    while (attempt := planned.next(0)) is not None:
        made.append((attempt.way, attempt.pause_s))
        planned.failed(failure(attempt))
    return made


# --- the decision


@pytest.mark.parametrize("failure", [UNAVAILABLE, SLOW])
def test_ways_take_turns_and_each_round_waits_twice_as_long(failure: Failure) -> None:
    assert all_attempts(lambda _attempt: failure) == [
        *(("browser", 0), ("https", 0), ("browser", 3), ("https", 0), ("browser", 6), ("https", 0)),
    ]


@pytest.mark.parametrize("failure", [UNREADABLE, UNRECONCILED, ImplausibleSession("2028")])
def test_after_a_refused_file_the_other_way_waits_too(failure: Failure) -> None:
    pauses = [0, 3, 6, 12, 24, 48]
    assert all_attempts(lambda _attempt: failure) == list(zip(WAYS * 3, pauses, strict=True))


@pytest.mark.parametrize("failure", [CHANGED, NO_BROWSER])
def test_a_way_that_cannot_heal_is_left_and_the_other_tried_at_once(failure: Failure) -> None:
    made = all_attempts(lambda attempt: failure if attempt.way == "browser" else UNAVAILABLE)
    assert made == [("browser", 0), ("https", 0), ("https", 3), ("https", 6), ("https", 12), ("https", 24)]


def test_the_endpoints_can_be_gone_too() -> None:
    made = all_attempts(lambda attempt: CHANGED if attempt.way == "https" else UNAVAILABLE)
    assert made == [("browser", 0), ("https", 0), *(("browser", pause_s) for pause_s in (3, 6, 12, 24))]


@pytest.mark.parametrize("failures", [(CHANGED, CHANGED), (NO_BROWSER, CHANGED), (ColumnsChanged("Quantidade"),)])
def test_what_no_way_can_heal_ends_at_once(failures: tuple[Failure, ...]) -> None:
    planned = course(*failures)
    assert planned.next(0) is None
    assert planned.error is failures[-1]


def test_without_a_second_way_a_missing_browser_ends_it() -> None:
    planned = course(NO_BROWSER, ways=["browser"])
    assert planned.next(0) is None
    assert planned.error is NO_BROWSER


def test_an_attempt_gets_half_of_what_is_left_and_the_last_one_all() -> None:
    planned = Course(WAYS, Patience(100, 3), jitter=longest)
    assert planned.next(0) == Attempt(1, "browser", 0, 50)
    planned.failed(SLOW)
    assert planned.next(50) == Attempt(2, "https", 0, 25)
    planned.failed(SLOW)
    assert planned.next(75) == Attempt(3, "browser", 3, 22)
    planned.failed(SLOW)
    assert planned.next(97) is None


def test_one_attempt_may_take_the_whole_budget() -> None:
    assert course(patience=Patience(30, 1)).next(0) == Attempt(1, "browser", 0, 30)


def test_no_attempt_begins_when_the_budget_is_spent_but_the_first_always_does() -> None:
    assert course(UNAVAILABLE, patience=Patience(10, 6)).next(9.5) is None
    assert course(UNAVAILABLE, patience=Patience(10, 6)).next(8.5) is not None
    assert course(patience=Patience(0.5, 6)).next(0) is not None


def test_a_pause_takes_at_most_a_quarter_of_what_is_left() -> None:
    attempt = course(UNREADABLE, patience=Patience(10, 6)).next(6)
    assert attempt == Attempt(2, "https", 1, 1.5)


def test_pauses_are_drawn_between_their_half_and_their_whole() -> None:
    drawn = []

    def jitter(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    planned = Course(["https"], TWO_MINUTES, jitter=jitter)
    pauses = []
    while (attempt := planned.next(0)) is not None:
        pauses.append(attempt.pause_s)
        planned.failed(UNAVAILABLE)
    assert drawn == [(1.5, 3), (3, 6), (6, 12), (12, 24), (24, 48)]
    assert pauses == [0, 1.5, 3, 6, 12, 24]


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ((UNAVAILABLE, SLOW), SLOW),
        ((SLOW, UNAVAILABLE), UNAVAILABLE),
        ((NO_BROWSER, UNAVAILABLE), NO_BROWSER),
        ((CHANGED, UNAVAILABLE), CHANGED),
        ((NO_BROWSER, CHANGED), CHANGED),
        ((UNREADABLE, UNRECONCILED, UNAVAILABLE), UNRECONCILED),
        ((UNREADABLE, CHANGED), UNREADABLE),
    ],
)
def test_the_error_that_somebody_must_act_on_is_told(failures: tuple[Failure, ...], told: Failure) -> None:
    assert course(*failures).error is told


# --- the work


@dataclass
class Time:
    """A clock that stands still but for what the work says that it waits and takes."""

    now_s: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds


@dataclass
class B3:
    """What B3 does at one attempt after the other, whichever way it is asked."""

    answers: list[File | BovespaError]
    time: Time = field(default_factory=Time)
    takes_s: float = 0.0
    asked: list[tuple[str, float]] = field(default_factory=list)

    def way(self, name: str) -> Callable[[str, float], File]:
        def fetch(index_code: str, timeout_s: float) -> File:
            assert index_code == "IBOV"
            self.asked.append((name, timeout_s))
            self.time.now_s += self.takes_s
            answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
            if isinstance(answer, BovespaError):
                raise answer
            return answer

        return fetch

    def ingest(self, shelf: Shelf, patience: Patience = TWO_MINUTES) -> Ingested:
        ingestion = Ingestion(
            {name: self.way(name) for name in WAYS},
            shelf,
            patience=patience,
            clock_s=lambda: self.time.now_s,
            pause=self.time.pause,
            jitter=longest,
        )
        return ingestion.run("IBOV")


GOOD = published("IBOV")
TRUNCATED = dataclasses.replace(GOOD, content=GOOD.content[:-400])
OTHER_TRUNCATED = dataclasses.replace(GOOD, content=GOOD.content[:-500])
FAR = dt.date(2028, 2, 24)
FAR_OFF = File(synthetic_csv("IBOV", FAR), FAR, "IBOVDia_24-02-28.csv")


def test_a_later_attempt_stores_the_session_and_says_how() -> None:
    b3, shelf = B3([UNAVAILABLE, SLOW, UNAVAILABLE, GOOD]), Shelf()
    ingested = b3.ingest(shelf)
    assert (ingested.way, ingested.attempts) == ("https", 4)
    assert [name for name, _ in b3.asked] == ["browser", "https", "browser", "https"]
    assert b3.time.pauses == [3]
    ((session, provenance),) = shelf.stored
    assert (session.session_date, provenance.way) == (MONDAY, "https")


@pytest.mark.parametrize("error", [CHANGED, NO_BROWSER])
def test_the_second_way_stands_in_for_a_page_or_browser_that_is_not_there(error: BovespaError) -> None:
    b3 = B3([error, GOOD])
    ingested = b3.ingest(Shelf())
    assert (ingested.way, ingested.attempts, b3.time.pauses) == ("https", 2, [])


def test_each_refused_content_is_quarantined_once() -> None:
    b3, shelf = B3([TRUNCATED, TRUNCATED, OTHER_TRUNCATED, TRUNCATED, GOOD]), Shelf()
    assert b3.ingest(shelf).attempts == 5
    assert [(content, provenance.way) for content, _, provenance in shelf.refused] == [
        (TRUNCATED.content, "browser"),
        (OTHER_TRUNCATED.content, "browser"),
    ]
    assert len(shelf.stored) == 1


@pytest.mark.parametrize("error", [StorageUnavailable("down"), ConfigurationError("BOVESPA_X is wrong")])
def test_what_is_not_b3s_is_not_tried_again(error: BovespaError) -> None:
    b3 = B3([error, GOOD])
    with pytest.raises(type(error)):
        b3.ingest(Shelf())
    assert len(b3.asked) == 1


def test_a_file_that_cannot_be_quarantined_is_not_asked_for_again() -> None:
    b3 = B3([TRUNCATED, GOOD])
    with pytest.raises(StorageUnavailable):
        b3.ingest(Shelf(failure=StorageUnavailable("down")))
    assert len(b3.asked) == 1


def test_time_outs_and_pauses_stay_within_the_budget() -> None:
    b3 = B3([SLOW], takes_s=9.0)
    with pytest.raises(SourceTimeout):
        b3.ingest(Shelf(), Patience(30, 20))
    assert [round(timeout_s, 3) for _, timeout_s in b3.asked] == [15, 10.5, 4.5]
    assert b3.time.now_s - 1000 <= 30


def test_each_failed_attempt_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api.ingestion")
    B3([CHANGED, UNAVAILABLE, GOOD]).ingest(Shelf())
    lines = [vars(record) for record in caplog.records if record.message == "an attempt failed"]
    assert [(line["index"], line["attempt"], line["way"], line["code"], line["reason"]) for line in lines] == [
        ("IBOV", 1, "browser", "b3_changed", "no link"),
        ("IBOV", 2, "https", "b3_unavailable", "520"),
    ]


def test_a_session_far_away_is_quarantined_and_not_published() -> None:
    b3, shelf = B3([FAR_OFF]), Shelf()
    with pytest.raises(ImplausibleSession, match="2028-02-24, but B3 showed it on 2025-02-21"):
        b3.ingest(shelf)
    assert (len(b3.asked), len(shelf.refused), shelf.stored) == (6, 1, [])


def test_b3s_own_clock_counts_more_than_ours() -> None:
    shelf = Shelf()
    B3([dataclasses.replace(FAR_OFF, b3_time=dt.datetime(2028, 2, 22, 12, tzinfo=dt.UTC))]).ingest(shelf)
    assert [session.session_date for session, _ in shelf.stored] == [FAR]


@pytest.mark.parametrize("days", [-MOST_DAYS_OFF, 0, 5, MOST_DAYS_OFF])
def test_days_that_b3_can_be_ahead_or_behind_are_plausible(days: int) -> None:
    require_plausible_session(dt.date(2025, 2, 21) + dt.timedelta(days=days), NOW)


@pytest.mark.parametrize("days", [-365, -MOST_DAYS_OFF - 1, MOST_DAYS_OFF + 1, 365])
def test_a_session_further_away_is_implausible(days: int) -> None:
    with pytest.raises(ImplausibleSession):
        require_plausible_session(dt.date(2025, 2, 21) + dt.timedelta(days=days), NOW)


def test_the_day_of_b3s_clock_is_that_of_sao_paulo() -> None:
    just_before_midnight = dt.datetime(2025, 2, 22, 2, 59, tzinfo=dt.UTC)
    far = dt.date(2025, 2, 21) + dt.timedelta(days=MOST_DAYS_OFF + 1)
    with pytest.raises(ImplausibleSession):
        require_plausible_session(far, just_before_midnight)
    require_plausible_session(far, just_before_midnight + dt.timedelta(minutes=1))
