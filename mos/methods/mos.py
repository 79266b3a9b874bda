"""Mean opinion scores as they are: the mean of all ratings of an item, nobody screened, nothing adjusted."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mos.moments import moments
from mos.ratings import Ratings
from mos.scoring.estimate import KEPT, Estimate, Fates, statuses
from mos.scoring.means import plain_means
from mos.scoring.options import Options


class MosOptions(Options):
    """Nothing but what all methods have."""

    method: Literal["mos"] = "mos"


OPTIONS = MosOptions


def estimate(ratings: Ratings, options: MosOptions) -> Estimate:
    """Mean, sample deviation and standard error s / sqrt(n) of the ratings of every item and dimension."""
    return plain(ratings, ratings.score)


def plain(ratings: Ratings, value: np.ndarray) -> Estimate:
    """The same of `value` [N], what was made of the ratings."""
    keys = len(ratings.raters) * len(ratings.dimensions)
    given = np.bincount(ratings.rater_keys(), minlength=keys)
    fates = Fates(np.full(keys, KEPT, np.uint8), np.zeros(0, np.int64), given, given)
    found = moments(value, ratings.groups(), len(ratings.items) * len(ratings.dimensions))
    return Estimate(
        unit="scale",
        value=value,
        status=statuses(ratings, fates),
        means=plain_means(found),
        rated=found.n,
        fates=fates,
        exclusion="",
        decisions=list,
    )
