"""Which sessions a run reads and writes."""

from __future__ import annotations

import datetime as dt
import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bovespa.calendar import trading_days, trading_days_after, trading_days_before
from glue.window import WINDOW_SESSIONS, plan_calendar, reach
from tests.conftest import PROJECT

DAYS = list(trading_days(dt.date(2025, 1, 2), dt.date(2025, 12, 30)))


def outputs(requested: list[dt.date], stored: list[dt.date]) -> list[dt.date]:
    return [day.session_date for day in plan_calendar("IBOV", requested, stored) if day.is_output]


def test_the_newest_session_is_written_alone_and_reads_the_twenty_before_it() -> None:
    newest = DAYS[100]
    calendar = plan_calendar("IBOV", [newest], DAYS[:101])
    assert [day.session_date for day in calendar if day.is_output] == [newest]
    assert [day.session_date for day in calendar if day.is_stored] == DAYS[80:101]


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


def test_the_sql_looks_back_as_many_sessions_as_the_planner_reads() -> None:
    sql = (PROJECT / "glue" / "transformations.sql").read_text(encoding="utf-8")
    spans = re.findall(r"RANGE BETWEEN (\d+) PRECEDING", sql)
    assert spans == [str(WINDOW_SESSIONS - 1)] * 3


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
