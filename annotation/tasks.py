"""The closed list of editing tasks (`tasks.yaml`): ids, groups and definitions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml


@dataclass(frozen=True, slots=True)
class Task:
    """One editing task: its id, the group it belongs to, and what it asks for."""

    task_id: str
    group: str
    definition: str


@cache
def tasks() -> dict[str, Task]:
    """Every task by id, in the order of the file (the order of the dataset's ClassLabel)."""
    text = resources.files(__package__).joinpath("tasks.yaml").read_text(encoding="utf-8")
    rows = yaml.safe_load(text)["tasks"]
    return {row["id"]: Task(row["id"], row["group"], row["def"]) for row in rows}


@cache
def groups() -> dict[str, str]:
    """Title of every task group by its id."""
    text = resources.files(__package__).joinpath("tasks.yaml").read_text(encoding="utf-8")
    titles: dict[str, str] = yaml.safe_load(text)["groups"]
    return titles
