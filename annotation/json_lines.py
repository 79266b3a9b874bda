"""Read and write JSON-lines files (UTF-8, one object a line)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from annotation.records import Rejection
from mos.files import open_regular_file, open_replacement
from mos.json_limits import MAX_JSON_NESTING, is_nested_too_deeply

RejectCallback = Callable[[Rejection], None]

MAX_LINE_BYTES = 1 << 20
"""Bytes of the longest line that is read."""

MAX_BAD_LINES = 1_000
"""Lines without an object, for each one with it and one more, after which a file is not read on."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_json_lines(
    path: Path, file: str, reject: RejectCallback, *, unique_keys: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read every object of a JSON-lines file.

    Blank lines are skipped.  A line that is too long, nested too deeply, not UTF-8, not JSON (NaN included) or not an
    object is rejected, and reading continues with the next line, but not in a file of which hardly any line is an
    object (`MAX_BAD_LINES`).  Memory: one line.

    Parameters
    ----------
    path : Path
        File to read.
    file : str
        Its name in rejections.
    reject : callable
        Receives one `Rejection` for each line that cannot be used.
    unique_keys : bool
        Also reject a line in which one object has a key twice, for files that people write.

    Yields
    ------
    (int, dict)
        Row (the line, counted from 1) and object.
    """
    with open_regular_file(path) as stream:
        row = bad_lines = objects = 0
        for row, line in enumerate(_split_lines(stream), start=1):
            if row == 1 and line.startswith(BYTE_ORDER_MARK):
                line = line.removeprefix(BYTE_ORDER_MARK)
                reject(byte_order_mark_rejection(file))
            if not line.strip():
                continue
            try:
                value = _parse_line(line)
                if unique_keys:
                    _refuse_double_keys(line)
            except _LineError as bad:
                reject(Rejection("file", file, row, bad.reason, bad.message))
                bad_lines += 1
                if bad_lines == MAX_BAD_LINES * (1 + objects):
                    message = (
                        f"Expected one JSON object a line, but {bad_lines:,} lines so far are none; the rest of the "
                        "file was not read. Write the file again."
                    )
                    reject(Rejection("file", file, row + 1, "not_json_lines", message))
                    return
                continue
            objects += 1
            yield row, value
        if row == 0:
            reject(empty_file_rejection(file))


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON-lines file in one step; the same rows give the same bytes.

    Parameters
    ----------
    path : Path
        File to write or replace.
    rows : iterable of mapping
        The objects, in the order of the lines; keys keep their order.
    """
    with open_replacement(path) as stream:
        for row in rows:
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def byte_order_mark_rejection(file: str) -> Rejection:
    """The rejection (repaired) for a byte order mark that was skipped."""
    message = "The file begins with a byte order mark; it was skipped. Save the file as plain UTF-8."
    return Rejection("file", file, 0, "byte_order_mark", message, repaired=True)


def empty_file_rejection(file: str) -> Rejection:
    """The rejection of an empty file."""
    return Rejection("file", file, 0, "empty_file", "The file is empty: nothing was read. Delete it or write it again.")


class _LineError(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def _split_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, cut one byte after the largest line with its ending; the rest of a longer line is skipped."""
    limit = MAX_LINE_BYTES + len(b"\r\n") + 1
    while line := stream.readline(limit):
        yield line
        while len(line) == limit and not line.endswith(b"\n"):
            line = stream.readline(limit)


def _parse_line(line: bytes) -> dict[str, Any]:
    if len(line.removesuffix(b"\n").removesuffix(b"\r")) > MAX_LINE_BYTES:
        raise _LineError("line_too_long", f"The line is longer than {MAX_LINE_BYTES:,} bytes; shorten or split it.")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _diagnose_line(line, error) from None
    if not isinstance(value, dict):
        raise _LineError("not_an_object", f"Expected one JSON object on the line, got {_name_json_type(value)}.")
    if line.count(b"[") + line.count(b"{") > MAX_JSON_NESTING and is_nested_too_deeply(value):
        raise _nested_line()
    return value


def _refuse_double_keys(line: bytes) -> None:
    def check_keys(pairs: list[tuple[str, Any]]) -> None:
        for key, count in Counter(key for key, _ in pairs).items():
            if count > 1:
                message = f"The key {key[:60]!r} is {count} times on the line: write it once."
                raise _LineError("double_key", message)

    json.loads(line, object_pairs_hook=check_keys)


def _diagnose_line(line: bytes, error: orjson.JSONDecodeError) -> _LineError:
    if "limit" in error.msg:  # of levels
        return _nested_line()
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as bad:
        return _LineError(
            "not_utf8", f"Expected UTF-8, got the byte 0x{line[bad.start]:02x} at column {bad.start + 1}."
        )
    return _LineError("broken_json", f"Expected one JSON object on the line: {error.msg} at column {error.colno}.")


def _nested_line() -> _LineError:
    message = f"The line holds lists or objects within each other, more than {MAX_JSON_NESTING} levels: flatten it."
    return _LineError("nested_too_deeply", message)


def _name_json_type(value: object) -> str:
    names = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "null")
