"""Array kernel: the ratings that lie more than some standard deviations from the mean of their group.

Decisions are exact. A rating counts as the decimal number that was written, to twelve digits: it is compared in
floating point first, and in integers where it lies so near the threshold that rounding could decide.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, log10
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos._kernels import (
    EXACT_BAND,
    LONG_RUN,
    SUM_ROUNDING,
    GroupRuns,
    Moments,
    empty_moments,
    is_ascending,
    largest_magnitude,
    whole_group_blocks,
)

_DIGITS = 12


class FlaggedOutliers(NamedTuple):
    """row: [outliers] int64, ascending rows; moments: of every group, over all its ratings."""

    row: NDArray[Any]
    moments: Moments

    def deviations(self, score: NDArray[Any], group: NDArray[Any], ddof: int) -> NDArray[Any]:
        """[outliers] by how many standard deviations of its group each outlier is off its mean."""
        at = group[self.row]
        off: NDArray[Any] = np.abs(score[self.row] - self.moments.mean[at])
        values: NDArray[Any] = off / self.moments.sd(ddof)[at]
        return values


def flag_outliers(
    score: NDArray[Any], group: NDArray[Any], groups: int, sigma: Fraction, ddof: int, strict: bool = True
) -> FlaggedOutliers:
    """Flag the ratings that differ from their group's mean by more than `sigma` standard deviations, in one pass.

    A group whose ratings are all equal has no outliers. Fastest where `group` ascends.

    Parameters
    ----------
    score : ndarray [N] float64
    group : ndarray [N] int
        What was rated, in 0..groups-1.
    groups : int
    sigma : Fraction
        Standard deviations from the mean that make an outlier.
    ddof : {0, 1}
        1 for the sample deviation S of BT.500, 0 for the population's.
    strict : bool
        Whether a rating exactly on the threshold stays.

    Returns
    -------
    FlaggedOutliers
    """
    if not is_ascending(group):
        order = np.argsort(group, kind="stable")
        row, found = flag_outliers(score[order], group[order], groups, sigma, ddof, strict)
        return FlaggedOutliers(np.sort(order[row]), found)
    found, highest = empty_moments(groups), largest_magnitude(score)
    long = len(group) >= LONG_RUN * groups
    certain, near = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for rows in whole_group_blocks(group):
        runs = GroupRuns(group[rows], long)
        own, squares = runs.moments(score[rows])
        own = own.clear_rounding(highest)
        found.put(runs.groups, own)
        limit = float(sigma) * own.sd(ddof)
        # Worst case of summing n numbers of this size one by one, and then the relative band.
        slack = EXACT_BAND * limit + SUM_ROUNDING * highest * own.n
        least = np.where(own.ss > 0, np.square(np.maximum(limit - slack, 0)), np.inf)
        row = np.flatnonzero(runs.apply_by_run(np.greater_equal, squares, least))
        doubtful = squares[row] <= np.square(limit + slack)[group[rows][row] - runs.groups.start]
        certain.append(rows.start + row[~doubtful])
        near.append(rows.start + row[doubtful])
    flagged, doubt = np.concatenate(certain), np.concatenate(near)
    if len(doubt):
        beyond = _decide_exactly(score, group, doubt, sigma, ddof, highest, strict)
        flagged = np.sort(np.append(flagged, doubt[beyond]))
    return FlaggedOutliers(flagged, found)


def _decide_exactly(
    score: NDArray[Any],
    group: NDArray[Any],
    near: NDArray[Any],
    sigma: Fraction,
    ddof: int,
    highest: float,
    strict: bool,
) -> list[bool]:
    """Exactly, in integers: for ratings `near` the threshold, whether they are outliers of their groups."""
    decimals = _DIGITS - floor(log10(highest)) if highest else 0
    touched = np.isin(group, group[near])
    members: dict[int, list[int]] = {}
    for g, value in zip(group[touched].tolist(), score[touched].tolist(), strict=True):
        members.setdefault(g, []).append(_to_whole_units(value, decimals))
    totals = {g: (len(grid), sum(grid), sum(x * x for x in grid)) for g, grid in members.items()}

    def outlying(value: float, g: int) -> bool:
        n, total, squares = totals[g]
        # (x - mean)^2 > sigma^2 SS / (n - ddof), times n^2, with SS = squares - total^2 / n
        deviation = (n * _to_whole_units(value, decimals) - total) ** 2 * (n - ddof) * sigma.denominator**2
        reach = sigma.numerator**2 * n * (n * squares - total * total)
        return deviation > reach or (deviation == reach and not strict)

    return [outlying(value, g) for value, g in zip(score[near].tolist(), group[near].tolist(), strict=True)]


def _to_whole_units(value: float, decimals: int) -> int:
    return round(Fraction(value) * Fraction(10) ** decimals)
