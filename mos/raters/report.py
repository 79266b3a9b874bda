"""The table of raters, one row each: the meaning of each column, and the computation of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mos._arrow import number_array, text_array
from mos.errors import UserError
from mos.ranks import find_distinct_keys
from mos.raters.agreement import count_bt500_sides, count_flags, measure_closeness, measure_retest
from mos.raters.behaviour import measure_drift, measure_scale_use, measure_straight_lining
from mos.raters.design import RaterDesign, check_times, make_rater_design
from mos.raters.influence import measure_influence
from mos.words import did_you_mean

if TYPE_CHECKING:
    from mos.ratings import Ratings
    from mos.scoring.result import ScoringResult


RATER_COLUMNS: dict[str, str] = {
    "rater": "Name of the rater.",
    "n": "Ratings given; a count.",
    "items": "Items rated at least once; a count.",
    "alone": "Ratings of items that no other rater rated in the dimension; a count. They cannot be compared "
    "with others.",
    "screened": "Ratings that screening looked at; a count. Differs from n where one of several dimensions of a result "
    "is shown.",
    "flagged": "Ratings that screening counts against the rater; a count.",
    "share": "flagged / screened, 0 to 1.",
    "expected_share": "The share, 0 to 1, that chance alone would flag if all raters were alike and Gaussian.",
    "share_low": "Lower end of the null band: 95 % of raters who are like all others have a share in it; 0 to 1.",
    "share_high": "Upper end of the null band; a share above it is more than chance explains. Dimensions are taken "
    "as independent, so with several the band is somewhat too narrow.",
    "share_p": "Probability of at least this share by chance, Binomial(screened, expected_share); 0 to 1, small is "
    "bad.",
    "share_p_holm": "share_p adjusted for the number of raters (Holm); below 0.05 is hardly chance.",
    "excluded": "Whether the method excludes the rater; null where no method was run.",
    "reason": "Why the rater is excluded; null if not excluded.",
    "bt500_p": "P of ITU-R BT.500: ratings far above the others' (2 S, or sqrt(20) S where ratings are not normal); "
    "a count.",
    "bt500_q": "Q of ITU-R BT.500: ratings far below; a count. P and Q both high is carelessness, one of them alone "
    "bias.",
    "bias": "Mean of rating - mean of the others, scale units; above 0 the rater is generous, below 0 strict.",
    "bias_low": "Lower end of the bias's 95 % interval (t, items as the unit of sampling), scale units.",
    "bias_high": "Upper end of the bias's 95 % interval, scale units.",
    "inconsistency": "SD of rating - mean of the others around the bias (of each dimension), scale units; includes "
    "the noise of the others' mean: a factor of sqrt(n / (n - 1)) for n raters who are alike.",
    "inconsistency_low": "Lower end of the inconsistency's 95 % interval (chi-square), scale units.",
    "inconsistency_high": "Upper end of the inconsistency's 95 % interval, scale units.",
    "pearson": "Pearson's r with the mean of the others, within dimensions, -1 to 1; compare it with the other "
    "raters'.",
    "spearman": "Spearman's r with the mean of the others, -1 to 1: agreement in the order of the items.",
    "levels": "Number of different scores used; a count. 1 means that all ratings are equal.",
    "range_used": "(highest - lowest score given) / length of the scale, 0 to 1.",
    "entropy": "Evenness of the scores used, bits / most possible bits; 0 is always the same score, 1 all scores "
    "equally often. More than 21 different scores are binned to ten.",
    "extremes": "Share of ratings at either end of the scale (of a finely divided scale, in its first or last "
    "tenth), 0 to 1.",
    "repeats": "Share of ratings equal to the rater's previous one in the dimension, 0 to 1.",
    "repeats_expected": "The share of repeats if the same scores were in random order, 0 to 1.",
    "repeats_excess": "repeats - repeats_expected; well above 0 AND above the other raters' is straight-lining. "
    "Where similar items follow each other, all raters are above 0; this includes tables without times, whose "
    "rows give the order.",
    "longest_run": "Most equal scores in a row, in one dimension; a count.",
    "longest_run_p": "Upper bound of the probability of such a run in random order, 0 to 1; tiny is straight-lining, "
    "unless similar items follow each other.",
    "alike": "Share of the items rated in all dimensions that got the same score in all, 0 to 1; null with one "
    "dimension.",
    "alike_expected": "The share of alike items if the rater's dimensions were independent, 0 to 1. They never are: "
    "compare with other raters.",
    "drift": "Change of rating - mean of the others from the rater's first to last rating (slope), scale units per "
    "session; without times the order is that of the table's rows, which may differ from the order in time.",
    "drift_low": "Lower end of the drift's 95 % interval (t), scale units; an interval without 0 means change.",
    "drift_high": "Upper end of the drift's 95 % interval, scale units.",
    "inconsistency_ratio": "Inconsistency in the second half over that in the first; above 1 the rater becomes "
    "less careful, below 1 more consistent.",
    "retests": "Items and dimensions that the rater rated again; a count.",
    "retest_difference": "Mean absolute difference between the first and second rating of the same item, scale "
    "units; 0 is best.",
    "retest_pearson": "Pearson's r between first and second rating, within dimensions, -1 to 1.",
    "retest_icc": "ICC(1,1) of first and second rating, up to 1: unlike r, a shift between them counts against it.",
    "rank_influence": "1 - Spearman's r between the items' plain means with and without the rater, mean over "
    "dimensions; 0 is none. Items that no other rater rated are left out.",
    "largest_change": "Largest change of an item's plain mean without the rater's ratings, scale units.",
}


_COUNT_COLUMNS = frozenset(
    ["n", "items", "alone", "screened", "flagged", "bt500_p", "bt500_q", "levels", "longest_run", "retests"]
)


def report_raters(
    ratings: Ratings,
    *,
    result: ScoringResult | None = None,
    times: NDArray[Any] | None = None,
    dimension: str | None = None,
) -> pa.Table:
    """Compute the table of raters, from the ratings as given (nothing removed).

    Parameters
    ----------
    ratings
        The ratings of the study.
    result
        The result, by any method and of the same raters, whose flags and exclusions are shown. It covers all scored
        dimensions, also if `dimension` is given. None flags ratings more than two sample standard deviations from the
        mean of their item and dimension, and excludes no rater.
    times
        [N] numbers or datetime64, the time of each rating. None takes the order of the table's rows.
    dimension
        Name of the only dimension to use. None uses all dimensions: means and counts are over all ratings; spreads,
        ranks, runs and slopes are computed within each dimension and then pooled, so that a difference between
        dimensions that all raters share does not count as a rater's inconsistency, agreement or drift.

    Returns
    -------
    pa.Table
        One row for each rater, in the order of `ratings.raters`, with the columns of `RATER_COLUMNS`; null where
        unknown. The metadata key `sequence` of the schema is `times` or `rows`, the source of the order of a
        rater's ratings.

    Raises
    ------
    UserError
        For an unknown dimension, times that do not fit the ratings, or a result with other raters.
    """
    times = None if times is None else check_times(times, len(ratings))
    if dimension is not None:
        rows = np.flatnonzero(ratings.dimension == _dimension_position(ratings, dimension))
        times = None if times is None else times[rows]
        ratings = ratings.select(rows)
    sheet = make_rater_design(ratings, times)
    columns = (
        {"n": sheet.count(), "items": _count_items(sheet)} | count_flags(ratings, result) | count_bt500_sides(ratings)
    )
    for part in (
        measure_closeness,
        measure_scale_use,
        measure_straight_lining,
        measure_drift,
        measure_retest,
        measure_influence,
    ):
        columns |= part(sheet)
    arrays = {name: _make_column(name, values) for name, values in columns.items()}
    arrays |= {
        "rater": ratings.raters,
        "excluded": pa.nulls(sheet.raters, pa.bool_()),
        "reason": _empty_reasons(sheet.raters),
    }
    if result is not None:
        arrays |= {name: result.raters[name] for name in ("excluded", "reason")}
    order = "rows" if times is None else "times"
    return pa.table({name: arrays[name] for name in RATER_COLUMNS}).replace_schema_metadata({"sequence": order})


def _dimension_position(ratings: Ratings, dimension: str) -> int:
    known: list[str] = ratings.dimensions.to_pylist()
    if dimension in known:
        return known.index(dimension)
    hint = did_you_mean(dimension, known)
    raise UserError(f"Unknown dimension '{dimension}'.{hint} Expected one of {', '.join(known)}.")


def _count_items(sheet: RaterDesign) -> NDArray[Any]:
    ratings = sheet.ratings
    items = max(len(ratings.items), 1)
    rated = find_distinct_keys(ratings.rater.astype(np.int64) * items + ratings.item, sheet.raters * items)
    return np.bincount(rated.key // items, minlength=sheet.raters)


def _make_column(name: str, values: NDArray[Any]) -> pa.Array:
    known = ~np.isnan(values)
    values = np.where(known, values, 0)
    return number_array(values.astype(np.int64 if name in _COUNT_COLUMNS else np.float64), known)


def _empty_reasons(size: int) -> pa.StringArray:
    return text_array([""]).take(number_array(np.zeros(size, np.int32), np.zeros(size, bool)))
