"""The style of all plots: sizes, fonts, a palette that is safe for colour-blind readers, a light grid, a title with a
text on how to read the plot, and shortened untrusted names.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# In the SVG each colour is a CSS variable, see CSS_VARIABLES, with this colour as the fallback.
PLOT_INK, PLOT_SOFT, PLOT_GRID, PLOT_CARD = "#1a1a1a", "#5f6b7a", "#dde3ea", "#ffffff"


# M. Okabe and K. Ito, Color Universal Design (2008); amber is a little darker, for contrast on white.
BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY = "#0072b2", "#d55e00", "#009e73", "#b8649a", "#d18f00", "#56b4e9"


GROUP_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY)


CSS_VARIABLES = {
    PLOT_INK: "--ink",
    PLOT_SOFT: "--soft",
    PLOT_GRID: "--line",
    PLOT_CARD: "--card",
    BLUE: "--plot-blue",
    VERMILION: "--plot-vermilion",
    GREEN: "--plot-green",
    PURPLE: "--plot-purple",
    AMBER: "--plot-amber",
    SKY: "--plot-sky",
}


FIGURE_WIDTH = 8.0  # inches: 800 px at 100 per inch


FONT_SMALL, FONT_NORMAL, FONT_LARGE = 8.0, 9.0, 12.0  # points; 8 points are 11 px in a plot 800 px wide


_LINE_LENGTH = 116  # characters of normal size in the width of the figure


_MARGIN = 0.08  # inches


_RC_PARAMS: dict[str, Any] = {
    "figure.facecolor": "none",
    "figure.dpi": 100,
    "savefig.facecolor": "auto",
    "font.family": ["DejaVu Sans"],
    "font.size": FONT_NORMAL,
    "text.color": PLOT_INK,
    "text.parse_math": False,  # ids can contain dollar signs
    "axes.facecolor": "none",
    "axes.edgecolor": PLOT_SOFT,
    "axes.labelcolor": PLOT_INK,
    "axes.labelsize": FONT_NORMAL,
    "axes.linewidth": 0.7,
    "axes.titlesize": FONT_NORMAL,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": PLOT_GRID,
    "grid.linewidth": 0.7,
    "xtick.color": PLOT_SOFT,
    "ytick.color": PLOT_SOFT,
    "xtick.labelcolor": PLOT_INK,
    "ytick.labelcolor": PLOT_INK,
    "xtick.labelsize": FONT_SMALL,
    "ytick.labelsize": FONT_SMALL,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.fontsize": FONT_SMALL,
    "legend.frameon": False,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.6,
    "legend.borderaxespad": 0.3,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "lines.markeredgewidth": 0,
}


@contextmanager
def use_plot_style() -> Iterator[None]:
    """Apply matplotlib's defaults and the style above, without the user's matplotlibrc; also a decorator."""
    import matplotlib

    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_RC_PARAMS}
    del settings["backend"]  # setting a backend would load it
    with matplotlib.rc_context(settings):
        yield


def create_figure(title: str, reading: str, height: float) -> Figure:
    """Create a figure 800 px wide with a title and a text on how to read it; height: of the plot itself, in inches."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from mos.plots.notebook import NotebookFigure

    lines = textwrap.wrap(reading, _LINE_LENGTH)
    total = height + 0.36 + 0.165 * len(lines) + _MARGIN
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, height / total), w_pad=_MARGIN, h_pad=_MARGIN, wspace=0.02)
    figure = NotebookFigure(figsize=(FIGURE_WIDTH, total), layout=layout)
    figure.set_label(title)
    left, top = _MARGIN / FIGURE_WIDTH, 1 - _MARGIN / total
    figure.text(left, top, title, size=FONT_LARGE, weight="bold", va="top")
    figure.text(left, top - 0.27 / total, "\n".join(lines), color=PLOT_SOFT, va="top", linespacing=1.3)
    return figure


def fix_layout(figure: Figure) -> float:
    """Remove the automatic layout, which is slow for many panels; returns the top of the panels, 0..1 of the height."""
    engine = figure.get_layout_engine()
    top = engine.get()["rect"][3] if engine is not None else 1.0
    figure.set_layout_engine("none")
    return float(top)


def create_empty_figure(title: str, reason: str) -> Figure:
    """Create the figure that replaces a plot without data; reason: a phrase such as 'no ratings'."""
    figure = create_figure(title, "", 0.6)
    fix_layout(figure)
    figure.text(
        0.5, 0.3 / figure.get_figheight(), f"Nothing to show: {reason}.", color=PLOT_SOFT, ha="center", va="center"
    )
    return figure


def draw_legend(axes: Axes, columns: int = 5) -> None:
    """Draw the legend in a row above the axes, where it covers no data; none if nothing has a label."""
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)
        for text in legend.get_texts():
            text.set_parse_math(False)


def label_rows(axes: Axes, rows: list[float], names: list[str]) -> None:
    """Write untrusted names, already shortened, at the left of the rows of a plot."""
    axes.set_yticks(rows, names, parse_math=False)
    axes.tick_params(axis="y", length=0)


def label_columns(axes: Axes, columns: list[float], names: list[str]) -> None:
    """Write untrusted names, already shortened, vertically below the columns of a plot."""
    axes.set_xticks(columns, names, parse_math=False, rotation=90)
    axes.tick_params(axis="x", length=0)


def describe_missing(shown: NDArray[Any], what: str, wanting: str) -> str:
    """A sentence about the elements that are not `shown` [N] bool; empty if all are shown.

    >>> describe_missing(np.array([True, False]), "items", "a score")
    ' Not shown for want of a score: 1 of 2 items.'
    """
    missing = len(shown) - np.count_nonzero(shown)
    return f" Not shown for want of {wanting}: {missing:,} of {len(shown):,} {what}." if missing else ""


# XML forbids control characters, surrogates and non-characters; direction marks would reorder the text after them.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def shorten_name(name: str, width: int = 24) -> str:
    """The name in at most `width` columns, its middle replaced by an ellipsis where it is longer.

    Ids mostly differ at their ends.  Wide letters and emoji count as two columns; unprintable characters become U+FFFD.

    >>> shorten_name("session-2024-11-03/participant-0017", 16)
    'session-…nt-0017'
    """
    # Cut very long names first: only their ends are shown.
    ends = name if len(name) <= 4 * width else name[: 2 * width] + name[-2 * width :]
    text = _UNPRINTABLE.sub("\ufffd", ends)
    if _display_width(text) <= width and ends is name:
        return text
    head = _take_fitting_letters(text, width // 2)
    tail = _take_fitting_letters(reversed(text), width - 1 - width // 2)[::-1]
    return f"{head}…{tail}"


def _take_fitting_letters(letters: Iterable[str], width: int) -> str:
    """The longest prefix that fits into `width` columns."""
    taken: list[str] = []
    for letter in letters:
        width -= _display_width(letter)
        if width < 0:
            break
        taken.append(letter)
    return "".join(taken)


def _display_width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
