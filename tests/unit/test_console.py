"""Tables in a terminal: no line is broken and no letter lost, however narrow it is."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys

import pytest

from local.console import columns_that_fit
from tests.conftest import PROJECT

COLUMNS = ("ticker", "company", "participation_pct", "cumulative_pct", "days_since_previous")
ROWS = [("HORN4", "HORIZONTE VA", "10.924", "10.924", 1), ("VENA4", "VENTANIA EDU", None, "15.576", 213156303301)]
SCRIPT = f"from local.console import print_table; print_table({COLUMNS!r}, {ROWS!r}, title='The largest')"
WORDS = [*COLUMNS, "HORN4", "VENA4", "HORIZONTE VA", "VENTANIA EDU", "10.924", "15.576", "213,156,303,301"]


def in_a_terminal(width: int) -> list[str]:
    ours, its = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(width), "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=PROJECT, env=environ, stdout=its) as process:
        os.close(its)
        read = bytearray()
        with contextlib.suppress(OSError):  # which is how Linux tells the end of a terminal
            while True:
                read += os.read(ours, 65536)
    os.close(ours)
    assert process.returncode == 0
    return read.decode().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()


def test_a_wide_terminal_shows_one_table():
    lines = in_a_terminal(120)
    assert sum("ticker" in line for line in lines) == 1
    assert all(any(word in line for line in lines) for word in WORDS)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_shows_tables_below_each_other(width: int):
    lines = in_a_terminal(width)
    assert max(map(len, lines)) <= width
    assert sum("ticker" in line for line in lines) > 1
    assert sum("The largest" in line for line in lines) == 1
    assert all(any(word in line for line in lines) for word in WORDS)


def test_a_pipe_gets_one_table_however_narrow_the_terminal():
    environ = {**os.environ, "COLUMNS": "40"}
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, env=environ, capture_output=True, text=True, check=True
    )
    assert sum("ticker" in line for line in answer.stdout.splitlines()) == 1
    assert all(word in answer.stdout for word in WORDS)


@pytest.mark.parametrize(
    ("widths", "available", "blocks"),
    [
        ((), 80, [()]),
        ((4,), 3, [(0,)]),
        ((4, 5, 6), 80, [(0, 1, 2)]),
        ((4, 5, 6), 16, [(0, 1), (0, 2)]),
        ((4, 5, 6), 25, [(0, 1, 2)]),
        ((4, 5, 6), 24, [(0, 1), (0, 2)]),
        ((4, 50, 6), 20, [(0, 1), (0, 2)]),
    ],
)
def test_columns_are_parted_where_the_line_ends(widths: tuple[int, ...], available: int, blocks: list[tuple[int, ...]]):
    assert columns_that_fit(widths, available) == blocks
