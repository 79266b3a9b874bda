"""Count, mean and sum of squares of groups of numbers, safe against cancellation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Of every group, each [groups]: n int64, mean and ss (sum of squared deviations) float64; NaN, 0 when empty.

    ss is exactly 0 when all numbers of the group are equal.
    """

    n: np.ndarray
    mean: np.ndarray
    ss: np.ndarray

    def sd(self, ddof: int) -> np.ndarray:
        """[groups] standard deviation with divisor n - ddof; NaN where that is not positive."""
        divisor = np.where(self.n > ddof, self.n - ddof, np.nan)
        return np.sqrt(self.ss / divisor)


def moments(values: np.ndarray, group: np.ndarray, groups: int) -> Moments:
    """Moments of `values` [N] by `group` [N] in 0..groups-1.

    Numbers are taken relative to one of their own group, so that equal numbers leave no rounding behind: fifteen
    ratings of 3.3 must not have a standard deviation of 4e-16 and outliers from it.
    """
    n = np.bincount(group, minlength=groups)
    origin = np.full(groups, np.nan)
    origin[group] = values
    shifted = values - origin[group]
    mean = np.bincount(group, weights=shifted, minlength=groups) / np.maximum(n, 1)
    shifted -= mean[group]
    np.square(shifted, out=shifted)
    return Moments(n, origin + mean, np.bincount(group, weights=shifted, minlength=groups))
