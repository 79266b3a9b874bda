"""How raters use the scale, and what scores come of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mos.plots.bins import FEW, bars, edges
from mos.plots.names import short
from mos.plots.style import BLUE, GREEN, look, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = "Ratings as given, and final scores"
_MAX_DIMENSIONS, _BINS, _MAX_TICKS = 8, 32, 7


@look()
def score_histograms(
    dimensions: Sequence[str], raw: Sequence[np.ndarray], final: Sequence[np.ndarray], unit: str
) -> Figure:
    """A row for each dimension: all its ratings on the left, the scores of its items on the right.

    dimensions: [D] names, up to eight are drawn; raw, final: [D] arrays of any length, NaN for none
    unit: of the final scores.  Up to 21 different values get a bar each, more are counted in up to 32 bins.
    """
    raw = [values[np.isfinite(values)] for values in raw]
    final = [values[np.isfinite(values)] for values in final]
    if not any(map(len, raw)) and not any(map(len, final)):
        return nothing(_TITLE, "no ratings")
    count = min(len(dimensions), _MAX_DIMENSIONS)
    reading = (
        "Left: which scores raters gave; an empty end means that the scale was not used up. Right: what became of "
        "them; a heap at one score means that items are hard to tell apart."
    )
    if len(dimensions) > count:
        reading += f" Shown are the first {count} of {len(dimensions)} dimensions."
    figure = sheet(_TITLE, reading, 0.5 + {1: 2.8, 2: 2.1}.get(count, 1.55) * count)
    grid = figure.subplots(count, 2, sharex="col", squeeze=False)
    for (left, right), name, given, scores in zip(grid, dimensions, raw, final, strict=False):
        _draw(left, given, BLUE, "ratings")
        _draw(right, scores, GREEN, "items")
        left.set_title(f"{short(name, 32)}: {_counted(len(given), 'rating')}", parse_math=False)
        right.set_title(f"{short(name, 26)}: {_counted(len(scores), 'item')} with a score", parse_math=False)
    values = np.unique(np.concatenate([np.unique(given) for given in raw[:count]]))
    if 0 < len(values) <= _MAX_TICKS:
        grid[-1][0].set_xticks(values)
    grid[-1][0].set_xlabel("rating, units of the scale")
    grid[-1][1].set_xlabel(f"final score, {short(unit, 40)}")
    return figure


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _draw(axes: Axes, values: np.ndarray, colour: str, what: str) -> None:
    axes.set_ylabel(f"{what}, %")
    axes.grid(False, axis="x")
    if not len(values):
        axes.text(0.5, 0.5, f"no {what}", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
        return
    different = np.unique(values)
    most = int(np.clip(2 * np.sqrt(len(values)), 8, _BINS))  # few values show nothing in many bins
    places = bars(different) if len(different) <= min(FEW, most) else edges(different, most)
    counts, _ = np.histogram(values, places)
    axes.stairs(100 * counts / len(values), places, fill=True, color=colour)
    axes.set_ylim(bottom=0)
