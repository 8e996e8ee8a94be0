"""What a person sees in the terminal: one line a finished step with its time, and answers as tables."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

_BORDERS = 3
"""Characters of a table beside a column's own: a space on each side, and a line."""


class Progress:
    """Writes a line for each finished step to standard error, so that standard output holds only the answer."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._started = time.monotonic()
        self.timings_s: dict[str, float] = {}
        """Seconds that each phase took, by name."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the body and keep it in `timings_s` under *name*."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.timings_s[name] = round(time.monotonic() - started, 3)

    def say(self, line: str) -> None:
        """Write *line* with the seconds since the start before it."""
        # Not as markup: file names and messages may hold brackets.
        self._console.print(f"{time.monotonic() - self._started:7.1f} s  {line}", markup=False, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> None:
    """Write rows to standard output as a table; numbers to the right, NULL as a dash.

    A terminal that is too narrow for all columns gets them in several tables below each other, each with the first
    column. A file or a pipe gets one table, however wide.
    """
    console = Console(highlight=False)
    cells = [[_text(value) for value in row] for row in rows]
    widths = [
        max(cell_len(column), *(cell_len(row[position]) for row in cells), 0) for position, column in enumerate(columns)
    ]
    width = sum(widths) + _BORDERS * len(widths) + 1
    blocks = columns_that_fit(widths, console.width) if console.is_terminal else [tuple(range(len(columns)))]
    # Rich would cut off letters where a table is wider than it takes the output to be.
    console.width = max(console.width, width)
    for block in blocks:
        table = Table(title=title if block is blocks[0] else None, title_justify="left", title_style="bold")
        for position in block:
            is_number = any(_is_number(row[position]) for row in rows)
            table.add_column(columns[position], justify="right" if is_number else "left", no_wrap=True)
        for row in cells:
            table.add_row(*(row[position] for position in block))
        console.print(table)


def columns_that_fit(widths: Sequence[int], available: int) -> list[tuple[int, ...]]:
    """Part columns into tables, of which each has the first column and is not wider than *available*, if that can be.

    Args:
        widths: Characters that each column's longest cell takes.
        available: Characters of a line.
    """
    if not widths:
        return [()]
    blocks: list[tuple[int, ...]] = []
    block, used = [0], widths[0] + _BORDERS + 1
    for position, width in enumerate(widths[1:], 1):
        if len(block) > 1 and used + width + _BORDERS > available:
            blocks.append(tuple(block))
            block, used = [0], widths[0] + _BORDERS + 1
        block.append(position)
        used += width + _BORDERS
    return [*blocks, tuple(block)]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.replace(".", "", 1).removeprefix("-").isdigit()
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
