"""Every named query and view over a synthetic history, in the engine of the local Athena, against the reckonings.

Rebalances, a return to an index and a split are in it, which the recordings do not have; neither cloud nor Spark is.
"""

from __future__ import annotations

import pytest

from infrastructure.athena_queries import NamedQuery, View, named_queries, views
from tests.query_reckoning.comparison import answered, choices_of, expected, in_any_order, values_of
from tests.query_reckoning.history import History
from tests.query_reckoning.query_rows import QUERY_ROWS
from tests.query_reckoning.synthetic_history import SYNTHETIC_CHOICES, synthetic_contents, synthetic_trading_days
from tests.query_reckoning.tables import Tables
from tests.query_reckoning.view_rows import VIEW_ROWS

QUERY = pytest.mark.parametrize("query", named_queries(), ids=lambda query: query.name)
VIEW = pytest.mark.parametrize("view", views(), ids=lambda view: view.name)


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return synthetic_contents()


@pytest.fixture(scope="module")
def trading_days() -> list[bytes]:
    return synthetic_trading_days()


@pytest.fixture(scope="module")
def history(contents: list[bytes], trading_days: list[bytes]) -> History:
    return History(contents, trading_days)


@pytest.fixture(scope="module")
def tables(contents: list[bytes], trading_days: list[bytes]) -> Tables:
    return Tables(contents, trading_days)


@QUERY
def test_a_query_answers_what_is_reckoned(query: NamedQuery, history: History, tables: Tables) -> None:
    sizes = []
    for choice in choices_of(query, SYNTHETIC_CHOICES):
        answer = tables.ask(query.with_values(choice))
        names = [name for name, _ in answer.columns]
        rows = QUERY_ROWS[query.name](history, values_of(query, choice))
        assert answered(answer.rows) == expected(rows, names), choice
        sizes.append(len(rows))
    assert sizes[0] > 0, "the defaults answer something"


@VIEW
def test_a_view_has_the_rows_that_are_reckoned(view: View, history: History, tables: Tables) -> None:
    answer = tables.ask(f"SELECT * FROM {view.name}")  # noqa: S608 - our own words
    rows = expected(VIEW_ROWS[view.name](history), [name for name, _ in answer.columns])
    assert rows
    assert in_any_order(answered(answer.rows)) == in_any_order(rows)


def test_the_history_has_what_queries_ask_about(history: History) -> None:
    stays = VIEW_ROWS["membership_stays"](history)
    returned = {(row["index_code"], row["ticker"]) for row in stays if row["stay_number"] == 2}
    assert returned == {("IBOV", "FARF3"), ("IEEX", "OURU3")}
    shares = [row for days in history.holdings["IBOV"].values() for row in days.values()]
    split = [row for row in shares if row["quantity_change_cause"] == "corporate_action"]
    assert {(row["ticker"], str(row["session_date"])) for row in split} == {("UMBU3", "2022-09-22")}
    assert "rebalance" in {row["quantity_change_cause"] for row in shares}
    filled = VIEW_ROWS["holdings_with_sectors"](history)
    assert {row["is_sector_filled"] for row in filled} == {True, False}
    assert {row["sessions_missed"] for row in history.sessions["IBOV"].values()} == {None, 0, 1, 7}
    ibov = history.sessions["IBOV"]
    without_level = [date for date, row in ibov.items() if row["trades"] is not None and row["index_level"] is None]
    assert [str(date) for date in without_level] == ["2022-04-29", "2022-05-02"], "a member has no close"
    unstored = [str(date) for date, row in ibov.items() if row["trades"] is None]
    assert unstored == ["2022-04-28", "2022-05-03", "2022-09-06", "2023-01-03"]
    assert set(history.trading) - ibov.keys(), "a trading day without a session"
    idle = [row for row in history.holdings["IBOV"][max(history.trading)].values() if row["trades"] == 0]
    assert {row["ticker"] for row in idle} == {"HORN4", "VENA4"}
