"""Which ratings are outliers, and which raters give too many of them (paper, section 3.2.3).

Decisions are exact.  A rating counts as the decimal number that was written, to twelve digits: it is compared in
floating point first, and in integers where it lies so near the threshold that rounding could decide.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, log10
from typing import NamedTuple

import numpy as np

from mos.moments import ROUNDING, Moments, add_by, blocks, largest, moments

_NEAR = 1e-9  # relative width of the band around the threshold that is decided in integers
_DIGITS = 12


class Outliers(NamedTuple):
    """flag: [N] bool; moments: of every group, over all its ratings."""

    flag: np.ndarray
    moments: Moments


def flag_outliers(
    score: np.ndarray, group: np.ndarray, groups: int, sigma: Fraction, ddof: int, strict: bool = True
) -> Outliers:
    """Flag the ratings that differ from their group's mean by more than `sigma` standard deviations.

    score: [N] ratings; group: [N] in 0..groups-1, what was rated; ddof: 1 for the sample deviation S of BT.500,
    0 for that of the population; strict: whether a rating exactly on the threshold stays.  One pass.  A group whose
    ratings are all equal has no outliers.
    """
    found = moments(score, group, groups)
    limit = float(sigma) * found.sd(ddof)
    highest = largest(score)
    # Worst case of summing n numbers of this size one by one, and then the relative band.
    slack = _NEAR * limit + ROUNDING * highest * found.n
    lowest = np.where(found.ss > 0, limit - slack, np.inf)
    flag = np.zeros(len(score), bool)
    for rows in blocks(len(score)):
        at = group[rows].astype(np.intp, copy=False)
        np.greater_equal(np.abs(score[rows] - found.mean[at]), lowest[at], out=flag[rows])
    candidates = np.flatnonzero(flag)
    at = group[candidates]
    near = candidates[np.abs(score[candidates] - found.mean[at]) <= (limit + slack)[at]]
    if len(near):
        flag[near] = _decide(score, group, near, sigma, ddof, highest, strict)
    return Outliers(flag, found)


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


class RaterShares(NamedTuple):
    """Each [raters]: n ratings, how many of them are outliers, whether the rater is excluded."""

    n: np.ndarray
    outliers: np.ndarray
    excluded: np.ndarray


def exclude_raters(rater: np.ndarray, raters: int, outlier: np.ndarray, max_share: Fraction) -> RaterShares:
    """Exclude the raters with MORE than `max_share` outliers among their own ratings of all dimensions.

    rater: [N] in 0..raters-1; outlier: [N] bool.  Compared in integers: a rater at exactly 5 % stays.
    """
    n = np.zeros(raters, np.int64)
    for rows in blocks(len(rater)):
        add_by(rater[rows], n)
    outliers = np.bincount(rater[outlier], minlength=raters)
    excluded = [
        int(out) * max_share.denominator > max_share.numerator * int(count)
        for out, count in zip(outliers, n, strict=True)
    ]
    return RaterShares(n, outliers, np.array(excluded, bool))
