"""One opinion for each item and rater of a dimension, coded afresh without the items and raters that have none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Opinions:
    """M opinions, one for each item and rater at most, ordered by item and rater.

    item, rater: [M] intp in 0..items-1 and 0..raters-1; every item and every rater occurs
    score: [M] float64
    ratings: how many ratings there were before those of one rater and item were averaged
    """

    item: np.ndarray
    rater: np.ndarray
    score: np.ndarray
    items: int
    raters: int
    ratings: int

    def __len__(self) -> int:
        return len(self.score)

    @property
    def complete(self) -> bool:
        """Whether every rater rated every item."""
        return len(self) == self.items * self.raters


def opinions(item: np.ndarray, rater: np.ndarray, score: np.ndarray) -> Opinions:
    """What each rater says of each item, from codes [N] of any integer dtype and scores [N], in any order.

    A rater who rated an item more than once agrees with himself, which says nothing of others: his ratings of the
    item are averaged, and the mean is one opinion.
    """
    item, items = _compact(item)
    rater, raters = _compact(rater)
    cell = item * raters + rater
    if (cell[1:] < cell[:-1]).any():
        order = np.lexsort((score, cell))  # by score too, so that sums do not depend on the order of rows
        item, rater, score, cell = item[order], rater[order], score[order], cell[order]
    first = np.ones(len(cell), bool)
    first[1:] = cell[1:] != cell[:-1]
    mean = score.astype(np.float64, copy=False)
    if not first.all():
        starts = np.flatnonzero(first)
        mean = np.add.reduceat(mean, starts) / np.diff(starts, append=len(mean))
        item, rater = item[first], rater[first]
    return Opinions(item, rater, mean, items, raters, len(score))


def _compact(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """The codes counted from 0 without gaps, in the same order, and how many there are."""
    present = np.bincount(codes) > 0 if len(codes) else np.zeros(0, bool)
    return (np.cumsum(present) - 1)[codes].astype(np.intp, copy=False), int(present.sum())
