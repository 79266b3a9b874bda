"""What the rules would flag by chance alone, were all raters alike and Gaussian."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mos.moments import add_by, blocks


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
        add_by(rater[rows], total, chance.take(group[rows], mode="clip"))
    return total / np.where(n > 0, n, np.nan)


def expected_exclusions(n: np.ndarray, chance: np.ndarray, max_share: Fraction) -> float:
    """How many raters `shares.beyond` would be expected to exclude, were they all alike and Gaussian.

    n: [raters] ratings of each; chance: [raters] mean probability that one of them is flagged, NaN without ratings.
    The sum of P(Binomial(n, chance) > max_share n).  An approximation: a rater's ratings of one item in several
    dimensions are taken as independent, and the ratings of items with few and many raters as equally likely flagged.
    """
    from scipy.special import bdtrc

    allowed = np.array([max_share.numerator * int(count) // max_share.denominator for count in n], np.float64)
    rated = n > 0
    return float(bdtrc(allowed[rated], n[rated], chance[rated]).sum())
