"""`trace.jsonl`: one line for the inputs and options, then one line a turn, each appended in one step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from annotation.json_lines import read_json_lines
from mos.errors import UserError
from mos.files import append_lines, repair_last_line

TRACE_FILE = "trace.jsonl"


class TraceFile:
    """The trace of one run, which a run that goes on after a kill continues.

    Parameters
    ----------
    path : Path
        The file; its folder exists.
    head : mapping
        JSON values of the first line: what decides the run.

    Raises
    ------
    UserError
        The file has the trace of another run: other images, instruction, agents or options.

    Notes
    -----
    A run that goes on makes the same turns again, from kept answers. Their lines are compared with those of the file,
    and only new ones are appended.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self._path = path
        self._lines: list[bytes] = []
        self._count = 0
        if path.is_file():
            with path.open("r+b") as stream:
                repair_last_line(stream)
            self._lines = path.read_bytes().splitlines(keepends=True)
        self.append_record(head)

    def append_record(self, record: Mapping[str, Any]) -> None:
        """Append a line, or check that the file has it already."""
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
        if self._count < len(self._lines):
            if self._lines[self._count] != line:
                difference = _describe_difference(self._lines[self._count], record)
                raise UserError(
                    f"{self._path} has the trace of another run{difference}. Choose another folder for --out, or give "
                    "the same images, instruction, agents and options."
                )
        else:
            append_lines(self._path, [line], sync=False)  # it can be made again from the calls
        self._count += 1


def read_trace(path: Path) -> list[dict[str, Any]]:
    """The lines of a trace; the first one has inputs and options.

    Raises
    ------
    UserError
        The file is missing.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist: expected the trace of a refinement. Check the folder.")
    return [line for _, line in read_json_lines(path, path.name, lambda rejection: None)]


def _describe_difference(line: bytes, record: Mapping[str, Any]) -> str:
    """Which part differs, to follow "of another run"."""
    try:
        before = orjson.loads(line)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(before, dict):
        return ""
    after = orjson.loads(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY))
    names = [name for name in after if before.get(name) != after[name]]
    return f" (it differs in: {', '.join(names)})" if names else ""
