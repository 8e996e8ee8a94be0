"""The commands that people and other tools start: as processes, as they start them, and here, in all their ways."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bovespa.portfolio_csv import parse_csv
from infrastructure.athena_queries import named_queries
from local.named_queries import named
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv
from tests import reckoning
from tests.conftest import PROJECT, RECORDINGS
from tests.lake import Lake
from tests.operator_commands import local_command


def environment(**extra: str) -> dict[str, str]:
    """A shell's variables: none of AWS's or ours but *extra*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOVESPA_"))}
    return kept | extra


def local(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=PROJECT,
        env=environ or environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_named_queries_are_listed_and_answer_by_name(pipeline: Pipeline) -> None:
    environ = environment(**pipeline.cloud.aws_environment)
    lake = Lake(pipeline.cloud)
    older, newer = (synthetic_csv("IFNC", dt.date(2025, 2, day)) for day in (3, 4))
    sessions = [lake.store(older), lake.store(newer)]
    lake.wait_until_refined(*sessions)

    listed = local_command(environ, "query", "--list", "--json")
    assert listed.returncode == 0, listed.stderr
    queries = {query.pop("name"): query for query in json.loads(listed.stdout)["queries"]}
    assert list(queries) == [query.name for query in named_queries()]
    assert queries["todays_portfolio"] == {
        "question": named(named_queries(), "todays_portfolio").question,
        "parameters": [
            {"name": "index_code", "kind": "text", "default": "IBOV"},
            {"name": "session_date", "kind": "date", "default": None},
        ],
    }
    shown = local("query", "--list", environ=environ)
    assert shown.returncode == 0, shown.stderr
    assert "todays_portfolio index_code=IBOV session_date=null" in shown.stdout.splitlines()
    assert all(" ".join(query["question"].split()) in " ".join(shown.stdout.split()) for query in queries.values())
    assert max(map(len, shown.stdout.splitlines())) <= 80

    def asked(*arguments: str) -> list[dict[str, Any]]:
        answer = local_command(environ, "query", "todays_portfolio", "--json", *arguments)
        assert answer.returncode == 0, answer.stderr
        rows: list[dict[str, Any]] = json.loads(answer.stdout)["rows"]
        return [{name: row[name] for name in ("ticker", "participation_pct")} for row in rows]

    def published(content: bytes) -> list[dict[str, Any]]:
        holdings = sorted(parse_csv(content).holdings, key=lambda one: (-one.participation_pct, one.ticker))
        return [{"ticker": one.ticker, "participation_pct": str(one.participation_pct)} for one in holdings]

    assert published(older) != published(newer)
    assert asked("--set", "index_code=IFNC") == published(newer)
    assert asked("--set", "index_code=IFNC", "--set", "session_date=2025-02-03") == published(older)
    assert asked("--set", "index_code=' OR TRUE --") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["todays_portfolios"], "Did you mean todays_portfolio?"),
        (["nothing_like_it"], "There are: company_"),
        (["todays_portfolio", "--set", "index=IBOV"], "It has index_code, session_date."),
        (["todays_portfolio", "--set", "session_date=yesterday"], "session_date must be a date like 2025-02-03"),
        (["todays_portfolio", "--set", "IBOV"], "'IBOV' is not like index_code=IBOV"),
        (["todays_portfolio", "--set", "index_code=A", "--set", "index_code=B"], "twice"),
        (["SELECT 1", "--set", "index_code=IBOV"], "SQL has none"),
        (["--list", "todays_portfolio"], "or --list"),
        (["--list", "--set", "index_code=IBOV"], "--set is for"),
        ([], "or --list"),
    ],
)
def test_a_named_query_asked_wrongly_says_what_to_do(arguments: list[str], said: str, pipeline: Pipeline) -> None:
    answer = local_command(pipeline.cloud.aws_environment, "query", *arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", [[], ["up"], ["demo"], ["query"], ["notebooks"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    answer = local_command({}, *command, "--help")
    assert answer.returncode == 0
    assert "usage: python -m local" in answer.stdout


@dataclass(frozen=True)
class Demo:
    """A demo over a folder of files, one of them broken, as a person would run it."""

    files: list[reckoning.File]
    status: int
    result: dict[str, Any]

    def found(self) -> dict[tuple[str, str], tuple[int, int, Decimal]]:
        """Count and sums of each session in SQL."""
        return {
            (row["index_code"], row["session_date"]): (
                row["holdings"],
                row["theoretical_quantity"],
                Decimal(row["participation_pct"]),
            )
            for row in self.result["rows"]
        }


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo over synthetic sessions, and recorded ones where they are: each costs it a request and a run."""
    folder = tmp_path_factory.mktemp("sessions")
    for name in ("UTILDia_03-02-25.csv", "UTILDia_04-02-25.csv"):
        (folder / name).write_bytes(synthetic_csv("UTIL", reckoning.read_date(name)))
    if RECORDINGS.is_dir():
        for name in recorded_names():
            (folder / name).symlink_to(RECORDINGS / "sessions" / name)
    files = [reckoning.read(path.read_bytes()) for path in sorted(folder.iterdir())]
    whole = (folder / "UTILDia_04-02-25.csv").read_bytes()
    broken = whole.replace(b"04/02/25", b"05/02/25").replace(b"Redutor", b"Divisor")
    (folder / "UTILDia_05-02-25.csv").write_bytes(broken)
    answer = local("demo", "--sessions", str(folder), "--json")
    assert answer.stdout, answer.stderr[-3000:]
    return Demo(files, answer.returncode, json.loads(answer.stdout))


def recorded_names() -> set[str]:
    """The smallest recorded session of each view, and that of the Ash Wednesday after Carnival."""
    with (RECORDINGS / "sessions" / "INDEX.tsv").open(encoding="utf-8") as index:
        rows = sorted(csv.DictReader(index, delimiter="\t"), key=lambda row: -int(row["rows"]))
    by_view = {row["view"]: row["file"] for row in rows}
    assert len(by_view) == 2
    return {*by_view.values(), "IBOVDia_05-03-25.csv"}


def test_the_demo_ends_with_the_rows_of_athena(demo: Demo) -> None:
    """Count and sums in SQL equal each file's own totals, exactly."""
    assert demo.status == 1, "a refused file is no success"
    assert demo.found() == {
        (file.index_code, str(file.session_date)): (len(file.rows), file.total_quantity, file.total_participation)
        for file in demo.files
    }
    assert list(demo.result["refused"]) == ["UTIL/2025-02-05"]
    assert "portfolio_unreadable" in demo.result["refused"]["UTIL/2025-02-05"]
    assert set(demo.result["timings_s"]) == {"start", "collect", "refine", "query", "total"}


def test_the_demo_takes_recorded_sessions_of_both_views_to_sql(recordings: Path, demo: Demo) -> None:
    """All 54, of every index, take minutes this way; `test_whole_history.py` has them in one run."""
    recorded = [reckoning.read((recordings / "sessions" / name).read_bytes()) for name in recorded_names()]
    assert {(file.index_code, str(file.session_date)) for file in recorded} <= demo.found().keys()
