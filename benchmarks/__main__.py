"""`make bench`: what a session, a history and an archive cost, measured on this machine and compared within one run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks import cotahist, growth, importing, latency, parsing, queries, starts
from benchmarks.command import count, machine
from benchmarks.targets import Target
from local.console import Progress, print_table

MEASUREMENTS = ("parsing", "starts", "latency", "growth", "import", "queries", "cotahist")

_SHOWN: tuple[tuple[str, Callable[[Any], None], Callable[[Any], list[Target]]], ...] = (
    ("parsing", parsing.show, parsing.targets),
    ("starts", starts.show, starts.targets),
    ("latency", latency.show, latency.targets),
    ("growth", growth.show, growth.targets),
    ("import", importing.show, importing.targets),
    ("queries", queries.show, queries.targets),
    ("cotahist", cotahist.show, cotahist.targets),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="measure this alone; may be repeated")
    parser.add_argument("--times", type=count, default=7, help="measurements behind each median (default: %(default)s)")
    parser.add_argument(
        "--usual", type=count, default=3, help="latency: times to go the usual way, 16 s each (default: %(default)s)"
    )
    parser.add_argument(
        "--new", type=count, default=5, help="growth: new sessions behind each median (default: %(default)s)"
    )
    parser.add_argument(
        "--stored", type=count, default=1000, help="growth: raw sessions of the long history (default: %(default)s)"
    )
    parser.add_argument(
        "--sessions", type=count, default=250, help="import, queries: sessions of the archive (default: %(default)s)"
    )
    parser.add_argument(
        "--again", type=count, default=3, help="queries: times to ask each again (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print every figure as one line of JSON")
    arguments = parser.parse_args(argv)
    least = growth.FEW + arguments.new + 1
    if arguments.stored < least:
        parser.error(f"--stored must be at least {least} with --new {arguments.new}")
    only = arguments.only or MEASUREMENTS
    figures: dict[str, Any] = {
        "machine": machine(),
        "command": " ".join(["python -m benchmarks", *(sys.argv[1:] if argv is None else argv)]),
        **measure(only, arguments, Progress()),
    }
    targets = [target for name, _, reached in _SHOWN if name in only for target in reached(figures[name])]
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.write(f"{figures['machine']}\n{figures['command']}\n\n")
        for name, show, _ in _SHOWN:
            if name in only:
                show(figures[name])
        print_table(("target", "measured", "bound", "verdict"), [target.row() for target in targets], title="Targets")
    return 0 if all(target.is_reached for target in targets) else 1


def measure(only: Collection[str], arguments: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Return the figures of each measurement named in *only*, each in a cloud that is started for it."""
    figures: dict[str, Any] = {}
    if "parsing" in only:
        figures["parsing"] = parsing.measure(arguments.times, progress)
    if "starts" in only:
        figures["starts"] = starts.measure(arguments.times, progress)
    if "latency" in only:
        figures["latency"] = latency.measure(arguments.times, arguments.usual, progress)
    if "growth" in only:
        figures["growth"] = growth.measure(arguments.new, arguments.stored, progress)
    few = importing.measure_few(progress) if "import" in only else None
    if few is not None or "queries" in only:
        with importing.imported(arguments.sessions, progress) as (running, many):
            if few is not None:
                figures["import"] = {"few": few, "many": asdict(many)}
            if "queries" in only:
                figures["queries"] = queries.measure(running, arguments.again, progress)
    if "cotahist" in only:
        figures["cotahist"] = cotahist.measure(arguments.times, progress)
    return figures


if __name__ == "__main__":
    sys.exit(main())
