"""How often each rater was flagged as an outlier, beside what chance alone would flag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mos.plots.names import short
from mos.plots.style import BLUE, INK, SMALL, SOFT, VERMILION, key, left_out, look, name_columns, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = "Share of each rater's ratings flagged as outliers"
_MAX_NAMED, _MAX_LISTED = 60, 8


@look()
def flagged_shares(
    raters: Sequence[str], share: np.ndarray, band: np.ndarray, threshold: float, excluded: np.ndarray
) -> Figure:
    """Raters by falling share of flagged ratings, with the threshold and the band of chance.

    raters: [R] names; share: [R] 0..1, NaN without ratings; threshold: 0..1, raters above it are excluded
    band: [R, 2] 0..1, the share that homogeneous raters would have in the central 95 % of cases, such as quantiles of
        Binomial(n, p) over n; NaN where unknown
    excluded: [R] bool, for whatever reason
    """
    known = np.isfinite(share)
    if not known.any():
        return nothing(_TITLE, "no ratings")
    order = np.flatnonzero(known)[np.argsort(-share[known], kind="stable")]
    within = np.count_nonzero(excluded[order] & (share[order] <= band[order, 1]))
    reading = (
        "Grey: where 95 % of raters would lie if all were alike. An excluded rater within the grey may be honest and "
        "unlucky"
        + (f": here {within:,} of {np.count_nonzero(excluded[order]):,}." if excluded[order].any() else ".")
        + left_out(known, "raters", "ratings")
    )
    figure = sheet(_TITLE, reading, 3.7)
    axes = figure.add_subplot()
    _draw(axes, 100 * share[order], 100 * band[order], excluded[order].astype(bool))
    axes.axhline(
        100 * threshold, color=INK, linewidth=1.1, linestyle="--", label=f"excluded above {100 * threshold:g} %"
    )
    axes.set_xlim(-0.8 - 0.01 * len(order), len(order) - 0.2)
    axes.set_ylim(-0.02 * axes.get_ylim()[1])
    axes.set_ylabel("ratings flagged, %")
    if len(order) <= _MAX_NAMED:
        name_columns(axes, list(range(len(order))), [short(raters[at], 16) for at in order])
        axes.set_xlabel("raters, most flagged first")
    else:
        axes.set_xlabel("raters by rank, most flagged first")
        _list_highest(axes, [raters[at] for at in order[:_MAX_LISTED]], share[order])
    axes.grid(False, axis="x")
    key(axes)
    return figure


def _draw(axes: Axes, share: np.ndarray, band: np.ndarray, out: np.ndarray) -> None:
    """All in percent and in the order drawn."""
    rank = np.arange(len(share))
    width = min(0.62 * 500 / len(share), 9)
    axes.vlines(
        rank, band[:, 0], band[:, 1], color=SOFT, alpha=0.3, linewidth=width, zorder=1, label="by chance (95 %)"
    )
    size = float(np.clip(500 / len(share) * 0.8, 2.6, 6))
    axes.plot(rank[~out], share[~out], "o", color=BLUE, markersize=size, label=f"kept ({(~out).sum():,})")
    if out.any():
        axes.plot(rank[out], share[out], "X", color=VERMILION, markersize=size + 2, label=f"excluded ({out.sum():,})")


def _list_highest(axes: Axes, raters: list[str], share: np.ndarray) -> None:
    """The names that have no room below the axis, in the corner that falling shares leave empty."""
    lines = [f"{short(name, 20)}: {100 * value:.3g} %" for name, value in zip(raters, share, strict=False)]
    text = "most flagged\n" + "\n".join(lines)
    axes.text(
        0.99, 0.97, text, transform=axes.transAxes, ha="right", va="top", size=SMALL, linespacing=1.35, parse_math=False
    )
