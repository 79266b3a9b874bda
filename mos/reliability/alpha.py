"""Krippendorff's alpha in closed form: time and memory grow with the ratings, not with their square.

K. Krippendorff, Content Analysis, 3rd ed. (2013), chapter 11: alpha = 1 - Do/De.

Interval level: the distance of two values is their squared difference, and the sum of the squared differences of all
ordered pairs of n numbers is 2 n SS, SS their sum of squared deviations.  With the N ratings of items that have two
or more (pairable ratings),  Do = (1/N) sum over items of 2 n SS / (n - 1)  and  De = 2 SS_all / (N - 1).

Ordinal level: the distance of the values c < k is (n_c + ... + n_k - (n_c + n_k)/2)^2, where n_g counts the pairable
ratings of value g.  With the midrank r_g = n_1 + ... + n_(g-1) + (n_g + 1)/2 that is (r_k - r_c)^2: ordinal alpha is
interval alpha of midranks.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos._kernels import Moments, group_moments
from mos.ranks import rank_with_ties, to_decimal_steps
from mos.reliability.coefficient import (
    BOOTSTRAP_INTERVAL,
    Coefficient,
    ItemBootstrap,
    Opinions,
    central_interval,
    make_coefficient,
)

AlphaLevel = Literal["interval", "ordinal"]
NO_RATED_PAIRS = "no item was rated by two raters"
NO_VARIATION = (
    "all ratings are equal: agreement is perfect by definition, but nothing shows that raters tell items apart"
)
_SPREAD_ROUNDING = 1e-12  # a spread below this share of the whole table's is rounding


def krippendorff_alpha(item: NDArray[Any], score: NDArray[Any], level: AlphaLevel = "interval") -> float:
    """Krippendorff's alpha of the ratings of one dimension, in long form.

    Parameters
    ----------
    item
        [N] int, the item of each rating, as codes from 0.
    score
        [N] float, the score of each rating. Each rating of an item is by another rater.
    level
        `"interval"` for squared differences, `"ordinal"` for the order of the scores alone.

    Returns
    -------
    float
        At most 1; 1 when all pairable ratings are equal, NaN when there are none.

    Notes
    -----
    K. Krippendorff, Content Analysis, 3rd ed. (2013), chapter 11. Time and memory are linear in N.

    Examples
    --------
    >>> round(krippendorff_alpha(np.array([0, 0, 1, 1, 2]), np.array([1.0, 1.0, 4.0, 5.0, 9.0])), 4)
    0.9412
    """
    pairable = _select_pairable(item, score)
    if not len(pairable.score):
        return float("nan")
    values = _rank_values(pairable.score) if level == "ordinal" else pairable.score
    overall = _overall_moments(values)
    by_item = group_moments(values, pairable.item, pairable.items)
    return _alpha_from_sums(_item_disagreement(by_item).sum(), float(overall.ss[0]), len(values))


def estimate_alpha(opinions: Opinions, level: AlphaLevel, resampling: ItemBootstrap) -> Coefficient:
    """Alpha of one dimension with an interval: the items are resampled and, at the ordinal level, ranked again."""
    value = krippendorff_alpha(opinions.item, opinions.score, level)
    pairable = _select_pairable(opinions.item, opinions.score)
    rated = np.bincount(opinions.item, minlength=opinions.items) >= 2
    raters = len(np.unique(opinions.rater[rated[opinions.item]]))
    size = (pairable.items, raters, len(pairable.score))
    if not len(pairable.score):
        return make_coefficient(value, None, None, size, NO_RATED_PAIRS)
    if pairable.score.min() == pairable.score.max() or _overall_moments(pairable.score).ss[0] == 0:
        return make_coefficient(value, None, None, size, NO_VARIATION)
    if pairable.items < 2:
        return make_coefficient(value, None, None, size, "one item only: no interval")
    replicates = (_bootstrap_ordinal_alpha if level == "ordinal" else _bootstrap_interval_alpha)(pairable, resampling)
    return make_coefficient(value, central_interval(replicates, resampling.level), BOOTSTRAP_INTERVAL, size)


class _PairableRatings(NamedTuple):
    """Ratings of items with two or more: item [N] in 0..items-1, each of which occurs, and score [N]."""

    item: NDArray[Any]
    score: NDArray[Any]
    items: int


def _select_pairable(item: NDArray[Any], score: NDArray[Any]) -> _PairableRatings:
    counts = np.bincount(item)
    rated = counts >= 2
    if len(counts) and rated.all():
        return _PairableRatings(item, score, len(counts))
    rows = rated[item]
    return _PairableRatings((np.cumsum(rated) - 1)[item[rows]], score[rows], int(rated.sum()))


def _rank_values(score: NDArray[Any]) -> NDArray[Any]:
    multiples, grid = to_decimal_steps(score)
    return rank_with_ties(multiples.astype(np.int64) if grid else score)


def _overall_moments(values: NDArray[Any]) -> Moments:
    return group_moments(values, np.zeros(len(values), np.intp), 1)


def _item_disagreement(by_item: Moments) -> NDArray[Any]:
    """[items] N Do of each item."""
    disagreement: NDArray[Any] = 2 * by_item.n * by_item.ss / (by_item.n - 1)
    return disagreement


def _alpha_from_sums(disagreement: float, ss: float, n: int) -> float:
    return float(1 - (disagreement / n) / (2 * ss / (n - 1))) if ss > 0 else 1.0


def _bootstrap_interval_alpha(pairable: _PairableRatings, resampling: ItemBootstrap) -> NDArray[Any]:
    """[replicates] alpha of resampled items, from four sums over items."""
    overall = _overall_moments(pairable.score)
    by_item = group_moments(pairable.score, pairable.item, pairable.items)
    apart = by_item.mean - overall.mean[0]
    sums = np.stack(
        [by_item.n, _item_disagreement(by_item), by_item.n * apart, by_item.ss + by_item.n * apart**2], axis=1
    )
    n, disagreement, total, squares = resampling.totals(sums).T
    return _replicate_alphas(disagreement, squares - total**2 / n, n, float(overall.ss[0]))


def _bootstrap_ordinal_alpha(pairable: _PairableRatings, resampling: ItemBootstrap) -> NDArray[Any]:
    """[replicates] alpha of resampled items, whose midranks are those of the resample."""
    from scipy.sparse import csr_array

    values, code = np.unique(pairable.score, return_inverse=True)
    shape = (pairable.items, len(values))
    ones = np.ones(len(code))
    counts = csr_array((ones, (pairable.item, code)), shape=shape)  # of every value for every item
    n = np.bincount(pairable.item)[:, None]
    replicates = []
    for weights in resampling.weights(pairable.items):
        # In chunks: the rank of a value differs between resamples, and there can be as many values as ratings.
        for chunk in np.array_split(weights.T, max(1, weights.shape[0] * shape[1] >> 20), axis=1):
            margins = counts.T @ chunk  # [values, chunk]
            drawn = margins.sum(axis=0)
            rank = np.cumsum(margins, axis=0) - margins / 2 - drawn / 2  # midranks about their mean
            ss = (counts @ rank**2) - (counts @ rank) ** 2 / n
            disagreement = (chunk * (2 * n / (n - 1)) * ss).sum(axis=0)
            spread = (margins * rank**2).sum(axis=0)
            replicates.append(_replicate_alphas(disagreement, spread, drawn, float(drawn.max()) ** 3 / 12))
    return np.concatenate(replicates)


def _replicate_alphas(disagreement: NDArray[Any], ss: NDArray[Any], n: NDArray[Any], whole: float) -> NDArray[Any]:
    """[replicates] alpha; 1 where the spread is negligible compared to that of all ratings."""
    equal = ss <= _SPREAD_ROUNDING * whole
    return np.where(equal, 1.0, 1 - (disagreement / n) / (2 * np.where(equal, 1.0, ss) / (n - 1)))
