"""Which ratings are outliers (paper, section 3.2.3).

Decisions are exact.  A rating counts as the decimal number that was written, to twelve digits: it is compared in
floating point first, and in integers where it lies so near the threshold that rounding could decide.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, log10
from typing import NamedTuple

import numpy as np

from mos.moments import LONG, ROUNDING, Moments, Runs, ascends, largest, no_moments, whole_groups

_NEAR = 1e-9  # relative width of the band around the threshold that is decided in integers
_DIGITS = 12


class Outliers(NamedTuple):
    """row: [outliers] int64, ascending rows; moments: of every group, over all its ratings."""

    row: np.ndarray
    moments: Moments


def flag_outliers(
    score: np.ndarray, group: np.ndarray, groups: int, sigma: Fraction, ddof: int, strict: bool = True
) -> Outliers:
    """Flag the ratings that differ from their group's mean by more than `sigma` standard deviations.

    score: [N] ratings; group: [N] in 0..groups-1, what was rated; ddof: 1 for the sample deviation S of BT.500,
    0 for that of the population; strict: whether a rating exactly on the threshold stays.  One pass.  A group whose
    ratings are all equal has no outliers.  Fastest where `group` ascends.
    """
    if not ascends(group):
        order = np.argsort(group, kind="stable")
        row, found = flag_outliers(score[order], group[order], groups, sigma, ddof, strict)
        return Outliers(np.sort(order[row]), found)
    found, highest = no_moments(groups), largest(score)
    long = len(group) >= LONG * groups
    certain, near = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for rows in whole_groups(group):
        runs = Runs(group[rows], long)
        own, squares = runs.moments(score[rows])
        own = own.clear_rounding(highest)
        found.put(runs.groups, own)
        limit = float(sigma) * own.sd(ddof)
        # Worst case of summing n numbers of this size one by one, and then the relative band.
        slack = _NEAR * limit + ROUNDING * highest * own.n
        least = np.where(own.ss > 0, np.square(np.maximum(limit - slack, 0)), np.inf)
        row = np.flatnonzero(runs.against(np.greater_equal, squares, least))
        doubtful = squares[row] <= np.square(limit + slack)[group[rows][row] - runs.groups.start]
        certain.append(rows.start + row[~doubtful])
        near.append(rows.start + row[doubtful])
    flagged, doubt = np.concatenate(certain), np.concatenate(near)
    if len(doubt):
        beyond = _decide(score, group, doubt, sigma, ddof, highest, strict)
        flagged = np.sort(np.append(flagged, doubt[beyond]))
    return Outliers(flagged, found)


def _decide(
    score: np.ndarray, group: np.ndarray, near: np.ndarray, sigma: Fraction, ddof: int, highest: float, strict: bool
) -> list[bool]:
    """Exactly, in integers: for ratings `near` the threshold, whether they are outliers of their groups."""
    decimals = _DIGITS - floor(log10(highest)) if highest else 0
    touched = np.isin(group, group[near])
    members: dict[int, list[int]] = {}
    for g, value in zip(group[touched].tolist(), score[touched].tolist(), strict=True):
        members.setdefault(g, []).append(_on_grid(value, decimals))
    totals = {g: (len(grid), sum(grid), sum(x * x for x in grid)) for g, grid in members.items()}

    def outlying(value: float, g: int) -> bool:
        n, total, squares = totals[g]
        # (x - mean)^2 > sigma^2 SS / (n - ddof), times n^2, with SS = squares - total^2 / n
        deviation = (n * _on_grid(value, decimals) - total) ** 2 * (n - ddof) * sigma.denominator**2
        reach = sigma.numerator**2 * n * (n * squares - total * total)
        return deviation > reach or (deviation == reach and not strict)

    return [outlying(value, g) for value, g in zip(score[near].tolist(), group[near].tolist(), strict=True)]


def _on_grid(value: float, decimals: int) -> int:
    return round(Fraction(value) * Fraction(10) ** decimals)
