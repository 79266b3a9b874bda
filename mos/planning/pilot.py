"""What a plan needs to know, estimated from the ratings of a pilot study or of an earlier one."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np

from mos.connectivity import components, first_ratings
from mos.errors import UserError
from mos.moments import largest, moments
from mos.ratings import Ratings

_ROUNDING = 1e-12  # a residual below this share of the largest score is none


@dataclass(frozen=True, slots=True)
class Pilot:
    """Standard deviations, in the unit of the ratings, and reliabilities of a single rating in one dimension.

    items, raters: that have ratings
    ratings: that count: of a rater's repeated ratings of an item the first, as in a study without repetitions
    repeated: the others
    sd: of the ratings of one item, the raters' biases included: for intervals, and comparisons by different raters
    sd_residual: of the ratings less the means of their item and of their rater
    sd_difference: of the difference between one rater's ratings of two items: for comparisons by the same raters
    consistency: intraclass correlation ICC(C,1), for studies where the same raters rate every item; it may be negative
    agreement: ICC(A,1), for studies where every item has other raters; both NaN where items do not differ at all
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


def from_ratings(ratings: Ratings, dimension: str) -> Pilot:
    """Moment estimates in one dimension, complete or not.

    Three mean squares of the ratings x = item + rater + residual, all unbiased for their expectation: W within items
    (rater and residual variance), V within raters (item and residual variance), and E, what least squares on items
    and raters leaves (residual variance).  Hence sd^2 = W, sd_difference^2 = 2 E, ICC(C,1) = (V - E) / V and
    ICC(A,1) = (V - E) / (V + W - E); in a complete design these are the ones of McGraw and Wong (Psychological
    Methods 1, 1996).
    Raises UserError for an unknown dimension, or too few ratings for a residual.
    """
    position = _position(ratings, dimension)
    inside = ratings.dimension == position
    once = ratings.select(inside & first_ratings(ratings))
    items, item = np.unique(once.item, return_inverse=True)
    raters, rater = np.unique(once.rater, return_inverse=True)
    total = len(once)
    freedom = total - len(items) - len(raters) + _parts(once, position)
    if freedom < 1:
        raise UserError(
            f"To plan from ratings, two raters or more must have rated the same two items or more in {dimension}; "
            f"got {total} ratings of {len(items)} items by {len(raters)} raters that never overlap so."
        )
    within_items = moments(once.score, item, len(items)).ss.sum() / (total - len(items))
    within_raters = moments(once.score, rater, len(raters)).ss.sum() / (total - len(raters))
    residual = _residual_ss(once.score, item, rater) / freedom
    return Pilot(
        dimension=dimension,
        items=len(items),
        raters=len(raters),
        ratings=total,
        repeated=int(inside.sum()) - total,
        sd=math.sqrt(within_items),
        sd_residual=math.sqrt(residual),
        sd_difference=math.sqrt(2 * residual),
        consistency=_share(within_raters - residual, within_raters),
        agreement=_share(within_raters - residual, within_raters + within_items - residual),
    )


def _position(ratings: Ratings, dimension: str) -> int:
    known = ratings.dimensions.to_pylist()
    if dimension not in known:
        close = difflib.get_close_matches(dimension, known, n=1)
        meant = f"Did you mean '{close[0]}'? " if close else ""
        raise UserError(f"Unknown dimension '{dimension}'. {meant}Expected one of {', '.join(known)}.")
    return known.index(dimension)


def _parts(once: Ratings, position: int) -> int:
    used = np.zeros((len(once.raters), len(once.dimensions)), bool)
    used[once.rater, position] = True
    return list(components(once, np.ones(len(once), bool), used).values())[position]


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan


def _residual_ss(score: np.ndarray, item: np.ndarray, rater: np.ndarray) -> float:
    """Sum of squares that least squares with a mean for each item and each rater leaves of `score` [N].

    item, rater: [N] in 0..items-1 and 0..raters-1, each of which occurs.  The items are eliminated, and the equations
    for the raters solved by conjugate gradients, of which each step is linear in N; that they are singular (only
    differences between raters of a part count) does no harm.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    raters = int(rater.max()) + 1
    rated = np.bincount(item)

    def centred(values: np.ndarray) -> np.ndarray:
        return values - (np.bincount(item, values) / rated)[item]

    def equations(bias: np.ndarray) -> np.ndarray:
        return np.bincount(rater, centred(bias.ravel()[rater]))

    left = centred(score)
    rounding = _ROUNDING * largest(score)
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
