"""Raters who give the same score again and again: from item to item, and in all dimensions of an item."""

from __future__ import annotations

import numpy as np

from mos.raters.distinct import distinct
from mos.raters.sheet import Sheet


def straight_lining(sheet: Sheet) -> dict[str, np.ndarray]:
    """Columns repeats, repeats_expected, repeats_excess, longest_run, longest_run_p, alike, alike_expected."""
    return _repeats(sheet) | _alike(sheet)


def _repeats(sheet: Sheet) -> dict[str, np.ndarray]:
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
    keys, _, count = distinct(block * size + level, sheet.blocks * size)
    owner = keys // size
    n = np.bincount(block, minlength=sheet.blocks)
    expected = np.bincount(owner, count * (count - 1) / n[owner], sheet.blocks)
    pairs = sheet.by_rater(np.maximum(n - 1, 0))
    pairs = np.where(pairs > 0, pairs, np.nan)
    rated = sheet.by_rater(n) > 1
    seen, by_chance = sheet.by_rater(equal) / pairs, sheet.by_rater(expected) / pairs
    chance = _run_chance(run, owner // max(sheet.dimensions, 1), count, n[owner])
    return {
        "repeats": seen,
        "repeats_expected": by_chance,
        "repeats_excess": seen - by_chance,
        "longest_run": np.where(rated, run, np.nan),
        "longest_run_p": np.where(rated, chance, np.nan),
    }


def _run_chance(run: np.ndarray, rater: np.ndarray, count: np.ndarray, n: np.ndarray) -> np.ndarray:
    """[raters] probability of a run of at least `run` equal scores, were the order random: an upper bound.

    rater, count, n: [keys] of every score in every block: whose, how often, among how many.  The probability that
    there is such a run is at most their expected number, which is exact: L given places hold v with the probability
    [c]_L / [n]_L (falling factorials), and a run of v begins at the first place, or at one of n - L others after
    something else, (n - c) / (n - L).  Together [c]_L / [n]_L (1 + n - c), summed over scores and blocks.  Close
    where it is small, which is where it matters; 1 where it says nothing.
    """
    from scipy.special import gammaln

    length = run[rater]
    long = count >= length
    rater, count, n, length = rater[long], count[long], n[long], length[long]
    log_share = gammaln(count + 1) - gammaln(count - length + 1) - gammaln(n + 1) + gammaln(n - length + 1)
    return np.minimum(np.bincount(rater, np.exp(log_share) * (1 + n - count), len(run)), 1)


def _alike(sheet: Sheet) -> dict[str, np.ndarray]:
    """How often all dimensions of an item got the same score, and how often they would, were they independent.

    Of the items that the rater rated in every dimension.  Expected: sum over scores v of the product over dimensions
    of the share of v among the rater's scores, as when each dimension's scores are dealt out anew.
    """
    ratings = sheet.ratings
    dimensions = len(np.unique(ratings.dimension))
    unknown = np.full(sheet.raters, np.nan)
    if dimensions < 2:
        return {"alike": unknown, "alike_expected": unknown}
    time = np.arange(len(ratings)) - sheet.first[sheet.cell]  # the how-manieth rating of its cell
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
    expected = _independent(sheet, rows[np.repeat(complete, size)], n, dimensions)
    return {"alike": alike / np.where(n > 1, n, np.nan), "alike_expected": np.where(n > 1, expected, np.nan)}


def _independent(sheet: Sheet, rows: np.ndarray, n: np.ndarray, dimensions: int) -> np.ndarray:
    """[raters] chance that all dimensions agree.  rows: ratings of complete items; n: [raters] how many of these."""
    size = len(sheet.levels)
    score = sheet.ratings.rater[rows].astype(np.int64) * size + sheet.level[rows]
    bound = sheet.raters * size * sheet.dimensions
    keys, _, count = distinct(score * sheet.dimensions + sheet.ratings.dimension[rows], bound)
    score = keys // sheet.dimensions
    start = np.flatnonzero(np.append(True, score[1:] != score[:-1]))[: len(keys)]
    everywhere = np.diff(start, append=len(keys)) == dimensions
    share = count / n[score // size]
    product = np.multiply.reduceat(share, start) if len(start) else share
    return np.bincount(score[start[everywhere]] // size, product[everywhere], sheet.raters)
