"""What the plain means of the items would be without a rater: how far they move, and how their order changes.

Without a rater only the items move that this rater rated, so the ranks of all others shift by how many items passed
them: a step function of their mean, with a step at each old and each new mean of an item that moved.  Sums of products
of old and new ranks, which make Spearman's r, then need sums of ranks between steps only, and all raters together
take the time of a few sorts of the ratings, however many raters and items there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mos.raters.sheet import Sheet


class _Means(NamedTuple):
    """The items' means in order, dimension by dimension.  Ranks are twice the average one, 2 r = below + up to + 1.

    before: [codes + 1] how many means, of all dimensions, have a lower code.  Codes are ordered by dimension and value
    start: [dimensions + 1] where each dimension's means begin
    ranks, squares: [means + 1] sums of 2 r and of (2 r)^2 over all before
    """

    before: np.ndarray
    start: np.ndarray
    ranks: np.ndarray
    squares: np.ndarray


def _twice_rank(before: np.ndarray, start: np.ndarray, code: np.ndarray, dimension: np.ndarray) -> np.ndarray:
    """2 r of a mean beside the others; for one that is not there, its place among them."""
    return before[code] + before[code + 1] + 1 - 2 * start[dimension]


class _Steps(NamedTuple):
    """Where ranks shift, for every block; [steps], ordered by block and code.

    at: [2, cells] the step of each cell's old and new mean
    block: [steps]; place: [2, steps] where the means begin that are on the step, and those beyond it
    on, after: [2, steps] shift of 2 r of means on the step and beyond it; first without the items that no one else
        rated, then without all the rater's ratings
    """

    at: np.ndarray
    block: np.ndarray
    place: np.ndarray
    on: np.ndarray
    after: np.ndarray


def influence(sheet: Sheet) -> dict[str, np.ndarray]:
    """Columns rank_influence and largest_change; each [raters].

    Items that no one else rated have no mean without the rater: they are left out of both orders.
    """
    first = sheet.first
    group = sheet.ratings.groups()[first]
    rater = sheet.ratings.rater[first]
    n = sheet.count()
    moved = np.where(sheet.compared[first], np.abs(sheet.others[first] - sheet.mean[group]), 0.0)
    change = np.zeros(sheet.raters)
    np.maximum.at(change, rater, moved)
    known = (n > 1) & (sheet.count(sheet.compared) > 0)
    r = _rank_correlation(sheet, first, group)
    return {
        "rank_influence": np.where(known, 1 - r, np.nan),
        "largest_change": np.where(known, change, np.nan),
    }


def _rank_correlation(sheet: Sheet, first: np.ndarray, group: np.ndarray) -> np.ndarray:
    """[raters] Spearman's r of the means with and without the rater, averaged over the rater's dimensions."""
    block = sheet.block[first]
    lost = ~sheet.compared[first]
    means, old, new = _ordered_means(sheet, first, group)
    steps = _steps(means, block, old, new, lost)
    dimension = block % max(sheet.dimensions, 1)
    items = np.diff(means.start)[sheet.block_dimensions] - np.bincount(block[lost], minlength=sheet.blocks)

    before = _twice_rank(means.before, means.start, old, dimension)
    was = before + steps.on[0][steps.at[0]]
    stays = before + steps.on[1][steps.at[0]]  # as if the item had kept its mean
    becomes = _twice_rank(means.before, means.start, new, dimension) + steps.on[1][steps.at[1]]

    def product(one: int, other: int, wrong: np.ndarray, right: np.ndarray) -> np.ndarray:
        return _product(sheet, means, steps, one, other) + np.bincount(
            block, np.where(lost, 0, right) - wrong, sheet.blocks
        )

    middle = items * (items + 1.0) ** 2  # (sum of 2 r)^2 / items
    both = product(0, 1, was * stays, was * becomes) - middle
    first_order = product(0, 0, was * was, was * was) - middle
    second_order = product(1, 1, stays * stays, becomes * becomes) - middle
    rated = np.bincount(block, minlength=sheet.blocks) > 0
    known = rated & (first_order > 0) & (second_order > 0)
    r = np.zeros(sheet.blocks)
    np.divide(both, np.sqrt(first_order * second_order), out=r, where=known)
    number = sheet.by_rater(known)
    return np.clip(sheet.by_rater(r) / np.where(number > 0, number, np.nan), -1, 1)


def _ordered_means(sheet: Sheet, first: np.ndarray, group: np.ndarray) -> tuple[_Means, np.ndarray, np.ndarray]:
    """And the code of each cell's mean [cells], with and without the rater."""
    present = np.flatnonzero(~np.isnan(sheet.mean))
    of_mean = present % max(sheet.dimensions, 1)
    dimension = np.append(of_mean, sheet.ratings.dimension[first])
    value = np.append(sheet.mean[present], sheet.others[first])
    order = np.lexsort((value, dimension))
    change = np.zeros(len(order), bool)
    change[1:] = (np.diff(value[order]) != 0) | (np.diff(dimension[order]) != 0)
    code = np.empty(len(order), np.int64)
    code[order] = np.cumsum(change)
    of_group = np.zeros(len(sheet.mean), np.int64)
    of_group[present] = code[: len(present)]

    count = np.bincount(code[: len(present)], minlength=int(code.max(initial=-1)) + 1)
    before = np.append(0, np.cumsum(count))
    start = np.append(0, np.cumsum(np.bincount(of_mean, minlength=sheet.dimensions)))
    twice = _twice_rank(before, start, np.repeat(np.arange(len(count)), count), np.sort(of_mean)).astype(np.float64)
    means = _Means(before, start, np.append(0, np.cumsum(twice)), np.append(0, np.cumsum(twice**2)))
    return means, of_group[group], code[len(present) :]


def _steps(means: _Means, block: np.ndarray, old: np.ndarray, new: np.ndarray, lost: np.ndarray) -> _Steps:
    cells, codes = len(block), len(means.before)
    keys, at = np.unique(np.append(block, block) * codes + np.append(old, new), return_inverse=True)
    owner, code = np.divmod(keys, codes)
    start = np.searchsorted(owner, owner)
    on, after = np.empty((2, len(keys)), np.int64), np.empty((2, len(keys)), np.int64)
    # An old mean goes: all above come down by one, 2 r by two.  A new one comes.
    for row, (gone, come) in enumerate(((lost, np.zeros(cells, bool)), (np.ones(cells, bool), ~lost))):
        step = np.bincount(at, np.append(-1.0 * gone, come), len(keys)).astype(np.int64)
        total = np.append(0, np.cumsum(step))
        below = total[:-1] - total[start]
        on[row], after[row] = 2 * below + step, 2 * (below + step)
    return _Steps(at.reshape(2, cells), owner, np.stack([means.before[code], means.before[code + 1]]), on, after)


def _product(sheet: Sheet, means: _Means, steps: _Steps, one: int, other: int) -> np.ndarray:
    """[blocks] sum over all items of a dimension of the product of 2 r in two orders, old means throughout.

    one, other: 0 for the order without the items that no one else rated, 1 for that without the rater.
    """
    dimension = sheet.block_dimensions
    total = (means.squares[means.start[1:]] - means.squares[means.start[:-1]])[dimension]
    following = np.append(steps.place[0][1:], 0)
    last = np.append(steps.block[1:] != steps.block[:-1], True)[: len(steps.block)]
    end = np.where(last, means.start[dimension[steps.block] + 1], following)
    for low, high, shift in (
        (steps.place[0], steps.place[1], steps.on),
        (steps.place[1], end, steps.after),
    ):
        ranks = means.ranks[high] - means.ranks[low]
        part = (shift[one] + shift[other]) * ranks + shift[one] * shift[other] * (high - low)
        total = total + np.bincount(steps.block, part, sheet.blocks)
    return total
