"""The folder of a collection: its tables, the counts of every step, and the lock.

sources.jsonl    images/      accepted sources, original bytes
prompts.jsonl    prompts.csv  instances: a source with an instruction and its task
edits/INSTANCE/EDITOR.png     results, with EDITOR.json: what was done, or why there is no image
scores.jsonl                  a line for each result
rejected.jsonl                what each step left out, with its reason
counts.json                   what came in and went out of each step
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from annotation.json_lines import read_json_lines, write_json_lines
from annotation.records import Rejection
from mos.errors import UserError
from mos.files import read_regular_file, replace_file, try_lock

STEPS = ("sources", "prompts", "edit", "score", "select")
"""The steps of a collection, in order."""

SOURCES_FILE = "sources.jsonl"
PROMPTS_FILE = "prompts.jsonl"
SCORES_FILE = "scores.jsonl"
REJECTED_FILE = "rejected.jsonl"
COUNTS_FILE = "counts.json"
EDITS_FOLDER = "edits"
CHAT_FOLDER = "chat"


@contextmanager
def lock_collection(root: Path) -> Iterator[None]:
    """Create the folder and keep other processes from it; `UserError` when one uses it."""
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not try_lock(handle):
            raise UserError(f"Another process uses the collection {root}. Wait for it, or stop it.")
        yield
    finally:
        os.close(handle)


def read_table(root: Path, name: str, step: str) -> list[dict[str, Any]]:
    """The lines of a table; `UserError` when `step`, which writes it, was not run, or a line is damaged."""
    path = root / name
    if not path.is_file():
        raise UserError(f"The collection {root} has no {name}. Run first: editfhf collect {step}.")

    def refuse(rejection: Rejection) -> None:
        if rejection.reason not in ("empty_file", "byte_order_mark"):
            raise UserError(f"{path}, line {rejection.row}: {rejection.message}")

    return [row for _, row in read_json_lines(path, name, refuse)]


def read_counts(root: Path) -> dict[str, dict[str, int]]:
    """Counts by step; empty where no step was run."""
    path = root / COUNTS_FILE
    counts: dict[str, dict[str, int]] = orjson.loads(read_regular_file(path)) if path.is_file() else {}
    return counts


def finish_step(
    root: Path, step: str, entered: int, accepted: int, rejected: Iterable[Mapping[str, Any]]
) -> dict[str, int]:
    """Write the rejections and the counts of a step in place of those of its last run.

    Parameters
    ----------
    root : Path
        Folder of the collection.
    step : str
        One of `STEPS`.
    entered, accepted : int
        Things that came in, and those that went on.
    rejected : iterable of mapping
        One for each other thing: `item`, `reason`, `message`.

    Returns
    -------
    dict
        `in`, `out`, and `rejected_REASON` by reason; `out` and the rejections sum to `in`.

    Raises
    ------
    ValueError
        They do not: a step lost something.
    """
    lines = [{"step": step, **row} for row in rejected]
    if entered != accepted + len(lines):
        raise ValueError(f"{step}: {entered} came in, but {accepted} + {len(lines)} went out.")
    reasons = Counter(str(line["reason"]) for line in lines)
    counts = {"in": entered, "out": accepted}
    counts |= {f"rejected_{reason}": number for reason, number in sorted(reasons.items())}
    path = root / REJECTED_FILE
    others = [line for line in read_table(root, REJECTED_FILE, step) if line["step"] != step] if path.is_file() else []
    order = {name: index for index, name in enumerate(STEPS)}
    lines.sort(key=lambda line: str(line["item"]))
    write_json_lines(path, sorted([*others, *lines], key=lambda line: order[line["step"]]))
    every = read_counts(root) | {step: counts}
    ordered = {name: every[name] for name in STEPS if name in every}
    replace_file(root / COUNTS_FILE, orjson.dumps(ordered, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return counts
