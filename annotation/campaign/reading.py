"""What the server holds of a campaign, read as often as wanted: every answer goes into the archive.

A first reading of a project is whole; later ones ask for what changed since.  Deleted tasks are in no such answer, so a
project whose number of tasks is not the one that we know is read as a whole again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from annotation.campaign.archive import Archive, Version, author_of, editor_of
from annotation.campaign.server import Server
from annotation.campaign.tasks import TaskKey
from annotation.studio.client import Project, Task
from annotation.studio.connection import Gone

BATCH = 500
"""Tasks whose annotations are filed at once."""


class Reader:
    """The projects and tasks of one campaign as they were when they were read last.

    projects: the oldest project of every `stage/person_id`
    tasks: of every project, by its id, the key of every task by the task's id ("" when a task says none)
    """

    def __init__(self, server: Server, archive: Archive, now: Callable[[], str]) -> None:
        self._server = server
        self._archive = archive
        self._now = now
        self._since: dict[int, str] = {}
        self.projects: dict[str, Project] = {}
        self.tasks: dict[int, dict[int, str]] = {}

    def read(self, campaign_id: str, heard: Collection[int] | None = None) -> int:
        """File what is new; how many versions that were.

        heard: ids of the projects to look into, besides those that are new or lost tasks; None for all.
        """
        manager = self._server.whoami().user_id
        accounts = {user.user_id: user.email for user in self._server.users() if "@" in user.email}
        authors = self._archive.authors | accounts
        found: dict[str, Project] = {}
        there = set()
        filed = 0
        for name, project in self._ours(campaign_id):
            number = project.project_id
            known = self.tasks.get(number)
            if known is None or len(known) != project.task_count:
                self._since.pop(number, None)
            elif heard is not None and number not in heard:
                found.setdefault(name, project)
                there.add(number)
                continue
            try:
                filed += self._read_project(name, number, authors, manager)
            except Gone:
                # Removed since it was listed: as if it had not been.
                continue
            found.setdefault(name, project)
            there.add(number)
        self.tasks = {number: tasks for number, tasks in self.tasks.items() if number in there}
        self.projects = found
        return filed

    def keys(self) -> list[str]:
        """The key of every task, in order; one that two tasks have twice."""
        return sorted(key for tasks in self.tasks.values() for key in tasks.values())

    def doubles(self) -> list[tuple[int, int]]:
        """Tasks that repeat the key of another of their project and have no answer, as (project, task) ids.

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
                    found += [(project.project_id, task_id) for task_id in sorted(ids) if task_id not in kept]
        return found

    def _ours(self, campaign_id: str) -> Iterator[tuple[str, Project]]:
        prefix = f"editfhf:{campaign_id}/"
        for project in self._server.projects():
            name = next((line for line in project.description.splitlines() if line.startswith(prefix)), None)
            if name is not None:
                yield name.removeprefix(prefix), project

    def _read_project(self, name: str, project_id: int, authors: Mapping[int, str], manager: int) -> int:
        since = self._since.get(project_id, "")
        changed: Iterable[Task] = self._server.tasks(project_id, since) if since else self._server.export(project_id)
        known = self.tasks.get(project_id, {}) if since else {}
        waiting: list[Version] = []
        filed = 0
        for number, task in enumerate(changed, start=1):
            key = _key(task)
            known[task["id"]] = key
            since = max(since, str(task.get("updated_at") or ""))
            waiting += self._versions(name, key, task, authors, manager)
            if number % BATCH == 0:
                filed += self._archive.append(waiting)
                waiting = []
        filed += self._archive.append(waiting)
        # Only now: what was read and not filed must be read again.
        self.tasks[project_id] = known
        self._since[project_id] = since
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
            yield Version(name, key, task["id"], annotation["id"], author, editor, self._now(), data, annotation)
        for gone in sorted(self._archive.standing(key, task["id"]) - present):
            yield Version(name, key, task["id"], gone, None, None, self._now(), data, None)


def _key(task: Task) -> str:
    data = task.get("data")
    key = data.get("key") if isinstance(data, dict) else None
    return key if isinstance(key, str) else ""
