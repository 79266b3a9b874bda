"""What scoring gives: a status and z for every rating, a score for every item and dimension, a row for every rater."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mos.scores import Means
from mos.screening import RaterShares
from mos.table import Ratings

# What became of a rating; `Result.status` holds positions in this list.
STATUSES = ("kept", "outlier", "rater_excluded", "rater_constant", "rater_too_few")
KEPT, OUTLIER, RATER_EXCLUDED, RATER_CONSTANT, RATER_TOO_FEW = range(len(STATUSES))

_NO_SCORE = ("no_ratings", "all_excluded", "too_few")
_NOT_USED = ("no_ratings", "outlier_share", "constant", "too_few")


@dataclass(frozen=True, slots=True, eq=False)
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
    exclusions: see `ledger`
    summary: counts in and out, shares and `warnings`, sentences for a person; JSON values
    """

    ratings: Ratings
    options: dict[str, Any]
    status: np.ndarray
    z: np.ndarray
    scores: pa.Table
    raters: pa.Table
    exclusions: pa.Table
    summary: dict[str, Any]

    def ledger(self) -> pa.Table:
        """Every decision to leave something out: raters first, then outlying ratings.

        what (rating | rater), item, rater, dimension, index (row of the coded table), rule (outlier, outlier_share,
        constant, too_few), statistic, threshold, and margin, how far the statistic is beyond the threshold.  The
        other ratings of an excluded rater follow from that rater's line.
        """
        return self.exclusions


def score_table(ratings: Ratings, means: Means, given: np.ndarray, min_ratings: int, confidence: float) -> pa.Table:
    """`Result.scores`.  given: [items * dimensions] ratings before anything was removed."""
    items, dimensions = len(ratings.items), len(ratings.dimensions)
    reason = np.select([given == 0, means.n == 0, means.n < min_ratings], [0, 1, 2], -1)
    unknown = reason >= 0

    def points(values: np.ndarray) -> pa.Array:
        return pa.array(values, mask=unknown | np.isnan(values))

    return pa.table(
        {
            "item": ratings.items.take(pa.array(np.repeat(np.arange(items), dimensions))),
            "dimension": ratings.dimensions.take(pa.array(np.tile(np.arange(dimensions), items))),
            "mos": points(means.mos),
            "sd": points(means.sd),
            "se": points(means.se),
            f"ci{100 * confidence:g}": points(means.ci),
            "n": pa.array(means.n.astype(np.int32)),
            "n_rejected": pa.array((given - means.n).astype(np.int32)),
            "reason": _named(_NO_SCORE, reason),
        }
    )


def rater_table(ratings: Ratings, fates: np.ndarray, shares: RaterShares, chance: np.ndarray) -> pa.Table:
    """`Result.raters`.

    fates: [raters, statuses] bool, whether a rating of the rater that is no outlier has the status
    chance: [N] probability that the rating is flagged though its rater is like the others
    """
    raters = len(ratings.raters)
    rated = shares.n > 0
    n = np.where(rated, shares.n, np.nan)
    used, constant = fates[:, KEPT], fates[:, RATER_CONSTANT]
    reason = np.select([~rated, shares.excluded, ~used & constant, ~used], [0, 1, 2, 3], -1)
    return pa.table(
        {
            "rater": ratings.raters,
            "n": pa.array(shares.n),
            "outliers": pa.array(shares.outliers),
            "share": pa.array(shares.outliers / n, from_pandas=True),
            "expected_share": pa.array(
                np.bincount(ratings.rater, weights=chance, minlength=raters) / n, from_pandas=True
            ),
            "excluded": pa.array(reason > 0),
            "reason": _named(_NOT_USED, reason),
        }
    )


def _named(names: tuple[str, ...], position: np.ndarray) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(position, mask=position < 0))
