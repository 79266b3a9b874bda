"""Telling two items apart: the power of the t test that compares their mean opinion scores.

After K. Brunnström and M. Barkowsky, "Statistical quality of experience analysis: on planning the sample size and
statistical significance testing", Journal of Electronic Imaging 27(5), 053013, 2018, and VQEG's number-of-subjects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from mos.planning.inputs import demand_between, demand_count, demand_positive
from mos.planning.search import fewest

_FAR = 9.0  # standard deviations: beyond lies less than 1e-18 of a normal distribution
_NODES = 64
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Comparison:
    """A two-sided t test between the mean ratings of two items.

    sd: paired, of the difference between one rater's ratings of two items; else of the ratings of one item
    paired: whether the same raters rate both items, or as many others
    alpha: probability of finding any difference where there is none, in all comparisons together
    comparisons: how many are made; each is tested at alpha / comparisons (Bonferroni)
    """

    sd: float
    paired: bool = True
    alpha: float = 0.05
    comparisons: int = 1

    def __post_init__(self) -> None:
        demand_positive("sd", self.sd)
        demand_between("alpha", self.alpha, 0, 1)
        demand_count("comparisons", self.comparisons, 1)

    @property
    def alpha_each(self) -> float:
        return self.alpha / self.comparisons


def power(comparison: Comparison, difference: float, raters: int) -> float:
    """Probability that the test finds a true `difference` between the means, with `raters` for each item.

    Raises UserError for fewer than two raters or a difference that is not finite.

    >>> round(power(Comparison(sd=1), difference=0.5, raters=34), 3)
    0.808
    """
    demand_count("raters", raters, 2)
    demand_between("difference", difference, -math.inf, math.inf)
    from scipy.special import stdtrit

    freedom = raters - 1 if comparison.paired else 2 * raters - 2
    shift = difference / comparison.sd * math.sqrt(raters if comparison.paired else raters / 2)
    critical = -float(stdtrit(freedom, comparison.alpha_each / 2))
    return min(1.0, _beyond(critical, freedom, shift) + _beyond(critical, freedom, -shift))


def raters_for_power(comparison: Comparison, difference: float, target: float = 0.8) -> int:
    """The fewest raters of each item with which a true `difference` is found with probability `target`.

    Raises UserError for a difference that is not positive, a target that is not between alpha and 1, and where not
    even `search.MOST_RATERS` reach it.

    >>> raters_for_power(Comparison(sd=0.8, comparisons=100), difference=1)
    18
    """
    demand_positive("difference", difference)
    _demand_power(comparison, target)
    return fewest(
        lambda raters: power(comparison, difference, raters) >= target,
        least=2,
        target=f"Finding a difference of {difference:g} with probability {target:g}",
    )


def detectable_difference(comparison: Comparison, raters: int, target: float = 0.8) -> float:
    """The smallest true difference that is found with probability `target`, to 12 digits, in the unit of the sd.

    Raises UserError for fewer than two raters or a target that is not between alpha and 1.

    >>> round(detectable_difference(Comparison(sd=1), raters=34), 3)
    0.495
    """
    _demand_power(comparison, target)
    below, above = 0.0, comparison.sd
    while power(comparison, above, raters) < target:
        below, above = above, 2 * above
    while above - below > _TOLERANCE * above:
        middle = (below + above) / 2
        if power(comparison, middle, raters) < target:
            below = middle
        else:
            above = middle
    return above


def _demand_power(comparison: Comparison, target: float) -> None:
    demand_between("power", target, comparison.alpha_each, 1)


def _beyond(t: float, freedom: int, shift: float) -> float:
    """P((Z + shift) / S > t), t > 0: the upper tail of the noncentral t distribution, to 1e-12.

    Z is standard normal and S^2 is chi-square / freedom: the mean over Z of P(S^2 < ((Z + shift) / t)^2), by
    Gauss-Legendre quadrature in pieces between which the integrand bends.  scipy 1.17, and statsmodels with it, gives
    NaN where the tail on the other side vanishes, as for 15 raters at alpha 0.05 / 100 and a difference of 2.5 sd.
    """
    from scipy.special import gammainc

    bend, width = t - shift, t / math.sqrt(2 * freedom)
    start = max(-_FAR, -shift)
    if start >= _FAR:
        return 0.0
    cuts = np.unique(np.clip([start, bend - 10 * width, bend, bend + 10 * width, _FAR], start, _FAR))
    nodes, weights = _quadrature()
    half = np.diff(cuts)[:, None] / 2
    z = cuts[:-1, None] + half * (nodes + 1)
    density = np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)
    within = gammainc(freedom / 2, freedom / 2 * np.square((z + shift) / t))
    return float((half * weights * density * within).sum())


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(_NODES)
