"""Which sessions a run reads and writes."""

from __future__ import annotations

import datetime as dt
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bovespa.calendar import trading_days, trading_days_after, trading_days_before
from glue.window import WINDOW_SESSIONS, plan_calendar, plan_market, reach
from tests.conftest import PROJECT

DAYS = list(trading_days(dt.date(2025, 1, 2), dt.date(2025, 12, 30)))
NEAR = [*DAYS[60:110], dt.date(2025, 4, 18), dt.date(2025, 4, 21), dt.date(2025, 5, 1)]
"""Some months, with days on which the calendar has B3 closed."""


def outputs(requested: list[dt.date], stored: list[dt.date]) -> list[dt.date]:
    return [day.session_date for day in plan_calendar("IBOV", requested, stored) if day.is_output]


def test_the_newest_session_is_written_alone_and_reads_the_twenty_before_it() -> None:
    newest = DAYS[100]
    calendar = plan_calendar("IBOV", [newest], DAYS[:101])
    assert [day.session_date for day in calendar if day.is_output] == [newest]
    assert [day.session_date for day in calendar if day.is_read] == DAYS[80:101]


def test_a_late_session_rewrites_the_later_ones_whose_window_it_enters() -> None:
    assert outputs([DAYS[50]], DAYS[:101]) == DAYS[50:71]


def test_a_session_that_is_not_stored_any_more_is_not_written_but_its_followers_are() -> None:
    stored = [day for day in DAYS[:101] if day != DAYS[50]]
    assert outputs([DAYS[50]], stored) == DAYS[51:71]


def test_gaps_count_as_sessions() -> None:
    calendar = plan_calendar("IBOV", [DAYS[30]], [DAYS[9], DAYS[10], DAYS[30]])
    number = {day.session_date: day.session_number for day in calendar}
    assert number[DAYS[30]] - number[DAYS[10]] == 20
    assert DAYS[9] not in number, "21 sessions back lies outside the window"


def test_a_day_the_calendar_calls_closed_counts_once_the_lake_holds_it() -> None:
    carnival = dt.date(2025, 3, 3)
    calendar = plan_calendar("IBOV", [dt.date(2025, 3, 5)], [dt.date(2025, 2, 28), carnival, dt.date(2025, 3, 5)])
    stored = [(day.session_date, day.session_number) for day in calendar if day.is_stored]
    assert [later[1] - earlier[1] for earlier, later in pairwise(stored)] == [1, 1]


def test_the_reach_is_twenty_sessions_to_each_side() -> None:
    within = reach([DAYS[60], DAYS[50]])
    assert within.first == trading_days_before(DAYS[50], WINDOW_SESSIONS - 1)[0]
    assert within.last == trading_days_after(DAYS[60], WINDOW_SESSIONS - 1)[-1]


def test_the_reach_ends_where_the_calendar_begins() -> None:
    first, *_, sixth = trading_days_after(dt.date(1998, 1, 1), 6)
    assert reach([first]).first == reach([sixth]).first == first
    days = plan_market([sixth], [first, sixth], [])
    assert [(day.session_date, day.day_number) for day in days if day.is_read] == [(first, 0), (sixth, 5)]


@pytest.mark.parametrize(
    ("name", "windows"), [("compared.sql", 5), ("trading.sql", 3), ("closes.sql", 2), ("sessions_traded.sql", 2)]
)
def test_the_sql_looks_back_as_many_sessions_as_the_planner_reads(name: str, windows: int) -> None:
    sql = (PROJECT / "glue" / name).read_text(encoding="utf-8")
    spans = re.findall(r"RANGE BETWEEN (\d+) PRECEDING|(?:day|session)_number - (\d+)(?=\n| THEN)", sql)
    assert [first or second for first, second in spans] == [str(WINDOW_SESSIONS - 1)] * windows
    before = re.findall(r"RANGE BETWEEN UNBOUNDED PRECEDING AND (\d+) PRECEDING", sql)
    assert before == [str(WINDOW_SESSIONS)] * (name == "trading.sql")


def test_a_late_trading_day_rewrites_the_sessions_of_its_span_and_no_others() -> None:
    calendar = plan_calendar("IBOV", [], DAYS[:101], [DAYS[50]])
    assert [day.session_date for day in calendar if day.is_output] == DAYS[50:71]
    assert [day.session_date for day in calendar if day.is_stored] == DAYS[30:71]
    market = plan_market([DAYS[50]], DAYS[:101], DAYS[50:71])
    assert [day.session_date for day in market if day.is_output] == DAYS[50:71]
    assert [day.session_date for day in market if day.is_read] == DAYS[30:71]


def test_a_session_reads_the_trading_days_of_its_window_and_writes_none() -> None:
    market = plan_market([], DAYS[:101], [DAYS[100]])
    assert [day.session_date for day in market if day.is_read] == DAYS[80:101]
    assert not any(day.is_output for day in market)


def test_only_what_an_output_can_depend_on_is_read() -> None:
    """Two sessions far apart do not make a run read what lies between."""
    market = plan_market([], DAYS[:201], [DAYS[50], DAYS[200]])
    assert [day.session_date for day in market if day.is_read] == [*DAYS[30:51], *DAYS[180:201]]


def test_only_sessions_that_a_written_one_can_depend_on_are_read() -> None:
    calendar = plan_calendar("IBOV", [DAYS[50], DAYS[200]], DAYS[:300])
    assert [day.session_date for day in calendar if day.is_output] == [*DAYS[50:71], *DAYS[200:221]]
    assert [day.session_date for day in calendar if day.is_read] == [*DAYS[30:71], *DAYS[180:221]]


def test_a_session_before_any_trading_day_reads_none() -> None:
    assert not any(day.is_read for day in plan_market([], [], [DAYS[100]]))
    assert plan_market([], DAYS, []) == []


def test_a_trading_day_knows_whether_the_one_before_it_is_stored() -> None:
    market = plan_market([DAYS[50]], [DAYS[48], DAYS[50], DAYS[51]], [])
    follows = {day.session_date: day.follows_stored for day in market}
    assert [follows[day] for day in DAYS[48:53]] == [False, True, False, True, True]


def test_a_withdrawn_trading_day_rewrites_what_it_was_in() -> None:
    stored = [day for day in DAYS[:101] if day != DAYS[50]]
    market = plan_market([DAYS[50]], stored, [])
    assert [day.session_date for day in market if day.is_output] == DAYS[51:71]


def test_a_trading_day_on_a_closed_date_shortens_the_windows_that_it_is_in() -> None:
    carnival = dt.date(2025, 3, 3)
    position = DAYS.index(dt.date(2025, 3, 5))
    market = plan_market([carnival], [*DAYS[:101], carnival], [])
    number = {day.session_date: day.day_number for day in market}
    assert number[dt.date(2025, 3, 5)] - number[dt.date(2025, 2, 28)] == 2
    written = [day.session_date for day in market if day.is_output]
    assert written == [carnival, *DAYS[position : position + 20]]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(DAYS), min_size=1), st.data())
def test_runs_session_by_session_cover_what_one_run_over_all_covers(stored: set[dt.date], data: st.DataObject) -> None:
    """Whatever the order of arrival, a session is written by the last arrival that matters to it."""
    arrivals = data.draw(st.permutations(sorted(stored)))
    seen: set[dt.date] = set()
    last_inputs: dict[dt.date, set[dt.date]] = {}
    for arrival in arrivals:
        seen.add(arrival)
        within = reach([arrival])
        held = {day for day in seen if within.first <= day <= within.last}
        calendar = plan_calendar("IBOV", [arrival], held)
        number = {day.session_date: day.session_number for day in calendar}
        for day in calendar:
            if day.is_output:
                last_inputs[day.session_date] = {
                    other for other in held if 0 <= number[day.session_date] - number[other] < WINDOW_SESSIONS
                }
    complete = plan_calendar("IBOV", stored, stored)
    number = {day.session_date: day.session_number for day in complete}
    assert last_inputs == {
        day: {other for other in stored if 0 <= number[day] - number[other] < WINDOW_SESSIONS} for day in stored
    }


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.sampled_from(NEAR), min_size=1, max_size=12),
    st.sets(st.sampled_from(NEAR), min_size=1, max_size=12),
    st.data(),
)
def test_sessions_and_trading_days_in_any_order_end_as_one_run_over_all(
    sessions: set[dt.date], trading_days_stored: set[dt.date], data: st.DataObject
) -> None:
    """Each is written last by a run that saw every raw object in its window, of both kinds; none is read in vain."""
    arrivals = data.draw(
        st.permutations([*((True, day) for day in sorted(sessions)), *((False, day) for day in trading_days_stored)])
    )
    seen: set[tuple[bool, dt.date]] = set()
    last: dict[tuple[bool, dt.date], set[tuple[bool, dt.date]]] = {}
    for arrival in arrivals:
        seen.add(arrival)
        last |= inputs([arrival], seen)
    assert last == inputs(arrivals, seen)
    assert last.keys() == seen


def inputs(
    asked: list[tuple[bool, dt.date]], stored: set[tuple[bool, dt.date]]
) -> dict[tuple[bool, dt.date], set[tuple[bool, dt.date]]]:
    """What a run over *asked* writes, sessions (True) and trading days, and the raw objects that each can see."""
    within = reach([day for _, day in asked])
    held = {(kind, day) for kind, day in stored if within.first <= day <= within.last}
    moved = [day for is_session, day in asked if not is_session]
    calendar = plan_calendar(
        "IBOV", [day for is_session, day in asked if is_session], [day for kind, day in held if kind], moved
    )
    outputs = [day.session_date for day in calendar if day.is_output]
    market = plan_market(moved, [day for kind, day in held if not kind], outputs)
    # A session on a date that is no trading day, to the calendar or the lake, sees no trading day at all.
    numbers = {
        True: {day.session_date: day.session_number for day in calendar},
        False: {day.session_date: day.day_number for day in market},
    }
    read = {(True, day.session_date) for day in calendar if day.is_stored}
    read |= {(False, day.session_date) for day in market if day.is_read}

    def sees(one: tuple[bool, dt.date], other: tuple[bool, dt.date]) -> bool:
        number = numbers[other[0]]
        return one[1] in number and 0 <= number[one[1]] - number[other[1]] < WINDOW_SESSIONS

    written = [(True, day) for day in outputs] + [(False, day.session_date) for day in market if day.is_output]
    return {one: {other for other in read if (one[0] or not other[0]) and sees(one, other)} for one in written}
