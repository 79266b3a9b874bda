"""The result of scoring: a status and value for every rating, and tables of scores, raters and exclusions.

The table of exclusions has a row for everything that was left out, with the rule, the statistic and the
threshold that decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mos._arrow import bool_array, column_values, null_mask, number_array, take_labels, text_array
from mos.display import convert_to_pandas, describe_counts, describe_scale, render_html_table
from mos.errors import UserError
from mos.ratings import Ratings
from mos.scoring.estimate import RATER_CONSTANT, RATER_EXCLUDED, RATING_KEPT, ScoreEstimate, ScoreMeans
from mos.scoring.exclusions import NO_EXCLUSIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


NO_SCORE_REASONS = ("no_ratings", "all_excluded", "too_few", "fallback")


FALLBACK_REASON = NO_SCORE_REASONS.index("fallback")


NOT_USED_REASONS = ("no_ratings", "outlier_share", "bt500", "correlation", "constant", "too_few")


@dataclass(frozen=True, eq=False, repr=False)
class ScoringResult:
    """Scores, with the status of every rating and rater.

    Attributes
    ----------
    ratings : Ratings
        The ratings that were scored.
    options : dict
        The method and its resolved options, as JSON values.
    unit : {"points", "scale"}
        Unit of the scores: points from 0 to 100 for methods that normalise raters, else the scale of the ratings.
    status : ndarray of uint8, shape (N,)
        Position in `mos.scoring.estimate.RATING_STATUSES`, in the order of `ratings`. An outlier of an excluded rater
        counts as an outlier.
    value : ndarray of float64, shape (N,)
        Each rating as it enters the mean: z, the rating less its rater's bias, or the rating; NaN where it has none.
    scores : pyarrow.Table
        A row for every item and dimension, ordered by both: item, dimension, mos, sd (of the ratings in the mean), se,
        ci_low, ci_high, n (ratings in the mean), n_rejected, and reason: null; or why there is no score (no_ratings,
        all_excluded, too_few); or fallback, when the score is the mean of all ratings because too few were left.
    raters : pyarrow.Table
        A row for every rater: rater, n, outliers (ratings that the rule counts against the rater), share,
        expected_share (if all raters are alike and Gaussian), excluded (none of the ratings counts), excluded_in
        (null, "all", or the dimensions), reason (one of `NOT_USED_REASONS`, else null), and columns of the method.
    summary : dict
        Counts, as JSON values. `outlier_share` is the share of ratings that count against raters. `exclusions` is the
        number of excluded raters, or of combinations of rater and dimension where the rule decides for each;
        `expected_false_exclusions` is the number expected by chance if all raters are alike and Gaussian. `warnings`
        are sentences.
    decisions : callable
        Returns the tables of which `exclusions` consists.
    """

    ratings: Ratings
    options: dict[str, Any]
    unit: Literal["points", "scale"]
    status: NDArray[Any]
    value: NDArray[Any]
    scores: pa.Table
    raters: pa.Table
    summary: dict[str, Any]
    decisions: Callable[[], list[pa.Table]] = field(repr=False)  # makes `exclusions`

    @cached_property
    def exclusions(self) -> pa.Table:
        """The table of `ledger`, made on first use."""

        return pa.concat_tables([NO_EXCLUSIONS, *self.decisions()])

    def __repr__(self) -> str:
        sizes = describe_counts(items=len(self.ratings.items), dimensions=len(self.ratings.dimensions))
        excluded = f"{self.summary['raters_excluded']:,} of {describe_counts(raters=len(self.raters))} excluded"
        mean = pc.mean(self.scores["mos"]).as_py()
        unit = "points" if self.unit == "points" else f"on {describe_scale(self.ratings.scale)}"
        overall = "no scores" if mean is None else f"mean score {mean:.4g} {unit}"
        return f"ScoringResult({self.options['method']}: {sizes}, {excluded}, {overall})"

    def _repr_html_(self) -> str:
        return render_html_table(self.scores, repr(self), self.summary["warnings"])

    def to_pandas(self) -> pd.DataFrame:
        """The scores as a DataFrame; `raters.to_pandas()` and `exclusions.to_pandas()` give the other tables."""
        return convert_to_pandas(self.scores)

    def plot(self, kind: str = "intervals", dimension: str | None = None) -> Figure:
        """Plot the result; needs matplotlib.

        Parameters
        ----------
        kind
            Of the whole study: "histograms" of ratings and scores, "shares" of flagged ratings by rater, "bias" and
            inconsistency of the raters, "ridge" of each rater's ratings. Of one dimension: "intervals" of the scores,
            "residuals" of every rating, "sos" (disagreement along the scale), "halves" (agreement of split halves),
            "planning" (precision and reliability by number of raters).
        dimension
            Name of the dimension for a plot of one dimension; None takes the first.

        Returns
        -------
        matplotlib.figure.Figure
            Shown by a notebook; `figure.savefig(path)` writes it.

        Raises
        ------
        UserError
            For an unknown kind or dimension, a kind that this method has no data for, or without matplotlib.
        """
        from mos.plots.results import plot_result

        return plot_result(self, kind, dimension)

    def ledger(self) -> pa.Table:
        """List every exclusion: raters first, then outlying ratings.

        Returns
        -------
        pyarrow.Table
            what (rating | rater), item, rater, dimension, index (row of the coded table), rule, statistic, threshold,
            and margin, the distance of the statistic from the threshold. The other ratings of an excluded rater have
            no rows of their own.
        """
        return self.exclusions


def no_score_reasons(n: NDArray[Any], rating_count: NDArray[Any], min_ratings: int) -> NDArray[Any]:
    """Find the items without a score.

    Parameters
    ----------
    n, rating_count : ndarray of int, shape (items * dimensions,)
        Ratings in the mean, and before any are removed.
    min_ratings : int

    Returns
    -------
    ndarray of int, shape (items * dimensions,)
        Position in `NO_SCORE_REASONS`; -1 where there is a score.
    """
    return np.where(n >= min_ratings, -1, np.select([rating_count == 0, n == 0], [0, 1], 2))


def not_used_reasons(estimate: ScoreEstimate, dimensions: int) -> NDArray[Any]:
    """Find the raters whose ratings do not count.

    Parameters
    ----------
    estimate : ScoreEstimate
    dimensions : int

    Returns
    -------
    ndarray of int, shape (raters,)
        Position in `NOT_USED_REASONS`; -1 where a rating of the rater counts. A rater with different reasons in
        different dimensions has the first of: excluded, constant, too few.
    """
    statuses = estimate.statuses
    shape = len(statuses.rater) // max(dimensions, 1), dimensions
    rater_status = statuses.rater.reshape(shape)
    rated = statuses.rating_count.reshape(shape) > 0
    used = (rated & (rater_status == RATING_KEPT) & (statuses.retained.reshape(shape) > 0)).any(axis=1)
    excluded = (rated & (rater_status == RATER_EXCLUDED)).any(axis=1)
    constant = (rated & (rater_status == RATER_CONSTANT)).any(axis=1)
    rule = estimate.exclusion or "constant"  # a method without a rule excludes no rater
    positions = [NOT_USED_REASONS.index(name) for name in ("no_ratings", rule, "constant", "too_few")]
    return np.select([~rated.any(axis=1), used, excluded, constant], [positions[0], -1, *positions[1:3]], positions[3])


def result_score_table(
    ratings: Ratings,
    means: ScoreMeans,
    low: NDArray[Any],
    high: NDArray[Any],
    rated: NDArray[Any],
    reason: NDArray[Any],
) -> pa.Table:
    """Make `ScoringResult.scores`.

    Parameters
    ----------
    ratings : Ratings
    means : ScoreMeans
    low, high : ndarray of float64, shape (items * dimensions,)
        Ends of the intervals.
    rated : ndarray of int, shape (items * dimensions,)
        Ratings before any are removed.
    reason : ndarray of int, shape (items * dimensions,)
        See `no_score_reasons`.

    Returns
    -------
    pyarrow.Table
    """
    items, dimensions = len(ratings.items), len(ratings.dimensions)
    known = (reason < 0) | (reason == FALLBACK_REASON)

    def figures(values: NDArray[Any]) -> pa.Array:
        return number_array(values, known & ~np.isnan(values))

    return pa.table(
        {
            "item": ratings.items.take(number_array(np.repeat(np.arange(items, dtype=np.int32), dimensions))),
            "dimension": ratings.dimensions.take(number_array(np.tile(np.arange(dimensions, dtype=np.int32), items))),
            "mos": figures(means.mos),
            "sd": figures(means.sd),
            "se": figures(means.se),
            "ci_low": figures(low),
            "ci_high": figures(high),
            "n": number_array(means.n.astype(np.int32)),
            "n_rejected": number_array((rated - means.n).astype(np.int32)),
            "reason": take_labels(text_array(NO_SCORE_REASONS), reason),
        }
    )


def result_rater_table(
    ratings: Ratings, estimate: ScoreEstimate, expected: NDArray[Any] | None, not_used: NDArray[Any]
) -> pa.Table:
    """Make `ScoringResult.raters`.

    Parameters
    ----------
    ratings : Ratings
    estimate : ScoreEstimate
    expected : ndarray of float64, shape (raters,), or None
        Share of flagged ratings expected by chance.
    not_used : ndarray of int, shape (raters,)
        See `not_used_reasons`.

    Returns
    -------
    pyarrow.Table
    """
    flags, raters = estimate.flags, len(ratings.raters)
    shape = raters, len(ratings.dimensions)
    n = estimate.statuses.rating_count.reshape(shape).sum(axis=1)
    rated = n > 0
    nothing = pa.nulls(raters, pa.float64())
    excluded = (estimate.statuses.rater == RATER_EXCLUDED).reshape(shape)
    return pa.table(
        {
            "rater": ratings.raters,
            "n": number_array(n),
            "outliers": pa.nulls(raters, pa.int64()) if flags is None else number_array(flags.flagged.astype(np.int64)),
            "share": nothing if flags is None else number_array(flags.flagged / np.maximum(n, 1), rated),
            "expected_share": nothing if expected is None else number_array(expected, rated),
            "excluded": bool_array(not_used > 0),
            "excluded_in": _excluded_dimensions(excluded, ratings.dimensions.to_pylist()),
            "reason": take_labels(text_array(NOT_USED_REASONS), not_used),
            **estimate.columns(),
        }
    )


def _excluded_dimensions(excluded: NDArray[Any], dimensions: list[str]) -> pa.StringArray:
    """[raters] from [raters, dimensions] bool: the dimensions' names, "all", or null."""
    patterns, pattern = np.unique(excluded, axis=0, return_inverse=True)
    names = ["all" if all(row) else ", ".join(np.compress(row, dimensions).tolist()) for row in patterns.tolist()]
    return take_labels(text_array(names), np.where(excluded.any(axis=1), pattern.ravel(), -1))


_POSITION_COLUMNS, _WIDTH_COLUMNS = ("mos", "ci_low", "ci_high"), ("sd", "se")


def scores_in_points(result: ScoringResult) -> pa.Table:
    """Convert the scores of a result to points.

    Parameters
    ----------
    result : ScoringResult

    Returns
    -------
    pyarrow.Table
        `ScoringResult.scores` with the lowest rating of the scale at 0 and the highest at 100. Scores in points are
        not changed.

    Raises
    ------
    UserError
        Where the lowest and highest rating of the scale are the same.
    """
    if result.unit == "points" or not len(result.scores):
        return result.scores
    low, high = result.ratings.scale
    if not high > low:
        raise UserError(f"Expected a scale from a lower to a higher rating; got {low:g} to {high:g}.")
    factor = 100 / (high - low)
    table = result.scores
    for name in (*_POSITION_COLUMNS, *_WIDTH_COLUMNS):
        shift = low if name in _POSITION_COLUMNS else 0.0
        column = number_array((_fill_nulls(table[name]) - shift) * factor, ~null_mask(table[name]))
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _fill_nulls(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.where(null_mask(column), 0.0, column_values(column))
