"""How well two halves of the raters agree, and what more raters would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mos.plots.style import BLUE, VERMILION, key, look, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLE = "Agreement between two halves of the raters"


@look()
def split_half_curve(
    raters: np.ndarray,
    srcc: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    extrapolated: tuple[np.ndarray, np.ndarray] | None = None,
) -> Figure:
    """Spearman correlation (SRCC) of the scores of two disjoint groups of raters, against their size.

    raters: [K] in each of the two groups; srcc, low, high: [K] mean and interval over random splits, -1..1, NaN where
    there is none; extrapolated: number of raters and the correlation that the Spearman-Brown formula expects
    """
    from matplotlib.ticker import MaxNLocator

    known = np.isfinite(srcc)
    if not known.any():
        return nothing(_TITLE, "fewer than two raters an item, or fewer than two items")
    order = np.argsort(raters[known], kind="stable")
    x, y, least, most = (values[known][order] for values in (raters, srcc, low, high))
    reading = (
        "If the study were repeated with other raters of the same kind, ranks of its items would agree this well. "
        f"With {x[-1]:g} rater{'s' * bool(x[-1] != 1)} in each half: {y[-1]:.3f}."
    )
    figure = sheet(_TITLE, reading, 3.6)
    axes = figure.add_subplot()
    drawn = [y, least[np.isfinite(least)]]
    axes.fill_between(x, least, most, color=BLUE, alpha=0.2, linewidth=0, label="interval over splits")
    axes.vlines(x, least, most, color=BLUE, linewidth=0.8, alpha=0.6)
    axes.plot(x, y, "o-", color=BLUE, markersize=5, label="mean over random splits")
    if extrapolated is not None:
        axes.plot(*extrapolated, color=VERMILION, linestyle="--", label="Spearman-Brown extrapolation")
        drawn.append(extrapolated[1][np.isfinite(extrapolated[1])])
    lowest = min(float(values.min(initial=1)) for values in drawn)
    axes.set_ylim(max(-1.01, np.floor(10 * lowest - 0.5) / 10), 1.01)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(left=0)
    axes.set_xlabel("raters in each half")
    axes.set_ylabel("SRCC between the halves")
    key(axes)
    return figure
