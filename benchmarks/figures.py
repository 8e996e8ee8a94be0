"""Figures of earlier runs, read from what `--json` printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from bovespa.errors import InvalidRequest


class UnreadableFigures(InvalidRequest):
    """A file holds no figures; the message names it."""

    code = "unreadable_figures"


def read_figures(
    files: Iterable[Path], known: Collection[str], joined: Mapping[str, Callable[[Any, Any], Any]]
) -> dict[str, Any]:
    """Return the figures of all *files* together; of a measurement that is in several, those of the last.

    Args:
        files: Each what `python -m benchmarks --json` printed.
        known: The names of measurements.
        joined: What instead makes one of two figures of a measurement, both of one machine; it raises ValueError where
            they do not belong together.

    Raises:
        UnreadableFigures: A file cannot be read, is something else, or does not belong to those before it.
    """
    figures: dict[str, Any] = {}
    commands = []
    for path in files:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UnreadableFigures(f"{path} cannot be read as JSON: {error}") from error
        if not isinstance(found, dict) or not {"machine", "command"} <= found.keys() or not found.keys() & set(known):
            raise UnreadableFigures(f"{path} is not what `python -m benchmarks --json` prints.")
        commands.append(found["command"])
        twice = [name for name in joined if name in figures and name in found]
        if twice and found["machine"] != figures["machine"]:
            raise _stranger(path, f"measured on {found['machine']}, not on {figures['machine']}")
        try:
            figures |= found | {name: joined[name](figures[name], found[name]) for name in twice}
        except ValueError as error:
            raise _stranger(path, error) from error
    return figures | {"command": "\n".join(commands)}


def _stranger(path: Path, why: object) -> UnreadableFigures:
    return UnreadableFigures(f"{path} does not belong to the files before it: {why}")
