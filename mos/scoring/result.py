"""What scoring gives: a status and a value for every rating, a score for every item and dimension, a row a rater."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from mos.arrow import chosen, numbers, texts, truths
from mos.ratings import Ratings
from mos.scoring.estimate import KEPT, RATER_CONSTANT, RATER_EXCLUDED, Estimate
from mos.scoring.scores import Means

NO_SCORE = ("no_ratings", "all_excluded", "too_few", "fallback")
FALLBACK = NO_SCORE.index("fallback")
NOT_USED = ("no_ratings", "outlier_share", "bt500", "correlation", "constant", "too_few")


@dataclass(frozen=True, eq=False)
class Result:
    """Scores, and how they came about.

    ratings: what was scored
    options: the method and its resolved options, as JSON values
    unit: of the scores: "points" from 0 to 100 for methods that normalise raters, "scale" for that of the ratings
    status: [N] uint8, position in `mos.scoring.estimate.STATUSES`, in the order of `ratings`.  An outlier is called so
        whether or not its rater is excluded as well
    value: [N] float64, the rating as it entered the mean: z, or the rating less its rater's bias, or the rating
        itself; NaN where there is none
    scores: one row for every item and dimension, ordered by both: item, dimension, mos, sd (of the ratings behind
        the mean), se, ci_low, ci_high, n (ratings behind the mean), n_rejected, and reason: null, or why there is no
        score (no_ratings, all_excluded, too_few), or that it is the mean of all ratings for want of any (fallback)
    raters: one row for every rater: rater, n, outliers (ratings that the rule counts against the rater), share,
        expected_share (were all raters alike and Gaussian), excluded (none of the ratings counts), excluded_in
        (null, "all", or the dimensions), reason (one of `NOT_USED`, else null), and what else the method knows
    summary: counts in and out; `outlier_share`, of the ratings that count against raters; `exclusions`, raters
        excluded by the rule, or combinations of rater and dimension where it decides for each, and beside it
        `expected_false_exclusions`, what chance alone would exclude, were all alike and Gaussian; and `warnings`,
        sentences for a person; JSON values
    """

    ratings: Ratings
    options: dict[str, Any]
    unit: Literal["points", "scale"]
    status: np.ndarray
    value: np.ndarray
    scores: pa.Table
    raters: pa.Table
    summary: dict[str, Any]
    decisions: Callable[[], list[pa.Table]] = field(repr=False)  # makes `exclusions`

    @cached_property
    def exclusions(self) -> pa.Table:
        """See `ledger`; made when it is first asked for."""
        from mos.scoring.ledger import EMPTY

        return pa.concat_tables([EMPTY, *self.decisions()])

    def ledger(self) -> pa.Table:
        """Every decision to leave something out: raters first, then outlying ratings.

        what (rating | rater), item, rater, dimension, index (row of the coded table), rule, statistic, threshold, and
        margin, how far the statistic is beyond the threshold.  The other ratings of an excluded rater follow from
        that rater's line.
        """
        return self.exclusions


def why_no_score(n: np.ndarray, given: np.ndarray, min_ratings: int) -> np.ndarray:
    """Position in `NO_SCORE`, -1 where there is a score.

    n, given: [items * dimensions] ratings behind the mean, and before anything was removed.
    """
    return np.where(n >= min_ratings, -1, np.select([given == 0, n == 0], [0, 1], 2))


def why_not_used(estimate: Estimate, dimensions: int) -> np.ndarray:
    """Position in `NOT_USED` for every rater, -1 where ratings of the rater count.

    A rater with several reasons, in different dimensions, has the first of: excluded, constant, too few.
    """
    fates = estimate.fates
    shape = len(fates.rater) // max(dimensions, 1), dimensions
    fate = fates.rater.reshape(shape)
    rated = fates.given.reshape(shape) > 0
    used = (rated & (fate == KEPT) & (fates.retained.reshape(shape) > 0)).any(axis=1)
    excluded = (rated & (fate == RATER_EXCLUDED)).any(axis=1)
    constant = (rated & (fate == RATER_CONSTANT)).any(axis=1)
    rule = estimate.exclusion or "constant"  # a method without a rule excludes nobody
    positions = [NOT_USED.index(name) for name in ("no_ratings", rule, "constant", "too_few")]
    return np.select([~rated.any(axis=1), used, excluded, constant], [positions[0], -1, *positions[1:3]], positions[3])


def score_table(
    ratings: Ratings, means: Means, low: np.ndarray, high: np.ndarray, rated: np.ndarray, reason: np.ndarray
) -> pa.Table:
    """`Result.scores`.

    low, high: [items * dimensions] the interval; rated: ratings before anything was removed; reason: position in
    `NO_SCORE` or -1.
    """
    items, dimensions = len(ratings.items), len(ratings.dimensions)
    known = (reason < 0) | (reason == FALLBACK)

    def figures(values: np.ndarray) -> pa.Array:
        return numbers(values, known & ~np.isnan(values))

    return pa.table(
        {
            "item": ratings.items.take(numbers(np.repeat(np.arange(items, dtype=np.int32), dimensions))),
            "dimension": ratings.dimensions.take(numbers(np.tile(np.arange(dimensions, dtype=np.int32), items))),
            "mos": figures(means.mos),
            "sd": figures(means.sd),
            "se": figures(means.se),
            "ci_low": figures(low),
            "ci_high": figures(high),
            "n": numbers(means.n.astype(np.int32)),
            "n_rejected": numbers((rated - means.n).astype(np.int32)),
            "reason": chosen(texts(NO_SCORE), reason),
        }
    )


def rater_table(ratings: Ratings, estimate: Estimate, expected: np.ndarray | None, not_used: np.ndarray) -> pa.Table:
    """`Result.raters`.  expected: [raters] share by chance alone, None where unknown; not_used: `why_not_used`."""
    flags, raters = estimate.flags, len(ratings.raters)
    shape = raters, len(ratings.dimensions)
    n = estimate.fates.given.reshape(shape).sum(axis=1)
    rated = n > 0
    nothing = pa.nulls(raters, pa.float64())
    excluded = (estimate.fates.rater == RATER_EXCLUDED).reshape(shape)
    return pa.table(
        {
            "rater": ratings.raters,
            "n": numbers(n),
            "outliers": pa.nulls(raters, pa.int64()) if flags is None else numbers(flags.flagged.astype(np.int64)),
            "share": nothing if flags is None else numbers(flags.flagged / np.maximum(n, 1), rated),
            "expected_share": nothing if expected is None else numbers(expected, rated),
            "excluded": truths(not_used > 0),
            "excluded_in": _where(excluded, ratings.dimensions.to_pylist()),
            "reason": chosen(texts(NOT_USED), not_used),
            **estimate.columns(),
        }
    )


def _where(excluded: np.ndarray, dimensions: list[str]) -> pa.StringArray:
    """[raters] from [raters, dimensions] bool: the dimensions' names, "all", or null."""
    names = ["all" if all(row) else ", ".join(np.compress(row, dimensions).tolist()) for row in excluded.tolist()]
    return chosen(texts(names), np.where(excluded.any(axis=1), np.arange(len(names)), -1))
