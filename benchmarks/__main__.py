"""`make bench`: what a session, a history and an archive cost, measured on this machine and compared within one run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import charts, cotahist, growth, importing, latency, merging, parsing, queries, refining, starts, walls
from benchmarks.command import count, machine
from benchmarks.figures import UnreadableFigures, read_figures
from benchmarks.targets import Target
from benchmarks.ways import WAYS
from local.cloud import PROJECT
from local.console import Progress, print_table

MEASUREMENTS = ("parsing", "starts", "latency", "growth", "import", "queries", "refining", "merging", "cotahist")
ONLY_IF_ASKED = ("walls",)
"""Measured with `--only` alone: it runs every test."""

_SHOWN: tuple[tuple[str, Callable[[Any], None], Callable[[Any], list[Target]]], ...] = (
    ("parsing", parsing.show, parsing.targets),
    ("starts", starts.show, starts.targets),
    ("latency", latency.show, latency.targets),
    ("growth", growth.show, growth.targets),
    ("import", importing.show, importing.targets),
    ("queries", queries.show, queries.targets),
    ("refining", refining.show, refining.targets),
    ("merging", merging.show, merging.targets),
    ("cotahist", cotahist.show, cotahist.targets),
    ("walls", walls.show, walls.targets),
)

_LENGTHS = ", ".join(map(str, growth.LENGTHS))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=(*MEASUREMENTS, *ONLY_IF_ASKED),
        metavar="WHAT",
        help=f"measure this alone ({', '.join((*MEASUREMENTS, *ONLY_IF_ASKED))}); may be repeated "
        "(walls is measured in no other way)",
    )
    parser.add_argument("--times", type=count, default=7, help="measurements behind each median (default: %(default)s)")
    parser.add_argument(
        "--usual", type=count, default=3, help="latency: times to go the usual way, 16 s each (default: %(default)s)"
    )
    parser.add_argument(
        "--new", type=count, default=20, help="growth, refining: new sessions behind each median (default: %(default)s)"
    )
    parser.add_argument(
        "--stored",
        type=count,
        action="append",
        help=f"growth: sessions of a history beside one of {growth.FEW}; may be repeated (default: {_LENGTHS})",
    )
    parser.add_argument(
        "--sessions",
        type=count,
        default=250,
        help="import, queries, refining: sessions of the archive (default: %(default)s)",
    )
    parser.add_argument(
        "--archives", type=count, default=1, help="refining: archives behind each median (default: %(default)s)"
    )
    parser.add_argument(
        "--again", type=count, default=3, help="queries: times to ask each again (default: %(default)s)"
    )
    parser.add_argument(
        "--merged", type=count, default=5000, help="merging: sessions of the compact tables (default: %(default)s)"
    )
    parser.add_argument(
        "--way",
        action="append",
        choices=list(WAYS),
        help="refining: compare with this way alone; may be repeated (default: all; spark takes long at 250 sessions)",
    )
    parser.add_argument("--json", action="store_true", help="print every figure as one line of JSON")
    parser.add_argument(
        "--charts",
        type=Path,
        default=PROJECT / "build" / "bench",
        metavar="FOLDER",
        help="draw the figures into this folder (default: build/bench)",
    )
    parser.add_argument(
        "--figures",
        type=Path,
        action="append",
        metavar="FILE",
        help="measure nothing: show and draw what --json printed before; may be repeated, and archives of several "
        "files count together",
    )
    arguments = parser.parse_args(argv)
    stored = arguments.stored or growth.LENGTHS
    if min(stored) <= growth.FEW:
        parser.error(f"--stored must be more than {growth.FEW}, beside which it is measured")
    arguments.stored = sorted({growth.FEW, *stored})
    if arguments.merged < merging.REFINED:
        parser.error(f"--merged must be at least {merging.REFINED}")
    progress = Progress()
    only: Collection[str]
    if arguments.figures:
        try:
            known = [name for name, _, _ in _SHOWN]
            figures = read_figures(arguments.figures, known, joined={"refining": refining.joined})
        except UnreadableFigures as error:
            parser.error(str(error))
        only = [name for name in arguments.only or (*MEASUREMENTS, *ONLY_IF_ASKED) if name in figures]
    else:
        only = arguments.only or MEASUREMENTS
        figures = {
            "machine": machine(),
            "command": " ".join(["python -m benchmarks", *(sys.argv[1:] if argv is None else argv)]),
            **measure(only, arguments, progress),
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
    for path in charts.draw({name: figures[name] for name in ("machine", *only)}, arguments.charts):
        progress.say(f"drawn: {path}")
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
    figures |= _measure_writing(only, arguments, progress)
    if "cotahist" in only:
        figures["cotahist"] = cotahist.measure(arguments.times, progress)
    if "walls" in only:
        figures["walls"] = walls.measure(arguments.times, progress)
    return figures


def _measure_writing(only: Collection[str], arguments: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    if "refining" in only:
        figures["refining"] = refining.measure(
            arguments.sessions, arguments.new, arguments.archives, arguments.way or list(WAYS), progress
        )
    if "merging" in only:
        figures["merging"] = merging.measure(arguments.merged, progress)
    return figures


if __name__ == "__main__":
    sys.exit(main())
