"""`make faults`: each fault injected into the running pipeline, and what was lost or wrong afterwards."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence

from benchmarks.runs import no_events, run
from faults.b3 import B3_FAULTS, B3Fault, attempt_b3
from faults.chain import CHAIN_FAULTS
from faults.files import Files
from faults.image import Image, image_of
from faults.matrix import ChainFault, Entry, Outcome, attempt
from faults.restart import CLOUD_KILLED, attempt_restart
from faults.scene import Scene
from local.cloud import running_cloud
from local.console import Progress, print_table
from local.pipeline import running_pipeline

COLUMNS = ("fault", "injected", "expected", "seen", "lost", "wrong")


def main(argv: Sequence[str] | None = None) -> int:
    """Try the faults, print the table, and return 1 if anything was lost or wrong."""
    every: tuple[B3Fault | Entry, ...] = (*B3_FAULTS, *CHAIN_FAULTS, CLOUD_KILLED)
    names = [fault.name for fault in every]
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="FAULT",
        help="try this alone (--list names all); may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    parser.add_argument("--json", action="store_true", help="print every outcome as one line of JSON")
    arguments = parser.parse_args(argv)
    chosen = [fault for fault in every if fault.name in (arguments.only or names)]
    if arguments.list:
        print_table(COLUMNS[:3], [(fault.name, fault.injected, fault.expected) for fault in chosen])
        return 0
    # As Ctrl-C: what was started is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    outcomes = try_all(chosen, Progress())
    if arguments.json:
        sys.stdout.write(json.dumps({"outcomes": [one.as_json() for one in outcomes]}) + "\n")
    else:
        print_table(COLUMNS, [row(one) for one in outcomes], title="What happens when something fails")
    return 0 if all(one.is_good for one in outcomes) else 1


def row(outcome: Outcome) -> tuple[str, ...]:
    """Return the cells of the table."""
    told = [outcome.name, outcome.injected, outcome.expected, outcome.seen]
    return (*told, "; ".join(outcome.lost) or "nothing", "; ".join(outcome.wrong) or "nothing")


def try_all(chosen: Sequence[B3Fault | Entry], progress: Progress) -> list[Outcome]:
    """Try *chosen*, one after the other: in one pipeline started for them, but for those that end theirs."""
    after_bucket = [fault for fault in chosen if not isinstance(fault, B3Fault)]
    images = untroubled(after_bucket, progress) if after_bucket else {}
    outcomes = []

    def keep(outcome: Outcome) -> None:
        outcomes.append(outcome)
        verdict = "as expected" if outcome.is_good else "; ".join((*outcome.lost, *outcome.wrong))
        progress.say(f"{outcome.name}  {outcome.elapsed_s:.1f} s  {verdict}")

    together = [fault for fault in chosen if fault is not CLOUD_KILLED]
    if together:
        with running_pipeline(faults=True) as running:
            progress.say("pipeline is running")
            for fault in together:
                if isinstance(fault, B3Fault):
                    keep(attempt_b3(fault, running))
                elif isinstance(fault, ChainFault):
                    keep(attempt(fault, running, images[fault.name]))
    if CLOUD_KILLED in chosen:
        keep(attempt_restart(images[CLOUD_KILLED.name]))
    return outcomes


def untroubled(chosen: Sequence[Entry], progress: Progress) -> Mapping[str, Image]:
    """Return what the lake holds of each fault's files when nothing fails."""
    with running_cloud() as cloud:
        with no_events(cloud):
            for fault in chosen:
                scene = Scene(cloud, {}, fault.index_code)
                for portfolio in fault.stored(Files.of(fault.index_code)):
                    scene.store(portfolio)
        run(cloud)
        images = {fault.name: image_of(cloud, fault.index_code) for fault in chosen}
    progress.say(f"{len(images)} untroubled lakes to compare with")
    return images


if __name__ == "__main__":
    sys.exit(main())
