"""How each rater uses the scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mos.plots.bins import FEW, bars, edges
from mos.plots.names import short
from mos.plots.style import BLUE, CARD, INK, SMALL, SOFT, look, name_rows, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = "How each rater uses the scale"
_MAX_RATERS, _BINS, _ONE_COLUMN = 40, 30, 10
_REACH = 1.9  # rows that the highest bar may take


class _Uses(NamedTuple):
    """share: [raters, values], rows sum to 1; pooled: [values] share of all ratings; at: [values] middle of their bars.

    edges: [E] of bars and the gaps between them; step: 2 where bars have gaps, else 1; mean, n: [raters]
    """

    share: np.ndarray
    pooled: np.ndarray
    at: np.ndarray
    edges: np.ndarray
    step: int
    mean: np.ndarray
    n: np.ndarray

    def outline(self, share: np.ndarray, gap: float) -> np.ndarray:
        """[E - 1] a height for every bar, and `gap` between them."""
        heights = np.full(len(self.edges) - 1, gap)
        heights[:: self.step] = share
        return heights


@look()
def rater_ridge(rater: np.ndarray, score: np.ndarray, raters: Sequence[str]) -> Figure:
    """A histogram of scores for each rater, those with the highest mean on top.

    rater: [N] int, positions in `raters`; score: [N] in units of the scale, NaN for none.  Of more than 40 raters those
    are shown whose histogram is furthest from that of all ratings (area between the cumulative distributions).
    """
    rated = np.isfinite(score)
    if not rated.any():
        return nothing(_TITLE, "no ratings")
    uses = _uses(rater[rated], score[rated], len(raters))
    shown = np.flatnonzero(uses.n)
    reading = "Bars: the rater's scores; marks: the scores of all raters. "
    if len(shown) > _MAX_RATERS:
        reading += f"Shown are the {_MAX_RATERS} of {len(shown):,} raters who differ most from all together. "
        shown = shown[np.argsort(-_distance(uses)[shown], kind="stable")[:_MAX_RATERS]]
    reading += "A single peak is a rater who hardly uses the scale. Raters with a high mean come first."
    shown = shown[np.argsort(-uses.mean[shown], kind="stable")]
    highest = uses.share[shown].max(axis=1)
    peak = max(float(np.quantile(highest, 0.75)), float(highest.max()) / _REACH)
    columns = 1 if len(shown) <= _ONE_COLUMN else 2
    rows = -(-len(shown) // columns)
    figure = sheet(_TITLE, reading, 0.8 + 0.32 * max(rows, 3))
    for column, axes in enumerate(figure.subplots(1, columns, squeeze=False)[0]):
        part = shown[column * rows : (column + 1) * rows]
        _draw(axes, uses, part, peak, rows)
        name_rows(axes, list(range(len(part))), [short(raters[at], 18) for at in part])
        axes.set_xlabel("score given, units of the scale")
    return figure


def _uses(rater: np.ndarray, score: np.ndarray, raters: int) -> _Uses:
    values = np.unique(score)
    if len(values) <= FEW:
        at, step, places = values, 2, bars(values)
        bar = np.searchsorted(values, score)
    else:
        step, places = 1, edges(values, _BINS)
        at = (places[:-1] + places[1:]) / 2
        bar = np.clip(np.searchsorted(places, score, side="right") - 1, 0, len(at) - 1)
    counts = np.bincount(rater * len(at) + bar, minlength=raters * len(at)).reshape(raters, len(at))
    n = counts.sum(axis=1)
    mean = np.bincount(rater, score, minlength=raters) / np.maximum(n, 1)
    return _Uses(counts / np.maximum(n, 1)[:, None], counts.sum(axis=0) / len(score), at, places, step, mean, n)


def _distance(uses: _Uses) -> np.ndarray:
    """[raters] the earth mover's distance from all ratings."""
    return (np.abs(np.cumsum(uses.share - uses.pooled, axis=1))[:, :-1] * np.diff(uses.at)).sum(axis=1)


def _draw(axes: Axes, uses: _Uses, shown: np.ndarray, peak: float, rows: int) -> None:
    """The raters in `shown` from above to below; bars higher than `peak` reach into the row above."""
    unit = 0.86 / peak
    for row, at in enumerate(shown.tolist()):
        base, depth = row + 0.42, 3 + row
        tops = base - unit * uses.outline(uses.share[at], 0.0)
        # A bar that reaches up covers the row above, and does not mix with it.
        axes.stairs(tops, uses.edges, baseline=base, fill=True, color=CARD, zorder=depth)
        axes.stairs(tops, uses.edges, baseline=base, fill=True, color=BLUE, alpha=0.75, zorder=depth)
        marks = base - unit * uses.outline(uses.pooled, np.nan)
        axes.stairs(marks, uses.edges, baseline=None, color=INK, linewidth=0.9, zorder=depth)
        axes.annotate(
            f"n {uses.n[at]:,}",
            (1, row),
            (3, 0),
            ("axes fraction", "data"),
            textcoords="offset points",
            size=SMALL,
            color=SOFT,
            va="center",
        )
    axes.set_xlim(uses.edges[0], uses.edges[-1])
    axes.set_ylim(rows - 0.5, -1.0)
    axes.grid(False, axis="y")
    axes.spines.left.set_visible(False)
