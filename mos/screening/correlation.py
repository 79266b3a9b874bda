"""Which raters order the items unlike the panel: screening by correlation with the item means.

Recommendations ITU-R BT.1788 and BT.500-14: with r the correlation of a rater's scores with the means,
the threshold is 0.7 if mean(r) - sd(r) > 0.7 and else mean(r) - sd(r), over the raters of a panel; a rater with
r <= threshold is rejected.  The rule is relative where correlations are low: of two raters with r <= 0.7 the lower
one is always rejected, and raters who all have the same r <= 0.7 all are.

Correlations closer than 1e-9 to the threshold lie on it: rounding decides nothing.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from mos.moments import Moments, add_by, blocks, largest, moments
from mos.screening.exact import RESOLUTION

Statistic = Literal["pearson", "spearman", "min"]

KEPT, LOW_CORRELATION, CONSTANT, TOO_FEW_ITEMS, ITEMS_ALIKE = range(5)
REASONS = ("", "low_correlation", "constant", "too_few_items", "items_alike")
_REJECTING = (LOW_CORRELATION, CONSTANT)

_NOISE = 1e-9


class Correlations(NamedTuple):
    """Of every rater, each [raters]: n int64, pearson and spearman float64, NaN where there is none.

    n: ratings that there is a mean to compare with
    constant: bool, all these ratings are equal; alike: bool, all means they are compared with are
    """

    n: np.ndarray
    pearson: np.ndarray
    spearman: np.ndarray
    constant: np.ndarray
    alike: np.ndarray


class Screening(NamedTuple):
    """Of every rater, each [raters]: r, the screened correlation; reason int8, position in REASONS; rejected bool.

    threshold, mean, sd: [panels] float64, of r over the raters of the panel; NaN where no rater has one
    """

    correlations: Correlations
    r: np.ndarray
    reason: np.ndarray
    rejected: np.ndarray
    threshold: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def screen(
    correlations: Correlations,
    panel: np.ndarray,
    panels: int,
    *,
    statistic: Statistic = "pearson",
    max_threshold: float = 0.7,
    min_items: int = 3,
) -> Screening:
    """Screen the raters of each panel once.

    panel: [raters] in 0..panels-1, the raters who share a threshold: all of them, or those of a dimension
    statistic: "pearson" or "spearman", as in sureal; "min", the lower of both, as in BT.1788
    max_threshold: no rater with a larger r is rejected
    A rater whose scores are all equal has no correlation and is rejected: CONSTANT.  One who rated fewer than
    `min_items` items, or only items of equal means, cannot be judged and stays: TOO_FEW_ITEMS, ITEMS_ALIKE.  Neither
    has part in the threshold.
    """
    own = {"pearson": correlations.pearson, "spearman": correlations.spearman}
    r = own[statistic] if statistic != "min" else np.minimum(*own.values())
    few = correlations.n < max(min_items, 2)
    r = np.where(few, np.nan, r)
    judged = ~np.isnan(r)
    found = moments(r[judged], panel[judged], panels)
    sd = found.sd(0)
    threshold = np.fmin(found.mean - sd, np.where(found.n > 0, max_threshold, np.nan))
    reason = np.full(len(r), KEPT, np.int8)
    reason[r <= threshold[panel] + _NOISE] = LOW_CORRELATION
    reason[correlations.alike] = ITEMS_ALIKE
    reason[correlations.constant] = CONSTANT
    reason[few] = TOO_FEW_ITEMS
    return Screening(correlations, r, reason, np.isin(reason, _REJECTING), threshold, found.mean, sd)


def correlate(
    score: np.ndarray, group: np.ndarray, groups: int, rater: np.ndarray, raters: int, *, leave_one_out: bool = False
) -> Correlations:
    """Correlate the scores of each rater with the means of what the rater rated.

    score: [N] finite float64; group: [N] in 0..groups-1, the item in its dimension; rater: [N] in 0..raters-1, the
    rater, or the rater in a dimension.  A rater's repeated ratings of an item each count.
    leave_one_out: compare with the mean of the other ratings of the item, instead of all of them: fairer to others
    and harder to the rater where an item has few ratings.  An item with no other rating does not count.
    Spearman's correlation is Pearson's of the ranks, tied ranks averaged.
    """
    mean, place, counted = _means(score, group, groups, leave_one_out)
    score, level = _levels(score)
    if counted is not None:
        score, level, mean, place, rater = (value[counted] for value in (score, level, mean, place, rater))
    scores, means = moments(score, rater, raters), moments(mean, rater, raters)
    ranks, places = _ranks(level, rater, raters), _ranks(place, rater, raters)
    rated = scores.n > 0
    return Correlations(
        n=scores.n,
        pearson=_correlation(score, scores, mean, means, rater),
        spearman=_correlation(ranks, moments(ranks, rater, raters), places, moments(places, rater, raters), rater),
        constant=rated & (scores.ss == 0),
        alike=rated & (means.ss == 0),
    )


def _means(
    score: np.ndarray, group: np.ndarray, groups: int, leave_one_out: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """[N] the mean to compare each score with, [N] its level, and [N] bool whether there is one (None: for all)."""
    found = moments(score, group, groups)
    if not leave_one_out:
        mean, level = _levels(np.nan_to_num(found.mean))
        return mean[group], level[group], None
    others = found.n[group] - 1
    mean = found.mean[group]
    # The mean of the others lies on the other side of the mean of all.
    mean, level = _levels(mean - (score - mean) / np.maximum(others, 1))
    return mean, level, None if others.all() else others > 0


def _levels(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N] the values with those made equal that only rounding sets apart, and [N] int64 their order, from 0.

    Means of the same scores in another order are equal, and tied in rank.
    """
    order = np.argsort(value)
    ascending = value[order]
    start = np.flatnonzero(np.diff(ascending, prepend=-np.inf) > RESOLUTION * largest(value))
    size = np.diff(start, append=len(value))
    equal, level = np.empty(len(value)), np.empty(len(value), np.int64)
    equal[order] = np.repeat(ascending[start], size)
    level[order] = np.repeat(np.arange(len(start)), size)
    return equal, level


def _correlation(x: np.ndarray, xs: Moments, y: np.ndarray, ys: Moments, rater: np.ndarray) -> np.ndarray:
    """[raters] Pearson's correlation of x and y [N], given their moments by rater; NaN where either does not vary."""
    together = np.zeros(len(xs.n))
    for rows in blocks(len(rater)):
        at = rater[rows].astype(np.intp, copy=False)
        add_by(at, together, (x[rows] - xs.mean[at]) * (y[rows] - ys.mean[at]))
    spread = np.sqrt(xs.ss) * np.sqrt(ys.ss)
    return np.clip(together / np.where(spread > 0, spread, np.nan), -1, 1)


def _ranks(level: np.ndarray, rater: np.ndarray, raters: int) -> np.ndarray:
    """[N] float64 rank of each level among the rater's own, from 0; equal levels share the mean of their ranks."""
    key = rater * (level.max(initial=0) + 1) + level
    order = np.argsort(key)
    start = np.flatnonzero(np.diff(key[order], prepend=-1))
    tied = np.diff(start, append=len(key))
    rank = np.empty(len(level))
    rank[order] = np.repeat(start + (tied - 1) / 2, tied)
    own = np.bincount(rater, minlength=raters)
    return rank - (np.cumsum(own) - own)[rater]
