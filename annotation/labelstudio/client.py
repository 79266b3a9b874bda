"""The Label Studio server as a campaign uses it: users, projects, tasks, annotations, images and webhooks.

Which calls go through the SDK, and why the others do not, is in `annotation.labelstudio.connection`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from annotation.labelstudio.connection import (
    STUDIO_ATTEMPTS,
    STUDIO_TIMEOUT,
    StudioConnection,
    StudioNotFoundError,
    require_field,
    require_list,
    require_text,
)
from annotation.labelstudio.environment import STUDIO_VERSION
from annotation.labelstudio.read_tasks import StudioTaskReader
from mos.errors import UserError

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

PROJECT_PAGE_SIZE = 100
PROJECT_FIELDS = "id,title,description,label_config,task_number"
"""Fields of a project to request: without this list, the server counts annotations in every project."""
IMPORT_CHUNK = 1000
IMPORT_ATTEMPTS = 3
"""How often tasks are imported at most, when the server stores them without their predictions."""
WEBHOOK_ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "TASKS_DELETED")


@dataclass(frozen=True, slots=True)
class StudioUser:
    """A user of the server."""

    user_id: int
    email: str


@dataclass(frozen=True, slots=True)
class StudioProject:
    """A project of the server; `label_config` is XML, `task_count` the number of its tasks."""

    project_id: int
    title: str
    description: str
    label_config: str
    task_count: int = 0

    def has(self, marker: str) -> bool:
        """Whether a line of the description is the marker."""
        return marker in self.description.splitlines()


class StudioClient(StudioTaskReader):
    """A client of a Label Studio server with the key of one user; use it as a context manager.

    Parameters
    ----------
    url
        Address of the server, such as `http://127.0.0.1:8080`.
    api_key
        Token or personal access token of a user.
    timeout
        Seconds that the server may take to answer a request.
    attempts
        How often a request is sent at most.

    Raises
    ------
    UserError
        By every method, if the server cannot be reached or refuses the request; see
        `annotation.labelstudio.connection.StudioConnection.request` for its subclasses and for retries.
    """

    def __init__(
        self, url: str, api_key: str, timeout: float = STUDIO_TIMEOUT, attempts: int = STUDIO_ATTEMPTS
    ) -> None:
        super().__init__(StudioConnection(url, api_key, timeout, attempts))

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
        """Return the release of the server, such as `1.23.2`."""
        return require_text(self._wire.call(lambda sdk: sdk.versions.get()), "release")

    def describe_version_gap(self) -> str | None:
        """Return a warning if the server has another minor release than the tested one, else None."""
        version = self.version()
        if version.split(".")[:2] == STUDIO_VERSION.split(".")[:2]:
            return None
        age = "older" if _parse_version(version) < _parse_version(STUDIO_VERSION) else "newer"
        return f"Label Studio {version} at {self.url} is {age} than the tested {STUDIO_VERSION}. Check the first sync."

    def whoami(self) -> StudioUser:
        """Return the user to whom the key belongs."""
        return _parse_user(self._wire.call(lambda sdk: sdk.users.whoami()))

    def users(self) -> list[StudioUser]:
        """Return all users of the server, ordered by id; the e-mail of a deleted user is not an address."""
        users = [_parse_user(item) for item in require_list(self._wire.call(lambda sdk: sdk.users.list()))]
        return sorted(users, key=lambda user: user.user_id)

    def fetch_invite_token(self) -> str:
        """Return the token of the invitation link, with which participants create their accounts."""
        return require_text(self._wire.call(lambda sdk: sdk.organizations.invites.get_invite_link()), "token")

    def projects(self) -> Iterator[StudioProject]:
        """Yield every project, ordered by id."""
        for page in count(1):
            answer = self._wire.call(partial(_list_project_page, page))
            yield from (_parse_project(item) for item in require_list(require_field(answer, "results")))
            if require_field(answer, "next") is None:
                return

    def find_project(self, marker: str) -> StudioProject | None:
        """Return the oldest project with the marker as a line of its description; None if there is none."""
        return next((project for project in self.projects() if project.has(marker)), None)

    def create_project(
        self, title: str, description: str, label_config: str, instruction: str = "", allow_empty: bool = True
    ) -> StudioProject:
        """Create a project for one annotator: one annotation per task, tasks in order, none can be skipped.

        Parameters
        ----------
        title
            3 to 50 characters.
        description
            Text of the project; `find_project` finds it by one of its lines.
        label_config
            Labelling configuration (XML).
        instruction
            HTML that is shown before the first task; none if empty.
        allow_empty
            Whether a task may be submitted without any result.

        Returns
        -------
        StudioProject
            The new project.
        """
        answer = self._wire.call(
            lambda sdk: sdk.projects.create(
                title=title,
                description=description,
                label_config=label_config,
                expert_instruction=instruction,
                show_instruction=bool(instruction),
                maximum_annotations=1,
                sampling="Sequential sampling",
                show_skip_button=False,
                enable_empty_annotation=allow_empty,
                show_collab_predictions=True,
            )
        )
        return _parse_project(answer)

    def update_label_config(self, project_id: int, label_config: str) -> None:
        """Replace the labelling configuration of a project; `UserError` if existing annotations do not fit it."""
        # An update alone removes labels that annotations use, without an error.
        self._wire.call(lambda sdk: sdk.projects.validate_label_config(project_id, label_config=label_config))
        self._wire.call(lambda sdk: sdk.projects.update(project_id, label_config=label_config))

    def serve_images(self, project_id: int, folder: Path) -> None:
        """Show the files in a folder of the server's disk to the users of a project; a second call changes nothing."""
        path = str(folder)
        storages = require_list(self._wire.call(lambda sdk: sdk.import_storage.local.list(project=project_id)))
        if not any(storage.path == path for storage in storages):
            self._wire.call(
                lambda sdk: sdk.import_storage.local.create(
                    project=project_id, path=path, use_blob_urls=True, title="pictures"
                )
            )

    def import_tasks(self, project_id: int, tasks: Iterable[Mapping[str, Any]], chunk: int = IMPORT_CHUNK) -> list[int]:
        """Add tasks to a project.

        Parameters
        ----------
        project_id
            Id of the project.
        tasks
            Tasks with `data`, and optionally `predictions` and `annotations`.
        chunk
            Tasks per request.

        Returns
        -------
        list[int]
            Ids of the new tasks, in order.

        Notes
        -----
        The server adds all tasks of a request or none. After an error some requests may have succeeded, also the last
        one if its answer was lost: list the tasks before adding the rest.

        A server on SQLite that is busy may add tasks without any of their predictions (Label Studio 1.23 repeats the
        import with what is left of it). Such tasks are deleted, unless somebody began them, and imported again.
        """
        ids: list[int] = []
        rest = iter(tasks)
        while part := list(islice(rest, chunk)):
            ids += self._import_part(project_id, part)
        return ids

    def _import_part(self, project_id: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        found: dict[int, int] = {}
        missing = list(range(len(tasks)))
        for attempt in range(IMPORT_ATTEMPTS):
            part = [tasks[place] for place in missing]
            answer = self._wire.call(partial(_import_tasks, project_id, part))
            ids, stored = require_list(require_field(answer, "task_ids")), require_field(answer, "prediction_count")
            if len(ids) != len(part) or not isinstance(stored, int):
                count = repr(stored)[:40]
                raise UserError(
                    f"The server answered an import of {len(part)} tasks with {len(ids)} ids and {count} as the number "
                    "of predictions. Synchronise again: the tasks that are there are found by their keys."
                )
            found |= zip(missing, ids, strict=True)
            sent = sum(len(task.get("predictions") or ()) for task in part)
            if stored >= sent or attempt == IMPORT_ATTEMPTS - 1:
                break
            missing = [place for place in missing if self.delete_untouched(project_id, found[place])]
            if not missing:
                break
        return [found[place] for place in sorted(found)]

    def import_annotations(self, task_id: int, annotations: Sequence[Mapping[str, Any]]) -> list[int]:
        """Add annotations (`result`, `completed_by`: id of a user, `lead_time`, ...) to a task; returns their ids."""
        created = (self._wire.call(partial(_create_annotation, task_id, item)) for item in annotations)
        return [int(require_field(answer, "id")) for answer in created]

    def delete_task(self, task_id: int) -> None:
        """Delete a task with its annotations; nothing happens if it does not exist."""
        with suppress(StudioNotFoundError):
            self._wire.call(lambda sdk: sdk.tasks.delete(str(task_id)))

    def delete_untouched(self, project_id: int, task_id: int) -> bool:
        """Delete a task unless it has an annotation or a draft of any user; returns whether it was deleted."""
        # The task itself contains only the drafts of the user who requests it.
        query: dict[str, str | int] = {"exportType": "JSON", "download_all_tasks": "true", "ids[]": task_id}
        for task in require_list(self._wire.get(f"/api/projects/{project_id}/export", **query)):
            if require_field(task, "id") == task_id and (
                require_field(task, "annotations") or require_field(task, "drafts")
            ):
                return False
        self.delete_task(task_id)
        return True

    def ensure_webhook(self, project_id: int, url: str, headers: Mapping[str, str]) -> None:
        """Make the server call a URL once whenever an annotation of a project is created, changed or deleted."""
        settings: dict[str, Any] = {
            "url": url,
            "headers": dict(headers),
            "actions": sorted(WEBHOOK_ACTIONS),
            "send_payload": False,
            "send_for_all_actions": False,
            "is_active": True,
        }
        first, *others = self._list_webhooks(project_id, url) or [None]
        if first is None:
            self._wire.call(lambda sdk: sdk.webhooks.create(project=project_id, **settings))
        elif {key: getattr(first, key) for key in settings} | {"actions": sorted(first.actions or [])} != settings:
            self._wire.call(lambda sdk: sdk.webhooks.update(first.id, **settings))
        for hook in others:
            self._delete_webhook(hook.id)

    def remove_webhooks(self, project_ids: Collection[int], header: str) -> None:
        """Delete the webhooks of these projects that send a header of this name."""
        for hook in require_list(self._wire.call(lambda sdk: sdk.webhooks.list())):
            if hook.project in project_ids and header in (hook.headers or {}):
                self._delete_webhook(hook.id)

    def _list_webhooks(self, project_id: int, url: str) -> list[Any]:
        hooks = require_list(self._wire.call(lambda sdk: sdk.webhooks.list(project=str(project_id))))
        return [hook for hook in hooks if hook.url == url and hook.project == project_id]

    def _delete_webhook(self, webhook_id: int) -> None:
        with suppress(StudioNotFoundError):
            self._wire.call(lambda sdk: sdk.webhooks.delete(webhook_id))


def _list_project_page(page: int, sdk: LabelStudio) -> Any:
    pager: Any = sdk.projects.list(page=page, page_size=PROJECT_PAGE_SIZE, ordering="id", include=PROJECT_FIELDS)
    return pager.response


def _import_tasks(project_id: int, tasks: Sequence[Mapping[str, Any]], sdk: LabelStudio) -> Any:
    return sdk.projects.import_tasks(project_id, request=list(tasks), return_task_ids=True)


def _create_annotation(task_id: int, annotation: Mapping[str, Any], sdk: LabelStudio) -> Any:
    return sdk.annotations.create(task_id, **annotation)


def _parse_user(answer: Any) -> StudioUser:
    return StudioUser(int(require_field(answer, "id")), require_text(answer, "email"))


def _parse_project(answer: Any) -> StudioProject:
    return StudioProject(
        int(require_field(answer, "id")),
        require_text(answer, "title"),
        getattr(answer, "description", None) or "",
        require_text(answer, "label_config"),
        int(getattr(answer, "task_number", None) or 0),
    )


def _parse_version(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
