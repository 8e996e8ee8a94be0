"""One year asked of `portfolio`, an object a ticker and session, and of `holdings`: files, bytes, seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import requests

from benchmarks.importing import INDEX_CODE, YEAR
from benchmarks.runs import run
from benchmarks.targets import Target
from bovespa.errors import BovespaError
from local.athena import ask
from local.console import Progress, print_table
from local.pipeline import Pipeline

_OF_THE_YEAR = {
    "portfolio": f"session_date BETWEEN DATE '{YEAR}-01-01' AND DATE '{YEAR}-12-31'",
    "holdings": f"session_year = {YEAR}",
}
"""How each table is told which partitions to read."""

_QUESTIONS = {
    "a ticker by month": (
        "SELECT month(session_date) AS month, COUNT(*) AS sessions, AVG(participation_pct) AS participation_pct "
        "FROM {table} WHERE index_code = '{index_code}' AND ticker = '{ticker}' AND {year} GROUP BY 1 ORDER BY 1"
    ),
    "number of rows": "SELECT COUNT(*) AS holdings FROM {table} WHERE index_code = '{index_code}' AND {year}",
}


class WrongAnswer(BovespaError):
    """The two tables do not say the same."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question cost."""

    question: str
    table: str
    """`holdings, merged` is the same table after a rebuild has put the year into one object."""
    files: int
    scanned_bytes: int
    elapsed_s: float
    """The first time that it was asked: nothing of its own files is decoded yet."""


def measure(running: Pipeline, progress: Progress) -> list[dict[str, Any]]:
    """Ask every question of both tables of a lake that has the year, then of the merged year.

    Raises:
        WrongAnswer: The tables disagree.
    """
    ticker = _a_ticker(running)
    asked: list[Asked] = []
    answers: dict[str, tuple[tuple[Any, ...], ...]] = {}
    for table, name in (("portfolio", "portfolio"), ("holdings", "holdings"), ("holdings", "holdings, merged")):
        if name == "holdings, merged":
            progress.say(f"past years merged by a rebuild, {run(running.cloud):.1f} s")
        for question, text in _QUESTIONS.items():
            sql = text.format(table=table, index_code=INDEX_CODE, ticker=ticker, year=_OF_THE_YEAR[table])
            answer = ask(running.cloud.client("athena"), sql)
            if answers.setdefault(question, answer.rows) != answer.rows or not answer.rows:
                raise WrongAnswer(f"{question}: {name} says {answer.rows}, portfolio {answers[question]}")
            files = _files_scanned(running, answer.query_id)
            asked.append(Asked(question, name, files, answer.scanned_bytes, answer.elapsed_s))
    progress.say(f"{YEAR} asked of portfolio and of holdings")
    return [asdict(one) for one in asked]


def targets(figures: list[dict[str, Any]]) -> list[Target]:
    """Return how much less the compact table must read for the whole year."""
    costs = _costs(figures)
    ratios = {
        name: (costs["number of rows", "portfolio"], costs["number of rows", name])
        for name in ("holdings", "holdings, merged")
    }
    return [
        Target(f"rows of a year from {name}, beside from portfolio: files", one.files / other.files, "times", 50, True)
        for name, (one, other) in ratios.items()
    ] + [
        Target(
            f"rows of a year from {name}, beside from portfolio: bytes",
            one.scanned_bytes / other.scanned_bytes,
            "times",
            5,
            True,
        )
        for name, (one, other) in ratios.items()
    ]


def show(figures: list[dict[str, Any]]) -> None:
    """Print the figures."""
    costs = _costs(figures)
    rows = []
    for (question, table), one in costs.items():
        first = costs[question, "portfolio"]
        rows.append(
            (
                question,
                table,
                one.files,
                one.scanned_bytes,
                f"{one.elapsed_s:.3f}",
                f"{first.files / one.files:.1f}",
                f"{first.scanned_bytes / one.scanned_bytes:.1f}",
                f"{first.elapsed_s / one.elapsed_s:.1f}",
            )
        )
    columns = (
        "question",
        "table",
        "files",
        "bytes",
        "first_s",
        "times_fewer_files",
        "times_fewer_bytes",
        "times_faster",
    )
    print_table(columns, rows, title=f"The year {YEAR}")


def _costs(figures: list[dict[str, Any]]) -> Mapping[tuple[str, str], Asked]:
    return {(one["question"], one["table"]): Asked(**one) for one in figures}


def _a_ticker(running: Pipeline) -> str:
    sql = f"SELECT MIN(ticker) FROM holdings WHERE index_code = '{INDEX_CODE}' AND {_OF_THE_YEAR['holdings']}"  # noqa: S608
    return str(ask(running.cloud.client("athena"), sql).rows[0][0])


def _files_scanned(running: Pipeline, query_id: str) -> int:
    """Ask the local Athena, which says one thing more than AWS's: how many files it has read."""
    answer = requests.post(
        running.cloud.endpoint_url,
        headers={"X-Amz-Target": "AmazonAthena.GetQueryExecution", "Content-Type": "application/x-amz-json-1.1"},
        json={"QueryExecutionId": query_id},
        timeout=30,
    )
    answer.raise_for_status()
    return int(answer.json()["QueryExecution"]["Statistics"]["FilesScanned"])
