"""Columns of ids and of scores, whatever their Arrow type, to integer codes and float64."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mos.arrow import nulls, plain, texts
from mos.errors import UserError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """labels: sorted unique names, without spaces around them; codes: [rows] int32 position in them, -1 for none.

    complete: whether no row can have code -1.
    """

    labels: pa.StringArray
    codes: np.ndarray
    complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """values: [rows] float64, 0 where there is none; missing, unreadable: [rows] bool, None where no row is."""

    values: np.ndarray
    missing: np.ndarray | None
    unreadable: np.ndarray | None


def code_labels(column: pa.ChunkedArray, name: str) -> Coded:
    """Code a column of strings or numbers (an id 12 or 12.0 is "12"); null and blank are -1.

    name: what the column is called in the error for any other type.
    """
    kind = _value_type(column.type)
    if not (_is_text(kind) or _is_number(kind) or pa.types.is_null(kind)):
        raise UserError(f"The column '{name}' holds {kind}; expected text or numbers.")
    indices, values = _distinct(column)
    if pa.types.is_floating(values.type):
        with contextlib.suppress(pa.ArrowInvalid):  # not all of them whole: they keep their decimals
            values = pc.cast(values, pa.int64())
    text = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))
    labels = pc.unique(text.filter(pc.invert(pc.is_in(text, value_set=texts([""]))))).drop_null()
    labels = labels.take(pc.sort_indices(labels))
    found = pc.index_in(text, value_set=labels)
    code = np.append(np.where(nulls(found), np.int32(-1), plain(found)), np.int32(-1))
    return Coded(labels, code[indices], column.null_count == 0 and found.null_count == 0)


def code_repetitions(column: pa.ChunkedArray) -> Coded:
    """Code a column of labels of repetitions: in the order of numbers when all are (1 and 1.0 are the same one)."""
    coded = code_labels(column, "repetition")
    labels = coded.labels.to_pylist()
    if not all(_NUMBER.fullmatch(label) for label in labels):
        return coded
    values, position = np.unique(np.array(labels, np.float64), return_inverse=True)
    names = texts([f"{value:g}" for value in values.tolist()])
    return Coded(names, np.append(position, -1).astype(np.int32)[coded.codes], coded.complete)


def code_scores(column: pa.ChunkedArray) -> Scores:
    """Read a column of numbers, or of text that writes them with a decimal point."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if _is_text(column.type):
        try:
            return _numbers(pc.cast(column, pa.float64()))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _parsed(*_distinct(column))
    if pa.types.is_float32(column.type):
        # 3.7 stored in 32 bits is 3.7000000476; what was meant is its shortest decimal.
        return _numbers(pc.cast(pc.cast(column, pa.string()), pa.float64()))
    if not (_is_number(column.type) or pa.types.is_null(column.type)):
        raise UserError(f"The column 'score' holds {column.type}; expected numbers.")
    return _numbers(pc.cast(column, pa.float64(), safe=False))


def _numbers(column: pa.ChunkedArray) -> Scores:
    if not column.null_count:
        return Scores(plain(column), None, None)
    missing = nulls(column)
    return Scores(np.where(missing, 0.0, plain(column)), missing, None)


def _parsed(indices: np.ndarray, values: pa.Array) -> Scores:
    text = [(value or "").strip() for value in pc.cast(values, pa.string()).to_pylist()] + [""]
    readable = [_NUMBER.fullmatch(entry) is not None for entry in text]
    numbers = [float(entry) if ok else 0.0 for entry, ok in zip(text, readable, strict=True)]
    missing = np.array([not entry for entry in text])
    unreadable = ~np.array(readable) & ~missing
    return Scores(np.array(numbers)[indices], missing[indices], unreadable[indices])


def _distinct(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Each row's position in the distinct values, and these; a null's position is one past the last."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    chunks = encoded.unify_dictionaries().chunks
    values = chunks[0].dictionary if chunks else pa.nulls(0, _value_type(column.type))
    parts = [chunk.indices for chunk in chunks]
    indices = [np.where(nulls(part), len(values), plain(part)) if part.null_count else plain(part) for part in parts]
    return indices[0] if len(indices) == 1 else np.concatenate([*indices, np.zeros(0, np.int32)]), values


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
