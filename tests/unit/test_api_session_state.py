"""Which state a session is in, given what S3 and Glue say."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from bovespa.layout import Session
from bovespa.session_state import JobRun, RawObject, State, state_of

SESSION = Session("IBOV", dt.date(2025, 2, 3))
STORED_AT = dt.datetime(2025, 2, 3, 12, 0, 0, 500_000, tzinfo=dt.UTC)
RAW = RawObject("s3://raw/key", "0af1", STORED_AT)


def run(state: str, after_s: float, *, run_id: str = "jr", ended_s: float | None = None, session: str = str(SESSION)):
    return JobRun(
        run_id,
        state,
        STORED_AT + dt.timedelta(seconds=after_s),
        None if ended_s is None else STORED_AT + dt.timedelta(seconds=ended_s),
        frozenset({session, "SMLL/2025-02-03"}),
    )


def state(*runs: JobRun, has_receipt: bool = False) -> State:
    return state_of(SESSION, RAW, has_receipt=has_receipt, runs=runs).state


def test_without_an_object_a_session_is_missing_whatever_ran():
    assert state_of(SESSION, None, has_receipt=True, runs=[run("RUNNING", 1)]).state is State.MISSING


def test_a_receipt_of_this_version_settles_it():
    assert state(run("FAILED", 1), has_receipt=True) is State.REFINED


@pytest.mark.parametrize("glue_state", ["STARTING", "RUNNING", "WAITING", "STOPPING"])
def test_a_run_under_way_is_refining(glue_state: str):
    assert state(run(glue_state, 1)) is State.REFINING


@pytest.mark.parametrize("glue_state", ["FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"])
def test_a_run_that_failed_is_a_failure(glue_state: str):
    found = state_of(SESSION, RAW, has_receipt=False, runs=[run(glue_state, 1, run_id="jr_7")])
    assert found.state is State.FAILED
    assert found.run is not None
    assert found.run.run_id == "jr_7"


def test_a_run_that_succeeded_without_a_receipt_is_no_proof():
    assert state(run("SUCCEEDED", 1, ended_s=5)) is State.STORED


def test_no_run_leaves_it_stored():
    assert state() is State.STORED
    assert state(run("RUNNING", 1, session="IBOV/2025-02-04")) is State.STORED


def test_the_newest_run_counts_in_whatever_order_they_come():
    failed, running = run("FAILED", 10, ended_s=20), run("RUNNING", 30)
    assert state(failed, running) is state(running, failed) is State.REFINING
    retried = run("FAILED", 40, ended_s=50)
    assert state(running, retried) is state(retried, running) is State.FAILED


def test_of_two_runs_of_one_second_the_unfinished_is_the_newer():
    failed, running = run("FAILED", 1, ended_s=1), run("RUNNING", 1)
    assert state(failed, running) is state(running, failed) is State.REFINING


def test_a_run_of_an_earlier_version_says_nothing_of_this_one():
    assert state(run("FAILED", -1, ended_s=0)) is State.STORED
    # Glue's start in whole seconds may lie before S3's arrival within the same second.
    assert state(run("FAILED", -0.5, ended_s=3)) is State.FAILED


@pytest.mark.parametrize("sessions", ["all", "import:20250203T120000-000001-0f"])
def test_a_run_over_an_import_or_everything_may_be_this_session_s(sessions: str):
    assert state(wide("RUNNING", 1, sessions)) is State.REFINING
    assert state(wide("FAILED", 1, sessions)) is State.FAILED
    # Had it been for this session, the receipt would be there.
    assert state(wide("SUCCEEDED", 1, sessions)) is State.STORED
    assert state(run("FAILED", 1), wide("SUCCEEDED", 2, sessions)) is State.FAILED
    # Before this version arrived.
    assert state(wide("RUNNING", -5, sessions)) is State.STORED


def test_a_failed_import_does_not_hide_the_session_s_own_run():
    assert state(run("RUNNING", 1), wide("FAILED", 2, "import:0f")) is State.REFINING
    assert state(run("FAILED", 1), wide("RUNNING", 2, "import:0f")) is State.REFINING


def wide(glue_state: str, after_s: float, sessions: str) -> JobRun:
    return replace(run(glue_state, after_s), sessions=frozenset({sessions}))
