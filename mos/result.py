"""What scoring gives: a status and z for every rating, a score for every item and dimension, a row for every rater."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from mos.arrow import chosen, numbers, texts, truths
from mos.scores import Means
from mos.screening.outliers import RaterShares
from mos.table import Ratings

# What became of a rating; `Result.status` holds positions in this list.
STATUSES = ("kept", "outlier", "rater_excluded", "rater_constant", "rater_too_few")
KEPT, OUTLIER, RATER_EXCLUDED, RATER_CONSTANT, RATER_TOO_FEW = range(len(STATUSES))

NO_SCORE = ("no_ratings", "all_excluded", "too_few")
NOT_USED = ("no_ratings", "outlier_share", "constant", "too_few")


@dataclass(frozen=True, eq=False)
class Result:
    """Scores, and how they came about.

    ratings: what was scored
    options: the resolved options, as JSON values
    status: [N] uint8, position in `STATUSES`, in the order of `ratings`.  An outlier is called so whether or not its
        rater is excluded as well
    z: [N] float64, normalised by the rater's retained ratings of the dimension, removed ratings too; NaN without
    scores: one row for every item and dimension, ordered by both: item, dimension, mos, sd (of the ratings behind
        the mean), se, ci95 (half-width; named after the confidence asked for), n (ratings behind the mean),
        n_rejected, and reason, null or why there is no score (no_ratings, all_excluded, too_few).  Score points
    raters: one row for every rater: rater, n, outliers, share, expected_share (were all raters alike and Gaussian),
        excluded (none of the ratings counts) and reason (outlier_share, constant, too_few; no_ratings), else null
    summary: counts in and out, shares, `expected_false_exclusions` (how many raters chance alone would be expected to
        exclude for their share of outliers, were all alike and Gaussian) and `warnings`, sentences for a person;
        JSON values
    """

    ratings: Ratings
    options: dict[str, Any]
    status: np.ndarray
    z: np.ndarray
    scores: pa.Table
    raters: pa.Table
    summary: dict[str, Any]
    decisions: Callable[[], pa.Table] = field(repr=False)  # makes `exclusions`

    @cached_property
    def exclusions(self) -> pa.Table:
        """See `ledger`; made when it is first asked for."""
        return self.decisions()

    def ledger(self) -> pa.Table:
        """Every decision to leave something out: raters first, then outlying ratings.

        what (rating | rater), item, rater, dimension, index (row of the coded table), rule (outlier, outlier_share,
        constant, too_few), statistic, threshold, and margin, how far the statistic is beyond the threshold.  The
        other ratings of an excluded rater follow from that rater's line.
        """
        return self.exclusions


def why_no_score(n: np.ndarray, given: np.ndarray, min_ratings: int) -> np.ndarray:
    """Position in `NO_SCORE`, -1 where there is a score.

    n, given: [items * dimensions] ratings behind the mean, and before anything was removed.
    """
    return np.where(n >= min_ratings, -1, np.select([given == 0, n == 0], [0, 1], 2))


def why_not_used(shares: RaterShares, fates: np.ndarray) -> np.ndarray:
    """Position in `NOT_USED` for every rater, -1 where ratings of the rater count.

    fates: [raters, statuses] bool, whether a rating of the rater that is no outlier has the status
    """
    used, constant = fates[:, KEPT], fates[:, RATER_CONSTANT]
    return np.select([shares.n == 0, shares.excluded, ~used & constant, ~used], [0, 1, 2, 3], -1)


def score_table(ratings: Ratings, means: Means, given: np.ndarray, no_score: np.ndarray, confidence: float) -> pa.Table:
    """`Result.scores`.  given: [items * dimensions] ratings before anything was removed; no_score: `why_no_score`."""
    items, dimensions = len(ratings.items), len(ratings.dimensions)
    known = no_score < 0

    def points(values: np.ndarray) -> pa.Array:
        return numbers(values, known & ~np.isnan(values))

    return pa.table(
        {
            "item": ratings.items.take(numbers(np.repeat(np.arange(items, dtype=np.int32), dimensions))),
            "dimension": ratings.dimensions.take(numbers(np.tile(np.arange(dimensions, dtype=np.int32), items))),
            "mos": points(means.mos),
            "sd": points(means.sd),
            "se": points(means.se),
            f"ci{100 * confidence:g}": points(means.ci),
            "n": numbers(means.n.astype(np.int32)),
            "n_rejected": numbers((given - means.n).astype(np.int32)),
            "reason": chosen(texts(NO_SCORE), no_score),
        }
    )


def rater_table(ratings: Ratings, shares: RaterShares, expected_share: np.ndarray, not_used: np.ndarray) -> pa.Table:
    """`Result.raters`.  expected_share: [raters], NaN without ratings; not_used: `why_not_used`."""
    rated = shares.n > 0
    return pa.table(
        {
            "rater": ratings.raters,
            "n": numbers(shares.n),
            "outliers": numbers(shares.outliers),
            "share": numbers(shares.outliers / np.maximum(shares.n, 1), rated),
            "expected_share": numbers(expected_share, rated),
            "excluded": truths(not_used > 0),
            "reason": chosen(texts(NOT_USED), not_used),
        }
    )
