"""Quality of items, bias and inconsistency of raters, estimated together (ITU-T P.910, Annex E).

The model: rating x_ij = quality psi_j + bias Delta_i + noise with the rater's own standard deviation upsilon_i, the
inconsistency.  "Alternating projection" estimates the raters from the qualities and the qualities from the raters,
the consistent ones with more weight, until nothing changes.

Where raters are few the likelihood has no maximum: it grows without bound as one rater's inconsistency shrinks to
nothing and the qualities become that rater's scores.  At 100 items, that is how all of 200 simulated studies end with
3 raters, four in five with 4, one in six with 5, and most with 8 when raters differ (standard deviations with a spread
of 35 %).  The guard is a floor under the inconsistencies (see `mos.methods.alternation.Guard`).  Root mean square error
against the truth in those simulations, for raters alike and differing:

    raters        plain mean       without guard        guarded
         3      0.288  0.326        0.478  0.405     0.300  0.301
         4      0.250  0.280        0.431  0.374     0.258  0.247
         5      0.223  0.249        0.278  0.341     0.230  0.216
         8      0.176  0.201        0.179  0.240     0.179  0.166
        15      0.129  0.144        0.131  0.139     0.131  0.119

Its price: a true expert, five times as consistent as everyone else, gets no more than a third of the weight.

Many raters of few ratings each need more than that: where 15 of 150 raters rate an item, the mean is better below about
five ratings a rater when raters differ (0.157 to 0.167 at five, 0.158 to 0.139 at ten) and below about twenty when they
are alike (0.145 to 0.187 at five, 0.143 to 0.149 at fifteen).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mos.methods.alternation import Fit, Guard, fit_complete, fit_sparse
from mos.moments import ROUNDING, Moments, largest, moments


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Estimates in the unit of the scores; NaN for an item or rater without ratings, and where said.

    ratings: [raters] int64
    quality: [items]
    se_residual: [items] standard error by P.910: the population deviation of the item's residuals over sqrt(n).  NaN
        for an item with one rating, whose residual says nothing of its spread
    se_weights: [items] standard error by the inconsistencies of the item's raters, 1 / sqrt(sum 1 / upsilon_i^2), as
        in the first form of the method: the same for all items that the same raters rated
    bias: [raters], with mean 0 over the raters with ratings
    inconsistency: [raters]; what the last step worked with: with the guard, that is the floor where `floored`, and
        the root mean square of the others where `pooled`
    floored: [raters] bool, held at the floor, without which a rater could take over; without guard, none
    pooled: [raters] bool, fewer than 3 ratings and so no inconsistency of their own; without guard, none
    iterations, converged: steps made, and whether the last changed the qualities by less than 1e-8 (Euclidean norm)
    """

    ratings: np.ndarray
    quality: np.ndarray
    se_residual: np.ndarray
    se_weights: np.ndarray
    bias: np.ndarray
    inconsistency: np.ndarray
    floored: np.ndarray
    pooled: np.ndarray
    iterations: int
    converged: bool

    @property
    def degenerate(self) -> bool:
        """Whether it took the floor to keep the estimates from collapsing onto one rater."""
        return bool(self.floored.any())

    @property
    def bias_se(self) -> np.ndarray:
        """[raters] standard error of the bias: inconsistency over the root of the number of ratings."""
        return self.inconsistency / np.sqrt(np.maximum(self.ratings, 1))

    def bias_interval(self, level: float) -> np.ndarray:
        """[raters] half-width of the Gaussian interval of the bias at confidence `level`."""
        from scipy.special import ndtri

        return self.bias_se * float(ndtri((1 + level) / 2))

    def inconsistency_interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """[raters] lower and upper end for the inconsistency at confidence `level`; NaN where it is not the rater's.

        By chi-squared with as many degrees of freedom as the rater has ratings, as P.910's reference program does,
        which takes quality and bias as known.
        """
        from scipy.special import chdtri

        own = (self.ratings > 0) & ~self.floored & ~self.pooled
        n = np.where(own, self.ratings, np.nan)
        ends = [np.sqrt(n / chdtri(n, tail)) * self.inconsistency for tail in ((1 - level) / 2, (1 + level) / 2)]
        return ends[0], ends[1]


def project(
    score: np.ndarray, item: np.ndarray, rater: np.ndarray, items: int, raters: int, *, guard: bool = True
) -> Projection:
    """Estimate one dimension by alternating projection.

    score: [N] ratings; item, rater: [N] in 0..items-1 and 0..raters-1, in any order; several ratings of an item
    by a rater all count
    guard: keep a rater from taking over, by a floor under the inconsistencies, and do not estimate that of a rater
        with fewer than 3 ratings.  Changes nothing where every rater is above the floor; False is P.910 to the letter
    Where groups of raters and items have no rating in common, the difference between the groups is that of their mean
    opinion scores, which no method can do better.

    >>> matrix = np.array([[1.0, 3.0, 2.0], [2.0, 4.0, 3.0]])  # the raters differ in bias only
    >>> found = project(matrix.ravel(), np.repeat([0, 1], 3), np.tile([0, 1, 2], 2), 2, 3)
    >>> found.quality.round(6), found.bias.round(6)
    (array([2., 3.]), array([-1.,  1.,  0.]))
    """
    if not len(score):
        return _nothing(items, raters)
    score, item, rater, pairs = _ordered(score, item, rater, raters)
    mean = moments(score, item, items)
    ratings = np.bincount(rater, minlength=raters)
    held = Guard.of(ratings[ratings > 0], pairs / np.count_nonzero(mean.n)) if guard else None
    x = score - mean.mean[item]
    fit = _fit(x, item, rater, mean.n, ratings, pairs, held)
    return _estimates(x, item, rater, mean, ratings, fit, held)


def project_each(
    score: np.ndarray,
    item: np.ndarray,
    rater: np.ndarray,
    dimension: np.ndarray,
    sizes: tuple[int, int, int],
    *,
    guard: bool = True,
) -> list[Projection]:
    """`project` of every dimension alone.  dimension: [N]; sizes: numbers of items, raters and dimensions."""
    items, raters, dimensions = sizes
    found = []
    for number in range(dimensions):
        rows = np.flatnonzero(dimension == number)
        found.append(project(score[rows], item[rows], rater[rows], items, raters, guard=guard))
    return found


def _fit(
    x: np.ndarray,
    item: np.ndarray,
    rater: np.ndarray,
    n: np.ndarray,
    ratings: np.ndarray,
    pairs: int,
    guard: Guard | None,
) -> Fit:
    """Iterate over the items and raters that have ratings, n [items] and ratings [raters] of them.

    x: [N] scores less their item's mean; before and quality of the result: [items], NaN without ratings
    """
    rated, active = n > 0, ratings > 0
    items, raters = np.count_nonzero(rated), np.count_nonzero(active)
    if len(x) == pairs == items * raters and raters <= items:
        fit = fit_complete(x.reshape(items, raters), guard)
    else:
        fit = fit_sparse(x, item, rater if raters == len(ratings) else (np.cumsum(active) - 1)[rater], guard)
    if items == len(n):
        return fit
    before, quality = np.full(len(n), np.nan), np.full(len(n), np.nan)
    before[rated], quality[rated] = fit.before, fit.quality
    return fit._replace(before=before, quality=quality)


def _estimates(
    x: np.ndarray,
    item: np.ndarray,
    rater: np.ndarray,
    mean: Moments,
    ratings: np.ndarray,
    fit: Fit,
    guard: Guard | None,
) -> Projection:
    """What follows from the qualities, `fit`.  x: [N] scores less their item's mean, one of `mean`."""
    left = x - fit.before[item]
    last = moments(left, rater, len(ratings))
    left -= last.mean[rater]
    residual = moments(left, item, len(mean.n))
    variance, floored, pooled = _variances(last, largest(x) + float(np.nanmax(np.abs(mean.mean))), guard)
    bias = moments(x - fit.quality[item], rater, len(ratings)).mean
    centre = bias[ratings > 0].mean()
    with np.errstate(divide="ignore"):  # raters that make no error at all: their items have a standard error of 0
        se_weights = 1 / np.sqrt(np.bincount(item, (1 / variance)[rater], len(mean.n)))
    return Projection(
        ratings=ratings,
        quality=mean.mean + fit.quality + centre,
        se_residual=np.where(mean.n > 1, residual.sd(0) / np.sqrt(np.maximum(mean.n, 1)), np.nan),
        se_weights=np.where(mean.n > 0, se_weights, np.nan),
        bias=bias - centre,
        inconsistency=np.sqrt(variance),
        floored=floored,
        pooled=pooled,
        iterations=fit.iterations,
        converged=fit.converged,
    )


def _variances(own: Moments, highest: float, guard: Guard | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[raters] variances, and where they are the floor, and where they are pooled.

    own: moments of each rater's residuals; highest: a score's size; no floor is where its rounding makes the variance
    """
    variance = own.sd(0) ** 2
    pooled = np.zeros(len(variance), bool)
    if guard is None:
        return variance, pooled, pooled
    active, held = own.n > 0, variance.copy()
    held[active] = guard.held(variance[active])
    pooled[active] = guard.pooled
    return held, ~pooled & (held > variance) & (held > (ROUNDING * highest) ** 2), pooled


def _ordered(
    score: np.ndarray, item: np.ndarray, rater: np.ndarray, raters: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The ratings by item and rater, and of how many pairs of these there are any."""
    key = item.astype(np.int64) * raters + rater
    change = np.diff(key)
    if change.min(initial=0) < 0:
        order = np.argsort(key, kind="stable")
        score, item, rater, change = score[order], item[order], rater[order], np.diff(key[order])
    return score, item.astype(np.intp), rater.astype(np.intp), 1 + np.count_nonzero(change)


def _nothing(items: int, raters: int) -> Projection:
    """What is known without ratings."""
    item, rater, none = np.full(items, np.nan), np.full(raters, np.nan), np.zeros(raters, bool)
    return Projection(np.zeros(raters, np.int64), item, item, item, rater, rater, none, none, 0, True)
