"""Means of ratings as they are."""

from __future__ import annotations

import numpy as np

from mos.moments import Moments
from mos.scoring.scores import Means


def plain_means(found: Moments) -> Means:
    """Mean, sample deviation s and standard error s / sqrt(n) of every group; NaN where they are not defined."""
    sd = found.sd(1)
    return Means(found.n, found.mean, sd, sd / np.sqrt(np.maximum(found.n, 1)))
