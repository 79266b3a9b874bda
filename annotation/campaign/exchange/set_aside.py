"""What was set aside in a campaign: `campaign/set_aside.jsonl`, each thing once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from annotation import jsonlines
from annotation.campaign.answers import SetAside

FILE = "set_aside.jsonl"

Identity = tuple[Any, ...]


class SetAsideFile:
    """The file of a campaign's folder, to which only what is not in it yet is added."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._known: set[Identity] = set()
        if self._path.is_file():
            self._known = {_identity(line) for _, line in jsonlines.read(self._path, FILE, lambda broken: None)}

    def add(self, found: Iterable[SetAside]) -> tuple[SetAside, ...]:
        """Note what is new; that."""
        new = {identity: one for one in found if (identity := _identity(asdict(one))) not in self._known}
        if new:
            with self._path.open("a+b") as stream:
                if stream.tell() and not self._path.read_bytes().endswith(b"\n"):
                    stream.write(b"\n")
                stream.writelines(orjson.dumps(asdict(one), option=orjson.OPT_APPEND_NEWLINE) for one in new.values())
                stream.flush()
                os.fsync(stream.fileno())
            self._known.update(new)
        return tuple(new.values())


def _identity(line: dict[str, Any]) -> Identity:
    return tuple(line.get(name) for name in ("key", "annotation_id", "line", "reason", "item_id"))
