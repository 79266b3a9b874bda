"""The figures that a plan needs, estimated from the ratings of a pilot study or of an earlier study."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments, largest_magnitude
from mos.connectivity import count_rater_parts, mask_first_ratings
from mos.errors import UserError
from mos.ratings import Ratings
from mos.words import did_you_mean

_RESIDUAL_ROUNDING = 1e-12  # a residual below this share of the largest score is none


@dataclass(frozen=True, slots=True)
class PilotEstimate:
    """Spread and reliability of the ratings of a pilot study in one dimension.

    Attributes
    ----------
    dimension
        Name of the dimension.
    items, raters
        Numbers of items and raters that have ratings.
    ratings
        Number of ratings used. Of a rater's repeated ratings of an item only the first is used, as in a study without
        repetitions.
    repeated
        Number of repeated ratings, which are not used.
    sd
        Standard deviation of the ratings of one item, in the unit of the ratings. It includes the biases of the raters.
        It is used for intervals, and for comparisons of items that different raters rate.
    sd_residual
        Standard deviation of the ratings minus the means of their item and of their rater, in the unit of the ratings.
    sd_difference
        Standard deviation of the difference between one rater's ratings of two items, in the unit of the ratings. It is
        used for comparisons of items that the same raters rate.
    consistency
        Reliability of a single rating where the same raters rate all items: the intraclass correlation ICC(C,1). It can
        be negative; NaN where the items do not differ.
    agreement
        Reliability of a single rating where other raters rate each item: ICC(A,1); NaN where the items do not differ.
    """

    dimension: str
    items: int
    raters: int
    ratings: int
    repeated: int
    sd: float
    sd_residual: float
    sd_difference: float
    consistency: float
    agreement: float


def estimate_pilot(ratings: Ratings, dimension: str) -> PilotEstimate:
    """Estimate spread and reliability in one dimension; the design may be incomplete.

    Parameters
    ----------
    ratings
        The ratings of the pilot study.
    dimension
        Name of the dimension.

    Returns
    -------
    PilotEstimate

    Raises
    ------
    UserError
        For an unknown dimension, or for too few ratings to estimate the residual.

    Notes
    -----
    The model is rating = item + rater + residual. Three mean squares are unbiased estimates of their expectation: W
    within items (rater and residual variance), V within raters (item and residual variance), and E, the residual of the
    least-squares fit of items and raters (residual variance). Hence sd^2 = W, sd_difference^2 = 2 E,
    ICC(C,1) = (V - E) / V and ICC(A,1) = (V - E) / (V + W - E). In a complete design these are the estimates of McGraw
    and Wong (Psychological Methods 1, 1996).
    """
    position = _dimension_position(ratings, dimension)
    inside = ratings.dimension == position
    once = ratings.select(inside & mask_first_ratings(ratings))
    items, item = np.unique(once.item, return_inverse=True)
    raters, rater = np.unique(once.rater, return_inverse=True)
    total = len(once)
    freedom = total - len(items) - len(raters) + _count_pilot_parts(once, position)
    if freedom < 1:
        raise UserError(
            f"To plan from ratings, two raters or more must have rated the same two items or more in {dimension}; "
            f"got {total} ratings of {len(items)} items by {len(raters)} raters that never overlap so."
        )
    within_items = group_moments(once.score, item, len(items)).ss.sum() / (total - len(items))
    within_raters = group_moments(once.score, rater, len(raters)).ss.sum() / (total - len(raters))
    residual = _residual_sum_of_squares(once.score, item, rater) / freedom
    return PilotEstimate(
        dimension=dimension,
        items=len(items),
        raters=len(raters),
        ratings=total,
        repeated=int(inside.sum()) - total,
        sd=math.sqrt(within_items),
        sd_residual=math.sqrt(residual),
        sd_difference=math.sqrt(2 * residual),
        consistency=_variance_share(within_raters - residual, within_raters),
        agreement=_variance_share(within_raters - residual, within_raters + within_items - residual),
    )


def _dimension_position(ratings: Ratings, dimension: str) -> int:
    known: list[str] = ratings.dimensions.to_pylist()
    if dimension not in known:
        hint = did_you_mean(dimension, known)
        raise UserError(f"Unknown dimension '{dimension}'.{hint} Expected one of {', '.join(known)}.")
    return known.index(dimension)


def _count_pilot_parts(once: Ratings, position: int) -> int:
    used = np.zeros((len(once.raters), len(once.dimensions)), bool)
    used[once.rater, position] = True
    return list(count_rater_parts(once, np.ones(len(once), bool), used).values())[position]


def _variance_share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan


def _residual_sum_of_squares(score: NDArray[Any], item: NDArray[Any], rater: NDArray[Any]) -> float:
    """Sum of squares that remains of `score` [N] after the least-squares fit of a mean for each item and each rater.

    item, rater: [N] in 0..items-1 and 0..raters-1; each value occurs.  The items are eliminated, and the equations for
    the raters are solved by conjugate gradients, where each step is linear in N.  The equations are singular, as only
    differences between the raters of a part count; this does not affect the residual.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    raters = int(rater.max()) + 1
    rated = np.bincount(item)

    def centred(values: NDArray[Any]) -> NDArray[Any]:
        apart: NDArray[Any] = values - (np.bincount(item, values) / rated)[item]
        return apart

    def equations(bias: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(rater, centred(bias.ravel()[rater]))

    left = centred(score)
    rounding = _RESIDUAL_ROUNDING * largest_magnitude(score)
    scale = 1 / np.bincount(rater)
    bias, _ = cg(
        LinearOperator((raters, raters), matvec=equations, dtype=np.float64),
        np.bincount(rater, left),
        rtol=1e-10,
        atol=rounding * math.sqrt(len(score)),
        M=LinearOperator((raters, raters), matvec=lambda values: scale * values.ravel(), dtype=np.float64),
    )
    residual = left - centred(bias[rater])
    residual[np.abs(residual) < rounding] = 0.0
    return float(residual @ residual)
