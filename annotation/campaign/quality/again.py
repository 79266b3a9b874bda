"""Tasks that the manager wants done again: `campaign/redo.jsonl`, whose lines name their keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from annotation import jsonlines
from annotation.campaign.answers import SetAside
from annotation.campaign.options import Stage
from annotation.campaign.tasks import TaskKey

FILE = "redo.jsonl"
STAGES: tuple[Stage, ...] = ("regional", "expert", "scoring")
"""Stages in which an answer can be withdrawn; in the others people have built on it since."""


def read_again(folder: Path, report: Callable[[SetAside], None]) -> frozenset[TaskKey]:
    """The tasks to do again, none without the file; a line is `{"key": "stage/pair/person/round"}` and whatever else.

    The answers of such a task stay in the archive and no longer count, and its person gets it as the next round.
    """
    if not (folder / FILE).is_file():
        return frozenset()
    found = set()
    for row, line in jsonlines.read(folder / FILE, FILE, lambda broken: report(_broken(broken.row, broken.message))):
        key = TaskKey.parse(line.get("key"))
        if key is None or key.stage not in STAGES:
            report(_broken(row, f"Expected the key of a task of {', '.join(STAGES)}; nothing is done again."))
        else:
            found.add(key)
    return frozenset(found)


def _broken(row: int, message: str) -> SetAside:
    return SetAside(FILE, 0, row, "bad_redo", message)
