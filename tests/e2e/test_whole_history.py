"""A whole history, refined by one run: every value, every view and every named query against the reckonings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from infrastructure.athena_queries import NamedQuery, View, named_queries, views
from tests import reckoning
from tests.compact_reckoning import sector_rows
from tests.conftest import RECORDINGS
from tests.lake import Lake
from tests.query_reckoning.comparison import answered, choices_of, expected, in_any_order, values_of
from tests.query_reckoning.history import History
from tests.query_reckoning.query_rows import QUERY_ROWS
from tests.query_reckoning.synthetic_history import (
    RECORDED_CHOICES,
    SYNTHETIC_CHOICES,
    synthetic_contents,
    synthetic_trading_days,
)
from tests.query_reckoning.view_rows import VIEW_ROWS
from tests.recorded_trading import recorded_portfolio, recorded_trading_days
from tests.trading_reckoning import refined_rows, session_rows, trading_rows

QUERY = pytest.mark.parametrize("query", named_queries(), ids=lambda query: query.name)
VIEW = pytest.mark.parametrize("view", views(), ids=lambda view: view.name)


@dataclass(frozen=True)
class StoredHistory:
    """A lake and the files that are in it."""

    lake: Lake
    contents: Sequence[bytes]
    trading_days: Sequence[bytes]
    choices: tuple[dict[str, str], ...]
    """Values of parameters that ask about what is in it."""


@pytest.fixture(scope="module")
def stored_history(quiet_lake: Lake) -> StoredHistory:
    """The recorded sessions and trading days, or where they are absent synthetic ones, refined by one run over all."""
    if RECORDINGS.is_dir():
        contents = [path.read_bytes() for path in sorted((RECORDINGS / "sessions").glob("*.csv"))]
        contents.append(recorded_portfolio(RECORDINGS))
        trading_days, choices = recorded_trading_days(RECORDINGS), RECORDED_CHOICES
    else:
        contents, trading_days, choices = synthetic_contents(), synthetic_trading_days(), SYNTHETIC_CHOICES
    for content in contents:
        quiet_lake.store(content)
    for content in trading_days:
        quiet_lake.store_trading_day(content)
    quiet_lake.refine("all")
    return StoredHistory(quiet_lake, contents, trading_days, choices)


@pytest.fixture(scope="module")
def recorded_history(recordings: Path, stored_history: StoredHistory) -> StoredHistory:
    """`stored_history` if it is the recorded one."""
    assert recordings.is_dir()
    return stored_history


@pytest.fixture(scope="module")
def history(stored_history: StoredHistory) -> History:
    return History(stored_history.contents, stored_history.trading_days)


@VIEW
def test_a_view_has_the_rows_that_are_reckoned(view: View, stored_history: StoredHistory, history: History) -> None:
    answer = stored_history.lake.ask(f"SELECT * FROM {view.name}")  # noqa: S608 - our own words
    rows = expected(VIEW_ROWS[view.name](history), answer.columns)
    assert rows
    assert in_any_order(answered(answer.rows)) == in_any_order(rows)


@QUERY
def test_a_query_answers_what_is_reckoned(query: NamedQuery, history: History, stored_history: StoredHistory) -> None:
    sizes = []
    for choice in choices_of(query, stored_history.choices):
        answer = stored_history.lake.ask(query.with_values(choice))
        rows = QUERY_ROWS[query.name](history, values_of(query, choice))
        assert answered(answer.rows) == expected(rows, answer.columns), choice
        sizes.append(len(rows))
    assert sizes[0] > 0, "the defaults answer something"


def test_the_nearest_session_with_sectors_fills_all_but_thirteen_of_the_latest_portfolio(
    recorded_history: StoredHistory,
) -> None:
    answer = recorded_history.lake.ask(
        "SELECT COUNT(*), COUNT(sector), COUNT_IF(is_sector_filled) FROM holdings_with_sectors "
        "WHERE index_code = 'IBOV' AND session_date = DATE '2026-03-24'"
    )
    assert answer.rows == ((83, 70, 70),)


def test_one_run_over_all_recorded_sessions_gives_every_value(recorded_history: StoredHistory) -> None:
    """Every column of every row of the 54 recorded sessions, and of one with its trading days."""
    lake, contents, trading_days = recorded_history.lake, recorded_history.contents, recorded_history.trading_days
    rows = lake.rows("TRUE")
    assert rows == refined_rows(contents, trading_days)
    assert lake.table("holdings", "index_code", "session_date", "ticker") == {
        key: row | {"session_year": key[1][:4]} for key, row in rows.items()
    }
    assert lake.table("sessions", "index_code", "session_date") == session_rows(contents, trading_days)
    assert lake.table("trading", "session_date", "ticker") == trading_rows(trading_days)
    sectors = lake.table("sectors", "index_code", "session_date", "sector", "subsector")
    assert sectors == sector_rows(contents)
    assert len({key[:2] for key in sectors}) == 7, "B3 gave seven of the recorded sessions by sector"
    assert len(rows) == sum(len(reckoning.read(content).rows) for content in contents) == 4678 + 82
    changed = {
        key: (row["theoretical_quantity_change"], row["quantity_change_cause"])
        for key, row in rows.items()
        if row["quantity_change_cause"] is not None
    }
    # Among the 25 consecutive sessions of 2025-02-03 to 2025-03-11 only ITSA4's is a change, as FACTS says: from
    # 5.778.248.950 to 5.857.796.242. The others lie beside gaps in the recordings.
    assert changed == {
        ("IBOV", "2025-02-03", "EQTL3"): ("4282293", "corporate_action"),
        ("IBOV", "2025-02-18", "ITSA4"): ("79547292", "corporate_action"),
        ("IBOV", "2026-03-24", "SBSP3"): ("1000404", "corporate_action"),
        ("IBRA", "2021-07-01", "BPAC11"): ("781487382", "corporate_action"),
        ("IBRA", "2021-07-01", "CVCB3"): ("25071089", "corporate_action"),
    }
    assert rows["IBOV", "2025-02-18", "ITSA4"]["theoretical_quantity"] == "5857796242"
