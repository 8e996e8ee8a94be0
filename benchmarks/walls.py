"""`make demo` and `make test` as somebody waits for them, on a machine on which everything is installed."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.targets import Target
from bovespa.errors import BovespaError
from local.cloud import PROJECT
from local.console import Progress, print_table
from local.processes import stop_group

COMMANDS = ("demo", "test")
TEST_BOUND_S = 360.0

_TIMEOUT_S = 3600.0
_STOP_TIMEOUT_S = 30.0
_OF_AN_OUTER_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS")
"""With these, `make bench ARGS=...` would hand its own arguments to the tests."""


class CommandFailed(BovespaError):
    """A command did not succeed; the message shows its last words."""

    code = "command_failed"


def measure(times: int, progress: Progress, folder: Path = PROJECT) -> dict[str, list[float]]:
    """Call the commands *times* times in *folder*, in turns; return the seconds of each call, by command.

    Raises:
        CommandFailed: One ended with an error, or not at all.
    """
    taken_s: dict[str, list[float]] = {f"make {command}": [] for command in COMMANDS}
    for number in range(1, times + 1):
        for command in COMMANDS:
            taken_s[f"make {command}"].append(wall_s(command, folder))
            progress.say(f"make {command}, {number} of {times}: {taken_s[f'make {command}'][-1]:.0f} s")
    return taken_s


def wall_s(command: str, folder: Path) -> float:
    """Return the seconds from the start of `make <command>` in *folder* to its end.

    Raises:
        CommandFailed: It ended with an error, or not within an hour.
    """
    program = shutil.which("make")
    if program is None:
        raise CommandFailed("make is not installed, so what it runs cannot be timed.")
    environ = {name: value for name, value in os.environ.items() if name not in _OF_AN_OUTER_MAKE}
    with tempfile.TemporaryFile() as words:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - our own Makefile
            [program, command],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            # So that what it has started can be stopped with it.
            start_new_session=True,
        )
        try:
            status = process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"make {command} in {folder} was not over after {_TIMEOUT_S:g} s.") from None
        finally:
            stop_group(process, timeout_s=_STOP_TIMEOUT_S)
        taken_s = time.perf_counter() - started
        if status != 0:
            words.seek(0)
            said = words.read().decode(errors="replace")[-2000:]
            raise CommandFailed(f"make {command} in {folder} ended with {status}:\n{said}")
    return taken_s


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return what was to be reached."""
    return [Target("make test, median", statistics.median(figures["make test"]), "s", TEST_BOUND_S)]


def show(figures: Mapping[str, Any]) -> None:
    """Print what `measure` found."""
    rows = [
        (name, len(taken_s), *(f"{fold(taken_s):.1f}" for fold in (statistics.median, min, max)))
        for name, taken_s in figures.items()
    ]
    print_table(("command", "n", "median_s", "min_s", "max_s"), rows, title="Walls")
