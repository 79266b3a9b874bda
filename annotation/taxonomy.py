"""The closed lists of the dataset: edit tasks (`tasks.yaml`) and flaw types per kind of region (`flaws.yaml`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from annotation.records import KINDS, Kind


@dataclass(frozen=True, slots=True)
class EditTask:
    """One edit task: its id, its group and its definition."""

    task_id: str
    group: str
    definition: str


@cache
def _load_tasks_file() -> Any:
    text = resources.files(__package__).joinpath("tasks.yaml").read_text(encoding="utf-8")
    # The C parser where PyYAML has it: every build and report reads the file.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def load_edit_tasks() -> dict[str, EditTask]:
    """Every task by id, in the order of the file (the order of the dataset's ClassLabel)."""
    return {row["id"]: EditTask(row["id"], row["group"], row["def"]) for row in _load_tasks_file()["tasks"]}


@cache
def load_task_groups() -> dict[str, str]:
    """Title of every task group by its id."""
    titles: dict[str, str] = _load_tasks_file()["groups"]
    return titles


@cache
def load_flaw_definitions() -> dict[Kind, dict[str, str]]:
    """Definition of every flaw type by kind and id; `other` belongs to both kinds."""
    data = yaml.safe_load(resources.files(__package__).joinpath("flaws.yaml").read_text(encoding="utf-8"))
    return {kind: {row["id"]: row["def"] for row in [*data[kind], *data["other"]]} for kind in KINDS}


def list_flaw_types(kind: Kind) -> tuple[str, ...]:
    """Ids of the flaw types that a region of this kind may have."""
    return tuple(load_flaw_definitions()[kind])
