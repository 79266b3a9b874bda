"""The SOS parameter: how diverse opinions are, apart from what the scale's ends force on them.

T. Hossfeld, R. Schatz, S. Egger, SOS: the MOS is not enough!, QoMEX 2011:  SD^2 = a (-MOS^2 + (L + H) MOS - L H)  on a
scale from L to H.  The bracket, (H - MOS)(MOS - L), is the largest variance that ratings of this mean can have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mos.agreement.coefficient import Coefficient, coefficient, middle
from mos.agreement.resampling import INTERVAL, Resampling
from mos.moments import moments

TOO_FEW = "no item has two ratings"
NO_SCALE = "the scale has no length"
AT_ENDS = "every item's mean is at an end of the scale, where opinions cannot differ"


@dataclass(frozen=True, slots=True, eq=False)
class Sos:
    """a, and the points [I] behind it for a plot: mean and standard deviation of every item with two ratings or more.

    item: [I] code of the item; scale: L and H
    """

    a: Coefficient
    item: np.ndarray
    mos: np.ndarray
    sd: np.ndarray
    scale: tuple[float, float]


def sos(
    item: np.ndarray, rater: np.ndarray, score: np.ndarray, scale: tuple[float, float], resampling: Resampling
) -> Sos:
    """Least squares over the items with two ratings or more; item, rater: [N] codes, score: [N].

    The variance of an item is the sample variance (divisor n - 1), which is right on average for any n; all ratings
    count, also several of one rater.
    """
    by_item = moments(score, item, int(item.max(initial=-1)) + 1)
    rated = np.flatnonzero(by_item.n >= 2)
    mean, variance = by_item.mean[rated], by_item.ss[rated] / (by_item.n[rated] - 1)
    counted = (by_item.n >= 2)[item]
    size = (len(rated), len(np.unique(rater[counted])), int(counted.sum()))
    low, high = scale
    most = (high - mean) * (mean - low)
    sums = np.stack([variance * most, most**2], axis=1)
    value, ci, reason = math.nan, None, None
    if not len(rated):
        reason = TOO_FEW
    elif not high > low:
        reason = NO_SCALE
    elif sums[:, 1].max() <= 0:
        reason = AT_ENDS
    else:
        value = float(_ratio(sums.sum(axis=0)))
        if len(rated) == 1:
            reason = "one item only: no interval"
        else:
            ci = middle(_ratio(resampling.totals(sums)), resampling.level)
    return Sos(coefficient(value, ci, INTERVAL, size, reason), rated, mean, np.sqrt(variance), scale)


def curve(mos: np.ndarray, a: float, scale: tuple[float, float]) -> np.ndarray:
    """[...] standard deviation that the parameter a gives an item of mean `mos` [...] within the scale."""
    return np.sqrt(a * np.maximum((scale[1] - mos) * (mos - scale[0]), 0))


def _ratio(sums: np.ndarray) -> np.ndarray:
    """[...] a from [..., 2] sums; NaN where all means are at an end of the scale."""
    inside = sums[..., 1] > 0
    return np.where(inside, sums[..., 0] / np.where(inside, sums[..., 1], 1), np.nan)
