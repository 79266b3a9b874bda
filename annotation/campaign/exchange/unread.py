"""What the server could not show at the last sync: sentences in `campaign/unread.json`, for the status alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import orjson

from annotation.campaign.tasks import TaskKey
from annotation.studio.client import Project

FILE = "unread.json"


def unread_notes(unread: Mapping[str, Collection[int]], projects: Mapping[str, Project]) -> list[str]:
    """What the manager should know and do; see `Reader.unread`."""
    notes = []
    for name, tasks in sorted(unread.items()):
        place = f"the project of {name} (project {projects[name].project_id})"
        if tasks:
            many = ", ".join(map(str, sorted(tasks)[:5])) + (f" and {len(tasks) - 5} more" if len(tasks) > 5 else "")
            notes.append(
                f"Label Studio cannot show tasks {many} of {place}: delete them on the server (docs/campaign.md); the "
                "next sync makes those again that are not done."
            )
        else:
            notes.append(
                f"Label Studio cannot show {place}, and all others well: nothing is created in it, and what is known "
                "of it counts. Look at the server's log (docs/campaign.md)."
            )
    return notes


def keys_of(unread: Collection[str], keys: Iterable[str]) -> set[str]:
    """Those of the keys whose tasks lie in one of the projects."""
    return {text for text in keys if (key := TaskKey.parse(text)) is not None and key.project in unread}


def write_unread(folder: Path, notes: Collection[str]) -> None:
    """Replace the sentences of the sync before; without any there is no file."""
    if not notes:
        (folder / FILE).unlink(missing_ok=True)
        return
    new = folder / f".{FILE}"
    new.write_bytes(orjson.dumps(list(notes)))
    new.replace(folder / FILE)


def read_unread(folder: Path) -> list[str]:
    """The sentences of the last sync; none without the file, or where it is broken, which the next sync mends."""
    try:
        notes = orjson.loads((folder / FILE).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return []
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
