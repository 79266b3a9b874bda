"""What a campaign asks of a Label Studio server, and nothing more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from annotation.studio.connection import ATTEMPTS, TIMEOUT, Connection, NotReady
from annotation.studio.environment import VERSION
from annotation.studio.unreadable import METADATA, PATIENCE, UNREADABLE, apart, in_parts
from mos.errors import UserError

Task = dict[str, Any]
Condition = dict[str, str | int]

PROJECT_PAGE = 100
PROJECT_FIELDS = "id,title,description,label_config,task_number"
"""Counting everything else in every project would take the server longer."""
TASK_PAGE = 500
CHOSEN = 200
"""Tasks that are asked for by their ids at once: the address of the request stays below 4,000 characters."""
COUNTED = "id,updated_at,total_annotations,cancelled_annotations"
OUTLINE = f"{COUNTED},data"
IMPORT_CHUNK = 1000
OVERLAP = timedelta(minutes=2)
"""How far before the last change that was seen changes are asked for: a slow transaction may end after a later one."""

ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "TASKS_DELETED")

SHORTENED = ("annotations_results", "predictions_results", "annotations_ids", "predictions_model_versions")
"""Columns of the server's table: what is whole elsewhere in the task, cut for display."""
VARYING = ("created_ago", "created_username", "prediction", "result_count", "unique_id")
"""What changes by itself from one reading to the next, or is there in one kind of reading only."""


@dataclass(frozen=True, slots=True)
class User:
    user_id: int
    email: str


@dataclass(frozen=True, slots=True)
class Project:
    project_id: int
    title: str
    description: str
    label_config: str
    task_count: int = 0

    def has(self, marker: str) -> bool:
        """Whether a line of the description is the marker."""
        return marker in self.description.splitlines()


class Studio:
    """A Label Studio server seen with one user's key; see `Connection` for time limits, retries and failures."""

    def __init__(self, url: str, api_key: str, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> None:
        self._wire = Connection(url, api_key, timeout, attempts)

    @property
    def url(self) -> str:
        return self._wire.url

    def close(self) -> None:
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def version(self) -> str:
        """The release of the server, such as `1.23.2`."""
        return _text(self._wire.get("/api/version"), "release")

    def doubt(self) -> str | None:
        """A sentence when the server's release is another than the one that all of this was tried with."""
        found = self.version()
        if found.split(".")[:2] == VERSION.split(".")[:2]:
            return None
        age = "older" if _numbers(found) < _numbers(VERSION) else "newer"
        return f"Label Studio {found} at {self.url} is {age} than {VERSION}, which was tried. Watch the first sync."

    def whoami(self) -> User:
        """The user whose key this is."""
        return _user(self._wire.get("/api/current-user/whoami"))

    def users(self) -> list[User]:
        """Everybody who has an account on the server, by id; the e-mail of one who was removed is not an address."""
        found = [_user(item) for item in _list(self._wire.get("/api/users/"))]
        return sorted(found, key=lambda user: user.user_id)

    def invitation(self) -> str:
        """The secret of the link by which people make their accounts."""
        return _text(self._wire.get("/api/invite"), "token")

    def projects(self) -> Iterator[Project]:
        """Every project, by id."""
        page = 0
        while True:
            page += 1
            answer = self._wire.get(
                "/api/projects/", page=page, page_size=PROJECT_PAGE, ordering="id", include=PROJECT_FIELDS
            )
            yield from (_project(item) for item in _list(_field(answer, "results")))
            if _field(answer, "next") is None:
                return

    def find_project(self, marker: str) -> Project | None:
        """The project whose description has the marker for a line, the oldest if there are several."""
        return next((project for project in self.projects() if project.has(marker)), None)

    def create_project(
        self, title: str, description: str, label_config: str, instruction: str = "", allow_empty: bool = True
    ) -> Project:
        """A new project for one annotator: one annotation a task, in the order of the tasks, nothing to skip.

        title: 3 to 50 characters.  instruction: HTML that is shown before the first task; none if empty.
        allow_empty: whether a task may be submitted without a single result.
        """
        answer = self._wire.post(
            "/api/projects/",
            {
                "title": title,
                "description": description,
                "label_config": label_config,
                "expert_instruction": instruction,
                "show_instruction": bool(instruction),
                "maximum_annotations": 1,
                "sampling": "Sequential sampling",
                "show_skip_button": False,
                "enable_empty_annotation": allow_empty,
                "show_collab_predictions": True,
            },
        )
        return _project(answer)

    def update_label_config(self, project_id: int, label_config: str) -> None:
        """Give a project another labelling configuration; `UserError` when work that was done does not fit it."""
        # To a change alone the server says nothing when labels go away that were used.
        self._wire.post(f"/api/projects/{project_id}/validate/", {"label_config": label_config})
        self._wire.patch(f"/api/projects/{project_id}/", {"label_config": label_config})

    def serve_pictures(self, project_id: int, folder: Path) -> None:
        """Let the people of a project see the files in a folder of the server's own disk (once is enough)."""
        path = str(folder)
        storages = _list(self._wire.get("/api/storages/localfiles/", project=project_id))
        if not any(storage.get("path") == path for storage in storages):
            body = {"project": project_id, "path": path, "use_blob_urls": True, "title": "pictures"}
            self._wire.post("/api/storages/localfiles/", body)

    def import_tasks(self, project_id: int, tasks: Iterable[Mapping[str, Any]], chunk: int = IMPORT_CHUNK) -> list[int]:
        """Add tasks (`data`, and if wanted `predictions` and `annotations`); their ids, in order.

        A chunk is added whole or not at all.  After a failure some chunks may be there, the last perhaps although its
        answer was lost: look which tasks exist before the rest is added.
        """
        ids: list[int] = []
        rest = iter(tasks)
        while part := list(islice(rest, chunk)):
            answer = self._wire.post(f"/api/projects/{project_id}/import", part, return_task_ids="true")
            ids += _list(_field(answer, "task_ids"))
        return ids

    def tasks(self, project_id: int, since: str | None = None) -> Iterator[Task]:
        """Every task of a project, by id, with its data, annotations and predictions whole.

        since: a time before which every change was seen; only tasks that changed since are given (and some that were
        seen already).  An annotation that is made, changed by anybody or deleted changes its task; a draft does not.
        Deleted tasks are in no reading.  `NotReady`, in a while without `since` and soon with it, when the server is
        away or cannot show one of them: an outline can do without it.
        """
        filters = [] if since is None else [_condition("updated_at", "greater_or_equal", "Datetime", _earlier(since))]
        attempts = None if since is None else PATIENCE
        yield from (_lasting(task) for task in self._pages(project_id, filters, attempts, fields="all"))

    def outline(self, project_id: int) -> Iterator[Task]:
        """Every task of a project, by id, with its data, when it changed last, and how many annotations it has.

        Takes the server an eighth of the time of `tasks`.  A task that it cannot show has no data, and `UNREADABLE`.
        """
        last = 0
        try:
            for task in self._pages(project_id, [], include=OUTLINE, attempts=PATIENCE):
                last = int(_field(task, "id"))
                yield task
            return
        except NotReady:
            self.whoami()
        rest = self._pages(project_id, [_condition("id", "greater", "Number", last)], include=COUNTED)
        while part := {task["id"]: task for task in islice(rest, CHOSEN)}:
            found, lost = self._apart(project_id, list(part), include=OUTLINE)
            yield from found
            yield from (part[task_id] | {UNREADABLE: True} for task_id in lost)

    def tasks_of(self, project_id: int, ids: Iterable[int]) -> Iterator[Task]:
        """The tasks of a project with these ids, as `tasks` gives them; those that are gone are left out.

        An annotation that the server cannot show is given as far as it can, with `UNREADABLE`.
        """
        rest = iter(ids)
        while part := list(islice(rest, CHOSEN)):
            found, lost = self._apart(project_id, part, fields="all")
            yield from (_lasting(task) for task in found)
            for task in self._chosen(project_id, lost, include=f"{METADATA},data", fields="all") if lost else []:
                yield _lasting(in_parts(task, self._annotation, self.whoami))

    def _annotation(self, annotation_id: int) -> Task:
        answer = self._wire.request("GET", f"/api/annotations/{annotation_id}/", attempts=PATIENCE)
        _field(answer, "id")
        return dict(answer)

    def _apart(self, project_id: int, ids: list[int], **options: str) -> tuple[list[Task], list[int]]:
        """The tasks with these ids that the server can show, and the ids of the others; see `apart`."""

        def fetch(some: list[int]) -> list[Task]:
            return self._chosen(project_id, some, attempts=PATIENCE if len(some) in (1, len(ids)) else 1, **options)

        return apart(ids, fetch, self.whoami)

    def _chosen(self, project_id: int, ids: list[int], attempts: int | None = None, **options: str) -> list[Task]:
        query = {"selectedItems": {"all": False, "included": ids}}
        return self._page(project_id, query, attempts, page_size=len(ids), **options)

    def _pages(
        self, project_id: int, filters: list[Condition], attempts: int | None = None, **options: str
    ) -> Iterator[Task]:
        last = 0
        while True:
            # By id rather than by page: nobody's deletions in between make a task slip from one page to another.
            following = _condition("id", "greater", "Number", last)
            query = {"filters": {"conjunction": "and", "items": [*filters, following]}, "ordering": ["tasks:id"]}
            found = self._page(project_id, query, attempts, page_size=TASK_PAGE, **options)
            yield from found
            if len(found) < TASK_PAGE:
                return
            last = int(_field(found[-1], "id"))

    def _page(
        self, project_id: int, query: Mapping[str, Any], attempts: int | None = None, **options: str | int
    ) -> list[Task]:
        options |= {"project": project_id, "resolve_uri": "false", "query": orjson.dumps(query).decode()}
        answer = self._wire.request("GET", "/api/tasks/", query=options, attempts=attempts)
        return _list(_field(answer, "tasks"))

    def import_annotations(self, task_id: int, annotations: Sequence[Mapping[str, Any]]) -> list[int]:
        """Add annotations (`result`, `completed_by`: a user's id, `lead_time`, ...) to a task; their ids."""
        made = (self._wire.post(f"/api/tasks/{task_id}/annotations/", annotation) for annotation in annotations)
        return [int(_field(answer, "id")) for answer in made]

    def delete_task(self, task_id: int) -> None:
        """Remove a task with all that was done in it; nothing happens when it is gone already."""
        self._wire.delete(f"/api/tasks/{task_id}/")

    def delete_untouched(self, project_id: int, task_id: int) -> bool:
        """Remove a task of a project unless somebody began to work in it; whether it is gone."""
        # The task itself shows only the drafts of whoever asks.
        query: dict[str, str | int] = {"exportType": "JSON", "download_all_tasks": "true", "ids[]": task_id}
        for task in _list(self._wire.get(f"/api/projects/{project_id}/export", **query)):
            if _field(task, "id") == task_id and (_field(task, "annotations") or _field(task, "drafts")):
                return False
        self.delete_task(task_id)
        return True

    def ensure_webhook(self, project_id: int, url: str, headers: Mapping[str, str]) -> None:
        """Have the server tell a URL, once, of every annotation of a project that is made, changed or deleted."""
        wanted = {
            "project": project_id,
            "url": url,
            "headers": dict(headers),
            "actions": sorted(ACTIONS),
            "send_payload": False,
            "send_for_all_actions": False,
            "is_active": True,
        }
        first, *others = self._webhooks(project_id, url) or [None]
        if first is None:
            self._wire.post("/api/webhooks/", wanted)
        elif {key: first.get(key) for key in wanted} | {"actions": sorted(first.get("actions") or [])} != wanted:
            self._wire.patch(f"/api/webhooks/{first['id']}/", wanted)
        for hook in others:
            self._wire.delete(f"/api/webhooks/{hook['id']}/")

    def remove_webhooks(self, project_ids: Collection[int], header: str) -> None:
        """Have the server tell nobody of these projects any more by webhooks that send a header of this name."""
        for hook in _list(self._wire.get("/api/webhooks/")):
            if hook.get("project") in project_ids and header in (hook.get("headers") or {}):
                self._wire.delete(f"/api/webhooks/{hook['id']}/")

    def _webhooks(self, project_id: int, url: str) -> list[Any]:
        hooks = _list(self._wire.get("/api/webhooks/", project=project_id))
        return [hook for hook in hooks if hook.get("url") == url and hook.get("project") == project_id]


def _condition(column: str, operator: str, kind: str, value: str | int) -> Condition:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _earlier(since: str) -> str:
    # The one form of a time that the server reads in a filter.
    return (datetime.fromisoformat(since).astimezone(UTC) - OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lasting(task: Task) -> Task:
    """A task without what is shortened for display or differs each time that it is read."""
    kept = _without(task, SHORTENED)
    for key in ("annotations", "predictions", "drafts"):
        kept[key] = [_without(item, VARYING) if isinstance(item, dict) else item for item in kept.get(key) or []]
    return kept


def _without(item: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in names}


def _user(answer: Any) -> User:
    return User(int(_field(answer, "id")), _text(answer, "email"))


def _project(answer: Any) -> Project:
    description = answer.get("description") or "" if isinstance(answer, dict) else ""
    count = int(answer.get("task_number") or 0) if isinstance(answer, dict) else 0
    return Project(int(_field(answer, "id")), _text(answer, "title"), description, _text(answer, "label_config"), count)


def _field(answer: Any, name: str) -> Any:
    if not isinstance(answer, dict) or name not in answer:
        raise UserError(f"The server answered without {name!r}: expected Label Studio {VERSION}. Check its address.")
    return answer[name]


def _text(answer: Any, name: str) -> str:
    return str(_field(answer, name))


def _list(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise UserError(f"The server answered without a list: expected Label Studio {VERSION}. Check its address.")
    return answer


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
