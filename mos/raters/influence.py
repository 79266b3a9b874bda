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
    """The items' means, sorted within dimensions.  Ranks are twice the average rank, 2 r = (below) + (up to) + 1.

    key: [means] int64 sorted, dimension * size + code of the mean; size: above every code
    start: [dimensions + 1] where each dimension's keys begin
    ranks, squares: [means + 1] sums of 2 r and of (2 r)^2 over all before
    """

    key: np.ndarray
    size: int
    start: np.ndarray
    ranks: np.ndarray
    squares: np.ndarray

    def twice_rank(self, dimension: np.ndarray, code: np.ndarray) -> np.ndarray:
        """2 r of a mean beside the others; for one that is not there, its place among them."""
        at = dimension * self.size + code
        below, up_to = np.searchsorted(self.key, at, "left"), np.searchsorted(self.key, at, "right")
        return below + up_to + 1 - 2 * self.start[dimension]


class _Steps(NamedTuple):
    """Where ranks shift, for every block; [steps], ordered by block and code.

    at: [2, cells] the step of each cell's old and new mean
    block: [steps]; place: [2, steps] position of the code among the sorted keys, before and after equal ones
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
    means, old, new = _sorted_means(sheet, first, group)
    steps = _steps(means, block, old, new, lost, sheet.dimensions)
    dimension = block % max(sheet.dimensions, 1)
    items = np.diff(means.start)[sheet.block_dimensions] - np.bincount(block[lost], minlength=sheet.blocks)

    before = means.twice_rank(dimension, old)
    was = before + steps.on[0][steps.at[0]]
    stays = before + steps.on[1][steps.at[0]]  # as if the item had kept its mean
    becomes = means.twice_rank(dimension, new) + steps.on[1][steps.at[1]]

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


def _sorted_means(sheet: Sheet, first: np.ndarray, group: np.ndarray) -> tuple[_Means, np.ndarray, np.ndarray]:
    """And the code of each cell's mean [cells], with and without the rater: codes are ordered as means are."""
    present = np.flatnonzero(~np.isnan(sheet.mean))
    values, code = np.unique(np.append(sheet.mean[present], sheet.others[first]), return_inverse=True)
    of_group = np.zeros(len(sheet.mean), np.int64)
    of_group[present] = code[: len(present)]
    size = max(len(values), 1)
    dimension = present % max(sheet.dimensions, 1)
    key = np.sort(dimension * size + code[: len(present)])
    start = np.searchsorted(key, np.arange(sheet.dimensions + 1) * size)
    rough = _Means(key, size, start, np.zeros(0), np.zeros(0))
    twice = rough.twice_rank(key // size, key % size).astype(np.float64)
    means = rough._replace(
        ranks=np.append(0, np.cumsum(twice)),
        squares=np.append(0, np.cumsum(twice**2)),
    )
    return means, of_group[group], code[len(present) :]


def _steps(
    means: _Means, block: np.ndarray, old: np.ndarray, new: np.ndarray, lost: np.ndarray, dimensions: int
) -> _Steps:
    cells = len(block)
    keys, at = np.unique(np.append(block, block) * means.size + np.append(old, new), return_inverse=True)
    owner, code = np.divmod(keys, means.size)
    start = np.searchsorted(owner, owner)
    on, after = np.empty((2, len(keys)), np.int64), np.empty((2, len(keys)), np.int64)
    # An old mean goes: all above come down by one, 2 r by two.  A new one comes.
    for row, (gone, come) in enumerate(((lost, np.zeros(cells, bool)), (np.ones(cells, bool), ~lost))):
        step = np.bincount(at, np.append(-1.0 * gone, come), len(keys)).astype(np.int64)
        total = np.append(0, np.cumsum(step))
        below = total[:-1] - total[start]
        on[row], after[row] = 2 * below + step, 2 * (below + step)
    where = owner % max(dimensions, 1) * means.size + code
    place = np.stack([np.searchsorted(means.key, where, side) for side in ("left", "right")])
    return _Steps(at.reshape(2, cells), owner, place, on, after)


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
