"""Reading the tasks of a project, also those that the server cannot send.

Label Studio 1.23 on SQLite stores half of a surrogate pair ("\\ud800") and then answers 500 to every request that
includes it: such a task is found by halving, and its annotations are fetched one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from annotation.labelstudio.connection import (
    UNREADABLE_KEY,
    StudioConnection,
    StudioNotFoundError,
    StudioUnavailableError,
    require_field,
    require_list,
)

StudioTask = dict[str, Any]
FilterCondition = dict[str, str | int]

TASK_PAGE_SIZE = 500
ID_CHUNK = 200
"""Tasks that are requested by their ids at once: the URL stays below 4,000 characters."""
COUNT_FIELDS = "id,updated_at,total_annotations,cancelled_annotations"
OUTLINE_FIELDS = f"{COUNT_FIELDS},data"
CHANGE_OVERLAP = timedelta(minutes=2)
"""Changes are requested from this long before the last one seen: a slow transaction may end after a later one."""

SHORTENED_COLUMNS = ("annotations_results", "predictions_results", "annotations_ids", "predictions_model_versions")
"""Columns of the server's data view: shortened copies of what is complete elsewhere in the task."""
VARYING_KEYS = ("created_ago", "created_username", "prediction", "result_count", "unique_id")
"""Fields that change without an edit, or that only some requests return."""
ANNOTATION_METADATA = "id,annotations,completed_by,updated_by,created_at,updated_at,lead_time,was_cancelled"
"""Fields of an annotation that the server shows even if it cannot show the result."""


PART_ATTEMPTS = 2
"""How often a part is requested at most, once the server is known to answer other requests."""

FetchTasks = Callable[[list[int]], list[dict[str, Any]]]


class StudioTaskReader:
    """Reads tasks and their annotations as the server sends them.

    Parameters
    ----------
    wire
        Connection to the server.
    """

    def __init__(self, wire: StudioConnection) -> None:
        self._wire = wire

    def tasks(self, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
        """Yield the tasks of a project, ordered by id, with their data, annotations and predictions.

        Parameters
        ----------
        project_id
            Id of the project.
        since
            ISO time up to which all changes are known; only tasks that changed later are yielded, and some that did
            not. Creating, changing or deleting an annotation changes its task; a draft does not. Deleted tasks are
            never yielded.

        Raises
        ------
        StudioUnavailableError
            If the server is away or cannot send one of the tasks, after fewer attempts with `since`. Use `outline` and
            `tasks_of` then.
        """
        filters = (
            []
            if since is None
            else [_build_condition("updated_at", "greater_or_equal", "Datetime", _format_since(since))]
        )
        attempts = None if since is None else PART_ATTEMPTS
        yield from (_drop_varying(task) for task in self._iterate_pages(project_id, filters, attempts, fields="all"))

    def outline(self, project_id: int) -> Iterator[StudioTask]:
        """Yield the tasks of a project, ordered by id, with `data`, `updated_at` and their counts of annotations.

        The server needs an eighth of the time of `tasks`. A task that it cannot send has no data, but
        `UNREADABLE_KEY`.
        """
        last = 0
        try:
            for task in self._iterate_pages(project_id, [], include=OUTLINE_FIELDS, attempts=PART_ATTEMPTS):
                last = int(require_field(task, "id"))
                yield task
            return
        except StudioUnavailableError:
            self._check_server()
        rest = self._iterate_pages(
            project_id, [_build_condition("id", "greater", "Number", last)], include=COUNT_FIELDS
        )
        while part := {task["id"]: task for task in islice(rest, ID_CHUNK)}:
            readable, unreadable = self._fetch_readable(project_id, list(part), include=OUTLINE_FIELDS)
            yield from readable
            yield from (part[task_id] | {UNREADABLE_KEY: True} for task_id in unreadable)

    def tasks_of(self, project_id: int, ids: Iterable[int]) -> Iterator[StudioTask]:
        """Yield the tasks of a project with these ids, as `tasks` does; deleted ones are left out.

        An annotation that the server cannot send has its metadata and `UNREADABLE_KEY`, and its task None in the place
        of predictions, which are not read.
        """
        rest = iter(ids)
        while part := list(islice(rest, ID_CHUNK)):
            readable, unreadable = self._fetch_readable(project_id, part, fields="all")
            yield from map(_drop_varying, readable)
            if unreadable:
                include = f"{ANNOTATION_METADATA},data"
                for task in self._fetch_by_ids(project_id, unreadable, include=include, fields="all"):
                    parts = fetch_task_in_parts(task, self._fetch_annotation, self._check_server)
                    yield _drop_varying(parts) | {"predictions": None}

    def _fetch_annotation(self, annotation_id: int) -> StudioTask:
        answer = self._wire.request("GET", f"/api/annotations/{annotation_id}/", attempts=PART_ATTEMPTS)
        require_field(answer, "id")
        return dict(answer)

    def _fetch_readable(self, project_id: int, ids: list[int], **options: str) -> tuple[list[StudioTask], list[int]]:
        """The tasks with these ids that the server can send, and the ids of the others."""

        def fetch(some: list[int]) -> list[StudioTask]:
            return self._fetch_by_ids(
                project_id, some, attempts=PART_ATTEMPTS if len(some) in (1, len(ids)) else 1, **options
            )

        return fetch_readable_tasks(ids, fetch, self._check_server)

    def _fetch_by_ids(
        self, project_id: int, ids: list[int], attempts: int | None = None, **options: str
    ) -> list[StudioTask]:
        query = {"selectedItems": {"all": False, "included": ids}}
        return self._fetch_page(project_id, query, attempts, page_size=len(ids), **options)

    def _iterate_pages(
        self, project_id: int, filters: list[FilterCondition], attempts: int | None = None, **options: str
    ) -> Iterator[StudioTask]:
        last = 0
        while True:
            # By id rather than by page number: a task deleted meanwhile would shift others to a page that was read.
            following = _build_condition("id", "greater", "Number", last)
            query = {"filters": {"conjunction": "and", "items": [*filters, following]}, "ordering": ["tasks:id"]}
            tasks = self._fetch_page(project_id, query, attempts, page_size=TASK_PAGE_SIZE, **options)
            yield from tasks
            if len(tasks) < TASK_PAGE_SIZE:
                return
            last = int(require_field(tasks[-1], "id"))

    def _fetch_page(
        self, project_id: int, query: Mapping[str, Any], attempts: int | None = None, **options: str | int
    ) -> list[StudioTask]:
        options |= {"project": project_id, "resolve_uri": "false", "query": orjson.dumps(query).decode()}
        answer = self._wire.request("GET", "/api/tasks/", query=options, attempts=attempts)
        return require_list(require_field(answer, "tasks"))

    def _check_server(self) -> object:
        return self._wire.call(lambda sdk: sdk.users.whoami())


def fetch_readable_tasks(
    ids: list[int], fetch: FetchTasks, check_server: Callable[[], object]
) -> tuple[list[dict[str, Any]], list[int]]:
    """Fetch tasks, of which the server may be unable to send some; those are found by halving.

    Parameters
    ----------
    ids
        Ids of the tasks.
    fetch
        Returns the tasks with some of the ids; raises `StudioUnavailableError` if one of them cannot be sent.
    check_server
        Raises `StudioUnavailableError` if the server answers no request at all.

    Returns
    -------
    tuple[list[dict[str, Any]], list[int]]
        The tasks, and the ids of those that the server cannot send.

    Raises
    ------
    StudioUnavailableError
        If the server answers no request at all.
    """
    try:
        return fetch(ids), []
    except StudioUnavailableError:
        check_server()
    if len(ids) == 1:
        return [], ids
    readable: list[dict[str, Any]] = []
    unreadable: list[int] = []
    for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
        tasks, failed = fetch_readable_tasks(half, fetch, check_server)
        readable += tasks
        unreadable += failed
    return readable, unreadable


def fetch_task_in_parts(
    task: dict[str, Any], fetch: Callable[[int], dict[str, Any]], check_server: Callable[[], object]
) -> dict[str, Any]:
    """Fetch each annotation of a task by itself.

    Parameters
    ----------
    task
        Its data, and the metadata of its annotations (`ANNOTATION_METADATA`).
    fetch
        Returns the annotation with an id; raises `StudioUnavailableError` if the server cannot send it.
    check_server
        Raises `StudioUnavailableError` if the server answers no request at all.

    Returns
    -------
    dict[str, Any]
        The task; an annotation that the server cannot send has its metadata and `UNREADABLE_KEY`.
    """
    annotations = []
    for metadata in task.get("annotations") or []:
        try:
            annotations.append(fetch(metadata["id"]))
        except StudioNotFoundError:
            continue
        except StudioUnavailableError:
            check_server()
            annotations.append(metadata | {UNREADABLE_KEY: True})
    return task | {"annotations": annotations}


def _build_condition(column: str, operator: str, kind: str, value: str | int) -> FilterCondition:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _format_since(since: str) -> str:
    # The only format of a time that the server accepts in a filter.
    return (datetime.fromisoformat(since).astimezone(UTC) - CHANGE_OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _drop_varying(task: StudioTask) -> StudioTask:
    """A task without `SHORTENED_COLUMNS` and `VARYING_KEYS`."""
    kept = _drop_keys(task, SHORTENED_COLUMNS)
    for key in ("annotations", "predictions", "drafts"):
        kept[key] = [_drop_keys(item, VARYING_KEYS) if isinstance(item, dict) else item for item in kept.get(key) or []]
    return kept


def _drop_keys(item: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in names}
