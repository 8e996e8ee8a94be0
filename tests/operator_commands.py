"""`flask --app app ...` in this process: the same command, without the second that every start of it takes.

That it starts, and what it tells its caller by signals, terminal and status, the tests of processes see.
"""

from __future__ import annotations

from collections.abc import Mapping

from click.testing import CliRunner, Result
from flask.cli import FlaskGroup

from app import create_app


def flask_command(environment: Mapping[str, str], *arguments: object) -> Result:
    """Run a command of `app` to its end.

    Args:
        environment: Variables besides those of this process.
        arguments: The command's name and what follows it.
    """
    group = FlaskGroup(create_app=create_app)
    return CliRunner().invoke(group, [*map(str, arguments)], env=environment, prog_name="flask", catch_exceptions=False)
