"""Behaviour of a rater: use of the scale, straight-lining (equal scores for successive items, or in all dimensions of
an item), and drift over the session.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments
from mos.ranks import find_distinct_keys
from mos.raters.agreement import item_design_effect
from mos.raters.design import RaterDesign

_MAX_LEVELS = 21  # 0 to 10 in halves; with more distinct scores a scale counts as continuous


_CONTINUOUS_BINS = 10


def measure_scale_use(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Columns levels, range_used, entropy and extremes; each [raters], all dimensions together.

    A scale on which the table has more than 21 distinct scores is cut into ten equal bins for entropy and extremes.
    """
    ratings = sheet.ratings
    level_count = max(len(sheet.levels), 1)
    n = sheet.count()
    low, high = ratings.scale
    rated = n > 1
    keys = find_distinct_keys(ratings.rater.astype(np.int64) * level_count + sheet.level, sheet.raters * level_count)
    rater, level = np.divmod(keys.key, level_count)
    levels = np.bincount(rater, minlength=sheet.raters)
    first = np.searchsorted(rater, np.flatnonzero(rated))
    extent = np.full(sheet.raters, np.nan)
    if high > low:
        used = sheet.levels[level[first + levels[rated] - 1]] - sheet.levels[level[first]]
        extent[rated] = np.clip(used / (high - low), 0, 1)
    bins, size, ends = _bin_scores(sheet)
    return {
        "levels": np.where(rated, levels, np.nan),
        "range_used": extent,
        "entropy": np.where(rated, _normalized_entropy(ratings.rater, bins, size, n), np.nan),
        "extremes": sheet.count(ends) / np.where(rated, n, np.nan),
    }


def _bin_scores(sheet: RaterDesign) -> tuple[NDArray[Any], int, NDArray[Any]]:
    """[N] int64 bin of every score, the number of bins, and [N] bool whether it is at either end of the scale."""
    low, high = sheet.ratings.scale
    if len(sheet.levels) <= _MAX_LEVELS:
        # The levels are rounded, the ends of the scale are not.
        near = [np.abs(sheet.levels - end) <= 1e-9 * (high - low) for end in (low, high)]
        return sheet.level, len(sheet.levels), (near[0] | near[1])[sheet.level]
    bins = np.clip((sheet.levels - low) / (high - low) * _CONTINUOUS_BINS, 0, _CONTINUOUS_BINS - 1).astype(np.int64)
    return bins[sheet.level], _CONTINUOUS_BINS, np.isin(bins, (0, _CONTINUOUS_BINS - 1))[sheet.level]


def _normalized_entropy(rater: NDArray[Any], bins: NDArray[Any], size: int, n: NDArray[Any]) -> NDArray[Any]:
    """[raters] entropy of each rater's distribution over `size` bins, as a share of that of the uniform distribution.

    NaN with a single bin.
    """
    if size < 2:
        return np.full(len(n), np.nan)
    count = np.bincount(rater.astype(np.int64) * size + bins, minlength=len(n) * size).reshape(len(n), size)
    share = count / np.maximum(n, 1)[:, None]
    bits = -(share * np.log2(np.where(share > 0, share, 1))).sum(axis=1)
    entropy: NDArray[Any] = np.clip(bits / np.log2(size), 0, 1)
    return entropy


def measure_straight_lining(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Columns repeats, repeats_expected, repeats_excess, longest_run, longest_run_p, alike, alike_expected."""
    return _count_repeats(sheet) | _count_alike(sheet)


def _count_repeats(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Equal neighbours and runs in each rater's sequence, dimension by dimension.

    Expected under random order: of a block's n scores, c_v of them equal to v, two neighbours are equal with the
    probability sum c_v (c_v - 1) / (n (n - 1)).
    """
    order = sheet.order
    if sheet.dimensions > 1:
        order = order[np.argsort(sheet.block[order], kind="stable")]
    block, level = sheet.block[order], sheet.level[order]
    start = np.flatnonzero(np.append(True, (block[1:] != block[:-1]) | (level[1:] != level[:-1])))[: len(order)]
    length = np.diff(start, append=len(order))
    equal = np.bincount(block[start], length - 1, sheet.blocks)
    run = np.zeros(sheet.raters)
    np.maximum.at(run, block[start] // max(sheet.dimensions, 1), length)

    size = max(len(sheet.levels), 1)
    keys, _, count = find_distinct_keys(block * size + level, sheet.blocks * size)
    owner = keys // size
    n = np.bincount(block, minlength=sheet.blocks)
    expected = np.bincount(owner, count * (count - 1) / n[owner], sheet.blocks)
    pairs = sheet.by_rater(np.maximum(n - 1, 0))
    pairs = np.where(pairs > 0, pairs, np.nan)
    rated = sheet.by_rater(n) > 1
    seen, by_chance = sheet.by_rater(equal) / pairs, sheet.by_rater(expected) / pairs
    chance = _run_probability(run, owner // max(sheet.dimensions, 1), count, n[owner])
    return {
        "repeats": seen,
        "repeats_expected": by_chance,
        "repeats_excess": seen - by_chance,
        "longest_run": np.where(rated, run, np.nan),
        "longest_run_p": np.where(rated, chance, np.nan),
    }


def _run_probability(run: NDArray[Any], rater: NDArray[Any], count: NDArray[Any], n: NDArray[Any]) -> NDArray[Any]:
    """[raters] upper bound of the probability of a run of at least `run` equal scores in random order.

    rater, count, n: [keys] for each score in each block: the rater, how often the score occurs, and the number of
    ratings.  The probability of such a run is at most the expected number of such runs, which is computed exactly: L
    given places hold v with the probability [c]_L / [n]_L (falling factorials), and a run of v begins at the first
    place, or at one of n - L others after a different score, (n - c) / (n - L).  Together [c]_L / [n]_L (1 + n - c),
    summed over scores and blocks.  The bound is tight where it is small; it is cut at 1.
    """
    from scipy.special import gammaln

    length = run[rater]
    long = count >= length
    rater, count, n, length = rater[long], count[long], n[long], length[long]
    log_share = gammaln(count + 1) - gammaln(count - length + 1) - gammaln(n + 1) + gammaln(n - length + 1)
    return np.minimum(np.bincount(rater, np.exp(log_share) * (1 + n - count), len(run)), 1)


def _count_alike(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """How often all dimensions of an item got the same score, and how often if they were independent.

    Counts the items that the rater rated in all dimensions.  Expected: sum over scores v of the product over dimensions
    of the share of v among the rater's scores, as for a random permutation of the scores in each dimension.
    """
    ratings = sheet.ratings
    dimensions = len(np.unique(ratings.dimension))
    unknown = np.full(sheet.raters, np.nan)
    if dimensions < 2:
        return {"alike": unknown, "alike_expected": unknown}
    time = np.arange(len(ratings)) - sheet.first[sheet.cell]  # position of the rating in its cell
    key = (ratings.item.astype(np.int64) * sheet.raters + ratings.rater) * (int(time.max()) + 1) + time
    rows = np.argsort(key, kind="stable")
    start = np.flatnonzero(np.append(True, key[rows][1:] != key[rows][:-1]))
    size = np.diff(start, append=len(rows))
    complete = size == dimensions
    level = sheet.level[rows]
    same = np.minimum.reduceat(level, start) == np.maximum.reduceat(level, start)
    rater = ratings.rater[rows[start[complete]]]
    n = np.bincount(rater, minlength=sheet.raters)
    alike = np.bincount(rater, same[complete], sheet.raters)
    expected = _alike_by_chance(sheet, rows[np.repeat(complete, size)], n, dimensions)
    return {"alike": alike / np.where(n > 1, n, np.nan), "alike_expected": np.where(n > 1, expected, np.nan)}


def _alike_by_chance(sheet: RaterDesign, rows: NDArray[Any], n: NDArray[Any], dimensions: int) -> NDArray[Any]:
    """[raters] chance that all dimensions agree.  rows: ratings of complete items; n: [raters] their number."""
    size = len(sheet.levels)
    score = sheet.ratings.rater[rows].astype(np.int64) * size + sheet.level[rows]
    bound = sheet.raters * size * sheet.dimensions
    keys, _, count = find_distinct_keys(score * sheet.dimensions + sheet.ratings.dimension[rows], bound)
    score = keys // sheet.dimensions
    start = np.flatnonzero(np.append(True, score[1:] != score[:-1]))[: len(keys)]
    everywhere = np.diff(start, append=len(keys)) == dimensions
    share = count / n[score // size]
    product = np.multiply.reduceat(share, start) if len(start) else share
    return np.bincount(score[start[everywhere]] // size, product[everywhere], sheet.raters)


_DRIFT_CONFIDENCE = 0.95


def measure_drift(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Columns drift, drift_low, drift_high and inconsistency_ratio; each [raters]."""
    return _fit_slope(sheet) | {"inconsistency_ratio": _inconsistency_ratio(sheet)}


def _fit_slope(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Least squares of rating - mean of the others on the place in the rater's sequence, from 0 to 1.

    One slope and an intercept for each dimension, so that dimensions rated one after the other do not count as drift.
    The t interval allows for `item_design_effect`.  NaN below three items or without degrees of freedom.
    """
    from scipy.special import stdtrit

    rows = sheet.compared
    last = np.maximum(sheet.count() - 1, 1)
    x = sheet.place / last[sheet.ratings.rater]
    place = group_moments(x, sheet.block, sheet.blocks, rows)
    residual = group_moments(sheet.residual, sheet.block, sheet.blocks, rows)
    dx = np.where(rows, x - place.mean[sheet.block], 0.0)
    dy = np.where(rows, sheet.residual - residual.mean[sheet.block], 0.0)
    sxx = sheet.by_rater(place.ss)
    sxy = np.bincount(sheet.ratings.rater, dx * dy, sheet.raters)
    freedom = sheet.by_rater(place.n) - sheet.by_rater(place.n > 0) - 1
    known = (sxx > 0) & (freedom > 0)
    slope = np.full(sheet.raters, np.nan)
    np.divide(sxy, sxx, out=slope, where=known)
    error = dy - np.where(known, slope, 0.0)[sheet.ratings.rater] * dx
    left = np.bincount(sheet.ratings.rater, error**2, sheet.raters)
    items, effect = item_design_effect(sheet, error)
    quantile = np.where(items > 2, stdtrit(np.maximum(items - 2, 1), (1 + _DRIFT_CONFIDENCE) / 2), np.nan)
    half = quantile * np.sqrt(effect * left / np.where(known, freedom * sxx, np.nan))
    return {"drift": slope, "drift_low": slope - half, "drift_high": slope + half}


def _inconsistency_ratio(sheet: RaterDesign) -> NDArray[Any]:
    """[raters] SD of rating - mean of the others in the second half of the sequence over that in the first.

    Each around the mean of its half and dimension; of an odd number of ratings, the middle one is in the second half.
    """
    second = 2 * sheet.place + 1 >= sheet.count()[sheet.ratings.rater]
    halves = group_moments(sheet.residual, 2 * sheet.block + second, 2 * sheet.blocks, sheet.compared)
    shape = (sheet.raters, sheet.dimensions, 2)
    ss = halves.ss.reshape(shape).sum(axis=1)
    freedom = (halves.n.reshape(shape) - (halves.n.reshape(shape) > 0)).sum(axis=1)
    known = (freedom > 0).all(axis=1) & (ss[:, 0] > 0)
    variance = ss / np.maximum(freedom, 1)
    ratio = np.full(sheet.raters, np.nan)
    np.divide(variance[:, 1], variance[:, 0], out=ratio, where=known)
    root: NDArray[Any] = np.sqrt(ratio)
    return root
