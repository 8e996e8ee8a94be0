"""The commands that people and other tools start, as they start them: in a process of their own."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from bovespa.portfolio_csv import parse_csv
from infrastructure.athena_queries import named_queries
from local.named_queries import named
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv
from tests import reckoning
from tests.conftest import PROJECT, RECORDINGS
from tests.lake import Lake
from tests.processes import commands, descendants
from tests.until import until


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


@contextlib.contextmanager
def running_up(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`python -m local up --json`, ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "up", "--json", *arguments],
        cwd=PROJECT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, json.loads(line)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def token(up: dict[str, Any]) -> dict[str, str]:
    body = {"username": up["username"], "password": up["password"]}
    answer = requests.post(f"{up['api']}/login", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_what_up_stored_survives_a_restart_and_the_stand_in_can_be_told(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with running_up("--data", data, "--today", "2025-02-03") as (process, up):
        assert set(up) == {"api", "b3", "aws", "username", "password", "environment"}
        first = requests.get(f"{up['api']}/bovespaDay?index=UTIL", headers=token(up), timeout=60).json()
        assert (first["status"], first["session_date"]) == ("stored", "2025-02-03")
        state_url = "/sessions/UTIL/2025-02-03"
        headers = token(up)

        def is_refined() -> bool:
            answer = requests.get(f"{up['api']}{state_url}", headers=headers, timeout=30).json()
            assert answer["state"] in ("stored", "refining", "refined"), answer
            return answer["state"] == "refined"

        until(is_refined, timeout_s=120, every_s=0.2)
        # Cloud, Lambda, Spark and API: whatever it started, directly or not.
        started = descendants(process.pid)
        assert any("local.spark_worker" in command for command in started.values())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert {pid: command for pid, command in commands().items() if started.get(pid) == command} == {}

    with running_up("--data", data, "--today", "2025-02-03") as (_, up):
        headers = token(up)
        assert requests.get(f"{up['api']}{state_url}", headers=headers, timeout=30).json()["state"] == "refined"
        again = requests.get(f"{up['api']}/bovespaDay?index=UTIL", headers=headers, timeout=60).json()
        assert (again["status"], again["source_sha256"]) == ("unchanged", first["source_sha256"])
        sql = "SELECT COUNT(*) AS holdings, SUM(theoretical_quantity) AS quantity FROM portfolio"
        answer = local("query", sql, "--json", environ=environment(**up["environment"]))
        assert answer.returncode == 0, answer.stderr
        (row,) = json.loads(answer.stdout)["rows"]
        assert (row["holdings"], int(row["quantity"])) == (first["rows"], first["total_theoretical_quantity"])
        table = local("query", "SELECT ticker, participation_pct FROM portfolio ORDER BY 2 DESC, 1 LIMIT 2")
        assert table.returncode == 0, table.stderr
        assert "participation_pct" in table.stdout, "without variables, the query finds the cloud that is up"
        assert_a_shell_gets_the_variables_from_the_file(up["environment"])
        refused = local("query", "SELECT nothing FROM portfolio", environ=environment(**up["environment"]))
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: Athena: ")
        assert "Traceback" not in refused.stderr
        assert_the_stand_in_can_be_told_its_day_and_its_faults(up)


def assert_a_shell_gets_the_variables_from_the_file(variables: dict[str, str]) -> None:
    assert stat.S_IMODE((PROJECT / ".local" / "running.env").stat().st_mode) == 0o600
    script = '. .local/running.env && exec "$0" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    answer = subprocess.run(
        ["sh", "-c", script, sys.executable],  # noqa: S607 - whichever shell the reader has
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert variables.items() <= json.loads(answer.stdout).items()


def assert_the_stand_in_can_be_told_its_day_and_its_faults(up: dict[str, Any]) -> None:
    change = {"today": "2025-02-22", "faults": [{"fault": "http_520", "on": ["page"]}]}
    assert requests.put(f"{up['b3']}/_stand_in", json=change, timeout=10).ok
    answer = requests.get(f"{up['api']}/bovespaDay", headers=token(up), timeout=60).json()
    assert (answer["session_date"], answer["way"]) == ("2025-02-24", "https")
    assert requests.put(f"{up['b3']}/_stand_in", json={"faults": []}, timeout=10).ok
    answer = requests.get(f"{up['api']}/bovespaDay", headers=token(up), timeout=60).json()
    assert (answer["session_date"], answer["way"]) == ("2025-02-24", "browser")


def test_up_ends_at_once_where_its_port_is_somebody_else_s() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = local("up", "--port", str(port))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"error: Port {port} cannot be had (")
    assert "--port" in answer.stderr
    assert "stack deployed" not in answer.stderr


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--port", "eighty", "'eighty' is not a port"),
        ("--port", "65536", "'65536' is not a port"),
        ("--today", "2025-13-01", "'2025-13-01' is not a date like 2025-02-22"),
    ],
)
def test_up_says_what_it_does_not_understand(option: str, value: str, said: str) -> None:
    answer = local("up", option, value)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr


@pytest.mark.parametrize("arguments", [["SELECT 1"], ["todays_portfolio"], ["--list"]])
def test_a_query_without_a_cloud_says_what_to_do(arguments: list[str]) -> None:
    answer = local("query", *arguments)
    assert answer.returncode == 2
    assert "python -m local up" in answer.stderr


def test_named_queries_are_listed_and_answer_by_name(pipeline: Pipeline) -> None:
    environ = environment(**pipeline.cloud.aws_environment)
    lake = Lake(pipeline.cloud)
    older, newer = (synthetic_csv("IFNC", dt.date(2025, 2, day)) for day in (3, 4))
    sessions = [lake.store(older), lake.store(newer)]
    lake.wait_until_refined(*sessions)

    listed = local("query", "--list", "--json", environ=environ)
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
        answer = local("query", "todays_portfolio", "--json", *arguments, environ=environ)
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
    answer = local("query", *arguments, environ=environment(**pipeline.cloud.aws_environment))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", [[], ["up"], ["demo"], ["query"], ["notebooks"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    answer = local(*command, "--help")
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
    """Recorded sessions of both views, and those around Carnival."""
    with (RECORDINGS / "sessions" / "INDEX.tsv").open(encoding="utf-8") as index:
        by_view = {row["view"]: row["file"] for row in csv.DictReader(index, delimiter="\t")}
    assert len(by_view) == 2
    return {*by_view.values(), "IBOVDia_28-02-25.csv", "IBOVDia_05-03-25.csv"}


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
