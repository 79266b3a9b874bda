"""Split a CSV file into records, and tell every record that cannot be split.

Arrow splits a regular CSV file, in parallel. It does not say on which line a record started, so its answer is
used only when every line of the file is one record. Otherwise (blank lines, line breaks in quotes, rows with too
few fields, bytes that are not UTF-8) the file is split again in parts of about a megabyte: by Arrow where every line of
a part is one record, else record by record. Lines and records have a largest size, so that no file takes memory out of
proportion.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from mos._arrow import number_array, text_array
from mos.errors import UserError
from mos.files import open_regular_file
from mos.rejections import Rejection

LINE_COLUMN = "\0row"  # the name of the column of line numbers: no header can hold it, since NUL is refused there


_CHUNK = 65_536

MAX_LINE = 1 << 20
"""Characters of the longest line, and of the longest record, that is read."""

_MAX_OPEN_RECORDS = 16
"""Records without an end after which the rest of a file is not read: each makes its lines be read twice."""

_MANY_UNSPLIT = 10_000
"""Records that cannot be split, from which on the file is no table if they are most of its records."""


def read_csv_header(path: Path, file: BinaryIO) -> list[str]:
    """Read the names in the first record that is not blank.

    Parameters
    ----------
    path : Path
        Name of the file in errors.
    file : binary file
        The open file, positioned after its byte order mark and its separator line if it has them.

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        For an empty file, UTF-16, binary data, or a header without an end.
    """
    start = file.tell()
    if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: expected a CSV file in UTF-8, but this is UTF-16; save it as UTF-8.")
    file.seek(start)
    with contextlib.closing(_iterate_records(file)) as records:
        line, names = next(records, (0, []))
    if isinstance(names, Rejection):
        raise UserError(f"{path}, row {line}: expected a header line, but {names.message}.")
    if not names:
        raise UserError(f"{path}: the file is empty; expected a header line and one rating a line.")
    if any("\0" in name for name in names):
        raise UserError(f"{path}: expected a CSV file, but it starts with binary data; save the table as CSV.")
    return names


def read_csv_columns(
    path: Path, start: int, names: Sequence[str], wanted: Sequence[str], skipped: int = 0
) -> tuple[pa.Table, list[Rejection]]:
    """Read columns of a CSV file as text.

    Parameters
    ----------
    path : Path
    start : int
        Position of the header in bytes, after a byte order mark and a separator line.
    names, wanted : sequence of str
        The header, and the columns to read.
    skipped : int
        Lines before `start`.

    Returns
    -------
    table : pyarrow.Table
        The columns `wanted`, and `LINE_COLUMN`: the line, from 1, on which each record starts.
    rejections : list of Rejection
        Records that cannot be split into fields.

    Raises
    ------
    UserError
        For a file most of whose many records cannot be split.
    """
    with open_regular_file(path) as file:
        file.seek(start)
        sound = _parse_regular_csv(file, wanted, skipped)
    if sound is not None:
        return sound, []
    # Opened again, because Arrow may still read ahead in the first file.
    with open_regular_file(path) as file:
        file.seek(start)
        try:
            return _parse_by_record(file, names, wanted, skipped)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None


class _LineCounter(io.RawIOBase):
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
        """Number of lines read; None where a carriage return alone ended a line."""
        return None if self._bare_returns else self._feeds + (self._last != b"\n")


def _parse_regular_csv(file: BinaryIO, wanted: Sequence[str], skipped: int = 0) -> pa.Table | None:
    """The table when every line is one record, else None."""
    convert = pacsv.ConvertOptions(
        column_types={name: pa.string() for name in wanted}, include_columns=list(wanted), strings_can_be_null=False
    )
    watched = _LineCounter(file)
    try:
        table = pacsv.read_csv(watched, convert_options=convert)
    except pa.ArrowInvalid:
        return None
    if watched.lines != table.num_rows + 1:
        return None
    row = number_array(np.arange(skipped + 2, skipped + table.num_rows + 2, dtype=np.int64))
    return table.append_column(LINE_COLUMN, pa.chunked_array([row], pa.int64()))


def _parse_by_record(
    file: BinaryIO, names: Sequence[str], wanted: Sequence[str], skipped: int = 0
) -> tuple[pa.Table, list[Rejection]]:
    """Parse record by record, and reject the records that cannot be split."""
    at = [list(names).index(name) for name in wanted]
    expected = len(names)
    schema = pa.schema([(name, pa.string()) for name in wanted] + [(LINE_COLUMN, pa.int64())])
    batches: list[pa.RecordBatch] = []
    rejections: list[Rejection] = []
    # Columns of text and not rows of it: the interpreter looks for cycles in a hundred thousand lists again and again.
    kept: list[list[str]] = [[] for _ in at]
    kept_lines: list[int] = []

    def flush() -> None:
        try:
            arrays = [text_array(column) for column in kept]
        except UnicodeEncodeError:
            good = [all(map(_is_utf8, values)) for values in zip(*kept, strict=True)]
            rejections.extend(_not_utf8_rejection(line) for line in compress(kept_lines, map(not_, good)))
            arrays = [text_array(list(compress(column, good))) for column in kept]
            kept_lines[:] = compress(kept_lines, good)
        rows = number_array(np.array(kept_lines, np.int64))
        batches.append(pa.record_batch([*arrays, rows], schema=schema))
        kept_lines.clear()
        for column in kept:
            column.clear()

    read = 0
    with contextlib.closing(
        _iterate_records(file, skipped, lambda lines: _split_regular(lines, at, expected))
    ) as records:
        next(records)  # the header
        for line, fields in records:
            if isinstance(fields, pa.Table):
                flush()
                read += fields.num_rows
                rows = number_array(np.arange(line, line + fields.num_rows, dtype=np.int64))
                batches += pa.table([*fields.columns, rows], schema=schema).to_batches()
                continue
            read += 1
            if not isinstance(fields, Rejection) and len(fields) == expected:
                kept_lines.append(line)
                for column, position in zip(kept, at, strict=True):
                    column.append(fields[position])
                if len(kept_lines) == _CHUNK:
                    flush()
                continue
            rejections.append(
                fields if isinstance(fields, Rejection) else _wrong_number_rejection(line, fields, expected)
            )
            if len(rejections) >= _MANY_UNSPLIT and 2 * len(rejections) > read:
                raise _unsplit_rows_error(rejections, read)
    flush()
    return pa.Table.from_batches(batches, schema), sorted(rejections, key=lambda rejection: rejection.row)


def _split_regular(lines: Sequence[str], at: Sequence[int], expected: int) -> pa.Table | None:
    """The fields at some positions of lines, each of which is one record; None where a line is not."""
    if max(map(len, lines)) > csv.field_size_limit() or _is_open(lines[-1]):
        return None
    data = "".join(lines).encode("utf-8", "surrogateescape")
    names = [str(position) for position in range(expected)]
    wanted = [names[position] for position in at]
    reading = pacsv.ReadOptions(column_names=names, block_size=len(data) + 1)
    convert = pacsv.ConvertOptions(
        column_types={name: pa.string() for name in wanted}, include_columns=wanted, strings_can_be_null=False
    )
    try:
        table = pacsv.read_csv(io.BytesIO(data), reading, convert_options=convert)
    except pa.ArrowInvalid:
        return None
    return table if table.num_rows == len(lines) else None


def _is_open(line: str) -> bool:
    """Whether a record that starts with this line goes on after it."""
    ended: list[bool] = []
    try:
        next(csv.reader(_give_lines([line], ended)), None)
    except csv.Error:
        return True
    return bool(ended)


def _unsplit_rows_error(rejections: Sequence[Rejection], read: int) -> UserError:
    first = rejections[0]
    return UserError(
        f"{len(rejections):,} of the first {read:,} rows cannot be read; the first is row {first.row}: {first.message}."
    )


def _iterate_records(
    file: BinaryIO, skipped: int = 0, split_regular: Callable[[list[str]], pa.Table | None] = lambda _: None
) -> Generator[tuple[int, Any], None, None]:
    """Every record that is not blank, with the line on which it starts; a rejection for one that has no end.

    Such a record is its first line alone: the lines after it are read as records of their own.

    split_regular: splits lines of which each is one record. Its tables come in place of the records, all but the first.
    """
    stream = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    lines: list[str] = []
    row, whole, without_end = skipped + 1, False, 0
    begun = False
    try:
        while lines or not whole:
            more = _read_lines(stream)
            whole = not more
            lines += more
            if begun and lines and (table := split_regular(lines)) is not None:
                yield row, table
                row += len(lines)
                lines.clear()
                continue
            ended: list[bool] = []
            reader = csv.reader(_give_lines(lines, ended))
            while True:
                at = reader.line_num
                try:
                    fields = next(reader)
                except StopIteration:
                    at, is_open = len(lines), False
                    break
                except csv.Error:
                    is_open = True
                    break
                if ended:  # within a quoted field, which more lines may end
                    is_open = whole or sum(map(len, lines[at:])) > MAX_LINE
                    break
                if fields:  # not a blank line
                    begun = True
                    yield row + at, fields
            if is_open:
                without_end += 1
                quoted = bool(ended) or reader.line_num > at + 1
                yield row + at, _open_record_rejection(row + at, quoted, without_end > _MAX_OPEN_RECORDS)
                if without_end > _MAX_OPEN_RECORDS:
                    return
                at += 1
            del lines[:at]
            row += at
    finally:
        stream.detach()  # else the wrapper closes the file with itself


def _read_lines(stream: io.TextIOWrapper) -> list[str]:
    """The next lines of about `MAX_LINE` characters in all; in place of a longer line one that the reader refuses."""
    lines: list[str] = []
    size = 0
    while size <= MAX_LINE and (line := stream.readline(MAX_LINE + 1)):
        size += len(line)
        if len(line) > MAX_LINE and not line.endswith(("\n", "\r")):
            while len(line) > MAX_LINE and not line.endswith(("\n", "\r")):
                line = stream.readline(MAX_LINE + 1)
            line = "x" * (csv.field_size_limit() + 1) + "\n"
        lines.append(line)
    return lines


def _give_lines(lines: list[str], ended: list[bool]) -> Iterator[str]:
    """The lines; `ended` becomes true when one more is asked for."""
    yield from lines
    ended.append(True)


def _open_record_rejection(row: int, quoted: bool, last: bool) -> Rejection:
    problem = (
        "a quotation mark is opened and not closed; close it, or write it twice within a quoted field"
        if quoted
        else f"a field has more than {csv.field_size_limit():,} characters; shorten it"
    )
    rest = f"; so have {_MAX_OPEN_RECORDS} rows before, and nothing after this one was read" if last else ""
    return Rejection("rating", "", row, "unreadable_record", problem + rest)


def _wrong_number_rejection(line: int, fields: Sequence[str], expected: int) -> Rejection:
    hint = "; a quotation mark may not be closed" if any("\n" in field for field in fields) else ""
    message = f"expected {expected} fields like the header, found {len(fields)}{hint}; correct the row"
    return Rejection("rating", "", line, "wrong_number_of_fields", message)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_utf8_rejection(line: int) -> Rejection:
    return Rejection("rating", "", line, "not_utf8", "the row holds bytes that are not UTF-8; save the file as UTF-8")
