"""Intraclass correlations of a complete design, from the mean squares of the two-way analysis of variance.

K. O. McGraw, S. P. Wong, Forming inferences about some intraclass correlation coefficients, Psychological Methods 1
(1996), 30-46, with its correction (1, 390): tables 4 and 7.  Names as in D. Liljequist et al., PLOS ONE 14 (2019)
e0219854: 1 one-way, A absolute agreement, C consistency; of a single rating (1) or of the mean of the k raters (k).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mos.agreement.coefficient import Coefficient, coefficient
from mos.agreement.opinions import Opinions
from mos.moments import moments

NAMES = ("ICC(1,1)", "ICC(A,1)", "ICC(C,1)", "ICC(1,k)", "ICC(A,k)", "ICC(C,k)")
INTERVAL = "F distribution (McGraw and Wong 1996)"
FEW_ITEMS = "fewer than two items"
FEW_RATERS = "fewer than two raters"
EQUAL = "all ratings are equal: there are no differences between items to be reliable about"
UNDEFINED = "the items differ too little beside the noise for the coefficient to be defined"
_ROUNDING = 1e-13  # a mean square below this share of the largest is none


class MeanSquares(NamedTuple):
    """Of n items by k raters: rows (items), columns (raters), error, and within items."""

    items: float
    raters: float
    error: float
    within: float
    n: int
    k: int


def mean_squares(dense: np.ndarray) -> MeanSquares:
    """Analysis of variance of scores [items, raters], two or more of both; 0 for what rounding makes of nothing."""
    n, k = dense.shape
    centred = dense - dense.mean()
    item, rater = centred.mean(axis=1), centred.mean(axis=0)
    error = np.square(centred - item[:, None] - rater).sum()
    of_items, of_raters = k * (item @ item), n * (rater @ rater)
    found = [of_items / (n - 1), of_raters / (k - 1), error / ((n - 1) * (k - 1)), (of_raters + error) / (n * (k - 1))]
    least = _ROUNDING * max(found)
    rows, columns, noise, within = (float(value) if value > least else 0.0 for value in found)
    return MeanSquares(rows, columns, noise, within, n, k)


def iccs(squares: MeanSquares) -> dict[str, float]:
    """The six coefficients by name; NaN where undefined."""
    rows, columns, error, within, n, k = squares
    return {
        "ICC(1,1)": _ratio(rows - within, rows + (k - 1) * within),
        "ICC(A,1)": _ratio(rows - error, rows + (k - 1) * error + k * (columns - error) / n),
        "ICC(C,1)": _ratio(rows - error, rows + (k - 1) * error),
        "ICC(1,k)": _ratio(rows - within, rows),
        "ICC(A,k)": _ratio(rows - error, rows + (columns - error) / n),
        "ICC(C,k)": _ratio(rows - error, rows),
    }


def intervals(squares: MeanSquares, level: float) -> dict[str, tuple[float, float]]:
    """Confidence intervals by name; NaN where undefined."""
    from scipy.special import fdtri

    _, _, error, within, n, k = squares
    upper = (1 + level) / 2
    consistent = (n - 1) * (k - 1)
    one, one_mean = _of_ratio(squares, within, fdtri(n - 1, n * (k - 1), upper), fdtri(n * (k - 1), n - 1, upper))
    same, same_mean = _of_ratio(squares, error, fdtri(n - 1, consistent, upper), fdtri(consistent, n - 1, upper))
    agreed = _of_agreement(squares, upper)
    agreed_mean = tuple(_ratio(k * bound, 1 + (k - 1) * bound) for bound in agreed)
    return {
        "ICC(1,1)": one,
        "ICC(A,1)": agreed,
        "ICC(C,1)": same,
        "ICC(1,k)": one_mean,
        "ICC(A,k)": (agreed_mean[0], agreed_mean[1]),
        "ICC(C,k)": same_mean,
    }


def complete_iccs(opinions: Opinions, level: float) -> dict[str, Coefficient]:
    """The six coefficients with intervals at confidence `level`, where every rater rated every item."""
    size = (opinions.items, opinions.raters, len(opinions))
    reason = why_none(opinions)
    if reason:
        return {name: coefficient(math.nan, None, None, size, reason) for name in NAMES}
    squares = mean_squares(opinions.score.reshape(opinions.items, opinions.raters))
    values, bounds = iccs(squares), intervals(squares, level)
    return {
        name: coefficient(values[name], bounds[name], INTERVAL, size, UNDEFINED if math.isnan(values[name]) else None)
        for name in NAMES
    }


def why_none(opinions: Opinions) -> str | None:
    """Why no intraclass correlation is defined, whatever the design; None if nothing speaks against it."""
    if opinions.items < 2:
        return FEW_ITEMS
    if opinions.raters < 2:
        return FEW_RATERS
    constant = moments(opinions.score, np.zeros(len(opinions), np.intp), 1).ss[0] == 0
    return EQUAL if constant else None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def _of_ratio(
    squares: MeanSquares, noise: float, above: float, below: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Intervals for single ratings and for means, from F = rows / noise and its upper quantiles in both directions.

    Written without dividing by the noise, which is 0 where raters agree perfectly.
    """
    rows, k = squares.items, squares.k
    low, high = above * noise, noise / below
    single = (_ratio(rows - low, rows + (k - 1) * low), _ratio(rows - high, rows + (k - 1) * high))
    return single, (_ratio(rows - low, rows), _ratio(rows - high, rows))


def _of_agreement(squares: MeanSquares, upper: float) -> tuple[float, float]:
    """Interval for ICC(A,1), by Satterthwaite's degrees of freedom for the noise of raters and error together."""
    from scipy.special import fdtri

    rows, columns, error, _, n, k = squares
    icc = iccs(squares)["ICC(A,1)"]
    of_raters, of_error = k * icc * columns, (n * (1 + (k - 1) * icc) - k * icc) * error
    spread = (n - 1) * of_raters**2 + of_error**2
    if not spread > 0:  # no noise at all, or no coefficient
        return icc, icc
    freedom = (n - 1) * (k - 1) * (of_raters + of_error) ** 2 / spread
    above, below = fdtri(n - 1, freedom, upper), fdtri(freedom, n - 1, upper)
    noise = k * columns + (k * n - k - n) * error
    return (
        _ratio(n * (rows - above * error), above * noise + n * rows),
        _ratio(n * (below * rows - error), noise + n * below * rows),
    )
