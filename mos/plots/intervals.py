"""Scores of items from low to high, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mos.plots.names import short
from mos.plots.style import BLUE, GROUPS, SOFT, key, left_out, look, name_columns, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = "Scores of items, low to high, with their intervals"
_MAX_NAMED, _MAX_BARS = 45, 300


@look()
def score_intervals(
    items: Sequence[str],
    score: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    unit: str,
    confidence: float = 0.95,
    group: tuple[np.ndarray, Sequence[str]] | None = None,
) -> Figure:
    """Caterpillar plot: each item's score and interval; of more than 300 items, a line and a band.

    items: [J] names; score, low, high: [J] in `unit`, NaN where there is none; confidence: of the intervals, 0..1
    group: what colours the items, [J] int positions in names; negative for none.  Where there are many items each
        group gets a line of its own, without the band.  Groups beyond the six largest share the grey
    """
    known = np.isfinite(score)
    if not known.any():
        return nothing(_TITLE, "no item has a score")
    order = np.flatnonzero(known)[np.argsort(score[known], kind="stable")]
    wide = np.isfinite(high - low) & known
    half = float(np.median((high - low)[wide])) / 2 if wide.any() else float("nan")
    reading = (
        f"Items whose intervals ({100 * confidence:g} %) overlap much are not told apart. "
        + (f"Half of the items are known to ±{half:.2g} or better." if wide.any() else "No item has an interval.")
        + left_out(known, "items", "a score")
    )
    figure = sheet(_TITLE, reading, 3.8)
    axes = figure.add_subplot()
    many = len(order) > _MAX_BARS
    for members, colour, label in _groups(order, group):
        rank = np.flatnonzero(np.isin(order, members, assume_unique=True)) + 1
        if many:
            share = 100 * (np.arange(len(members)) + 0.5) / len(members)
            _draw_band(axes, share, score[members], low[members], high[members], colour, label)
        else:
            _draw_bars(axes, rank, score[members], low[members], high[members], colour, label, len(order))
    axes.set_ylabel(f"score, {short(unit, 40)}")
    axes.margins(x=0.015)
    if many:
        axes.set_xlabel("items with a lower score, %" + (" of their group" if group is not None else ""))
    elif len(order) <= _MAX_NAMED:
        name_columns(axes, list(range(1, len(order) + 1)), [short(items[at], 18) for at in order])
    else:
        axes.set_xlabel("items by rank of their score")
    key(axes, 4)
    return figure


def _groups(
    order: np.ndarray, group: tuple[np.ndarray, Sequence[str]] | None
) -> list[tuple[np.ndarray, str, str | None]]:
    """Members in the order drawn, colour and label of the largest groups, then of the rest together."""
    if group is None:
        return [(order, BLUE, None)]
    codes, names = group
    codes = np.where((codes >= 0) & (codes < len(names)), codes, len(names))
    sizes = np.bincount(codes[order], minlength=len(names) + 1)[:-1]
    largest = np.sort(np.argsort(-sizes, kind="stable")[: len(GROUPS)])
    largest = largest[sizes[largest] > 0]
    drawn: list[tuple[np.ndarray, str, str | None]] = [
        # A space of no width: matplotlib leaves out labels that start with an underscore.
        (order[codes[order] == at], colour, "\u200b" + f"{short(names[at], 22)} ({sizes[at]:,})")
        for at, colour in zip(largest.tolist(), GROUPS, strict=False)
    ]
    rest = order[~np.isin(codes[order], largest)]
    return [*drawn, (rest, SOFT, f"others ({len(rest):,})")] if len(rest) else drawn


def _draw_bars(
    axes: Axes,
    rank: np.ndarray,
    score: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    colour: str,
    label: str | None,
    items: int,
) -> None:
    width = float(np.clip(200 / items, 0.9, 2.5))
    axes.vlines(rank, low, high, color=colour, alpha=0.45, linewidth=width, zorder=1)
    axes.plot(rank, score, "o", color=colour, markersize=float(np.clip(350 / items, 2.6, 5.5)), label=label)


def _draw_band(
    axes: Axes, share: np.ndarray, score: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, label: str | None
) -> None:
    """Neighbours are averaged: single intervals of thousands of items would be a smear."""
    bins = np.arange(len(share)) * min(len(share), _MAX_BARS) // len(share)
    share, score, low, high = (_binned(values, bins) for values in (share, score, low, high))
    if label is None:  # the bands of several groups would hide each other
        axes.fill_between(share, low, high, color=colour, alpha=0.22, linewidth=0)
    axes.plot(share, score, color=colour, label=label)


def _binned(values: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Mean of the finite values of each bin; NaN where there is none."""
    finite = np.isfinite(values)
    count = np.bincount(bins[finite], minlength=bins[-1] + 1)
    total = np.bincount(bins[finite], values[finite], minlength=bins[-1] + 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
