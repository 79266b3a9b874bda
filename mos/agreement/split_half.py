"""Split-half reliability: how well the mean scores of two random halves of the raters rank the items alike.

Where most raters rated most items (at least 80 % of the table is filled) the pool of raters is halved, so that a
severe rater weighs on all items of his half alike.  Elsewhere the raters of each item are halved on their own, as
different raters made the items' scores, and severity is part of the noise between them.
The two halves are equally large; of an odd number of raters one is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mos.agreement.coefficient import Coefficient, coefficient, middle
from mos.agreement.opinions import Opinions
from mos.agreement.ranks import GRAIN, spearman, whole
from mos.moments import largest

INTERVAL = "percentiles over random halvings"
TOO_FEW = "fewer than two items that two raters rated"
NO_RANKING = "the halves' scores do not differ between items"
_SHARED = 0.8  # filled share of the table from which the pool of raters is halved
_POINTS = 12
_CHUNK = 8  # halvings at a time


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Rank correlation of two panels by their size: raters [P] in each, mean, low, high [P] over splits, items [P].

    NaN where the halves' scores do not differ.
    """

    raters: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    items: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class SplitHalf:
    """srcc: mean correlation of halves; corrected: of panels of the full size (`spearman_brown`); curve: for a plot."""

    srcc: Coefficient
    corrected: Coefficient
    curve: Curve


def spearman_brown(r: float, factor: float) -> float:
    """Reliability with `factor` times the raters, from a reliability r in [-1, 1].

    factor r / (1 + (factor - 1) |r|): for r < 0, where the usual formula has no meaning, its mirror image.

    >>> spearman_brown(0.5, 2)
    0.6666666666666666
    """
    return factor * r / (1 + (factor - 1) * abs(r))


def split_half(opinions: Opinions, splits: int = 200, seed: int = 0, level: float = 0.95) -> SplitHalf:
    """Correlation of the halves over `splits` random halvings, and the curve over the raters in each half.

    The intervals hold the middle share `level` of the halvings: they say how much chance is in who sits in which half.
    """
    rated = np.bincount(opinions.item, minlength=opinions.items)
    size = (opinions.items, opinions.raters, len(opinions))
    if (rated >= 2).sum() < 2:
        nothing = coefficient(np.nan, None, None, size, TOO_FEW)
        none = np.zeros(0)
        return SplitHalf(nothing, nothing, Curve(none.astype(np.int64), none, none, none, none.astype(np.int64)))
    shared = len(opinions) >= _SHARED * opinions.items * opinions.raters
    panels = [_pool(opinions)] if shared else _own(opinions, rated)
    most = opinions.raters // 2 if shared else int(np.median(rated[rated >= 2])) // 2
    sizes = (
        np.unique(np.geomspace(1, most, _POINTS).round().astype(np.int64)) if most > _POINTS else np.arange(most) + 1
    )
    found, items = _correlations(panels, sizes, splits, np.random.default_rng(seed), shuffled=not shared)
    factor = _growth(np.array([opinions.raters]) if shared else rated[rated >= 2])
    halves = found[0][np.isfinite(found[0])]
    note = None if len(halves) else NO_RANKING
    mean, ci = _mean(halves), middle(halves, level)
    full = (spearman_brown(ci[0], factor), spearman_brown(ci[1], factor))
    bounds = np.array([middle(row, level) for row in found[1:]]).reshape(-1, 2)
    curve = Curve(sizes, np.array([_mean(row) for row in found[1:]]), bounds[:, 0], bounds[:, 1], items)
    return SplitHalf(
        coefficient(mean, ci, INTERVAL, size, note),
        coefficient(spearman_brown(mean, factor), full, INTERVAL, size, note),
        curve,
    )


class _Panel(NamedTuple):
    """score: [items, n] opinions, 0 where there is none; given: [items, n] 1 where there is one, None if everywhere.

    grid: whether the scores are whole numbers, so that equal sums are equal whatever their order
    """

    score: np.ndarray
    given: np.ndarray | None
    grid: bool


def _pool(opinions: Opinions) -> _Panel:
    """All items by all raters; the raters in an order that comes from what they rated, not from their names."""
    shape = (opinions.items, opinions.raters)
    score, grid = whole(opinions.score)
    dense, given = np.zeros(shape), np.zeros(shape)
    dense[opinions.item, opinions.rater] = score
    given[opinions.item, opinions.rater] = 1
    weights = np.random.default_rng(0).random((2, opinions.items))
    order = np.argsort(weights[0] @ dense + weights[1] @ given, kind="stable")
    return _Panel(dense[:, order], None if opinions.complete else given[:, order], grid)


def _own(opinions: Opinions, rated: np.ndarray) -> list[_Panel]:
    """For every number n of opinions from 2, the items that have so many, by their opinions in ascending order."""
    score, grid = whole(opinions.score)
    score = score[np.lexsort((score, opinions.item))]
    n = rated[opinions.item]
    sizes = np.unique(rated[rated >= 2])
    return [_Panel(score[n == size].reshape(-1, size), None, grid and len(sizes) == 1) for size in sizes]


def _correlations(
    panels: list[_Panel], sizes: np.ndarray, splits: int, random: np.random.Generator, shuffled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """[1 + P, splits] rank correlations of full halves, and of halves of each of P sizes; [P] items of each size.

    shuffled: whether the raters of an item have no column of their own.  Their opinions are then put into random
    columns, once for some splits, each of which halves the columns at random.
    """
    found = np.full((1 + len(sizes), splits), np.nan)
    items = np.array([sum(len(p.score) for p in panels if p.score.shape[1] >= 2 * size) for size in sizes], np.int64)
    for start in range(0, splits, _CHUNK):
        many = min(_CHUNK, splits - start)
        if shuffled:
            panels = [panel._replace(score=random.permuted(panel.score, axis=1)) for panel in panels]
        sides = [_sides(panel, sizes, many, random) for panel in panels]
        for row in range(len(found)):
            one, other = np.concatenate([side[row] for side in sides if row < len(side)], axis=2)
            for split in range(many):
                both = slice(None) if panels[0].given is None else np.isfinite(one[split]) & np.isfinite(other[split])
                found[row, start + split] = spearman(one[split][both], other[split][both])
    return found, items


def _sides(panel: _Panel, sizes: np.ndarray, splits: int, random: np.random.Generator) -> np.ndarray:
    """[1 + sizes that fit, 2, splits, items] scores of both halves: full halves, then halves of each size.

    Sums (int64) of whole numbers, else means in steps that hide rounding; NaN where a half has no opinion of an item.
    """
    n = panel.score.shape[1]
    place = np.argsort(random.random((splits, n)), axis=1)
    halves = np.array([n // 2, *sizes[2 * sizes <= n].tolist()])[:, None, None, None]
    first = np.array([0, 1])[:, None, None] * halves
    member = ((first <= place) & (place < first + halves)).astype(np.float64)
    total = (member.reshape(-1, n) @ panel.score.T).reshape(*member.shape[:3], -1)
    if panel.given is None:
        if panel.grid:
            return total.astype(np.int64)
        total /= halves
    else:
        count = (member.reshape(-1, n) @ panel.given.T).reshape(total.shape)
        total /= np.where(count > 0, count, np.nan)
    total /= GRAIN * max(largest(panel.score), np.finfo(float).tiny)
    return np.rint(total, out=total)


def _growth(n: np.ndarray) -> float:
    """How many times more raters all are than a half, by harmonic means, as noise goes with 1/n; n: [...] >= 2."""
    return float((1 / (n // 2)).mean() / (1 / n).mean())


def _mean(values: np.ndarray) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else np.nan
