"""Quality of items, bias and inconsistency of raters, estimated together (ITU-T P.910, Annex E).

The model: rating x_ij = quality psi_j + bias Delta_i + noise with the rater's own standard deviation upsilon_i, the
inconsistency.  "Alternating projection" estimates the raters from the qualities and the qualities from the raters,
the consistent ones with more weight, until nothing changes.

Where raters are few the likelihood has no maximum: it grows without bound as one rater's inconsistency shrinks to
nothing and the qualities become that rater's scores.  At 100 items, that is how all of 200 simulated studies end with
3 raters, four in five with 4, one in six with 5, and most with 8 when raters differ (standard deviations with a spread
of 35 %).  The guard is a floor under the inconsistencies (see `mos.methods.p910_iteration.VarianceGuard`).  Root mean
square error against the truth in those simulations, for raters alike and differing:

    raters        plain mean       without guard        guarded
         3      0.288  0.326        0.478  0.405     0.300  0.301
         4      0.250  0.280        0.431  0.374     0.258  0.247
         5      0.223  0.249        0.278  0.341     0.230  0.216
         8      0.176  0.201        0.179  0.240     0.179  0.166
        15      0.129  0.144        0.131  0.139     0.131  0.119

The guard has a cost: a rater five times as consistent as all others gets at most a third of the weight.

Many raters with few ratings each need more than the guard: where 15 of 150 raters rate an item, the plain mean is
better below about five ratings a rater when raters differ (0.157 to 0.167 at five, 0.158 to 0.139 at ten) and below
about twenty when they are alike (0.145 to 0.187 at five, 0.143 to 0.149 at fifteen).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from mos._kernels import SUM_ROUNDING, Moments, group_moments, largest_magnitude
from mos.methods import mos
from mos.methods.p910_iteration import QualityFit, VarianceGuard, fit_complete_design, fit_sparse_design
from mos.methods.p913 import remove_bias
from mos.ratings import Ratings
from mos.scoring.estimate import ScoreEstimate, ScoreMeans
from mos.scoring.exclusions import columns_by_dimension
from mos.scoring.options import ScoringOptions


@dataclass(frozen=True, slots=True, eq=False)
class AlternatingProjection:
    """Estimates of one dimension in the unit of the scores; NaN for an item or rater without ratings.

    Attributes
    ----------
    ratings : ndarray of int64, shape (raters,)
        Number of ratings.
    quality : ndarray of float64, shape (items,)
    se_residual : ndarray of float64, shape (items,)
        Standard error by P.910: the population deviation of the item's residuals over sqrt(n). NaN for an item with
        one rating.
    se_weights : ndarray of float64, shape (items,)
        Standard error from the inconsistencies of the item's raters, 1 / sqrt(sum 1 / upsilon_i^2), as in the first
        form of the method. It is the same for all items with the same raters.
    bias : ndarray of float64, shape (raters,)
        Its mean over the raters with ratings is 0.
    inconsistency : ndarray of float64, shape (raters,)
        Value of the last step: the floor where `floored`, the root mean square of the other raters where `pooled`.
    floored : ndarray of bool, shape (raters,)
        Raters whose inconsistency is raised to the floor. All False without the guard.
    pooled : ndarray of bool, shape (raters,)
        Raters with fewer than 3 ratings, whose inconsistency is not estimated. All False without the guard.
    iterations : int
    converged : bool
        Whether the last step changed the qualities by less than 1e-8 (Euclidean norm).
    """

    ratings: NDArray[Any]
    quality: NDArray[Any]
    se_residual: NDArray[Any]
    se_weights: NDArray[Any]
    bias: NDArray[Any]
    inconsistency: NDArray[Any]
    floored: NDArray[Any]
    pooled: NDArray[Any]
    iterations: int
    converged: bool

    @property
    def degenerate(self) -> bool:
        """Whether any rater is at the floor, without which the estimates could collapse onto one rater."""
        return bool(self.floored.any())

    @property
    def bias_se(self) -> NDArray[Any]:
        """[raters] standard error of the bias: inconsistency / sqrt(number of ratings)."""
        values: NDArray[Any] = self.inconsistency / np.sqrt(np.maximum(self.ratings, 1))
        return values

    def bias_interval(self, level: float) -> NDArray[Any]:
        """[raters] half-width of the Gaussian interval of the bias at confidence `level`."""
        from scipy.special import ndtri

        return self.bias_se * float(ndtri((1 + level) / 2))

    def inconsistency_interval(self, level: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """[raters] lower and upper end of the inconsistency at confidence `level`; NaN where `floored` or `pooled`.

        By chi-squared with one degree of freedom for each rating, as in P.910's reference program, which treats
        quality and bias as known.
        """
        from scipy.special import chdtri

        estimated = (self.ratings > 0) & ~self.floored & ~self.pooled
        n = np.where(estimated, self.ratings, np.nan)
        ends = [np.sqrt(n / chdtri(n, tail)) * self.inconsistency for tail in ((1 - level) / 2, (1 + level) / 2)]
        return ends[0], ends[1]


def project_dimension(
    score: NDArray[Any], item: NDArray[Any], rater: NDArray[Any], items: int, raters: int, *, guard: bool = True
) -> AlternatingProjection:
    """Estimate one dimension by alternating projection.

    Parameters
    ----------
    score : ndarray of float64, shape (N,)
    item, rater : ndarray of int, shape (N,)
        Positions in 0..items-1 and 0..raters-1, in any order. Repeated ratings of an item by a rater all count.
    items, raters : int
    guard : bool
        Put a floor under the inconsistencies, and do not estimate the inconsistency of a rater with fewer than 3
        ratings. It changes nothing where every rater is above the floor. False is P.910 without changes.

    Returns
    -------
    AlternatingProjection

    Notes
    -----
    Where groups of raters and items have no rating in common, the difference between the groups is that of their mean
    opinion scores, since the ratings do not determine it.

    Examples
    --------
    >>> matrix = np.array([[1.0, 3.0, 2.0], [2.0, 4.0, 3.0]])  # the raters differ in bias only
    >>> projection = project_dimension(matrix.ravel(), np.repeat([0, 1], 3), np.tile([0, 1, 2], 2), 2, 3)
    >>> projection.quality.round(6), projection.bias.round(6)
    (array([2., 3.]), array([-1.,  1.,  0.]))
    """
    if not len(score):
        return _empty_projection(items, raters)
    score, item, rater, pairs = _order_by_pair(score, item, rater, raters)
    mean = group_moments(score, item, items)
    ratings = np.bincount(rater, minlength=raters)
    variance_guard = VarianceGuard.of(ratings[ratings > 0], pairs / np.count_nonzero(mean.n)) if guard else None
    x = score - mean.mean[item]
    fit = _fit_qualities(x, item, rater, mean.n, ratings, pairs, variance_guard)
    return _projection_from_fit(x, item, rater, mean, ratings, fit, variance_guard)


def project_each_dimension(
    score: NDArray[Any],
    item: NDArray[Any],
    rater: NDArray[Any],
    dimension: NDArray[Any],
    sizes: tuple[int, int, int],
    *,
    guard: bool = True,
) -> list[AlternatingProjection]:
    """Apply `project_dimension` to every dimension on its own.

    Parameters
    ----------
    score, item, rater : ndarray, shape (N,)
        As for `project_dimension`.
    dimension : ndarray of int, shape (N,)
    sizes : (int, int, int)
        Number of items, raters and dimensions.
    guard : bool

    Returns
    -------
    list of AlternatingProjection
    """
    items, raters, dimensions = sizes
    projections = []
    for number in range(dimensions):
        rows = np.flatnonzero(dimension == number)
        projections.append(project_dimension(score[rows], item[rows], rater[rows], items, raters, guard=guard))
    return projections


def _fit_qualities(
    x: NDArray[Any],
    item: NDArray[Any],
    rater: NDArray[Any],
    n: NDArray[Any],
    ratings: NDArray[Any],
    pairs: int,
    guard: VarianceGuard | None,
) -> QualityFit:
    """Iterate over the items and raters that have ratings, n [items] and ratings [raters] of them.

    x: [N] scores less their item's mean; before and quality of the result: [items], NaN without ratings
    """
    rated, active = n > 0, ratings > 0
    items, raters = np.count_nonzero(rated), np.count_nonzero(active)
    if len(x) == pairs == items * raters and raters <= items:
        fit = fit_complete_design(x.reshape(items, raters), guard)
    else:
        fit = fit_sparse_design(x, item, rater if raters == len(ratings) else (np.cumsum(active) - 1)[rater], guard)
    if items == len(n):
        return fit
    before, quality = np.full(len(n), np.nan), np.full(len(n), np.nan)
    before[rated], quality[rated] = fit.before, fit.quality
    return fit._replace(before=before, quality=quality)


def _projection_from_fit(
    x: NDArray[Any],
    item: NDArray[Any],
    rater: NDArray[Any],
    mean: Moments,
    ratings: NDArray[Any],
    fit: QualityFit,
    guard: VarianceGuard | None,
) -> AlternatingProjection:
    """The estimates that follow from the qualities `fit`.  x: [N] scores less the `mean` of their item."""
    left = x - fit.before[item]
    last = group_moments(left, rater, len(ratings))
    left -= last.mean[rater]
    residual = group_moments(left, item, len(mean.n))
    variance, floored, pooled = _guard_variances(
        last, largest_magnitude(x) + float(np.nanmax(np.abs(mean.mean))), guard
    )
    bias = group_moments(x - fit.quality[item], rater, len(ratings)).mean
    centre = bias[ratings > 0].mean()
    with np.errstate(divide="ignore"):  # a variance of 0 gives the items of the rater a standard error of 0
        se_weights = 1 / np.sqrt(np.bincount(item, (1 / variance)[rater], len(mean.n)))
    return AlternatingProjection(
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


def _guard_variances(
    own: Moments, highest: float, guard: VarianceGuard | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
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
    return held, ~pooled & (held > variance) & (held > (SUM_ROUNDING * highest) ** 2), pooled


def _order_by_pair(
    score: NDArray[Any], item: NDArray[Any], rater: NDArray[Any], raters: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]:
    """The ratings ordered by item and rater, and the number of different pairs of item and rater."""
    key = item.astype(np.int64) * raters + rater
    change = np.diff(key)
    if change.min(initial=0) < 0:
        order = np.argsort(key, kind="stable")
        score, item, rater, change = score[order], item[order], rater[order], np.diff(key[order])
    return score, item.astype(np.intp), rater.astype(np.intp), 1 + np.count_nonzero(change)


def _empty_projection(items: int, raters: int) -> AlternatingProjection:
    """The projection of a dimension without ratings."""
    item, rater, none = np.full(items, np.nan), np.full(raters, np.nan), np.zeros(raters, bool)
    return AlternatingProjection(np.zeros(raters, np.int64), item, item, item, rater, rater, none, none, 0, True)


class P910Options(ScoringOptions):
    """The alternating projection and its two standard errors."""

    method: Literal["p910"] = "p910"
    standard_error: Literal["residual", "weights"] = Field(
        "residual",
        description="residual: deviation of the item's residuals over sqrt(n), as in P.910's published results; "
        "weights: from the inconsistencies of the item's raters.",
    )
    guard: bool = Field(
        True,
        description="Put a floor under the inconsistencies, so that no rater dominates the scores; false is P.910 "
        "without changes.",
    )


def estimate_p910(ratings: Ratings, options: P910Options) -> ScoreEstimate:
    """Estimate the score of every item in every dimension: its quality by alternating projection.

    Parameters
    ----------
    ratings : Ratings
    options : P910Options

    Returns
    -------
    ScoreEstimate
        On the scale of the ratings; `value` is each rating less the bias of its rater in the dimension.
    """
    dimensions = len(ratings.dimensions)
    sizes = len(ratings.items), len(ratings.raters), dimensions
    projections = project_each_dimension(
        ratings.score, ratings.item, ratings.rater, ratings.dimension, sizes, guard=options.guard
    )
    bias = _stack_dimensions([projection.bias for projection in projections])
    value = remove_bias(ratings.score, ratings.rater_keys(), bias)
    plain = mos.estimate_unscreened_means(ratings, value)
    spread = group_moments(value, ratings.groups(), sizes[0] * dimensions)
    error = "se_residual" if options.standard_error == "residual" else "se_weights"
    means = ScoreMeans(
        n=plain.means.n,
        mos=_stack_dimensions([projection.quality for projection in projections]),
        sd=spread.sd(1),
        se=_stack_dimensions([getattr(projection, error) for projection in projections]),
    )
    notes = [
        note
        for name, projection in zip(ratings.dimensions.to_pylist(), projections, strict=True)
        for note in _projection_warnings(name, projection)
    ]
    columns = partial(_rater_columns, ratings, projections, options.confidence)
    return replace(plain, means=means, columns=columns, notes=notes)


def _stack_dimensions(by_dimension: list[NDArray[Any]]) -> NDArray[Any]:
    """[items * dimensions] from [items] of each dimension."""
    return np.stack(by_dimension, axis=1).ravel() if by_dimension else np.zeros(0)


def _projection_warnings(dimension: str, projection: AlternatingProjection) -> list[str]:
    notes = []
    if projection.degenerate:
        notes.append(
            f"In {dimension} the inconsistency of {projection.floored.sum()} raters was raised to a floor, because "
            "they would otherwise dominate the scores, as happens with few raters for each item; compare with the "
            "plain mean."
        )
    if projection.pooled.any():
        notes.append(
            f"In {dimension} {projection.pooled.sum()} raters have fewer than 3 ratings; their inconsistency is a "
            "pooled value."
        )
    if not projection.converged:
        notes.append(f"In {dimension} the estimate did not converge in {projection.iterations} iterations.")
    return notes


def _rater_columns(ratings: Ratings, projections: list[AlternatingProjection], level: float) -> Mapping[str, pa.Array]:
    rows = []
    for projection in projections:
        half, (low, high) = projection.bias_interval(level), projection.inconsistency_interval(level)
        rows.append(
            [projection.bias, projection.bias - half, projection.bias + half, projection.inconsistency, low, high]
        )
    names = ("bias", "bias_low", "bias_high", "inconsistency", "inconsistency_low", "inconsistency_high")
    return columns_by_dimension(
        ratings, {name: _stack_dimensions([row[at] for row in rows]) for at, name in enumerate(names)}
    )
