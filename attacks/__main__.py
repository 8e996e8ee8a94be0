"""`make attack`: run every attack against the API on this machine, print the table, and fail if one gets in."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from attacks import aftermath, guessing, reach, shapes, tokens
from attacks.table import Attack
from attacks.target import Target, running_target
from local.cloud import running_cloud
from local.console import Progress, print_table

EVERY: tuple[Attack, ...] = (
    *tokens.attacks(),
    *shapes.attacks(),
    *reach.attacks(),
    *guessing.attacks(),
    *aftermath.attacks(),
)
GROUPS = tuple(dict.fromkeys(attack.group for attack in EVERY))


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the printed table."""

    group: str
    name: str
    sent: str
    expected: str
    seen: str
    verdict: str
    """`held` or `GOT IN`."""


def perform(attacks: Sequence[Attack], target: Target) -> list[Result]:
    """Perform *attacks* one after the other."""
    results = []
    for attack in attacks:
        outcome = attack.perform(target)
        verdict = "held" if outcome.held else "GOT IN"
        results.append(Result(attack.group, attack.name, attack.sent, attack.expected, outcome.seen, verdict))
    return results


def main(argv: Sequence[str] | None = None) -> int:
    """Attack, print, and return 1 if an attack got in."""
    parser = argparse.ArgumentParser(prog="python -m attacks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help=f"an attack's name, or a group ({', '.join(GROUPS)}); may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print the table as one line of JSON")
    arguments = parser.parse_args(argv)
    chosen = [attack for attack in EVERY if not arguments.only or {attack.group, attack.name} & set(arguments.only)]
    if unknown := set(arguments.only or ()) - {name for attack in chosen for name in (attack.group, attack.name)}:
        parser.error(f"no attack and no group is named {', '.join(sorted(unknown))}")
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="bovespa-attacks-") as folder, running_cloud(warm=False) as cloud:
        progress.say("cloud deployed")
        with running_target(
            cloud.aws_environment,
            endpoint_url=cloud.endpoint_url,
            raw_bucket=cloud.outputs["RawBucketName"],
            refined_bucket=cloud.outputs["RefinedBucketName"],
            work_dir=Path(folder),
        ) as target:
            progress.say("API under attack")
            results = perform(chosen, target)
            progress.say(f"{len(results)} attacks")
    got_in = sum(result.verdict != "held" for result in results)
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(result) for result in results]) + "\n")
    else:
        columns = ("group", "attack", "sent", "expected", "seen", "verdict")
        print_table(columns, [tuple(asdict(result).values()) for result in results])
        sys.stdout.write(f"{len(results)} attacks, {got_in} got in\n")
    return 1 if got_in else 0


if __name__ == "__main__":
    sys.exit(main())
