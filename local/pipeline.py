"""The whole pipeline on one machine: the cloud, B3's stand-in and the API, started and stopped in order."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

from api.passwords import hash_password
from bovespa.errors import ConfigurationError
from local.b3_stand_in import StandIn, running_stand_in
from local.cloud import PROJECT, Cloud, free_port, running_cloud
from local.enforcement import api_credentials
from local.processes import stop_group

DEMO_USER = "demo"

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0


class ApiDidNotStart(RuntimeError):
    """The API's process ended, or did not answer in time; the message shows its last words."""


@dataclass(frozen=True)
class Pipeline:
    """Everything that is running, and how to reach it."""

    api_url: str
    cloud: Cloud
    stand_in: StandIn
    username: str
    password: str = field(repr=False)
    environment: dict[str, str] = field(repr=False)
    """The variables with which `flask --app app ...`, boto3 and `python -m local query` reach this pipeline."""
    api_process: subprocess.Popen[bytes] = field(repr=False)

    def describe(self) -> dict[str, object]:
        """Return the contract's description of a running pipeline, as `python -m local up --json` prints it."""
        return {
            "api": self.api_url,
            "b3": self.stand_in.url,
            "aws": self.cloud.endpoint_url,
            "username": self.username,
            "password": self.password,
            "environment": self.environment,
        }


@contextlib.contextmanager
def running_pipeline(
    *,
    sessions: Path | None = None,
    cotahist: Path | None = None,
    data: Path | None = None,
    port: int = 0,
    today: dt.date | None = None,
    faults: bool = False,
    seeding: bool = False,
    users: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    api_temp_dir: Path | None = None,
    warm: bool = True,
    report: Callable[[str], None] = lambda _line: None,
) -> Iterator[Pipeline]:
    """Run everything for the body of the `with`.

    Args:
        sessions: Folder of B3's CSV files for the stand-in; None for synthetic sessions.
        cotahist: Folder of B3's records of trading days; None looks in *sessions*, and without that invents them.
        data: Folder in which buckets and state survive a restart; None for a cloud that leaves nothing behind.
        port: The API's loopback port; 0 takes a free one.
        today: The stand-in's day.
        faults: Whether the cloud's calls can be spoiled (`local.cloud_faults`).
        seeding: Whether many objects and partitions can be put by one call (`local.seeding`).
        users: More users beside the demo user, name to password.
        settings: Of the API, by their variables, where they are not to be the defaults.
        api_temp_dir: Where the API's process has its temporary files; None leaves it to the system.
        warm: Whether to start Spark at once; otherwise the first run starts it.
        report: Receives a line for each step.

    Raises:
        ApiDidNotStart: The API did not come up.
        CloudDidNotStart: The cloud did not come up.
        ConfigurationError: Java or a browser is missing, or *port* is somebody else's.
    """
    if port:
        _require_free(port)
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(running_cloud(data=data, faults=faults, seeding=seeding, warm=warm))
        report(f"cloud at {cloud.endpoint_url}, stack deployed")
        stand_in = stack.enter_context(running_stand_in(sessions, today=today, cotahist=cotahist))
        report(f"B3's stand-in at {stand_in.url}")
        password = secrets.token_urlsafe(12)
        environment = _environment(cloud, stand_in, {DEMO_USER: password, **(users or {})}) | dict(settings or {})
        # The API's own process has no more rights than the template gives it.
        caller = api_credentials(cloud.client("iam"), cloud.outputs["ApiPolicyArn"])
        temporary = {} if api_temp_dir is None else {"TMPDIR": str(api_temp_dir)}
        api_url, process = stack.enter_context(
            running_api(environment | caller.environment | temporary, port or free_port(), cloud.work_dir)
        )
        report(f"API at {api_url}")
        yield Pipeline(api_url, cloud, stand_in, DEMO_USER, password, environment, process)


def _require_free(port: int) -> None:
    """Before anything starts: whoever has the port would answer in the API's place, and be taken for it."""
    with socket.socket() as probe:
        # As the API does: what only lingers after a connection is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigurationError(
                f"Port {port} cannot be had ({reason}): give another with --port, or none for a free one."
            ) from error


def _environment(cloud: Cloud, stand_in: StandIn, passwords: Mapping[str, str]) -> dict[str, str]:
    return {
        **cloud.aws_environment,
        "BOVESPA_RAW_BUCKET": cloud.outputs["RawBucketName"],
        "BOVESPA_REFINED_BUCKET": cloud.outputs["RefinedBucketName"],
        "BOVESPA_DATABASE": cloud.outputs["DatabaseName"],
        "BOVESPA_GLUE_JOB": cloud.outputs["GlueJobName"],
        "BOVESPA_JWT_SECRET": secrets.token_urlsafe(48),
        "BOVESPA_USERS": json.dumps({name: hash_password(password) for name, password in passwords.items()}),
        "BOVESPA_B3_URL": stand_in.url,
        "BOVESPA_COTAHIST_URL": stand_in.cotahist_url,
    }


@contextlib.contextmanager
def running_api(
    environment: dict[str, str], port: int, work_dir: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `python app.py`, the API as it is served in production, for the body of the `with`.

    Args:
        environment: Its settings and AWS's own variables; those of this process do not reach it.
        port: Its loopback port.
        work_dir: Gets its log, `api.log`.

    Raises:
        ApiDidNotStart: It did not come up; the message shows its last words.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOVESPA_"))}
    # An operator's choice of browser holds here too; everything else is this pipeline's own.
    environ |= {name: os.environ[name] for name in ("BOVESPA_BROWSER",) if name in os.environ}
    environ |= environment | {"BOVESPA_HOST": "127.0.0.1", "BOVESPA_PORT": str(port)}
    log_path = work_dir / "api.log"
    with log_path.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=PROJECT,
            env=environ,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(url, process, log_path)
        yield url, process
    finally:
        stop_group(process, timeout_s=_STOP_TIMEOUT_S)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    pause = threading.Event()
    answer = "no answer"
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            response = requests.get(f"{url}/health", timeout=5)
            if response.ok:
                return
            answer = response.text
        pause.wait(0.05)
    words = log_path.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise ApiDidNotStart(f"The API did not start at {url} (exit status {process.poll()}, {answer}):\n{words}")
