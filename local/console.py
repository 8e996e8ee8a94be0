"""What a person sees in the terminal: one line a finished step with its time, and answers as tables."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


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
    """Write rows to standard output as a table; numbers to the right, NULL as a dash."""
    console = Console(highlight=False)
    table = Table(title=title, title_justify="left", title_style="bold")
    for position, column in enumerate(columns):
        is_number = any(_is_number(row[position]) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    # A table wider than the terminal, or than the 80 columns of a log, would lose letters: give it what it needs.
    console.width = max(console.width, console.measure(table, options=console.options.update(width=1000)).maximum)
    console.print(table)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.replace(".", "", 1).removeprefix("-").isdigit()
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
