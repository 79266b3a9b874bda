"""The estimate that every scoring method returns, before it is put into tables.

Status of every rating and rater, means of every item and dimension, flags against raters, and what chance alone
would flag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mos._kernels import Moments, add_by_group, row_blocks
from mos.ratings import Ratings


def expected_flag_shares(
    rater: NDArray[Any], n: NDArray[Any], group: NDArray[Any], chance: NDArray[Any]
) -> NDArray[Any]:
    """Mean probability that a rating of a rater is flagged.

    Parameters
    ----------
    rater, group : ndarray of int, shape (N,)
        Rater and group of each rating.
    n : ndarray of int, shape (raters,)
        Ratings of each rater.
    chance : ndarray of float64, shape (groups,)
        Probability that a rating of the group is flagged.

    Returns
    -------
    ndarray of float64, shape (raters,)
        NaN for a rater without ratings.
    """
    if len(chance) and chance.min() == chance.max():  # as in a complete design
        return np.where(n > 0, chance[0], np.nan)
    total = np.zeros(len(n))
    for rows in row_blocks(len(rater)):
        add_by_group(rater[rows], total, chance.take(group[rows], mode="clip"))
    values: NDArray[Any] = total / np.where(n > 0, n, np.nan)
    return values


class ScoreMeans(NamedTuple):
    """Scores of every group, each of shape (groups,); NaN where undefined.

    Attributes
    ----------
    n : ndarray of int64
        Ratings in the mean.
    mos, sd, se : ndarray of float64
        Mean opinion score, standard deviation of these ratings, and standard error of the score.
    """

    n: NDArray[Any]
    mos: NDArray[Any]
    sd: NDArray[Any]
    se: NDArray[Any]


# Status of a rating; `ScoringResult.status` holds positions in this tuple.
RATING_STATUSES = ("kept", "outlier", "rater_excluded", "rater_constant", "rater_too_few")


RATING_KEPT, RATING_OUTLIER, RATER_EXCLUDED, RATER_CONSTANT, RATER_TOO_FEW = range(len(RATING_STATUSES))


class RatingStatus(NamedTuple):
    """Status of all ratings, in a compact form.

    Attributes
    ----------
    rater : ndarray of uint8, shape (raters * dimensions,)
        Position in `RATING_STATUSES`, for all ratings of a rater in a dimension that are not in `removed`.
    removed : ndarray of int64
        Ascending rows of the ratings that are removed as outliers.
    rating_count, retained : ndarray of int64, shape (raters * dimensions,)
        Ratings before and after the outliers are removed.
    """

    rater: NDArray[Any]
    removed: NDArray[Any]
    rating_count: NDArray[Any]
    retained: NDArray[Any]


class RaterFlags(NamedTuple):
    """Ratings that a rule counts against their raters.

    Attributes
    ----------
    n, flagged : ndarray of int64, shape (raters,)
        Ratings of each rater, and how many of them are flagged.
    row : ndarray of int64
        Ascending rows of the flagged ratings.
    """

    n: NDArray[Any]
    flagged: NDArray[Any]
    row: NDArray[Any]


class ChanceModel(NamedTuple):
    """Expected result of a rule if all raters are alike and Gaussian.

    Attributes
    ----------
    chance : ndarray of float64, shape (items * dimensions,)
        Probability that a rating is flagged.
    share : ndarray of float64, shape (raters,)
        Mean of `chance` over the rater's ratings; NaN without ratings.
    exclusions : float
        Number of excluded raters, or of excluded combinations of rater and dimension where dimensions are screened
        separately; NaN where it is not known.
    """

    chance: NDArray[Any]
    share: NDArray[Any]
    exclusions: float


@dataclass(frozen=True, eq=False, slots=True)
class ScoreEstimate:
    """The scores of a method as arrays, with the decisions that led to them.

    Attributes
    ----------
    unit : {"points", "scale"}
        Points from 0 to 100, or the scale of the ratings.
    value : ndarray of float64, shape (N,)
        Each rating as it enters the mean (z, the rating less its rater's bias, ...); NaN where it has none.
    status : ndarray of uint8, shape (N,)
        Positions in `RATING_STATUSES`.
    means : ScoreMeans
        Of every item and dimension, in `unit`.
    rated : ndarray of int64, shape (items * dimensions,)
        Ratings before any are removed.
    statuses : RatingStatus
        The status of ratings by rater and dimension.
    exclusion : str
        Rule that excludes raters, one of `mos.scoring.result.NOT_USED_REASONS`; "" for none.
    decisions : callable
        Returns the rows of the ledger, see `mos.scoring.exclusions.EXCLUSIONS_SCHEMA`.
    by_dimension : bool
        Whether the rule decides for every dimension separately.
    to_unit : (float, float)
        Factor and shift from `value` to `unit`.
    normalises : bool
        Whether the ratings of all raters are brought to one mean, so that groups of raters must share items.
    flags : RaterFlags or None
        None where the method counts no ratings against raters.
    null : callable or None
        Returns the expected result by chance; None where that is not known.
    columns : callable
        Returns more columns of the table of raters.
    notes : list of str
        Warnings of the method.
    """

    unit: Literal["points", "scale"]
    value: NDArray[Any]
    status: NDArray[Any]
    means: ScoreMeans
    rated: NDArray[Any]
    statuses: RatingStatus
    exclusion: str
    decisions: Callable[[], list[pa.Table]]
    by_dimension: bool = False
    to_unit: tuple[float, float] = (1.0, 0.0)
    normalises: bool = False
    flags: RaterFlags | None = None
    null: Callable[[], ChanceModel] | None = None
    columns: Callable[[], Mapping[str, pa.Array]] = dict
    notes: list[str] = field(default_factory=list)


def rating_statuses(ratings: Ratings, statuses: RatingStatus) -> NDArray[Any]:
    """Expand the compact form of the status to every rating.

    Parameters
    ----------
    ratings : Ratings
    statuses : RatingStatus

    Returns
    -------
    ndarray of uint8, shape (N,)
        Positions in `RATING_STATUSES`. A removed rating of an excluded rater is an outlier.
    """
    key = ratings.rater_keys()
    status = np.empty(len(ratings), np.uint8)
    if not statuses.rater.any():
        status[:] = RATING_KEPT
    else:
        for rows in row_blocks(len(ratings)):
            statuses.rater.take(key[rows], out=status[rows], mode="clip")
    status[statuses.removed] = RATING_OUTLIER
    return status


def means_from_moments(moments: Moments) -> ScoreMeans:
    """Mean, sample deviation s and standard error s / sqrt(n) of every group; NaN where they are not defined."""
    sd = moments.sd(1)
    return ScoreMeans(moments.n, moments.mean, sd, sd / np.sqrt(np.maximum(moments.n, 1)))
