"""Who deviates from the others, and on which items: each rating minus the mean of its item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mos.moments import moments
from mos.plots.density import diverging
from mos.plots.names import short
from mos.plots.style import SOFT, look, name_rows, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = "Each rating minus the mean of its item"
_MAX_COLUMNS, _MAX_ROWS, _MAX_NAMED = 800, 400, 45


class _Table(NamedTuple):
    """cells: [rows, columns] mean residual, NaN where there is none; mean: [columns] of the items' means.

    order: [rows] the raters shown, least consistent first; spread: [rows] SD of a rater's residuals, NaN below two.
    """

    cells: np.ndarray
    mean: np.ndarray
    order: np.ndarray
    spread: np.ndarray


@look()
def residual_map(item: np.ndarray, rater: np.ndarray, score: np.ndarray, raters: Sequence[str]) -> Figure:
    """Heat map, raters by items: raters by falling SD of their residuals, items by rising mean.

    item: [N] int from 0; rater: [N] int, positions in `raters`; score: [N], all ratings of one dimension in the units
    of the scale; NaN where there is none.  More than 800 items are averaged in bins of neighbours, and of more than
    400 raters the least consistent are shown.
    """
    rated = np.isfinite(score)
    if not rated.any():
        return nothing(_TITLE, "no ratings")
    table = _table(item[rated], rater[rated], score[rated], len(raters))
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
    figure = sheet(_TITLE, reading, height)
    grid = figure.add_gridspec(2, 2, width_ratios=(9, 1), height_ratios=(0.09, height - 0.9))
    axes = figure.add_subplot(grid[1, 0])
    _draw_cells(axes, figure.add_subplot(grid[0, 0]), table)
    if rows <= _MAX_NAMED:
        name_rows(axes, list(range(rows)), [short(raters[at], 20) for at in table.order])
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{rows} raters, least consistent on top")
    _draw_spread(figure.add_subplot(grid[1, 1], sharey=axes), table.spread)
    return figure


def _table(item: np.ndarray, rater: np.ndarray, score: np.ndarray, raters: int) -> _Table:
    """All [N]; only items and raters that have a rating get a place."""
    items = int(item.max()) + 1
    means = moments(score, item, items)
    residual = score - means.mean[item]
    spread = moments(residual, rater, raters).sd(1)
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
    cells = moments(residual[shown], cell, len(order) * columns).mean.reshape(len(order), columns)
    return _Table(cells, moments(means.mean[ranked], column[ranked], columns).mean, order, spread[order])


def _draw_cells(axes: Axes, beside: Axes, table: _Table) -> None:
    from matplotlib.colorbar import Colorbar
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    columns = table.cells.shape[1]
    sizes = np.abs(table.cells[~np.isnan(table.cells)])
    limit = float(np.quantile(sizes, 0.995)) or float(sizes.max()) or 1.0
    image = axes.imshow(
        np.ma.masked_invalid(table.cells), diverging(), aspect="auto", vmin=-limit, vmax=limit, interpolation="none"
    )
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("items by their mean; below the columns stands that mean, in units of the scale")
    ticks = MaxNLocator(min(10, max(columns - 1, 1)), integer=True).tick_values(0, columns - 1)
    axes.set_xticks(sorted({int(at) for at in ticks if 0 <= at < columns}))
    decimals = _decimals(float(np.ptp(table.mean)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{table.mean[round(at)]:.{decimals}f}"))
    beyond: Literal["both", "neither"] = "both" if sizes.max() > limit else "neither"
    bar = Colorbar(beside, image, orientation="horizontal", ticklocation="top", extend=beyond, extendfrac=0.02)
    bar.locator = MaxNLocator(9)
    bar.set_label("rating minus the item's mean, in units of the scale")
    if bar.solids is not None:
        bar.solids.set_rasterized(True)  # faint neighbours drawn as shapes would show seams
    bar.outline.set_visible(False)


def _decimals(span: float) -> int:
    """How many decimals tell apart hundredths of a span."""
    return min(max(0, 2 - int(np.floor(np.log10(span)))), 9) if span > 0 else 2


def _draw_spread(axes: Axes, spread: np.ndarray) -> None:
    rows = len(spread)
    axes.stairs(np.nan_to_num(spread), np.arange(rows + 1) - 0.5, orientation="horizontal", fill=True, color=SOFT)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(False, axis="y")
    axes.spines.left.set_visible(False)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.set_xlabel("SD of row")
