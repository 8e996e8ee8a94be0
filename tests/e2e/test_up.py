"""`python -m local up`: the session of the README and of what it goes on in, in a shell; and what outlives a restart.

All that there is about `up` is here, in one process: it tells where it is in one file of the checkout, and a query
without variables goes there.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local.spark_pool import POOL_VARIABLE
from tests import markdown
from tests.conftest import PROJECT
from tests.e2e.test_local_commands import environment, local
from tests.processes import commands, descendants
from tests.until import until

README = (PROJECT / "README.md").read_text(encoding="utf-8")
GOES_ON = [(PROJECT / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "queries.md")]
"""In the same terminal, as the README says."""
SHOWN_URL = "http://127.0.0.1:8000"
VARYING = {"access_token", "elapsed_ms", "stored_at", "received_at"}
"""Members whose values are another's each time; all others must be what the README shows."""
MARK = "--- end of command, status "
TIMEOUT_S = 240


@contextlib.contextmanager
def running_up(*arguments: str, own_spark: bool = False) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`python -m local up --json`, ready; with a Spark of its own, as a person has it, or with that of the tests."""
    environ = environment()
    if own_spark:
        del environ[POOL_VARIABLE]
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "up", "--json", *arguments],
        cwd=PROJECT,
        env=environ,
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


@dataclass(frozen=True)
class Step:
    """One command of the session and the answer that the README shows to it."""

    command: str
    shown: str


def steps(text: str) -> Iterator[Step]:
    """The commands of all console blocks, in order."""
    for block in markdown.blocks(text, "console"):
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            lines = part.rstrip("\n").split("\n")
            length = next(n for n in range(1, len(lines) + 1) if is_whole("\n".join(lines[:n])))
            yield Step("\n".join(lines[:length]), "\n".join(lines[length:]))


def is_whole(command: str) -> bool:
    """Whether a shell would run *command* as it is, instead of asking for another line."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


def agree(shown: Any, real: Any, name: str = "") -> bool:
    """Whether an answer has the shown members in the shown order, and the shown values where these are stable."""
    if name == "elapsed_ms":
        return type(real) is int and 0 < real < 60_000
    if name in VARYING:
        if shown.endswith("..."):
            return isinstance(real, str) and real.startswith(shown.removesuffix("...")) and len(real) > len(shown)
        return dt.datetime.fromisoformat(real).tzinfo is not None
    if isinstance(shown, dict):
        return (
            isinstance(real, dict)
            and list(shown) == list(real)
            and all(agree(shown[member], real[member], member) for member in shown)
        )
    if isinstance(shown, list):
        return (
            isinstance(real, list)
            and len(shown) == len(real)
            and all(agree(one, other) for one, other in zip(shown, real, strict=True))
        )
    return type(shown) is type(real) and bool(shown == real)


def stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").split("\n")]


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


@pytest.fixture(scope="module")
def session() -> list[Step]:
    found = [list(steps(text)) for text in (README, *GOES_ON)]
    assert all(len(of_a_document) >= 2 for of_a_document in found)
    together = [step for of_a_document in found for step in of_a_document]
    assert sum("curl" in step.command for step in together) >= 6
    assert sum("-m local query" in step.command for step in together) >= 3
    return together


@pytest.fixture(scope="module")
def start() -> list[str]:
    """Options of the README's `make up`, except the port, for which a free one is taken."""
    shown = "\n".join(block.text for block in markdown.blocks(README))
    (options,) = re.findall(r'^make up ARGS="([^"]*)"$', shown, re.MULTILINE)
    assert "--port 8000" in options
    return str(options).replace("--port 8000", "").split()


@dataclass(frozen=True)
class Up:
    """An `up` that keeps its data."""

    process: subprocess.Popen[str]
    described: dict[str, Any]
    data: str


@pytest.fixture(scope="module")
def first_up(start: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The README's, which gets the README's session first, and then keeps its data for the restart."""
    data = str(tmp_path_factory.mktemp("up") / "data")
    with running_up(*start, "--data", data, own_spark=True) as (process, up):
        yield Up(process, up, data)


def test_the_session_of_the_readme_gives_the_answers_that_it_shows(session: list[Step], first_up: Up) -> None:
    # Each on a line of its own, after whatever the command wrote.
    script = "\n".join(f"{step.command}\nprintf '\\n%s%s\\n' '{MARK}' $?" for step in session)
    assert SHOWN_URL in script
    up = first_up.described
    ran = subprocess.run(
        ["bash", "-s"],  # noqa: S607 - whichever bash the reader has
        input=script.replace(SHOWN_URL, up["api"]).replace(".venv/bin/python", shlex.quote(sys.executable)),
        env=environment(PASSWORD=up["password"], LC_ALL="C.UTF-8", PYTHONIOENCODING="utf-8"),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    parts = re.split(rf"^{re.escape(MARK)}(\d+)\n", ran.stdout, flags=re.MULTILINE)
    outputs, statuses = parts[0:-1:2], parts[1::2]
    assert len(outputs) == len(session), ran.stderr
    for step, output, status in zip(session, outputs, statuses, strict=True):
        assert status == "0", (step.command, output, ran.stderr)
        if step.shown.startswith("{\n"):
            assert agree(json.loads(step.shown), json.loads(output)), (step.command, output)
        else:
            assert stripped(output) == stripped(step.shown), step.command


def test_an_answer_that_differs_from_the_shown_one_is_noticed() -> None:
    shown = {
        "rows": 86,
        "access_token": "eyJ...",
        "stored_at": "2025-02-03T10:00:00+00:00",
        "sessions": [{"state": "a"}],
    }
    real = {**shown, "access_token": "eyJhbGciOi", "stored_at": "2026-01-01T00:00:00.5+00:00"}
    assert agree(shown, real)
    assert not agree(shown, {**real, "rows": 85})
    assert not agree(shown, {**real, "access_token": "abc"})
    assert not agree(shown, {**real, "sessions": [{"state": "b"}]})
    assert not agree(shown, {**real, "more": 1})
    assert not agree(shown, {name: value for name, value in real.items() if name != "rows"})


def test_what_up_stored_survives_a_restart_and_the_stand_in_can_be_told(first_up: Up) -> None:
    process, up = first_up.process, first_up.described
    assert set(up) == {"api", "b3", "aws", "username", "password", "environment"}
    headers = token(up)
    first = requests.get(f"{up['api']}/bovespaDay?index=UTIL", headers=headers, timeout=60).json()
    assert (first["status"], first["session_date"]) == ("stored", "2025-02-24")
    state_url = "/sessions/UTIL/2025-02-24"
    wait_until_refined(up, "UTIL/2025-02-24")
    # Cloud, Lambda, Spark and API: whatever it started, directly or not.
    started = descendants(process.pid)
    assert any("local.spark_worker" in command for command in started.values())
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert {pid: command for pid, command in commands().items() if started.get(pid) == command} == {}

    with running_up("--data", first_up.data, "--today", "2025-02-24") as (_, up):
        headers = token(up)
        assert requests.get(f"{up['api']}{state_url}", headers=headers, timeout=30).json()["state"] == "refined"
        again = requests.get(f"{up['api']}/bovespaDay?index=UTIL", headers=headers, timeout=60).json()
        assert (again["status"], again["source_sha256"]) == ("unchanged", first["source_sha256"])
        sql = "SELECT COUNT(*) AS holdings, SUM(theoretical_quantity) AS quantity FROM portfolio"
        answer = local("query", f"{sql} WHERE index_code = 'UTIL'", "--json", environ=environment(**up["environment"]))
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


def wait_until_refined(up: dict[str, Any], session: str) -> None:
    headers = token(up)

    def is_refined() -> bool:
        answer = requests.get(f"{up['api']}/sessions/{session}", headers=headers, timeout=30).json()
        assert answer["state"] in ("stored", "refining", "refined"), answer
        return bool(answer["state"] == "refined")

    until(is_refined, timeout_s=120, every_s=0.2)


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
    change = {"today": "2025-02-03", "faults": [{"fault": "http_520", "on": ["page"]}]}
    assert requests.put(f"{up['b3']}/_stand_in", json=change, timeout=10).ok
    answer = requests.get(f"{up['api']}/bovespaDay", headers=token(up), timeout=60).json()
    assert (answer["session_date"], answer["way"]) == ("2025-02-03", "https")
    assert requests.put(f"{up['b3']}/_stand_in", json={"faults": []}, timeout=10).ok
    answer = requests.get(f"{up['api']}/bovespaDay", headers=token(up), timeout=60).json()
    assert (answer["session_date"], answer["way"]) == ("2025-02-03", "browser")
    # A cloud that ends during a run takes the tests' Spark with it.
    wait_until_refined(up, "IBOV/2025-02-03")
