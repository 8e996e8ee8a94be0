"""Peak memory of processes, from Linux's own bookkeeping."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

_PROC = Path("/proc")
_LOOK_S = 0.02


def peak_memory_mb(pid: int) -> float:
    """Return the most physical memory that process *pid* has held so far, in MB (10^6 bytes)."""
    status = (_PROC / str(pid) / "status").read_text(encoding="utf-8")
    match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"process {pid} has no VmHWM; this needs Linux")
    return int(match[1]) * 1024 / 1e6


def peak_memory_until_end_mb(process: subprocess.Popen[bytes]) -> float:
    """Wait for the end of *process*; return the most physical memory that it has held, in MB, to the last look.

    What the kernel tells after the end would do, if it did not begin with the memory of the process that started it.
    """
    peak = 0.0
    while True:
        with contextlib.suppress(OSError, RuntimeError):  # it ended since the last look, or has not begun
            peak = max(peak, peak_memory_mb(process.pid))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
            return peak


def descendants(pid: int, marker: str) -> Iterator[int]:
    """Yield the descendants of *pid* whose command line holds *marker*, and all of their descendants."""
    parents = dict(_parents())
    children = {child for child in parents if pid in _ancestors(child, parents)}
    roots = {child for child in children if marker in _command_line(child)}
    yield from (child for child in children if child in roots or roots & set(_ancestors(child, parents)))


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while (pid := parents.get(pid, 0)) > 0:
        yield pid


def _parents() -> Iterator[tuple[int, int]]:
    """Every process that is not a zombie, with its parent."""
    for folder in _PROC.glob("[0-9]*"):
        try:
            # The name in brackets may hold blanks, so what follows it is split.
            state, parent, *_ = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it ended between the listing and the look
            continue
        if state != "Z":
            yield int(folder.name), int(parent)


def _command_line(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
