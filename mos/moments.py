"""Count, mean and sum of squares of groups of numbers, safe against cancellation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

# Summing n numbers one by one is wrong by less than this times n times the largest.
ROUNDING = 8 * float(np.finfo(float).eps)
_BLOCK = 131_072  # rows: a megabyte of numbers; smaller blocks cost more in calls than they save in the cache
_WIDE = 512  # rows: shorter rows of a matrix take numpy long to go through
_NONE = np.zeros(0, np.intp)  # no rows
LONG = 10  # rows of a group, on average, from which it is faster to sum each run of them on its own


class Moments(NamedTuple):
    """Of every group, each [groups]: n int64, mean and ss (sum of squared deviations) float64; NaN and 0 if empty.

    ss is exactly 0 when all numbers of the group are equal.
    """

    n: np.ndarray
    mean: np.ndarray
    ss: np.ndarray

    def sd(self, ddof: int) -> np.ndarray:
        """[groups] standard deviation with divisor n - ddof; NaN where that is not positive."""
        divisor = np.where(self.n > ddof, self.n - ddof, np.nan)
        return np.sqrt(self.ss / divisor)

    def clear_rounding(self, highest: float) -> Moments:
        """These, with an ss of 0 where equal numbers of up to `highest` could have as much by rounding.

        A spread that rounding alone can make is none: fifteen ratings of 3.3 must not have a standard deviation of
        4e-16, and outliers from it.
        """
        return self._replace(ss=np.where(self.ss <= self.n * (ROUNDING * self.n * highest) ** 2, 0.0, self.ss))

    def put(self, groups: slice, part: Moments) -> None:
        """Take the moments of some groups from `part`."""
        for whole, own in zip(self, part, strict=True):
            whole[groups] = own


class Runs:
    """Rows of ascending groups, each a run of neighbours, ready to be summed.

    groups: slice from the lowest to the highest group; n: [groups] rows of each of these
    """

    def __init__(self, group: np.ndarray, long: bool) -> None:
        """group: [rows] ascending, at least one; long: whether runs have `LONG` rows or more, as a rule."""
        low, high = int(group[0]), int(group[-1]) + 1
        self.groups = slice(low, high)
        self._group = group
        self._code = None if long else (group - low).astype(np.intp)
        self._each = _rows_of_each(group, low, high)
        if self._each:
            self.n = np.full(high - low, self._each)
            self._present = np.arange(high - low)
            self._start: np.ndarray = self._present * self._each
        else:
            self._start = np.append(0, np.flatnonzero(group[1:] != group[:-1]) + 1)
            self._present = group[self._start] - low
            self.n = np.zeros(high - low, np.int64)
            self.n[self._present] = np.diff(self._start, append=len(group))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """[groups] the sum of `values` [rows] of each."""
        if self._code is not None:
            return np.bincount(self._code, values, len(self.n))
        found = np.add.reduceat(values, self._start, dtype=np.float64)
        if len(found) == len(self.n):
            return found
        totals = np.zeros(len(self.n))
        totals[self._present] = found
        return totals

    def against(self, operation: np.ufunc, values: np.ndarray, of_group: np.ndarray) -> np.ndarray:
        """[rows] the `operation` on each of the `values` [rows] and the entry of its group in `of_group` [groups]."""
        if self._each:
            done: np.ndarray = operation(values.reshape(-1, self._each), of_group[:, None])
            return done.ravel()
        if self._code is not None:
            return operation(values, of_group.take(self._code, mode="clip"))
        return operation(values, np.repeat(of_group, self.n))

    def moments(self, values: np.ndarray, out: np.ndarray = _NONE) -> tuple[Moments, np.ndarray]:
        """Moments of `values` [rows], but for `clear_rounding`, and [rows] the squared deviation of each.

        out: positions in rows of those that do not count; their values are 0, and so are their squared deviations.
        """
        n = self.n - np.bincount(self._group[out] - self.groups.start, minlength=len(self.n)) if len(out) else self.n
        mean = self.sums(values) / np.where(n, n, np.nan)
        squares = self.against(np.subtract, values, mean)
        np.square(squares, out=squares)
        squares[out] = 0
        return Moments(n, mean, self.sums(squares)), squares


def _rows_of_each(group: np.ndarray, low: int, high: int) -> int:
    """How many rows each group from `low` to `high` - 1 has, if equally many, else 0; group: [rows] ascending."""
    each, more = divmod(len(group), high - low)
    if more or not each:
        return 0
    rows, there = group.reshape(-1, each), np.arange(low, high, dtype=group.dtype)
    return each if bool((rows[:, 0] == there).all() and (rows[:, -1] == there).all()) else 0


class Scattered:
    """Groups of rows in any order, ready to be gone through; fast where they recur, as in a complete design.

    group: [N] in 0..groups-1
    """

    def __init__(self, group: np.ndarray, groups: int) -> None:
        self.group = group
        self._groups = groups
        self._cycle = cycle(group)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Slices of rows as `blocks` makes them, and the groups of their first rows [first], which then recur."""
        some = self._cycle * -(-_WIDE // self._cycle) if self._cycle else 1
        for rows in blocks(len(self.group), self._groups, some):
            size = rows.stop - rows.start
            first = size if not self._cycle else self._cycle if size % some else some
            yield rows, self.group[rows.start : rows.start + first].astype(np.intp)


def cycle(group: np.ndarray) -> int:
    """After how many rows the groups [N] recur in the same order, and do so to the end; 0 if they do not."""
    recurs = group[1 : _BLOCK + 1] == group[:1]
    if not recurs.any():
        return 0
    rows = int(recurs.argmax()) + 1
    return rows if len(group) % rows == 0 and np.array_equal(group[rows:], group[:-rows]) else 0


def moments(values: np.ndarray, group: np.ndarray, groups: int, counted: np.ndarray | None = None) -> Moments:
    """Moments of `values` [N] by `group` [N] in 0..groups-1, in any order; of the rows `counted` [N] bool only."""
    without = _NONE if counted is None else np.flatnonzero(~counted)
    if not ascends(group):
        return scattered_moments(values, Scattered(group, groups), count_by(group, groups), without)
    found = no_moments(groups)
    long, highest = len(group) >= LONG * groups, 0.0
    for rows in whole_groups(group):
        runs, out = Runs(group[rows], long), _within(rows, without)
        value = _cleared(values[rows], out)
        found.put(runs.groups, runs.moments(value, out)[0])
        highest = max(highest, largest(value))
    return found.clear_rounding(highest)


def scattered_moments(
    values: np.ndarray,
    scattered: Scattered,
    given: np.ndarray,
    without: np.ndarray = _NONE,
    deviations: np.ndarray | None = None,
) -> Moments:
    """Moments of `values` [N] by groups in any order, in two passes.

    given: [groups] rows of each, see `count_by`; without: ascending rows that do not count
    deviations: [N] float64, where wanted: gets the difference of each value, counted or not, from its group's mean
    """
    groups = len(given)
    n = given - np.bincount(scattered.group[without], minlength=groups)
    mean, ss, highest = np.zeros(groups), np.zeros(groups), 0.0
    for rows, at in scattered.blocks():
        value = _cleared(values[rows], _within(rows, without))
        add_by(at, mean, value)
        highest = max(highest, largest(value))
    mean /= np.where(n, n, np.nan)
    for rows, at in scattered.blocks():
        deviation = against(np.subtract, values[rows], mean, at, out=None if deviations is None else deviations[rows])
        squares = np.square(deviation)
        squares[_within(rows, without)] = 0
        add_by(at, ss, squares)
    return Moments(n, mean, ss).clear_rounding(highest)


def no_moments(groups: int) -> Moments:
    return Moments(np.zeros(groups, np.int64), np.full(groups, np.nan), np.zeros(groups))


def count_by(group: np.ndarray, groups: int) -> np.ndarray:
    """[groups] rows of each group; group: [N] in 0..groups-1."""
    every = cycle(group)
    if every:
        return np.bincount(group[:every], minlength=groups) * (len(group) // every)
    n = np.zeros(groups, np.int64)
    for rows in blocks(len(group), groups):
        add_by(group[rows], n)
    return n


def add_by(group: np.ndarray, totals: np.ndarray, weights: np.ndarray | None = None) -> None:
    """Add to `totals` [groups] the number of rows of each group, or their weights.

    group: [rows], or [first] of the rows, after which they recur; weights: [rows]
    """
    if weights is not None and len(weights) > len(group):
        weights = weights.reshape(-1, len(group)).sum(axis=0)
    totals += np.bincount(group, weights, len(totals))


def against(
    operation: np.ufunc, values: np.ndarray, of_group: np.ndarray, group: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """[rows] the `operation` on each of the `values` [rows] and the entry of its group in `of_group` [groups].

    group: [rows], or [first] of the rows, after which they recur; out: [rows], where wanted, gets what is returned
    """
    shape = -1, len(group)
    own = of_group.take(group, mode="clip")
    done: np.ndarray = operation(values.reshape(shape), own, out=None if out is None else out.reshape(shape))
    return done.ravel()


def blocks(rows: int, least: int = 0, some: int = 1) -> Iterator[slice]:
    """Slices that cover `rows` rows, each small enough for what is made of it on the way to take little memory.

    least: rows of each, as where so many totals are gone through for every block
    some: of these rows each slice has a multiple, but for the last
    """
    size = some * -(-max(_BLOCK, least) // some)
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def whole_groups(group: np.ndarray) -> Iterator[slice]:
    """Slices that cover the rows of `group` [N] ascending, like `blocks`, but none ends within a group.

    So equal ratings have equal moments, to the last bit, wherever in the table they are.
    """
    starts = [int(np.searchsorted(group, group[rows.start])) for rows in blocks(len(group))]
    return (slice(start, end) for start, end in pairwise([*starts, len(group)]) if start < end)


def ascends(group: np.ndarray) -> bool:
    """Whether no row has a lower group than the row before."""
    steps = (slice(rows.start, rows.stop + 1) for rows in blocks(len(group)))
    return all(bool((group[step][1:] >= group[step][:-1]).all()) for step in steps)


def _within(here: slice, rows: np.ndarray) -> np.ndarray:
    """Those of the ascending `rows` that lie in a slice, counted from its first."""
    low, high = np.searchsorted(rows, (here.start, here.stop))
    return rows[low:high] - here.start


def _cleared(values: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`values`, a copy with zeros at the positions `out` if there are any."""
    if not len(out):
        return values
    values = values.copy()
    values[out] = 0
    return values


def largest(values: np.ndarray) -> float:
    """The largest magnitude; 0 of no values."""
    return max(float(values.max()), -float(values.min())) if len(values) else 0.0
