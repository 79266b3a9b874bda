"""Mean of the ratings less the bias of their rater (ITU-T P.913, 12.4), with optional screening of raters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from mos._kernels import Moments, group_moments
from mos.methods import mos
from mos.methods.bt500 import KurtosisOptions, estimate_screened_means
from mos.ratings import Ratings
from mos.scoring.estimate import ScoreEstimate
from mos.scoring.exclusions import columns_by_dimension


class RaterBias(NamedTuple):
    """The bias of every rater, in the unit of the scores.

    Attributes
    ----------
    n : ndarray of int64, shape (raters,)
        Number of ratings.
    bias : ndarray of float64, shape (raters,)
        Mean of rating minus mean opinion score over the rater's ratings; NaN without ratings.
    se : ndarray of float64, shape (raters,)
        Standard error of the bias, from the sample deviation of those differences; NaN below two ratings. It treats
        the mean opinion scores as known, although they include the rater's own ratings.
    """

    n: NDArray[Any]
    bias: NDArray[Any]
    se: NDArray[Any]

    def interval(self, level: float) -> NDArray[Any]:
        """[raters] half-width of the interval at confidence `level`, by Student's t with n - 1 degrees of freedom."""
        from scipy.special import stdtrit

        values: NDArray[Any] = self.se * stdtrit(np.maximum(self.n - 1, 1), (1 + level) / 2)
        return values


def estimate_rater_bias(
    score: NDArray[Any], item: NDArray[Any], rater: NDArray[Any], items: int, raters: int
) -> RaterBias:
    """Estimate the bias of every rater: the mean of x - MOS over all ratings x of the rater.

    Parameters
    ----------
    score : ndarray of float64, shape (N,)
    item, rater : ndarray of int, shape (N,)
        Positions in 0..items-1 and 0..raters-1, in any order. Repeated ratings of an item by a rater all count.
    items, raters : int
        Number of items and of raters.

    Returns
    -------
    RaterBias

    Notes
    -----
    MOS is the plain mean of the item's ratings; there is no iteration and no weight (ITU-T P.913, 12.4). With
    positions of (item, dimension) and (rater, dimension) the function gives the biases of all dimensions in one call.

    Examples
    --------
    >>> matrix = np.array([[1.0, 3.0], [2.0, 4.0]])  # the second rater gives 2 points more
    >>> estimate_rater_bias(matrix.ravel(), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), 2, 2).bias
    array([-1.,  1.])
    """
    differences = _bias_moments(score, item, rater, items, raters)
    se = differences.sd(1) / np.sqrt(np.maximum(differences.n, 1))
    return RaterBias(differences.n, differences.mean, se)


def remove_bias(score: NDArray[Any], rater: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """Subtract the bias of the rater from every score.

    Parameters
    ----------
    score : ndarray of float64, shape (N,)
    rater : ndarray of int, shape (N,)
    bias : ndarray of float64, shape (raters,)

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    values: NDArray[Any] = score - bias[rater]
    return values


def _bias_moments(score: NDArray[Any], item: NDArray[Any], rater: NDArray[Any], items: int, raters: int) -> Moments:
    """Moments by rater of the differences x - MOS."""
    mos_of_item = group_moments(score, item, items).mean
    return group_moments(score - mos_of_item[item], rater, raters)


class P913Options(KurtosisOptions):
    """Bias removal, and screening of what it leaves if asked for."""

    method: Literal["p913"] = "p913"
    screening: Literal["none", "bt500"] = Field(
        "none",
        description="Whether raters are then screened by the rule of BT.500, as in sureal's method of this name.",
    )


def estimate_p913(ratings: Ratings, options: P913Options) -> ScoreEstimate:
    """Estimate the score of every item in every dimension: the mean of its ratings less the bias of their raters.

    Parameters
    ----------
    ratings : Ratings
    options : P913Options

    Returns
    -------
    ScoreEstimate
        On the scale of the ratings; `value` is each rating less the bias of its rater in the dimension.
    """
    sizes = len(ratings.items) * len(ratings.dimensions), len(ratings.raters) * len(ratings.dimensions)
    bias = estimate_rater_bias(ratings.score, ratings.groups(), ratings.rater_keys(), *sizes)
    value = remove_bias(ratings.score, ratings.rater_keys(), bias.bias)
    columns = partial(_rater_columns, ratings, bias, options.confidence)
    if options.screening == "none":
        return replace(mos.estimate_unscreened_means(ratings, value), columns=columns)
    screened = estimate_screened_means(ratings, value, options)
    return replace(screened, columns=lambda: {**screened.columns(), **columns()})


def _rater_columns(ratings: Ratings, bias: RaterBias, level: float) -> Mapping[str, pa.Array]:
    half = bias.interval(level)
    figures = {"bias": bias.bias, "bias_low": bias.bias - half, "bias_high": bias.bias + half}
    return columns_by_dimension(ratings, {name: np.asarray(values) for name, values in figures.items()})
