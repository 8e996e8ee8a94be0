"""From the request to the row in SQL."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.stages import StageNotLogged, stages_of
from bovespa.correlation import new_correlation_id
from bovespa.layout import Session
from local.api_client import ApiClient
from local.athena import ask
from local.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Visibility:
    """How long one session took to each station, in seconds since the request."""

    stored_s: float
    refined_s: float
    visible_s: float
    stages_s: Mapping[str, float] | None
    """Of each stage of `benchmarks.stages`; together they are `visible_s`. None where a line of a log is missing."""


def until_visible(running: Pipeline, client: ApiClient, session: Session) -> Visibility:
    """Collect *session* and wait until Athena answers with its rows.

    Raises:
        RuntimeError: Athena's rows are not those that were stored.
    """
    running.stand_in.set(today=session.session_date)
    followed = new_correlation_id()
    asked, started = time.time(), time.perf_counter()
    rows = client.collect(session.index_code, request_id=followed)["rows"]
    stored_s = time.perf_counter() - started
    client.wait_until_refined(session)
    refined_s = time.perf_counter() - started
    counted = _count(running, session.index_code, session.session_date)
    if counted != rows:
        raise RuntimeError(f"{rows} rows of {session} were stored, and Athena sees {counted}")
    visible_s = time.perf_counter() - started
    try:
        stages_s = stages_of(running.cloud, followed, asked=asked, refined=asked + refined_s, visible=asked + visible_s)
    except StageNotLogged:
        # The emulator waits 50 ms for what the function logs, and loses what comes later.
        stages_s = None
    return Visibility(stored_s, refined_s, visible_s, stages_s)


def _count(running: Pipeline, index_code: str, session_date: dt.date) -> int:
    sql = (
        "SELECT COUNT(*) AS holdings FROM portfolio "  # noqa: S608 - our own words
        f"WHERE index_code = '{index_code}' AND session_date = DATE '{session_date}'"
    )
    return int(ask(running.cloud.client("athena"), sql).rows[0][0])
