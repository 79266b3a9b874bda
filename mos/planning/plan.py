"""Number of raters for a width of the interval or a reliability, and what a number of raters gives.

Reliability: C. Spearman and W. Brown, both in the British Journal of Psychology 3, 1910.  The reliability of a
single rating is an intraclass correlation: of consistency where the same raters rate all items, of absolute agreement
where other raters rate each item, because the biases of the raters then remain in the differences between items.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction

from mos.errors import UserError, require_count, require_number

MAX_RATERS = 100_000
"""Largest number of raters that is considered."""


def require_positive(name: str, value: float) -> None:
    require_number(name, value)
    if not 0 < value < math.inf:
        raise UserError(f"{name} must be a positive number; got {value}.")


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Raise `UserError` unless low < value < high."""
    require_number(name, value)
    if not low < value < high:
        raise UserError(f"{name} must be more than {low:g} and less than {high:g}; got {value}.")


def find_fewest_raters(enough: Callable[[int], bool], least: int, target: str) -> int:
    """Find the smallest number of raters in least..`MAX_RATERS` for which `enough` is true; it must stay true above it.

    target: what the raters must be enough for, as the subject of a sentence.  Raises UserError if no number is enough.
    """
    below, above = least - 1, least
    while not enough(above):
        if above == MAX_RATERS:
            raise unreachable_target_error(target)
        below, above = above, min(2 * above, MAX_RATERS)
    between = range(below + 1, above)
    return below + 1 + bisect_left(between, True, key=enough)


def unreachable_target_error(target: str) -> UserError:
    return UserError(f"{target} is out of reach: {MAX_RATERS:,} raters are not enough; expected a lesser target.")


def compute_half_width(sd: float, raters: int, level: float = 0.95, assurance: float | None = None) -> float:
    """Half-width of the confidence interval of an item's mean, with one rating by each rater.

    Parameters
    ----------
    sd
        Standard deviation of the ratings of one item, positive.
    raters
        Number of raters, 2 or more.
    level
        Confidence level, between 0 and 1.
    assurance
        Probability, between 0.5 and 1, with which a study does not exceed the half-width. None gives the half-width for
        the true standard deviation; a study estimates its own, so its half-widths vary around this value.

    Returns
    -------
    float
        Half-width in the unit of `sd`: t with raters - 1 degrees of freedom, times sd / sqrt(raters).

    Raises
    ------
    UserError
        If a parameter is out of range.

    Notes
    -----
    With an assurance, the ratings are taken as Gaussian: the sample variance is sd^2 times chi-square / (raters - 1)
    (Kupper and Hafner, The American Statistician 43, 1989).

    Examples
    --------
    >>> round(compute_half_width(0.8, 15), 3), round(compute_half_width(0.8, 15, assurance=0.9), 3)
    (0.443, 0.543)
    """
    require_positive("sd", sd)
    require_count("raters", raters, 2)
    require_between("level", level, 0, 1)
    if assurance is not None:
        require_between("assurance", assurance, 0.5, 1)
    from scipy.special import chdtri, stdtrit

    freedom = raters - 1
    spread = sd if assurance is None else sd * math.sqrt(chdtri(freedom, 1 - assurance) / freedom)
    return float(stdtrit(freedom, (1 + level) / 2)) * spread / math.sqrt(raters)


def raters_for_half_width(sd: float, target: float, level: float = 0.95, assurance: float | None = None) -> int:
    """Smallest number of raters of an item whose `compute_half_width` is at most `target`.

    Parameters
    ----------
    sd
        Standard deviation of the ratings of one item, positive.
    target
        Largest half-width, in the unit of `sd`, positive.
    level, assurance
        See `compute_half_width`.

    Returns
    -------
    int

    Raises
    ------
    UserError
        If a parameter is out of range, or if `MAX_RATERS` raters do not reach the target.

    Examples
    --------
    >>> [raters_for_half_width(0.8, target) for target in (0.5, 0.4, 0.3, 0.2)]
    [13, 18, 30, 64]
    """
    require_positive("half-width", target)
    return find_fewest_raters(
        lambda raters: compute_half_width(sd, raters, level, assurance) <= target,
        least=2,
        target=f"A half-width of {target:g} with a standard deviation of {sd:g}",
    )


def compute_reliability(single: float, raters: int) -> float:
    """Reliability of the mean of several ratings, by the Spearman-Brown formula n r / (1 + (n - 1) r).

    Parameters
    ----------
    single
        Reliability r of a single rating, between 0 and 1.
    raters
        Number n of ratings in the mean, 1 or more.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    UserError
        If a parameter is out of range.

    Examples
    --------
    >>> round(compute_reliability(0.57, 15), 2)
    0.95
    """
    require_between("single-rater reliability", single, 0, 1)
    require_count("raters", raters, 1)
    return raters * single / (1 + (raters - 1) * single)


def compute_single_reliability(mean: float, raters: int) -> float:
    """Reliability of a single rating, from that of a mean; the inverse of `compute_reliability`.

    Parameters
    ----------
    mean
        Reliability of the mean of `raters` ratings, between 0 and 1.
    raters
        Number of ratings in the mean, 1 or more.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    UserError
        If a parameter is out of range.

    Examples
    --------
    >>> round(compute_single_reliability(0.952, 15), 2)
    0.57
    """
    require_between("reliability", mean, 0, 1)
    require_count("raters", raters, 1)
    return mean / (raters - (raters - 1) * mean)


def raters_for_reliability(single: float, target: float) -> int:
    """Smallest number of raters whose mean has at least the reliability `target`.

    Parameters
    ----------
    single
        Reliability of a single rating, between 0 and 1.
    target
        Reliability of the mean, between 0 and 1.

    Returns
    -------
    int

    Raises
    ------
    UserError
        If a parameter is out of range, or if `MAX_RATERS` raters do not reach the target.

    Notes
    -----
    Both parameters are taken as exact decimals, so that binary rounding does not add a rater.

    Examples
    --------
    >>> raters_for_reliability(0.57, 0.95), raters_for_reliability(0.5, 0.9)
    (15, 9)
    """
    require_between("single-rater reliability", single, 0, 1)
    require_between("reliability", target, 0, 1)
    exact_single, exact_target = Fraction(str(float(single))), Fraction(str(float(target)))
    raters = math.ceil(exact_target * (1 - exact_single) / (exact_single * (1 - exact_target)))
    if raters > MAX_RATERS:
        raise unreachable_target_error(f"A reliability of {target:g} with a single-rater reliability of {single:g}")
    return raters
