"""Read the projects of a campaign from the server into the archive, again and again.

The first reading of a project compares an outline of it with the archive and fetches what is missing; later readings
ask for changes since the last one.  These do not show deleted tasks, so a project whose number of tasks differs from
the known one is read as a whole again.  A project or task that the server cannot show keeps its known state, and all
others are read.

A server that is killed between two writes holds an answer that its counters and times do not show.  So every look at a
whole project reads all tasks without an answer in the archive, and each project is looked at as a whole at first, after
the server was away, and once an hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from annotation.campaign.archive import AnnotationVersion, AnswerArchive, find_author, find_other_editor
from annotation.campaign.model import TaskKey
from annotation.campaign.studio_tasks import SHOWN_FIELD, needs_proposal
from annotation.labelstudio.client import StudioProject, StudioUser
from annotation.labelstudio.connection import UNREADABLE_KEY, StudioNotFoundError, StudioUnavailableError
from annotation.labelstudio.read_tasks import StudioTask
from mos.errors import UserError


class CampaignServer(Protocol):
    """The part of `annotation.labelstudio.client.StudioClient` that a sync needs."""

    def whoami(self) -> StudioUser: ...
    def users(self) -> list[StudioUser]: ...
    def projects(self) -> Iterator[StudioProject]: ...
    def create_project(
        self, title: str, description: str, label_config: str, instruction: str = "", allow_empty: bool = True
    ) -> StudioProject: ...
    def update_label_config(self, project_id: int, label_config: str) -> None: ...
    def serve_images(self, project_id: int, folder: Path) -> None: ...
    def import_tasks(self, project_id: int, tasks: Iterable[Mapping[str, Any]]) -> list[int]: ...
    def delete_untouched(self, project_id: int, task_id: int) -> bool: ...
    def tasks(self, project_id: int, since: str | None = None) -> Iterator[StudioTask]: ...
    def outline(self, project_id: int) -> Iterator[StudioTask]: ...
    def tasks_of(self, project_id: int, ids: Iterable[int]) -> Iterator[StudioTask]: ...


FULL_READ_SECONDS = 3600.0
"""Seconds after which a project is read as a whole again, in case the server's clock was set back."""


ARCHIVE_BATCH = 200
"""Versions that are appended to the archive at once."""


class ReadProgress(NamedTuple):
    """Every change that the server made before `moment` is known.

    moment: UTC, by the server's clock; at: our monotonic clock at that moment, in seconds
    """

    moment: datetime
    at: float


class PlacedTask(NamedTuple):
    """Where a task is: the name of its project, `stage/person_id`, and the server's numbers."""

    name: str
    project_id: int
    task_id: int


class ServerReader:
    """The projects and tasks of one campaign, as last read.

    projects: the oldest project of every `stage/person_id`
    tasks: the key of every task ("" without one), by project id and task id
    without_proposal: ids of the tasks that should show a prediction and have none, by project id
    shown: digest of what each expert's task shows, by key
    unreadable_tasks: by project, the ids of tasks that the server cannot show; empty when it cannot show the project
    """

    def __init__(
        self,
        server: CampaignServer,
        archive: AnswerArchive,
        now: Callable[[], str],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._archive = archive
        self._now = now
        self._elapsed = elapsed
        self._seen: dict[int, ReadProgress] = {}
        self._whole: dict[int, float] = {}
        self._doubted: set[int] = set()
        self.projects: dict[str, StudioProject] = {}
        self.tasks: dict[int, dict[int, str]] = {}
        self.without_proposal: dict[int, set[int]] = {}
        self.shown: dict[str, str] = {}
        self._unreadable_ids: dict[int, set[int]] = {}
        self.unreadable_tasks: dict[str, tuple[int, ...]] = {}

    def read(self, campaign_id: str, hinted: Collection[int] | None = None) -> int:
        """Append new versions to the archive; return their number.

        hinted: ids of the projects to read, besides new ones and those that lost tasks; None for all.
        """
        try:
            return self._read(campaign_id, hinted)
        except StudioUnavailableError:
            # It may have been killed: its counters and times may be wrong when it is there again.
            self._doubted = set(self.tasks)
            raise

    def forget_task(self, project_id: int, task_id: int) -> str:
        """Leave out a task that was deleted; return its key."""
        self.without_proposal.get(project_id, set()).discard(task_id)
        key = self.tasks[project_id].pop(task_id)
        self.shown.pop(key, None)
        return key

    def _read(self, campaign_id: str, hinted: Collection[int] | None) -> int:
        manager = self._server.whoami().user_id
        accounts = {user.user_id: user.email for user in self._server.users() if "@" in user.email}
        authors = self._archive.authors | accounts
        projects: dict[str, StudioProject] = {}
        present = set()
        unreadable: dict[str, tuple[int, ...]] = {}
        filed = 0
        for name, project in self._campaign_projects(campaign_id):
            number = project.project_id
            known = self.tasks.get(number)
            late = number in self._whole and self._elapsed() - self._whole[number] >= FULL_READ_SECONDS
            lost = known is None or len(known) != project.task_count
            unsure = lost or late or self.unreadable_tasks.get(name) == () or number in self._doubted
            if unsure:
                self._seen.pop(number, None)
                self._whole.pop(number, None)
            if unsure or hinted is None or number in hinted:
                try:
                    filed += self._read_project(name, number, authors, manager)
                except StudioNotFoundError:
                    # Removed since it was listed: treated as not listed.
                    continue
                except UserError:
                    # Raises when the server is down or the key is invalid.
                    self._server.whoami()
                    unreadable[name] = ()
            self._doubted.discard(number)
            projects.setdefault(name, project)
            present.add(number)
            if ids := self._unreadable_ids.get(number):
                unreadable.setdefault(name, tuple(sorted(ids)))
        self.tasks = {number: tasks for number, tasks in self.tasks.items() if number in present}
        self.projects, self.unreadable_tasks = projects, unreadable
        return filed

    def keys(self) -> list[str]:
        """The key of every task, in order; twice when two tasks have it."""
        return sorted(key for tasks in self.tasks.values() for key in tasks.values())

    def find_tasks_without_proposal(self) -> list[PlacedTask]:
        """Unanswered tasks that should show a prediction and have none."""
        return [
            PlacedTask(name, project.project_id, task_id)
            for name, project in self.projects.items()
            for task_id in sorted(self.without_proposal.get(project.project_id, ()))
            if task_id in self.tasks.get(project.project_id, ())
        ]

    def find_tasks_with_keys(self, keys: Collection[str]) -> list[PlacedTask]:
        """The tasks with these keys, in the projects to which the keys belong."""
        return [
            PlacedTask(name, project.project_id, task_id)
            for name, project in self.projects.items()
            for task_id, key in sorted(self.tasks.get(project.project_id, {}).items())
            if key in keys and (parsed := TaskKey.parse(key)) is not None and parsed.project == name
        ]

    def find_duplicate_tasks(self) -> list[PlacedTask]:
        """Unanswered tasks with the key of another task of their project.

        They come from an import whose response was lost: it may take effect after we checked for its tasks and imported
        them again.
        """
        duplicates = []
        for name, project in self.projects.items():
            by_key: dict[str, list[int]] = {}
            for task_id, key in self.tasks.get(project.project_id, {}).items():
                by_key.setdefault(key, []).append(task_id)
            for key, ids in by_key.items():
                parsed = TaskKey.parse(key) if len(ids) > 1 else None
                if parsed is not None and parsed.project == name:
                    answered = [task_id for task_id in ids if self._archive.standing(key, task_id)]
                    kept = answered or [min(ids)]
                    duplicates += [
                        PlacedTask(name, project.project_id, task_id) for task_id in sorted(ids) if task_id not in kept
                    ]
        return duplicates

    def _campaign_projects(self, campaign_id: str) -> Iterator[tuple[str, StudioProject]]:
        prefix = f"editfhf:{campaign_id}/"
        for project in self._server.projects():
            name = next((line for line in project.description.splitlines() if line.startswith(prefix)), None)
            if name is not None:
                yield name.removeprefix(prefix), project

    def _read_project(self, name: str, project_id: int, authors: Mapping[int, str], manager: int) -> int:
        if seen := self._seen.get(project_id):
            try:
                return self._read_changes(name, project_id, seen, authors, manager)
            except StudioUnavailableError:
                # Perhaps one task cannot be shown; an outline does not need it.
                self._server.whoami()
        began, latest = self._elapsed(), ""
        whole = project_id not in self._whole
        known: dict[int, str] = {}
        unreadable, changed = set(), []
        for task in self._server.outline(project_id):
            number, key = task["id"], _read_task_key(task)
            latest = max(latest, _task_change_time(task))
            if UNREADABLE_KEY in task:
                unreadable.add(number)
                key = self.tasks.get(project_id, {}).get(number, "")
            elif not self._archive.up_to_date(key, number, _task_change_time(task), _count_annotations(task)) or (
                whole and (self._archive.unreadable(key, number) or not self._archive.standing(key, number))
            ):
                changed.append(number)
            self._note_shown(key, task)
            known[number] = key
        ended = self._elapsed()
        if whole:
            self.without_proposal.pop(project_id, None)
        filed = self._file_all(name, project_id, self._server.tasks_of(project_id, changed), authors, manager)
        # Only now, because what was read but not archived must be read again.
        self.tasks[project_id], self._unreadable_ids[project_id] = known, unreadable
        if whole:
            self._whole[project_id] = began
        self._advance_progress(project_id, latest, began, ended)
        return filed

    def _read_changes(
        self, name: str, project_id: int, seen: ReadProgress, authors: Mapping[int, str], manager: int
    ) -> int:
        began, latest = self._elapsed(), ""
        known: dict[int, str] = {}

        def changed_tasks() -> Iterator[StudioTask]:
            nonlocal latest
            for task in self._server.tasks(project_id, _format_server_time(seen.moment)):
                known[task["id"]] = _read_task_key(task)
                latest = max(latest, _task_change_time(task))
                yield task

        filed = self._file_all(name, project_id, changed_tasks(), authors, manager)
        self.tasks[project_id] = self.tasks[project_id] | known
        self._unreadable_ids.get(project_id, set()).difference_update(known)
        self._advance_progress(project_id, latest, began, self._elapsed())
        return filed

    def _advance_progress(self, project_id: int, latest: str, began: float, ended: float) -> None:
        now_seen = _next_progress(self._seen.get(project_id), latest, began, ended)
        if now_seen is not None:
            self._seen[project_id] = now_seen

    def _file_all(
        self, name: str, project_id: int, tasks: Iterable[StudioTask], authors: Mapping[int, str], manager: int
    ) -> int:
        """Append the new versions in these tasks to the archive, in batches; return their number."""
        waiting: list[AnnotationVersion] = []
        filed = 0
        for task in tasks:
            key = _read_task_key(task)
            self._note_proposal(project_id, key, task)
            self._note_shown(key, task)
            waiting += self._task_versions(name, key, task, authors, manager)
            filed += self._file(waiting, ARCHIVE_BATCH)
        return filed + self._file(waiting)

    def _note_proposal(self, project_id: int, key: str, task: StudioTask) -> None:
        parsed, lost = TaskKey.parse(key), self.without_proposal.setdefault(project_id, set())
        if (
            parsed
            and needs_proposal(parsed, _read_data(task))
            and _count_predictions(task) == 0
            and not task["annotations"]
        ):
            lost.add(task["id"])
        else:
            lost.discard(task["id"])

    def _note_shown(self, key: str, task: StudioTask) -> None:
        if isinstance(digest := _read_data(task).get(SHOWN_FIELD), str):
            self.shown[key] = digest

    def _file(self, waiting: list[AnnotationVersion], least: int = 1) -> int:
        """Append the waiting versions, if there are at least `least`; return how many of them were new."""
        if len(waiting) < least:
            return 0
        filed = self._archive.append(waiting)
        waiting.clear()
        return filed

    def _task_versions(
        self, name: str, key: str, task: StudioTask, authors: Mapping[int, str], manager: int
    ) -> Iterator[AnnotationVersion]:
        data, proposals = _read_data(task), _count_predictions(task)
        present = set()
        for annotation in task.get("annotations") or []:
            present.add(annotation["id"])
            author, editor = find_author(annotation, authors), find_other_editor(annotation, authors, manager)
            if annotation.get("completed_by") is None:
                # The author's account was deleted, perhaps after an earlier version named the author.
                author = self._archive.author(key, annotation["id"])
            who = annotation["id"], author, editor
            yield AnnotationVersion(
                name, key, task["id"], *who, self._now(), data, annotation, _task_change_time(task), proposals
            )
        for deleted in sorted(self._archive.standing(key, task["id"]) - present):
            yield AnnotationVersion(
                name, key, task["id"], deleted, None, None, self._now(), data, None, _task_change_time(task)
            )


def _read_data(task: StudioTask) -> dict[str, Any]:
    data = task.get("data")
    return data if isinstance(data, dict) else {}


def _read_task_key(task: StudioTask) -> str:
    key = _read_data(task).get("key")
    return key if isinstance(key, str) else ""


def _task_change_time(task: StudioTask) -> str:
    """The server's time of the last change of a task."""
    return str(task.get("updated_at") or "")


def _count_annotations(task: StudioTask) -> int:
    """Number of annotations in the outline of a task, skipped ones included."""
    return int(task.get("total_annotations") or 0) + int(task.get("cancelled_annotations") or 0)


def _count_predictions(task: StudioTask) -> int | None:
    """Number of predictions of a task; None when they were not read."""
    found = task.get("predictions")
    return len(found) if isinstance(found, list) else None


def _next_progress(seen: ReadProgress | None, latest: str, began: float, ended: float) -> ReadProgress | None:
    """The progress after another reading, whose latest change has the time `latest` ("" without any).

    The server's clock has advanced as much as ours.  Without this step, a large import without answers would stay
    among the latest changes forever.
    """
    candidates = [ReadProgress(seen.moment + timedelta(seconds=began - seen.at), began)] if seen else []
    if latest:
        # The change was made before the reading ended; the reading may have missed changes made while it ran.
        moment = datetime.fromisoformat(latest).astimezone(UTC) - timedelta(seconds=ended - began)
        candidates.append(ReadProgress(moment, began))
    return max(candidates, default=None)


def _format_server_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
