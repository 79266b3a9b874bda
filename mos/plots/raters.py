"""Plots of raters: bias and inconsistency, use of the scale, and shares of flagged ratings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos.plots.artists import MAX_BAR_VALUES, bar_edges, bin_edges, label_points
from mos.plots.style import (
    BLUE,
    FONT_SMALL,
    PLOT_CARD,
    PLOT_INK,
    PLOT_SOFT,
    VERMILION,
    create_empty_figure,
    create_figure,
    describe_missing,
    draw_legend,
    label_columns,
    label_rows,
    shorten_name,
    use_plot_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_BIAS_TITLE = "Bias and inconsistency of raters"


_MAX_CROSSES, _MAX_NAMED_CROSSES, _BIAS_HEIGHT = 400, 12, 4.3


@use_plot_style()
def plot_bias_inconsistency(
    raters: Sequence[str],
    bias: NDArray[Any],
    inconsistency: NDArray[Any],
    bias_interval: NDArray[Any],
    inconsistency_interval: NDArray[Any],
    excluded: NDArray[Any],
) -> Figure:
    """Draw inconsistency against bias, with a cross of intervals for each rater; excluded raters are marked.

    Parameters
    ----------
    raters
        [R] names.
    bias, inconsistency
        [R] float, in the unit of the scale; NaN where there is none.
    bias_interval, inconsistency_interval
        [R, 2] float, lower and upper end; NaN where there is none.
    excluded
        [R] bool.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.

    Notes
    -----
    Up to twelve raters furthest from the others are named. Of more than 400 raters, only these have a cross.
    """
    known = np.isfinite(bias) & np.isfinite(inconsistency)
    if not known.any():
        return create_empty_figure(_BIAS_TITLE, "no rater has enough ratings")
    reading = (
        "Right of 0: scores higher than the others; left: lower. High up: ratings scatter much around what this rater "
        "usually deviates. Names: the raters furthest from the rest." + describe_missing(known, "raters", "ratings")
    )
    figure = create_figure(_BIAS_TITLE, reading, _BIAS_HEIGHT)
    axes = figure.add_subplot()
    shown = np.flatnonzero(known)
    x, y = bias[shown], inconsistency[shown]
    furthest = np.argsort(-_distance_from_median(x, y), kind="stable")[: _MAX_NAMED_CROSSES if len(shown) > 2 else 2]
    crossed = np.arange(len(shown)) if len(shown) <= _MAX_CROSSES else furthest
    _draw_crosses(axes, x, y, bias_interval[shown], inconsistency_interval[shown], crossed)
    out = excluded[shown].astype(bool)
    axes.plot(x[~out], y[~out], "o", color=BLUE, markersize=5, alpha=0.85, label=f"kept ({(~out).sum():,})")
    if out.any():
        axes.plot(x[out], y[out], "X", color=VERMILION, markersize=7.5, label=f"excluded ({out.sum():,})")
    axes.axvline(0, color=PLOT_SOFT, linewidth=0.9)
    axes.set_ylim(0, 1.04 * axes.get_ylim()[1])
    axes.set_xlim(axes.get_xlim())
    axes.set_xlabel("bias: mean of rating minus item score, in units of the scale")
    axes.set_ylabel("inconsistency: SD around the bias, units of the scale")
    names = [shorten_name(raters[shown[at]], 20) for at in furthest]
    label_points(axes, x, y, furthest.tolist(), names, (7.2, _BIAS_HEIGHT - 0.8))
    draw_legend(axes)
    return figure


def _distance_from_median(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """[R] squared distance from the median rater, in median absolute deviations (mean ones where the median is 0)."""
    square = np.zeros(len(x))
    for values in (x, y):
        away = np.abs(values - np.median(values))
        unit = float(np.median(away)) or float(away.mean()) or 1.0
        square += (away / unit) ** 2
    return square


def _draw_crosses(
    axes: Axes, x: NDArray[Any], y: NDArray[Any], across: NDArray[Any], upward: NDArray[Any], chosen: NDArray[Any]
) -> None:
    from matplotlib.collections import LineCollection

    flat = [((across[at, 0], y[at]), (across[at, 1], y[at])) for at in chosen if np.isfinite(across[at]).all()]
    tall = [((x[at], upward[at, 0]), (x[at], upward[at, 1])) for at in chosen if np.isfinite(upward[at]).all()]
    opacity = 0.55 if len(chosen) <= 100 else 0.3
    for lines in (flat, tall):
        axes.add_collection(LineCollection(lines, colors=PLOT_SOFT, linewidths=0.8, alpha=opacity, zorder=1))


_RIDGE_TITLE = "How each rater uses the scale"


_MAX_RIDGE_RATERS, _RIDGE_BINS, _MAX_ONE_COLUMN = 40, 30, 10


_MAX_BAR_ROWS = 1.9  # largest height of a bar, in rows


class _ScaleUse(NamedTuple):
    """share: [raters, values], rows sum to 1; pooled: [values] share of all ratings; at: [values] middle of the bars.

    edges: [E] ends of the bars and of the gaps between them; step: 2 where bars have gaps, else 1; mean, n: [raters]
    """

    share: NDArray[Any]
    pooled: NDArray[Any]
    at: NDArray[Any]
    edges: NDArray[Any]
    step: int
    mean: NDArray[Any]
    n: NDArray[Any]

    def outline(self, share: NDArray[Any], gap: float) -> NDArray[Any]:
        """[E - 1] heights: `share` for the bars, `gap` between them."""
        heights = np.full(len(self.edges) - 1, gap)
        heights[:: self.step] = share
        return heights


@use_plot_style()
def plot_rater_ridge(rater: NDArray[Any], score: NDArray[Any], raters: Sequence[str]) -> Figure:
    """Draw a histogram of scores for each rater, the highest mean on top.

    Parameters
    ----------
    rater
        [N] int, the rater of each rating, as positions in `raters`.
    score
        [N] float, in the unit of the scale; NaN where there is none.
    raters
        Names of the raters.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.

    Notes
    -----
    Of more than 40 raters, those are shown whose histogram differs most from that of all ratings (area between the
    cumulative distributions).
    """
    rated = np.isfinite(score)
    if not rated.any():
        return create_empty_figure(_RIDGE_TITLE, "no ratings")
    uses = _count_scale_use(rater[rated], score[rated], len(raters))
    shown = np.flatnonzero(uses.n)
    reading = "Bars: the rater's scores; marks: the scores of all raters. "
    if len(shown) > _MAX_RIDGE_RATERS:
        reading += f"Shown are the {_MAX_RIDGE_RATERS} of {len(shown):,} raters who differ most from all together. "
        shown = shown[np.argsort(-_earth_mover_distance(uses)[shown], kind="stable")[:_MAX_RIDGE_RATERS]]
    reading += "A single peak is a rater who hardly uses the scale. Raters with a high mean come first."
    shown = shown[np.argsort(-uses.mean[shown], kind="stable")]
    highest = uses.share[shown].max(axis=1)
    peak = max(float(np.quantile(highest, 0.75)), float(highest.max()) / _MAX_BAR_ROWS)
    columns = 1 if len(shown) <= _MAX_ONE_COLUMN else 2
    rows = -(-len(shown) // columns)
    figure = create_figure(_RIDGE_TITLE, reading, 0.8 + 0.32 * max(rows, 3))
    for column, axes in enumerate(figure.subplots(1, columns, squeeze=False)[0]):
        part = shown[column * rows : (column + 1) * rows]
        _draw_ridge(axes, uses, part, peak, rows)
        label_rows(axes, list(range(len(part))), [shorten_name(raters[at], 18) for at in part])
        axes.set_xlabel("score given, units of the scale")
    return figure


def _count_scale_use(rater: NDArray[Any], score: NDArray[Any], raters: int) -> _ScaleUse:
    values = np.unique(score)
    if len(values) <= MAX_BAR_VALUES:
        at, step, places = values, 2, bar_edges(values)
        bar = np.searchsorted(values, score)
    else:
        step, places = 1, bin_edges(values, _RIDGE_BINS)
        at = (places[:-1] + places[1:]) / 2
        bar = np.clip(np.searchsorted(places, score, side="right") - 1, 0, len(at) - 1)
    counts = np.bincount(rater * len(at) + bar, minlength=raters * len(at)).reshape(raters, len(at))
    n = counts.sum(axis=1)
    mean = np.bincount(rater, score, minlength=raters) / np.maximum(n, 1)
    return _ScaleUse(counts / np.maximum(n, 1)[:, None], counts.sum(axis=0) / len(score), at, places, step, mean, n)


def _earth_mover_distance(uses: _ScaleUse) -> NDArray[Any]:
    """[raters] the earth mover's distance from all ratings."""
    apart = np.abs(np.cumsum(uses.share - uses.pooled, axis=1))[:, :-1]
    distance: NDArray[Any] = (apart * np.diff(uses.at)).sum(axis=1)
    return distance


def _draw_ridge(axes: Axes, uses: _ScaleUse, shown: NDArray[Any], peak: float, rows: int) -> None:
    """Draw the raters in `shown` from top to bottom; bars higher than `peak` extend into the row above."""
    unit = 0.86 / peak
    for row, at in enumerate(shown.tolist()):
        base, depth = row + 0.42, 3 + row
        tops = base - unit * uses.outline(uses.share[at], 0.0)
        # A high bar covers the row above instead of mixing with it.
        axes.stairs(tops, uses.edges, baseline=base, fill=True, color=PLOT_CARD, zorder=depth)
        axes.stairs(tops, uses.edges, baseline=base, fill=True, color=BLUE, alpha=0.75, zorder=depth)
        marks = base - unit * uses.outline(uses.pooled, np.nan)
        axes.stairs(marks, uses.edges, baseline=None, color=PLOT_INK, linewidth=0.9, zorder=depth)
        axes.annotate(
            f"n {uses.n[at]:,}",
            (1, row),
            (3, 0),
            ("axes fraction", "data"),
            textcoords="offset points",
            size=FONT_SMALL,
            color=PLOT_SOFT,
            va="center",
        )
    axes.set_xlim(uses.edges[0], uses.edges[-1])
    axes.set_ylim(rows - 0.5, -1.0)
    axes.grid(False, axis="y")
    axes.spines.left.set_visible(False)


_SHARES_TITLE = "Share of each rater's ratings flagged as outliers"


_MAX_NAMED_SHARES, _MAX_LISTED_SHARES = 60, 8


@use_plot_style()
def plot_flagged_shares(
    raters: Sequence[str], share: NDArray[Any], band: NDArray[Any], threshold: float, excluded: NDArray[Any]
) -> Figure:
    """Draw the raters by falling share of flagged ratings, with the threshold and the band expected by chance.

    Parameters
    ----------
    raters
        [R] names.
    share
        [R] float, 0 to 1; NaN without ratings.
    band
        [R, 2] float, 0 to 1: the ends of the central 95 % of shares of homogeneous raters, such as quantiles of
        Binomial(n, p) divided by n; NaN where unknown.
    threshold
        0 to 1; raters with a higher share are excluded.
    excluded
        [R] bool, for any reason.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.
    """
    known = np.isfinite(share)
    if not known.any():
        return create_empty_figure(_SHARES_TITLE, "no ratings")
    order = np.flatnonzero(known)[np.argsort(-share[known], kind="stable")]
    within = np.count_nonzero(excluded[order] & (share[order] <= band[order, 1]))
    reading = (
        "Grey: where 95 % of raters would lie if all were alike. An excluded rater within the grey may be honest and "
        "unlucky"
        + (f": here {within:,} of {np.count_nonzero(excluded[order]):,}." if excluded[order].any() else ".")
        + describe_missing(known, "raters", "ratings")
    )
    figure = create_figure(_SHARES_TITLE, reading, 3.7)
    axes = figure.add_subplot()
    _draw_shares(axes, 100 * share[order], 100 * band[order], excluded[order].astype(bool))
    axes.axhline(
        100 * threshold, color=PLOT_INK, linewidth=1.1, linestyle="--", label=f"excluded above {100 * threshold:g} %"
    )
    axes.set_xlim(-0.8 - 0.01 * len(order), len(order) - 0.2)
    axes.set_ylim(-0.02 * axes.get_ylim()[1])
    axes.set_ylabel("ratings flagged, %")
    if len(order) <= _MAX_NAMED_SHARES:
        label_columns(axes, list(range(len(order))), [shorten_name(raters[at], 16) for at in order])
        axes.set_xlabel("raters, most flagged first")
    else:
        axes.set_xlabel("raters by rank, most flagged first")
        _list_highest(axes, [raters[at] for at in order[:_MAX_LISTED_SHARES]], share[order])
    axes.grid(False, axis="x")
    draw_legend(axes)
    return figure


def _draw_shares(axes: Axes, share: NDArray[Any], band: NDArray[Any], out: NDArray[Any]) -> None:
    """Draw the shares; all arrays in percent and in the order drawn."""
    rank = np.arange(len(share))
    width = min(0.62 * 500 / len(share), 9)
    axes.vlines(
        rank, band[:, 0], band[:, 1], color=PLOT_SOFT, alpha=0.3, linewidth=width, zorder=1, label="by chance (95 %)"
    )
    size = float(np.clip(500 / len(share) * 0.8, 2.6, 6))
    axes.plot(rank[~out], share[~out], "o", color=BLUE, markersize=size, label=f"kept ({(~out).sum():,})")
    if out.any():
        axes.plot(rank[out], share[out], "X", color=VERMILION, markersize=size + 2, label=f"excluded ({out.sum():,})")


def _list_highest(axes: Axes, raters: list[str], share: NDArray[Any]) -> None:
    """Write the names of the most flagged raters in the upper right corner, which falling shares leave empty."""
    lines = [f"{shorten_name(name, 20)}: {100 * value:.3g} %" for name, value in zip(raters, share, strict=False)]
    text = "most flagged\n" + "\n".join(lines)
    axes.text(
        0.99,
        0.97,
        text,
        transform=axes.transAxes,
        ha="right",
        va="top",
        size=FONT_SMALL,
        linespacing=1.35,
        parse_math=False,
    )
