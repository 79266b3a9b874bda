"""Plain mean opinion scores: the mean of all ratings of an item, without screening or normalisation."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments
from mos.ratings import Ratings
from mos.scoring.estimate import RATING_KEPT, RatingStatus, ScoreEstimate, means_from_moments, rating_statuses
from mos.scoring.options import ScoringOptions


class MosOptions(ScoringOptions):
    """The options that all methods share."""

    method: Literal["mos"] = "mos"


def estimate_mos(ratings: Ratings, options: MosOptions) -> ScoreEstimate:
    """Estimate the score of every item in every dimension: MOS = mean of all its ratings, se = s / sqrt(n).

    Parameters
    ----------
    ratings : Ratings
    options : MosOptions

    Returns
    -------
    ScoreEstimate
        On the scale of the ratings.
    """
    return estimate_unscreened_means(ratings, ratings.score)


def estimate_unscreened_means(ratings: Ratings, value: NDArray[Any]) -> ScoreEstimate:
    """Average the values of all ratings of every item and dimension.

    Parameters
    ----------
    ratings : Ratings
    value : ndarray of float64, shape (N,)
        The ratings, or the ratings after an adjustment such as the removal of bias.

    Returns
    -------
    ScoreEstimate
        On the scale of the ratings.
    """
    keys = len(ratings.raters) * len(ratings.dimensions)
    rating_count = np.bincount(ratings.rater_keys(), minlength=keys)
    statuses = RatingStatus(np.full(keys, RATING_KEPT, np.uint8), np.zeros(0, np.int64), rating_count, rating_count)
    moments = group_moments(value, ratings.groups(), len(ratings.items) * len(ratings.dimensions))
    return ScoreEstimate(
        unit="scale",
        value=value,
        status=rating_statuses(ratings, statuses),
        means=means_from_moments(moments),
        rated=moments.n,
        statuses=statuses,
        exclusion="",
        decisions=list,
    )
