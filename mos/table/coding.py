"""Columns of ids and of scores, whatever their Arrow type, to integer codes and float64."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mos.arrow import nulls, numbers, plain, texts
from mos.errors import UserError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """labels: sorted unique names, in normal form C, without spaces around them; codes: [rows] int32 position in
    them, -1 for none.

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


class Columns(NamedTuple):
    """The columns of a table of ratings; `repetition` is None when the table has none."""

    item: Coded
    rater: Coded
    dimension: Coded
    repetition: Coded | None
    scores: Scores


def code_columns(table: pa.Table) -> Columns:
    """Code the columns of a table, two at a time, since Arrow lets go of the interpreter."""
    with ThreadPoolExecutor(2) as pool:
        # Items first: they take longest.
        names = ("item", "rater", "dimension")
        item, rater, dimension = (pool.submit(code_labels, table[name], name) for name in names)
        scores = pool.submit(code_scores, table["score"])
        repetition = code_repetitions(table["repetition"]) if "repetition" in table.column_names else None
        return Columns(item.result(), rater.result(), dimension.result(), repetition, scores.result())


def code_labels(column: pa.ChunkedArray, name: str) -> Coded:
    """Code a column of strings or numbers (an id 12 or 12.0 is "12"); null, NaN and blank are -1.

    Text is composed (Unicode normal form C) and loses the spaces around it first.
    name: what the column is called in the error for any other type.
    """
    kind = _value_type(column.type)
    if not (_is_text(kind) or _is_number(kind) or pa.types.is_null(kind)):
        raise UserError(f"The column '{name}' holds {kind}; expected text or numbers.")
    parts, values = _distinct(column)
    text = pc.utf8_trim_whitespace(pc.utf8_normalize(_as_text(values), "NFC"))
    named = text.dictionary_encode()
    by_name = plain(pc.sort_indices(named.dictionary))
    blank = int(len(by_name) > 0 and named.dictionary[int(by_name[0])].as_py() == "")  # nothing sorts before it
    rank = np.full(len(by_name) + 1, -1, np.int32)
    rank[by_name] = np.arange(-blank, len(by_name) - blank)
    position = rank[_positions(named.indices, len(by_name))]
    complete = column.null_count == 0 and bool((position >= 0).all())
    labels = named.dictionary.take(numbers(by_name[blank:]))
    return Coded(labels, _spread(np.append(position, np.int32(-1)), parts), complete)


def _as_text(values: pa.Array) -> pa.StringArray:
    """Names or numbers as text: 9001.0 as 9001 when all numbers are whole, NaN as null."""
    if pa.types.is_floating(values.type):
        values = pc.cast(values, pa.float64())
        values = numbers(plain(values), ~nulls(values) & ~np.isnan(plain(values)))
        with contextlib.suppress(pa.ArrowInvalid):  # not all of them whole: they keep their decimals
            values = pc.cast(values, pa.int64())
    return pc.cast(values, pa.string())


def code_repetitions(column: pa.ChunkedArray) -> Coded:
    """Code a column of labels of repetitions: in the order of numbers when all are (1 and 1.0 are the same one)."""
    coded = code_labels(column, "repetition")
    labels = coded.labels.to_pylist()
    if not all(map(is_number, labels)):
        return coded
    values, position = np.unique(np.array(labels, np.float64), return_inverse=True)
    names = texts([np.format_float_positional(value, trim="-") for value in values])
    return Coded(names, np.append(position, -1).astype(np.int32)[coded.codes], coded.complete)


def is_number(text: str) -> bool:
    """Whether a text writes a number, with a decimal point, as we read them."""
    return _NUMBER.fullmatch(text) is not None


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


def _parsed(parts: list[np.ndarray], values: pa.Array) -> Scores:
    text = [(value or "").strip() for value in pc.cast(values, pa.string()).to_pylist()] + [""]
    readable = [is_number(entry) for entry in text]
    found = [float(entry) if ok else 0.0 for entry, ok in zip(text, readable, strict=True)]
    missing = np.array([not entry for entry in text])
    unreadable = ~np.array(readable) & ~missing
    return Scores(_spread(np.array(found), parts), _spread(missing, parts), _spread(unreadable, parts))


def _distinct(column: pa.ChunkedArray) -> tuple[list[np.ndarray], pa.Array]:
    """Each row's position in the distinct values, chunk by chunk, and these; a null's is one past the last."""
    # Chunks that are encoded together share one dictionary; others may have one each.
    encoded = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = encoded.chunk(0).dictionary if encoded.num_chunks else pa.nulls(0, _value_type(column.type))
    return [_positions(chunk.indices, len(values)) for chunk in encoded.chunks], values


def _positions(indices: pa.Array, none: int) -> np.ndarray:
    """The numbers of `indices` [N], and `none` where there is no number."""
    return np.where(nulls(indices), none, plain(indices)) if indices.null_count else plain(indices)


def _spread(values: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """values[positions] for the positions of all parts, without putting these together first."""
    spread = np.empty(sum(map(len, parts)), values.dtype)
    start = 0
    for part in parts:
        values.take(part, out=spread[start : start + len(part)], mode="clip")  # they are valid: nothing to check
        start += len(part)
    return spread


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
