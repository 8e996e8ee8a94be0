"""Charts of the lake: what questions read of it, and what it costs to make it grow and to make it anew."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.pictures import BLUE, GREEN, GREY, INK, VERMILION, logarithmic, picture, plain, rows
from benchmarks.queries import HOLDINGS, MERGED, PORTFOLIO, Asked, again_s, costs_of, questions_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


def growth_chart(figures: Sequence[Mapping[str, Any]], of: str, path: Path) -> Path:
    """Draw what a new session costs after each number of stored ones.

    Args:
        figures: Of `growth`: for each history, the shortest first, `stored`, and `seconds` and `requests` of each new
            session.
        of: The machine.
        path: The file.
    """
    stored = [int(one["stored"]) for one in figures]
    # One step a history: on a scale, logarithmic or not, some would lie upon each other.
    steps = range(len(stored))
    seconds = [list(map(float, one["seconds"])) for one in figures]
    counts = [[float(sum(each.values())) for each in one["requests"]] for one in figures]

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


def ways_chart(figures: Mapping[str, Any], of: str, path: Path) -> Path:
    """Draw what it takes to write the same rows in this project's way, which is the first, and in others.

    Args:
        figures: Of `refining`: `rebuild` and `session` have a list by way, of objects with `seconds`, `partitions` and
            `requests` by kind; `sessions` is how many the rebuild writes.
        of: The machine.
        path: The file.
    """
    names = list(figures["rebuild"])
    panels_of = {
        f"{figures['sessions']} sessions, seconds": _medians(figures["rebuild"], _taken_s),
        "One more, seconds": _medians(figures["session"], _taken_s),
        "S3 requests a partition": _medians(figures["rebuild"], _requests_a_partition),
    }

    def draw_on(panels: list[Axes]) -> None:
        for axes, (unit, values) in zip(panels, panels_of.items(), strict=True):
            rows(axes, names)
            for row, name in enumerate(names):
                axes.plot([values[name]], [row], marker="o", markersize=8, color=GREY if row else BLUE)
                axes.annotate(
                    plain(values[name]), (values[name], row), xytext=(0, 9), textcoords="offset points", ha="center"
                )
            logarithmic(axes, values.values(), room=1.3)
            axes.set_title(unit)

    title = "A rebuild beside other ways to write the same rows"
    subtitle = f"Medians; blue is this project; all scales are logarithmic, less is better\n{of}"
    return picture(path, title, subtitle, draw_on, height_in=0.3 + 0.55 * len(names), panels=3, left_in=1.35)


def _medians(by_way: Mapping[str, Any], value: Callable[[Mapping[str, Any]], float]) -> dict[str, float]:
    return {way: statistics.median(map(value, found)) for way, found in by_way.items()}


def _taken_s(one: Mapping[str, Any]) -> float:
    return float(one["seconds"])


def _requests_a_partition(one: Mapping[str, Any]) -> float:
    return float(sum(count for kind, count in one["requests"].items() if kind.startswith("S3")) / one["partitions"])
