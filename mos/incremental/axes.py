"""What ratings are of, under names that come and go: item, dimension, rater, and repetition."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mos.arrow import nulls, numbers, plain, texts
from mos.errors import UserError
from mos.table import MAX_DIMENSIONS, Judged
from mos.table.coding import code_labels, code_repetitions, is_number
from mos.table.ordering import gathered

NO_REPETITIONS = texts([""])  # the one repetition of ratings without that column, which itself has no blank ones


class Axis(NamedTuple):
    """names: sorted and unique; codes: [N] position in them of what each rating is of."""

    names: pa.StringArray
    codes: np.ndarray

    def take(self, rows: np.ndarray) -> Axis:
        """The ratings where `rows` [N] is True, or those at the positions `rows`; all names stay."""
        return Axis(self.names, self.codes[rows] if rows.dtype == bool else gathered(self.codes, rows))

    def used(self) -> Axis:
        """The same without the names that no rating has."""
        there = np.zeros(len(self.names), bool)
        there[self.codes] = True
        if there.all():
            return self
        position = (np.cumsum(there) - 1).astype(self.codes.dtype)
        return Axis(self.names.take(numbers(np.flatnonzero(there))), gathered(position, self.codes))


class Axes(NamedTuple):
    """In the canonical order of ratings."""

    item: Axis
    dimension: Axis
    rater: Axis
    repetition: Axis

    def take(self, rows: np.ndarray) -> Axes:
        """The ratings where `rows` [N] is True, or those at the positions `rows`; all names stay."""
        return Axes(*(axis.take(rows) for axis in self))

    def keys(self) -> np.ndarray:
        """[N] int64, one number for all that a rating is of, in canonical order.

        Raises UserError where the combinations of all names are more than int64 can count.
        """
        if math.prod(len(axis.names) for axis in self) >= 2**63:
            raise UserError(
                f"{len(self.item.names)} items, {len(self.rater.names)} raters and {len(self.repetition.names)} "
                "repetitions have too many combinations to be kept in order; number the repetitions from 1 for every "
                "item, or score the whole table at once."
            )
        key = np.zeros(len(self.item.codes), np.int64)
        for names, codes in self:
            np.multiply(key, len(names), out=key)
            np.add(key, codes, out=key)
        return key


def axes_of(judged: Judged) -> Axes:
    """Those of the good rows of a table, with no other names but those of dimensions that were given."""
    columns = judged.columns
    repetition = (
        Axis(NO_REPETITIONS, np.zeros(len(judged.dimension), np.int32))
        if columns.repetition is None
        else Axis(columns.repetition.labels, columns.repetition.codes)
    )
    axes = Axes(
        item=Axis(columns.item.labels, columns.item.codes),
        dimension=Axis(texts(judged.known), judged.dimension),
        rater=Axis(columns.rater.labels, columns.rater.codes),
        repetition=repetition,
    )
    return axes if judged.good is None else Axes(*(axis.take(judged.good).used() for axis in axes))


def united(mine: Axes, theirs: Axes) -> tuple[Axes, Axes]:
    """Both under the names of both, in linear time; the order among the names of each stays.

    Raises UserError for too many dimensions, or repetitions that are not told apart in the same way.
    """
    _check_repetitions(mine, theirs)
    both = [_united(one, other, at == "repetition") for at, one, other in zip(Axes._fields, mine, theirs, strict=True)]
    dimensions = len(both[1][0].names)
    if dimensions > MAX_DIMENSIONS:
        raise UserError(
            f"There would be {dimensions} different dimensions; expected a few, such as 'overall': check which column "
            "holds the dimension."
        )
    return Axes(*(one for one, _ in both)), Axes(*(other for _, other in both))


def _united(mine: Axis, theirs: Axis, repetitions: bool) -> tuple[Axis, Axis]:
    if not len(mine.names) or mine.names.equals(theirs.names):
        return Axis(theirs.names, mine.codes), theirs
    names = pa.chunked_array([mine.names, theirs.names])
    every = code_repetitions(names) if repetitions else code_labels(names, "name")
    one, other = np.split(every.codes, [len(mine.names)])
    if len(every.labels) == len(mine.names):  # nothing new: the usual case spares going through all ratings
        return mine, Axis(mine.names, _renamed(theirs.codes, other))
    return Axis(every.labels, _renamed(mine.codes, one)), Axis(every.labels, _renamed(theirs.codes, other))


def _renamed(codes: np.ndarray, position: np.ndarray) -> np.ndarray:
    return gathered(position.astype(codes.dtype), codes)


def among(theirs: Axes, mine: Axes) -> tuple[Axes, np.ndarray]:
    """The ratings `theirs` under the names of `mine`, and [theirs] bool, whether these have all of their names.

    The codes of the others mean nothing.
    """
    _check_repetitions(mine, theirs)
    known = np.ones(len(theirs.item.codes), bool)
    found = []
    for one, other in zip(mine, theirs, strict=True):
        position = pc.index_in(other.names, value_set=one.names)
        absent = nulls(position)
        known &= ~absent[other.codes]
        found.append(Axis(one.names, _renamed(other.codes, np.where(absent, 0, plain(position)))))
    return Axes(*found), known


def _check_repetitions(mine: Axes, theirs: Axes) -> None:
    """Numbers are ordered as numbers and other names as text; were both there, new ones would turn the order over."""
    kinds = [_kind(mine.repetition.names), _kind(theirs.repetition.names)]
    if "mixed" in kinds or (kinds[0] != kinds[1] and len(mine.repetition.names)):
        raise UserError(
            "Expected repetitions that are told apart in one way, by numbers, by names, or not at all (no column "
            f"'repetition'); got {kinds[1]}{f' after {kinds[0]}' if len(mine.repetition.names) else ''}: change the "
            "column."
        )


def _kind(names: pa.StringArray) -> str:
    if names.equals(NO_REPETITIONS):
        return "none"
    numeric = {is_number(name) for name in names.to_pylist()}
    return "mixed" if len(numeric) > 1 else "names" if False in numeric else "numbers"
