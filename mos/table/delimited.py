"""A CSV file split into columns of text, every record with the line on which it starts.

Arrow splits a sound file, in parallel.  It does not say where a row came from, so its answer is used only when every
line of the file is a row; otherwise (blank lines, line breaks in quotes, rows with too few fields, bytes that are
not UTF-8) the file is split again record by record.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from mos.arrow import numbers, texts
from mos.errors import UserError
from mos.table.problem import Problem

ROW = "\0row"  # the name of the column of line numbers: no header can hold it, since NUL is refused there
_CHUNK = 65_536


def header(path: Path, file: BinaryIO) -> list[str]:
    """The names in the first record that is not blank.

    path: named in errors; file: the same file, behind its byte order mark if it has one
    """
    start = file.tell()
    if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: expected a CSV file in UTF-8, but this is UTF-16; save it as UTF-8.")
    file.seek(start)
    with contextlib.closing(_records(file)) as records:
        _, names = next((record for record in records if record[1]), (0, None))
    if not names:
        raise UserError(f"{path}: the file is empty; expected a header line and one rating a line.")
    if any("\0" in name for name in names):
        raise UserError(f"{path}: expected a CSV file, but it starts with binary data; save the table as CSV.")
    return names


def parse(path: Path, start: int, names: Sequence[str], wanted: Sequence[str]) -> tuple[pa.Table, list[Problem]]:
    """Columns `wanted` as text, and `ROW`, the line (from 1) on which each record starts; and what was not split.

    start: size of the byte order mark, 0 when the file has none; names: its header.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        sound = _parse_sound(file, wanted)
    if sound is not None:
        return sound, []
    # Opened again, since Arrow may be reading ahead in the first one still.
    with path.open("rb") as file:
        file.seek(start)
        return _parse_any(file, names, wanted)


class _Watched(io.RawIOBase):
    """A file whose lines are counted while it is read, when each block is still in the cache."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._feeds = 0
        self._bare_returns = 0
        self._last = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        if not block:
            return block
        # numpy counts frequent bytes several times as fast as `bytes.count`
        self._feeds += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
        if b"\r" in block:
            self._bare_returns += block.count(b"\r") - block.count(b"\r\n")
        if self._last == b"\r" and block.startswith(b"\n"):
            self._bare_returns -= 1
        self._last = block[-1:]
        return block

    @property
    def lines(self) -> int | None:
        """Lines read so far; None where a carriage return alone ended one too."""
        return None if self._bare_returns else self._feeds + (self._last != b"\n")


def _parse_sound(file: BinaryIO, wanted: Sequence[str]) -> pa.Table | None:
    """The table when every line is one record, else None."""
    convert = pacsv.ConvertOptions(
        column_types={name: pa.string() for name in wanted}, include_columns=list(wanted), strings_can_be_null=False
    )
    watched = _Watched(file)
    try:
        table = pacsv.read_csv(watched, convert_options=convert)
    except pa.ArrowInvalid:
        return None
    if watched.lines != table.num_rows + 1:
        return None
    row = numbers(np.arange(2, table.num_rows + 2, dtype=np.int64))
    return table.append_column(ROW, pa.chunked_array([row], pa.int64()))


def _parse_any(file: BinaryIO, names: Sequence[str], wanted: Sequence[str]) -> tuple[pa.Table, list[Problem]]:
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

    records = (record for record in _records(file) if record[1] != [])
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


def _records(file: BinaryIO) -> Generator[tuple[int, list[str] | None], None, None]:
    """Every record with the line on which it starts; None for one that cannot be split at all."""
    lines = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(lines)
    try:
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
    finally:
        lines.detach()  # else the wrapper closes the file with itself


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
