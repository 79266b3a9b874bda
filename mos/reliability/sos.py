"""The SOS parameter: diversity of opinions, corrected for the limit that the ends of the scale set.

T. Hossfeld, R. Schatz, S. Egger, SOS: the MOS is not enough!, QoMEX 2011:  SD^2 = a (-MOS^2 + (L + H) MOS - L H)  on a
scale from L to H.  The bracket, (H - MOS)(MOS - L), is the largest variance that ratings with this mean can have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments
from mos.reliability.coefficient import (
    BOOTSTRAP_INTERVAL,
    Coefficient,
    ItemBootstrap,
    central_interval,
    make_coefficient,
)

NO_ITEM_RATED_TWICE = "no item has two ratings"
NO_SCALE_LENGTH = "the scale has no length"
MEANS_AT_ENDS = "every item's mean is at an end of the scale, where opinions cannot differ"


@dataclass(frozen=True, slots=True, eq=False)
class SosFit:
    """The fitted SOS parameter and the points [I] behind it: each item with two ratings or more.

    Attributes
    ----------
    a
        The SOS parameter.
    item
        [I] int, code of the item.
    mos, sd
        [I] float, mean and standard deviation of the item's ratings, in the unit of the scale.
    scale
        Lowest and highest score, L and H.
    """

    a: Coefficient
    item: NDArray[Any]
    mos: NDArray[Any]
    sd: NDArray[Any]
    scale: tuple[float, float]


def fit_sos(
    item: NDArray[Any], rater: NDArray[Any], score: NDArray[Any], scale: tuple[float, float], resampling: ItemBootstrap
) -> SosFit:
    """Least squares over the items with two ratings or more; item, rater: [N] codes, score: [N].

    The variance of an item is the sample variance (divisor n - 1), which is unbiased for any n. All ratings count, also
    repeated ratings by one rater.
    """
    by_item = group_moments(score, item, int(item.max(initial=-1)) + 1)
    rated = np.flatnonzero(by_item.n >= 2)
    mean, variance = by_item.mean[rated], by_item.ss[rated] / (by_item.n[rated] - 1)
    counted = (by_item.n >= 2)[item]
    size = (len(rated), len(np.unique(rater[counted])), int(counted.sum()))
    low, high = scale
    most = (high - mean) * (mean - low)
    sums = np.stack([variance * most, most**2], axis=1)
    value, ci, reason = math.nan, None, None
    if not len(rated):
        reason = NO_ITEM_RATED_TWICE
    elif not high > low:
        reason = NO_SCALE_LENGTH
    elif sums[:, 1].max() <= 0:
        reason = MEANS_AT_ENDS
    else:
        value = float(_sos_ratio(sums.sum(axis=0)))
        if len(rated) == 1:
            reason = "one item only: no interval"
        else:
            ci = central_interval(_sos_ratio(resampling.totals(sums)), resampling.level)
    return SosFit(make_coefficient(value, ci, BOOTSTRAP_INTERVAL, size, reason), rated, mean, np.sqrt(variance), scale)


def sos_curve(mos: NDArray[Any], a: float, scale: tuple[float, float]) -> NDArray[Any]:
    """[...] standard deviation of an item with mean `mos` [...] under the parameter a."""
    return np.sqrt(a * np.maximum((scale[1] - mos) * (mos - scale[0]), 0))


def _sos_ratio(sums: NDArray[Any]) -> NDArray[Any]:
    """[...] a from [..., 2] sums; NaN where all means are at an end of the scale."""
    inside = sums[..., 1] > 0
    return np.where(inside, sums[..., 0] / np.where(inside, sums[..., 1], 1), np.nan)
