"""One task of an export after another, without ever holding the whole file.

Most elements are cut out by a guess (the key `"annotations"` opens the next task) and parsed by orjson, three times as
fast as the standard library; the guess is safe because no proper prefix of a JSON object is itself one.  Where
it fails, the standard library's scanner, which tells where a value ends, decides.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import orjson

from annotation.jsonlines import Reject, byte_order_mark, empty_file
from annotation.records import Rejection

CHUNK = 4 << 20
MAX_ELEMENT = 64 << 20
"""Characters of the largest task that is read."""

GUESS_WITHIN = 1 << 20
OPENING_KEY = '"annotations"'
NEAR_END = 16
"""A scanner's complaint this close to the end of what was read may only mean that more must be read."""

BLANKS = re.compile(r"[ \t\r\n]*")


def read_tasks(path: Path, file: str, reject: Reject) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every task of an export with its number, counted from 1; `file` is its name in rejections.

    The file holds a JSON array of tasks, one task alone, or one task after another (JSON lines).  Where it breaks, the
    tasks before are given and one `Rejection` stands for the rest.  Memory: a few times the largest task.
    """
    with path.open("rb") as stream:
        window = _Window(stream)
        if window.starts_with_mark():
            reject(byte_order_mark(file))
        row = 0
        try:
            if window.next_character() == "":
                window.end()
                reject(empty_file(file))
                return
            for row, value in enumerate(_values(window), start=1):
                if isinstance(value, dict):
                    yield row, value
                else:
                    message = f"Expected a task (a JSON object), got {type(value).__name__}; it was passed over."
                    reject(Rejection("file", file, row, "not_a_task", message))
        except _BrokenExport as broken:
            message = f"{broken.message} Tasks before it were read, the rest of the file was not. Export it again."
            reject(Rejection("file", file, row + 1, broken.reason, message))


class _BrokenExport(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def _values(window: _Window) -> Iterator[Any]:
    """The elements of a top-level array, or the values that follow one another."""
    if window.next_character() != "[":
        while window.next_character():
            yield window.value()
        window.end()
        return
    window.skip()
    if window.next_character() == "]":
        window.skip()
    else:
        yield window.value()
        while (mark := window.next_character()) == ",":
            window.skip()
            yield window.value()
        if mark != "]":
            window.fail(
                "broken_json", f"expected ',' or ']' after a task, got {mark!r}" if mark else "the array is cut"
            )
        window.skip()
    if window.next_character():
        window.fail("broken_json", "something follows the end of the array")
    window.end()


class _Window:
    """The part of the file under the scanner: text, decoded as it is read, and a position in it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._scan = json.JSONDecoder(parse_constant=_refused)
        self._text = ""
        self._at = 0
        self._passed = 0
        self._whole = False
        self._bad_byte: str | None = None

    def starts_with_mark(self) -> bool:
        """Whether the file begins with a byte order mark, which is then passed over."""
        self._more()
        found = self._text.startswith("\ufeff")
        self._at = int(found)
        return found

    def next_character(self) -> str:
        """The next character that is not blank, not yet passed over; empty at the end of the file."""
        while True:
            self._at = BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or self._whole:
                return self._text[self._at : self._at + 1]
            self._more()

    def skip(self) -> None:
        """Pass over one character."""
        self._at += 1

    def value(self) -> Any:
        """The JSON value that comes next; `_BrokenExport` when there is none."""
        self.next_character()
        guessed = self._guessed()
        if guessed is not None:
            return guessed
        while True:
            try:
                value, end = self._scan.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._cut_short(error):
                    self.fail("broken_json", error.msg, error.pos - self._at)
            except (ValueError, RecursionError) as error:
                fault = "nested too deeply" if isinstance(error, RecursionError) else str(error)
                self.fail("broken_json", fault)
            else:
                if end < len(self._text) or self._whole:
                    self._at = end
                    return value
            if len(self._text) - self._at > MAX_ELEMENT:
                self.fail("too_large", f"the task is larger than {MAX_ELEMENT >> 20} MiB")
            self._more()

    def end(self) -> None:
        """Say that the file may end here; `_BrokenExport` when it ended only because its bytes are not UTF-8."""
        if self._bad_byte is not None:
            self.fail("not_utf8", "")

    def fail(self, reason: str, fault: str, ahead: int = 0) -> NoReturn:
        """Give up the rest of the file; `ahead` is how far after the position the fault lies."""
        at = self._passed + self._at + ahead
        if self._bad_byte is not None:
            raise _BrokenExport("not_utf8", f"Expected UTF-8, got the byte {self._bad_byte} after character {at:,}.")
        raise _BrokenExport(reason, f"Not a JSON export at character {at:,}: {fault}.")

    def _guessed(self) -> dict[str, Any] | None:
        """The next task, when the key of the one after it shows where it ends."""
        own = self._text.find(OPENING_KEY, self._at, self._at + GUESS_WITHIN)
        following = self._text.find(OPENING_KEY, own + 1, own + GUESS_WITHIN) if own >= 0 else -1
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

    def _cut_short(self, error: json.JSONDecodeError) -> bool:
        if self._whole:
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - NEAR_END

    def _more(self) -> None:
        """Forget what was passed over and read on, as much again as is kept, so that long values cost linear time."""
        self._passed += self._at
        self._text = self._text[self._at :]
        self._at = 0
        data = self._stream.read(max(CHUNK, min(len(self._text), MAX_ELEMENT)))
        self._whole = not data
        try:
            self._text += self._decode.decode(data, final=self._whole)
        except UnicodeDecodeError as error:
            self._bad_byte = f"0x{error.object[error.start]:02x}"
            self._text += error.object[: error.start].decode("utf-8")
            self._whole = True


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
