"""Ranks with ties, rank correlations, and distinct keys.

Ranks are those of a whole array, or of every block of it. Keys are counted without sorting where a table of
all keys is small.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments, largest_magnitude


class DistinctKeys(NamedTuple):
    """The distinct values of an array of keys.

    key: [keys] int64, ascending
    position: [N] position in `key` of each row
    rows: [keys] number of rows of each key
    """

    key: NDArray[Any]
    position: NDArray[Any]
    rows: NDArray[Any]


def find_distinct_keys(keys: NDArray[Any], bound: int) -> DistinctKeys:
    """The distinct values of `keys` [N] int64 in 0..bound-1, with positions and counts."""
    if bound > len(keys) + 1_000_000:
        return DistinctKeys(*np.unique(keys, return_inverse=True, return_counts=True))
    count = np.bincount(keys, minlength=bound)
    present = np.flatnonzero(count)
    position = np.zeros(bound, np.int64)
    position[present] = np.arange(len(present))
    return DistinctKeys(present, position[keys], count[present])


EQUAL_TOLERANCE = 1e-10  # numbers closer than this share of the largest are equal: sums depend on the order


def rank_with_ties(values: NDArray[Any]) -> NDArray[Any]:
    """Rank values from 1; equal values get the mean of their ranks.

    Parameters
    ----------
    values : ndarray of int or float, shape (N,)

    Returns
    -------
    ndarray of float64, shape (N,)

    Examples
    --------
    >>> rank_with_ties(np.array([3, 1, 3])).tolist()
    [2.5, 1.0, 2.5]
    """
    # The same as scipy.stats.rankdata, and 3 to 16 times as fast (20,000 floats, whole numbers).
    if values.dtype.kind == "i" and len(values) and np.ptp(values) <= 4 * len(values):  # count: no need to sort
        values = values - values.min()
        counts = np.bincount(values)
        result: NDArray[Any] = (np.cumsum(counts) - (counts - 1) / 2)[values]
        return result
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(values)])
    sizes = np.diff(starts, append=len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return ranks


def spearman_correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Spearman's rank correlation of two arrays [N]; NaN below two values or when one of them is constant."""
    if len(one) < 2:
        return math.nan
    middle = (len(one) + 1) / 2
    x, y = rank_with_ties(one) - middle, rank_with_ties(other) - middle
    # Not x @ y: the linear algebra library wakes its threads for it, which takes longer than the sum.
    spread = np.einsum("i,i->", x, x) * np.einsum("i,i->", y, y)
    return float(np.einsum("i,i->", x, y) / math.sqrt(spread)) if spread > 0 else math.nan


def to_decimal_steps(values: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """[N] the values in multiples of a decimal step, and True; the values as they are, and False, where none fits."""
    reach = largest_magnitude(values)
    for steps in (1, 2, 10, 100, 1000):
        multiples = np.rint(values * steps)
        if reach * steps < 1e6 and (np.abs(values * steps - multiples) <= EQUAL_TOLERANCE * reach * steps).all():
            return multiples, True
    return values, False


def rank_within_blocks(codes: NDArray[Any], block: NDArray[Any]) -> NDArray[Any]:
    """[N] float64 ranks from 1 inside every block; equal codes share the mean of their ranks.

    codes: [N] int64 from 0, ordered as the values are; block: [N] int64 from 0.
    """
    size = int(codes.max(initial=0)) + 1
    found = find_distinct_keys(block * size + codes, (int(block.max(initial=0)) + 1) * size)
    before = np.cumsum(found.rows) - found.rows
    owner = found.key // size
    start = np.searchsorted(owner, owner)  # first key of the same block
    values: NDArray[Any] = (before - before[start] + (found.rows + 1) / 2)[found.position]
    return values


def pooled_correlation(
    x: NDArray[Any], y: NDArray[Any], block: NDArray[Any], raters: int, dimensions: int
) -> NDArray[Any]:
    """[raters] Pearson's r of x and y [N] within dimensions; NaN below three ratings, or where x or y is constant.

    Sums of squares and products are taken around the mean of every block [N] (rater * dimensions + dimension) and
    added up, because a dimension with higher ratings from all raters is no agreement.
    """
    blocks = raters * dimensions

    def total(values: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = values.reshape(raters, dimensions).sum(axis=1)
        return result

    one, other = group_moments(x, block, blocks), group_moments(y, block, blocks)
    product = np.bincount(block, (x - one.mean[block]) * (y - other.mean[block]), blocks)
    spread = np.sqrt(total(one.ss)) * np.sqrt(total(other.ss))
    known = (total(one.n) >= 3) & (spread > 0)
    r = np.full(raters, np.nan)
    np.divide(total(product), spread, out=r, where=known)
    return np.clip(r, -1, 1)
