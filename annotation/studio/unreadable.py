"""What Label Studio holds and cannot show: it answers 500 to every request of which one such thing is a part.

Label Studio 1.23 on SQLite stores half of a surrogate pair ("\\ud800") in a result or in the data of a task, answers
500 to that very request, and cannot write it out from then on.  The task is found by halving and read in parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from annotation.studio.connection import Gone, NotReady

UNREADABLE = "unreadable"
"""Key, with the value True, of an annotation without its result, or a task without its data, that cannot be shown."""

METADATA = "id,annotations,completed_by,updated_by,created_at,updated_at,lead_time,was_cancelled"
"""What the server shows of an annotation whatever is in its result."""

PATIENCE = 2
"""How often a part is asked for, once it is known that the server answers other requests."""

Fetch = Callable[[list[int]], list[dict[str, Any]]]


def apart(ids: list[int], fetch: Fetch, well: Callable[[], object]) -> tuple[list[dict[str, Any]], list[int]]:
    """What can be fetched of these, and the ids of what cannot, found by halving.

    well: raises `NotReady` when the server is away, so that nothing can be said of them.
    """
    try:
        return fetch(ids), []
    except NotReady:
        well()
    if len(ids) == 1:
        return [], ids
    found: list[dict[str, Any]] = []
    lost: list[int] = []
    for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
        shown, hidden = apart(half, fetch, well)
        found += shown
        lost += hidden
    return found, lost


def in_parts(
    task: dict[str, Any], fetch: Callable[[int], dict[str, Any]], well: Callable[[], object]
) -> dict[str, Any]:
    """The task with each of its annotations fetched by itself, or marked as `UNREADABLE`.

    task: its data, and the metadata of its annotations
    """
    annotations = []
    for known in task.get("annotations") or []:
        try:
            annotations.append(fetch(known["id"]))
        except Gone:
            continue
        except NotReady:
            well()
            annotations.append(known | {UNREADABLE: True})
    return task | {"annotations": annotations}
