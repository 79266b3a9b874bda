"""Making the loads of people even by moving single places, as few as that takes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def even_out(chosen: Mask, movable: Mask, avoided: Mask, rank: NDArray[np.float64]) -> None:
    """Move places from busier people to less busy ones until that makes no load more even; changes `chosen`.

    All are [people, pairs].  chosen: who has a place on which pair; movable: which of these places may be given to
    somebody else; avoided: who should rather have none on a pair, so that only another such person gives it to them;
    rank: what each person is worth to a pair, the higher the better.

    A path from one person to another along which each gives one place to the next makes loads more even when the first
    has at least two more than the last; where no such path is left, no other choice has more even loads (Harvey et
    al. 2006).  Of the pairs that a step can move, the one that loses least rank is moved.
    """
    movable = movable.copy()
    loads = chosen.sum(axis=1)
    ways = _ways(chosen, movable, avoided)
    # Who is stuck stays so: all in reach are as busy, and a later path that led there would have been one before.
    stuck = np.zeros(len(chosen), dtype=bool)
    while not stuck.all():
        giver = int(np.argmax(np.where(stuck, -1, loads)))
        path = _path(ways > 0, loads, giver)
        if path is None:
            stuck[giver] = True
            continue
        for source, target in reversed(list(pairwise(path))):
            able = movable[source] & ~chosen[target] & (avoided[source] | ~avoided[target])
            pairs = np.flatnonzero(able)
            pair = int(pairs[np.argmin(rank[source, pairs] - rank[target, pairs])])
            column = slice(pair, pair + 1)
            ways -= _ways(chosen[:, column], movable[:, column], avoided[:, column])
            chosen[source, pair] = movable[source, pair] = False
            chosen[target, pair] = movable[target, pair] = True
            ways += _ways(chosen[:, column], movable[:, column], avoided[:, column])
        loads[path[0]] -= 1
        loads[path[-1]] += 1


def _ways(chosen: Mask, movable: Mask, avoided: Mask) -> NDArray[np.float32]:
    """Float [people, people]: on how many pairs the one of the row can give a place to the one of the column.

    Sums of at most 2**24 pairs, which float32 holds exactly.
    """
    free = ~chosen
    ways = _product(movable, free & ~avoided)
    if avoided.any():
        ways += _product(movable & avoided, free & avoided)
    return ways


def _product(left: Mask, right: Mask) -> NDArray[np.float32]:
    product: NDArray[np.float32] = left.astype(np.float32) @ right.astype(np.float32).T
    return product


def _path(ways: Mask, loads: NDArray[np.intp], giver: int) -> list[int] | None:
    """People from the giver to the least busy one in reach who has at least two fewer places, by the fewest steps."""
    before = np.full(len(loads), -1)
    before[giver] = giver
    frontier = np.array([giver])
    while len(frontier):
        reached = np.flatnonzero(ways[frontier].any(axis=0) & (before < 0))
        before[reached] = frontier[np.argmax(ways[np.ix_(frontier, reached)], axis=0)]
        able = reached[loads[reached] <= loads[giver] - 2]
        if len(able):
            path = [int(able[np.argmin(loads[able])])]
            while path[-1] != giver:
                path.append(int(before[path[-1]]))
            return path[::-1]
        frontier = reached
    return None
