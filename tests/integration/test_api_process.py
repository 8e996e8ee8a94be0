"""`python app.py` and the commands of `flask --app app`, as an operator runs them."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.security import check_password_hash, generate_password_hash

from local.b3_stand_in import StandIn, running_stand_in
from local.cloud import free_port
from tests.operator_commands import flask_command
from tests.until import until

PROJECT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"
REQUIRED = ("BOVESPA_RAW_BUCKET", "BOVESPA_REFINED_BUCKET", "BOVESPA_JWT_SECRET", "BOVESPA_USERS")
MEMORY_LIMIT_KB = 200_000


@pytest.fixture(scope="module")
def b3() -> Iterator[StandIn]:
    with running_stand_in(today=dt.date(2025, 2, 22)) as stand_in:
        yield stand_in


@pytest.fixture
def environ(object_store: str, b3: StandIn, raw_bucket: str, refined_bucket: str) -> dict[str, str]:
    b3.set(faults=[])
    b3.requests.clear()
    return bare_environ() | {
        "AWS_ENDPOINT_URL": object_store,
        "BOVESPA_RAW_BUCKET": raw_bucket,
        "BOVESPA_REFINED_BUCKET": refined_bucket,
        "BOVESPA_JWT_SECRET": "a-secret-of-more-than-32-characters",
        "BOVESPA_USERS": json.dumps({"ana": generate_password_hash(PASSWORD)}),
        "BOVESPA_B3_URL": b3.url,
        "BOVESPA_PORT": str(free_port()),
        "BOVESPA_DOWNLOAD_TIMEOUT_S": "30",
    }


def bare_environ() -> dict[str, str]:
    """This test's environment, which tests/conftest.py has emptied of settings."""
    return dict(os.environ) | {"PYTHONUNBUFFERED": "1"}


def python(*arguments: str, environ: dict[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environ,
        input=text,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def flask(*arguments: str, environ: dict[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
    return python("-m", "flask", "--app", "app", *arguments, environ=environ, text=text)


class Server:
    """`python app.py` in a process of its own."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.url = f"http://127.0.0.1:{environ['BOVESPA_PORT']}"
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"],
                cwd=PROJECT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_until_it_listens(self) -> None:
        def listens() -> bool:
            assert self.process.poll() is None, self.log()
            return f"listening on {self.url}" in self.log()

        until(listens, timeout_s=30)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)

    def log_in(self) -> dict[str, str]:
        answer = requests.post(f"{self.url}/login", json={"username": "ana", "password": PASSWORD}, timeout=10)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def peak_memory_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


@pytest.fixture
def server(environ: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    started = Server(environ, tmp_path / "api.log")
    try:
        started.wait_until_it_listens()
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.wait()


def test_the_server_does_its_work_in_bounded_memory_and_stops_when_told(server: Server):
    assert requests.get(f"{server.url}/health", timeout=10).json()["status"] == "ok"
    headers = server.log_in()
    answer = requests.get(f"{server.url}/bovespaDay", headers=headers, timeout=60)
    assert answer.json()["status"] == "stored", answer.text
    assert requests.get(f"{server.url}/bovespaDay", headers=headers, timeout=60).json()["status"] == "unchanged"
    assert "Server" not in answer.headers
    assert server.peak_memory_kb() < MEMORY_LIMIT_KB
    assert server.stop() == 0
    log = server.log()
    assert "stopped" in log
    assert "Traceback" not in log
    assert headers["Authorization"].split()[1] not in log
    assert PASSWORD not in log


def test_ctrl_c_stops_the_server_too(server: Server):
    assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.log()


def test_the_server_listens_on_the_loopback_only(server: Server):
    with socket.socket() as probe:
        probe.settimeout(2)
        with pytest.raises(OSError, match=r"refused|unreachable"):
            probe.connect((own_address(), int(server.url.rpartition(":")[2])))


def own_address() -> str:
    """An address of this machine that is not the loopback; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but the loopback")
        address: str = probe.getsockname()[0]
        return address


def test_a_server_that_is_told_to_stop_finishes_the_fetch_under_way(
    server: Server, b3: StandIn, s3: Any, raw_bucket: str
):
    b3.set(faults=[{"fault": "slow_page", "seconds": 2}])
    headers = server.log_in()

    def call() -> None:
        try:
            requests.get(f"{server.url}/bovespaDay", headers=headers, timeout=60)
        except requests.RequestException:
            return  # the server may close the connection before its answer is out; the session is what counts

    caller = threading.Thread(target=call)
    caller.start()
    until(lambda: any("GetPortfolioDay" in request for request in b3.requests), timeout_s=30)
    assert server.stop() == 0
    caller.join(60)
    found = [entry["Key"] for entry in s3.list_objects_v2(Bucket=raw_bucket).get("Contents", [])]
    assert "portfolio/index_code=IBOV/session_date=2025-02-24/portfolio.parquet" in found


def test_a_body_too_large_for_anyone_is_refused_as_a_problem(server: Server):
    answer = requests.post(f"{server.url}/login", json={"username": "x" * 100_000}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_a_port_that_is_taken_is_said_in_one_line(environ: dict[str, str]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environ["BOVESPA_PORT"])))
        taken.listen()
        ended = python("app.py", environ=environ)
    assert ended.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{environ['BOVESPA_PORT']}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "command", [["app.py"], ["-m", "flask", "--app", "app", "run"], ["-m", "flask", "--app", "app", "ingest"]]
)
def test_missing_settings_are_named_at_once_and_end_with_two(command: list[str]):
    ended = python(*command, environ=bare_environ())
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("Error:")]
    for name in REQUIRED:
        assert name in line


def test_a_password_is_hashed_without_any_settings():
    ended = flask("hash-password", "--stdin", environ=bare_environ(), text=f"{PASSWORD}\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    (hashed,) = ended.stdout.splitlines()
    assert hashed.startswith("scrypt:")
    assert check_password_hash(hashed, PASSWORD)


def test_an_empty_password_is_refused():
    ended = flask_command({}, "hash-password", "--stdin", text="\n")
    assert ended.exit_code == 2
    assert ended.stdout == ""


def test_help_lists_the_commands_even_without_settings():
    ended = flask_command({}, "--help")
    assert ended.exit_code == 0
    assert {"hash-password", "ingest"} <= set(ended.stdout.split())


def test_cron_stores_several_indexes_and_tells_each_on_a_line(environ: dict[str, str], raw_bucket: str):
    ended = flask("ingest", "--index", "IBOV", "--index", "SMLL", "--index", "IBOV", environ=environ)
    assert ended.returncode == 0, ended.stderr
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(answer["index"], answer["status"]) for answer in answers] == [("IBOV", "stored"), ("SMLL", "stored")]
    assert answers[0]["raw_uri"].startswith(f"s3://{raw_bucket}/portfolio/index_code=IBOV/")


def test_an_index_that_fails_does_not_keep_the_next_from_being_stored(environ: dict[str, str], b3: StandIn):
    b3.set(faults=[{"fault": "wrong_totals", "times": 1}])
    once = environ | {"BOVESPA_DOWNLOAD_ATTEMPTS": "1"}
    ended = flask("ingest", "--index", "IBOV", "--index", "SMLL", environ=once)
    assert ended.returncode == 1
    failed, stored = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (failed["index"], failed["status"], failed["code"]) == ("IBOV", "failed", "portfolio_does_not_add_up")
    assert (stored["index"], stored["status"]) == ("SMLL", "stored")
    assert "Traceback" not in ended.stderr


def test_cron_is_told_of_an_index_that_does_not_exist(environ: dict[str, str]):
    ended = flask("ingest", "--index", "NOPE", environ=environ)
    assert ended.returncode == 2
    assert "NOPE" in ended.stderr


def test_importing_the_application_needs_nothing_and_is_silent():
    environ = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"}
    code = "import sys, app; sys.exit('pandas' in sys.modules or 'pyspark' in sys.modules)"
    ended = python("-c", code, environ=environ)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
