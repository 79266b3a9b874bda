"""Ranks of numbers, equal numbers sharing theirs, and the rank correlation."""

from __future__ import annotations

import math

import numpy as np

from mos.moments import largest

GRAIN = 1e-10  # numbers closer than this share of the largest are equal: sums in another order are


def midranks(values: np.ndarray) -> np.ndarray:
    """[N] float64 ranks from 1 of `values` [N]; equal values get the mean of the ranks that they take up together."""
    if values.dtype.kind == "i" and len(values) and np.ptp(values) <= 4 * len(values):  # count: no need to sort
        values = values - values.min()
        counts = np.bincount(values)
        return (np.cumsum(counts) - (counts - 1) / 2)[values]
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(values)])
    sizes = np.diff(starts, append=len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return ranks


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of two arrays [N]; NaN below two values or when one of them is constant."""
    if len(one) < 2:
        return math.nan
    middle = (len(one) + 1) / 2
    x, y = midranks(one) - middle, midranks(other) - middle
    # Not x @ y: the linear algebra library wakes its threads for it, which takes longer than the sum.
    spread = np.einsum("i,i->", x, x) * np.einsum("i,i->", y, y)
    return float(np.einsum("i,i->", x, y) / math.sqrt(spread)) if spread > 0 else math.nan


def whole(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """[N] the values in multiples of a decimal step, and True; the values as they are, and False, where none fits."""
    reach = largest(values)
    for steps in (1, 2, 10, 100, 1000):
        multiples = np.rint(values * steps)
        if reach * steps < 1e6 and (np.abs(values * steps - multiples) <= GRAIN * reach * steps).all():
            return multiples, True
    return values, False
