"""The cloud on one machine: start it, deploy the template to it, talk to it with boto3, stop it without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

from infrastructure.deploy import deploy
from local.aws_environment import REGION, aws_environment
from local.processes import stop_group
from local.spark_pool import POOL_VARIABLE
from local.spark_settings import require_java

PROJECT = Path(__file__).resolve().parent.parent

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0


class CloudDidNotStart(RuntimeError):
    """The emulator's process ended, or did not answer in time; the message shows its last words."""


@dataclass(frozen=True)
class Cloud:
    """A running local cloud."""

    endpoint_url: str
    work_dir: Path
    """Logs of the emulator and of each Spark run."""
    process: subprocess.Popen[bytes] = field(repr=False)
    outputs: Mapping[str, str]
    """The stack's outputs; empty when nothing was deployed."""
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def aws_environment(self) -> dict[str, str]:
        """AWS's own variables with which any client, boto3 included, reaches this cloud."""
        return aws_environment(self.endpoint_url)

    def client(self, service: str) -> Any:
        """Return the boto3 client of *service* in this cloud: one, because making it costs more than most requests."""
        if service not in self._clients:
            self._clients[service] = client(service, self.endpoint_url)
        return self._clients[service]


def client(service: str, endpoint_url: str) -> Any:
    """Return a boto3 client of *service* at *endpoint_url*."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - opens nothing but this machine's emulator
        config=Config(retries={"mode": "standard"}, max_pool_connections=32),
    )


@contextlib.contextmanager
def running_cloud(
    *,
    data: Path | None = None,
    port: int = 0,
    deployed: bool = True,
    warm: bool = True,
    requests_log: Path | None = None,
    faults: bool = False,
    seeding: bool = False,
    report: Callable[[str], None] = lambda _line: None,
) -> Iterator[Cloud]:
    """Run the local cloud for the body of the `with`.

    Args:
        data: Folder in which buckets and state survive a restart; None for a cloud that leaves nothing behind.
        port: Loopback port; 0 takes a free one.
        deployed: Whether to deploy `infrastructure/template.yaml`.
        warm: Whether to start Spark at once; otherwise the first run starts it.
        requests_log: File that gets a line for each request (`local.request_log`); None for no such file.
        faults: Whether its calls can be spoiled (`local.cloud_faults`).
        seeding: Whether many objects and partitions can be put by one call (`local.seeding`).
        report: Receives a line for each step of the deployment.

    Raises:
        CloudDidNotStart: The emulator did not come up, or cannot with *data*.
        ConfigurationError: Java is missing.
    """
    require_java()
    if data is not None:
        _require_state(data)
    port = port or free_port()
    work_dir = Path(tempfile.mkdtemp(prefix="bovespa-cloud-"))
    try:
        process = _start(port, data, work_dir, warm=warm, requests_log=requests_log, faults=faults, seeding=seeding)
        try:
            endpoint_url = f"http://127.0.0.1:{port}"
            _wait_until_ready(endpoint_url, process, work_dir)
            outputs = _deploy(endpoint_url, report) if deployed else {}
            yield Cloud(endpoint_url, work_dir, process, outputs)
        finally:
            stop_group(process, timeout_s=_STOP_TIMEOUT_S)
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)


class _LocalSession(boto3.Session):  # type: ignore[misc]  # boto3 has no types
    """A session whose every client talks to one local cloud, whatever the process's environment says."""

    def __init__(self, endpoint_url: str) -> None:
        super().__init__(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)  # noqa: S106
        self._endpoint_url = endpoint_url

    def client(self, service_name: str, **arguments: Any) -> Any:
        return super().client(service_name, **{"endpoint_url": self._endpoint_url, **arguments})


def _deploy(endpoint_url: str, report: Callable[[str], None]) -> Mapping[str, str]:
    """Deploy what AWS gets: the very template, named queries and views."""
    outputs = deploy(_LocalSession(endpoint_url), report=report)
    if outputs is None:
        raise AssertionError("a deployment that nobody was asked about cannot have been declined")
    return outputs


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _require_state(data: Path) -> None:
    """Refuse a folder that has buckets and no stack that knows them: none can be deployed over them."""
    objects, stacks = data / "s3", data / "state" / "cloudformation.json"
    known = json.loads(stacks.read_text(encoding="utf-8"))["payload"]["stacks"]["data"] if stacks.exists() else {}
    if objects.is_dir() and any(objects.iterdir()) and not known:
        raise CloudDidNotStart(
            f"{data} was left by a local cloud that was killed before its first deployment was over: its buckets "
            "belong to no stack, and nothing was collected into them yet. Remove the folder, then start again."
        )


def _start(
    port: int,
    data: Path | None,
    work_dir: Path,
    *,
    warm: bool,
    requests_log: Path | None,
    faults: bool,
    seeding: bool,
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "local.cloud_server", "--port", str(port), "--work", str(work_dir)]
    if not warm:
        command.append("--cold")
    if faults:
        command.append("--faults")
    if seeding:
        command.append("--seeding")
    if POOL_VARIABLE in os.environ:
        command += ["--spark-pool", os.environ[POOL_VARIABLE]]
    if requests_log is not None:
        command += ["--requests", str(requests_log.resolve())]
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        command += ["--data", str(data.resolve())]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOVESPA_"))}
    environ |= aws_environment(f"http://127.0.0.1:{port}")
    # Whatever emulator, Lambda and Spark leave behind goes with this folder.
    environ["TMPDIR"] = str(work_dir)
    environ["PYTHONWARNINGS"] = "ignore"
    with (work_dir / "cloud.log").open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=PROJECT,
            env=environ,
            # Ctrl-C in the terminal reaches only the parent, which stops the cloud in its own order.
            start_new_session=True,
        )


def _wait_until_ready(endpoint_url: str, process: subprocess.Popen[bytes], work_dir: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{endpoint_url}/_ministack/ready", timeout=2).ok:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    words = (work_dir / "cloud.log").read_text(encoding="utf-8", errors="replace")[-2000:]
    raise CloudDidNotStart(f"The local cloud did not start at {endpoint_url} (exit status {process.poll()}):\n{words}")
