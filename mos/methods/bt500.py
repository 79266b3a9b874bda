"""Mean of the ratings by raters that the kurtosis rule of ITU-R BT.500 does not exclude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from mos._arrow import number_array
from mos._kernels import group_moments
from mos.methods.bt500_chance import expected_rejections, flag_probability
from mos.methods.bt500_screening import KurtosisVerdicts, flag_ratings_by_kurtosis, reject_raters_by_flags
from mos.ratings import Ratings
from mos.scoring.estimate import (
    RATER_EXCLUDED,
    RATING_KEPT,
    ChanceModel,
    RaterFlags,
    RatingStatus,
    ScoreEstimate,
    expected_flag_shares,
    means_from_moments,
    rating_statuses,
)
from mos.scoring.exclusions import rater_exclusions
from mos.scoring.options import ExactDecimal, ScoringOptions


class KurtosisOptions(ScoringOptions):
    """Options of the kurtosis rule."""

    ddof: Literal[0, 1] = Field(
        1, description="1: the sample deviation S of BT.500; 0: the population's, as in sureal."
    )
    zero_variance: Literal["skip", "literal"] = Field(
        "skip",
        description="Items with equal ratings only: skip them, or count each rating in both P and Q, as the rule "
        "literally says. The literal rule counts agreement against a rater.",
    )
    denominator: Literal["own", "all"] = Field(
        "own", description="P + Q is divided by the rater's own ratings, or by all presentations, as in sureal."
    )
    max_share: ExactDecimal = Field(
        ExactDecimal("0.05"), ge=0, le=1, description="A rater with a larger share (P + Q) / n ..."
    )
    max_balance: ExactDecimal = Field(
        ExactDecimal("0.3"), ge=0, le=1, description="... and a smaller balance |P - Q| / (P + Q) is rejected."
    )
    exclusion_scope: Literal["dimension", "pooled"] = Field(
        "dimension", description="Raters are screened in every dimension on its own, or over all of them."
    )
    pool_repetitions: bool = Field(
        False, description="Whether a rater's repeated ratings of an item are one presentation, as in sureal."
    )
    keep_if_all: bool = Field(
        False, description="Reject no rater where the rule would reject all of them, as in sureal."
    )


class Bt500Options(KurtosisOptions):
    """ITU-R BT.500-14, annex 1, A1-2.3.1."""

    method: Literal["bt500"] = "bt500"


@dataclass(frozen=True, eq=False, slots=True)
class ScreenedRaters:
    """Raters that the rule excludes.

    verdicts: of every rater and dimension, or of every rater where dimensions are pooled
    excluded: [raters, dimensions] bool
    pooled: whether all dimensions of a rater are screened together
    row: [flagged] ascending rows that count in P or Q
    """

    verdicts: KurtosisVerdicts
    excluded: NDArray[Any]
    pooled: bool
    row: NDArray[Any]


def estimate_bt500(ratings: Ratings, options: Bt500Options) -> ScoreEstimate:
    """Estimate the score of every item in every dimension: the mean of its ratings by raters that are not excluded.

    Parameters
    ----------
    ratings : Ratings
    options : Bt500Options

    Returns
    -------
    ScoreEstimate
        On the scale of the ratings.
    """
    return estimate_screened_means(ratings, ratings.score, options)


def estimate_screened_means(ratings: Ratings, value: NDArray[Any], options: KurtosisOptions) -> ScoreEstimate:
    """Screen the raters by the kurtosis rule, and average the values of the raters that are not excluded.

    Parameters
    ----------
    ratings : Ratings
    value : ndarray of float64, shape (N,)
        The ratings, or the ratings after an adjustment such as the removal of bias.
    options : KurtosisOptions

    Returns
    -------
    ScoreEstimate
        On the scale of the ratings.
    """
    keys, groups = len(ratings.raters) * len(ratings.dimensions), len(ratings.items) * len(ratings.dimensions)
    screened = apply_bt500_rule(ratings, value, options)
    rating_count = np.bincount(ratings.rater_keys(), minlength=keys)
    rater_status = np.where(screened.excluded.ravel(), RATER_EXCLUDED, RATING_KEPT).astype(np.uint8)
    statuses = RatingStatus(rater_status, np.zeros(0, np.int64), rating_count, rating_count)
    status = rating_statuses(ratings, statuses)
    kept = None if not screened.excluded.any() else status == RATING_KEPT
    moments = group_moments(value, ratings.groups(), groups, kept)
    rated = moments.n if kept is None else np.bincount(ratings.groups(), minlength=groups)
    shape = len(ratings.raters), len(ratings.dimensions)
    n = rating_count.reshape(shape).sum(axis=1)
    flagged = np.bincount(ratings.rater[screened.row], minlength=shape[0])
    return ScoreEstimate(
        unit="scale",
        value=value,
        status=status,
        means=means_from_moments(moments),
        rated=rated,
        statuses=statuses,
        exclusion="bt500",
        by_dimension=not screened.pooled,
        flags=RaterFlags(n, flagged, screened.row),
        null=partial(_chance_model, ratings, rating_count, options),
        columns=partial(_rater_columns, ratings, screened),
        decisions=partial(_exclusion_tables, ratings, screened, options),
    )


def apply_bt500_rule(ratings: Ratings, value: NDArray[Any], options: KurtosisOptions) -> ScreenedRaters:
    """Apply the kurtosis rule without averaging.

    Parameters
    ----------
    ratings : Ratings
    value : ndarray of float64, shape (N,)
        The ratings, or the ratings after an adjustment.
    options : KurtosisOptions

    Returns
    -------
    ScreenedRaters
    """
    dimensions = len(ratings.dimensions)
    shape = len(ratings.raters), dimensions
    group, groups, _ = _presentation_keys(ratings, options.pool_repetitions)
    flags = flag_ratings_by_kurtosis(value, group, groups, ddof=options.ddof, zero_variance=options.zero_variance)
    pooled = options.exclusion_scope == "pooled"
    key, raters = (ratings.rater, shape[0]) if pooled else (ratings.rater_keys(), shape[0] * dimensions)
    verdicts = reject_raters_by_flags(
        key,
        raters,
        flags.high,
        flags.low,
        _count_presentations(ratings, pooled) if options.denominator == "all" else None,
        Fraction(options.max_share),
        Fraction(options.max_balance),
    )
    rejected = verdicts.rejected[:, None] if pooled else verdicts.rejected.reshape(shape)
    rated = (verdicts.n > 0).reshape(rejected.shape)
    if options.keep_if_all:
        rejected = rejected & ~(rejected == rated).all(axis=0)
    excluded = np.repeat(rejected, dimensions, axis=1) if pooled else rejected
    return ScreenedRaters(verdicts, excluded, pooled, np.flatnonzero(flags.high | flags.low))


def _presentation_keys(ratings: Ratings, pool_repetitions: bool) -> tuple[NDArray[Any], int, int]:
    """[N] presentation of each rating, number of presentations, and presentations of an item in a dimension."""
    times = 1 if pool_repetitions else ratings.repetitions
    group, groups = ratings.groups(), len(ratings.items) * len(ratings.dimensions)
    if times == 1:
        return group, groups, 1
    return group.astype(np.int64) * times + ratings.repetition, groups * times, times


def _count_presentations(ratings: Ratings, pooled: bool) -> NDArray[Any]:
    """Number of presentations, each repetition counted, for every rater, or for every rater and dimension."""
    group, groups, times = _presentation_keys(ratings, pool_repetitions=False)
    there = np.zeros(groups, bool)
    there[group] = True
    dimensions, raters = len(ratings.dimensions), len(ratings.raters)
    shown = there.reshape(len(ratings.items), dimensions, times).sum(axis=(0, 2))
    return np.full(raters, shown.sum()) if pooled else np.tile(shown, raters)


def _chance_model(ratings: Ratings, rating_count: NDArray[Any], options: KurtosisOptions) -> ChanceModel:
    group, groups, times = _presentation_keys(ratings, options.pool_repetitions)
    size = np.bincount(group, minlength=groups)
    chance = flag_probability(size, options.ddof)
    shape = len(ratings.raters), len(ratings.dimensions)
    pooled = options.exclusion_scope == "pooled"
    seen = _count_presentations(ratings, pooled) if options.denominator == "all" else None
    limits = Fraction(options.max_share), Fraction(options.max_balance), seen
    n = rating_count.reshape(shape).sum(axis=1)
    share = expected_flag_shares(ratings.rater, n, group, chance)
    by_key = share if pooled else expected_flag_shares(ratings.rater_keys(), rating_count, group, chance)
    expected = expected_rejections(n if pooled else rating_count, by_key, *limits)
    if times > 1:
        per_item = size.reshape(-1, times)
        chance = (per_item * chance.reshape(-1, times)).sum(axis=1) / np.maximum(per_item.sum(axis=1), 1)
    return ChanceModel(chance, share, expected)


def _rater_columns(ratings: Ratings, screened: ScreenedRaters) -> Mapping[str, pa.Array]:
    """Columns p, q and balance, over all dimensions."""
    shape = len(ratings.raters), 1 if screened.pooled else len(ratings.dimensions)
    p, q = (counts.reshape(shape).sum(axis=1) for counts in (screened.verdicts.p, screened.verdicts.q))
    flagged = p + q
    balance = np.abs(p - q) / np.maximum(flagged, 1)
    return {"p": number_array(p), "q": number_array(q), "balance": number_array(balance, flagged > 0)}


def _exclusion_tables(ratings: Ratings, screened: ScreenedRaters, options: KurtosisOptions) -> list[pa.Table]:
    """Two rows for each excluded rater, one for the share and one for the balance."""
    shape = len(ratings.raters), 1 if screened.pooled else len(ratings.dimensions)
    rejected = screened.excluded[:, :1] if screened.pooled else screened.excluded
    rater, dimension = np.nonzero(rejected)
    where = (rater,) if screened.pooled else (rater, dimension)
    return [
        rater_exclusions(ratings, rule, figure.reshape(shape)[rejected], float(limit), *where)
        for rule, figure, limit in (
            ("bt500_share", screened.verdicts.share, options.max_share),
            ("bt500_balance", screened.verdicts.balance, options.max_balance),
        )
    ]
