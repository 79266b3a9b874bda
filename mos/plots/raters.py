"""Raters by how far they are off, and how erratic they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mos.plots.labels import name_points
from mos.plots.names import short
from mos.plots.style import BLUE, SOFT, VERMILION, key, left_out, look, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = "Bias and inconsistency of raters"
_MAX_CROSSES, _MAX_NAMED, _HEIGHT = 400, 12, 4.3


@look()
def bias_inconsistency(
    raters: Sequence[str],
    bias: np.ndarray,
    inconsistency: np.ndarray,
    bias_interval: np.ndarray,
    inconsistency_interval: np.ndarray,
    excluded: np.ndarray,
) -> Figure:
    """Inconsistency against bias, with a cross of intervals for each rater; excluded raters are marked.

    raters: [R] names; bias, inconsistency: [R] in units of the scale, NaN where there is none
    bias_interval, inconsistency_interval: [R, 2] lowest and highest, NaN where there is none
    excluded: [R] bool.  The at most twelve raters furthest from the others are named; of more than 400 raters only
    these get a cross.
    """
    known = np.isfinite(bias) & np.isfinite(inconsistency)
    if not known.any():
        return nothing(_TITLE, "no rater has enough ratings")
    reading = (
        "Right of 0: scores higher than the others; left: lower. High up: ratings scatter much around what this rater "
        "usually deviates. Names: the raters furthest from the rest." + left_out(known, "raters", "ratings")
    )
    figure = sheet(_TITLE, reading, _HEIGHT)
    axes = figure.add_subplot()
    shown = np.flatnonzero(known)
    x, y = bias[shown], inconsistency[shown]
    furthest = np.argsort(-_distance(x, y), kind="stable")[: _MAX_NAMED if len(shown) > 2 else 2]
    crossed = np.arange(len(shown)) if len(shown) <= _MAX_CROSSES else furthest
    _draw_crosses(axes, x, y, bias_interval[shown], inconsistency_interval[shown], crossed)
    out = excluded[shown].astype(bool)
    axes.plot(x[~out], y[~out], "o", color=BLUE, markersize=5, alpha=0.85, label=f"kept ({(~out).sum():,})")
    if out.any():
        axes.plot(x[out], y[out], "X", color=VERMILION, markersize=7.5, label=f"excluded ({out.sum():,})")
    axes.axvline(0, color=SOFT, linewidth=0.9)
    axes.set_ylim(0, 1.04 * axes.get_ylim()[1])
    axes.set_xlim(axes.get_xlim())
    axes.set_xlabel("bias: mean of rating minus item score, in units of the scale")
    axes.set_ylabel("inconsistency: SD around the bias, units of the scale")
    names = [short(raters[shown[at]], 20) for at in furthest]
    name_points(axes, x, y, furthest.tolist(), names, (7.2, _HEIGHT - 0.8))
    key(axes)
    return figure


def _distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[R] from the median rater, in median absolute deviations (in means of them where half the raters are alike)."""
    square = np.zeros(len(x))
    for values in (x, y):
        away = np.abs(values - np.median(values))
        unit = float(np.median(away)) or float(away.mean()) or 1.0
        square += (away / unit) ** 2
    return square


def _draw_crosses(
    axes: Axes, x: np.ndarray, y: np.ndarray, across: np.ndarray, upward: np.ndarray, chosen: np.ndarray
) -> None:
    from matplotlib.collections import LineCollection

    flat = [((across[at, 0], y[at]), (across[at, 1], y[at])) for at in chosen if np.isfinite(across[at]).all()]
    tall = [((x[at], upward[at, 0]), (x[at], upward[at, 1])) for at in chosen if np.isfinite(upward[at]).all()]
    opacity = 0.55 if len(chosen) <= 100 else 0.3
    for lines in (flat, tall):
        axes.add_collection(LineCollection(lines, colors=SOFT, linewidths=0.8, alpha=opacity, zorder=1))
