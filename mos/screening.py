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


def flag_outliers(score: np.ndarray, group: np.ndarray, groups: int, sigma: Fraction, ddof: int) -> Outliers:
    """Flag the ratings that differ from their group's mean by more than `sigma` standard deviations.

    score: [N] ratings; group: [N] in 0..groups-1, what was rated; ddof: 1 for the sample deviation S of BT.500,
    0 for that of the population.  One pass, strict: a rating on the threshold stays.  A group whose ratings are all
    equal has no outliers.
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
        flag[near] = _decide(score, group, near, sigma, ddof, highest)
    return Outliers(flag, found)


def _decide(
    score: np.ndarray, group: np.ndarray, near: np.ndarray, sigma: Fraction, ddof: int, highest: float
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
        return deviation > sigma.numerator**2 * n * (n * squares - total * total)

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


def outlier_probability(n: np.ndarray, sigma: Fraction, ddof: int) -> np.ndarray:
    """Chance that one of n independent Gaussian ratings is flagged, for every n: [...] int -> [...] float64.

    The squared deviation of one of n normal draws from their mean, as a share of their sum of squares SS, is
    (n - 1)/n times a Beta(1/2, (n - 2)/2) variable (W. R. Thompson, Annals of Mathematical Statistics 6, 1935).
    Flagged means that share > sigma^2 / (n - ddof).  Hence 3.24 % at n = 15, and 0 up to n = 5 for 2 sigma, ddof 1.
    """
    sizes = np.flatnonzero(np.bincount(n))
    chances = np.zeros(sizes.max(initial=-1) + 1)
    chances[sizes] = _outlier_probability(sizes.astype(np.float64), sigma, ddof)
    return chances[n]


def _outlier_probability(n: np.ndarray, sigma: Fraction, ddof: int) -> np.ndarray:
    from scipy.special import betainc

    reach = float(sigma**2) * n / np.maximum((n - ddof) * (n - 1), 1e-300)
    chance = 1 - betainc(0.5, np.maximum((n - 2) / 2, 1e-300), np.minimum(reach, 1))
    # Two ratings always lie on opposite sides of their mean at the same distance.
    return np.where(n < 2, 0.0, np.where(n == 2, (reach < 1).astype(float), chance))


def expected_shares(rater: np.ndarray, n: np.ndarray, group: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """[raters] mean probability that a rating of the rater is flagged; NaN without ratings.

    rater, group: [N] who rated and what; n: [raters] ratings of each; chance: [groups] see `outlier_probability`.
    """
    if len(chance) and chance.min() == chance.max():  # as where everyone rated everything
        return np.where(n > 0, chance[0], np.nan)
    total = np.zeros(len(n))
    for rows in blocks(len(rater)):
        add_by(rater[rows], total, chance[group[rows].astype(np.intp, copy=False)])
    return total / np.where(n > 0, n, np.nan)


def expected_exclusions(n: np.ndarray, chance: np.ndarray, max_share: Fraction) -> float:
    """How many raters `exclude_raters` would be expected to exclude, were they all alike and Gaussian.

    n: [raters] ratings of each; chance: [raters] mean probability that one of them is flagged, NaN without ratings.
    The sum of P(Binomial(n, chance) > max_share n).  An approximation: a rater's ratings of one item in several
    dimensions are taken as independent, and the ratings of items with few and many raters as equally likely flagged.
    """
    from scipy.special import bdtrc

    allowed = np.array([max_share.numerator * int(count) // max_share.denominator for count in n], np.float64)
    rated = n > 0
    return float(bdtrc(allowed[rated], n[rated], chance[rated]).sum())
