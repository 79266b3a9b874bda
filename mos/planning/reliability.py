"""Reliability of a mean of ratings, from that of a single rating (C. Spearman and W. Brown, both in the British
Journal of Psychology 3, 1910).

The reliability of a single rating is an intraclass correlation: of consistency where the same raters rate every item,
of absolute agreement where every item has other raters, whose biases then stay in the differences between items.
"""

from __future__ import annotations

import math
from fractions import Fraction

from mos.planning.inputs import demand_between, demand_count
from mos.planning.search import MOST_RATERS, out_of_reach


def reliability(single: float, raters: int) -> float:
    """Of the mean of `raters` ratings, each of reliability `single`: n r / (1 + (n - 1) r).

    Raises UserError for a single reliability that is not between 0 and 1, or no rater.

    >>> round(reliability(0.57, 15), 2)
    0.95
    """
    demand_between("single-rater reliability", single, 0, 1)
    demand_count("raters", raters, 1)
    return raters * single / (1 + (raters - 1) * single)


def single_rater_reliability(mean: float, raters: int) -> float:
    """Of a single rating, where the mean of `raters` has the reliability `mean`; the inverse of `reliability`.

    >>> round(single_rater_reliability(0.952, 15), 2)
    0.57
    """
    demand_between("reliability", mean, 0, 1)
    demand_count("raters", raters, 1)
    return mean / (raters - (raters - 1) * mean)


def raters_for_reliability(single: float, target: float) -> int:
    """The fewest raters whose mean has at least the reliability `target`; both count as the decimals written.

    Raises UserError for reliabilities not between 0 and 1, and where not even `search.MOST_RATERS` reach the target.

    >>> raters_for_reliability(0.57, 0.95), raters_for_reliability(0.5, 0.9)
    (15, 9)
    """
    demand_between("single-rater reliability", single, 0, 1)
    demand_between("reliability", target, 0, 1)
    one, all_together = Fraction(str(float(single))), Fraction(str(float(target)))
    raters = math.ceil(all_together * (1 - one) / (one * (1 - all_together)))
    if raters > MOST_RATERS:
        raise out_of_reach(f"A reliability of {target:g} with a single-rater reliability of {single:g}")
    return raters
