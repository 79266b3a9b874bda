"""What the rule of BT.500 would do to raters who are all alike and Gaussian."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np

from mos.screening.bt500 import flag_ratings

_DRAWS = 131_072
_TAILS = 12.0  # standard deviations of a count that are looked at


def flag_probability(n: np.ndarray, ddof: int) -> np.ndarray:
    """Chance that one of n independent Gaussian ratings counts to P or Q, for every n: [...] int -> [...] float64.

    Simulated, the kurtosis in the rule leaving no closed form: 4.0 % at n = 15, to about 0.1 % of the ratings.
    """
    sizes = np.flatnonzero(np.bincount(n.ravel()))
    chances = np.zeros(sizes.max(initial=-1) + 1)
    chances[sizes] = [_flag_probability(int(size), ddof) for size in sizes]
    return chances[n]


@lru_cache(maxsize=1024)
def _flag_probability(n: int, ddof: int) -> float:
    if n < 2:
        return 0.0
    groups = max(_DRAWS // n, 64)
    score = np.random.default_rng(n).standard_normal(groups * n)
    flags = flag_ratings(score, np.repeat(np.arange(groups), n), groups, ddof=ddof)
    return float((flags.high | flags.low).mean())


def expected_rejections(
    n: np.ndarray,
    chance: np.ndarray,
    max_share: Fraction,
    max_balance: Fraction,
    presentations: np.ndarray | None = None,
) -> float:
    """How many raters would be expected to be rejected, were all alike and Gaussian.

    n: [raters] ratings of each; chance: [raters] mean probability that one of them is flagged, NaN without ratings
    presentations: [raters] what the flagged ratings are a share of; the rater's own ratings if None
    The sum over raters of P(share > max_share and balance < max_balance), where the flagged ratings are binomial and
    each is high or low with equal chance: an approximation, as for `mos.screening.chance.expected_exclusions`.
    """
    rated = n > 0
    seen = n if presentations is None else presentations
    alike, counts = np.unique(np.stack([n[rated], seen[rated], chance[rated]]), axis=1, return_counts=True)
    return float(
        sum(
            count
            * _rejection(
                int(size), float(share), max_share.numerator * int(shown) // max_share.denominator, max_balance
            )
            for size, shown, share, count in zip(*alike, counts.tolist(), strict=True)
        )
    )


def _rejection(n: int, chance: float, allowed: int, max_balance: Fraction) -> float:
    """Probability that more than `allowed` of n ratings are flagged, and balance."""
    from scipy.special import bdtr, bdtrc

    spread = _TAILS * (n * chance * (1 - chance)) ** 0.5 + 2
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
