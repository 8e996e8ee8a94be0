"""Charts of one session: where its time goes, and what it takes beside its alternatives."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.latency import alternatives
from benchmarks.pictures import BLUE, GREEN, GREY, ORANGE, PURPLE, duration, logarithmic, picture, rows, times
from benchmarks.stages import stations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"API and browser": BLUE, "function": ORANGE, "job": GREEN, "caller": PURPLE}


def stages_chart(figures: Mapping[str, Any], of: str, path: Path) -> Path:
    """Draw where the time of a session goes, from latency's figures: each stage begins where the last one ended."""
    taken_s = {stage: statistics.median(values) for stage, values in figures["stages_s"].items()}
    ends_s = list(accumulate(taken_s.values()))
    n = len(next(iter(figures["stages_s"].values())))

    def draw_on(panels: list[Axes]) -> None:
        (axes,) = panels
        rows(axes, taken_s)
        seen: set[str] = set()
        for row, (stage, seconds) in enumerate(taken_s.items()):
            station = stations()[stage]
            label = None if station in seen else station
            seen.add(station)
            axes.barh(row, seconds, left=ends_s[row] - seconds, height=0.62, color=_COLOURS[station], label=label)
            told = f"{seconds:.3f} s" if seconds < 0.1 else f"{seconds:.2f} s"
            # Beside the bar, where there is more room.
            is_late = ends_s[row] > 0.8 * ends_s[-1]
            place, side = (ends_s[row] - seconds, "right") if is_late else (ends_s[row], "left")
            axes.annotate(
                f"{told}, {_part(seconds / ends_s[-1])}",
                (place, row),
                xytext=(-5 if is_late else 5, 0),
                textcoords="offset points",
                va="center",
                ha=side,
                fontsize=9,
            )
        axes.set_xlim(0, ends_s[-1] * 1.02)
        axes.set_xlabel("Seconds since the request")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.005, -0.005), fontsize=9, title="Told by", alignment="left")

    title = "From the request to the row in SQL, stage by stage"
    subtitle = f"Until what is done; median of each stage, {n} sessions one after the other\n{of}"
    return picture(path, title, subtitle, draw_on, height_in=4.4, left_in=2.75)


def alternatives_chart(figures: Mapping[str, Any], of: str, path: Path) -> Path:
    """Draw what latency's figures say of a session and its alternatives: how many times the floor each takes."""
    names = dict(
        sorted(((name, statistics.median(values)) for name, values in alternatives(figures)), key=itemgetter(1))
    )
    floor_s = statistics.median(figures["plain_http_s"])

    def draw_on(panels: list[Axes]) -> None:
        (axes,) = panels
        rows(axes, names)
        for row, (name, seconds) in enumerate(names.items()):
            colour = BLUE if "bovespaDay" in name or "request to" in name else GREY
            axes.hlines(row, floor_s, seconds, color=colour, linewidth=3)
            axes.plot([seconds], [row], marker="o", markersize=8, color=colour)
            axes.annotate(
                f"{duration(seconds)}, {times(seconds / floor_s)}",
                (seconds, row),
                xytext=(9, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        logarithmic(axes, names.values(), room=7)
        axes.set_xlabel("Seconds (logarithmic)")

    title = "One session beside its alternatives"
    subtitle = f"Median seconds, and how many times those of a plain HTTP client; blue is this pipeline\n{of}"
    return picture(path, title, subtitle, draw_on, height_in=3.3, left_in=2.85)


def _part(part: float) -> str:
    return f"{part:.0%}" if part >= 0.01 else "under 1%"
