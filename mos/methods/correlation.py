"""Mean of the ratings by raters that correlate well enough with the item means (ITU-R BT.500-14, BT.1788).

With r the correlation of a rater's scores with the means, the threshold is 0.7 if mean(r) - sd(r) > 0.7 and else
mean(r) - sd(r), over the raters of a panel; a rater with r <= threshold is rejected. The rule is relative where
correlations are low: of two raters with r <= 0.7 the lower one is always rejected, and raters with the same
r <= 0.7 are all rejected.

Correlations closer than 1e-9 to the threshold count as equal to it, so that rounding decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from mos._kernels import SCORE_RESOLUTION, Moments, add_by_group, group_moments, largest_magnitude, row_blocks
from mos.ranks import rank_within_blocks
from mos.ratings import Ratings
from mos.scoring.estimate import (
    RATER_CONSTANT,
    RATER_EXCLUDED,
    RATING_KEPT,
    RatingStatus,
    ScoreEstimate,
    means_from_moments,
    rating_statuses,
)
from mos.scoring.exclusions import columns_by_dimension, rater_exclusions
from mos.scoring.options import ScoringOptions

CorrelationStatistic = Literal["pearson", "spearman", "min"]


NOT_REJECTED, LOW_CORRELATION, CONSTANT_SCORES, ITEMS_TOO_FEW, ITEMS_ALIKE = range(5)


CORRELATION_REASONS = ("", "low_correlation", "constant", "too_few_items", "items_alike")


_REJECTING_REASONS = (LOW_CORRELATION, CONSTANT_SCORES)


_ROUNDING_NOISE = 1e-9


class RaterCorrelations(NamedTuple):
    """Correlation of every rater with the item means.

    Attributes
    ----------
    n : ndarray of int64, shape (raters,)
        Ratings that have a mean to compare with.
    pearson, spearman : ndarray of float64, shape (raters,)
        Correlations in -1..1; NaN where undefined.
    constant : ndarray of bool, shape (raters,)
        All these ratings are equal.
    alike : ndarray of bool, shape (raters,)
        All means of the rated items are equal.
    """

    n: NDArray[Any]
    pearson: NDArray[Any]
    spearman: NDArray[Any]
    constant: NDArray[Any]
    alike: NDArray[Any]


class CorrelationScreening(NamedTuple):
    """Raters that the rule rejects.

    Attributes
    ----------
    correlations : RaterCorrelations
    r : ndarray of float64, shape (raters,)
        The correlation that decides; NaN where the rater cannot be judged.
    reason : ndarray of int8, shape (raters,)
        Position in `CORRELATION_REASONS`.
    rejected : ndarray of bool, shape (raters,)
    threshold, mean, sd : ndarray of float64, shape (panels,)
        Threshold, and mean and standard deviation of r over the raters of the panel; NaN where no rater has r.
    """

    correlations: RaterCorrelations
    r: NDArray[Any]
    reason: NDArray[Any]
    rejected: NDArray[Any]
    threshold: NDArray[Any]
    mean: NDArray[Any]
    sd: NDArray[Any]


def screen_by_correlation(
    correlations: RaterCorrelations,
    panel: NDArray[Any],
    panels: int,
    *,
    statistic: CorrelationStatistic = "pearson",
    max_threshold: float = 0.7,
    min_items: int = 3,
) -> CorrelationScreening:
    """Screen the raters of each panel once.

    Parameters
    ----------
    correlations : RaterCorrelations
    panel : ndarray of int, shape (raters,)
        Raters with the same number share a threshold: all raters, or the raters of a dimension. In 0..panels-1.
    panels : int
    statistic : {"pearson", "spearman", "min"}
        "pearson" and "spearman" as in sureal; "min" is the lower of both, as in BT.1788.
    max_threshold : float
        No rater with a larger r is rejected. In -1..1.
    min_items : int
        Raters with fewer items are not judged.

    Returns
    -------
    CorrelationScreening

    Notes
    -----
    A rater whose scores are all equal has no correlation and is rejected (CONSTANT_SCORES). A rater of fewer than
    `min_items` items, or of items with equal means only, is not judged and stays (ITEMS_TOO_FEW, ITEMS_ALIKE).
    None of these raters counts in the threshold.
    """
    by_statistic = {"pearson": correlations.pearson, "spearman": correlations.spearman}
    r = by_statistic[statistic] if statistic != "min" else np.minimum(*by_statistic.values())
    few = correlations.n < max(min_items, 2)
    r = np.where(few, np.nan, r)
    judged = ~np.isnan(r)
    moments = group_moments(r[judged], panel[judged], panels)
    sd = moments.sd(0)
    threshold = np.fmin(moments.mean - sd, np.where(moments.n > 0, max_threshold, np.nan))
    reason = np.full(len(r), NOT_REJECTED, np.int8)
    reason[r <= threshold[panel] + _ROUNDING_NOISE] = LOW_CORRELATION
    reason[correlations.alike] = ITEMS_ALIKE
    reason[correlations.constant] = CONSTANT_SCORES
    reason[few] = ITEMS_TOO_FEW
    rejected = np.isin(reason, _REJECTING_REASONS)
    return CorrelationScreening(correlations, r, reason, rejected, threshold, moments.mean, sd)


def correlate_with_means(
    score: NDArray[Any],
    group: NDArray[Any],
    groups: int,
    rater: NDArray[Any],
    raters: int,
    *,
    leave_one_out: bool = False,
) -> RaterCorrelations:
    """Correlate the scores of each rater with the means of the items that the rater rated.

    Parameters
    ----------
    score : ndarray of float64, shape (N,)
        Finite scores. Repeated ratings of an item by a rater all count.
    group : ndarray of int, shape (N,)
        Item and dimension of each rating, in 0..groups-1.
    groups : int
    rater : ndarray of int, shape (N,)
        The rater, or the rater and dimension, in 0..raters-1.
    raters : int
    leave_one_out : bool
        Compare with the mean of the other ratings of the item instead of all ratings. The rater's own rating then
        does not raise the correlation, which matters where items have few ratings. A rating without others does not
        count.

    Returns
    -------
    RaterCorrelations
        Spearman's correlation is Pearson's correlation of the ranks, tied ranks averaged.
    """
    mean, place, counted = _comparison_means(score, group, groups, leave_one_out)
    score, level = _equalise_ties(score)
    if counted is not None:
        score, level, mean, place, rater = (value[counted] for value in (score, level, mean, place, rater))
    scores, means = group_moments(score, rater, raters), group_moments(mean, rater, raters)
    ranks, places = rank_within_blocks(level, rater.astype(np.int64)), rank_within_blocks(place, rater.astype(np.int64))
    rated = scores.n > 0
    return RaterCorrelations(
        n=scores.n,
        pearson=_pearson_by_rater(score, scores, mean, means, rater),
        spearman=_pearson_by_rater(
            ranks, group_moments(ranks, rater, raters), places, group_moments(places, rater, raters), rater
        ),
        constant=rated & (scores.ss == 0),
        alike=rated & (means.ss == 0),
    )


def _comparison_means(
    score: NDArray[Any], group: NDArray[Any], groups: int, leave_one_out: bool
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """[N] mean to compare each score with, [N] its level, and [N] bool, whether it exists (None: it always does)."""
    found = group_moments(score, group, groups)
    if not leave_one_out:
        mean, level = _equalise_ties(np.nan_to_num(found.mean))
        return mean[group], level[group], None
    others = found.n[group] - 1
    mean = found.mean[group]
    # The mean of the others lies on the other side of the mean of all.
    mean, level = _equalise_ties(mean - (score - mean) / np.maximum(others, 1))
    return mean, level, None if others.all() else others > 0


def _equalise_ties(value: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """[N] the values, made equal where they differ only by rounding, and [N] int64 their order, from 0.

    Means of the same scores in another order are equal, and tied in rank.
    """
    order = np.argsort(value)
    ascending = value[order]
    start = np.flatnonzero(np.diff(ascending, prepend=-np.inf) > SCORE_RESOLUTION * largest_magnitude(value))
    size = np.diff(start, append=len(value))
    equal, level = np.empty(len(value)), np.empty(len(value), np.int64)
    equal[order] = np.repeat(ascending[start], size)
    level[order] = np.repeat(np.arange(len(start)), size)
    return equal, level


def _pearson_by_rater(x: NDArray[Any], xs: Moments, y: NDArray[Any], ys: Moments, rater: NDArray[Any]) -> NDArray[Any]:
    """[raters] Pearson's correlation of x and y [N] from their moments by rater; NaN where x or y is constant."""
    together = np.zeros(len(xs.n))
    for rows in row_blocks(len(rater)):
        at = rater[rows].astype(np.intp, copy=False)
        add_by_group(at, together, (x[rows] - xs.mean[at]) * (y[rows] - ys.mean[at]))
    spread = np.sqrt(xs.ss) * np.sqrt(ys.ss)
    values: NDArray[Any] = np.clip(together / np.where(spread > 0, spread, np.nan), -1, 1)
    return values


class CorrelationOptions(ScoringOptions):
    """Options of the correlation rule."""

    method: Literal["correlation"] = "correlation"
    statistic: Literal["pearson", "spearman", "min"] = Field(
        "pearson", description="The correlation that decides; min is the lower of the two, as in BT.1788."
    )
    leave_one_out: bool = Field(
        False, description="Correlate with the mean of the others; the recommendations use the mean of all."
    )
    max_threshold: float = Field(0.7, ge=-1, le=1, description="A rater who correlates better is never rejected.")
    min_items: int = Field(3, ge=2, description="A rater of fewer items is not judged.")


def estimate_correlation(ratings: Ratings, options: CorrelationOptions) -> ScoreEstimate:
    """Estimate the score of every item in every dimension: the mean of its ratings by raters that are not rejected.

    Parameters
    ----------
    ratings : Ratings
    options : CorrelationOptions

    Returns
    -------
    ScoreEstimate
        On the scale of the ratings. Raters are screened in every dimension on its own.
    """
    dimensions = len(ratings.dimensions)
    keys, groups = len(ratings.raters) * dimensions, len(ratings.items) * dimensions
    correlations = correlate_with_means(
        ratings.score, ratings.groups(), groups, ratings.rater_keys(), keys, leave_one_out=options.leave_one_out
    )
    screening = screen_by_correlation(
        correlations,
        np.tile(np.arange(dimensions), len(ratings.raters)),
        dimensions,
        statistic=options.statistic,
        max_threshold=options.max_threshold,
        min_items=options.min_items,
    )
    rating_count = np.bincount(ratings.rater_keys(), minlength=keys)
    rater_status = np.full(keys, RATING_KEPT, np.uint8)
    rater_status[screening.reason == LOW_CORRELATION] = RATER_EXCLUDED
    rater_status[screening.reason == CONSTANT_SCORES] = RATER_CONSTANT
    statuses = RatingStatus(rater_status, np.zeros(0, np.int64), rating_count, rating_count)
    status = rating_statuses(ratings, statuses)
    moments = group_moments(ratings.score, ratings.groups(), groups, status == RATING_KEPT)
    return ScoreEstimate(
        unit="scale",
        value=ratings.score,
        status=status,
        means=means_from_moments(moments),
        rated=np.bincount(ratings.groups(), minlength=groups),
        statuses=statuses,
        exclusion="correlation",
        by_dimension=True,
        columns=partial(_rater_columns, ratings, screening),
        decisions=partial(_exclusion_tables, ratings, screening),
    )


def _rater_columns(ratings: Ratings, screening: CorrelationScreening) -> Mapping[str, pa.Array]:
    figures = {"pearson": screening.correlations.pearson, "spearman": screening.correlations.spearman}
    return columns_by_dimension(ratings, figures)


def _exclusion_tables(ratings: Ratings, screening: CorrelationScreening) -> list[pa.Table]:
    dimensions = len(ratings.dimensions)
    low = np.flatnonzero(screening.reason == LOW_CORRELATION)
    constant = np.flatnonzero((screening.reason == CONSTANT_SCORES) & (screening.correlations.n > 0))
    return [
        rater_exclusions(
            ratings,
            "correlation",
            screening.r[low],
            screening.threshold[low % dimensions],
            low // dimensions,
            low % dimensions,
        ),
        rater_exclusions(
            ratings, "constant", np.zeros(len(constant)), 0.0, constant // dimensions, constant % dimensions
        ),
    ]
