"""What the server holds of a campaign, read as often as wanted: every answer goes into the archive.

A first reading of a project compares an outline of it with the archive and fetches what is not there; later ones ask
for what changed since.  Deleted tasks are in no such answer, so a project whose number of tasks is not the one that we
know is read as a whole again.

What one person stored may be more than the server can show: then their project is left as it was known, or the task
that it is about, and all others are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from annotation.campaign.exchange.archive import Archive, Version, author_of, editor_of
from annotation.campaign.exchange.server import Server
from annotation.campaign.tasks import TaskKey
from annotation.studio.client import Project, Task
from annotation.studio.connection import Gone, NotReady
from annotation.studio.unreadable import UNREADABLE
from mos.errors import UserError

WHOLE_AGAIN = 3600.0
"""Seconds after which a project is read as a whole again, in case that the server's clock was put back."""

BATCH = 200
"""Versions that are filed at once."""


class Seen(NamedTuple):
    """That every change was seen that the server made before `moment` by its own clock; `at`: our clock at that time.

    moment: UTC; at: seconds of a clock that is never put back
    """

    moment: datetime
    at: float


class Reader:
    """The projects and tasks of one campaign as they were when they were read last.

    projects: the oldest project of every `stage/person_id`
    tasks: of every project, by its id, the key of every task by the task's id ("" when a task says none)
    unread: of projects that could not be read the ids of the tasks that the server cannot show; none for a whole one
    """

    def __init__(
        self,
        server: Server,
        archive: Archive,
        now: Callable[[], str],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._archive = archive
        self._now = now
        self._elapsed = elapsed
        self._seen: dict[int, Seen] = {}
        self._whole: dict[int, float] = {}
        self.projects: dict[str, Project] = {}
        self.tasks: dict[int, dict[int, str]] = {}
        self._dark: dict[int, set[int]] = {}
        self.unread: dict[str, tuple[int, ...]] = {}

    def read(self, campaign_id: str, heard: Collection[int] | None = None) -> int:
        """File what is new; how many versions that were.

        heard: ids of the projects to look into, besides those that are new or lost tasks; None for all.
        """
        manager = self._server.whoami().user_id
        accounts = {user.user_id: user.email for user in self._server.users() if "@" in user.email}
        authors = self._archive.authors | accounts
        found: dict[str, Project] = {}
        there = set()
        unread: dict[str, tuple[int, ...]] = {}
        filed = 0
        for name, project in self._ours(campaign_id):
            number = project.project_id
            known = self.tasks.get(number)
            late = number in self._whole and self._elapsed() - self._whole[number] >= WHOLE_AGAIN
            unsure = known is None or len(known) != project.task_count or late or self.unread.get(name) == ()
            if unsure:
                self._seen.pop(number, None)
                self._whole.pop(number, None)
            if unsure or heard is None or number in heard:
                try:
                    filed += self._read_project(name, number, authors, manager)
                except Gone:
                    # Removed since it was listed: as if it had not been.
                    continue
                except UserError:
                    # When the server is away, or the key no good, this says so.
                    self._server.whoami()
                    unread[name] = ()
            found.setdefault(name, project)
            there.add(number)
            if dark := self._dark.get(number):
                unread.setdefault(name, tuple(sorted(dark)))
        self.tasks = {number: tasks for number, tasks in self.tasks.items() if number in there}
        self.projects, self.unread = found, unread
        return filed

    def keys(self) -> list[str]:
        """The key of every task, in order; one that two tasks have twice."""
        return sorted(key for tasks in self.tasks.values() for key in tasks.values())

    def doubles(self) -> list[tuple[str, int, int]]:
        """Tasks that repeat the key of another of their project and have no answer: the project's name, both ids.

        An import whose answer was lost may take effect after we looked whether it had: what it held was then imported
        twice.
        """
        found = []
        for name, project in self.projects.items():
            by_key: dict[str, list[int]] = {}
            for task_id, key in self.tasks.get(project.project_id, {}).items():
                by_key.setdefault(key, []).append(task_id)
            for key, ids in by_key.items():
                parsed = TaskKey.parse(key) if len(ids) > 1 else None
                if parsed is not None and parsed.project == name:
                    answered = [task_id for task_id in ids if self._archive.standing(key, task_id)]
                    kept = answered or [min(ids)]
                    found += [(name, project.project_id, task_id) for task_id in sorted(ids) if task_id not in kept]
        return found

    def _ours(self, campaign_id: str) -> Iterator[tuple[str, Project]]:
        prefix = f"editfhf:{campaign_id}/"
        for project in self._server.projects():
            name = next((line for line in project.description.splitlines() if line.startswith(prefix)), None)
            if name is not None:
                yield name.removeprefix(prefix), project

    def _read_project(self, name: str, project_id: int, authors: Mapping[int, str], manager: int) -> int:
        if seen := self._seen.get(project_id):
            try:
                return self._read_changes(name, project_id, seen, authors, manager)
            except NotReady:
                # Perhaps for one task's sake, which an outline does without.
                self._server.whoami()
        began, latest = self._elapsed(), ""
        whole = project_id not in self._whole
        known: dict[int, str] = {}
        dark, changed = set(), []
        for task in self._server.outline(project_id):
            number, key = task["id"], _key(task)
            latest = max(latest, _changed(task))
            if UNREADABLE in task:
                dark.add(number)
                key = self.tasks.get(project_id, {}).get(number, "")
            elif not self._archive.up_to_date(key, number, _changed(task), _count(task)) or (
                whole and self._archive.unreadable(key, number)
            ):
                changed.append(number)
            known[number] = key
        ended = self._elapsed()
        filed = self._file_all(name, self._server.tasks_of(project_id, changed), authors, manager)
        # Only now: what was read and not filed must be read again.
        self.tasks[project_id], self._dark[project_id] = known, dark
        if whole:
            self._whole[project_id] = began
        self._move(project_id, latest, began, ended)
        return filed

    def _read_changes(self, name: str, project_id: int, seen: Seen, authors: Mapping[int, str], manager: int) -> int:
        began, latest = self._elapsed(), ""
        known: dict[int, str] = {}

        def noted() -> Iterator[Task]:
            nonlocal latest
            for task in self._server.tasks(project_id, _text(seen.moment)):
                known[task["id"]] = _key(task)
                latest = max(latest, _changed(task))
                yield task

        filed = self._file_all(name, noted(), authors, manager)
        self.tasks[project_id] = self.tasks[project_id] | known
        self._dark.get(project_id, set()).difference_update(known)
        self._move(project_id, latest, began, self._elapsed())
        return filed

    def _move(self, project_id: int, latest: str, began: float, ended: float) -> None:
        now_seen = _moved(self._seen.get(project_id), latest, began, ended)
        if now_seen is not None:
            self._seen[project_id] = now_seen

    def _file_all(self, name: str, tasks: Iterable[Task], authors: Mapping[int, str], manager: int) -> int:
        """File all versions in these tasks that are not filed yet, while they come; how many."""
        waiting: list[Version] = []
        filed = 0
        for task in tasks:
            waiting += self._versions(name, _key(task), task, authors, manager)
            filed += self._file(waiting, BATCH)
        return filed + self._file(waiting)

    def _file(self, waiting: list[Version], least: int = 1) -> int:
        """File the versions that wait, if they are so many; how many of them were new."""
        if len(waiting) < least:
            return 0
        filed = self._archive.append(waiting)
        waiting.clear()
        return filed

    def _versions(self, name: str, key: str, task: Task, authors: Mapping[int, str], manager: int) -> Iterator[Version]:
        data = task["data"] if isinstance(task.get("data"), dict) else {}
        present = set()
        for annotation in task.get("annotations") or []:
            present.add(annotation["id"])
            author, editor = author_of(annotation, authors), editor_of(annotation, authors, manager)
            if annotation.get("completed_by") is None:
                # Its author's account was deleted, perhaps after we saw whose it was.
                author = self._archive.author(key, annotation["id"])
            who = annotation["id"], author, editor
            yield Version(name, key, task["id"], *who, self._now(), data, annotation, _changed(task))
        for gone in sorted(self._archive.standing(key, task["id"]) - present):
            yield Version(name, key, task["id"], gone, None, None, self._now(), data, None, _changed(task))


def _key(task: Task) -> str:
    data = task.get("data")
    key = data.get("key") if isinstance(data, dict) else None
    return key if isinstance(key, str) else ""


def _changed(task: Task) -> str:
    """When a task changed last, as the server says it."""
    return str(task.get("updated_at") or "")


def _count(task: Task) -> int:
    """How many annotations the outline of a task counts, those that skip it among them."""
    return int(task.get("total_annotations") or 0) + int(task.get("cancelled_annotations") or 0)


def _moved(seen: Seen | None, latest: str, began: float, ended: float) -> Seen | None:
    """What is seen after another reading, whose latest change has the time `latest` ("" without any).

    The server's clock has moved on as far as ours: without that, what many people were given at once and nobody has
    touched yet would be among what changed of late for ever.
    """
    found = [Seen(seen.moment + timedelta(seconds=began - seen.at), began)] if seen else []
    if latest:
        # The change was made before the reading ended; what came while it went on may have been passed by.
        moment = datetime.fromisoformat(latest).astimezone(UTC) - timedelta(seconds=ended - began)
        found.append(Seen(moment, began))
    return max(found, default=None)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
