"""When each task came to the server, in `campaign/handed_out.jsonl`: for the status, and where tasks cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from annotation import jsonlines

FILE = "handed_out.jsonl"


def read_handed_out(folder: Path) -> dict[str, str]:
    """ISO time at which a sync first saw each task, by its key; empty without the file."""
    if not (folder / FILE).is_file():
        return {}
    found: dict[str, str] = {}
    # A line that a power cut left is noted again by the next sync, which does not find its key.
    for _, line in jsonlines.read(folder / FILE, FILE, lambda rejection: None):
        key, at = line.get("key"), line.get("at")
        if isinstance(key, str) and isinstance(at, str):
            found.setdefault(key, at)
    return found


class HandedOut:
    """The file, which only grows; one sync at a time writes it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._known = set(read_handed_out(folder))

    @property
    def keys(self) -> frozenset[str]:
        """Every task that was ever seen."""
        return frozenset(self._known)

    def note(self, keys: Iterable[str], at: str) -> None:
        """Write down the tasks that are seen for the first time, at an ISO time."""
        new = sorted({key for key in keys if key} - self._known)
        if not new:
            return
        with self._path.open("a+b") as stream:
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                if stream.read() != b"\n":
                    stream.write(b"\n")
            stream.write(
                b"".join(orjson.dumps({"key": key, "at": at}, option=orjson.OPT_APPEND_NEWLINE) for key in new)
            )
        self._known.update(new)
