"""Read a CSV or Parquet file of ratings into a table with our column names.

Only the form of the file is checked here; `mos.table.validate` checks the values of the rows.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mos._arrow import number_array, repeat_text
from mos.errors import UserError
from mos.files import open_regular_file, require_path, require_regular_file
from mos.rejections import Rejection
from mos.table.read_csv import LINE_COLUMN, MAX_LINE, read_csv_columns, read_csv_header
from mos.words import did_you_mean

_SEPARATOR_LINE = re.compile(rb'"?sep=.,*"?,*\r?\n?', re.IGNORECASE)

_MAX_ROWS_PER_BYTE, _FREE_ROWS = 10, 1_000_000
"""Rows of a Parquet file that are read for each of its bytes, and of any file."""


# Names that each column may have in a file. A file with two of them for one thing is refused.
COLUMN_ALIASES: dict[str, tuple[str, ...]] = {
    "item": ("image_id", "pair_id", "item", "stimulus"),
    "rater": ("annotator_id", "rater", "subject", "worker"),
    "dimension": ("dimension",),
    "score": ("score", "rating"),
    "rated_at": ("rated_at",),
    "repetition": ("repetition",),
}


REQUIRED_ROLES = ("item", "rater", "score")


DEFAULT_DIMENSION = "score"


def read_ratings_table(
    path: Path,
    names: Mapping[str, str] | None = None,
    *,
    preferred: Sequence[str] = (),
    required: Sequence[str] = REQUIRED_ROLES,
) -> tuple[pa.Table, list[Rejection]]:
    """Read the long table of ratings from a file.

    Parameters
    ----------
    path : Path
        A `.csv` or `.parquet` file.
    names : mapping from str to str, optional
        From our name (item, rater, dimension, score, rated_at, repetition) to the name in the file, for columns whose
        name is not in `COLUMN_ALIASES`.
    preferred, required : sequence of str
        See `find_rating_columns`.

    Returns
    -------
    table : pyarrow.Table
        Columns item, rater, dimension, score, rated_at, row, and repetition where the file has it, with unchanged
        values. `row` counts the lines of a CSV file (its header is line 1) or the rows of a Parquet file from 1.
        Without a dimension column there is one dimension, "score".
    rejections : list of Rejection
        Rows that cannot be split into fields.

    Raises
    ------
    UserError
        When the file cannot be read, is empty, or lacks a column.
    """
    require_path(path)
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UserError(f"{path}: expected a table of ratings ending in .csv or .parquet; convert it, or rename it.")
    read = _read_csv if suffix == ".csv" else _read_parquet

    def find_columns(header: Sequence[str]) -> dict[str, str]:
        return find_rating_columns(path, header, names, preferred=preferred, required=required)

    try:
        return read(path, find_columns)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; check the path.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or 'input/output error'}).") from error


def _read_csv(path: Path, find_columns: Callable[[Sequence[str]], dict[str, str]]) -> tuple[pa.Table, list[Rejection]]:
    rejections: list[Rejection] = []
    with open_regular_file(path) as file:
        marked = file.read(len(BOM_UTF8)) == BOM_UTF8
        file.seek(len(BOM_UTF8) if marked else 0)
        first = file.tell()
        separator = _SEPARATOR_LINE.fullmatch(file.readline(MAX_LINE))
        start = first + (separator.end() if separator else 0)
        file.seek(start)
        header = read_csv_header(path, file)
    if marked:
        message = "the file starts with a byte order mark, which was skipped; save it as plain UTF-8"
        rejections.append(Rejection("rating", "", 1, "byte_order_mark", message))
    columns = find_columns(header)
    table, unsplit = read_csv_columns(path, start, header, list(columns.values()), skipped=int(separator is not None))
    return _rename_columns(table, columns, table[LINE_COLUMN]), rejections + unsplit


def _read_parquet(
    path: Path, find_columns: Callable[[Sequence[str]], dict[str, str]]
) -> tuple[pa.Table, list[Rejection]]:
    require_regular_file(path)
    try:
        with pq.ParquetFile(path) as file:
            rows, size = file.metadata.num_rows, path.stat().st_size
            if rows > _MAX_ROWS_PER_BYTE * size + _FREE_ROWS:
                raise UserError(f"{path}: expected ratings, but {size:,} bytes claim to hold {rows:,} rows.")
            columns = find_columns(file.schema_arrow.names)
            table = file.read(columns=list(columns.values()))
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: expected a Parquet file, but it cannot be opened as one; write it again.") from error
    row = number_array(np.arange(1, table.num_rows + 1, dtype=np.int64))
    return _rename_columns(table, columns, pa.chunked_array([row])), []


def read_arrow_table(source: Any, names: Mapping[str, str] | None = None) -> pa.Table:
    """Take the long table of ratings from a table in memory.

    Parameters
    ----------
    source
        A `pyarrow.Table`, or anything that gives its data as Arrow: a pandas or polars `DataFrame`.
    names
        As for `read_ratings_table`.

    Returns
    -------
    pyarrow.Table
        As of `read_ratings_table`; `row` counts from 0, as `DataFrame.iloc` does.

    Raises
    ------
    UserError
        For an object without Arrow data, or a table that lacks a column.
    """
    kind = type(source).__name__
    if not hasattr(source, "__arrow_c_stream__"):
        raise UserError(f"Expected a path, a pandas DataFrame or a pyarrow Table of ratings; got {kind}.")
    try:
        table = pa.table(source)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:  # pandas: sparse, equal names, 2**64
        raise UserError(f"{kind}: cannot be converted to an Arrow table ({error}).") from None
    columns = find_rating_columns(Path(kind), table.column_names, names)
    row = number_array(np.arange(table.num_rows, dtype=np.int64))
    return _rename_columns(table, columns, pa.chunked_array([row], pa.int64()))


def _rename_columns(table: pa.Table, columns: Mapping[str, str], row: pa.ChunkedArray) -> pa.Table:
    """The table under our names, with the columns that the file does not have."""
    ours = {role: table[column] for role, column in columns.items()}
    ours.setdefault("dimension", pa.chunked_array([repeat_text(DEFAULT_DIMENSION, table.num_rows)]))
    rated_at = ours.get("rated_at", pa.chunked_array([pa.nulls(table.num_rows, pa.string())]))
    if not pa.types.is_string(rated_at.type):
        rated_at = pc.cast(rated_at, pa.string())
    ours |= {"rated_at": rated_at, "row": row}
    order = ["item", "rater", "dimension", "score", "rated_at", "row"]
    return pa.table({name: ours[name] for name in [*order, *(["repetition"] if "repetition" in ours else [])]})


def find_rating_columns(
    path: Path,
    header: Sequence[str],
    names: Mapping[str, str] | None,
    *,
    preferred: Sequence[str] = (),
    required: Sequence[str] = REQUIRED_ROLES,
) -> dict[str, str]:
    """Find the column of the file for each of our names.

    Parameters
    ----------
    path : Path
        Name of the file in errors.
    header : sequence of str
        Column names of the file. Case and surrounding spaces do not matter for `COLUMN_ALIASES`.
    names : mapping from str to str, optional
        From our name to the exact name in the file.
    preferred : sequence of str
        Names of `COLUMN_ALIASES` that count where a file has others for the same thing as well.
    required : sequence of str
        Our names without whose columns a file is refused.

    Returns
    -------
    dict from str to str
        From our name to the name in `header`.

    Raises
    ------
    UserError
        For an unknown key of `names`, a missing column, two columns of the same name, or two that could be the same
        thing.
    """
    names = dict(names or {})
    for role in names:
        if role not in COLUMN_ALIASES:
            raise UserError(f"Unknown column part '{role}'; expected one of {', '.join(COLUMN_ALIASES)}.")
    folded: dict[str, list[str]] = {}
    for column in header:
        folded.setdefault(column.strip().casefold(), []).append(column)
    columns: dict[str, str] = {}
    for role, usual in COLUMN_ALIASES.items():
        if role in names:
            candidates = [column for column in header if column == names[role]]
            if not candidates:
                raise UserError(_missing_column_message(path, header, role, (names[role],)))
        else:
            # A column that was named for one thing is not meant for another.
            found = [name for name in usual if any(each not in names.values() for each in folded.get(name, ()))]
            found = [name for name in found if name in preferred] or found
            if len(found) > 1:
                raise UserError(_ambiguous_columns_message(path, role, [folded[name][0] for name in found]))
            candidates = folded[found[0]] if found else []
        if len(candidates) > 1:
            raise UserError(f"{path}: {len(candidates)} columns are called '{candidates[0]}'; keep or name one only.")
        if candidates:
            columns[role] = candidates[0]
        elif role in required:
            raise UserError(_missing_column_message(path, header, role, usual))
    return columns


def _ambiguous_columns_message(path: Path, role: str, found: Sequence[str]) -> str:
    named = " and ".join(repr(name.strip()[:40]) for name in found)
    return (
        f"{path}: {len(found)} columns may hold the {role}: {named}. Say which one does, or rename "
        f"{'the other' if len(found) == 2 else 'the others'}."
    )


def _missing_column_message(path: Path, header: Sequence[str], role: str, expected: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in header[:12]) + (", ..." if len(header) > 12 else "")
    sentence = f"{path}: no column for the {role}: expected {' or '.join(repr(e) for e in expected)}, found {shown}"
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        return f"{sentence}; the fields must be separated by commas: save the table again."
    hint = next(filter(None, (did_you_mean(name, header) for name in expected)), "")
    return f"{sentence}.{hint} Rename a column, or say which one holds the {role}."
