"""The closed list of editing tasks (`tasks.yaml`): ids, groups and definitions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Task:
    """One editing task: its id, the group it belongs to, and what it asks for."""

    task_id: str
    group: str
    definition: str


@cache
def _taxonomy() -> Any:
    text = resources.files(__package__).joinpath("tasks.yaml").read_text(encoding="utf-8")
    # The C parser where PyYAML has it: the file is read whenever a build or a report begins.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def tasks() -> dict[str, Task]:
    """Every task by id, in the order of the file (the order of the dataset's ClassLabel)."""
    return {row["id"]: Task(row["id"], row["group"], row["def"]) for row in _taxonomy()["tasks"]}


@cache
def groups() -> dict[str, str]:
    """Title of every task group by its id."""
    titles: dict[str, str] = _taxonomy()["groups"]
    return titles
