"""Plots of agreement: residuals of ratings, disagreement along the scale (SOS), agreement of halves, planning curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments
from mos.plots.artists import diverging_colormap, draw_cloud
from mos.plots.style import (
    BLUE,
    GREEN,
    PLOT_SOFT,
    VERMILION,
    create_empty_figure,
    create_figure,
    describe_missing,
    draw_legend,
    label_rows,
    shorten_name,
    use_plot_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_RESIDUAL_TITLE = "Each rating minus the mean of its item"


_MAX_COLUMNS, _MAX_ROWS, _MAX_NAMED_ROWS = 800, 400, 45


class _ResidualTable(NamedTuple):
    """cells: [rows, columns] mean residual, NaN without ratings; mean: [columns] mean of the items in each column.

    order: [rows] the raters shown, least consistent first; spread: [rows] SD of the rater's residuals, NaN below two.
    """

    cells: NDArray[Any]
    mean: NDArray[Any]
    order: NDArray[Any]
    spread: NDArray[Any]


@use_plot_style()
def plot_residual_map(item: NDArray[Any], rater: NDArray[Any], score: NDArray[Any], raters: Sequence[str]) -> Figure:
    """Draw a heat map of raters by items: raters by falling SD of their residuals, items by rising mean.

    Parameters
    ----------
    item
        [N] int, the item of each rating, as codes from 0.
    rater
        [N] int, the rater of each rating, as positions in `raters`.
    score
        [N] float, all ratings of one dimension, in the unit of the scale; NaN where there is none.
    raters
        Names of the raters.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.

    Notes
    -----
    More than 800 items are averaged in bins of neighbours. Of more than 400 raters, the least consistent are shown.
    """
    rated = np.isfinite(score)
    if not rated.any():
        return create_empty_figure(_RESIDUAL_TITLE, "no ratings")
    table = _tabulate_residuals(item[rated], rater[rated], score[rated], len(raters))
    rows, columns = table.cells.shape
    items = len(np.unique(item[rated]))
    reading = (
        "A row of one colour is a rater who scores higher (blue) or lower (orange) than the others; a mottled row is "
        "an inconsistent one; a mottled column is an item that raters disagree on. Grey: not rated."
    )
    if columns < items:
        reading += f" Each column is the mean of about {items / columns:.0f} of {items:,} items."
    if rows < len(np.unique(rater[rated])):
        reading += f" Shown are the {rows} least consistent of {len(np.unique(rater[rated])):,} raters."
    height = min(max(1.1 + 0.17 * rows, 1.9), 6.5)
    figure = create_figure(_RESIDUAL_TITLE, reading, height)
    grid = figure.add_gridspec(2, 2, width_ratios=(9, 1), height_ratios=(0.09, height - 0.9))
    axes = figure.add_subplot(grid[1, 0])
    _draw_cells(axes, figure.add_subplot(grid[0, 0]), table)
    if rows <= _MAX_NAMED_ROWS:
        label_rows(axes, list(range(rows)), [shorten_name(raters[at], 20) for at in table.order])
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{rows} raters, least consistent on top")
    _draw_spread(figure.add_subplot(grid[1, 1], sharey=axes), table.spread)
    return figure


def _tabulate_residuals(item: NDArray[Any], rater: NDArray[Any], score: NDArray[Any], raters: int) -> _ResidualTable:
    """All arrays [N]; items and raters without a rating get no row or column."""
    items = int(item.max()) + 1
    means = group_moments(score, item, items)
    residual = score - means.mean[item]
    spread = group_moments(residual, rater, raters).sd(1)
    present = np.bincount(rater, minlength=raters) > 0
    # Stable sorts, and NaN (one rating) last.
    order = np.argsort(-spread, kind="stable")
    order = order[present[order]][:_MAX_ROWS]
    row = np.full(raters, -1)
    row[order] = np.arange(len(order))
    ranked = np.argsort(means.mean, kind="stable")[: np.count_nonzero(means.n)]
    columns = min(len(ranked), _MAX_COLUMNS)
    column = np.zeros(items, np.int64)
    column[ranked] = np.arange(len(ranked)) * columns // len(ranked)
    shown = row[rater] >= 0
    cell = row[rater[shown]] * columns + column[item[shown]]
    cells = group_moments(residual[shown], cell, len(order) * columns).mean.reshape(len(order), columns)
    return _ResidualTable(cells, group_moments(means.mean[ranked], column[ranked], columns).mean, order, spread[order])


def _draw_cells(axes: Axes, bar_axes: Axes, table: _ResidualTable) -> None:
    from matplotlib.colorbar import Colorbar
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    columns = table.cells.shape[1]
    sizes = np.abs(table.cells[~np.isnan(table.cells)])
    limit = float(np.quantile(sizes, 0.995)) or float(sizes.max()) or 1.0
    image = axes.imshow(
        table.cells,
        diverging_colormap(),
        aspect="auto",
        vmin=-limit,
        vmax=limit,
        interpolation="none",
    )
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("items by their mean; below the columns stands that mean, in units of the scale")
    ticks = MaxNLocator(min(10, max(columns - 1, 1)), integer=True).tick_values(0, columns - 1)
    axes.set_xticks(sorted({int(at) for at in ticks if 0 <= at < columns}))
    decimals = _count_decimals(float(np.ptp(table.mean)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{table.mean[round(at)]:.{decimals}f}"))
    beyond: Literal["both", "neither"] = "both" if sizes.max() > limit else "neither"
    bar = Colorbar(bar_axes, image, orientation="horizontal", ticklocation="top", extend=beyond, extendfrac=0.02)
    bar.locator = MaxNLocator(9)
    bar.set_label("rating minus the item's mean, in units of the scale")
    if bar.solids is not None:
        bar.solids.set_rasterized(True)  # faint neighbours drawn as vector shapes would show seams
    bar.outline.set_visible(False)


def _count_decimals(span: float) -> int:
    """Number of decimals that distinguish hundredths of a span."""
    return min(max(0, 2 - int(np.floor(np.log10(span)))), 9) if span > 0 else 2


def _draw_spread(axes: Axes, spread: NDArray[Any]) -> None:
    rows = len(spread)
    axes.stairs(np.nan_to_num(spread), np.arange(rows + 1) - 0.5, orientation="horizontal", fill=True, color=PLOT_SOFT)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(False, axis="y")
    axes.spines.left.set_visible(False)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.set_xlabel("SD of row")


_SOS_TITLE = "Disagreement along the scale"


@use_plot_style()
def plot_sos_scatter(
    mean: NDArray[Any], sd: NDArray[Any], scale: tuple[float, float], a: float | None = None
) -> Figure:
    """Draw the SD of each item's ratings against their mean, with the fitted parabola.

    Parameters
    ----------
    mean, sd
        [items] float, in the unit of the scale; NaN where there is none.
    scale
        Lowest and highest score of the scale.
    a
        The SOS parameter; None if it could not be fitted.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.

    Notes
    -----
    SD^2 = a (mean - low) (high - mean): T. Hossfeld, R. Schatz, S. Egger, SOS: the MOS is not enough!, QoMEX 2011.
    """
    known = np.isfinite(mean) & np.isfinite(sd)
    low, high = scale
    if not known.any() or not low < high:
        return create_empty_figure(_SOS_TITLE, "no item has two ratings" if low < high else "the scale has no width")
    reading = (
        "Each point is an item (larger or darker: several). At the ends of the scale raters can but agree; in the "
        "middle a high point is an item that they see differently." + describe_missing(known, "items", "two ratings")
    )
    figure = create_figure(_SOS_TITLE, reading, 3.9)
    axes = figure.add_subplot()
    inside = np.linspace(low, high, 201)
    arch = np.sqrt((inside - low) * (high - inside))
    margin = 0.02 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(0, 1.04 * max(float(sd[known].max()), arch.max()))
    draw_cloud(axes, mean[known], sd[known])
    axes.plot(inside, arch, color=PLOT_SOFT, linestyle=":", label="most that many raters can disagree (a = 1)")
    if a is not None and np.isfinite(a) and a >= 0:
        axes.plot(inside, np.sqrt(a) * arch, color=VERMILION, linewidth=2, label=f"fitted parabola, a = {a:.3f}")
    for end in scale:
        axes.axvline(end, color=PLOT_SOFT, linewidth=0.9)
    axes.set_xlabel(f"mean of the item's ratings (the scale goes from {low:g} to {high:g})")
    axes.set_ylabel("SD of the item's ratings, units of the scale")
    draw_legend(axes)
    return figure


_HALVES_TITLE = "Agreement between two halves of the raters"


@use_plot_style()
def plot_split_half_curve(
    raters: NDArray[Any],
    srcc: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    extrapolated: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Figure:
    """Draw the rank correlation (SRCC) of the scores of two disjoint groups of raters against their size.

    Parameters
    ----------
    raters
        [K] int, number of raters in each of the two groups.
    srcc, low, high
        [K] float, mean and interval over random splits, -1 to 1; NaN where there is none.
    extrapolated
        Numbers of raters, and the correlations that the Spearman-Brown formula gives for them; None to leave them out.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.
    """
    from matplotlib.ticker import MaxNLocator

    known = np.isfinite(srcc)
    if not known.any():
        return create_empty_figure(_HALVES_TITLE, "fewer than two raters an item, or fewer than two items")
    order = np.argsort(raters[known], kind="stable")
    x, y, least, most = (values[known][order] for values in (raters, srcc, low, high))
    reading = (
        "If the study were repeated with other raters of the same kind, ranks of its items would agree this well. "
        f"With {x[-1]:g} rater{'s' * bool(x[-1] != 1)} in each half: {y[-1]:.3f}."
    )
    figure = create_figure(_HALVES_TITLE, reading, 3.6)
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
    draw_legend(axes)
    return figure


_PLANNING_TITLE = "What more raters would buy"


_MIN_PLOTTED_RATERS = 4


@use_plot_style()
def plot_planning_curve(
    raters: NDArray[Any],
    half_width: NDArray[Any],
    reliability: NDArray[Any],
    unit: str,
    confidence: float = 0.95,
    now: int | None = None,
) -> Figure:
    """Draw the half-width of an item's interval and the reliability of the scores against the raters of each item.

    Parameters
    ----------
    raters
        [K] int, numbers of raters, ascending.
    half_width
        [K] float, half-width of the intervals at `confidence`, in `unit`; NaN where unknown.
    reliability
        [K] float, 0 to 1; NaN where unknown.
    unit
        Unit of the half-widths, in words.
    confidence
        Confidence level of the intervals, 0 to 1.
    now
        Number of raters of each item in this study, which is marked; None for no mark.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.
    """
    if not (np.isfinite(half_width).any() or np.isfinite(reliability).any()):
        return create_empty_figure(_PLANNING_TITLE, "neither the spread of the ratings nor their reliability is known")
    reading = (
        "Both curves flatten: where they do, more items tell more than more raters. "
        "To halve the interval takes four times the raters."
    )
    figure = create_figure(_PLANNING_TITLE, reading, 3.3)
    left, right = figure.subplots(1, 2)
    _draw_planning(left, raters, half_width, BLUE, now, "precision of an item", "±")
    left.set_ylabel(f"half-width ({100 * confidence:g} %), {shorten_name(unit, 24)}")
    # At two raters the t interval is wider than any scale; it would flatten the rest of the curve.
    least = _MIN_PLOTTED_RATERS if now is None else min(_MIN_PLOTTED_RATERS, now)
    usual = half_width[np.isfinite(half_width) & (raters >= least)]
    left.set_ylim(0, 1.15 * float(usual.max()) if usual.size and usual.max() > 0 else None)
    _draw_planning(right, raters, reliability, GREEN, now, "reliability", "")
    right.set_ylabel("reliability, 0 to 1")
    right.set_ylim(min(0.0, float(np.nanmin(reliability, initial=0))), 1.01)
    return figure


def _draw_planning(
    axes: Axes, raters: NDArray[Any], values: NDArray[Any], colour: str, now: int | None, what: str, sign: str
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
        axes.plot([now, now], [0, value], color=PLOT_SOFT, linewidth=0.9, linestyle="--")
        axes.plot([now], [value], "o", color=colour, markersize=8)
        title = f"{what}: {sign}{value:.2g} with {now} raters now"
    axes.set_title(title)
