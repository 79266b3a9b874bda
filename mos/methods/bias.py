"""How far above or below the others each rater scores, and scores without it (ITU-T P.913, 12.4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mos.moments import Moments, moments


class RaterBias(NamedTuple):
    """Each [raters], in the unit of the scores; NaN where undefined.

    n: ratings, int64
    bias: mean of rating minus mean opinion score over the rater's ratings; NaN without ratings
    se: standard error of the bias, from the sample deviation of those differences; NaN below two ratings.  The mean
        opinion scores are taken as known, although the rater had a part in them
    """

    n: np.ndarray
    bias: np.ndarray
    se: np.ndarray

    def interval(self, level: float) -> np.ndarray:
        """[raters] half-width of the interval at confidence `level`, by Student's t with n - 1 degrees of freedom."""
        from scipy.special import stdtrit

        return self.se * stdtrit(np.maximum(self.n - 1, 1), (1 + level) / 2)


def rater_bias(score: np.ndarray, item: np.ndarray, rater: np.ndarray, items: int, raters: int) -> RaterBias:
    """The bias of every rater: the mean of x - MOS over all ratings x of the rater, where MOS is the item's mean.

    score: [N] ratings; item, rater: [N] in 0..items-1 and 0..raters-1, in any order; several ratings of an item by a
    rater all count.  One step, unweighted.  Every step is a mean of one group, so positions in the products of items
    and raters with the dimensions give the biases of all dimensions at once.

    >>> matrix = np.array([[1.0, 3.0], [2.0, 4.0]])  # the second rater gives 2 points more
    >>> rater_bias(matrix.ravel(), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), 2, 2).bias
    array([-1.,  1.])
    """
    own = _differences(score, item, rater, items, raters)
    se = own.sd(1) / np.sqrt(np.maximum(own.n, 1))
    return RaterBias(own.n, own.mean, se)


def remove_bias(score: np.ndarray, rater: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """[N] scores less the bias of their rater.  score, rater: [N]; bias: [raters]."""
    return score - bias[rater]


def _differences(score: np.ndarray, item: np.ndarray, rater: np.ndarray, items: int, raters: int) -> Moments:
    """Of every rater, moments of the ratings less their item's mean."""
    return moments(score - moments(score, item, items).mean[item], rater, raters)
