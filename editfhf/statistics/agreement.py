"""Agreement of raters in closed form, on flat arrays of codes and scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_PICTURES = 3


def interval_alpha(pictures: Ints, scores: Floats) -> float | None:
    """Krippendorff's alpha with the interval metric: 1 - Do / De.

    pictures: code of the rated picture, [n]; scores: [n].  With N scores on pictures that have n_j >= 2 of them and
    SS the sum of squares about a mean, Do = (1/N) sum_j 2 n_j SS_j / (n_j - 1) and De = 2 SS / (N - 1): the sums over
    all couples of scores of the definition (Krippendorff 2011), without the couples.  None when nothing is rated
    twice, or when all scores are equal, where alpha is 0/0.
    """
    counts = np.bincount(pictures)
    paired = counts[pictures] >= 2
    picture, score = pictures[paired], scores[paired]
    total = len(score)
    if total < 2:
        return None
    n = np.bincount(picture, minlength=len(counts))
    mean = np.bincount(picture, score, len(counts)) / np.maximum(n, 1)
    squares = np.bincount(picture, (score - mean[picture]) ** 2, len(counts))
    observed = float(np.sum(2 * n * squares / np.maximum(n - 1, 1))) / total
    expected = 2 * float(np.sum((score - score.mean()) ** 2)) / (total - 1)
    return 1 - observed / expected if expected > _noise(score) else None


def with_others(pictures: Ints, raters: Ints, scores: Floats) -> tuple[Ints, Floats, Floats]:
    """Each rating beside the mean of the other ratings of the same picture: raters, scores, means of the others.

    Pictures with a single rating drop out.
    """
    counts = np.bincount(pictures)
    sums = np.bincount(pictures, scores, len(counts))
    shared = counts[pictures] >= 2
    picture, score = pictures[shared], scores[shared]
    return raters[shared], score, (sums[picture] - score) / (counts[picture] - 1)


def mean_correlations(pictures: Ints, raters: Ints, scores: Floats) -> tuple[float | None, float | None]:
    """Mean over raters of the Spearman and Pearson correlation with the mean of the others.

    A rater needs three shared pictures and some variation; None when no rater has them.
    """
    rater, own, others = with_others(pictures, raters, scores)
    spearman = _grouped(rater, average_ranks(rater, own), average_ranks(rater, others))
    pearson = _grouped(rater, own, others)
    return _mean(spearman), _mean(pearson)


def average_ranks(groups: Ints, values: Floats) -> Floats:
    """Rank of every value within its group, from 1, equal values sharing the mean of their ranks."""
    order = np.lexsort((values, groups))
    group, value = groups[order], values[order]
    if not len(order):
        return np.empty(0)
    starts_group = np.r_[True, group[1:] != group[:-1]]
    starts_tie = starts_group | np.r_[True, value[1:] != value[:-1]]
    first = np.flatnonzero(starts_tie)
    last = np.r_[first[1:], len(order)] - 1
    offset = np.flatnonzero(starts_group)[np.cumsum(starts_group) - 1]
    ranks = np.empty(len(order))
    ranks[order] = ((first + last) / 2)[np.cumsum(starts_tie) - 1] - offset + 1
    return ranks


def correlation(x: Floats, y: Floats) -> float | None:
    """Pearson correlation of two arrays; None with fewer than three values or without variation."""
    found = _grouped(np.zeros(len(x), dtype=np.int64), x, y)
    return float(found[0]) if len(found) and not np.isnan(found[0]) else None


def _grouped(groups: Ints, x: Floats, y: Floats) -> Floats:
    """Pearson correlation within every group, NaN where it has no meaning."""
    if not len(groups):
        return np.empty(0)
    n = np.bincount(groups)
    dx = x - (np.bincount(groups, x) / np.maximum(n, 1))[groups]
    dy = y - (np.bincount(groups, y) / np.maximum(n, 1))[groups]
    xx, yy, xy = (np.bincount(groups, product) for product in (dx * dx, dy * dy, dx * dy))
    usable = (n >= LEAST_PICTURES) & (xx > n * _noise(x)) & (yy > n * _noise(y))
    return np.where(usable, xy / np.sqrt(np.where(usable, xx * yy, 1.0)), np.nan)


def _noise(values: Floats) -> float:
    """A variance below this is rounding, not variation: a constant 3.3 has a standard deviation of 4e-16."""
    return float(1e-12 * np.max(np.abs(values), initial=0.0)) ** 2


def _mean(values: Floats) -> float | None:
    given = values[~np.isnan(values)]
    return float(given.mean()) if len(given) else None
