"""Every named query and every view, asked of a lake that the job wrote, against the reckonings."""

from __future__ import annotations

import pytest

from infrastructure.athena_queries import NamedQuery, View, named_queries, views
from tests.e2e.conftest import StoredHistory
from tests.lake import Lake
from tests.query_reckoning.comparison import answered, choices_of, expected, in_any_order, values_of
from tests.query_reckoning.history import History
from tests.query_reckoning.query_rows import QUERY_ROWS
from tests.query_reckoning.view_rows import VIEW_ROWS

QUERY = pytest.mark.parametrize("query", named_queries(), ids=lambda query: query.name)
VIEW = pytest.mark.parametrize("view", views(), ids=lambda view: view.name)


@pytest.fixture(scope="module")
def history(stored_history: StoredHistory) -> History:
    return History(stored_history.contents, stored_history.trading_days)


@pytest.fixture(scope="module")
def lake(stored_history: StoredHistory) -> Lake:
    """The lake of `stored_history`, with the views."""
    for view in views():
        stored_history.lake.ask(view.statement)
    return stored_history.lake


@VIEW
def test_a_view_has_the_rows_that_are_reckoned(view: View, lake: Lake, history: History) -> None:
    answer = lake.ask(f"SELECT * FROM {view.name}")  # noqa: S608 - our own words
    rows = expected(VIEW_ROWS[view.name](history), answer.columns)
    assert rows
    assert in_any_order(answered(answer.rows)) == in_any_order(rows)


@QUERY
def test_a_query_answers_what_is_reckoned(
    query: NamedQuery, lake: Lake, history: History, stored_history: StoredHistory
) -> None:
    sizes = []
    for choice in choices_of(query, stored_history.choices):
        answer = lake.ask(query.with_values(choice))
        rows = QUERY_ROWS[query.name](history, values_of(query, choice))
        assert answered(answer.rows) == expected(rows, answer.columns), choice
        sizes.append(len(rows))
    assert sizes[0] > 0, "the defaults answer something"


def test_the_nearest_session_with_sectors_fills_all_but_thirteen_of_the_latest_portfolio(
    recorded_history: StoredHistory, lake: Lake
) -> None:
    assert recorded_history.lake is lake
    answer = lake.ask(
        "SELECT COUNT(*), COUNT(sector), COUNT_IF(is_sector_filled) FROM holdings_with_sectors "
        "WHERE index_code = 'IBOV' AND session_date = DATE '2026-03-24'"
    )
    assert answer.rows == ((83, 70, 70),)
