"""The processes of this machine, and who started whom."""

from __future__ import annotations

import contextlib
from pathlib import Path


def commands() -> dict[int, str]:
    """Command lines of the living processes, by their numbers."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                found[int(entry.name)] = (entry / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
    return {pid: command for pid, command in found.items() if command}


def descendants(pid: int) -> dict[int, str]:
    """Command lines of the processes that *pid* started, and those that they started."""
    living = commands()
    parents = {}
    for one in living:
        with contextlib.suppress(OSError):
            parents[one] = int(Path(f"/proc/{one}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    found: set[int] = set()
    while new := {one for one, parent in parents.items() if parent in {pid, *found}} - found:
        found |= new
    return {one: living[one] for one in found}
