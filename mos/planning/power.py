"""Power of the t test that compares the mean opinion scores of two items.

After K. Brunnström and M. Barkowsky, "Statistical quality of experience analysis: on planning the sample size and
statistical significance testing", Journal of Electronic Imaging 27(5), 053013, 2018, and VQEG's number-of-subjects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos.errors import require_count
from mos.planning.plan import find_fewest_raters, require_between, require_positive

_NORMAL_LIMIT = 9.0  # standard deviations: beyond lies less than 1e-18 of a normal distribution
_QUADRATURE_NODES = 64
_SEARCH_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class ItemComparison:
    """A two-sided t test between the mean ratings of two items.

    Attributes
    ----------
    sd
        Standard deviation, positive: where paired, of the difference between one rater's ratings of the two items;
        otherwise of the ratings of one item.
    paired
        Whether the same raters rate both items; otherwise each item has as many raters of its own.
    alpha
        Probability of finding any difference where there is none, over all comparisons together; between 0 and 1.
    comparisons
        Number of comparisons; each is tested at alpha / comparisons (Bonferroni).
    """

    sd: float
    paired: bool = True
    alpha: float = 0.05
    comparisons: int = 1

    def __post_init__(self) -> None:
        require_positive("sd", self.sd)
        require_between("alpha", self.alpha, 0, 1)
        require_count("comparisons", self.comparisons, 1)

    @property
    def alpha_each(self) -> float:
        return self.alpha / self.comparisons


def compute_power(comparison: ItemComparison, difference: float, raters: int) -> float:
    """Probability that the test finds a true difference between the means of two items.

    Parameters
    ----------
    comparison
        The test.
    difference
        The true difference, in the unit of `comparison.sd`.
    raters
        Number of raters of each item, 2 or more.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    UserError
        For fewer than two raters, or for a difference that is not finite.

    Examples
    --------
    >>> round(compute_power(ItemComparison(sd=1), difference=0.5, raters=34), 3)
    0.808
    """
    require_count("raters", raters, 2)
    require_between("difference", difference, -math.inf, math.inf)
    from scipy.special import stdtrit

    freedom = raters - 1 if comparison.paired else 2 * raters - 2
    shift = difference / comparison.sd * math.sqrt(raters if comparison.paired else raters / 2)
    critical = -float(stdtrit(freedom, comparison.alpha_each / 2))
    return min(1.0, _noncentral_t_tail(critical, freedom, shift) + _noncentral_t_tail(critical, freedom, -shift))


def raters_for_power(comparison: ItemComparison, difference: float, target: float = 0.8) -> int:
    """Smallest number of raters of each item with which the test finds a true difference with probability `target`.

    Parameters
    ----------
    comparison
        The test.
    difference
        The true difference, in the unit of `comparison.sd`.
    target
        Power, between `comparison.alpha_each` and 1.

    Returns
    -------
    int

    Raises
    ------
    UserError
        If a parameter is out of range, or if `MAX_RATERS` raters do not reach the target.

    Examples
    --------
    >>> raters_for_power(ItemComparison(sd=0.8, comparisons=100), difference=1)
    18
    """
    require_positive("difference", difference)
    _require_power(comparison, target)
    return find_fewest_raters(
        lambda raters: compute_power(comparison, difference, raters) >= target,
        least=2,
        target=f"Finding a difference of {difference:g} with probability {target:g}",
    )


def find_detectable_difference(comparison: ItemComparison, raters: int, target: float = 0.8) -> float:
    """Smallest true difference that the test finds with probability `target`.

    Parameters
    ----------
    comparison
        The test.
    raters
        Number of raters of each item, 2 or more.
    target
        Power, between `comparison.alpha_each` and 1.

    Returns
    -------
    float
        To 12 digits, in the unit of `comparison.sd`.

    Raises
    ------
    UserError
        If a parameter is out of range.

    Examples
    --------
    >>> round(find_detectable_difference(ItemComparison(sd=1), raters=34), 3)
    0.495
    """
    _require_power(comparison, target)
    below, above = 0.0, comparison.sd
    while compute_power(comparison, above, raters) < target:
        below, above = above, 2 * above
    while above - below > _SEARCH_TOLERANCE * above:
        middle = (below + above) / 2
        if compute_power(comparison, middle, raters) < target:
            below = middle
        else:
            above = middle
    return above


def _require_power(comparison: ItemComparison, target: float) -> None:
    require_between("power", target, comparison.alpha_each, 1)


def _noncentral_t_tail(t: float, freedom: int, shift: float) -> float:
    """P((Z + shift) / S > t), t > 0: the upper tail of the noncentral t distribution, to 1e-12.

    Z is standard normal and S^2 is chi-square / freedom: the mean over Z of P(S^2 < ((Z + shift) / t)^2), by
    Gauss-Legendre quadrature in pieces that end where the integrand bends.  scipy 1.17 and statsmodels give NaN where
    the opposite tail vanishes, for example with 15 raters at alpha 0.05 / 100 and a difference of 2.5 sd.
    """
    from scipy.special import gammainc

    bend, width = t - shift, t / math.sqrt(2 * freedom)
    start = max(-_NORMAL_LIMIT, -shift)
    if start >= _NORMAL_LIMIT:
        return 0.0
    cuts = np.unique(np.clip([start, bend - 10 * width, bend, bend + 10 * width, _NORMAL_LIMIT], start, _NORMAL_LIMIT))
    nodes, weights = _quadrature_rule()
    half = np.diff(cuts)[:, None] / 2
    z = cuts[:-1, None] + half * (nodes + 1)
    density = np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)
    within = gammainc(freedom / 2, freedom / 2 * np.square((z + shift) / t))
    return float((half * weights * density * within).sum())


@cache
def _quadrature_rule() -> tuple[NDArray[Any], NDArray[Any]]:
    return np.polynomial.legendre.leggauss(_QUADRATURE_NODES)
