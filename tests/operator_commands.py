"""The project's commands in this process: the same commands, without the second that every start of one takes.

That they start, and what they tell their caller by signals, terminal and status, the tests of processes see.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from unittest.mock import patch

from click.testing import CliRunner, Result
from flask.cli import FlaskGroup

from app import create_app
from local.__main__ import main


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


def flask_command(environment: Mapping[str, str], *arguments: object, text: str = "") -> Result:
    """Run a command of `flask --app app` to its end.

    Args:
        environment: Variables besides those of this process.
        arguments: The command's name and what follows it.
        text: Its standard input.
    """
    group = FlaskGroup(create_app=create_app)
    return CliRunner().invoke(
        group, [*map(str, arguments)], input=text, env=environment, prog_name="flask", catch_exceptions=False
    )


def local_command(environment: Mapping[str, str], *arguments: str) -> Ended:
    """Run a command of `python -m local` to its end.

    Args:
        environment: Variables besides those of this process.
        arguments: The command's name and what follows it.
    """
    stdout, stderr, on_sigterm = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    with (
        patch.dict(os.environ, environment),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            status = main(arguments)
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)
    return Ended(status, stdout.getvalue(), stderr.getvalue())
