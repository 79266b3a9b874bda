"""Put new ratings among ordered ones: names and keys of the new ones are found among those that are known.

Validating a study of 687,915 ratings again because of a hundred new ones took twice as long as this does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mos._arrow import column_values, null_mask, number_array, text_array
from mos._kernels import take_unchecked
from mos.ratings import Ratings
from mos.table.encode import EncodedLabels, encode_labels, encode_repetitions
from mos.table.validate import ValidatedRows, find_dimension_names, require_likely_dimensions

_FEW = 1000
"""Values that are inserted one by one."""


class MergedRatings(NamedTuple):
    """Known ratings and rows of a table in canonical order.

    ratings: all of them, without a scale; `index` is not of use
    repetitions: names of the repetitions
    places: [rows] positions of the rows in `ratings`, ascending; rows: [rows] their positions in the table
    first: [rows] position of the first rating of the same thing: among equal ones a known rating, then rows in order
    """

    ratings: Ratings
    repetitions: pa.StringArray
    places: NDArray[Any]
    rows: NDArray[Any]
    first: NDArray[Any]


class _Axis(NamedTuple):
    """Sorted names of what is rated, and the codes of the known ratings and of the rows in them."""

    names: pa.StringArray
    known: NDArray[np.integer]
    new: NDArray[np.integer]


def merge_ratings(
    ratings: Ratings,
    repetitions: pa.StringArray,
    judged: ValidatedRows,
    rows: NDArray[np.int64],
    dimensions: Sequence[str] | None,
) -> MergedRatings | None:
    """Put the rows of a table among ratings.

    Parameters
    ----------
    ratings : Ratings
        In canonical order, at most one of each thing.
    repetitions : pyarrow.StringArray
        Names of their repetitions; empty where they have none. The rows have the same kind.
    judged : ValidatedRows
        The table.
    rows : ndarray of int64
        The rows to be added, ascending; all of them are valid.
    dimensions : sequence of str or None
        The dimensions there are; None: those that are found.

    Returns
    -------
    MergedRatings or None
        None where the combinations of all names are more than int64 can count.

    Raises
    ------
    UserError
        For too many dimensions.
    """
    columns = judged.columns
    item = _unite_names(ratings.items, ratings.item, columns.item, rows)
    rater = _unite_names(ratings.raters, ratings.rater, columns.rater, rows)
    judged_dimension = EncodedLabels(text_array(judged.known), judged.dimension, complete=False)
    dimension = _unite_names(ratings.dimensions, ratings.dimension, judged_dimension, rows)
    axes = [item, dimension, rater]
    if columns.repetition is not None and len(rows):
        axes.append(_unite_names(repetitions, ratings.repetition, columns.repetition, rows, numbers=True))
    elif len(repetitions):
        axes.append(_Axis(repetitions, ratings.repetition, np.zeros(0, np.int32)))
    names = find_dimension_names(dimension.names, dimensions)
    for what, axis in (("items", item), ("raters", rater)):
        require_likely_dimensions(what, len(axis.names), len(names), len(ratings) + len(rows))
    if math.prod(len(axis.names) for axis in axes) >= 2**63:
        return None
    known_key, new_key = (_combine_codes([axis[of] for axis in axes], axes) for of in (1, 2))
    by_key = np.argsort(new_key, kind="stable")
    new_key, rows = new_key[by_key], rows[by_key]
    before = np.searchsorted(known_key, new_key, side="right")
    codes = [_insert_values(axis.known, before, axis.new[by_key]) for axis in axes]
    score = _insert_values(ratings.score, before, take_unchecked(columns.scores.values, rows))
    united = Ratings(
        item.names,
        rater.names,
        dimension.names,
        item=codes[0],
        rater=codes[2],
        dimension=codes[1],
        score=score,
        index=np.arange(len(score)),
        scale=(np.nan, np.nan),
        repetition=codes[3] if len(axes) > 3 else np.zeros(len(score), np.int32),
    )
    number = np.arange(len(rows))
    places = before + number
    begins = np.append(True, new_key[1:] != new_key[:-1])[: len(rows)]
    start = np.maximum.accumulate(np.where(begins, number, 0)) if len(rows) else number
    # Rows of smaller keys come before the known rating of this one as well.
    is_known = (before > 0) & (known_key[before - 1] == new_key) if len(known_key) else np.zeros(len(rows), bool)
    first = np.where(is_known, before - 1 + start, places[start])
    return MergedRatings(united, axes[3].names if len(axes) > 3 else text_array([]), places, rows, first)


def _unite_names(
    names: pa.StringArray,
    codes: NDArray[np.integer],
    coded: EncodedLabels,
    rows: NDArray[np.int64],
    *,
    numbers: bool = False,
) -> _Axis:
    """Known names and those of the rows; the codes of the known ratings are kept where no name is new.

    numbers: whether names that are all numbers have the order of numbers
    """
    used, theirs = np.unique(coded.codes[rows], return_inverse=True)
    labels = coded.labels.take(number_array(used))
    found = pc.index_in(labels, value_set=names)
    if not null_mask(found).any():
        return _Axis(names, codes, column_values(found).astype(codes.dtype)[theirs])
    every = pa.chunked_array([names, labels])
    united = encode_repetitions(every) if numbers else encode_labels(every, "name")
    position = united.codes.astype(codes.dtype)
    known = take_unchecked(position[: len(names)], codes)
    return _Axis(united.labels, known, position[len(names) :][theirs])


def _combine_codes(codes: Sequence[NDArray[np.integer]], axes: Sequence[_Axis]) -> NDArray[Any]:
    """One number for the codes of each rating, in canonical order."""
    key = np.zeros(len(codes[0]), np.int32 if math.prod(len(axis.names) for axis in axes) < 2**31 else np.int64)
    for own, axis in zip(codes, axes, strict=True):
        np.multiply(key, len(axis.names), out=key)
        np.add(key, own, out=key)
    return key


def _insert_values(known: NDArray[Any], before: NDArray[np.int64], new: NDArray[Any]) -> NDArray[Any]:
    """Insert new values, each before a position of the known ones; for a few, much faster than `numpy.insert`."""
    if len(new) > _FEW:
        return np.insert(known, before, new)
    pieces, start = [], 0
    for number, end in enumerate(before.tolist()):
        pieces += [known[start:end], new[number : number + 1]]
        start = end
    return np.concatenate([*pieces, known[start:]])
