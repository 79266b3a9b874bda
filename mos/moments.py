"""Count, mean and sum of squares of groups of numbers, safe against cancellation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Summing n numbers one by one is wrong by less than this times n times the largest.
ROUNDING = 8 * float(np.finfo(float).eps)
_BLOCK = 65_536


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


def moments(values: np.ndarray, group: np.ndarray, groups: int, counted: np.ndarray | None = None) -> Moments:
    """Moments of `values` [N] by `group` [N] in 0..groups-1, in two passes; of the rows `counted` [N] bool only.

    A spread that rounding alone can make is none: fifteen ratings of 3.3 must not have a standard deviation of
    4e-16, and outliers from it.
    """
    n, mean, ss = np.zeros(groups, np.int64), np.zeros(groups), np.zeros(groups)
    highest = 0.0
    for rows in blocks(len(values)):
        at, value = group[rows].astype(np.intp, copy=False), values[rows]
        if counted is not None:
            value = np.where(counted[rows], value, 0.0)
        runs = _runs(at)
        add_by(at, n, None if counted is None else counted[rows], runs)
        add_by(at, mean, value, runs)
        highest = max(highest, largest(value))
    count = np.maximum(n, 1)
    mean /= count
    for rows in blocks(len(values)):
        at = group[rows].astype(np.intp, copy=False)
        deviation = values[rows] - mean[at]
        if counted is not None:
            deviation[~counted[rows]] = 0.0
        add_by(at, ss, np.square(deviation, out=deviation), _runs(at))
    ss[ss <= count * (ROUNDING * count * highest) ** 2] = 0
    mean[n == 0] = np.nan
    return Moments(n, mean, ss)


def blocks(rows: int) -> Iterator[slice]:
    """Slices that cover `rows` rows, each small enough for what is made of it on the way to stay in the cache."""
    return (slice(start, start + _BLOCK) for start in range(0, rows, _BLOCK))


def _runs(group: np.ndarray) -> np.ndarray | None:
    """Where each run of one group starts, as where ratings are ordered by item; None when most runs are short."""
    change = group[1:] != group[:-1]
    return np.append(0, np.flatnonzero(change) + 1) if 2 * np.count_nonzero(change) < len(group) else None


def add_by(
    group: np.ndarray, totals: np.ndarray, weights: np.ndarray | None = None, runs: np.ndarray | None = None
) -> None:
    """Add to `totals` [groups] the number of rows of each group, or their weights; group, weights: [N], N > 0.

    runs: where each run of one group starts, when runs are to be summed first.
    """
    if runs is not None:
        weights = np.diff(runs, append=len(group)) if weights is None else np.add.reduceat(weights, runs, dtype=float)
        group = group[runs]
    # Neighbours in the table are neighbours in the totals: no need to go through all of these when they are many.
    low = int(group.min()) if len(totals) > len(group) else 0
    part = np.bincount(group - low if low else group, weights)
    totals[low : low + len(part)] += part.astype(totals.dtype, copy=False)


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
