"""What the scripts that write `portfolio` in other ways have in common: where to, and one answer for each file of rows.

Everything here is of the standard library, because one of them runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

PARTITION_KEYS = ["index_code", "session_date", "ticker"]
"""Of `portfolio`, as in `glue.schema`, which the environment of one of the scripts cannot import."""


@dataclass(frozen=True, slots=True)
class Target:
    """The table to write: it is in the catalog already, with the columns and partition keys of `portfolio`."""

    bucket: str
    prefix: str
    """Of the table's location, with a slash at its end."""
    database: str
    table: str


def parser() -> argparse.ArgumentParser:
    """Return the parser of what every way is told."""
    found = argparse.ArgumentParser()
    for name in ("bucket", "prefix", "database", "table"):
        found.add_argument(f"--{name}", required=True)
    return found


def serve(write: Callable[[Target, str], None]) -> None:
    """Write the rows of each Parquet file that standard input names, and answer each with a line."""
    target = Target(**vars(parser().parse_args()))
    answer("ready")
    for line in sys.stdin:
        write(target, line.strip())
        answer("written")


def answer(word: str) -> None:
    """Tell the process that waits."""
    sys.stdout.write(json.dumps({"done": word}) + "\n")
    sys.stdout.flush()
