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

import numpy as np
import pyarrow as pa

from mos import ledger
from mos.errors import UserError
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
)
from mos.scores import average, normalise
from mos.screening import exclude_raters, flag_outliers, outlier_probability
from mos.summary import summarise
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
    group = ratings.item.astype(np.int64) * dimensions + ratings.dimension
    key = ratings.rater.astype(np.int64) * dimensions + ratings.dimension

    outliers = flag_outliers(ratings.score, group, items * dimensions, options.sigma, options.outlier_ddof)
    shares = exclude_raters(ratings.rater, raters, outliers.flag, options.share)
    retained = np.flatnonzero(~outliers.flag)
    own = normalise(ratings.score, key, raters * dimensions, retained, options.z_ddof)

    fate = np.full(raters * dimensions, KEPT, np.uint8)
    fate[own.constant] = RATER_CONSTANT
    fate[own.too_few] = RATER_TOO_FEW
    fate[np.repeat(shares.excluded, dimensions)] = RATER_EXCLUDED
    status = fate[key]
    trimmed = np.flatnonzero(outliers.flag & (status == KEPT))
    status[outliers.flag] = OUTLIER
    kept = np.flatnonzero(status == KEPT)

    found = outliers.moments
    chance = outlier_probability(found.n, options.sigma, options.outlier_ddof)
    means = average(own.z, group, len(found.n), kept, trimmed, options.confidence)
    scores = score_table(ratings, means, found.n, options.min_ratings, options.confidence)
    met = (fate[:, None] == np.arange(len(STATUSES))) & (own.moments.n > 0)[:, None]
    table = rater_table(ratings, met.reshape(raters, dimensions, len(STATUSES)).any(axis=1), shares, chance[group])
    rated = np.bincount(key, minlength=len(fate)) > 0
    exclusions = [
        ledger.excluded_raters(ratings, shares, float(options.share)),
        ledger.unusable_raters(ratings, own, rated, shares.excluded, options.z_ddof),
        ledger.outlying_ratings(ratings, outliers.flag, found, options.outlier_ddof, options.outlier_sigma),
    ]
    return Result(
        ratings=ratings,
        options=options.as_dict(),
        status=status,
        z=own.z,
        scores=scores,
        raters=table,
        exclusions=pa.concat_tables(exclusions),
        summary=summarise(ratings, status, kept, scores, table, chance, found.n),
    )
