"""Split-half reliability: rank correlation between the mean scores of two random halves of the raters.

Where most raters rated most items (at least 80 % of the table is filled), the pool of raters is halved, so that a
severe rater affects all items of his half alike.  Otherwise the raters of each item are halved separately, because
different raters made the scores of different items, and severity is part of the noise between them.
The two halves have equal size; of an odd number of raters one is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos._kernels import largest_magnitude
from mos.ranks import EQUAL_TOLERANCE, spearman_correlation, to_decimal_steps
from mos.reliability.coefficient import Coefficient, Opinions, central_interval, make_coefficient

HALVING_INTERVAL = "percentiles over random halvings"
TOO_FEW_FOR_HALVES = "fewer than two items that two raters rated"
NO_RANKING = "the halves' scores do not differ between items"
_MIN_FILLED_SHARE = 0.8  # filled share of the table from which the pool of raters is halved
_MAX_CURVE_POINTS = 12
_SPLITS_PER_CHUNK = 8  # halvings at a time


@dataclass(frozen=True, slots=True, eq=False)
class SplitHalfCurve:
    """Rank correlation of two panels of raters, by panel size; NaN where the scores of the panels do not differ.

    Attributes
    ----------
    raters
        [P] int, number of raters in each panel.
    mean, low, high
        [P] float, mean and interval of the correlation over random splits, -1 to 1.
    items
        [P] int, number of items.
    """

    raters: NDArray[Any]
    mean: NDArray[Any]
    low: NDArray[Any]
    high: NDArray[Any]
    items: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class SplitHalf:
    """srcc: mean correlation of halves; corrected: of panels of the full size (`spearman_brown`); curve: for a plot."""

    srcc: Coefficient
    corrected: Coefficient
    curve: SplitHalfCurve


def spearman_brown(r: float, factor: float) -> float:
    """Reliability with a multiple of the raters, by the Spearman-Brown formula.

    Parameters
    ----------
    r
        Reliability, -1 to 1.
    factor
        Ratio of the new number of raters to the present one, positive.

    Returns
    -------
    float
        factor r / (1 + (factor - 1) |r|). For r < 0, where the usual formula has no meaning, this is its mirror image.

    Examples
    --------
    >>> spearman_brown(0.5, 2)
    0.6666666666666666
    """
    return factor * r / (1 + (factor - 1) * abs(r))


def estimate_split_half(opinions: Opinions, splits: int = 200, seed: int = 0, level: float = 0.95) -> SplitHalf:
    """Correlation of the halves over `splits` random halvings, and the curve over the raters in each half.

    The intervals hold the middle share `level` of the halvings: they show the effect of the random choice of halves.
    """
    rated = np.bincount(opinions.item, minlength=opinions.items)
    size = (opinions.items, opinions.raters, len(opinions))
    if (rated >= 2).sum() < 2:
        nothing = make_coefficient(np.nan, None, None, size, TOO_FEW_FOR_HALVES)
        none = np.zeros(0)
        return SplitHalf(
            nothing, nothing, SplitHalfCurve(none.astype(np.int64), none, none, none, none.astype(np.int64))
        )
    shared = len(opinions) >= _MIN_FILLED_SHARE * opinions.items * opinions.raters
    panels = [_pool_raters(opinions)] if shared else _panels_by_size(opinions, rated)
    most = opinions.raters // 2 if shared else int(np.median(rated[rated >= 2])) // 2
    sizes = (
        np.unique(np.geomspace(1, most, _MAX_CURVE_POINTS).round().astype(np.int64))
        if most > _MAX_CURVE_POINTS
        else np.arange(most) + 1
    )
    correlations, items = _correlate_halves(panels, sizes, splits, np.random.default_rng(seed), shuffled=not shared)
    factor = _growth_factor(np.array([opinions.raters]) if shared else rated[rated >= 2])
    halves = correlations[0][np.isfinite(correlations[0])]
    note = None if len(halves) else NO_RANKING
    mean, ci = _finite_mean(halves), central_interval(halves, level)
    full = (spearman_brown(ci[0], factor), spearman_brown(ci[1], factor))
    bounds = np.array([central_interval(row, level) for row in correlations[1:]]).reshape(-1, 2)
    curve = SplitHalfCurve(
        sizes, np.array([_finite_mean(row) for row in correlations[1:]]), bounds[:, 0], bounds[:, 1], items
    )
    return SplitHalf(
        make_coefficient(mean, ci, HALVING_INTERVAL, size, note),
        make_coefficient(spearman_brown(mean, factor), full, HALVING_INTERVAL, size, note),
        curve,
    )


class _Panel(NamedTuple):
    """score: [items, n] opinions, 0 where there is none; given: [items, n] 1 where there is one, None if everywhere.

    grid: whether the scores are whole numbers, so that equal sums are equal whatever their order
    """

    score: NDArray[Any]
    given: NDArray[Any] | None
    grid: bool


def _pool_raters(opinions: Opinions) -> _Panel:
    """All items by all raters; the order of the raters depends on their ratings, not on their names."""
    shape = (opinions.items, opinions.raters)
    score, grid = to_decimal_steps(opinions.score)
    dense, given = np.zeros(shape), np.zeros(shape)
    dense[opinions.item, opinions.rater] = score
    given[opinions.item, opinions.rater] = 1
    weights = np.random.default_rng(0).random((2, opinions.items))
    order = np.argsort(weights[0] @ dense + weights[1] @ given, kind="stable")
    return _Panel(dense[:, order], None if opinions.complete else given[:, order], grid)


def _panels_by_size(opinions: Opinions, rated: NDArray[Any]) -> list[_Panel]:
    """For each number n >= 2 of opinions, the items with n opinions; the opinions of each item ascend."""
    score, grid = to_decimal_steps(opinions.score)
    score = score[np.lexsort((score, opinions.item))]
    n = rated[opinions.item]
    sizes = np.unique(rated[rated >= 2])
    return [_Panel(score[n == size].reshape(-1, size), None, grid and len(sizes) == 1) for size in sizes]


def _correlate_halves(
    panels: list[_Panel], sizes: NDArray[Any], splits: int, random: np.random.Generator, shuffled: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """[1 + P, splits] rank correlations of full halves, and of halves of each of P sizes; [P] items of each size.

    shuffled: whether a column is not one rater.  The opinions of an item are then put into random columns, once for
    each chunk of splits; each split halves the columns at random.
    """
    correlations = np.full((1 + len(sizes), splits), np.nan)
    items = np.array([sum(len(p.score) for p in panels if p.score.shape[1] >= 2 * size) for size in sizes], np.int64)
    for start in range(0, splits, _SPLITS_PER_CHUNK):
        many = min(_SPLITS_PER_CHUNK, splits - start)
        if shuffled:
            panels = [panel._replace(score=random.permuted(panel.score, axis=1)) for panel in panels]
        sides = [_score_halves(panel, sizes, many, random) for panel in panels]
        for row in range(len(correlations)):
            first, second = np.concatenate([side[row] for side in sides if row < len(side)], axis=2)
            for split in range(many):
                both = (
                    slice(None) if panels[0].given is None else np.isfinite(first[split]) & np.isfinite(second[split])
                )
                correlations[row, start + split] = spearman_correlation(first[split][both], second[split][both])
    return correlations, items


def _score_halves(panel: _Panel, sizes: NDArray[Any], splits: int, random: np.random.Generator) -> NDArray[Any]:
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
            whole: NDArray[Any] = total.astype(np.int64)
            return whole
        total /= halves
    else:
        count = (member.reshape(-1, n) @ panel.given.T).reshape(total.shape)
        total /= np.where(count > 0, count, np.nan)
    total /= EQUAL_TOLERANCE * max(largest_magnitude(panel.score), np.finfo(float).tiny)
    rounded: NDArray[Any] = np.rint(total, out=total)
    return rounded


def _growth_factor(n: NDArray[Any]) -> float:
    """Ratio of all raters to a half, by harmonic means, because noise is proportional to 1/n; n: [...] >= 2."""
    return float((1 / (n // 2)).mean() / (1 / n).mean())


def _finite_mean(values: NDArray[Any]) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else np.nan
