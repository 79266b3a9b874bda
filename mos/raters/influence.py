"""Influence of a rater on the plain means of the items: the change of the means and of their order without the rater.

Without a rater, only the means of the items that this rater rated change, so the rank of each other item shifts by
the number of items that passed it: a step function of its mean, with a step at each old and each new mean of a changed
item.  Sums of products of old and new ranks, which define Spearman's r, then need only sums of ranks between steps.
The time for all raters together is that of a few sorts of the ratings, for any number of raters and items.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos.raters.design import RaterDesign


class _OrderedMeans(NamedTuple):
    """The items' means in order, dimension by dimension.  Ranks are twice the average one, 2 r = below + up to + 1.

    before: [codes + 1] number of means, of all dimensions, with a lower code.  Codes ascend by dimension and value
    start: [dimensions + 1] position of the first mean of each dimension
    ranks, squares: [means + 1] sums of 2 r and of (2 r)^2 over all before
    """

    before: NDArray[Any]
    start: NDArray[Any]
    ranks: NDArray[Any]
    squares: NDArray[Any]


def _twice_rank(before: NDArray[Any], start: NDArray[Any], code: NDArray[Any], dimension: NDArray[Any]) -> NDArray[Any]:
    """Twice the rank of each mean among the others."""
    twice: NDArray[Any] = before[code] + before[code + 1] + 1 - 2 * start[dimension]
    return twice


class _RankSteps(NamedTuple):
    """The steps at which ranks shift, for each block; [steps], ordered by block and code.

    at: [2, cells] the step of each cell's old and new mean
    block: [steps]; place: [2, steps] position of the first mean on the step, and of the first beyond it
    on, after: [2, steps] shift of 2 r of means on the step and beyond it; first without the items that no other
        rater rated, then without all of the rater's ratings
    """

    at: NDArray[Any]
    block: NDArray[Any]
    place: NDArray[Any]
    on: NDArray[Any]
    after: NDArray[Any]


def measure_influence(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Columns rank_influence and largest_change; each [raters].

    Items that no other rater rated have no mean without the rater; both orders leave them out.
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


def _rank_correlation(sheet: RaterDesign, first: NDArray[Any], group: NDArray[Any]) -> NDArray[Any]:
    """[raters] Spearman's r of the means with and without the rater, averaged over the rater's dimensions."""
    block = sheet.block[first]
    lost = ~sheet.compared[first]
    means, old, new = _order_means(sheet, first, group)
    steps = _find_rank_steps(means, block, old, new, lost)
    dimension = block % max(sheet.dimensions, 1)
    items = np.diff(means.start)[sheet.block_dimensions] - np.bincount(block[lost], minlength=sheet.blocks)

    before = _twice_rank(means.before, means.start, old, dimension)
    was = before + steps.on[0][steps.at[0]]
    stays = before + steps.on[1][steps.at[0]]  # as if the item had kept its mean
    becomes = _twice_rank(means.before, means.start, new, dimension) + steps.on[1][steps.at[1]]

    def product(first: int, second: int, unmoved: NDArray[Any], moved: NDArray[Any]) -> NDArray[Any]:
        return _sum_rank_products(sheet, means, steps, first, second) + np.bincount(
            block, np.where(lost, 0, moved) - unmoved, sheet.blocks
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
    mean: NDArray[Any] = np.clip(sheet.by_rater(r) / np.where(number > 0, number, np.nan), -1, 1)
    return mean


def _order_means(
    sheet: RaterDesign, first: NDArray[Any], group: NDArray[Any]
) -> tuple[_OrderedMeans, NDArray[Any], NDArray[Any]]:
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
    means = _OrderedMeans(before, start, np.append(0, np.cumsum(twice)), np.append(0, np.cumsum(twice**2)))
    return means, of_group[group], code[len(present) :]


def _find_rank_steps(
    means: _OrderedMeans, block: NDArray[Any], old: NDArray[Any], new: NDArray[Any], lost: NDArray[Any]
) -> _RankSteps:
    cells, codes = len(block), len(means.before)
    keys, at = np.unique(np.append(block, block) * codes + np.append(old, new), return_inverse=True)
    owner, code = np.divmod(keys, codes)
    start = np.searchsorted(owner, owner)
    on, after = np.empty((2, len(keys)), np.int64), np.empty((2, len(keys)), np.int64)
    # Removing an old mean lowers all ranks above by one (2 r by two); a new mean raises them.
    for row, (gone, come) in enumerate(((lost, np.zeros(cells, bool)), (np.ones(cells, bool), ~lost))):
        step = np.bincount(at, np.append(-1.0 * gone, come), len(keys)).astype(np.int64)
        total = np.append(0, np.cumsum(step))
        below = total[:-1] - total[start]
        on[row], after[row] = 2 * below + step, 2 * (below + step)
    return _RankSteps(at.reshape(2, cells), owner, np.stack([means.before[code], means.before[code + 1]]), on, after)


def _sum_rank_products(
    sheet: RaterDesign, means: _OrderedMeans, steps: _RankSteps, first: int, second: int
) -> NDArray[Any]:
    """[blocks] sum over all items of a dimension of the product of 2 r in two orders, with the old means for all items.

    first, second: 0 for the order without the items that no other rater rated, 1 for that without the rater.
    """
    dimension = sheet.block_dimensions
    total: NDArray[Any] = (means.squares[means.start[1:]] - means.squares[means.start[:-1]])[dimension]
    following = np.append(steps.place[0][1:], 0)
    last = np.append(steps.block[1:] != steps.block[:-1], True)[: len(steps.block)]
    end = np.where(last, means.start[dimension[steps.block] + 1], following)
    for low, high, shift in (
        (steps.place[0], steps.place[1], steps.on),
        (steps.place[1], end, steps.after),
    ):
        ranks = means.ranks[high] - means.ranks[low]
        part = (shift[first] + shift[second]) * ranks + shift[first] * shift[second] * (high - low)
        total = total + np.bincount(steps.block, part, sheet.blocks)
    return total
