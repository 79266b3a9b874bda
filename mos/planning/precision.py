"""How exact a mean opinion score is: half the width of its interval."""

from __future__ import annotations

import math

from mos.planning.inputs import demand_between, demand_count, demand_positive
from mos.planning.search import fewest


def half_width(sd: float, raters: int, level: float = 0.95, assurance: float | None = None) -> float:
    """Half-width of the interval at confidence `level` around the mean of one rating by each of `raters`.

    t with n - 1 degrees of freedom times sd / sqrt(n), in the unit of `sd`, that of the ratings of one item.  A study
    finds its own standard deviation: its half-widths lie around this one.  With an `assurance` (between 0.5 and 1) the
    half-width that is not exceeded with that probability, were ratings Gaussian: the sample variance is sd^2 times
    chi-square / (n - 1) (Kupper and Hafner, The American Statistician 43, 1989).
    Raises UserError for fewer than two raters or figures out of range.

    >>> round(half_width(0.8, 15), 3), round(half_width(0.8, 15, assurance=0.9), 3)
    (0.443, 0.543)
    """
    demand_positive("sd", sd)
    demand_count("raters", raters, 2)
    demand_between("level", level, 0, 1)
    if assurance is not None:
        demand_between("assurance", assurance, 0.5, 1)
    from scipy.special import chdtri, stdtrit

    freedom = raters - 1
    spread = sd if assurance is None else sd * math.sqrt(chdtri(freedom, 1 - assurance) / freedom)
    return float(stdtrit(freedom, (1 + level) / 2)) * spread / math.sqrt(raters)


def raters_for_half_width(sd: float, target: float, level: float = 0.95, assurance: float | None = None) -> int:
    """The fewest raters of an item with a `half_width` up to `target`.

    Raises UserError for a target that is not positive or that not even `search.MOST_RATERS` reach.

    >>> [raters_for_half_width(0.8, target) for target in (0.5, 0.4, 0.3, 0.2)]
    [13, 18, 30, 64]
    """
    demand_positive("half-width", target)
    return fewest(
        lambda raters: half_width(sd, raters, level, assurance) <= target,
        least=2,
        target=f"A half-width of {target:g} with a standard deviation of {sd:g}",
    )
