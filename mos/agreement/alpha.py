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

from typing import Literal, NamedTuple

import numpy as np

from mos.agreement.coefficient import Coefficient, coefficient, middle
from mos.agreement.opinions import Opinions
from mos.agreement.ranks import midranks, whole
from mos.agreement.resampling import INTERVAL, Resampling
from mos.moments import Moments, moments

Level = Literal["interval", "ordinal"]
NO_PAIRS = "no item was rated by two raters"
NO_VARIATION = (
    "all ratings are equal: agreement is perfect by definition, but nothing shows that raters tell items apart"
)
_NOTHING = 1e-12  # a spread below this share of the whole table's is rounding


def alpha(item: np.ndarray, score: np.ndarray, level: Level = "interval") -> float:
    """Krippendorff's alpha of ratings in long form; item: [N] codes from 0, score: [N], each by another rater.

    1 when all pairable ratings are equal, NaN when there are none.

    >>> round(alpha(np.array([0, 0, 1, 1, 2]), np.array([1.0, 1.0, 4.0, 5.0, 9.0])), 4)
    0.9412
    """
    pairable = _pairable(item, score)
    if not len(pairable.score):
        return float("nan")
    values = _ranks(pairable.score) if level == "ordinal" else pairable.score
    overall = _overall(values)
    by_item = moments(values, pairable.item, pairable.items)
    return _alpha(_disagreement(by_item).sum(), float(overall.ss[0]), len(values))


def krippendorff(opinions: Opinions, level: Level, resampling: Resampling) -> Coefficient:
    """Alpha of one dimension with an interval; the items are resampled and, at the ordinal level, ranked anew."""
    value = alpha(opinions.item, opinions.score, level)
    pairable = _pairable(opinions.item, opinions.score)
    rated = np.bincount(opinions.item, minlength=opinions.items) >= 2
    raters = len(np.unique(opinions.rater[rated[opinions.item]]))
    size = (pairable.items, raters, len(pairable.score))
    if not len(pairable.score):
        return coefficient(value, None, None, size, NO_PAIRS)
    if pairable.score.min() == pairable.score.max() or _overall(pairable.score).ss[0] == 0:
        return coefficient(value, None, None, size, NO_VARIATION)
    if pairable.items < 2:
        return coefficient(value, None, None, size, "one item only: no interval")
    replicates = (_ordinal_replicates if level == "ordinal" else _interval_replicates)(pairable, resampling)
    return coefficient(value, middle(replicates, resampling.level), INTERVAL, size)


class _Pairable(NamedTuple):
    """Ratings of items with two or more: item [N] in 0..items-1, each of which occurs, and score [N]."""

    item: np.ndarray
    score: np.ndarray
    items: int


def _pairable(item: np.ndarray, score: np.ndarray) -> _Pairable:
    counts = np.bincount(item)
    rated = counts >= 2
    if len(counts) and rated.all():
        return _Pairable(item, score, len(counts))
    rows = rated[item]
    return _Pairable((np.cumsum(rated) - 1)[item[rows]], score[rows], int(rated.sum()))


def _ranks(score: np.ndarray) -> np.ndarray:
    multiples, grid = whole(score)
    return midranks(multiples.astype(np.int64) if grid else score)


def _overall(values: np.ndarray) -> Moments:
    return moments(values, np.zeros(len(values), np.intp), 1)


def _disagreement(by_item: Moments) -> np.ndarray:
    """[items] N Do of each item."""
    return 2 * by_item.n * by_item.ss / (by_item.n - 1)


def _alpha(disagreement: float, ss: float, n: int) -> float:
    return float(1 - (disagreement / n) / (2 * ss / (n - 1))) if ss > 0 else 1.0


def _interval_replicates(pairable: _Pairable, resampling: Resampling) -> np.ndarray:
    """[replicates] alpha of resampled items, from four sums over items."""
    overall = _overall(pairable.score)
    by_item = moments(pairable.score, pairable.item, pairable.items)
    apart = by_item.mean - overall.mean[0]
    sums = np.stack([by_item.n, _disagreement(by_item), by_item.n * apart, by_item.ss + by_item.n * apart**2], axis=1)
    n, disagreement, total, squares = resampling.totals(sums).T
    return _alphas(disagreement, squares - total**2 / n, n, float(overall.ss[0]))


def _ordinal_replicates(pairable: _Pairable, resampling: Resampling) -> np.ndarray:
    """[replicates] alpha of resampled items, whose midranks are those of the resample."""
    from scipy.sparse import csr_array

    values, code = np.unique(pairable.score, return_inverse=True)
    shape = (pairable.items, len(values))
    ones = np.ones(len(code))
    counts = csr_array((ones, (pairable.item, code)), shape=shape)  # of every value for every item
    n = np.bincount(pairable.item)[:, None]
    found = []
    for weights in resampling.weights(pairable.items):
        # Some at a time: a value's rank differs between resamples, and there may be as many values as ratings.
        for some in np.array_split(weights.T, max(1, weights.shape[0] * shape[1] >> 20), axis=1):
            margins = counts.T @ some  # [values, some]
            drawn = margins.sum(axis=0)
            rank = np.cumsum(margins, axis=0) - margins / 2 - drawn / 2  # midranks about their mean
            ss = (counts @ rank**2) - (counts @ rank) ** 2 / n
            disagreement = (some * (2 * n / (n - 1)) * ss).sum(axis=0)
            spread = (margins * rank**2).sum(axis=0)
            found.append(_alphas(disagreement, spread, drawn, float(drawn.max()) ** 3 / 12))
    return np.concatenate(found)


def _alphas(disagreement: np.ndarray, ss: np.ndarray, n: np.ndarray, whole: float) -> np.ndarray:
    """[replicates] alpha; 1 where the spread is nothing beside that of the whole."""
    equal = ss <= _NOTHING * whole
    return np.where(equal, 1.0, 1 - (disagreement / n) / (2 * np.where(equal, 1.0, ss) / (n - 1)))
