"""Normalise the scale of every rater to z-scores, and average them to scores on 0 to 100 (paper, equation 1).

A rater with fewer than two ratings, or with equal ratings only, has no z-scores; the options say what follows.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mos._kernels import Moments, ScatteredGroups, apply_by_group, group_moments, largest_magnitude, scattered_moments
from mos.errors import UserError
from mos.ratings import Ratings
from mos.scoring.estimate import RATER_CONSTANT, RATER_TOO_FEW, RATING_KEPT, ScoreMeans
from mos.scoring.options import ScoringOptions

POINTS_PER_Z = 100 / 6


_CONSTANT_SHARE = 1e-12  # a spread below this share of the largest score is rounding, not use of the scale


class NormalisedRatings(NamedTuple):
    """Ratings as z-scores, and the raters that have none.

    Attributes
    ----------
    z : ndarray of shape (N,)
        z-score of every rating; NaN where its rater has none.
    constant, too_few : ndarray of bool, shape (keys,)
        Raters whose retained ratings are all equal, and raters with fewer than two of them. A key is a rater in a
        dimension.
    moments : Moments
        Of the retained ratings of each key.
    least_sd : float
        Largest standard deviation that counts as constant, in the unit of the scores.
    """

    z: NDArray[Any]
    constant: NDArray[Any]
    too_few: NDArray[Any]
    moments: Moments
    least_sd: float


def normalise_scores(
    score: NDArray[Any], key: NDArray[Any], rating_count: NDArray[Any], removed: NDArray[Any], ddof: int
) -> NormalisedRatings:
    """Compute z = (s - mean) / SD, with the mean and SD of the retained ratings of the same key.

    Parameters
    ----------
    score : ndarray of float64, shape (N,)
    key : ndarray of int, shape (N,)
        Rater and dimension of each rating, in 0..keys-1.
    rating_count : ndarray of int, shape (keys,)
        Ratings of each key.
    removed : ndarray of int
        Ascending rows in 0..N-1 that do not count in the mean and SD. They get a z all the same.
    ddof : {0, 1}
        Divisor n - ddof of the variance.

    Returns
    -------
    NormalisedRatings
        Without z for a key with fewer than two retained ratings, or whose retained ratings are all equal.
    """
    z = np.empty(len(score))
    scattered = ScatteredGroups(key, len(rating_count))
    retained = scattered_moments(score, scattered, rating_count, removed, deviations=z)
    sd = retained.sd(ddof)
    too_few = retained.n < 2
    least_sd = _CONSTANT_SHARE * largest_magnitude(score)
    constant = ~too_few & (sd <= least_sd)
    sd[too_few | constant] = np.nan
    for rows, at in scattered.blocks():
        apply_by_group(np.divide, z[rows], sd, at, out=z[rows])
    return NormalisedRatings(z, constant, too_few, retained, least_sd)


def z_to_points(z: NDArray[Any]) -> NDArray[Any]:
    """100 (z + 3) / 6, not clipped: z of -3 is 0 and z of 3 is 100."""
    return (z + 3) * POINTS_PER_Z


def average_z_scores(
    z: NDArray[Any], group: NDArray[Any], groups: int, kept: NDArray[Any], trimmed: NDArray[Any]
) -> ScoreMeans:
    """Compute the score of every group, 100 (mean z + 3) / 6, with a standard error that includes trimmed outliers.

    Parameters
    ----------
    z : ndarray of float64, shape (N,)
    group : ndarray of int, shape (N,)
        Item and dimension of each rating, in 0..groups-1.
    groups : int
    kept : ndarray of bool, shape (N,)
        Ratings that count in the mean.
    trimmed : ndarray of int
        Rows of the removed outliers of raters that are not excluded.

    Returns
    -------
    ScoreMeans
        In points.

    Notes
    -----
    s / sqrt(n) of the ratings that are left after trimming at two sigma ignores the spread that was removed: at 15
    ratings a nominal 95 % interval covers 87 to 91 %. So s is that of kept and trimmed ratings together, and n is the
    number of kept ratings. With the t quantile of n - 1 degrees of freedom the interval covers 94 to 95.5 % for 5 to
    30 simulated Gaussian raters.
    """
    inside = group_moments(z, group, groups, kept)
    at = group[trimmed]
    off = z[trimmed] - inside.mean[at]
    n = inside.n + np.bincount(at, minlength=groups)
    # About the mean of both together: the squares about any other are more by n times its square distance.
    ss = inside.ss + np.bincount(at, off**2, groups) - np.bincount(at, off, groups) ** 2 / np.maximum(n, 1)
    spread = Moments(n, inside.mean, ss).sd(1)
    with np.errstate(divide="ignore"):
        se = np.where(inside.n > 1, spread / np.sqrt(inside.n), np.nan) * POINTS_PER_Z
    return ScoreMeans(inside.n, z_to_points(inside.mean), inside.sd(1) * POINTS_PER_Z, se)


class NormalisingOptions(ScoringOptions):
    """How raters are normalised."""

    normalise_scope: Literal["dimension", "pooled"] = Field(
        "dimension", description="One mean and deviation for each rater and dimension, or for each rater."
    )
    z_ddof: Literal[0, 1] = Field(1, description="Divisor n - z_ddof of the standard deviation in z.")
    on_constant: Literal["drop", "zero", "error"] = Field(
        "drop", description="A rater whose ratings are all equal: leave out, count as z = 0, or refuse to go on."
    )

    def in_resamples(self) -> Self:
        """As of all methods; a rater who is constant only in a resample is left out of it."""
        options = super().in_resamples()
        return options.model_copy(update={"on_constant": "drop"}) if options.on_constant == "error" else options


def normalise_ratings(
    ratings: Ratings, rating_count: NDArray[Any], removed: NDArray[Any], options: NormalisingOptions
) -> NormalisedRatings:
    """Normalise every rating by the mean and standard deviation of its rater.

    Parameters
    ----------
    ratings : Ratings
    rating_count : ndarray of int, shape (raters * dimensions,)
        Ratings of each rater in each dimension.
    removed : ndarray of int
        Ascending rows that do not count in the mean and standard deviation.
    options : NormalisingOptions

    Returns
    -------
    NormalisedRatings
        With one key for each rater and dimension, also when `normalise_scope` is "pooled".

    Raises
    ------
    UserError
        For a rater whose ratings are all equal, when `on_constant` is "error".
    """
    dimensions, raters = len(ratings.dimensions), len(ratings.raters)
    pooled = options.normalise_scope == "pooled"
    key = ratings.rater if pooled else ratings.rater_keys()
    n = rating_count.reshape(raters, dimensions).sum(axis=1) if pooled else rating_count
    normalised = normalise_scores(ratings.score, key, n, removed, options.z_ddof)
    if options.on_constant == "error" and normalised.constant.any():
        raise UserError(
            _constant_raters_message(ratings, np.flatnonzero(normalised.constant), 1 if pooled else dimensions)
        )
    if options.on_constant == "zero":
        normalised.z[normalised.constant[key]] = 0.0
        normalised = normalised._replace(constant=np.zeros_like(normalised.constant))
    if not pooled:
        return normalised
    spread = Moments(*(np.repeat(values, dimensions) for values in normalised.moments))
    return normalised._replace(
        constant=np.repeat(normalised.constant, dimensions),
        too_few=np.repeat(normalised.too_few, dimensions),
        moments=spread,
    )


def _constant_raters_message(ratings: Ratings, key: NDArray[Any], dimensions: int) -> str:
    """Which raters are constant.  key: rater * dimensions + dimension of each case."""
    first, number = ratings.raters[int(key[0]) // dimensions].as_py(), len(np.unique(key // dimensions))
    everything = "everything" if dimensions == 1 else "everything in a dimension"
    return (
        f"{number} raters gave the same score to {everything}, the first being '{first[:60]}': expected ratings that "
        "differ; leave them out, or set on_constant to drop or zero."
    )


def rater_statuses(normalised: NormalisedRatings) -> NDArray[Any]:
    """[raters * dimensions] uint8, positions in `mos.scoring.estimate.RATING_STATUSES`."""
    statuses = np.full(len(normalised.constant), RATING_KEPT, np.uint8)
    statuses[normalised.constant] = RATER_CONSTANT
    statuses[normalised.too_few] = RATER_TOO_FEW
    return statuses
