"""Which scores a rater uses: how many, how far apart, how evenly, how often the ends."""

from __future__ import annotations

import numpy as np

from mos.raters.distinct import distinct
from mos.raters.sheet import Sheet

_MOST_LEVELS = 21  # 0 to 10 in halves; with more distinct scores a scale counts as continuous
_BINS = 10


def scale_use(sheet: Sheet) -> dict[str, np.ndarray]:
    """Columns levels, range_used, entropy and extremes; each [raters], all dimensions together.

    A scale on which the table has more than 21 distinct scores is cut into ten equal bins for entropy and extremes.
    """
    ratings = sheet.ratings
    found = max(len(sheet.levels), 1)
    n = sheet.count()
    low, high = ratings.scale
    rated = n > 1
    keys = distinct(ratings.rater.astype(np.int64) * found + sheet.level, sheet.raters * found)
    rater, level = np.divmod(keys.key, found)
    levels = np.bincount(rater, minlength=sheet.raters)
    first = np.searchsorted(rater, np.flatnonzero(rated))
    extent = np.full(sheet.raters, np.nan)
    if high > low:
        used = sheet.levels[level[first + levels[rated] - 1]] - sheet.levels[level[first]]
        extent[rated] = np.clip(used / (high - low), 0, 1)
    bins, size, ends = _binned(sheet)
    return {
        "levels": np.where(rated, levels, np.nan),
        "range_used": extent,
        "entropy": np.where(rated, _entropy(ratings.rater, bins, size, n), np.nan),
        "extremes": sheet.count(ends) / np.where(rated, n, np.nan),
    }


def _binned(sheet: Sheet) -> tuple[np.ndarray, int, np.ndarray]:
    """[N] int64 bin of every score, how many bins there are, and [N] bool whether it is at either end of the scale."""
    low, high = sheet.ratings.scale
    if len(sheet.levels) <= _MOST_LEVELS:
        # Levels lost their last bits, the ends of the scale did not.
        near = [np.abs(sheet.levels - end) <= 1e-9 * (high - low) for end in (low, high)]
        return sheet.level, len(sheet.levels), (near[0] | near[1])[sheet.level]
    bins = np.clip((sheet.levels - low) / (high - low) * _BINS, 0, _BINS - 1).astype(np.int64)
    return bins[sheet.level], _BINS, np.isin(bins, (0, _BINS - 1))[sheet.level]


def _entropy(rater: np.ndarray, bins: np.ndarray, size: int, n: np.ndarray) -> np.ndarray:
    """[raters] bits of each rater's distribution over `size` bins, as a share of those of an even one.

    NaN with a single bin.
    """
    if size < 2:
        return np.full(len(n), np.nan)
    count = np.bincount(rater.astype(np.int64) * size + bins, minlength=len(n) * size).reshape(len(n), size)
    share = count / np.maximum(n, 1)[:, None]
    bits = -(share * np.log2(np.where(share > 0, share, 1))).sum(axis=1)
    return np.clip(bits / np.log2(size), 0, 1)
