"""Whether a rater who rates an item again gives it the same score."""

from __future__ import annotations

import numpy as np

from mos.moments import moments
from mos.raters.ranks import pooled_correlation
from mos.raters.sheet import Sheet


def retest(sheet: Sheet) -> dict[str, np.ndarray]:
    """Columns retests, retest_difference, retest_pearson and retest_icc, from the first two ratings of an item."""
    first = sheet.first[np.diff(sheet.first, append=len(sheet.ratings)) > 1]
    one, two = sheet.ratings.score[first], sheet.ratings.score[first + 1]
    block = sheet.block[first]
    n = sheet.by_rater(np.bincount(block, minlength=sheet.blocks))
    apart = np.bincount(sheet.ratings.rater[first], np.abs(one - two), sheet.raters)
    return {
        "retests": n,
        "retest_difference": apart / np.where(n > 0, n, np.nan),
        "retest_pearson": pooled_correlation(one, two, block, sheet.raters, sheet.dimensions),
        "retest_icc": _icc(sheet, one, two, block),
    }


def _icc(sheet: Sheet, one: np.ndarray, two: np.ndarray, block: np.ndarray) -> np.ndarray:
    """[raters] ICC(1,1) of pairs one, two [pairs], items within dimensions (Shrout and Fleiss 1979, case 1).

    (MSB - MSW) / (MSB + MSW); NaN below three pairs, or where all ratings are equal.
    """
    means = moments((one + two) / 2, block, sheet.blocks)
    n = sheet.by_rater(means.n)
    freedom = n - sheet.by_rater(means.n > 0)
    between = 2 * sheet.by_rater(means.ss) / np.maximum(freedom, 1)
    within = sheet.by_rater(np.bincount(block, (one - two) ** 2 / 2, sheet.blocks)) / np.maximum(n, 1)
    icc = np.full(sheet.raters, np.nan)
    np.divide(between - within, between + within, out=icc, where=(n > 2) & (freedom > 0) & (between + within > 0))
    return icc
