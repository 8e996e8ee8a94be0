"""One file of B3, read: our parser, which proves what it reads, beside `pandas.read_csv`, which believes it."""

from __future__ import annotations

import datetime as dt
import io
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd  # type: ignore[import-untyped]

from benchmarks.targets import Target
from bovespa.portfolio_csv import parse_csv
from local.console import Progress, print_table
from local.synthetic import synthetic_csv

INDEX_CODE, SESSION_DATE = "IBOV", dt.date(2025, 2, 3)
FILES_A_MEASUREMENT = 50
_BOUND_TIMES = 2.0
"""What the proof may cost beside a reader in C that proves nothing."""


def measure(times: int, progress: Progress) -> dict[str, Any]:
    """Read one file again and again, both ways in turn; no cloud is needed."""
    content = synthetic_csv(INDEX_CODE, SESSION_DATE)
    shares = len(parse_csv(content).holdings)
    ways: dict[str, Callable[[], int]] = {
        "ours_ms": lambda: len(parse_csv(content).holdings),
        "pandas_ms": lambda: len(_read_with_pandas(content, shares)),
    }
    rows = {way: read() for way, read in ways.items()}
    if len(set(rows.values())) != 1:
        raise RuntimeError(f"both were to read the same shares, not {rows}")
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(times):
        for way, read in ways.items():
            started_s = time.perf_counter()
            for _ in range(FILES_A_MEASUREMENT):
                read()
            found[way].append(1000 * (time.perf_counter() - started_s) / FILES_A_MEASUREMENT)
    progress.say(f"{times} times {FILES_A_MEASUREMENT} files of {shares} shares, with ours and with pandas")
    return {"shares": shares, **found}


def show(figures: Mapping[str, Any]) -> None:
    """Print what `measure` found."""
    names = {
        "pandas_ms": "pandas.read_csv, floats, no check",
        "ours_ms": "our parser: exact, every line and both totals checked",
    }
    least = statistics.median(figures["pandas_ms"])
    rows = []
    for key, name in names.items():
        median = statistics.median(figures[key])
        rows.append((name, len(figures[key]), f"{median:.2f}", f"{median / least:.2f}"))
    print_table(("what", "n", "ms_a_file", "times_pandas"), rows, title=f"A file of {figures['shares']} shares, read")


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return what was to be reached."""
    ratio = statistics.median(figures["ours_ms"]) / statistics.median(figures["pandas_ms"])
    return [Target("parsing and proving, beside pandas.read_csv", ratio, "times", _BOUND_TIMES)]


def _read_with_pandas(content: bytes, shares: int) -> pd.DataFrame:
    """Title and totals left out, numbers in Brazil's form, by pandas' fast engine, which must be told where to stop."""
    return pd.read_csv(
        io.BytesIO(content),
        sep=";",
        encoding="latin-1",
        skiprows=1,
        nrows=shares,
        engine="c",
        decimal=",",
        thousands=".",
        index_col=False,
    )
