"""Figures of the benchmarks as charts, from what was measured now or from the JSON of an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.lake_charts import growth_chart, queries_chart, ways_chart
from benchmarks.session_charts import alternatives_chart, stages_chart

_CHARTS: tuple[tuple[str, str, Callable[[Any, str, Path], Path]], ...] = (
    ("latency", "stages", stages_chart),
    ("latency", "alternatives", alternatives_chart),
    ("queries", "queries", queries_chart),
    ("growth", "growth", growth_chart),
    ("refining", "refining", ways_chart),
)
"""Measurement, name of the file, and what draws it."""


def draw(figures: Mapping[str, Any], folder: Path, *, suffix: str = ".svg") -> list[Path]:
    """Draw all that *figures*, as `--json` prints them, hold figures for.

    Args:
        figures: By measurement; those that have no chart are passed over.
        folder: Is made, if it is not there.
        suffix: Of the files: `.svg` or `.png`.

    Returns:
        The files.
    """
    of = str(figures.get("machine", ""))
    return [chart(figures[name], of, folder / f"{file}{suffix}") for name, file, chart in _CHARTS if name in figures]
