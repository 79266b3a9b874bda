"""Flags and rejections by the kurtosis rule of ITU-R BT.500 among raters who are all alike and Gaussian."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos.methods.bt500_screening import flag_ratings_by_kurtosis

_DRAWS_PER_SIZE = 131_072


_TAIL_DEVIATIONS = 12.0  # standard deviations of a count that are summed over


def flag_probability(n: NDArray[Any], ddof: int) -> NDArray[Any]:
    """Simulate the probability that one of n independent Gaussian ratings counts in P or Q.

    Parameters
    ----------
    n : ndarray of int
    ddof : {0, 1}

    Returns
    -------
    ndarray of float64, of the shape of `n`
        For example 0.040 at n = 15. The kurtosis in the rule leaves no closed form; the error is about 0.001.
    """
    sizes = np.flatnonzero(np.bincount(n.ravel()))
    chances = np.zeros(sizes.max(initial=-1) + 1)
    chances[sizes] = [_simulate_flag_probability(int(size), ddof) for size in sizes]
    values: NDArray[Any] = chances[n]
    return values


@lru_cache(maxsize=1024)
def _simulate_flag_probability(n: int, ddof: int) -> float:
    if n < 2:
        return 0.0
    groups = max(_DRAWS_PER_SIZE // n, 64)
    score = np.random.default_rng(n).standard_normal(groups * n)
    flags = flag_ratings_by_kurtosis(score, np.repeat(np.arange(groups), n), groups, ddof=ddof)
    return float((flags.high | flags.low).mean())


def expected_rejections(
    n: NDArray[Any],
    chance: NDArray[Any],
    max_share: Fraction,
    max_balance: Fraction,
    presentations: NDArray[Any] | None = None,
) -> float:
    """Expected number of rejected raters if all raters are alike and Gaussian.

    Parameters
    ----------
    n : ndarray of int, shape (raters,)
        Ratings of each rater.
    chance : ndarray of float64, shape (raters,)
        Mean probability that a rating of the rater is flagged; NaN without ratings.
    max_share, max_balance : Fraction
        Limits of the rule.
    presentations : ndarray of int, shape (raters,), optional
        Divisor of the flagged ratings; by default `n`.

    Returns
    -------
    float

    Notes
    -----
    The sum over raters of P(share > max_share and balance < max_balance), where the flagged ratings are binomial and
    each is high or low with equal chance: an approximation, as for `mos.methods.paper.expected_false_exclusions`.
    """
    rated = n > 0
    seen = n if presentations is None else presentations
    alike, counts = np.unique(np.stack([n[rated], seen[rated], chance[rated]]), axis=1, return_counts=True)
    return float(
        sum(
            count
            * _rejection_probability(
                int(size), float(share), max_share.numerator * int(shown) // max_share.denominator, max_balance
            )
            for size, shown, share, count in zip(*alike, counts.tolist(), strict=True)
        )
    )


def _rejection_probability(n: int, chance: float, allowed: int, max_balance: Fraction) -> float:
    """Probability that more than `allowed` of n ratings are flagged, and balance."""
    from scipy.special import bdtr, bdtrc

    spread = _TAIL_DEVIATIONS * (n * chance * (1 - chance)) ** 0.5 + 2
    least = max(allowed + 1, int(n * chance - spread), 1)
    most = min(n, int(n * chance + spread))
    if most < least or not 0 < chance < 1:
        return 0.0
    flagged = np.arange(least, most + 1)
    weight = bdtrc(flagged - 1.0, n, chance) - bdtrc(flagged.astype(float), n, chance)
    # |2 P - k| < b k means that P lies strictly between (1 - b) k / 2 and (1 + b) k / 2.
    numerator, denominator = max_balance.numerator, max_balance.denominator
    below = (denominator - numerator) * flagged // (2 * denominator)
    above = -(-(denominator + numerator) * flagged // (2 * denominator)) - 1
    balanced = bdtr(above.astype(float), flagged, 0.5) - bdtr(below.astype(float), flagged, 0.5)
    return float((weight * np.maximum(balanced, 0)).sum())
