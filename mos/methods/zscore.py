"""Scores from z-scores without screening: z = (s - mean) / SD of each rater, then 100 (mean z + 3) / 6.

These are z_ij and the score of the LIVE studies (Seshadrinathan et al., IEEE Transactions on Image Processing 19,
2010), without the difference to a reference.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mos._kernels import count_by_group
from mos.ratings import Ratings
from mos.scoring.estimate import RATING_KEPT, RatingStatus, ScoreEstimate, rating_statuses
from mos.scoring.exclusions import unusable_rater_exclusions
from mos.scoring.normalise import POINTS_PER_Z, NormalisingOptions, average_z_scores, normalise_ratings, rater_statuses


class ZscoreOptions(NormalisingOptions):
    """How raters are normalised."""

    method: Literal["zscore"] = "zscore"


def estimate_zscore(ratings: Ratings, options: ZscoreOptions) -> ScoreEstimate:
    """Estimate the score of every item in every dimension: 100 (mean z + 3) / 6.

    Parameters
    ----------
    ratings : Ratings
    options : ZscoreOptions

    Returns
    -------
    ScoreEstimate
        In points. Raters with fewer than two ratings, or equal ratings only, have no z and do not count.
    """
    keys, groups = len(ratings.raters) * len(ratings.dimensions), len(ratings.items) * len(ratings.dimensions)
    rating_count = count_by_group(ratings.rater_keys(), keys)
    no_rows = np.zeros(0, np.int64)
    normalised = normalise_ratings(ratings, rating_count, no_rows, options)
    statuses = RatingStatus(rater_statuses(normalised), no_rows, rating_count, rating_count)
    status = rating_statuses(ratings, statuses)
    means = average_z_scores(normalised.z, ratings.groups(), groups, status == RATING_KEPT, no_rows)
    return ScoreEstimate(
        unit="points",
        value=normalised.z,
        status=status,
        means=means,
        rated=count_by_group(ratings.groups(), groups),
        statuses=statuses,
        exclusion="",
        to_unit=(POINTS_PER_Z, 3 * POINTS_PER_Z),
        normalises=True,
        decisions=lambda: unusable_rater_exclusions(
            ratings, normalised, rating_count, np.zeros(keys, bool), options.z_ddof
        ),
    )
