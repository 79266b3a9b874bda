"""Who shall qualify again: `campaign/requalify.jsonl`, to which the manager's command adds."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import orjson

from annotation import jsonlines
from annotation.campaign.answers import SetAside

FILE = "requalify.jsonl"


class Since(NamedTuple):
    """From when on a person's qualification counts: the first attempt, and the ISO time at which they were asked."""

    attempt: int
    at: str


def read_requalify(folder: Path, report: Callable[[SetAside], None]) -> dict[str, Since]:
    """The latest word on everybody who was asked; a line is `{"person_id": ..., "attempt": ..., "at": ...}`."""
    if not (folder / FILE).is_file():
        return {}
    found: dict[str, Since] = {}
    for row, line in jsonlines.read(folder / FILE, FILE, lambda broken: report(_broken(broken.row, broken.message))):
        person_id, attempt, at = line.get("person_id"), line.get("attempt"), line.get("at")
        if not isinstance(person_id, str) or type(attempt) is not int or attempt < 0 or not isinstance(at, str):
            report(_broken(row, "Expected person_id, attempt and at; nobody is asked again."))
            continue
        found[person_id] = max(found.get(person_id, Since(0, "")), Since(attempt, at))
    return found


def ask_again(folder: Path, person_id: str, since: Since) -> None:
    """Note that a person shall qualify again, from this attempt on."""
    append_lines(folder / FILE, [{"person_id": person_id, **since._asdict()}])


def append_lines(path: Path, lines: list[dict[str, object]]) -> None:
    """Add lines to a JSON-lines file, on a line of their own whatever it ended with; they are on the disk then."""
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if stream.tell() and not path.read_bytes().endswith(b"\n"):
            stream.write(b"\n")
        stream.writelines(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
        stream.flush()
        os.fsync(stream.fileno())


def _broken(row: int, message: str) -> SetAside:
    return SetAside(FILE, 0, row, "bad_requalify", message)
