"""Count, mean and sum of squares of groups of numbers, safe against cancellation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Summing n numbers one by one is wrong by less than this times n times the largest.
ROUNDING = 8 * float(np.finfo(float).eps)


class Moments(NamedTuple):
    """Of every group, each [groups]: n int64, mean and ss (sum of squared deviations) float64; NaN and 0 if empty.

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
    """Moments of `values` [N] by `group` [N] int64 in 0..groups-1, in two passes."""
    return deviations(values, group, groups)[0]


def deviations(values: np.ndarray, group: np.ndarray, groups: int) -> tuple[Moments, np.ndarray]:
    """Moments of `values` [N] by `group` [N] int64 in 0..groups-1; and how far each value is from its group's mean.

    A spread that rounding alone can make is none: fifteen ratings of 3.3 must not have a standard deviation of
    4e-16, and outliers from it.
    """
    n = np.bincount(group, minlength=groups)
    count = np.maximum(n, 1)
    mean = np.bincount(group, weights=values, minlength=groups) / count
    deviation = mean[group]
    np.subtract(values, deviation, out=deviation)
    ss = np.bincount(group, weights=np.square(deviation), minlength=groups)
    ss[ss <= count * (ROUNDING * count * largest(values)) ** 2] = 0
    mean[n == 0] = np.nan
    return Moments(n, mean, ss), deviation


def deviations_without(
    left_out: np.ndarray, values: np.ndarray, group: np.ndarray, groups: int
) -> tuple[Moments, np.ndarray]:
    """`deviations` of all values but the rows `left_out`, whose own deviation means nothing."""
    values, group = values.copy(), group.copy()
    values[left_out] = 0.0
    group[left_out] = groups  # a group of their own, dropped in the end
    found, deviation = deviations(values, group, groups + 1)
    return Moments(*(column[:groups] for column in found)), deviation


def largest(values: np.ndarray) -> float:
    """The largest magnitude; 0 of no values."""
    return max(float(values.max()), -float(values.min())) if len(values) else 0.0


def combine(one: Moments, other: Moments) -> Moments:
    """Moments of two disjoint sets of numbers together (Chan, Golub, LeVeque 1979)."""
    n = one.n + other.n
    count = np.maximum(n, 1)
    apart = np.where((one.n > 0) & (other.n > 0), other.mean - one.mean, 0.0)
    mean = np.where(one.n > 0, one.mean + apart * other.n / count, other.mean)
    return Moments(n, mean, one.ss + other.ss + apart**2 * one.n * other.n / count)
