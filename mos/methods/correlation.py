"""Screening of raters by their correlation with the mean (ITU-R BT.500-14, BT.1788), then the mean of the others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mos.methods.rater_columns import by_dimension
from mos.moments import moments
from mos.ratings import Ratings
from mos.scoring import ledger
from mos.scoring.estimate import KEPT, RATER_CONSTANT, RATER_EXCLUDED, Estimate, Fates, statuses
from mos.scoring.means import plain_means
from mos.scoring.options import Options
from mos.screening import correlation as rule


class CorrelationOptions(Options):
    """How the rule is read."""

    method: Literal["correlation"] = "correlation"
    statistic: Literal["pearson", "spearman", "min"] = Field(
        "pearson", description="The correlation that decides; min is the lower of the two, as in BT.1788."
    )
    leave_one_out: bool = Field(
        False, description="Correlate with the mean of the others; the recommendations use the mean of all."
    )
    max_threshold: float = Field(0.7, ge=-1, le=1, description="A rater who correlates better is never rejected.")
    min_items: int = Field(3, ge=2, description="A rater of fewer items is not judged.")


OPTIONS = CorrelationOptions


def estimate(ratings: Ratings, options: CorrelationOptions) -> Estimate:
    """Mean of the ratings of every item and dimension by raters who are not rejected in it."""
    dimensions = len(ratings.dimensions)
    keys, groups = len(ratings.raters) * dimensions, len(ratings.items) * dimensions
    found = rule.screen(
        rule.correlate(
            ratings.score, ratings.groups(), groups, ratings.rater_keys(), keys, leave_one_out=options.leave_one_out
        ),
        np.tile(np.arange(dimensions), len(ratings.raters)),
        dimensions,
        statistic=options.statistic,
        max_threshold=options.max_threshold,
        min_items=options.min_items,
    )
    given = np.bincount(ratings.rater_keys(), minlength=keys)
    fate = np.full(keys, KEPT, np.uint8)
    fate[found.reason == rule.LOW_CORRELATION] = RATER_EXCLUDED
    fate[found.reason == rule.CONSTANT] = RATER_CONSTANT
    fates = Fates(fate, np.zeros(0, np.int64), given, given)
    status = statuses(ratings, fates)
    return Estimate(
        unit="scale",
        value=ratings.score,
        status=status,
        means=plain_means(moments(ratings.score, ratings.groups(), groups, status == KEPT)),
        rated=np.bincount(ratings.groups(), minlength=groups),
        fates=fates,
        exclusion="correlation",
        by_dimension=True,
        columns=partial(_columns, ratings, found),
        decisions=partial(_decisions, ratings, found),
    )


def _columns(ratings: Ratings, found: rule.Screening) -> Mapping[str, pa.Array]:
    figures = {"pearson": found.correlations.pearson, "spearman": found.correlations.spearman}
    return by_dimension(ratings, figures)


def _decisions(ratings: Ratings, found: rule.Screening) -> list[pa.Table]:
    dimensions = len(ratings.dimensions)
    low = np.flatnonzero(found.reason == rule.LOW_CORRELATION)
    constant = np.flatnonzero((found.reason == rule.CONSTANT) & (found.correlations.n > 0))
    return [
        ledger.raters(
            ratings, "correlation", found.r[low], found.threshold[low % dimensions], low // dimensions, low % dimensions
        ),
        ledger.raters(ratings, "constant", np.zeros(len(constant)), 0.0, constant // dimensions, constant % dimensions),
    ]
