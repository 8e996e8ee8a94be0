"""An object store and a Glue on this machine: the emulator as a process of its own, one for the whole test run."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests

from local.cloud import free_port
from tests.until import until


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 and a Glue that forget everything when the tests end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("object-store")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOVESPA_"))}
    environ |= {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,glue",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            try:
                return requests.get(f"{url}/_ministack/health", timeout=2).ok
            except requests.ConnectionError:
                return False

        until(answers, timeout_s=60, every_s=0.05)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def _in_the_object_store(object_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client made in this test talks to the object store, as an operator would have it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_store)


@pytest.fixture
def s3(_in_the_object_store: None) -> Any:
    return boto3.client("s3")


@pytest.fixture
def glue(_in_the_object_store: None) -> Any:
    return boto3.client("glue")


def _new_bucket(s3: Any, purpose: str) -> str:
    name = f"{purpose}-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def raw_bucket(s3: Any) -> str:
    return _new_bucket(s3, "raw")


@pytest.fixture
def refined_bucket(s3: Any) -> str:
    return _new_bucket(s3, "refined")
