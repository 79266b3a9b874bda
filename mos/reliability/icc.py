"""Intraclass correlations: of a complete design from mean squares, of any design from variance components.

Complete design: K. O. McGraw, S. P. Wong, Forming inferences about some intraclass correlation coefficients,
Psychological Methods 1 (1996), 30-46, with its correction (1, 390): tables 4 and 7.  Names as in D. Liljequist
et al., PLOS ONE 14 (2019) e0219854: 1 one-way, A absolute agreement, C consistency; of a single rating (1) or of
the mean of the k raters (k).

Any design: rating = mean + item + rater + residual, all random and independent; at most one opinion for an item
and rater.  Estimated by fitting constants (Henderson's method III: C. R. Henderson, Biometrics 9 (1953) 226-252;
S. R. Searle, G. Casella, C. E. McCulloch, Variance Components (1992), section 5.5), taken for both factors.
With N opinions of p items and q raters in c unconnected parts, and the sums of squares about the items' means
(W_items), about the raters' means (W_raters) and about the least-squares fit of both (E):
    residual = E / (N - p - q + c)
    rater    = (W_items  - E - (q - c) residual) / (N - p)
    item     = (W_raters - E - (p - c) residual) / (N - q)
They are unbiased for any assignment of raters to items, because each factor is estimated within the other.  On a
complete design they are the estimates of the analysis of variance.  Only E needs more than sums: a few steps of
conjugate gradients.

Intervals of any design: bootstrap over items.  E and W_raters of a resample are sums of the squares of its
items about the fit of all items.  This is exact to first order, because a least-squares fit is stationary in the
fitted values.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments
from mos.connectivity import count_components
from mos.reliability.coefficient import (
    BOOTSTRAP_INTERVAL,
    Coefficient,
    ItemBootstrap,
    Opinions,
    central_interval,
    make_coefficient,
)

ICC_NAMES = ("ICC(1,1)", "ICC(A,1)", "ICC(C,1)", "ICC(1,k)", "ICC(A,k)", "ICC(C,k)")


F_INTERVAL = "F distribution (McGraw and Wong 1996)"


ICC_TOO_FEW_ITEMS = "fewer than two items"


ICC_TOO_FEW_RATERS = "fewer than two raters"


ALL_RATINGS_EQUAL = "all ratings are equal: there are no differences between items to be reliable about"


ICC_UNDEFINED = "the items differ too little beside the noise for the coefficient to be defined"


_MEAN_SQUARE_ROUNDING = 1e-13  # a mean square below this share of the largest is none


class MeanSquares(NamedTuple):
    """Of n items by k raters: rows (items), columns (raters), error, and within items."""

    items: float
    raters: float
    error: float
    within: float
    n: int
    k: int


def compute_mean_squares(dense: NDArray[Any]) -> MeanSquares:
    """Analysis of variance of scores [items, raters], two or more of both; 0 for mean squares that are rounding."""
    n, k = dense.shape
    centred = dense - dense.mean()
    item, rater = centred.mean(axis=1), centred.mean(axis=0)
    error = np.square(centred - item[:, None] - rater).sum()
    of_items, of_raters = k * (item @ item), n * (rater @ rater)
    squares = [
        of_items / (n - 1),
        of_raters / (k - 1),
        error / ((n - 1) * (k - 1)),
        (of_raters + error) / (n * (k - 1)),
    ]
    least = _MEAN_SQUARE_ROUNDING * max(squares)
    rows, columns, noise, within = (float(value) if value > least else 0.0 for value in squares)
    return MeanSquares(rows, columns, noise, within, n, k)


def compute_iccs(squares: MeanSquares) -> dict[str, float]:
    """The six coefficients by name; NaN where undefined."""
    rows, columns, error, within, n, k = squares
    return {
        "ICC(1,1)": _positive_ratio(rows - within, rows + (k - 1) * within),
        "ICC(A,1)": _positive_ratio(rows - error, rows + (k - 1) * error + k * (columns - error) / n),
        "ICC(C,1)": _positive_ratio(rows - error, rows + (k - 1) * error),
        "ICC(1,k)": _positive_ratio(rows - within, rows),
        "ICC(A,k)": _positive_ratio(rows - error, rows + (columns - error) / n),
        "ICC(C,k)": _positive_ratio(rows - error, rows),
    }


def compute_icc_intervals(squares: MeanSquares, level: float) -> dict[str, tuple[float, float]]:
    """Confidence intervals by name; NaN where undefined."""
    from scipy.special import fdtri

    _, _, error, within, n, k = squares
    upper = (1 + level) / 2
    consistent = (n - 1) * (k - 1)
    one, one_mean = _f_ratio_intervals(
        squares, within, fdtri(n - 1, n * (k - 1), upper), fdtri(n * (k - 1), n - 1, upper)
    )
    same, same_mean = _f_ratio_intervals(
        squares, error, fdtri(n - 1, consistent, upper), fdtri(consistent, n - 1, upper)
    )
    agreed = _agreement_interval(squares, upper)
    agreed_mean = tuple(_positive_ratio(k * bound, 1 + (k - 1) * bound) for bound in agreed)
    return {
        "ICC(1,1)": one,
        "ICC(A,1)": agreed,
        "ICC(C,1)": same,
        "ICC(1,k)": one_mean,
        "ICC(A,k)": (agreed_mean[0], agreed_mean[1]),
        "ICC(C,k)": same_mean,
    }


def estimate_complete_iccs(opinions: Opinions, level: float) -> dict[str, Coefficient]:
    """The six coefficients with intervals at confidence `level`, where every rater rated every item."""
    size = (opinions.items, opinions.raters, len(opinions))
    reason = icc_undefined_reason(opinions)
    if reason:
        return {name: make_coefficient(math.nan, None, None, size, reason) for name in ICC_NAMES}
    squares = compute_mean_squares(opinions.score.reshape(opinions.items, opinions.raters))
    values, bounds = compute_iccs(squares), compute_icc_intervals(squares, level)
    return {
        name: make_coefficient(
            values[name], bounds[name], F_INTERVAL, size, ICC_UNDEFINED if math.isnan(values[name]) else None
        )
        for name in ICC_NAMES
    }


def icc_undefined_reason(opinions: Opinions) -> str | None:
    """Why no intraclass correlation is defined in any design; None if there is no reason."""
    if opinions.items < 2:
        return ICC_TOO_FEW_ITEMS
    if opinions.raters < 2:
        return ICC_TOO_FEW_RATERS
    constant = group_moments(opinions.score, np.zeros(len(opinions), np.intp), 1).ss[0] == 0
    return ALL_RATINGS_EQUAL if constant else None


def _positive_ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def _f_ratio_intervals(
    squares: MeanSquares, noise: float, above: float, below: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Intervals for single ratings and for means, from F = rows / noise and its upper quantiles in both directions.

    The formulas do not divide by the noise, which is 0 where raters agree perfectly.
    """
    rows, k = squares.items, squares.k
    low, high = above * noise, noise / below
    single = (_positive_ratio(rows - low, rows + (k - 1) * low), _positive_ratio(rows - high, rows + (k - 1) * high))
    return single, (_positive_ratio(rows - low, rows), _positive_ratio(rows - high, rows))


def _agreement_interval(squares: MeanSquares, upper: float) -> tuple[float, float]:
    """Interval for ICC(A,1), by Satterthwaite's degrees of freedom for the noise of raters and error together."""
    from scipy.special import fdtri

    rows, columns, error, _, n, k = squares
    icc = compute_iccs(squares)["ICC(A,1)"]
    of_raters, of_error = k * icc * columns, (n * (1 + (k - 1) * icc) - k * icc) * error
    spread = (n - 1) * of_raters**2 + of_error**2
    if not spread > 0:  # no noise at all, or no coefficient
        return icc, icc
    freedom = (n - 1) * (k - 1) * (of_raters + of_error) ** 2 / spread
    above, below = fdtri(n - 1, freedom, upper), fdtri(freedom, n - 1, upper)
    noise = k * columns + (k * n - k - n) * error
    return (
        _positive_ratio(n * (rows - above * error), above * noise + n * rows),
        _positive_ratio(n * (below * rows - error), noise + n * below * rows),
    )


SD_NAMES = ("item_sd", "rater_sd", "residual_sd")


ONE_WAY_ICCS = ("ICC(1,1)", "ICC(1,k)")


NOT_CROSSED = "raters and items are not crossed enough to tell their variances apart"


_NEGATIVE_VARIANCE = "the estimated variance is negative, as chance makes it when there is next to none: read it as 0"


_SOLVER_TOLERANCE = 1e-9  # of the raters' effects; the sum of squares is then wrong by its square


_VARIANCE_ROUNDING = 1e-13  # a variance below this share of the largest is none


class VarianceComponents(NamedTuple):
    """Variances, in squared points; an estimate may be negative.  Floats, or arrays [replicates].

    parts: how many unconnected parts the raters and items fall into
    """

    item: NDArray[np.float64]
    rater: NDArray[np.float64]
    residual: NDArray[np.float64]
    parts: int


class _DesignSums(NamedTuple):
    """The sizes of the design, and [items, 8] sums of each item, with n its opinions and m their mean: n, n^2, 1/n,
    n m, n m^2, and the squares of its opinions about m, about the raters' means and about the fit.
    """

    of_item: NDArray[Any]
    items: int
    raters: int
    parts: int


def estimate_variance_components(opinions: Opinions) -> VarianceComponents | None:
    """Estimated variances of one dimension; None where the design or a lack of variation leaves them undefined."""
    parts = _count_design_parts(opinions)
    if icc_undefined_reason(opinions) or not _is_crossed(opinions, parts):
        return None
    sums = _sum_design(opinions, parts)
    return _solve_components(sums.of_item.sum(axis=0), sums)


def estimate_random_effects(opinions: Opinions, resampling: ItemBootstrap) -> dict[str, Coefficient]:
    """The six intraclass correlations of any design, and item_sd, rater_sd and residual_sd, with intervals.

    ICC(1,.) comes from the one-way analysis of unequal groups, A and C from `_solve_components`.  The k of a mean is
    the harmonic mean of the numbers of opinions of the items: the variance of a mean, averaged over the items, is the
    variance of one opinion divided by it.  A variance estimated as negative has the standard deviation 0 and a note.
    """
    names = (*ICC_NAMES, *SD_NAMES)
    size = (opinions.items, opinions.raters, len(opinions))
    reason = icc_undefined_reason(opinions)
    if reason:
        return {name: make_coefficient(np.nan, None, None, size, reason) for name in names}
    parts = _count_design_parts(opinions)
    sums = _sum_design(opinions, parts)
    values = _compute_coefficients(sums.of_item.sum(axis=0), sums)
    again = _compute_coefficients(resampling.totals(sums.of_item), sums)
    crossable = _is_crossed(opinions, parts)
    coefficients = {}
    for name in names:
        value, ci = float(values[name]), central_interval(again[name], resampling.level)
        note = None if name in ONE_WAY_ICCS else _describe_parts(parts)
        if name not in ONE_WAY_ICCS and not crossable:
            value, note = np.nan, NOT_CROSSED
        elif name in SD_NAMES and value < 0:
            value, note = 0.0, _NEGATIVE_VARIANCE
        elif np.isnan(value):
            note = ICC_UNDEFINED
        if name in SD_NAMES:
            ci = (max(ci[0], 0.0), max(ci[1], 0.0))
        coefficients[name] = make_coefficient(value, ci, BOOTSTRAP_INTERVAL, size, note)
    return coefficients


def _describe_parts(parts: int) -> str | None:
    if parts == 1:
        return None
    return f"the raters and items fall into {parts} unconnected parts: differences between the parts are not counted"


def _is_crossed(opinions: Opinions, parts: int) -> bool:
    n, p, q = len(opinions), opinions.items, opinions.raters
    return n > p and n > q and n - p - q + parts > 0


def _count_design_parts(opinions: Opinions) -> int:
    """Number of parts of items and raters that no rating connects."""
    return count_components(opinions.items + opinions.raters, opinions.item, opinions.items + opinions.rater)


def _sum_design(opinions: Opinions, parts: int) -> _DesignSums:
    """The design's sums, see `_DesignSums`; the mean is subtracted from the scores to avoid cancellation."""
    item, rater = opinions.item, opinions.rater
    score = opinions.score - opinions.score.mean()
    by_item = group_moments(score, item, opinions.items)
    by_rater = group_moments(score, rater, opinions.raters)
    of_raters = np.bincount(item, (score - by_rater.mean[rater]) ** 2)
    severity = _fit_severity(opinions, score, by_item.mean)
    left = score - severity[rater]
    left -= (np.bincount(item, left) / by_item.n)[item]
    n, total = by_item.n.astype(np.float64), by_item.n * by_item.mean
    columns = [n, n**2, 1 / n, total, total * by_item.mean, by_item.ss, of_raters, np.bincount(item, left**2)]
    return _DesignSums(np.stack(columns, axis=1), opinions.items, opinions.raters, parts)


def _fit_severity(opinions: Opinions, score: NDArray[Any], item_mean: NDArray[Any]) -> NDArray[Any]:
    """[raters] least-squares effects of the raters, fitted together with the items; up to a constant in each part.

    Conjugate gradients on the raters' normal equations, scaled by their numbers of opinions: each step is a sum by
    item and a sum by rater.  On a complete design the first step is the solution.
    """
    item, rater = opinions.item, opinions.rater
    n_item, n_rater = np.bincount(item), np.bincount(rater)
    scale = 1 / np.sqrt(n_rater)

    def normal(effects: NDArray[Any]) -> NDArray[Any]:
        spread = (effects * scale)[rater]
        spread -= (np.bincount(item, spread) / n_item)[item]
        return np.bincount(rater, spread) * scale

    effects = np.zeros(opinions.raters)
    rest = np.bincount(rater, score - item_mean[item]) * scale
    direction, size = rest.copy(), rest @ rest
    enough = max(size * _SOLVER_TOLERANCE**2, _VARIANCE_ROUNDING**2 * (score @ score))
    for _ in range(10 * opinions.raters):  # a few unless the design is a chain; never more than the raters, exactly
        if size <= enough:
            break
        image = normal(direction)
        step = size / (direction @ image)
        effects += step * direction
        rest -= step * image
        size, before = rest @ rest, size
        direction = rest + size / before * direction
    return effects * scale


def _solve_components(totals: NDArray[Any], sums: _DesignSums) -> VarianceComponents:
    """Components from [..., 8] totals of the items' sums."""
    n, of_items, of_raters, of_fit = (totals[..., column] for column in (0, 5, 6, 7))
    p, q, c = sums.items, sums.raters, sums.parts
    residual = _divide_positive(of_fit, n - p - q + c)
    rater = _divide_positive(of_items - of_fit - (q - c) * residual, n - p)
    item = _divide_positive(of_raters - of_fit - (p - c) * residual, n - q)
    variances = np.stack([item, rater, residual])
    variances[np.abs(variances) <= _VARIANCE_ROUNDING * np.abs(variances).max(axis=0)] = 0
    return VarianceComponents(variances[0], variances[1], variances[2], c)


def _compute_coefficients(totals: NDArray[Any], sums: _DesignSums) -> dict[str, NDArray[np.float64]]:
    """All coefficients by name from [..., 8] totals; for a negative variance, minus the root of its magnitude."""
    n, squared, inverse, total, squares, within = (totals[..., column] for column in range(6))
    p = sums.items
    k = p / inverse
    inside = _divide_positive(within, n - p)
    between = _divide_positive((squares - total**2 / n) / (p - 1) - inside, (n - squared / n) / (p - 1))
    item, rater, residual, _ = _solve_components(totals, sums)
    noise = rater + residual
    coefficients = {
        "ICC(1,1)": _divide_positive(between, between + inside),
        "ICC(A,1)": _divide_positive(item, item + noise),
        "ICC(C,1)": _divide_positive(item, item + residual),
        "ICC(1,k)": _divide_positive(between, between + inside / k),
        "ICC(A,k)": _divide_positive(item, item + noise / k),
        "ICC(C,k)": _divide_positive(item, item + residual / k),
    }
    return coefficients | {
        name: np.sign(variance) * np.sqrt(np.abs(variance))
        for name, variance in zip(SD_NAMES, (item, rater, residual), strict=True)
    }


def _divide_positive(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is not positive."""
    positive = whole > 0
    return np.where(positive, part / np.where(positive, whole, 1), np.nan)
