"""Each rater's scale normalised away, and the mean opinion score on 0 to 100 (paper, equation 1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mos.moments import Moments, blocks, combine, largest, moments

POINTS_PER_Z = 100 / 6
_CONSTANT = 1e-12  # a spread below this share of the largest score is rounding, not use of the scale


class Normalised(NamedTuple):
    """z: [N], NaN where the rater has none; constant, too_few: [rater keys] bool; moments: of the retained ratings.

    least_sd: with a standard deviation up to this, a rater is constant.
    """

    z: np.ndarray
    constant: np.ndarray
    too_few: np.ndarray
    moments: Moments
    least_sd: float


def normalise(score: np.ndarray, key: np.ndarray, keys: int, retained: np.ndarray, ddof: int) -> Normalised:
    """z = (s - mean) / SD, with the mean and SD of the ratings that the same rater retained in the same dimension.

    score: [N]; key: [N] in 0..keys-1, rater and dimension; retained: [N] bool.  Ratings that are not retained get a
    z on the scale of their rater too.  No z for a rater with fewer than two retained ratings, or whose retained
    ratings are all equal.
    """
    kept = moments(score, key, keys, retained)
    sd = kept.sd(ddof)
    too_few = kept.n < 2
    least_sd = _CONSTANT * largest(score)
    constant = ~too_few & (sd <= least_sd)
    sd[too_few | constant] = np.nan
    z = np.empty(len(score))
    for rows in blocks(len(score)):
        at = key[rows].astype(np.intp, copy=False)
        np.divide(score[rows] - kept.mean[at], sd[at], out=z[rows])
    return Normalised(z, constant, too_few, kept, least_sd)


def to_points(z: np.ndarray) -> np.ndarray:
    """100 (z + 3) / 6, not clipped: z of -3 is 0 and z of 3 is 100."""
    return (z + 3) * POINTS_PER_Z


class Means(NamedTuple):
    """Of every group, NaN where undefined: n ratings behind it, mos, sd of these ratings, and standard error se."""

    n: np.ndarray
    mos: np.ndarray
    sd: np.ndarray
    se: np.ndarray


def average(z: np.ndarray, group: np.ndarray, groups: int, kept: np.ndarray, trimmed: np.ndarray) -> Means:
    """Mean z of the `kept` ratings of every group as a score, in points, with a standard error that holds.

    z: [N]; group: [N] in 0..groups-1; kept: [N] bool; trimmed: rows in 0..N-1, the outliers that the raters of the
    kept ratings gave.  Trimming at two sigma and then taking s/sqrt(n) of what is left pretends that the removed
    spread was never there: at 15 ratings a nominal 95 % interval covers 87 to 91 %.  So the spread is that of both,
    se = s/sqrt(n) with the n behind the mean; with the t quantile of n - 1 degrees of freedom it covers 94 to 95.5 %
    for 5 to 30 simulated Gaussian raters.
    """
    inside = moments(z, group, groups, kept)
    spread = combine(inside, moments(z[trimmed], group[trimmed], groups)).sd(1)
    with np.errstate(divide="ignore"):
        se = np.where(inside.n > 1, spread / np.sqrt(inside.n), np.nan) * POINTS_PER_Z
    return Means(inside.n, to_points(inside.mean), inside.sd(1) * POINTS_PER_Z, se)
