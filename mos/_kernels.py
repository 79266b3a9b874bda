"""Array kernels: exact integers of scores, orders of rows, and moments of groups.

Scores become whole numbers where rounding could decide a comparison. Rows are ordered by keys that are
combined from codes. Groups of rows get a count, a mean and a sum of squares, safe against cancellation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import floor, log10
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

EXACT_BAND = 1e-9  # relative width of the band around a threshold that is decided in whole numbers


_DIGITS = 12


SCORE_RESOLUTION = 10.0**-_DIGITS  # of the largest score: differences below it may be none


# How far, in units of the last digit, a score may lie from a number of fewer digits that it is rounded to.
_ROUNDING_LIMIT = 0.4


def scale_to_integers(score: NDArray[Any], highest: float) -> NDArray[Any]:
    """[N] the scores as integer multiples of the largest power of ten that divides all of them.

    score: [N] float64, N > 0; highest: the largest magnitude in the whole table, which decides the last digit.
    int64 up to twelve digits, else Python's integers (object).

    >>> scale_to_integers(np.array([3.3, 0.1 + 0.2]), highest=3.3).tolist()
    [33, 3]
    """
    decimals = _DIGITS - floor(log10(highest)) if highest else _DIGITS
    for digits in range(_DIGITS + 1):
        scaled = score * 10.0 ** (decimals - _DIGITS + digits)
        whole = np.rint(scaled)
        if np.abs(scaled - whole).max() <= _ROUNDING_LIMIT * 10.0 ** (digits - _DIGITS):
            return whole.astype(np.int64)
    return np.array([round(Fraction(value) * Fraction(10) ** decimals) for value in score.tolist()], object)


class KeyPart(NamedTuple):
    """A part of a key: codes [rows] in 0..size-1, anything where the row is not to be ordered."""

    codes: NDArray[Any]
    size: int


class RowOrder(NamedTuple):
    """Rows in canonical order.

    rows: [ordered] int64, positions in the table; in table order where keys are equal
    again: [ordered] bool, whether a row has the key of the one before it; None when no row has
    complete: whether every key there can be is there exactly once
    """

    rows: NDArray[Any]
    again: NDArray[Any] | None
    complete: bool


def order_rows(parts: Sequence[KeyPart], good: NDArray[Any] | None) -> RowOrder:
    """The rows `good` [rows] bool, all where None, ordered by their parts, the first part first."""
    key, keys = _combine_keys(parts)
    rows = None if good is None else np.flatnonzero(good)
    if rows is not None:
        key = key[rows]
    if keys <= 4 * len(key) + 1_000_000:  # a table of all keys is small: no need to sort
        at = np.full(keys, -1, np.int64)
        at[key] = np.arange(len(key)) if rows is None else rows
        complete = math.prod(part.size for part in parts) == len(key) and int(at.min(initial=0)) >= 0
        ordered = at if complete else at[at >= 0]
        if len(ordered) == len(key):
            return RowOrder(ordered, None, complete)
    by_key = _stable_argsort(key)
    key = take_unchecked(key, by_key)
    again = np.zeros(len(key), bool)
    np.equal(key[1:], key[:-1], out=again[1:])
    return RowOrder(by_key if rows is None else rows[by_key], again if again.any() else None, complete=False)


_FEW_DROPPED = 1000


def take_unchecked(values: NDArray[Any], positions: NDArray[Any]) -> NDArray[Any]:
    """values[positions]; positions are not checked, because a check takes longer than the copy."""
    return values.take(positions, mode="clip")


def keep_values(values: NDArray[Any], kept: NDArray[Any]) -> NDArray[Any]:
    """values[kept]; kept: [values] bool. Where few are dropped, what lies between them is copied as a whole."""
    dropped = np.flatnonzero(~kept)
    if len(dropped) > _FEW_DROPPED:
        return take_unchecked(values, np.flatnonzero(kept))
    bounds = zip([0, *(dropped + 1).tolist()], [*dropped.tolist(), len(values)], strict=True)
    return np.concatenate([values[start:end] for start, end in bounds])


def reorder_codes(parts: Sequence[KeyPart], found: RowOrder) -> list[NDArray[Any]]:
    """The codes of each part, each [ordered] in the dtype of its codes."""
    if not found.complete:
        return [take_unchecked(part.codes, found.rows) for part in parts]
    shape = tuple(part.size for part in parts)
    codes: list[NDArray[Any]] = []
    for axis, part in enumerate(parts):
        along = np.arange(part.size, dtype=part.codes.dtype).reshape(
            [-1 if at == axis else 1 for at in range(len(shape))]
        )
        codes.append(np.broadcast_to(along, shape).flatten())
    return codes


def _combine_keys(parts: Sequence[KeyPart]) -> tuple[NDArray[Any], int]:
    """One number for the codes of each row, in the same order as the codes, and the bound of these numbers."""
    bound = math.prod(part.size for part in parts)
    if bound >= 2**63:
        return _combine_keys([_compress_parts(parts[:-1]), parts[-1]])
    key = np.zeros(len(parts[0].codes), np.int32 if bound < 2**31 else np.int64)
    for codes, size in parts:
        np.multiply(key, size, out=key)
        np.add(key, codes, out=key)
    return key, bound


def _compress_parts(parts: Sequence[KeyPart]) -> KeyPart:
    """One part with the order of several parts, numbered by the combinations that occur."""
    key, _ = _combine_keys(parts)
    there, codes = np.unique(key, return_inverse=True)
    return KeyPart(codes, len(there))


def _stable_argsort(key: NDArray[Any]) -> NDArray[Any]:
    """The stable sorting permutation of non-negative keys; numpy sorts 16-bit digits in linear time."""
    if len(key) < 2 or (key[1:] >= key[:-1]).all():
        return np.arange(len(key))
    by_key = np.argsort(key.astype(np.uint16), kind="stable")
    shift = 16
    while int(key.max()) >> shift:
        digit = (take_unchecked(key, by_key) >> shift).astype(np.uint16)
        by_key = take_unchecked(by_key, np.argsort(digit, kind="stable"))
        shift += 16
    return by_key


# Summing n numbers one by one is wrong by less than this times n times the largest.
SUM_ROUNDING = 8 * float(np.finfo(float).eps)


_BLOCK_ROWS = 131_072  # rows: a megabyte of numbers; smaller blocks cost more in calls than they save in the cache


_WIDE_ROWS = 512  # rows: shorter rows of a matrix take numpy long to go through


_NO_ROWS = np.zeros(0, np.intp)  # no rows


LONG_RUN = 10  # rows of a group, on average, from which it is faster to sum each run of them on its own


class Moments(NamedTuple):
    """Of every group, each [groups]: n int64, mean and ss (sum of squared deviations) float64; NaN and 0 if empty.

    ss is exactly 0 when all numbers of the group are equal.
    """

    n: NDArray[Any]
    mean: NDArray[Any]
    ss: NDArray[Any]

    def sd(self, ddof: int) -> NDArray[Any]:
        """[groups] standard deviation with divisor n - ddof; NaN where that is not positive."""
        divisor = np.where(self.n > ddof, self.n - ddof, np.nan)
        values: NDArray[Any] = np.sqrt(self.ss / divisor)
        return values

    def clear_rounding(self, highest: float) -> Moments:
        """These, with an ss of 0 where equal numbers of up to `highest` could have as much by rounding.

        A spread that rounding alone can make is none: fifteen ratings of 3.3 must not have a standard deviation of
        4e-16, and outliers from it.
        """
        return self._replace(ss=np.where(self.ss <= self.n * (SUM_ROUNDING * self.n * highest) ** 2, 0.0, self.ss))

    def put(self, groups: slice, part: Moments) -> None:
        """Take the moments of some groups from `part`."""
        for whole, own in zip(self, part, strict=True):
            whole[groups] = own


class GroupRuns:
    """Rows of ascending groups, each a run of neighbours, ready to be summed.

    groups: slice from the lowest to the highest group; n: [groups] rows of each of these
    """

    def __init__(self, group: NDArray[Any], long: bool) -> None:
        """group: [rows] ascending, at least one; long: whether runs have `LONG_RUN` rows or more on average."""
        low, high = int(group[0]), int(group[-1]) + 1
        self.groups = slice(low, high)
        self._group = group
        self._code = None if long else (group - low).astype(np.intp)
        self._each = _equal_run_length(group, low, high)
        if self._each:
            self.n = np.full(high - low, self._each)
            self._present = np.arange(high - low)
            self._start: NDArray[Any] = self._present * self._each
        else:
            self._start = np.append(0, np.flatnonzero(group[1:] != group[:-1]) + 1)
            self._present = group[self._start] - low
            self.n = np.zeros(high - low, np.int64)
            self.n[self._present] = np.diff(self._start, append=len(group))

    def sum_by_run(self, values: NDArray[Any]) -> NDArray[Any]:
        """[groups] the sum of `values` [rows] of each."""
        if self._code is not None:
            return np.bincount(self._code, values, len(self.n))
        found = np.add.reduceat(values, self._start, dtype=np.float64)
        if len(found) == len(self.n):
            return found
        totals = np.zeros(len(self.n))
        totals[self._present] = found
        return totals

    def apply_by_run(self, operation: np.ufunc, values: NDArray[Any], of_group: NDArray[Any]) -> NDArray[Any]:
        """[rows] the `operation` on each of the `values` [rows] and the entry of its group in `of_group` [groups]."""
        if self._each:
            done: NDArray[Any] = operation(values.reshape(-1, self._each), of_group[:, None])
            return done.ravel()
        of_row = np.repeat(of_group, self.n) if self._code is None else of_group.take(self._code, mode="clip")
        result: NDArray[Any] = operation(values, of_row)
        return result

    def moments(self, values: NDArray[Any], out: NDArray[Any] = _NO_ROWS) -> tuple[Moments, NDArray[Any]]:
        """Moments of `values` [rows], but for `clear_rounding`, and [rows] the squared deviation of each.

        out: positions of rows that do not count; their values and squared deviations are 0.
        """
        n = self.n - np.bincount(self._group[out] - self.groups.start, minlength=len(self.n)) if len(out) else self.n
        mean = self.sum_by_run(values) / np.where(n, n, np.nan)
        squares = self.apply_by_run(np.subtract, values, mean)
        np.square(squares, out=squares)
        squares[out] = 0
        return Moments(n, mean, self.sum_by_run(squares)), squares


def _equal_run_length(group: NDArray[Any], low: int, high: int) -> int:
    """How many rows each group from `low` to `high` - 1 has, if equally many, else 0; group: [rows] ascending."""
    each, more = divmod(len(group), high - low)
    if more or not each:
        return 0
    rows, there = group.reshape(-1, each), np.arange(low, high, dtype=group.dtype)
    return each if bool((rows[:, 0] == there).all() and (rows[:, -1] == there).all()) else 0


class ScatteredGroups:
    """Groups of rows in any order, ready to be gone through; fast where they recur, as in a complete design.

    group: [N] in 0..groups-1
    """

    def __init__(self, group: NDArray[Any], groups: int) -> None:
        self.group = group
        self._groups = groups
        self._cycle = find_group_cycle(group)

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Slices of rows as of `row_blocks`, and the groups of their first rows [first], which then recur."""
        some = self._cycle * -(-_WIDE_ROWS // self._cycle) if self._cycle else 1
        for rows in row_blocks(len(self.group), self._groups, some):
            size = rows.stop - rows.start
            first = size if not self._cycle else self._cycle if size % some else some
            yield rows, self.group[rows.start : rows.start + first].astype(np.intp)


def find_group_cycle(group: NDArray[Any]) -> int:
    """After how many rows the groups [N] recur in the same order, and do so to the end; 0 if they do not."""
    recurs = group[1 : _BLOCK_ROWS + 1] == group[:1]
    if not recurs.any():
        return 0
    rows = int(recurs.argmax()) + 1
    return rows if len(group) % rows == 0 and np.array_equal(group[rows:], group[:-rows]) else 0


def group_moments(
    values: NDArray[Any], group: NDArray[Any], groups: int, counted: NDArray[Any] | None = None
) -> Moments:
    """Moments of `values` [N] by `group` [N] in 0..groups-1, in any order; of the rows `counted` [N] bool only."""
    without = _NO_ROWS if counted is None else np.flatnonzero(~counted)
    if not is_ascending(group):
        return scattered_moments(values, ScatteredGroups(group, groups), count_by_group(group, groups), without)
    found = empty_moments(groups)
    long, highest = len(group) >= LONG_RUN * groups, 0.0
    for rows in whole_group_blocks(group):
        runs, out = GroupRuns(group[rows], long), _rows_in_slice(rows, without)
        value = _zero_positions(values[rows], out)
        found.put(runs.groups, runs.moments(value, out)[0])
        highest = max(highest, largest_magnitude(value))
    return found.clear_rounding(highest)


def scattered_moments(
    values: NDArray[Any],
    scattered: ScatteredGroups,
    row_count: NDArray[Any],
    without: NDArray[Any] = _NO_ROWS,
    deviations: NDArray[Any] | None = None,
) -> Moments:
    """Moments of `values` [N] by groups in any order, in two passes.

    given: [groups] rows of each, see `count_by_group`; without: ascending rows that do not count
    deviations: [N] float64, where wanted: gets the difference of each value, counted or not, from its group's mean
    """
    groups = len(row_count)
    n = row_count - np.bincount(scattered.group[without], minlength=groups)
    mean, ss, highest = np.zeros(groups), np.zeros(groups), 0.0
    for rows, at in scattered.blocks():
        value = _zero_positions(values[rows], _rows_in_slice(rows, without))
        add_by_group(at, mean, value)
        highest = max(highest, largest_magnitude(value))
    mean /= np.where(n, n, np.nan)
    for rows, at in scattered.blocks():
        deviation = apply_by_group(
            np.subtract, values[rows], mean, at, out=None if deviations is None else deviations[rows]
        )
        squares = np.square(deviation)
        squares[_rows_in_slice(rows, without)] = 0
        add_by_group(at, ss, squares)
    return Moments(n, mean, ss).clear_rounding(highest)


def empty_moments(groups: int) -> Moments:
    return Moments(np.zeros(groups, np.int64), np.full(groups, np.nan), np.zeros(groups))


def count_by_group(group: NDArray[Any], groups: int) -> NDArray[Any]:
    """[groups] rows of each group; group: [N] in 0..groups-1."""
    every = find_group_cycle(group)
    if every:
        return np.bincount(group[:every], minlength=groups) * (len(group) // every)
    n = np.zeros(groups, np.int64)
    for rows in row_blocks(len(group), groups):
        add_by_group(group[rows], n)
    return n


def add_by_group(group: NDArray[Any], totals: NDArray[Any], weights: NDArray[Any] | None = None) -> None:
    """Add to `totals` [groups] the number of rows of each group, or their weights.

    group: [rows], or [first] of the rows, after which they recur; weights: [rows]
    """
    if weights is not None and len(weights) > len(group):
        weights = weights.reshape(-1, len(group)).sum(axis=0)
    totals += np.bincount(group, weights, len(totals))


def apply_by_group(
    operation: np.ufunc,
    values: NDArray[Any],
    of_group: NDArray[Any],
    group: NDArray[Any],
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """[rows] the `operation` on each of the `values` [rows] and the entry of its group in `of_group` [groups].

    group: [rows], or [first] of the rows, after which they recur; out: [rows], where wanted, gets what is returned
    """
    shape = -1, len(group)
    own = of_group.take(group, mode="clip")
    done: NDArray[Any] = operation(values.reshape(shape), own, out=None if out is None else out.reshape(shape))
    return done.ravel()


def row_blocks(rows: int, least: int = 0, some: int = 1) -> Iterator[slice]:
    """Slices that cover `rows` rows, each small enough for what is made of it on the way to take little memory.

    least: rows of each, as where so many totals are gone through for every block
    some: of these rows each slice has a multiple, but for the last
    """
    size = some * -(-max(_BLOCK_ROWS, least) // some)
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def whole_group_blocks(group: NDArray[Any]) -> Iterator[slice]:
    """Slices that cover the rows of `group` [N] ascending, like `row_blocks`, but no slice ends within a group.

    So equal ratings have equal moments, to the last bit, wherever in the table they are.
    """
    starts = [int(np.searchsorted(group, group[rows.start])) for rows in row_blocks(len(group))]
    return (slice(start, end) for start, end in pairwise([*starts, len(group)]) if start < end)


def is_ascending(group: NDArray[Any]) -> bool:
    """Whether no row has a lower group than the row before."""
    steps = (slice(rows.start, rows.stop + 1) for rows in row_blocks(len(group)))
    return all(bool((group[step][1:] >= group[step][:-1]).all()) for step in steps)


def _rows_in_slice(here: slice, rows: NDArray[Any]) -> NDArray[Any]:
    """Those of the ascending `rows` that lie in a slice, counted from its first."""
    low, high = np.searchsorted(rows, (here.start, here.stop))
    values: NDArray[Any] = rows[low:high] - here.start
    return values


def _zero_positions(values: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """`values`, a copy with zeros at the positions `out` if there are any."""
    if not len(out):
        return values
    values = values.copy()
    values[out] = 0
    return values


def largest_magnitude(values: NDArray[Any]) -> float:
    """The largest magnitude; 0 of no values."""
    return max(float(values.max()), -float(values.min())) if len(values) else 0.0
