"""`GET /sessions` and `GET /sessions/<index>/<date>`: how far each session has come, gaps included."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.errors import InvalidPeriod
from api.parameters import parse_date, query
from bovespa.calendar import FIRST_YEAR, is_trading_day, trading_day_on_or_after, trading_days
from bovespa.clock import date_in_sao_paulo
from bovespa.indexes import DEFAULT_INDEX_CODE, require_index_code
from bovespa.layout import Session
from bovespa.session_state import SessionState, State

MAX_DAYS = 400
DEFAULT_DAYS = 30


class States(Protocol):
    """Where the states of sessions are looked up."""

    def of(self, session: Session) -> tuple[SessionState, Mapping[str, str]]:
        """The state of one session, and what its raw object says of its origin."""

    def between(self, index_code: str, first: dt.date, last: dt.date) -> list[SessionState]:
        """The states of the stored sessions of a period."""


def sessions_blueprint(states: States, *, raw_bucket: str, clock: Callable[[], dt.datetime]) -> Blueprint:
    """Return the routes that tell states.

    Args:
        states: Where they are looked up.
        raw_bucket: The bucket that source keys refer to.
        clock: Tells the present.
    """
    blueprint = Blueprint("sessions", __name__)

    @blueprint.get("/sessions/<index>/<date>")
    def one_session(index: str, date: str) -> ResponseReturnValue:
        query()
        session = Session(require_index_code(index), parse_date(date))
        state, facts = states.of(session)
        return _whole(state, facts, raw_bucket)

    @blueprint.get("/sessions")
    def sessions() -> ResponseReturnValue:
        given = query("index", "from", "to")
        index_code = require_index_code(given.get("index", DEFAULT_INDEX_CODE))
        today = date_in_sao_paulo(clock())
        first, last = period(given, today)
        found = complete(index_code, first, last, states.between(index_code, first, last), today=today)
        counts = Counter(state.state for state in found)
        return {
            "index": index_code,
            "from": first.isoformat(),
            "to": last.isoformat(),
            "counts": {state.value: counts[state] for state in State},
            "sessions": [_brief(state) for state in found],
        }

    return blueprint


def period(given: Mapping[str, str], today: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and the last day that a query asks for.

    The default ends with the session that B3 shows *today*, which on a weekend is the next one.

    Raises:
        InvalidDate: A date is none.
        InvalidPeriod: The period ends before it begins, or is too long.
    """
    last = parse_date(given["to"]) if "to" in given else trading_day_on_or_after(today)
    earliest = dt.date(FIRST_YEAR, 1, 1)
    first = parse_date(given["from"]) if "from" in given else max(last - dt.timedelta(days=DEFAULT_DAYS), earliest)
    if first > last:
        raise InvalidPeriod(f"The period from {first} to {last} ends before it begins.")
    if (last - first).days >= MAX_DAYS:
        raise InvalidPeriod(f"The period from {first} to {last} is longer than {MAX_DAYS} days; ask for it in parts.")
    return first, last


def complete(
    index_code: str, first: dt.date, last: dt.date, stored: list[SessionState], *, today: dt.date
) -> list[SessionState]:
    """Return *stored* with every trading day that should be there and is not, in order.

    A day after *today* is no gap: over a weekend B3 shows the next session already, but it may still be fetched.
    """
    found = {state.session: state for state in stored}
    for day in trading_days(first, min(last, today)):
        session = Session(index_code, day)
        found.setdefault(session, SessionState(session, State.MISSING))
    return [state for _, state in sorted(found.items())]


def _brief(state: SessionState) -> dict[str, object]:
    session_date = state.session.session_date
    return {
        "session_date": session_date.isoformat(),
        "state": state.state.value,
        "trading_day": is_trading_day(session_date),
    }


def _whole(state: SessionState, facts: Mapping[str, str], raw_bucket: str) -> dict[str, object]:
    answer: dict[str, object] = {"index": state.session.index_code, **_brief(state)}
    if state.raw is not None:
        answer |= {"raw_uri": state.raw.uri, "stored_at": state.raw.stored_at.isoformat()}
    if "source_key" in facts:
        answer["source_uri"] = f"s3://{raw_bucket}/{facts['source_key']}"
    if "rows" in facts:
        answer["rows"] = int(facts["rows"])
    names = ("source_sha256", "view", "received_at", "code_version", "correlation_id")
    answer |= {name: facts[name] for name in names if name in facts}
    if state.run is not None:
        answer["run"] = state.run.as_json()
    return answer
