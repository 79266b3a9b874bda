"""Encode columns of ids as integer codes and columns of scores as float64, whatever their Arrow type."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mos._arrow import column_values, null_mask, number_array, text_array
from mos.errors import UserError
from mos.spellings import is_missing_mark

MISSING_CODES_BELOW = (-1.0, -9.0, -99.0, -999.0)
MISSING_CODES_ABOVE = (99.0, 999.0)
"""Scores that usually stand for a missing answer, below and above common scales."""

_NUMBER_PATTERN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedLabels:
    """A column of names as integer codes.

    labels: sorted unique names as they were written, without surrounding spaces
    codes: [rows] int32, position in labels; -1 for a row without a name
    complete: whether no row has code -1
    """

    labels: pa.StringArray
    codes: NDArray[Any]
    complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class EncodedScores:
    """A column of scores.

    values: [rows] float64, 0 where there is no score
    missing, unreadable: [rows] bool; None where it holds for no row
    """

    values: NDArray[Any]
    missing: NDArray[Any] | None
    unreadable: NDArray[Any] | None


class EncodedColumns(NamedTuple):
    """The columns of a table of ratings; `repetition` is None when the table has none."""

    item: EncodedLabels
    rater: EncodedLabels
    dimension: EncodedLabels
    repetition: EncodedLabels | None
    scores: EncodedScores


_ROWS_FOR_THREADS = 10_000
"""Below, starting threads takes longer than all that they do."""


def encode_columns(table: pa.Table) -> EncodedColumns:
    """Encode the columns of a table of ratings.

    Parameters
    ----------
    table : pyarrow.Table
        With columns item, rater, dimension, score, and optionally repetition.

    Returns
    -------
    EncodedColumns

    Raises
    ------
    UserError
        For a column of a type that holds neither text nor numbers.
    """
    repeated = "repetition" in table.column_names
    if len(table) < _ROWS_FOR_THREADS:
        return EncodedColumns(
            item=encode_labels(table["item"], "item"),
            rater=encode_labels(table["rater"], "rater"),
            dimension=encode_labels(table["dimension"], "dimension"),
            repetition=encode_repetitions(table["repetition"]) if repeated else None,
            scores=encode_scores(table["score"]),
        )
    with ThreadPoolExecutor(2) as pool:  # Arrow releases the interpreter lock
        # Items first: they take longest.
        names = ("item", "rater", "dimension")
        item, rater, dimension = (pool.submit(encode_labels, table[name], name) for name in names)
        scores = pool.submit(encode_scores, table["score"])
        repetition = encode_repetitions(table["repetition"]) if repeated else None
        return EncodedColumns(item.result(), rater.result(), dimension.result(), repetition, scores.result())


def encode_labels(column: pa.ChunkedArray, name: str) -> EncodedLabels:
    """Encode a column of ids.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Strings or numbers; a number 12 or 12.0 is "12". Text stays as it was written, in its Unicode form too, but for
        surrounding spaces.
    name : str
        Name of the column, for the error.

    Returns
    -------
    EncodedLabels
        With code -1 for null, NaN and blank.

    Raises
    ------
    UserError
        For a column of another type.
    """
    kind = _value_type(column.type)
    if not (_is_text_type(kind) or _is_number_type(kind) or pa.types.is_null(kind)):
        raise UserError(f"The column '{name}' holds {kind}; expected text or numbers.")
    parts, values = _distinct_values(column)
    text = pc.utf8_trim_whitespace(ids_as_text(values))
    named = text.dictionary_encode()
    by_name = column_values(pc.sort_indices(named.dictionary))
    blank = int(len(by_name) > 0 and named.dictionary[int(by_name[0])].as_py() == "")  # nothing sorts before it
    rank = np.full(len(by_name) + 1, -1, np.int32)
    rank[by_name] = np.arange(-blank, len(by_name) - blank)
    position = rank[_index_values(named.indices, len(by_name))]
    complete = column.null_count == 0 and bool((position >= 0).all())
    labels = named.dictionary.take(number_array(by_name[blank:]))
    return EncodedLabels(labels, _spread_values(np.append(position, np.int32(-1)), parts), complete)


def ids_as_text(values: pa.Array) -> pa.StringArray:
    """Names or numbers as text: 9001.0 as 9001 when all numbers are whole, NaN as null."""
    if pa.types.is_floating(values.type):
        values = pc.cast(values, pa.float64())
        values = number_array(column_values(values), ~null_mask(values) & ~np.isnan(column_values(values)))
        with contextlib.suppress(pa.ArrowInvalid):  # not all of them whole: they keep their decimals
            values = pc.cast(values, pa.int64())
    return pc.cast(values, pa.string())


def encode_repetitions(column: pa.ChunkedArray) -> EncodedLabels:
    """Encode a column of repetitions.

    Parameters
    ----------
    column : pyarrow.ChunkedArray

    Returns
    -------
    EncodedLabels
        In the order of numbers when all labels are numbers (1 and 1.0 are the same), else in the order of text.
    """
    coded = encode_labels(column, "repetition")
    labels = coded.labels.to_pylist()
    if not all(map(is_number_text, labels)):
        return coded
    values, position = np.unique(np.array(labels, np.float64), return_inverse=True)
    names = text_array([np.format_float_positional(value, trim="-") for value in values])
    return EncodedLabels(names, np.append(position, -1).astype(np.int32)[coded.codes], coded.complete)


def is_number_text(text: str) -> bool:
    """Whether a text is a number with a decimal point.

    >>> is_number_text("3.5"), is_number_text("3,5")
    (True, False)
    """
    return _NUMBER_PATTERN.fullmatch(text) is not None


def encode_scores(column: pa.ChunkedArray) -> EncodedScores:
    """Encode a column of scores.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Numbers, or text with numbers that have a decimal point.

    Returns
    -------
    EncodedScores

    Raises
    ------
    UserError
        For a column of another type.
    """
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if _is_text_type(column.type):
        try:
            return _scores_from_numbers(pc.cast(column, pa.float64()))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _scores_from_text(*_distinct_values(column))
    if pa.types.is_float32(column.type):
        # 3.7 stored in 32 bits is 3.7000000476: read its shortest decimal.
        return _scores_from_numbers(pc.cast(pc.cast(column, pa.string()), pa.float64()))
    if not (_is_number_type(column.type) or pa.types.is_null(column.type)):
        raise UserError(f"The column 'score' holds {column.type}; expected numbers.")
    return _scores_from_numbers(pc.cast(column, pa.float64(), safe=False))


def _scores_from_numbers(column: pa.ChunkedArray) -> EncodedScores:
    if not column.null_count:
        return EncodedScores(column_values(column), None, None)
    missing = null_mask(column)
    return EncodedScores(np.where(missing, 0.0, column_values(column)), missing, None)


def _scores_from_text(parts: list[NDArray[Any]], values: pa.Array) -> EncodedScores:
    text = [(value or "").strip() for value in pc.cast(values, pa.string()).to_pylist()] + [""]
    readable = [is_number_text(entry) for entry in text]
    numbers = [float(entry) if ok else 0.0 for entry, ok in zip(text, readable, strict=True)]
    missing = np.array(
        [not entry or (not ok and is_missing_mark(entry)) for entry, ok in zip(text, readable, strict=True)]
    )
    unreadable = ~np.array(readable) & ~missing
    return EncodedScores(
        _spread_values(np.array(numbers), parts), _spread_values(missing, parts), _spread_values(unreadable, parts)
    )


def _distinct_values(column: pa.ChunkedArray) -> tuple[list[NDArray[Any]], pa.Array]:
    """The position of each row in the distinct values, chunk by chunk, and these values; null is one past the last."""
    # Chunks that are encoded together share one dictionary; others may have one each.
    encoded = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = encoded.chunk(0).dictionary if encoded.num_chunks else pa.nulls(0, _value_type(column.type))
    return [_index_values(chunk.indices, len(values)) for chunk in encoded.chunks], values


def _index_values(indices: pa.Array, none: int) -> NDArray[Any]:
    """The numbers of `indices` [N]; `none` where they are null."""
    return np.where(null_mask(indices), none, column_values(indices)) if indices.null_count else column_values(indices)


def _spread_values(values: NDArray[Any], parts: list[NDArray[Any]]) -> NDArray[Any]:
    """values[positions] for the positions of all parts, without concatenating the positions."""
    spread = np.empty(sum(map(len, parts)), values.dtype)
    start = 0
    for part in parts:
        values.take(part, out=spread[start : start + len(part)], mode="clip")  # they are valid: nothing to check
        start += len(part)
    return spread


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text_type(kind: pa.DataType) -> bool:
    answer: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return answer


def _is_number_type(kind: pa.DataType) -> bool:
    answer: bool = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return answer
