"""What a command for AWS says where there is no AWS to reach: the next step, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

COMMANDS = ["deploy", "rebuild", "redrive"]


def said(command: str, tmp_path: Path, *arguments: str, **extra: str) -> str:
    """The standard error of a command that finds neither region nor credentials, nor a host that has them."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ |= {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": f"{tmp_path}/config",
        "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials",
    }
    answer = subprocess.run(
        [sys.executable, "-m", f"infrastructure.{command}", *arguments],
        cwd=PROJECT,
        env=environ | extra,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "Traceback" not in answer.stderr
    return answer.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_region_the_setting_is_named(command: str, tmp_path: Path) -> None:
    assert said(command, tmp_path) == "error: Set AWS_DEFAULT_REGION or give --region.\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_without_credentials_the_way_to_get_them_is_told(command: str, tmp_path: Path) -> None:
    line = said(command, tmp_path, "--region", "sa-east-1")
    assert line.startswith("error: No AWS credentials were found.")
    assert "AWS_PROFILE" in line
    assert "make demo" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_profile_that_is_not_there_is_named(command: str, tmp_path: Path) -> None:
    line = said(command, tmp_path, "--region", "sa-east-1", AWS_PROFILE="nobody")
    assert line.startswith("error: ")
    assert "nobody" in line
    assert "~/.aws/config" in line
