"""A number that says how well raters agree, with its interval, what it rests on, and how to read it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# How a person should read each number of `mos.agreement.table`, in its order.
READING = {
    "krippendorff_interval": "Agreement beyond chance of single ratings, differences squared: 1 is perfect, 0 chance.",
    "krippendorff_ordinal": "The same of the order of the ratings alone, whatever the distances between grades.",
    "ICC(1,1)": "Reliability of one rating by just anyone; severe and mild raters count as noise.",
    "ICC(A,1)": "Absolute agreement of single ratings: would another rater give the same number?",
    "ICC(C,1)": "Consistency of single ratings: would another rater put the items in the same order and distances?",
    "ICC(1,k)": "Reliability of the mean of an item's ratings, each by just anyone.",
    "ICC(A,k)": "Absolute agreement of means: would another panel of this size give the same mean opinion scores?",
    "ICC(C,k)": "Consistency of means: would another panel of this size find the same differences between items?",
    "item_sd": "Standard deviation of the items' true quality, in points of the scale: the signal.",
    "rater_sd": "Standard deviation of the raters' severity, in points: what absolute agreement loses to consistency.",
    "residual_sd": "Standard deviation of one rating once item and severity are known, in points: the noise.",
    "split_half_srcc": "Rank correlation of the mean scores of two random halves of the raters.",
    "split_half_srcc_corrected": "The same foretold for two panels as large as the whole one (Spearman-Brown).",
    "sos_a": "How diverse opinions are beyond what the mean dictates: 0 not at all, 1 the ends of the scale alone.",
}


@dataclass(frozen=True, slots=True)
class Coefficient:
    """value, ci_low, ci_high: None where undefined.

    interval: what ci_low and ci_high are, None without
    items, raters, ratings: what the value rests on
    note: why there is no value, or what to know before using it; None when all is well
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    interval: str | None
    items: int
    raters: int
    ratings: int
    note: str | None


def coefficient(
    value: float,
    ci: tuple[float, float] | None,
    interval: str | None,
    size: tuple[int, int, int],
    note: str | None = None,
) -> Coefficient:
    """A coefficient of numbers that may be NaN.  size: items, raters and ratings that it rests on."""
    low, high = ci or (math.nan, math.nan)
    known = math.isfinite(value) and math.isfinite(low) and math.isfinite(high)
    return Coefficient(
        value=float(value) if math.isfinite(value) else None,
        ci_low=float(low) if known else None,
        ci_high=float(high) if known else None,
        interval=interval if known else None,
        items=size[0],
        raters=size[1],
        ratings=size[2],
        note=note,
    )


def middle(values: np.ndarray, level: float) -> tuple[float, float]:
    """The interval that holds the middle share `level` of `values`, NaN left out; NaN when none is left."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
