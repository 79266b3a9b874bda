"""The sample dataset with texts that would be something else if anybody took them for more than text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.editfhf import sample_dataset

PAIR_ID = '../../etc/passwd"; rm -rf $HOME \u202e\u2028'
LICENCE = "](javascript:alert(1)) | <script>\n---\nlicense: mit"
INSTRUCTION = "---\nconfigs: []\n---\n# <img src=x onerror=alert(1)>"


def tables() -> sample_dataset.Tables:
    """The second edit of s1 has a hostile id and licence; its two others share one instruction with it."""
    made = sample_dataset.tables()
    for row in made["default"]["train"][:3]:
        row["instruction"] = INSTRUCTION
    rename(made, "p1", PAIR_ID)
    made["default"]["train"][1]["licence"] = LICENCE
    return made


def rename(made: sample_dataset.Tables, old: str, new: str) -> None:
    rows: list[dict[str, Any]] = [row for splits in made.values() for table in splits.values() for row in table]
    for row in rows:
        if row.get("pair_id") == old:
            row["pair_id"] = new


def write(root: Path) -> Path:
    return sample_dataset.write(root, tables())
