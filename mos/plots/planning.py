"""What more raters would buy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mos.plots.names import short
from mos.plots.style import BLUE, GREEN, SOFT, look, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = "What more raters would buy"
_LEAST = 4


@look()
def planning_curve(
    raters: np.ndarray,
    half_width: np.ndarray,
    reliability: np.ndarray,
    unit: str,
    confidence: float = 0.95,
    now: int | None = None,
) -> Figure:
    """Half-width of an item's interval, and reliability of the scores, against the raters of each item.

    raters: [K] ascending; half_width: [K] in `unit`, of intervals at `confidence`; reliability: [K] 0..1, such as by
    the Spearman-Brown formula; NaN where unknown; now: raters of each item in this study, to be marked
    """
    if not (np.isfinite(half_width).any() or np.isfinite(reliability).any()):
        return nothing(_TITLE, "neither the spread of the ratings nor their reliability is known")
    reading = (
        "Both curves flatten: where they do, more items tell more than more raters. "
        "To halve the interval takes four times the raters."
    )
    figure = sheet(_TITLE, reading, 3.3)
    left, right = figure.subplots(1, 2)
    _draw(left, raters, half_width, BLUE, now, "precision of an item", "±")
    left.set_ylabel(f"half-width ({100 * confidence:g} %), {short(unit, 24)}")
    # At two raters the t interval is wider than any scale; it would flatten the rest of the curve.
    least = _LEAST if now is None else min(_LEAST, now)
    usual = half_width[np.isfinite(half_width) & (raters >= least)]
    left.set_ylim(0, 1.15 * float(usual.max()) if usual.size and usual.max() > 0 else None)
    _draw(right, raters, reliability, GREEN, now, "reliability", "")
    right.set_ylabel("reliability, 0 to 1")
    right.set_ylim(min(0.0, float(np.nanmin(reliability, initial=0))), 1.01)
    return figure


def _draw(
    axes: Axes, raters: np.ndarray, values: np.ndarray, colour: str, now: int | None, what: str, sign: str
) -> None:
    from matplotlib.ticker import MaxNLocator

    known = np.isfinite(values)
    axes.plot(raters[known], values[known], color=colour, linewidth=2, marker="o" if known.sum() <= 30 else "")
    axes.set_xlabel("raters of each item")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, 1.05 * float(raters.max()))
    if not known.any():
        axes.text(0.5, 0.5, "unknown", transform=axes.transAxes, ha="center")
    title = what
    if now is not None and (at := np.flatnonzero(known & (raters == now))).size:
        value = float(values[at[0]])
        axes.plot([now, now], [0, value], color=SOFT, linewidth=0.9, linestyle="--")
        axes.plot([now], [value], "o", color=colour, markersize=8)
        title = f"{what}: {sign}{value:.2g} with {now} raters now"
    axes.set_title(title)
