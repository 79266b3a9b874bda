"""The tasks of an export, one after another, in the memory of one task.

Most tasks are cut out by a guess (the key `"annotations"` opens the next task) and parsed by orjson. The guess is safe:
no proper prefix of a JSON object is itself one. Where it fails, the scanner of the standard library finds the end.
"""

# ijson 3.6 (its C backend) takes 1.9 s and 15 MB for 50 MB of 1,020 tasks, this module 0.5 s and 27 MB, json.loads
# 2.5 s and 263 MB. ijson has no limit for the size of a task, nor does it say at which character a file is broken.

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import orjson

from annotation.json_lines import RejectCallback, byte_order_mark_rejection, empty_file_rejection
from annotation.records import Rejection
from mos.files import open_regular_file
from mos.json_limits import MAX_JSON_LENGTH, describe_json_excess

EXPORT_CHUNK = 4 << 20
MAX_STRANGE_VALUES = 1_000
"""Elements that are no tasks, for each task and one more, after which a file counts as no export."""

OPENING_KEY = '"annotations"'
NEAR_END_CHARACTERS = 16
"""A syntax error this close to the end of the text in memory may only mean that the rest was not read yet."""

JSON_BLANKS = re.compile(r"[ \t\r\n]*")


def read_export_tasks(path: Path, file: str, reject: RejectCallback) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the tasks of an export.

    Parameters
    ----------
    path
        JSON array of tasks, one task alone, or one task after another (JSON lines), in UTF-8.
    file
        Name of the file in rejections.
    reject
        Receives what cannot be read. Where the file is broken, one rejection stands for its rest.

    Yields
    ------
    tuple[int, dict[str, Any]]
        Number of the task, from 1, and the task.
    """
    with open_regular_file(path) as stream:
        window = _TextWindow(stream)
        if window.skip_byte_order_mark():
            reject(byte_order_mark_rejection(file))
        row = count = 0
        # Until there is a task, they may become one sentence about the file.
        strange: list[Rejection] = []
        try:
            if window.peek_character() == "":
                window.end()
                reject(empty_file_rejection(file))
                return
            for row, value in enumerate(_iterate_values(window), start=1):
                if isinstance(value, dict):
                    _report_all(strange, reject)
                    yield row, value
                    continue
                message = f"Expected a task (a JSON object), got {type(value).__name__}; it was skipped."
                strange.append(Rejection("file", file, row, "not_a_task", message))
                count += 1
                if count == MAX_STRANGE_VALUES * (1 + row - count):
                    if count == row:
                        strange.clear()
                    raise _BrokenExportError("not_an_export", f"{count:,} elements are no tasks: this is no export.")
            _report_all(strange, reject)
        except _BrokenExportError as broken:
            _report_all(strange, reject)
            message = f"{broken.message} Tasks before it were read, the rest of the file was not. Export it again."
            reject(Rejection("file", file, row + 1, broken.reason, message))


def _report_all(waiting: list[Rejection], reject: RejectCallback) -> None:
    """Report the rejections that wait, and empty their list."""
    for rejection in waiting:
        reject(rejection)
    waiting.clear()


def diagnose_other_export(task: dict[str, Any]) -> tuple[str, str] | None:
    """Recognise the other forms in which Label Studio writes tasks.

    Parameters
    ----------
    task
        One element of a file that should be a JSON export.

    Returns
    -------
    tuple[str, str] or None
        Reason and message of the rejection; None for a task of a JSON export, and for anything else.
    """
    if "annotations" in task:
        return None
    if "completions" in task:
        return "old_export", (
            "This is an export of a Label Studio before 1.0 ('completions' in place of 'annotations'), which does not "
            "say who answered; it was not read. Move the project to Label Studio 1.x and export it as JSON."
        )
    if isinstance(task.get("result"), list) and "task" in task:
        return "target_storage_export", (
            "This is an annotation as Label Studio's target storage keeps it, where deleted ones stay; it was not "
            "read. Export the project as JSON."
        )
    if "data" not in task and ("annotation_id" in task or "annotator" in task):
        return "json_min_export", (
            "This is the export JSON-MIN, which leaves out the ids and relations of boxes and disks; it was not read. "
            "Export the project as JSON."
        )
    return None


class _BrokenExportError(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def _iterate_values(window: _TextWindow) -> Iterator[Any]:
    """The elements of a top-level array, or the values of JSON lines."""
    if window.peek_character() != "[":
        while window.peek_character():
            yield window.value()
        window.end()
        return
    window.skip()
    if window.peek_character() == "]":
        window.skip()
    else:
        yield window.value()
        while (mark := window.peek_character()) == ",":
            window.skip()
            yield window.value()
        if mark != "]":
            window.fail(
                "broken_json", f"expected ',' or ']' after a task, got {mark!r}" if mark else "the array is truncated"
            )
        window.skip()
    if window.peek_character():
        window.fail("broken_json", "something follows the end of the array")
    window.end()


class _TextWindow:
    """A part of the file, decoded, and the position of the parser in it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._scan = json.JSONDecoder(parse_constant=_refuse_constant)
        self._text = ""
        self._at = 0
        self._passed = 0
        self._whole = False
        self._bad_byte: str | None = None
        # Absolute places: the text from the first to the second was searched, and the key is at the second.
        self._searched = (0, 0)
        self._next_guess = 0

    def skip_byte_order_mark(self) -> bool:
        """Skip a byte order mark; returns whether there was one."""
        self._read_more()
        found = self._text.startswith("\ufeff")
        self._at = int(found)
        return found

    def peek_character(self) -> str:
        """The next character that is not blank, without skipping it; empty at the end of the file."""
        while True:
            self._at = JSON_BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or self._whole:
                return self._text[self._at : self._at + 1]
            self._read_more()

    def skip(self) -> None:
        """Skip one character."""
        self._at += 1

    def value(self) -> Any:
        """Parse the next JSON value; `_BrokenExportError` if it is broken."""
        self.peek_character()
        guessed = self._guess_task()
        if guessed is not None:
            return guessed
        while True:
            try:
                value, end = self._scan.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._is_incomplete(error):
                    self.fail("broken_json", error.msg, error.pos - self._at)
            except (ValueError, RecursionError) as error:
                fault = "nested too deeply" if isinstance(error, RecursionError) else str(error)
                self.fail("broken_json", fault)
            else:
                if end < len(self._text) or self._whole:
                    self._at = end
                    return value
            excess = describe_json_excess(self._text, self._at)
            if excess is not None:
                message = f"The task at character {self._passed + self._at:,} {excess}: expected the task of one pair."
                raise _BrokenExportError("too_large", message)
            self._read_more()

    def end(self) -> None:
        """Check the end of the file; `_BrokenExportError` if it ended because its bytes are not UTF-8."""
        if self._bad_byte is not None:
            self.fail("not_utf8", "")

    def fail(self, reason: str, fault: str, ahead: int = 0) -> NoReturn:
        """Raise `_BrokenExportError`; `ahead` is the distance of the fault from the position, in characters."""
        at = self._passed + self._at + ahead
        if self._bad_byte is not None:
            raise _BrokenExportError(
                "not_utf8", f"Expected UTF-8, got the byte {self._bad_byte} after character {at:,}."
            )
        raise _BrokenExportError(reason, f"Not a JSON export at character {at:,}: {fault}.")

    def _guess_task(self) -> dict[str, Any] | None:
        """The next task, if the key of the following one shows where it ends; else None."""
        if self._passed + self._at < self._next_guess:
            return None
        own = self._find_opening_key(self._at)
        if own < 0:
            return None
        # A guess that failed would fail for every value before this key: none is made twice.
        self._next_guess = self._passed + own + 1
        following = self._find_opening_key(own + 1)
        if following < 0:
            return None
        end = self._text.rfind("}", self._at, self._text.rfind("{", self._at, following)) + 1
        if end <= self._at:
            return None
        try:
            value: dict[str, Any] = orjson.loads(self._text[self._at : end])
        except orjson.JSONDecodeError:
            return None
        self._at = end
        return value

    def _find_opening_key(self, start: int) -> int:
        """Place of the first opening key from `start`; -1 if the text in memory has none. Nothing is searched twice."""
        first, last = (place - self._passed for place in self._searched)
        if not first <= start <= last:
            first = last = start
        found = self._text.find(OPENING_KEY, last)
        end = found if found >= 0 else max(last, len(self._text) - len(OPENING_KEY))
        self._searched = (self._passed + first, self._passed + end)
        return found

    def _is_incomplete(self, error: json.JSONDecodeError) -> bool:
        if self._whole:
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - NEAR_END_CHARACTERS

    def _read_more(self) -> None:
        """Drop the skipped text and read more, as much as is kept, so that long values take linear time."""
        self._passed += self._at
        self._text = self._text[self._at :]
        self._at = 0
        held = len(self._text)
        data = self._stream.read(max(EXPORT_CHUNK, min(held, MAX_JSON_LENGTH - held)))
        self._whole = not data
        try:
            self._text += self._decode.decode(data, final=self._whole)
        except UnicodeDecodeError as error:
            self._bad_byte = f"0x{error.object[error.start]:02x}"
            self._text += error.object[: error.start].decode("utf-8")
            self._whole = True


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
