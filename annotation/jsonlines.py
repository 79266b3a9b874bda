"""The one reader and writer of JSON-lines files (UTF-8, one object a line)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from annotation.records import Rejection

Reject = Callable[[Rejection], None]

MAX_LINE = 1 << 20
"""Bytes of the longest line that is read."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read(path: Path, file: str, reject: Reject) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every object of the file with its row (the line, counted from 1); `file` is its name in rejections.

    Blank lines are skipped.  A line that is too long, not UTF-8, not JSON (NaN included) or not an object gives one
    `Rejection`, and reading goes on with the next.  Memory: one line.
    """
    with path.open("rb") as stream:
        row = 0
        for row, line in enumerate(_lines(stream), start=1):
            if row == 1 and line.startswith(BYTE_ORDER_MARK):
                line = line.removeprefix(BYTE_ORDER_MARK)
                reject(byte_order_mark(file))
            if not line.strip():
                continue
            try:
                yield row, _parsed(line)
            except _BadLine as bad:
                reject(Rejection("file", file, row, bad.reason, bad.message))
        if row == 0:
            reject(empty_file(file))


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows in the given order, each with its keys in their own order; the same rows give the same bytes."""
    with path.open("wb") as stream:
        for row in rows:
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def byte_order_mark(file: str) -> Rejection:
    """The note that a file began with a byte order mark, which was skipped."""
    message = "The file begins with a byte order mark; it was skipped. Save the file as plain UTF-8."
    return Rejection("file", file, 0, "byte_order_mark", message, repaired=True)


def empty_file(file: str) -> Rejection:
    """The note that a file holds nothing."""
    return Rejection("file", file, 0, "empty_file", "The file is empty: nothing was read. Delete it or write it again.")


class _BadLine(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, none longer than the largest with its ending and one byte; the rest of a longer one is passed over."""
    limit = MAX_LINE + len(b"\r\n") + 1
    while line := stream.readline(limit):
        yield line
        while len(line) == limit and not line.endswith(b"\n"):
            line = stream.readline(limit)


def _parsed(line: bytes) -> dict[str, Any]:
    if len(line.removesuffix(b"\n").removesuffix(b"\r")) > MAX_LINE:
        raise _BadLine("line_too_long", f"The line is longer than {MAX_LINE:,} bytes; shorten or split it.")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _diagnosis(line, error) from None
    if not isinstance(value, dict):
        raise _BadLine("not_an_object", f"Expected one JSON object on the line, got {_name(value)}.")
    return value


def _diagnosis(line: bytes, error: orjson.JSONDecodeError) -> _BadLine:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as bad:
        return _BadLine("not_utf8", f"Expected UTF-8, got the byte 0x{line[bad.start]:02x} at column {bad.start + 1}.")
    return _BadLine("broken_json", f"Expected one JSON object on the line: {error.msg} at column {error.colno}.")


def _name(value: object) -> str:
    names = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "null")
