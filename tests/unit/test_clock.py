"""B3's clock: which day it is in São Paulo, and which session is over."""

from __future__ import annotations

import datetime as dt

import pytest

from bovespa.clock import date_in_sao_paulo, last_finished_session


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        pytest.param("2025-02-21T22:59:59+00:00", "2025-02-20", id="Friday, a second before eight in the evening"),
        pytest.param("2025-02-21T23:00:00+00:00", "2025-02-21", id="Friday at eight"),
        pytest.param("2025-02-22T02:59:00+00:00", "2025-02-21", id="Saturday in Greenwich, Friday in São Paulo"),
        pytest.param("2025-02-23T12:00:00+00:00", "2025-02-21", id="Sunday"),
        pytest.param("2025-02-24T12:00:00+00:00", "2025-02-21", id="Monday morning"),
        pytest.param("2025-03-05T15:00:00+00:00", "2025-02-28", id="Ash Wednesday morning, after two days of Carnival"),
        pytest.param("2025-03-04T23:30:00+00:00", "2025-02-28", id="Carnival, in the evening"),
        pytest.param("2018-12-03T22:00:00+00:00", "2018-12-03", id="in the summer time of 2018 eight came earlier"),
    ],
)
def test_a_session_is_over_from_eight_in_the_evening_of_its_day(moment: str, expected: str) -> None:
    assert last_finished_session(dt.datetime.fromisoformat(moment)) == dt.date.fromisoformat(expected)


def test_the_day_begins_in_sao_paulo_and_not_in_greenwich() -> None:
    assert date_in_sao_paulo(dt.datetime(2025, 2, 22, 2, 59, tzinfo=dt.UTC)) == dt.date(2025, 2, 21)
    assert date_in_sao_paulo(dt.datetime(2025, 2, 22, 3, 0, tzinfo=dt.UTC)) == dt.date(2025, 2, 22)
