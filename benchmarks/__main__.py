"""`make bench`: what a session, a history and an archive cost, measured on this machine and compared within one run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks import cotahist, growth, history, importing, latency, merging, parsing, refining, starts
from benchmarks.command import count, machine
from benchmarks.targets import Target
from local.console import Progress, print_table

MEASUREMENTS = ("parsing", "starts", "latency", "growth", "import", "year", "refining", "merging", "cotahist")

_SHOWN: tuple[tuple[str, Callable[[Any], None], Callable[[Any], list[Target]]], ...] = (
    ("parsing", parsing.show, parsing.targets),
    ("starts", starts.show, starts.targets),
    ("latency", latency.show, latency.targets),
    ("growth", growth.show, growth.targets),
    ("import", importing.show, importing.targets),
    ("year", history.show, history.targets),
    ("refining", refining.show, refining.targets),
    ("merging", merging.show, merging.targets),
    ("cotahist", cotahist.show, cotahist.targets),
)

_LENGTHS = ", ".join(map(str, growth.LENGTHS))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="measure this alone; may be repeated")
    parser.add_argument("--times", type=count, default=7, help="measurements behind each median (default: %(default)s)")
    parser.add_argument(
        "--usual", type=count, default=3, help="latency: times to go the usual way, 16 s each (default: %(default)s)"
    )
    parser.add_argument(
        "--new", type=count, default=5, help="growth, refining: new sessions behind each median (default: %(default)s)"
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
        help="import, year, refining: sessions of the archive (default: %(default)s)",
    )
    parser.add_argument(
        "--merged", type=count, default=5000, help="merging: sessions of the compact tables (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print every figure as one line of JSON")
    arguments = parser.parse_args(argv)
    stored = arguments.stored or growth.LENGTHS
    if min(stored) <= growth.FEW:
        parser.error(f"--stored must be more than {growth.FEW}, beside which it is measured")
    arguments.stored = sorted({growth.FEW, *stored})
    if arguments.merged < merging.REFINED:
        parser.error(f"--merged must be at least {merging.REFINED}")
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
    if few is not None or "year" in only:
        with importing.imported(arguments.sessions, progress) as (running, many):
            if few is not None:
                figures["import"] = {"few": few, "many": asdict(many)}
            if "year" in only:
                figures["year"] = history.measure(running, progress)
    figures |= _measure_writing(only, arguments, progress)
    if "cotahist" in only:
        figures["cotahist"] = cotahist.measure(arguments.times, progress)
    return figures


def _measure_writing(only: Collection[str], arguments: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    if "refining" in only:
        figures["refining"] = refining.measure(arguments.sessions, arguments.new, progress)
    if "merging" in only:
        figures["merging"] = merging.measure(arguments.merged, progress)
    return figures


if __name__ == "__main__":
    sys.exit(main())
