"""`make load`: many callers at once, then one session after the other, against the API of this machine."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.command import count, machine
from benchmarks.runs import no_events
from benchmarks.targets import Target
from load import crowd, soak
from local.console import Progress, print_table
from local.pipeline import running_pipeline

CROWD_INDEXES = ("IBOV", "SMLL", "IDIV")
"""Three of them compete for the two places for a browser."""
SOAK_INDEX = "IBXX"
USERS = 10
"""A hash of a password takes a while to make."""


def main(argv: Sequence[str] | None = None) -> int:
    """Load, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m load", description=__doc__)
    parser.add_argument("--seconds", type=count, default=60, help="how long the clients call (default: %(default)s)")
    parser.add_argument("--clients", type=_clients, default=50, help="how many call at once (default: %(default)s)")
    parser.add_argument(
        "--soak",
        type=partial(count, least=0),
        default=300,
        metavar="N",
        help="sessions that are collected one after the other, 0 for none (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print every figure as one line of JSON")
    arguments = parser.parse_args(argv)
    figures: dict[str, Any] = {
        "machine": machine(),
        "command": " ".join(["python -m load", *(sys.argv[1:] if argv is None else argv)]),
        **measure(arguments.seconds, arguments.clients, arguments.soak, Progress()),
    }
    reached = targets(figures)
    if arguments.json:
        sys.stdout.write(json.dumps(figures, default=asdict) + "\n")
    else:
        sys.stdout.write(f"{figures['machine']}\n{figures['command']}\n\n")
        crowd.show(figures["crowd"])
        if "soak" in figures:
            soak.show(figures["soak"])
        print_table(("target", "measured", "bound", "verdict"), [target.row() for target in reached], title="Targets")
    return 0 if all(target.is_reached for target in reached) else 1


def measure(seconds: int, clients: int, sessions: int, progress: Progress) -> dict[str, Any]:
    """Return the figures of the crowd, and of the soak if there is one, in one pipeline that is started for it."""
    users = {f"caller{number}": secrets.token_urlsafe(12) for number in range(1, min(clients, USERS) + 1)}
    # A short path: the browsers' own folders are below it.
    with tempfile.TemporaryDirectory(prefix="bovespa-load-") as folder:
        temp_dir = Path(folder)
        with (
            running_pipeline(users=users, api_temp_dir=temp_dir, warm=False, report=progress.say) as running,
            # What Spark does afterwards would share the cores, and is not the API's work.
            no_events(running.cloud),
        ):
            running.stand_in.set(today=soak.FIRST_DAY)
            figures = {"crowd": crowd.measure(running, crowd.callers(users, clients), CROWD_INDEXES, seconds=seconds)}
            progress.say(f"{clients} clients for {seconds} s")
            if sessions:
                figures["soak"] = soak.measure(running, SOAK_INDEX, sessions, progress, temp_dir=temp_dir)
                progress.say(f"{sessions} sessions, one after the other")
    return figures


def targets(figures: dict[str, Any]) -> list[Target]:
    """Return what was to be reached."""
    return crowd.targets(figures["crowd"]) + (soak.targets(figures["soak"]) if "soak" in figures else [])


def _clients(text: str) -> int:
    """A number of clients for which there are loopback addresses."""
    number = count(text)
    if number > crowd.MOST_CALLERS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {crowd.MOST_CALLERS}")
    return number


if __name__ == "__main__":
    sys.exit(main())
