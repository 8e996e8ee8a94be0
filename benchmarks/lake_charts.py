"""Charts of the lake: what questions read of it, and what it costs to make it grow and to make it anew."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from benchmarks.pictures import BLUE, GREEN, GREY, INK, VERMILION, duration, logarithmic, picture, plain, rows, times
from benchmarks.queries import HOLDINGS, MERGED, PORTFOLIO, Asked, again_s, costs_of, questions_of

_MARKS = {PORTFOLIO: (VERMILION, "s"), HOLDINGS: (BLUE, "o"), MERGED: (GREEN, "^")}


def queries_chart(figures: Sequence[Mapping[str, Any]], of: str, path: Path) -> Path:
    """Draw what the figures of `queries` say of each question: files, bytes and seconds of each table."""
    costs, names = costs_of(figures), questions_of(figures)
    units: Mapping[str, Callable[[Asked], float]] = {
        "Files read": lambda one: one.files,
        "Megabytes read": lambda one: one.scanned_bytes / 1e6,
        "Seconds, asked again": again_s,
    }

    def draw_on(panels: list[Axes]) -> None:
        for axes, (unit, value) in zip(panels, units.items(), strict=True):
            rows(axes, names)
            for row, name in enumerate(names):
                found = [value(costs[name, table]) for table in _MARKS]
                axes.hlines(row, min(found), max(found), color=GREY, linewidth=1)
            for table, (colour, mark) in _MARKS.items():
                found = [value(costs[name, table]) for name in names]
                axes.plot(found, range(len(names)), mark, color=colour, markersize=7, label=table)
            logarithmic(axes, (value(one) for one in costs.values()))
            axes.set_title(unit)
        panels[0].legend(
            loc="upper left", bbox_to_anchor=(-0.02, -0.055), ncols=3, fontsize=9, handletextpad=0.2, columnspacing=1.2
        )

    title = "A year asked of portfolio, of holdings, and of holdings merged"
    subtitle = f"Ten named queries and the number of rows; all scales are logarithmic, less is better\n{of}"
    return picture(path, title, subtitle, draw_on, height_in=4.0, panels=3, left_in=2.15)


def growth_chart(figures: Any, of: str, path: Path) -> Path:
    """Draw what a new session costs after each number of stored ones.

    Args:
        figures: Of `growth`: in it, however deep, an object for each history with `stored`, and with `seconds` and
            `requests` of each new session.
        of: The machine.
        path: The file.
    """
    histories = sorted(_objects(figures, "stored", "seconds", "requests"), key=lambda one: int(one["stored"]))
    stored = [int(one["stored"]) for one in histories]
    # One step a history: on a scale, logarithmic or not, some would lie upon each other.
    steps = range(len(stored))
    seconds = [list(map(float, one["seconds"])) for one in histories]
    counts = [[float(sum(each.values())) for each in one["requests"]] for one in histories]

    def draw_on(panels: list[Axes]) -> None:
        for axes, unit, values, colour in zip(
            panels, ("Seconds of its run", "Requests of its run"), (seconds, counts), (BLUE, VERMILION), strict=True
        ):
            medians = [statistics.median(each) for each in values]
            axes.vlines(steps, list(map(min, values)), list(map(max, values)), color=colour, alpha=0.35, linewidth=6)
            axes.plot(steps, medians, marker="o", color=colour, linewidth=2)
            for x, y, most in zip(steps, medians, map(max, values), strict=True):
                axes.annotate(
                    plain(y), (x, most), xytext=(0, 6), textcoords="offset points", ha="center", color=INK, fontsize=9
                )
            axes.set_xticks(steps, [f"{one:,}" for one in stored])
            axes.set_xlim(-0.5, len(stored) - 0.5)
            axes.set_ylim(0, 1.25 * max(map(max, values)))
            axes.grid(visible=True, axis="y")
            axes.set_title(unit)
            axes.set_xlabel("Sessions stored before it")

    title = "One new session beside a growing history"
    subtitle = f"Median and range of {len(seconds[0])} new sessions after each number of stored ones\n{of}"
    return picture(path, title, subtitle, draw_on, height_in=2.9, panels=2, left_in=0.55, gap=0.18, share_y=False)


def rebuild_chart(figures: Any, of: str, path: Path) -> Path:
    """Draw how long each way takes to write the same rows.

    Args:
        figures: Of `rebuild`: in it, however deep, an object for each way with `way`, its name, and `seconds`.
        of: The machine.
        path: The file.
    """
    ways = dict(sorted(ways_of(figures), key=itemgetter(1)))
    least_s = min(ways.values())

    def draw_on(panels: list[Axes]) -> None:
        (axes,) = panels
        rows(axes, ways)
        for row, seconds in enumerate(ways.values()):
            axes.hlines(row, least_s, seconds, color=BLUE, linewidth=3)
            axes.plot([seconds], [row], marker="o", markersize=8, color=BLUE)
            told = f"{duration(seconds)}, {times(seconds / least_s)}"
            axes.annotate(told, (seconds, row), xytext=(9, 0), textcoords="offset points", va="center", fontsize=9)
        logarithmic(axes, ways.values(), room=6)
        axes.set_xlabel("Seconds (logarithmic)")

    title = "A rebuild beside other ways to write the same rows"
    subtitle = f"Median seconds, and how many times those of the fastest\n{of}"
    return picture(path, title, subtitle, draw_on, height_in=0.4 + 0.45 * len(ways), left_in=2.5)


def ways_of(figures: Any) -> Iterator[tuple[str, float]]:
    """Yield each way that the figures of `rebuild` name, and the median of its seconds."""
    for one in _objects(figures, "way", "seconds"):
        taken = one["seconds"]
        yield one["way"], statistics.median(taken) if isinstance(taken, list) else float(taken)


def _objects(figures: Any, *names: str) -> Iterator[Mapping[str, Any]]:
    """Yield every object in *figures* that has all these members."""
    if isinstance(figures, Mapping):
        if figures.keys() >= set(names):
            yield figures
        else:
            yield from (found for each in figures.values() for found in _objects(each, *names))
    elif isinstance(figures, list):
        yield from (found for each in figures for found in _objects(each, *names))
