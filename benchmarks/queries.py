"""One year asked of `portfolio`, an object a ticker and session, and of `holdings`: files, bytes, seconds.

What is asked are ten named queries. They are published as questions to `holdings`, and asked of it as they are;
`benchmarks.exchange` asks them of `portfolio`. The number of rows is asked as well, in words that both tables have.
"""

from __future__ import annotations

import datetime as dt
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.exchange import of_portfolio
from benchmarks.importing import INDEX_CODE, YEAR
from benchmarks.runs import run
from benchmarks.targets import Target
from bovespa.calendar import trading_days_before
from bovespa.errors import BovespaError
from bovespa.portfolio_csv import parse_csv
from infrastructure.athena_queries import named_queries
from local.athena import ask
from local.console import Progress, print_table
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv

ROWS = "number of rows"
PORTFOLIO, HOLDINGS, MERGED = "portfolio", "holdings", "holdings, merged"
"""`holdings, merged` is the same table after a rebuild has put the year into one object."""

_PERIOD = {"from_date": f"{YEAR}-01-01", "to_date": f"{YEAR}-12-31"}
_OF_THE_YEAR = {
    PORTFOLIO: f"session_date BETWEEN DATE '{YEAR}-01-01' AND DATE '{YEAR}-12-31'",
    HOLDINGS: f"session_year = {YEAR}",
}
_PARAMETERS = {
    **dict.fromkeys(
        ("todays_portfolio", "company_participation", "levels_abc", "listing_segments", "share_classes"),
        ("index_code", "session_date"),
    ),
    **dict.fromkeys(
        ("rank_history", "participation_ranges", "largest_single_day_moves"), ("index_code", "from_date", "to_date")
    ),
    "sessions_reconciled": ("from_date", "to_date"),
    "ticker_life": ("index_code", "ticker", "from_date", "to_date"),
}
"""The ten: five about one session, four about all of a year, one about a share; and which parameters each is given."""


class WrongAnswer(BovespaError):
    """The tables do not say the same, or nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question cost."""

    question: str
    table: str
    files: int
    scanned_bytes: int
    first_s: float
    """Of the first time. Of the very first question to a table: with none of its files decoded yet."""
    again_s: tuple[float, ...]
    """Of each time after that, when the local Athena has its files decoded already."""


def measure(running: Pipeline, times: int, progress: Progress) -> list[dict[str, Any]]:
    """Ask every question of both tables of a lake that has the year, then of the merged year, *times* times and once.

    Raises:
        WrongAnswer: The tables disagree.
    """
    athena = running.cloud.client("athena")
    asked: list[Asked] = []
    answers: dict[str, tuple[tuple[Any, ...], ...]] = {}
    forms = dict(questions())
    for table in (PORTFOLIO, HOLDINGS, MERGED):
        if table == MERGED:
            progress.say(f"past years merged by a rebuild, {run(running.cloud):.1f} s")
        for question, by_table in forms.items():
            found = [ask(athena, by_table[table]) for _ in range(1 + times)]
            for answer in found:
                if not answer.rows or answers.setdefault(question, answer.rows) != answer.rows:
                    raise WrongAnswer(f"{question}: {table} says {answer.rows[:3]}, {answers.get(question, ())[:3]}")
            files = _files_scanned(athena, found[0].query_id)
            first_s, *again_s = (answer.elapsed_s for answer in found)
            asked.append(Asked(question, table, files, found[0].scanned_bytes, first_s, tuple(again_s)))
        progress.say(f"{len(forms)} questions about {YEAR}, {1 + times} times each, asked of {table}")
    return [asdict(one) for one in asked]


def targets(figures: list[dict[str, Any]]) -> list[Target]:
    """Return how much less the compact table must read for all rows of the year."""
    costs = costs_of(figures)
    first = costs[ROWS, PORTFOLIO]
    beside = {table: costs[ROWS, table] for table in (HOLDINGS, MERGED)}
    return [
        Target(f"rows of a year from {table}, beside from portfolio: files", first.files / one.files, "times", 50, True)
        for table, one in beside.items()
    ] + [
        Target(
            f"rows of a year from {table}, beside from portfolio: bytes",
            first.scanned_bytes / one.scanned_bytes,
            "times",
            5,
            True,
        )
        for table, one in beside.items()
    ]


def show(figures: list[dict[str, Any]]) -> None:
    """Print what each question cost of each table, and how often less of the compact one."""
    costs = costs_of(figures)
    names = questions_of(figures)
    costly, ratios = [], []
    for question in names:
        every = [costs[question, table] for table in (PORTFOLIO, HOLDINGS, MERGED)]
        first, *others = every
        costly.append(
            (
                question,
                *(one.files for one in every),
                *(f"{one.scanned_bytes / 1e6:.2f}" for one in every),
                *(f"{again_s(one):.3f}" for one in every),
            )
        )
        ratios.append(
            (
                question,
                *(f"{first.files / one.files:.1f}" for one in others),
                *(f"{first.scanned_bytes / one.scanned_bytes:.1f}" for one in others),
                *(f"{again_s(first) / again_s(one):.1f}" for one in others),
            )
        )
    short = ("portfolio", "holdings", "merged")
    print_table(
        ("question", *(f"{name}_{unit}" for unit in ("files", "mb", "s") for name in short)),
        costly,
        title=f"The year {YEAR}: files read, megabytes of them, seconds when asked again",
    )
    print_table(
        ("question", *(f"{name}_{what}" for what in ("files", "bytes", "seconds") for name in short[1:])),
        ratios,
        title="How many times more portfolio takes than holdings, and than merged holdings",
    )
    cold = [(table, f"{costs[ROWS, table].first_s:.3f}") for table in (PORTFOLIO, HOLDINGS, MERGED)]
    print_table(("number of rows, from", "first_s"), cold, title="No file decoded yet")


def costs_of(figures: Iterable[Mapping[str, Any]]) -> Mapping[tuple[str, str], Asked]:
    """Return the figures by question and table."""
    return {(one["question"], one["table"]): Asked(**one) for one in figures}


def questions_of(figures: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the questions, in the order in which they were asked."""
    return list(dict.fromkeys(one["question"] for one in figures))


def again_s(one: Asked) -> float:
    """Return the median of the seconds when it was asked again."""
    return statistics.median(one.again_s)


def questions() -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield each question as SQL for each table."""
    rows = f"SELECT COUNT(*) AS holdings FROM {{}} WHERE index_code = '{INDEX_CODE}' AND {{}}"  # noqa: S608
    counted = {table: rows.format(table, condition) for table, condition in _OF_THE_YEAR.items()}
    yield ROWS, counted | {MERGED: counted[HOLDINGS]}
    chosen = _chosen()
    published = {query.name: query for query in named_queries()}
    for name, parameters in _PARAMETERS.items():
        values = {parameter: chosen[parameter] for parameter in parameters}
        sql = published[name].with_values(values)
        yield name, {PORTFOLIO: of_portfolio(sql, values), HOLDINGS: sql, MERGED: sql}


def _chosen() -> Mapping[str, str]:
    """The value of each parameter: the whole year, its last session, and the first of that one's tickers."""
    last = trading_days_before(dt.date(YEAR + 1, 1, 1), 1)[0]
    ticker = min(holding.ticker for holding in parse_csv(synthetic_csv(INDEX_CODE, last)).holdings)
    return {"index_code": INDEX_CODE, "ticker": ticker, "session_date": str(last), **_PERIOD}


def _files_scanned(athena: Any, query_id: str) -> int:
    """Ask the local Athena, which says one thing more than AWS's and than boto3 reads: how many files it has read."""
    bodies: list[bytes] = []

    def keep(response_dict: Mapping[str, Any], **_others: Any) -> None:
        bodies.append(response_dict["body"])

    athena.meta.events.register("before-parse.athena.GetQueryExecution", keep)
    try:
        athena.get_query_execution(QueryExecutionId=query_id)
    finally:
        athena.meta.events.unregister("before-parse.athena.GetQueryExecution", keep)
    return int(json.loads(bodies[-1])["QueryExecution"]["Statistics"]["FilesScanned"])
