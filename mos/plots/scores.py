"""Plots of scores: histograms of ratings and scores, items with their intervals, and methods against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos.plots.artists import MAX_BAR_VALUES, MAX_CLOUD_POINTS, bar_edges, bin_edges, draw_cloud
from mos.plots.style import (
    BLUE,
    FONT_LARGE,
    FONT_NORMAL,
    FONT_SMALL,
    GREEN,
    GROUP_COLOURS,
    PLOT_SOFT,
    create_empty_figure,
    create_figure,
    describe_missing,
    draw_legend,
    fix_layout,
    label_columns,
    shorten_name,
    use_plot_style,
)
from mos.ranks import rank_with_ties

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec


_HISTOGRAM_TITLE = "Ratings as given, and final scores"


_MAX_DIMENSIONS, _HISTOGRAM_BINS, _MAX_TICKS = 8, 32, 7


@use_plot_style()
def plot_score_histograms(
    dimensions: Sequence[str], raw: Sequence[NDArray[Any]], final: Sequence[NDArray[Any]], unit: str
) -> Figure:
    """Draw a row for each dimension: all its ratings on the left, the scores of its items on the right.

    Parameters
    ----------
    dimensions
        [D] names; the first eight are drawn.
    raw, final
        [D] arrays of any length, the ratings and the final scores; NaN where there is none.
    unit
        Unit of the final scores, in words.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.

    Notes
    -----
    Up to 21 different values have a bar each; more are counted in up to 32 bins.
    """
    raw = [values[np.isfinite(values)] for values in raw]
    final = [values[np.isfinite(values)] for values in final]
    if not any(map(len, raw)) and not any(map(len, final)):
        return create_empty_figure(_HISTOGRAM_TITLE, "no ratings")
    count = min(len(dimensions), _MAX_DIMENSIONS)
    reading = (
        "Left: which scores raters gave; an empty end means that the scale was not used up. Right: what became of "
        "them; a heap at one score means that items are hard to tell apart."
    )
    if len(dimensions) > count:
        reading += f" Shown are the first {count} of {len(dimensions)} dimensions."
    figure = create_figure(_HISTOGRAM_TITLE, reading, 0.5 + {1: 2.8, 2: 2.1}.get(count, 1.55) * count)
    grid = figure.subplots(count, 2, sharex="col", squeeze=False)
    for (left, right), name, given, scores in zip(grid, dimensions, raw, final, strict=False):
        _draw_histogram(left, given, BLUE, "ratings")
        _draw_histogram(right, scores, GREEN, "items")
        left.set_title(f"{shorten_name(name, 32)}: {_count_phrase(len(given), 'rating')}", parse_math=False)
        right.set_title(
            f"{shorten_name(name, 26)}: {_count_phrase(len(scores), 'item')} with a score", parse_math=False
        )
    values = np.unique(np.concatenate([np.unique(given) for given in raw[:count]]))
    if 0 < len(values) <= _MAX_TICKS:
        grid[-1][0].set_xticks(values)
    grid[-1][0].set_xlabel("rating, units of the scale")
    grid[-1][1].set_xlabel(f"final score, {shorten_name(unit, 40)}")
    return figure


def _count_phrase(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _draw_histogram(axes: Axes, values: NDArray[Any], colour: str, what: str) -> None:
    axes.set_ylabel(f"{what}, %")
    axes.grid(False, axis="x")
    if not len(values):
        axes.text(0.5, 0.5, f"no {what}", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
        return
    different = np.unique(values)
    most = int(np.clip(2 * np.sqrt(len(values)), 8, _HISTOGRAM_BINS))  # fewer bins for few values
    places = bar_edges(different) if len(different) <= min(MAX_BAR_VALUES, most) else bin_edges(different, most)
    counts, _ = np.histogram(values, places)
    axes.stairs(100 * counts / len(values), places, fill=True, color=colour)
    axes.set_ylim(bottom=0)


_INTERVAL_TITLE = "Scores of items, low to high, with their intervals"


_MAX_NAMED_ITEMS, _MAX_BARS = 45, 300


@use_plot_style()
def plot_score_intervals(
    items: Sequence[str],
    score: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    unit: str,
    confidence: float = 0.95,
    group: tuple[NDArray[Any], Sequence[str]] | None = None,
) -> Figure:
    """Draw each item's score and interval (caterpillar plot); for more than 300 items, a line and a band.

    Parameters
    ----------
    items
        [J] names.
    score, low, high
        [J] float, in `unit`; NaN where there is none.
    unit
        Unit of the scores, in words.
    confidence
        Confidence level of the intervals, 0 to 1.
    group
        Groups that colour the items: [J] int positions in the names (negative for no group), and the names. With more
        than 300 items each group has its own line, without a band. The six largest groups have a colour; the others are
        grey.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.
    """
    known = np.isfinite(score)
    if not known.any():
        return create_empty_figure(_INTERVAL_TITLE, "no item has a score")
    order = np.flatnonzero(known)[np.argsort(score[known], kind="stable")]
    wide = np.isfinite(high - low) & known
    half = float(np.median((high - low)[wide])) / 2 if wide.any() else float("nan")
    reading = (
        f"Items whose intervals ({100 * confidence:g} %) overlap much are not told apart. "
        + (f"Half of the items are known to ±{half:.2g} or better." if wide.any() else "No item has an interval.")
        + describe_missing(known, "items", "a score")
    )
    figure = create_figure(_INTERVAL_TITLE, reading, 3.8)
    axes = figure.add_subplot()
    many = len(order) > _MAX_BARS
    for members, colour, label in _group_items(order, group):
        rank = np.flatnonzero(np.isin(order, members, assume_unique=True)) + 1
        if many:
            share = 100 * (np.arange(len(members)) + 0.5) / len(members)
            _draw_interval_band(axes, share, score[members], low[members], high[members], colour, label)
        else:
            _draw_interval_bars(axes, rank, score[members], low[members], high[members], colour, label, len(order))
    axes.set_ylabel(f"score, {shorten_name(unit, 40)}")
    axes.margins(x=0.015)
    if many:
        axes.set_xlabel("items with a lower score, %" + (" of their group" if group is not None else ""))
    elif len(order) <= _MAX_NAMED_ITEMS:
        label_columns(axes, list(range(1, len(order) + 1)), [shorten_name(items[at], 18) for at in order])
    else:
        axes.set_xlabel("items by rank of their score")
    draw_legend(axes, 4)
    return figure


def _group_items(
    order: NDArray[Any], group: tuple[NDArray[Any], Sequence[str]] | None
) -> list[tuple[NDArray[Any], str, str | None]]:
    """Members in the order drawn, colour and label of each of the largest groups, then of all others together."""
    if group is None:
        return [(order, BLUE, None)]
    codes, names = group
    codes = np.where((codes >= 0) & (codes < len(names)), codes, len(names))
    sizes = np.bincount(codes[order], minlength=len(names) + 1)[:-1]
    largest = np.sort(np.argsort(-sizes, kind="stable")[: len(GROUP_COLOURS)])
    largest = largest[sizes[largest] > 0]
    drawn: list[tuple[NDArray[Any], str, str | None]] = [
        # Zero-width space, because matplotlib omits labels that start with an underscore.
        (order[codes[order] == at], colour, "\u200b" + f"{shorten_name(names[at], 22)} ({sizes[at]:,})")
        for at, colour in zip(largest.tolist(), GROUP_COLOURS, strict=False)
    ]
    rest = order[~np.isin(codes[order], largest)]
    return [*drawn, (rest, PLOT_SOFT, f"others ({len(rest):,})")] if len(rest) else drawn


def _draw_interval_bars(
    axes: Axes,
    rank: NDArray[Any],
    score: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    colour: str,
    label: str | None,
    items: int,
) -> None:
    width = float(np.clip(200 / items, 0.9, 2.5))
    axes.vlines(rank, low, high, color=colour, alpha=0.45, linewidth=width, zorder=1)
    axes.plot(rank, score, "o", color=colour, markersize=float(np.clip(350 / items, 2.6, 5.5)), label=label)


def _draw_interval_band(
    axes: Axes,
    share: NDArray[Any],
    score: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    colour: str,
    label: str | None,
) -> None:
    """Draw means of neighbours, because thousands of single intervals would not be readable."""
    bins = np.arange(len(share)) * min(len(share), _MAX_BARS) // len(share)
    share, score, low, high = (_mean_of_bins(values, bins) for values in (share, score, low, high))
    if label is None:  # the bands of several groups would hide each other
        axes.fill_between(share, low, high, color=colour, alpha=0.22, linewidth=0)
    axes.plot(share, score, color=colour, label=label)


def _mean_of_bins(values: NDArray[Any], bins: NDArray[Any]) -> NDArray[Any]:
    """Mean of the finite values of each bin; NaN where there is none."""
    finite = np.isfinite(values)
    count = np.bincount(bins[finite], minlength=bins[-1] + 1)
    total = np.bincount(bins[finite], values[finite], minlength=bins[-1] + 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


_METHOD_TITLE = "Scores by one method against another"


_MAX_METHODS = 6


_SCORE_ROUNDING = 1e-11  # a difference below this share of the largest score is none


class _PlottedMethod(NamedTuple):
    """One method of the plot; name, unit: shortened; scores: [items]; span: limits of its axis."""

    name: str
    unit: str
    scores: NDArray[Any]
    span: tuple[float, float]


@use_plot_style()
def plot_method_scatter(methods: Sequence[str], units: Sequence[str], scores: NDArray[Any]) -> Figure:
    """Draw a panel for each pair of methods, with rank (SRCC) and linear (PLCC) correlation and the largest difference.

    Parameters
    ----------
    methods
        [M] names; the first six are drawn.
    units
        [M] unit of each method's scores, in words.
    scores
        [M, items] float; NaN where a method gives no score.

    Returns
    -------
    Figure
        A figure that says why it is empty, if there is nothing to show.

    Notes
    -----
    The largest difference and the line of equal scores are drawn only where both methods have the same unit. With three
    or more methods, the panels are below the diagonal of names and the statistics above it.
    """
    if len(methods) < 2:
        return create_empty_figure(_METHOD_TITLE, "fewer than two methods")
    drawn = [
        _PlottedMethod(shorten_name(name, 15), shorten_name(unit, 16), values, _axis_span(values))
        for name, unit, values in zip(methods[:_MAX_METHODS], units, scores, strict=False)
    ]
    if np.isfinite(scores[: len(drawn)]).sum(axis=0).max(initial=0) < 2:
        return create_empty_figure(_METHOD_TITLE, "no item has scores by two methods")
    reading = (
        "Each point is an item (larger or darker: several). Close to a line, methods agree; far from it, the choice "
        "of method changes the score. Dashed: equal scores. Max |Δ|: the largest difference in the same unit."
    )
    if len(methods) > len(drawn):
        reading += f" Shown are the first {len(drawn)} of {len(methods)} methods."
    if len(drawn) > 2:
        return _draw_scatter_matrix(drawn, reading)
    figure = create_figure(_METHOD_TITLE, reading, 4.4)
    axes = figure.add_subplot()
    first, second = drawn
    _draw_method_pair(axes, first, second, MAX_CLOUD_POINTS)
    axes.set_title(" · ".join(_format_statistics(first, second)))
    axes.set_xlabel(f"{first.name}, {first.unit}", parse_math=False)
    axes.set_ylabel(f"{second.name}, {second.unit}", parse_math=False)
    return figure


def _draw_scatter_matrix(drawn: list[_PlottedMethod], reading: str) -> Figure:
    """Draw names on the diagonal, points below it, statistics above it."""
    count = len(drawn)
    figure = create_figure(_METHOD_TITLE, reading, {3: 6.6, 4: 6.8}.get(count, 7.0))
    top = fix_layout(figure)
    grid = figure.add_gridspec(count, count, left=0.06, right=0.985, bottom=0.04, top=top, wspace=0.12, hspace=0.12)
    small = count > 4
    for row, across in enumerate(drawn):
        for column, upright in enumerate(drawn):
            if column < row:
                axes = figure.add_subplot(grid[row, column])
                _draw_method_pair(axes, upright, across, 2 * MAX_CLOUD_POINTS // (count * (count - 1) // 2))
                axes.tick_params(labelbottom=row == count - 1, labelleft=column == 0)
                axes.locator_params(nbins=4)
            elif column == row:
                _write_lines(
                    figure,
                    grid[row, column],
                    [across.name, across.unit],
                    FONT_SMALL if small else FONT_NORMAL,
                    bold=True,
                )
            else:
                _write_lines(
                    figure,
                    grid[row, column],
                    _format_statistics(across, upright),
                    FONT_SMALL if small else FONT_LARGE - 2,
                )
    return figure


def _axis_span(values: NDArray[Any]) -> tuple[float, float]:
    """Limits for an axis, with a margin; NaN values are ignored."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return (0.0, 1.0)
    margin = 0.05 * float(np.ptp(finite)) or 0.5
    return (float(finite.min()) - margin, float(finite.max()) + margin)


def _draw_method_pair(axes: Axes, across: _PlottedMethod, upright: _PlottedMethod, most: int) -> None:
    both = np.isfinite(across.scores) & np.isfinite(upright.scores)
    axes.set_xlim(across.span)
    axes.set_ylim(upright.span)
    draw_cloud(axes, across.scores[both], upright.scores[both], (48, 48), most)
    if across.unit == upright.unit:
        low, high = max(across.span[0], upright.span[0]), min(across.span[1], upright.span[1])
        axes.plot([low, high], [low, high], color=PLOT_SOFT, linestyle="--", linewidth=0.9)


def _write_lines(figure: Figure, cell: SubplotSpec, lines: list[str], size: float, bold: bool = False) -> None:
    """Write lines in the middle of a cell; with `bold`, the first is bold."""
    box = cell.get_position(figure)
    x, middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    step = 1.6 * size / 72 / figure.get_figheight()
    for line, text in enumerate(lines):
        weight = "bold" if bold and line == 0 else "normal"
        y = middle + step * ((len(lines) - 1) / 2 - line)
        figure.text(x, y, text, size=size, weight=weight, ha="center", va="center", parse_math=False)


def _format_statistics(across: _PlottedMethod, upright: _PlottedMethod) -> list[str]:
    both = np.isfinite(across.scores) & np.isfinite(upright.scores)
    x, y = (_round_values(method.scores[both]) for method in (across, upright))
    lines = [f"SRCC {_format_correlation(rank_with_ties(x), rank_with_ties(y))}", f"PLCC {_format_correlation(x, y)}"]
    if across.unit == upright.unit and len(x):
        lines.append(f"max |Δ| {np.abs(_round_values(x - y, np.abs(x).max())).max():.2g}")
    return lines


def _round_values(values: NDArray[Any], largest: float | None = None) -> NDArray[Any]:
    """The values rounded so that equal values have equal ranks."""
    unit = _SCORE_ROUNDING * (float(np.abs(values).max(initial=0)) if largest is None else float(largest))
    return np.round(values / unit) * unit if unit > 0 else values


def _format_correlation(x: NDArray[Any], y: NDArray[Any]) -> str:
    """Pearson correlation to three decimals; a dash where x or y is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "–"
    return f"{np.corrcoef(x, y)[0, 1]:.3f}"
