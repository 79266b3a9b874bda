"""A CSV file split into columns of text, every record with the line on which it starts.

Arrow splits a sound file, in parallel.  It does not say where a row came from, so its answer is used only when every
line of the file is a row; otherwise (blank lines, line breaks in quotes, rows with too few fields, bytes that are
not UTF-8) the file is split again record by record.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from mos.arrow import numbers, texts
from mos.errors import UserError
from mos.problem import Problem

ROW = "\0row"  # the name of the column of line numbers: no header can hold it, since NUL is refused there
_CHUNK = 65_536


def header(path: Path, data: bytes) -> list[str]:
    """The names in the first record that is not blank."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: expected a CSV file in UTF-8, but this is UTF-16; save it as UTF-8.")
    _, names = next((record for record in _records(data) if record[1]), (0, None))
    if not names:
        raise UserError(f"{path}: the file is empty; expected a header line and one rating a line.")
    if any("\0" in name for name in names):
        raise UserError(f"{path}: expected a CSV file, but it starts with binary data; save the table as CSV.")
    return names


def parse(data: bytes, names: Sequence[str], wanted: Sequence[str]) -> tuple[pa.Table, list[Problem]]:
    """Columns `wanted` as text, and `ROW`, the line (from 1) on which each record starts; and what was not split.

    data: the file without its byte order mark; names: its header.
    """
    return _parse_sound(data, wanted) or _parse_any(data, names, wanted)


def _parse_sound(data: bytes, wanted: Sequence[str]) -> tuple[pa.Table, list[Problem]] | None:
    """The table when every line is one record, else None."""
    # numpy counts frequent bytes several times as fast as `bytes.count`
    lines = np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")) + (not data.endswith(b"\n"))
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return None  # a carriage return alone ends a line too
    convert = pacsv.ConvertOptions(
        column_types={name: pa.string() for name in wanted}, include_columns=list(wanted), strings_can_be_null=False
    )
    try:
        table = pacsv.read_csv(pa.BufferReader(data), convert_options=convert)
    except pa.ArrowInvalid:
        return None
    if table.num_rows + 1 != lines:
        return None
    row = numbers(np.arange(2, lines + 1, dtype=np.int64))
    return table.append_column(ROW, pa.chunked_array([row], pa.int64())), []


def _parse_any(data: bytes, names: Sequence[str], wanted: Sequence[str]) -> tuple[pa.Table, list[Problem]]:
    """Record by record, setting aside the ones that cannot be split."""
    at = [list(names).index(name) for name in wanted]
    schema = pa.schema([(name, pa.string()) for name in wanted] + [(ROW, pa.int64())])
    columns: list[list[str]] = [[] for _ in wanted]
    rows: list[int] = []
    batches: list[pa.RecordBatch] = []
    problems: list[Problem] = []

    def flush() -> None:
        arrays = [*map(texts, columns), numbers(np.array(rows, np.int64))]
        batches.append(pa.record_batch(arrays, schema=schema))
        for column in columns:
            column.clear()
        rows.clear()

    records = (record for record in _records(data) if record[1] != [])
    next(records)  # the header
    for line, fields in records:
        problem = _unsplit(line, fields, len(names))
        if problem is not None or fields is None:
            problems += [problem] if problem is not None else []
            continue
        rows.append(line)
        for column, position in zip(columns, at, strict=True):
            column.append(fields[position])
        if len(rows) == _CHUNK:
            flush()
    flush()
    return pa.Table.from_batches(batches, schema), problems


def _records(data: bytes) -> Iterator[tuple[int, list[str] | None]]:
    """Every record with the line on which it starts; None for one that cannot be split at all."""
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(lines)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield line, None
        else:
            yield line, fields


def _unsplit(line: int, fields: list[str] | None, expected: int) -> Problem | None:
    if fields is None:
        return Problem(line, "unreadable_record", "a field has no end; close its quotation mark")
    if len(fields) != expected:
        hint = "; a quotation mark may not be closed" if any("\n" in field for field in fields) else ""
        message = f"expected {expected} fields like the header, found {len(fields)}{hint}; correct the row"
        return Problem(line, "wrong_number_of_fields", message)
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:
        return Problem(line, "not_utf8", "the row holds bytes that are not UTF-8; save the file as UTF-8")
    return None
