"""The paper's way from ratings to mean opinion scores, end to end (section 3.2.3, equation 1).

1. A rating more than 2 standard deviations from the mean of its item and dimension is an outlier: removed.
2. A rater with more than 5 % outliers, all dimensions pooled, is excluded.
3. Each rater's remaining ratings of a dimension become z-scores.
4. An item's score is 100 (mean z + 3) / 6.

One pass, nothing is computed again after an exclusion.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow as pa

from mos import ledger
from mos.connectivity import components
from mos.errors import UserError
from mos.moments import Moments, blocks
from mos.result import (
    KEPT,
    OUTLIER,
    RATER_CONSTANT,
    RATER_EXCLUDED,
    RATER_TOO_FEW,
    STATUSES,
    Result,
    rater_table,
    score_table,
    why_no_score,
    why_not_used,
)
from mos.scores import Normalised, average, normalise
from mos.screening.chance import expected_exclusions, expected_shares, outlier_probability
from mos.screening.outliers import RaterShares, exclude_raters, flag_outliers
from mos.summary import Figures, summarise
from mos.table import Ratings


@dataclass(frozen=True, slots=True)
class PaperOptions:
    """Our readings of the paper's prose.

    outlier_sigma: how many standard deviations from the mean of its item and dimension make a rating an outlier
    outlier_ddof: 1 for BT.500's sample deviation, 0 for the population's
    max_outlier_share: a rater with a larger share of outliers is excluded; exact: "0.05" or "1/20"
    z_ddof: divisor n - z_ddof of the standard deviation in z
    min_ratings: an item with fewer remaining ratings has no score
    confidence: level of the intervals
    """

    outlier_sigma: float = 2.0
    outlier_ddof: int = 1
    max_outlier_share: str = "0.05"
    z_ddof: int = 1
    min_ratings: int = 2
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _demand(0 < self.outlier_sigma < float("inf"), "outlier_sigma", "a positive number", self.outlier_sigma)
        _demand(self.outlier_ddof in (0, 1), "outlier_ddof", "0 or 1", self.outlier_ddof)
        _demand(self.z_ddof in (0, 1), "z_ddof", "0 or 1", self.z_ddof)
        _demand(self.min_ratings >= 1, "min_ratings", "1 or more", self.min_ratings)
        _demand(0 < self.confidence < 1, "confidence", "a number between 0 and 1", self.confidence)
        _demand(0 <= self.share <= 1, "max_outlier_share", "a share from 0 to 1", self.max_outlier_share)

    @property
    def sigma(self) -> Fraction:
        """`outlier_sigma` as the decimal that was written."""
        return Fraction(str(self.outlier_sigma))

    @property
    def share(self) -> Fraction:
        """`max_outlier_share` as the decimal that was written."""
        try:
            return Fraction(str(self.max_outlier_share))
        except (ValueError, ZeroDivisionError):
            raise UserError(f"max_outlier_share must be a share from 0 to 1; got {self.max_outlier_share}.") from None

    def as_dict(self) -> dict[str, str | int | float]:
        """The options as JSON values, for the provenance of what was computed with them."""
        return {
            "method": "paper",
            "outlier_sigma": self.outlier_sigma,
            "outlier_ddof": self.outlier_ddof,
            "max_outlier_share": str(self.max_outlier_share),
            "z_ddof": self.z_ddof,
            "min_ratings": self.min_ratings,
            "confidence": self.confidence,
        }


def _demand(holds: bool, name: str, expected: str, came: object) -> None:
    if not holds:
        raise UserError(f"{name} must be {expected}; got {came}.")


def score(ratings: Ratings, options: PaperOptions | None = None) -> Result:
    """Score every item in every dimension, keeping for each rating and rater what became of it and why."""
    options = options or PaperOptions()
    dimensions, items, raters = len(ratings.dimensions), len(ratings.items), len(ratings.raters)
    group, key = ratings.groups(), ratings.rater_keys()

    outliers = flag_outliers(ratings.score, group, items * dimensions, options.sigma, options.outlier_ddof)
    shares = exclude_raters(ratings.rater, raters, outliers.flag, options.share)
    outlying = np.flatnonzero(outliers.flag)
    own = normalise(ratings.score, key, raters * dimensions, ~outliers.flag, options.z_ddof)

    fate = np.full(raters * dimensions, KEPT, np.uint8)
    fate[own.constant] = RATER_CONSTANT
    fate[own.too_few] = RATER_TOO_FEW
    fate[np.repeat(shares.excluded, dimensions)] = RATER_EXCLUDED
    status = np.empty(len(ratings), np.uint8)
    for rows in blocks(len(ratings)):
        status[rows] = fate[key[rows].astype(np.intp, copy=False)]
    trimmed = outlying[status[outlying] == KEPT]
    status[outlying] = OUTLIER
    kept = status == KEPT

    given = outliers.moments.n
    means = average(own.z, group, len(given), kept, trimmed, options.confidence)
    no_score = why_no_score(means.n, given, options.min_ratings)
    met = (fate[:, None] == np.arange(len(STATUSES))) & (own.moments.n > 0)[:, None]
    not_used = why_not_used(shares, met.reshape(raters, dimensions, len(STATUSES)).any(axis=1))
    chance = outlier_probability(given, options.sigma, options.outlier_ddof)
    expected_share = expected_shares(ratings.rater, shares.n, group, chance)
    fates = np.bincount(fate, own.moments.n, len(STATUSES)).astype(np.int64)
    fates[OUTLIER] = len(outlying)
    figures = Figures(
        fates=fates,
        mos=means.mos,
        no_score=no_score,
        not_used=not_used,
        given=given,
        chance=chance,
        false_exclusions=expected_exclusions(shares.n, expected_share, options.share),
        components=components(ratings, kept, met[:, KEPT].reshape(raters, dimensions)),
    )
    return Result(
        ratings=ratings,
        options=options.as_dict(),
        status=status,
        z=own.z,
        scores=score_table(ratings, means, given, no_score, options.confidence),
        raters=rater_table(ratings, shares, expected_share, not_used),
        summary=summarise(ratings, figures),
        decisions=partial(_decisions, ratings, outlying, outliers.moments, shares, own, options),
    )


def _decisions(
    ratings: Ratings, outlying: np.ndarray, found: Moments, shares: RaterShares, own: Normalised, options: PaperOptions
) -> pa.Table:
    tables = [
        ledger.excluded_raters(ratings, shares, float(options.share)),
        ledger.unusable_raters(ratings, own, shares.excluded, options.z_ddof),
        ledger.outlying_ratings(ratings, outlying, found, options.outlier_ddof, options.outlier_sigma),
    ]
    return pa.concat_tables(tables)
