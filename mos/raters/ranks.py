"""Average ranks and correlations inside each rater's dimensions, pooled over dimensions."""

from __future__ import annotations

import numpy as np

from mos.moments import moments
from mos.raters.distinct import distinct


def average_ranks(codes: np.ndarray, block: np.ndarray) -> np.ndarray:
    """[N] float64 ranks from 1 inside every block; equal codes share the mean of their ranks.

    codes: [N] int64 from 0, ordered as the values are; block: [N] int64 from 0.
    """
    size = int(codes.max(initial=0)) + 1
    found = distinct(block * size + codes, (int(block.max(initial=0)) + 1) * size)
    before = np.cumsum(found.rows) - found.rows
    owner = found.key // size
    start = np.searchsorted(owner, owner)  # first key of the same block
    return (before - before[start] + (found.rows + 1) / 2)[found.position]


def pooled_correlation(x: np.ndarray, y: np.ndarray, block: np.ndarray, raters: int, dimensions: int) -> np.ndarray:
    """[raters] Pearson's r of x and y [N] within dimensions; NaN below three ratings, or where x or y is constant.

    Sums of squares and products are taken around the mean of every block [N] (rater * dimensions + dimension) and
    added up: that one dimension has higher ratings than another, for everyone, is no agreement.
    """
    blocks = raters * dimensions

    def total(values: np.ndarray) -> np.ndarray:
        return values.reshape(raters, dimensions).sum(axis=1)

    one, other = moments(x, block, blocks), moments(y, block, blocks)
    product = np.bincount(block, (x - one.mean[block]) * (y - other.mean[block]), blocks)
    spread = np.sqrt(total(one.ss)) * np.sqrt(total(other.ss))
    known = (total(one.n) >= 3) & (spread > 0)
    r = np.full(raters, np.nan)
    np.divide(total(product), spread, out=r, where=known)
    return np.clip(r, -1, 1)
