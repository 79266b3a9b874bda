"""z-scores without screening: every rater's mean and deviation removed, then the mean on 0 to 100.

The z_ij and 100 (z + 3) / 6 of the LIVE studies (Seshadrinathan et al., IEEE Transactions on Image Processing 19,
2010), without a reference to take differences from.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mos.moments import count_by
from mos.ratings import Ratings
from mos.scoring import ledger
from mos.scoring.estimate import KEPT, Estimate, Fates, statuses
from mos.scoring.normalising import NormalisingOptions, fates_of_raters, normalised
from mos.scoring.scores import POINTS_PER_Z, average


class ZscoreOptions(NormalisingOptions):
    """How raters are normalised."""

    method: Literal["zscore"] = "zscore"


OPTIONS = ZscoreOptions


def estimate(ratings: Ratings, options: ZscoreOptions) -> Estimate:
    """Mean z of every item and dimension; a rater without a scale of their own is left out."""
    keys, groups = len(ratings.raters) * len(ratings.dimensions), len(ratings.items) * len(ratings.dimensions)
    given = count_by(ratings.rater_keys(), keys)
    nothing = np.zeros(0, np.int64)
    own = normalised(ratings, given, nothing, options)
    fates = Fates(fates_of_raters(own), nothing, given, given)
    status = statuses(ratings, fates)
    return Estimate(
        unit="points",
        value=own.z,
        status=status,
        means=average(own.z, ratings.groups(), groups, status == KEPT, nothing),
        rated=count_by(ratings.groups(), groups),
        fates=fates,
        exclusion="",
        to_unit=(POINTS_PER_Z, 3 * POINTS_PER_Z),
        normalises=True,
        decisions=lambda: ledger.unusable_raters(ratings, own, given, np.zeros(keys, bool), options.z_ddof),
    )
