"""One look for every plot: sizes, fonts, a palette safe for the colour-blind, a light grid, a title, how to read it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Each colour stands in the SVG as the CSS variable of that name, with itself as the fallback.
INK, SOFT, LINE, CARD = "#1a1a1a", "#5f6b7a", "#dde3ea", "#ffffff"
# M. Okabe and K. Ito, Color Universal Design (2008); amber a little darker, to be seen on white.
BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY = "#0072b2", "#d55e00", "#009e73", "#b8649a", "#d18f00", "#56b4e9"
GROUPS = (BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY)
VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    CARD: "--card",
    BLUE: "--plot-blue",
    VERMILION: "--plot-vermilion",
    GREEN: "--plot-green",
    PURPLE: "--plot-purple",
    AMBER: "--plot-amber",
    SKY: "--plot-sky",
}

WIDTH = 8.0  # inches: 800 px at 100 per inch
SMALL, NORMAL, LARGE = 8.0, 9.0, 12.0  # points; 8 are 11 px where the plot is 800 px wide
_LINE_LENGTH = 116  # characters of the normal size across the width
_MARGIN = 0.08  # inches

_STYLE: dict[str, Any] = {
    "figure.facecolor": "none",
    "figure.dpi": 100,
    "savefig.facecolor": "auto",
    "font.family": ["DejaVu Sans"],
    "font.size": NORMAL,
    "text.color": INK,
    "text.parse_math": False,  # ids may hold dollar signs
    "axes.facecolor": "none",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.labelsize": NORMAL,
    "axes.linewidth": 0.7,
    "axes.titlesize": NORMAL,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.6,
    "legend.borderaxespad": 0.3,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "lines.markeredgewidth": 0,
}


@contextmanager
def look() -> Iterator[None]:
    """matplotlib's own defaults and the style above, whatever the person's matplotlibrc says; also a decorator."""
    import matplotlib

    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_STYLE}
    del settings["backend"]  # to choose one is to load it
    with matplotlib.rc_context(settings):
        yield


def sheet(title: str, reading: str, height: float) -> Figure:
    """An empty figure 800 px wide with a title and, below it, what to look for; height: of the rest, in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    lines = textwrap.wrap(reading, _LINE_LENGTH)
    total = height + 0.36 + 0.165 * len(lines) + _MARGIN
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, height / total), w_pad=_MARGIN, h_pad=_MARGIN, wspace=0.02)
    figure = Figure(figsize=(WIDTH, total), layout=layout)
    figure.set_label(title)
    left, top = _MARGIN / WIDTH, 1 - _MARGIN / total
    figure.text(left, top, title, size=LARGE, weight="bold", va="top")
    figure.text(left, top - 0.27 / total, "\n".join(lines), color=SOFT, va="top", linespacing=1.3)
    return figure


def fix_layout(figure: Figure) -> float:
    """Give up the automatic layout, slow for many panels; where the panels may reach up to, 0..1 of the height."""
    engine = figure.get_layout_engine()
    top = engine.get()["rect"][3] if engine is not None else 1.0
    figure.set_layout_engine("none")
    return float(top)


def nothing(title: str, reason: str) -> Figure:
    """What stands in place of a plot that has no data; reason: half a sentence, such as 'no ratings'."""
    figure = sheet(title, "", 0.6)
    fix_layout(figure)
    figure.text(0.5, 0.3 / figure.get_figheight(), f"Nothing to show: {reason}.", color=SOFT, ha="center", va="center")
    return figure


def key(axes: Axes, columns: int = 5) -> None:
    """The legend, in a row above the axes, where it covers no data; none where nothing has a label."""
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)
        for text in legend.get_texts():
            text.set_parse_math(False)


def name_rows(axes: Axes, rows: list[float], names: list[str]) -> None:
    """Untrusted names, already shortened, beside the rows of a plot."""
    axes.set_yticks(rows, names, parse_math=False)
    axes.tick_params(axis="y", length=0)


def name_columns(axes: Axes, columns: list[float], names: list[str]) -> None:
    """Untrusted names, already shortened, upright below the columns of a plot."""
    axes.set_xticks(columns, names, parse_math=False, rotation=90)
    axes.tick_params(axis="x", length=0)


def left_out(shown: np.ndarray, what: str, wanting: str) -> str:
    """A sentence to append about what is not `shown` [N] bool; empty where nothing is missing.

    >>> left_out(np.array([True, False]), "items", "a score")
    ' Not shown for want of a score: 1 of 2 items.'
    """
    missing = len(shown) - np.count_nonzero(shown)
    return f" Not shown for want of {wanting}: {missing:,} of {len(shown):,} {what}." if missing else ""
