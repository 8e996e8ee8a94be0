"""How every chart looks: the notebooks' colours and letters, 800 points wide, as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people with any kind of colour vision tell apart, and greys.
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
INK, GREY, MIST, PAPER = "#222222", "#767676", "#E4E4E4", "#FFFFFF"

_DPI = 100
_WIDTH_IN = 8.0
_FEW_POWERS = 30
"""A smaller range has too few powers of ten to read values from."""
_HEAD_IN, _PANEL_TITLE_IN, _FOOT_IN = 0.85, 0.25, 0.62
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": GREY,
    "ytick.color": INK,
    "grid.color": MIST,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "figure.dpi": _DPI,
    "savefig.dpi": _DPI,
    # The same figures give the same file.
    "svg.hashsalt": "bovespa",
}


def picture(
    path: Path,
    title: str,
    subtitle: str,
    draw: Any,
    *,
    height_in: float,
    panels: int = 1,
    left_in: float = 2.5,
    gap: float = 0.12,
    share_y: bool = True,
    right_in: float = 0.25,
) -> Path:
    """Write one chart.

    Args:
        path: The file; its suffix says the format.
        title: What is to be seen.
        subtitle: Of what, and in which unit.
        draw: Is given the panels, a list of `Axes`.
        height_in: Of the panels.
        panels: How many stand side by side.
        left_in: Room for names on the left.
        gap: Between panels, in parts of one.
        share_y: Whether the panels have one list of names.
        right_in: Room on the right.

    Returns:
        *path*.
    """
    # Not whoever only measures shall wait for it.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_STYLE):
        head_in = _HEAD_IN + (_PANEL_TITLE_IN if panels > 1 else 0)
        whole_in = head_in + height_in + _FOOT_IN
        figure = Figure(figsize=(_WIDTH_IN, whole_in))
        grid = figure.add_gridspec(
            1,
            panels,
            left=left_in / _WIDTH_IN,
            right=1 - right_in / _WIDTH_IN,
            top=1 - head_in / whole_in,
            bottom=_FOOT_IN / whole_in,
            wspace=gap,
        )
        figure.text(0.02, 1 - 0.12 / whole_in, title, va="top", fontsize=13, fontweight="bold")
        figure.text(0.02, 1 - 0.42 / whole_in, subtitle, va="top", fontsize=9, color=GREY)
        draw(list(grid.subplots(sharey=share_y, squeeze=False)[0]))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


def rows(axes: Axes, names: Iterable[str]) -> None:
    """Give *axes* one row a name, the first on top."""
    named = list(names)
    axes.set_yticks(range(len(named)), named)
    axes.set_ylim(len(named) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")


def logarithmic(axes: Axes, values: Iterable[float], *, room: float = 1.0) -> None:
    """Give *axes* a logarithmic axis around *values*, with *room* times the largest on the right."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator  # noqa: PLC0415

    every = list(values)
    axes.set_xscale("log")
    axes.set_xlim(min(every) / 1.6, max(every) * 1.6 * room)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    if max(every) < _FEW_POWERS * min(every):
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))


def plain(value: float) -> str:
    """Return a number as people write it: no exponent, no digits that say nothing."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return *seconds* in the unit that suits them."""
    return f"{1000 * seconds:.0f} ms" if seconds < 0.1 else f"{plain(seconds)} s"


def times(ratio: float) -> str:
    """Return how many times something is."""
    return f"\N{MULTIPLICATION SIGN}{plain(ratio)}"
