"""The iteration of ITU-T P.910, Annex E: quality from weighted ratings, weights from how far the ratings are from it.

From the qualities follow the biases and inconsistencies of the raters (bias c_i, the mean of x_ij - psi_j; variance
v_i of what is left), and from those the next qualities, psi_j = sum_i w_i (x_ij - c_i) / sum_i w_i with the weights
w_i = 1 / (v_i + 1e-8).  So the qualities are the whole state.  Both ways to iterate here do just that, and stop by the
same rule; here x and psi are counted from the mean opinion score of their item, where rounding does least.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

EPSILON = 1e-8  # added to a variance before it becomes a weight
CHANGE = 1e-8  # iteration ends when the qualities change by less, as a Euclidean norm
MOST_ITERATIONS = 1000
_LEAST_RATINGS = 3  # below, a rater's own variance says nothing: bias and variance take up two ratings


class Guard(NamedTuple):
    """What keeps one rater from taking over.

    ratings: [raters] int64 number of ratings
    share: lowest variance allowed, as a share of the median variance of the raters that have their own
    """

    ratings: np.ndarray
    share: float

    @classmethod
    def of(cls, ratings: np.ndarray, raters_per_item: float) -> Guard:
        """For items that so many different raters rated on average.

        A rater's own ratings pull the quality towards them, which makes the rater look consistent, which raises the
        weight: with few raters that ends where one rater's scores are the quality.  At the floor of 2 / (n - 1) of
        the median variance a rater among n has a third of the weight of an item, beside raters of median variance.
        With 24 raters the floor is at 0.29 of the median standard deviation, far below what raters reach.
        The median is that of all raters in the table: studies that have nothing in common are better fitted apart.
        """
        return cls(ratings, min(1.0, 2 / (raters_per_item - 1)) if raters_per_item > 1 else 1.0)

    @property
    def pooled(self) -> np.ndarray:
        """[raters] bool: too few ratings for a variance of the rater's own, who gets that of the others together."""
        return self.ratings < _LEAST_RATINGS

    def held(self, variance: np.ndarray) -> np.ndarray:
        """[raters] variances with the floor, and the pooled one for those without their own."""
        pooled = self.pooled
        if not pooled.any():
            return np.maximum(variance, self.share * np.median(variance))
        if pooled.all():
            return np.full(len(variance), np.average(variance, weights=self.ratings))
        own = np.maximum(variance, self.share * np.median(variance[~pooled]))
        own[pooled] = np.average(own[~pooled], weights=self.ratings[~pooled])
        return own


class Fit(NamedTuple):
    """before, quality: [items] quality in the last step but one, and in the last, counted from the item's mean."""

    before: np.ndarray
    quality: np.ndarray
    iterations: int
    converged: bool


def fit_complete(x: np.ndarray, guard: Guard | None) -> Fit:
    """Iterate where every rater rated every item once.  x: [items, raters] scores less their item's mean.

    All items have the same weights then, in shares p that sum to 1.  With z, x less the mean of its rater, the
    quality is z p and the bias never changes; the variance of rater i is that of z_i - z p, and the change of the
    quality is z times the change of p.  Both need no more of z than the raters' covariances C:
    v_i = C_ii - 2 (C p)_i + p C p.  So a step costs the same for a hundred items as for a million.
    """
    z = x - x.mean(axis=0)
    covariance = z.T @ z / len(z)

    def step(shares: np.ndarray) -> tuple[np.ndarray, float]:
        common = covariance @ shares
        variance = np.maximum(covariance.diagonal() - 2 * common + shares @ common, 0)
        weight = _weights(variance, guard)
        after = weight / weight.sum()
        moved = after - shares
        return after, float(np.sqrt(max(len(z) * (moved @ covariance @ moved), 0)))

    fit = _repeat(step, np.full(z.shape[1], 1 / z.shape[1]))
    return fit._replace(before=z @ fit.before, quality=z @ fit.quality)


def fit_sparse(x: np.ndarray, item: np.ndarray, rater: np.ndarray, guard: Guard | None) -> Fit:
    """Iterate whoever rated what.  x: [N] scores less their item's mean; item, rater: [N], both without a gap.

    item must ascend.  Sums of an item are products of a sparse matrix; sums of a rater are of neighbours, in a second
    copy of the ratings that is ordered by rater.
    """
    from scipy.sparse import csr_array

    starts = np.append(np.flatnonzero(np.diff(item, prepend=-1)), len(item)).astype(np.int32)
    shape = (len(starts) - 1, int(rater.max()) + 1)
    scores = csr_array((x, rater.astype(np.int32, copy=False), starts), shape)
    ones = csr_array((np.ones(len(x)), scores.indices, starts), shape)
    by_rater = scores.tocsc()
    ratings = np.diff(by_rater.indptr)
    first, rated, theirs = by_rater.indptr[:-1], by_rater.indices.astype(np.intp), by_rater.data
    left = np.empty(len(x))

    def step(quality: np.ndarray) -> tuple[np.ndarray, float]:
        np.take(quality, rated, out=left, mode="clip")
        np.subtract(theirs, left, out=left)
        bias = np.add.reduceat(left, first) / ratings
        np.subtract(left, np.repeat(bias, ratings), out=left)
        variance = np.add.reduceat(np.square(left, out=left), first) / ratings
        weight = _weights(variance, guard)
        after = (scores @ weight - ones @ (weight * bias)) / (ones @ weight)
        # No np.linalg.norm: that wakes BLAS's threads at each step, which costs more than the step on a busy machine.
        return after, float(np.sqrt(np.square(after - quality).sum()))

    return _repeat(step, np.zeros(shape[0]))


def _weights(variance: np.ndarray, guard: Guard | None) -> np.ndarray:
    return 1 / ((variance if guard is None else guard.held(variance)) + EPSILON)


def _repeat(step: Callable[[np.ndarray], tuple[np.ndarray, float]], state: np.ndarray) -> Fit:
    """Take steps, each from a state to the next and by how much the qualities changed, until they hardly do."""
    before = state
    for iteration in range(1, MOST_ITERATIONS + 1):
        before, (state, change) = state, step(state)
        if change < CHANGE:
            return Fit(before, state, iteration, True)
    return Fit(before, state, MOST_ITERATIONS, False)
