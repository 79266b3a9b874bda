"""A file of ratings, CSV or Parquet, to a table with our column names.

Nothing is judged here but the shape of the file: what a row says is checked in `mos.table.code`.
"""

from __future__ import annotations

import difflib
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mos.arrow import numbers, repeated
from mos.errors import UserError
from mos.table import delimited
from mos.table.problem import Problem

# What each column is usually called, in the order in which we look.
USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "item": ("image_id", "pair_id", "item", "stimulus"),
    "rater": ("annotator_id", "rater", "subject", "worker"),
    "dimension": ("dimension",),
    "score": ("score", "rating"),
    "rated_at": ("rated_at",),
    "repetition": ("repetition",),
}
REQUIRED = ("item", "rater", "score")
ONLY_DIMENSION = "score"


def read_columns(path: Path, names: Mapping[str, str] | None = None) -> tuple[pa.Table, list[Problem]]:
    """Read the long table of ratings in `path` (`.csv` or `.parquet`).

    names: from our name (item, rater, dimension, score, rated_at, repetition) to the name in the file, for columns
        that do not have one of `USUAL_NAMES`.
    Gives the table (item, rater, dimension, score, rated_at, row; repetition where the file has it), values as they
    came, and the rows that could not even be split into fields.  `row` counts the lines of a CSV file from 1, its
    header being line 1, and the rows of a Parquet file from 1.  Without a dimension column there is one dimension,
    "score".
    Raises UserError when the file cannot be read, is empty, or lacks a column.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UserError(f"{path}: expected a table of ratings ending in .csv or .parquet; convert it, or rename it.")
    try:
        return _read_csv(path, names) if suffix == ".csv" else _read_parquet(path, names)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; check the path.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or 'input/output error'}).") from error


def _read_csv(path: Path, names: Mapping[str, str] | None) -> tuple[pa.Table, list[Problem]]:
    problems: list[Problem] = []
    with path.open("rb") as file:
        start = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
        file.seek(start)
        header = delimited.header(path, file)
    if start:
        message = "the file starts with a byte order mark, which was skipped; save it as plain UTF-8"
        problems.append(Problem(1, "byte_order_mark", message))
    columns = find_columns(path, header, names)
    table, unsplit = delimited.parse(path, start, header, list(columns.values()))
    return _named(table, columns, table[delimited.ROW]), problems + unsplit


def _read_parquet(path: Path, names: Mapping[str, str] | None) -> tuple[pa.Table, list[Problem]]:
    try:
        with pq.ParquetFile(path) as file:
            columns = find_columns(path, file.schema_arrow.names, names)
            table = file.read(columns=list(columns.values()))
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: expected a Parquet file, but it cannot be opened as one; write it again.") from error
    row = numbers(np.arange(1, table.num_rows + 1, dtype=np.int64))
    return _named(table, columns, pa.chunked_array([row])), []


def _named(table: pa.Table, columns: Mapping[str, str], row: pa.ChunkedArray) -> pa.Table:
    """The table under our names, with the columns that the file does not have."""
    ours = {role: table[column] for role, column in columns.items()}
    ours.setdefault("dimension", pa.chunked_array([repeated(ONLY_DIMENSION, table.num_rows)]))
    rated_at = ours.get("rated_at", pa.chunked_array([pa.nulls(table.num_rows, pa.string())]))
    if not pa.types.is_string(rated_at.type):
        rated_at = pc.cast(rated_at, pa.string())
    ours |= {"rated_at": rated_at, "row": row}
    order = ["item", "rater", "dimension", "score", "rated_at", "row"]
    return pa.table({name: ours[name] for name in [*order, *(["repetition"] if "repetition" in ours else [])]})


def find_columns(path: Path, header: Sequence[str], names: Mapping[str, str] | None) -> dict[str, str]:
    """Which column of the file plays which part: our name -> the name in `header`.

    Case and spaces around a name do not matter for the usual names; names given must be there as they are.
    """
    names = dict(names or {})
    for role in names:
        if role not in USUAL_NAMES:
            raise UserError(f"Unknown column part '{role}'; expected one of {', '.join(USUAL_NAMES)}.")
    folded: dict[str, list[str]] = {}
    for column in header:
        folded.setdefault(column.strip().casefold(), []).append(column)
    found: dict[str, str] = {}
    for role, usual in USUAL_NAMES.items():
        if role in names:
            candidates = [column for column in header if column == names[role]]
            if not candidates:
                raise UserError(_missing(path, header, role, (names[role],)))
        else:
            candidates = next((folded[name] for name in usual if name in folded), [])
        if len(candidates) > 1:
            raise UserError(f"{path}: {len(candidates)} columns are called '{candidates[0]}'; keep or name one only.")
        if candidates:
            found[role] = candidates[0]
        elif role in REQUIRED:
            raise UserError(_missing(path, header, role, usual))
    return found


def _missing(path: Path, header: Sequence[str], role: str, expected: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in header[:12]) + (", ..." if len(header) > 12 else "")
    sentence = f"{path}: no column for the {role}: expected {' or '.join(repr(e) for e in expected)}, found {shown}"
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        return f"{sentence}; the fields must be separated by commas: save the table again."
    close = [match for name in expected for match in difflib.get_close_matches(name, header, n=1)]
    if close:
        return f"{sentence}; did you mean '{close[0]}'? Rename it, or say which column holds the {role}."
    return f"{sentence}; rename a column, or say which one holds the {role}."
