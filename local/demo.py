"""The main job from end to end: every session through browser, API, event, Lambda, Spark and catalog, into SQL."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from bovespa.calendar import trading_days_before
from bovespa.errors import BovespaError
from bovespa.layout import Session
from bovespa.portfolio import TOTAL_PARTICIPATION_PCT
from bovespa.portfolio_csv import parse_file_name
from local.api_client import ApiClient, ApiRefused
from local.athena import Answer, ask
from local.console import Progress
from local.pipeline import Pipeline, running_pipeline

SYNTHETIC_INDEX_CODE = "IBOV"
SYNTHETIC_SESSIONS = 5
SYNTHETIC_END = dt.date(2025, 3, 10)
"""The sessions before it lie around Carnival: the days between them are worth a look."""

_ATTEMPTS = {"BOVESPA_DOWNLOAD_ATTEMPTS": "2"}
"""One by each way: the stand-in's files are what they are, and B3's may be better a minute later."""

RECONCILIATION_SQL = """
SELECT
    index_code,
    session_date,
    COUNT(*) AS holdings,
    SUM(theoretical_quantity) AS theoretical_quantity,
    SUM(participation_pct) AS participation_pct
FROM portfolio
GROUP BY index_code, session_date
ORDER BY index_code, session_date
"""

# The ticker first: a terminal that is too narrow for all columns shows the others below, each with the first column.
_LEADERS_SQL = """
SELECT
    ticker,
    company,
    share_class,
    participation_rank AS "rank",
    participation_pct,
    cumulative_participation_pct AS cumulative_pct,
    participation_level AS "level",
    company_participation_pct AS company_pct,
    presence_frequency_pct AS presence_pct,
    days_since_previous_session AS days_since_previous,
    days_to_next_rebalance AS days_to_rebalance
FROM portfolio
WHERE index_code = '{index_code}' AND session_date = DATE '{session_date}' AND participation_rank <= 10
ORDER BY participation_rank
"""


class DemoFailed(BovespaError):
    """What SQL shows is not what B3's files say."""

    code = "demo_failed"


@dataclass(frozen=True)
class DemoResult:
    """What the demo found."""

    answer: Answer
    """One row an index and session, as Athena returns them."""
    leaders: Answer
    """The ten largest participations of the last session."""
    last_session: Session
    refused: Mapping[str, str]
    """Sessions that the pipeline refused, and why."""


def run_demo(sessions: Path | None, progress: Progress) -> DemoResult:
    """Collect every CSV of *sessions*, or a synthetic week of IBOV, and ask Athena for the result.

    Raises:
        DemoFailed: A row in SQL is missing, or differs from the totals of B3's file.
        NotRefined: A session was stored, but its run failed.
    """
    wanted = _synthetic_week() if sessions is None else _sessions_of(sessions)
    with contextlib.ExitStack() as stack, progress.phase("total"):
        with progress.phase("start"):
            running = stack.enter_context(running_pipeline(sessions=sessions, settings=_ATTEMPTS, report=progress.say))
            client = ApiClient(running)
            progress.say(f"logged in as {running.username}")
        with progress.phase("collect"):
            collected, refused = _collect(running, client, wanted, progress)
        with progress.phase("refine"):
            # It can take the longest of all, and nothing is to be seen meanwhile.
            progress.say(f"Spark refines {len(collected)} sessions ...")
            for session in collected:
                client.wait_until_refined(session)
                progress.say(f"{session}  refined")
        with progress.phase("query"):
            athena = running.cloud.client("athena")
            answer = ask(athena, RECONCILIATION_SQL)
            last = max(collected, key=lambda session: (session.session_date, session.index_code))
            leaders = ask(athena, _LEADERS_SQL.format(index_code=last.index_code, session_date=last.session_date))
            progress.say(f"Athena answered with {len(answer.rows)} sessions in {answer.elapsed_s:.1f} s")
    _compare(answer, collected)
    return DemoResult(answer, leaders, last, refused)


def _synthetic_week() -> list[Session]:
    days = trading_days_before(SYNTHETIC_END, SYNTHETIC_SESSIONS)
    return [Session(SYNTHETIC_INDEX_CODE, day) for day in days]


def _sessions_of(folder: Path) -> list[Session]:
    """The sessions that the file names of *folder* say, oldest first."""
    named = {parse_file_name(path.name) for path in folder.glob("*.csv")} - {None}
    if not named:
        raise DemoFailed(f"{folder} holds no file named like IBOVDia_03-02-25.csv.")
    sessions = (Session(*name) for name in named if name is not None)
    return sorted(sessions, key=lambda session: (session.session_date, session.index_code))


def _collect(
    running: Pipeline, client: ApiClient, wanted: Sequence[Session], progress: Progress
) -> tuple[dict[Session, dict[str, Any]], dict[str, str]]:
    """Let the stand-in show each session in turn, as B3 would on its day, and collect it."""
    collected: dict[Session, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    for number, session in enumerate(wanted, start=1):
        running.stand_in.set(today=session.session_date)
        place = f"{session}  {number}/{len(wanted)}"
        try:
            stored = client.collect(session.index_code)
        except ApiRefused as error:
            refused[str(session)] = str(error)
            progress.say(f"{place}  refused: {error}")
            continue
        if stored["session_date"] != session.session_date.isoformat():
            raise DemoFailed(f"{session} was asked for and stored as {stored['session_date']}.")
        collected[session] = stored
        progress.say(f"{place}  {stored['status']}, {stored['rows']} shares in {stored['elapsed_ms'] / 1000:.1f} s")
    if not collected:
        raise DemoFailed(f"None of the {len(wanted)} sessions could be collected: {refused}")
    return collected, refused


def _compare(answer: Answer, collected: Mapping[Session, Mapping[str, Any]]) -> None:
    """Every collected session, and no other, with exactly the totals of B3's own file."""
    expected = {
        (session.index_code, session.session_date.isoformat()): (
            stored["rows"],
            stored["total_theoretical_quantity"],
            TOTAL_PARTICIPATION_PCT,
        )
        for session, stored in collected.items()
    }
    found = {
        (row["index_code"], row["session_date"]): (
            int(row["holdings"]),
            int(row["theoretical_quantity"]),
            Decimal(row["participation_pct"]),
        )
        for row in answer.as_dicts()
    }
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            raise DemoFailed(f"{'/'.join(key)}: B3's file says {expected.get(key)}, SQL says {found.get(key)}.")
