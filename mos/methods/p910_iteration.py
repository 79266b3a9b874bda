"""The iteration of ITU-T P.910, Annex E: qualities from weighted ratings, weights from the residuals of the raters.

From the qualities follow the biases and inconsistencies of the raters (bias c_i, the mean of x_ij - psi_j; variance
v_i of what is left), and from those the next qualities, psi_j = sum_i w_i (x_ij - c_i) / sum_i w_i with the weights
w_i = 1 / (v_i + 1e-8).  So the qualities are the whole state.  The two functions here, for complete and for sparse
designs, do these steps and stop by the same rule. x and psi are differences from the mean opinion score of their item,
which keeps rounding errors small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

VARIANCE_EPSILON = 1e-8  # added to a variance before it becomes a weight
QUALITY_CHANGE = 1e-8  # iteration ends when the qualities change by less, as a Euclidean norm
MOST_ITERATIONS = 1000
_MIN_RATINGS = 3  # with fewer, the variance of a rater is not estimated: bias and variance use up two ratings


class VarianceGuard(NamedTuple):
    """A floor under the variances, so that no rater dominates the qualities.

    ratings: [raters] int64 number of ratings
    share: lowest variance allowed, as a share of the median variance of the raters that have their own
    """

    ratings: NDArray[Any]
    share: float

    @classmethod
    def of(cls, ratings: NDArray[Any], raters_per_item: float) -> VarianceGuard:
        """The guard for items with `raters_per_item` different raters on average.

        The ratings of a rater pull the quality towards them. This lowers the rater's variance and raises the weight:
        with few raters the iteration can end with the scores of one rater as the qualities.  At the floor of
        2 / (n - 1) of the median variance, a rater among n has a third of the weight of an item, if the others have
        the median variance.
        With 24 raters the floor is at 0.29 of the median standard deviation, far below what raters reach.
        The median is over all raters of the table: fit studies without common raters separately.
        """
        return cls(ratings, min(1.0, 2 / (raters_per_item - 1)) if raters_per_item > 1 else 1.0)

    @property
    def pooled(self) -> NDArray[Any]:
        """[raters] bool: too few ratings to estimate a variance; the rater gets the pooled variance."""
        return self.ratings < _MIN_RATINGS

    def held(self, variance: NDArray[Any]) -> NDArray[Any]:
        """[raters] variances with the floor, and the pooled variance for raters without an estimate."""
        pooled = self.pooled
        if not pooled.any():
            values: NDArray[Any] = np.maximum(variance, self.share * np.median(variance))
            return values
        if pooled.all():
            return np.full(len(variance), np.average(variance, weights=self.ratings))
        guarded: NDArray[Any] = np.maximum(variance, self.share * np.median(variance[~pooled]))
        guarded[pooled] = np.average(guarded[~pooled], weights=self.ratings[~pooled])
        return guarded


class QualityFit(NamedTuple):
    """before, quality: [items] quality in the last two steps, as a difference from the item's mean."""

    before: NDArray[Any]
    quality: NDArray[Any]
    iterations: int
    converged: bool


def fit_complete_design(x: NDArray[Any], guard: VarianceGuard | None) -> QualityFit:
    """Iterate where every rater rated every item once.  x: [items, raters] scores less their item's mean.

    All items have the same weights then, in shares p that sum to 1.  With z, x less the mean of its rater, the
    quality is z p and the bias never changes; the variance of rater i is that of z_i - z p, and the change of the
    quality is z times the change of p.  Both need no more of z than the raters' covariances C:
    v_i = C_ii - 2 (C p)_i + p C p.  So a step costs the same for a hundred items as for a million.
    """
    z = x - x.mean(axis=0)
    covariance = z.T @ z / len(z)

    def step(shares: NDArray[Any]) -> tuple[NDArray[Any], float]:
        common = covariance @ shares
        variance = np.maximum(covariance.diagonal() - 2 * common + shares @ common, 0)
        weight = _rater_weights(variance, guard)
        after = weight / weight.sum()
        moved = after - shares
        return after, float(np.sqrt(max(len(z) * (moved @ covariance @ moved), 0)))

    fit = _iterate_steps(step, np.full(z.shape[1], 1 / z.shape[1]))
    return fit._replace(before=z @ fit.before, quality=z @ fit.quality)


def fit_sparse_design(
    x: NDArray[Any], item: NDArray[Any], rater: NDArray[Any], guard: VarianceGuard | None
) -> QualityFit:
    """Iterate for any design.  x: [N] scores less their item's mean; item, rater: [N] int, without unused numbers.

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
    first, rated, scores_by_rater = by_rater.indptr[:-1], by_rater.indices.astype(np.intp), by_rater.data
    left = np.empty(len(x))

    def step(quality: NDArray[Any]) -> tuple[NDArray[Any], float]:
        np.take(quality, rated, out=left, mode="clip")
        np.subtract(scores_by_rater, left, out=left)
        bias = np.add.reduceat(left, first) / ratings
        np.subtract(left, np.repeat(bias, ratings), out=left)
        variance = np.add.reduceat(np.square(left, out=left), first) / ratings
        weight = _rater_weights(variance, guard)
        after = (scores @ weight - ones @ (weight * bias)) / (ones @ weight)
        # No np.linalg.norm: that wakes BLAS's threads at each step, which costs more than the step on a busy machine.
        return after, float(np.sqrt(np.square(after - quality).sum()))

    return _iterate_steps(step, np.zeros(shape[0]))


def _rater_weights(variance: NDArray[Any], guard: VarianceGuard | None) -> NDArray[Any]:
    return 1 / ((variance if guard is None else guard.held(variance)) + VARIANCE_EPSILON)


def _iterate_steps(step: Callable[[NDArray[Any]], tuple[NDArray[Any], float]], state: NDArray[Any]) -> QualityFit:
    """Repeat a step, which returns the next state and the change of the qualities, until the change is small."""
    before = state
    for iteration in range(1, MOST_ITERATIONS + 1):
        before, (state, change) = state, step(state)
        if change < QUALITY_CHANGE:
            return QualityFit(before, state, iteration, True)
    return QualityFit(before, state, MOST_ITERATIONS, False)
