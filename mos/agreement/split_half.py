"""Split-half reliability: how well the mean scores of two random halves of the raters rank the items alike.

Where most raters rated most items (at least 80 % of the table is filled) the pool of raters is halved, so that a
severe rater weighs on all items of his half alike.  Elsewhere the raters of each item are halved on their own, as
different raters made the items' scores, and severity is part of the noise between them.
The two halves are equally large; of an odd number of raters one is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mos.agreement.coefficient import Coefficient, coefficient, middle
from mos.agreement.opinions import Opinions
from mos.agreement.ranks import spearman
from mos.moments import largest

INTERVAL = "percentiles over random halvings"
TOO_FEW = "fewer than two items that two raters rated"
NO_RANKING = "the halves' scores do not differ between items"
_SHARED = 0.8  # filled share of the table from which the pool of raters is halved
_POINTS = 12
_CHUNK = 16
_GRAIN = 1e-10  # means closer than this share of the largest score are equal: sums in another order are


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
    score, grid = _whole(opinions.score)
    dense, given = np.zeros(shape), np.zeros(shape)
    dense[opinions.item, opinions.rater] = score
    given[opinions.item, opinions.rater] = 1
    weights = np.random.default_rng(0).random((2, opinions.items))
    order = np.argsort(weights[0] @ dense + weights[1] @ given, kind="stable")
    return _Panel(dense[:, order], None if opinions.complete else given[:, order], grid)


def _own(opinions: Opinions, rated: np.ndarray) -> list[_Panel]:
    """For every number n of opinions from 2, the items that have so many, by their opinions in ascending order."""
    score, grid = _whole(opinions.score)
    score = score[np.lexsort((score, opinions.item))]
    n = rated[opinions.item]
    sizes = np.unique(rated[rated >= 2])
    return [_Panel(score[n == size].reshape(-1, size), None, grid and len(sizes) == 1) for size in sizes]


def _whole(score: np.ndarray) -> tuple[np.ndarray, bool]:
    """The scores in multiples of a decimal step, and True; the scores as they are, and False, where none fits."""
    reach = largest(score)
    for steps in (1, 2, 10, 100, 1000):
        whole = np.rint(score * steps)
        if reach * steps < 1e6 and (np.abs(score * steps - whole) <= _GRAIN * reach * steps).all():
            return whole, True
    return score, False


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
        orders = [np.argsort(random.random((many, panel.score.shape[1])), axis=1) for panel in panels]
        for row, size in enumerate([None, *sizes.tolist()]):
            for split, (one, other) in enumerate(_halves(panels, orders, size)):
                found[row, start + split] = spearman(one, other)
    return found, items


def _halves(
    panels: list[_Panel], orders: list[np.ndarray], size: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For every split, the scores of the items in both halves, of `size` raters each or as many as there are."""
    sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for panel, order in zip(panels, orders, strict=True):
        half = panel.score.shape[1] // 2 if size is None else size
        if panel.score.shape[1] < 2 * half:
            continue
        for side, columns in zip(sides, (order[:, :half], order[:, half : 2 * half]), strict=True):
            member = np.zeros(order.shape)
            np.put_along_axis(member, columns, 1, axis=1)
            side.append(_scores(panel, member, half))
    one, other = (np.concatenate(side, axis=1) for side in sides)
    if panels[0].given is None:
        return zip(one, other, strict=True)
    both = np.isfinite(one) & np.isfinite(other)
    return ((a[kept], b[kept]) for a, b, kept in zip(one, other, both, strict=True))


def _scores(panel: _Panel, member: np.ndarray, half: int) -> np.ndarray:
    """[splits, items] sums (int64) of whole numbers, else means in steps that hide rounding; NaN without opinions.

    member: [splits, n] 1 for the columns of the half.
    """
    total = member @ panel.score.T
    if panel.given is None:
        if panel.grid:
            return total.astype(np.int64)
        mean = total / half
    else:
        count = member @ panel.given.T
        mean = total / np.where(count > 0, count, np.nan)
    return np.rint(mean / (_GRAIN * max(largest(panel.score), np.finfo(float).tiny)))


def _growth(n: np.ndarray) -> float:
    """How many times more raters all are than a half, by harmonic means, as noise goes with 1/n; n: [...] >= 2."""
    return float((1 / (n // 2)).mean() / (1 / n).mean())


def _mean(values: np.ndarray) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else np.nan
