"""Array kernels of the metrics: counts of pixels below positives, and moments of two maps, block by block.

Sums are float64 whatever the type of a map. A block fits into a core's cache, so that no array of the size of a map is
made but the sorted copy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from editfhf.png import scratch_buffer

BLOCK_PIXELS = 1 << 14

THREADED_PIXELS = 1 << 18
"""Number of pixels from which a second thread saves more time than it takes to start."""


class PositiveRanks(NamedTuple):
    """How many pixels lie below and at each positive; the positives ascend.

    below : int64 [N], pixels with a smaller value
    upto : int64 [N], pixels with a smaller or the same value
    pixels : number of all pixels
    """

    below: NDArray[Any]
    upto: NDArray[Any]
    pixels: int


def rank_positives(values: NDArray[Any], positions: NDArray[Any]) -> PositiveRanks:
    """Count the values [P] below and at those at `positions` [N]; no value is NaN.

    >>> rank_positives(np.array([0.1, 0.3, 0.3, 0.9]), np.array([3, 1]))
    PositiveRanks(below=array([1, 3]), upto=array([3, 4]), pixels=4)
    """
    ordered = scratch_buffer("metrics.ordered", len(values), values.dtype.type)
    wanted = np.sort(values.take(positions))
    half = len(values) // 2
    if len(values) < THREADED_PIXELS or len(os.sched_getaffinity(0)) == 1:
        return PositiveRanks(*_count_below(values, ordered, wanted), len(values))
    # Sorting takes most of the time and lets other threads run; counts of two halves add up.
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(_count_below, values[half:], ordered[half:], wanted)
        below, upto = _count_below(values[:half], ordered[:half], wanted)
        more_below, more_upto = second.result()
    return PositiveRanks(below + more_below, upto + more_upto, len(values))


def _count_below(
    values: NDArray[Any], ordered: NDArray[Any], wanted: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Count the values below each of those wanted [N], which ascend, and up to each; `ordered` is overwritten."""
    np.copyto(ordered, values)
    ordered.sort()
    # Ascending questions go through the ordered values once, in the cache.
    below = np.searchsorted(ordered, wanted)
    upto = below + (ordered.take(below, mode="clip") == wanted)
    tied = np.flatnonzero((upto > below) & (ordered.take(upto, mode="clip") == wanted))
    if len(tied):
        upto[tied] = np.searchsorted(ordered, wanted[tied], side="right")
    return below, upto


class MapRange(NamedTuple):
    """Minimum, maximum and sum of a map; NaN where a value is NaN."""

    low: float
    high: float
    total: float


def scan_map(values: NDArray[Any]) -> MapRange:
    """Minimum, maximum and sum of the values [P] of one map."""
    return MapRange(float(values.min()), float(values.max()), float(np.add.reduce(values, dtype=np.float64)))


class MapProducts(NamedTuple):
    """Sums over the pixels of two maps p and g, their means taken off: squares of each, and products."""

    pp: float
    gg: float
    pg: float


def centred_products(p: NDArray[Any], g: NDArray[Any], p_mean: float, g_mean: float) -> MapProducts:
    """Sums of squares and products of two maps [P] around their means."""
    pp = gg = pg = 0.0
    for first, second in _block_pairs(p, g):
        first -= p_mean
        second -= g_mean
        # Not first @ first: the linear algebra library wakes its threads for it, which takes longer than the sum.
        pp += float(np.einsum("i,i->", first, first))
        gg += float(np.einsum("i,i->", second, second))
        pg += float(np.einsum("i,i->", first, second))
    return MapProducts(pp, gg, pg)


def shared_mass(p: NDArray[Any], g: NDArray[Any], p_low: float, g_low: float, ratio: float) -> float:
    """Sum of min(p - p_low, ratio * (g - g_low)) over the pixels of two maps [P]."""
    shared = 0.0
    for first, second in _block_pairs(p, g):
        first -= p_low
        second -= g_low
        second *= ratio
        np.minimum(first, second, out=first)
        shared += float(first.sum())
    return shared


def sum_over_mass(
    p: NDArray[Any], g: NDArray[Any], term: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
) -> float:
    """Sum of `term(p, g)` over the pixels where g is not 0; the term gets float64 arrays and may change them."""
    total = 0.0
    for first, second in _block_pairs(p, g):
        there = np.flatnonzero(second != 0)  # of float64 itself it takes five times as long
        if len(there) == len(second):
            total += float(term(first, second).sum())
        elif len(there):
            total += float(term(first.take(there), second.take(there)).sum())
    return total


def _block_pairs(p: NDArray[Any], g: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Blocks of two maps [P] as float64; the arrays are valid until the next block, and may be changed."""
    for start in range(0, len(p), BLOCK_PIXELS):
        size = min(BLOCK_PIXELS, len(p) - start)
        first = scratch_buffer("metrics.first", BLOCK_PIXELS, np.float64)[:size]
        second = scratch_buffer("metrics.second", BLOCK_PIXELS, np.float64)[:size]
        np.copyto(first, p[start : start + size])
        np.copyto(second, g[start : start + size])
        yield first, second
