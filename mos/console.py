"""What every command of the house prints with: tables and JSON on stdout, sentences and progress bars on stderr.

Nothing else prints: here control characters become visible, so that a file name cannot steer the terminal. Rich is
imported inside the functions, so that `--help` does not wait for it.
"""

from __future__ import annotations

import codecs
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from mos.words import escape_to_one_line, escape_unprintable

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console

PIPE_WIDTH = 200
"""Width in characters of a table that is not printed on a terminal."""

_ASCII_STAND_INS = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "\N{NO-BREAK SPACE}": " ", "×": "x", "…": ".", "·": ".", "•": "*"}
    | dict.fromkeys("━╸╺─│┃", "-")
    | dict.fromkeys(map(chr, range(0x2800, 0x2900)), "*")
)
"""What is printed for our own signs where the terminal has ASCII only."""


def make_console(*, to_stderr: bool = False, width: int | None = None) -> Console:
    """Make a console on stdout or stderr that shows control characters in text as escapes; `width` in characters."""
    from mos.safe_console import SafeConsole

    return SafeConsole(stderr=to_stderr, width=width)


def table_console() -> Console:
    """Make the console on which tables are printed.

    Returns
    -------
    Console
        Writes to stdout: as wide as the terminal, or `PIPE_WIDTH` characters wide in a pipe or file, where rich would
        cut every table to 80.
    """
    console = make_console()
    return console if console.is_terminal else make_console(width=PIPE_WIDTH)


def make_progress(*fields: str, transient: bool = False) -> rich.progress.Progress:
    """Make progress bars on stderr; use the result as a context manager.

    Parameters
    ----------
    *fields
        Names of fields of a progress task that are shown as text after the count, such as `"spent"`. Every task must
        be added with them: `progress.add_task("drafts", total=10, spent="")`.
    transient
        Whether the bars disappear at the end.

    Returns
    -------
    rich.progress.Progress
        Shows, for every task, its description, bar, count, fields, elapsed and remaining time.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<26}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(f"{{task.fields[{name}]}}") for name in fields),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=make_console(to_stderr=True),
        transient=transient,
    )


class Progress(Protocol):
    """Reports how far a command is: steps one after the other, each with a count.

    A function that takes long takes one of these as its argument `progress`. Pass `NullProgress()` to see nothing.
    """

    def begin(self, step: str, total: int | None) -> None:
        """Begin a step, which ends the one before; `total` is what `advance` counts to, None when it is not known."""

    def advance(self, count: int = 1) -> None:
        """Count finished parts of the current step."""

    def show_note(self, text: str) -> None:
        """Show a short text beside the count, such as what was spent; it replaces the one before."""


class NullProgress:
    """A `Progress` that shows nothing."""

    def begin(self, step: str, total: int | None) -> None:
        return

    def advance(self, count: int = 1) -> None:
        return

    def show_note(self, text: str) -> None:
        return


@contextmanager
def show_progress(quiet: bool = False) -> Iterator[Progress]:
    """Show progress bars on stderr within the context, one per step.

    Parameters
    ----------
    quiet
        Show nothing.

    Yields
    ------
    Progress
        To be handed to what takes long.
    """
    if quiet:
        yield NullProgress()
        return
    with make_progress("note") as bars:
        progress = _ProgressBars(bars)
        yield progress
        progress.finish_step()


class _ProgressBars:
    """One bar per step."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self._bars = bars
        self._task: rich.progress.TaskID | None = None

    def begin(self, step: str, total: int | None) -> None:
        self.finish_step()
        self._task = self._bars.add_task(step, total=total, note="")

    def advance(self, count: int = 1) -> None:
        if self._task is not None:
            self._bars.advance(self._task, count)

    def show_note(self, text: str) -> None:
        if self._task is not None:
            self._bars.update(self._task, note=text)

    def finish_step(self) -> None:
        """Show the current step as complete, also where its total was not known."""
        if self._task is not None:
            task = self._bars.tasks[-1]
            done = task.total if task.total is not None else max(task.completed, 1)
            self._bars.update(self._task, total=done, completed=done)


def print_line(text: str = "", *, to_stderr: bool = False) -> None:
    """Print text and a line feed on stdout or stderr at once; control characters become escapes such as \\x1b."""
    stream = sys.stderr if to_stderr else sys.stdout
    if stream is not None:  # the caller may have closed it
        stream.write(escape_unprintable(text) + "\n")
        stream.flush()


def print_json(value: Mapping[str, Any] | Sequence[Any], *, indent: bool = True) -> None:
    """Print a value as JSON on stdout.

    A terminal without UTF-8 gets escapes as `\\u00e9`. A path that is not UTF-8, which JSON cannot hold, is shown with
    escapes.
    """
    options = orjson.OPT_INDENT_2 if indent else 0
    try:
        text = orjson.dumps(value, option=options).decode()
    except TypeError:
        text = orjson.dumps(_escape_surrogates(value), option=options).decode()
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if escape_unprintable(text) != text or not _can_encode(text, encoding):
        text = json.dumps(json.loads(text), indent=2 if indent else None)
    print_line(text)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _escape_surrogates(value: Any) -> Any:
    """A JSON value in which every text, also a key, is valid Unicode."""
    if isinstance(value, str):
        return escape_unprintable(value) if not _can_encode(value, "utf-8") else value
    if isinstance(value, Mapping):
        return {_escape_surrogates(key): _escape_surrogates(part) for key, part in value.items()}
    return [_escape_surrogates(part) for part in value] if isinstance(value, list | tuple) else value


def print_notices(sentences: Sequence[str]) -> None:
    """Print sentences on stderr, one a line; control characters, line feeds too, become escapes."""
    for sentence in sentences:
        print_line(escape_to_one_line(sentence), to_stderr=True)


def prepare_standard_streams() -> None:
    """Prepare stdin, stdout and stderr of a command: each is open, and printing never fails for an encoding.

    A descriptor that the caller closed is opened on the null device, or the next file would take its number and receive
    what a library prints. A character that the terminal's encoding lacks is printed as a stand-in or an escape.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # takes the lowest free number
    codecs.register_error("editfhf-stand-in", _replace_unencodable)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a notebook's or a test's stream has none
        if reconfigure is not None:
            reconfigure(errors="editfhf-stand-in")


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII_STAND_INS)
    return text.encode("ascii", "backslashreplace").decode(), error.end


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on SIGTERM within the context, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
