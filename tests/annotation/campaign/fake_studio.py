"""Label Studio in memory, as far as a campaign asks; it can break off at any call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from annotation.labelstudio.client import StudioProject, StudioUser
from annotation.labelstudio.connection import UNREADABLE_KEY, StudioUnavailableError
from annotation.labelstudio.read_tasks import StudioTask

MANAGER = 1

CONTROLS = ("box", "disk", "flaw_type", "severity", "rationale", "verdict", "flagged")


def any_interface(stage: str, scale: tuple[float, float]) -> str:
    """Stands for the labelling configuration of a stage: it has every control."""
    return f"<!-- {scale} -->" + "".join(f'<{stage} name="{name}"/>' for name in CONTROLS)


class Killed(BaseException):
    """The process that spoke with the server is gone."""


class FakeStudio:
    """The server's memory, and every call to it.

    `kill_at` is the number of the call, counted from 1, at which the caller is killed: before the server obeyed, or
    after it when `late`.  Chunks of imports are calls of their own.  `garbled` are the ids of projects, tasks and
    annotations (which are all different here) that it cannot show.  The next `lose` imports are stored without
    predictions.  `drafts` are the ids of tasks that somebody began, and `uncounted` those of answers that the server
    stored when it was killed, before it counted them.
    """

    def __init__(self, emails: Iterable[str], chunk: int = 3) -> None:
        self.accounts = [StudioUser(MANAGER, "manager@localhost")]
        self.accounts += [StudioUser(number, email) for number, email in enumerate(emails, start=2)]
        self.made: list[StudioProject] = []
        self.held: dict[int, list[StudioTask]] = {}
        self.storages: dict[int, str] = {}
        self.calls = 0
        self.kill_at = 0
        self.late = False
        self.garbled: set[int] = set()
        self.lose = 0
        self.drafts: set[int] = set()
        self.uncounted: set[int] = set()
        self._chunk = chunk
        self._ids = count(1)
        self._moment = datetime(2026, 1, 1, tzinfo=UTC)

    def _call(self, obey: Any) -> Any:
        self.calls += 1
        if self.calls == self.kill_at and not self.late:
            raise Killed
        done = obey()
        if self.calls == self.kill_at:
            raise Killed
        return done

    def clock(self) -> str:
        """The next second."""
        self._moment += timedelta(seconds=1)
        return self._moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def whoami(self) -> StudioUser:
        return self._call(lambda: self.accounts[0])

    def users(self) -> list[StudioUser]:
        return self._call(lambda: list(self.accounts))

    def projects(self) -> Iterator[StudioProject]:
        yield from self._call(
            lambda: [replace(project, task_count=len(self.held[project.project_id])) for project in self.made]
        )

    def create_project(
        self, title: str, description: str, label_config: str, instruction: str = "", allow_empty: bool = True
    ) -> StudioProject:
        def obey() -> StudioProject:
            assert 3 <= len(title) <= 50
            project = StudioProject(next(self._ids), title, description, label_config)
            self.made.append(project)
            self.held[project.project_id] = []
            return project

        return self._call(obey)

    def update_label_config(self, project_id: int, label_config: str) -> None:
        def obey() -> None:
            self.made = [
                replace(project, label_config=label_config) if project.project_id == project_id else project
                for project in self.made
            ]

        self._call(obey)

    def serve_images(self, project_id: int, folder: Path) -> None:
        self._call(lambda: self.storages.update({project_id: str(folder)}))

    def import_tasks(self, project_id: int, tasks: Iterable[Mapping[str, Any]]) -> list[int]:
        ids: list[int] = []
        rest = [deepcopy(dict(task)) for task in tasks]
        for start in range(0, len(rest), self._chunk):
            ids += self._call(lambda part=rest[start : start + self._chunk]: self._imported(project_id, part))
        return ids

    def _imported(self, project_id: int, part: list[StudioTask]) -> list[int]:
        made = [task | {"id": next(self._ids), "annotations": [], "updated_at": self.clock()} for task in part]
        if self.lose:
            self.lose -= 1
            made = [task | {"predictions": []} for task in made]
        self.held[project_id] += made
        return [task["id"] for task in made]

    def delete_untouched(self, project_id: int, task_id: int) -> bool:
        def obey() -> bool:
            found = [task for task in self.held[project_id] if task["id"] == task_id]
            self._show(project_id, found)
            begun = any(task["annotations"] or task["id"] in self.drafts for task in found)
            if not begun:
                self.held[project_id] = [task for task in self.held[project_id] if task["id"] != task_id]
            return not begun

        return self._call(obey)

    def _show(self, project_id: int, tasks: Collection[StudioTask] = ()) -> None:
        parts = [task["id"] for task in tasks] + [one["id"] for task in tasks for one in task["annotations"]]
        if not self.garbled.isdisjoint([project_id, *parts]):
            raise StudioUnavailableError("The server answers 500.")

    def tasks(self, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
        found = self._call(lambda: deepcopy(self.held[project_id]))
        changed = [task for task in found if since is None or task["updated_at"] >= since]
        self._show(project_id, changed)
        yield from changed

    def outline(self, project_id: int) -> Iterator[StudioTask]:
        self._show(project_id)
        for task in self._call(lambda: deepcopy(self.held[project_id])):
            counted = [one for one in task["annotations"] if one["id"] not in self.uncounted]
            skipped = sum(one["was_cancelled"] for one in counted)
            counts = {"total_annotations": len(counted) - skipped, "cancelled_annotations": skipped}
            shown = {"data": task["data"]} if task["id"] not in self.garbled else {UNREADABLE_KEY: True}
            yield {name: task[name] for name in ("id", "updated_at")} | shown | counts

    def tasks_of(self, project_id: int, ids: Iterable[int]) -> Iterator[StudioTask]:
        wanted = set(ids)
        found = self._call(lambda: deepcopy(self.held[project_id])) if wanted else []
        for task in found:
            if task["id"] in wanted:
                self._show(project_id, [task | {"annotations": []}])
                for one in task["annotations"]:
                    if one["id"] in self.garbled:
                        del one["result"]
                        one[UNREADABLE_KEY] = True
                yield task

    # What people do, which is no call of the campaign's.

    def everything(self) -> list[StudioTask]:
        """Every task, by id."""
        return sorted((task for tasks in self.held.values() for task in tasks), key=lambda task: task["id"])

    def task(self, key: str) -> StudioTask:
        """The one task with a key."""
        [found] = [task for task in self.everything() if task["data"].get("key") == key]
        return found

    def task_keys(self) -> list[str]:
        """The keys of all tasks, in order."""
        return sorted(task["data"].get("key", "") for task in self.everything())

    def submit(
        self, task: StudioTask, user_id: int, result: list[dict[str, Any]], at: str | None = None
    ) -> dict[str, Any]:
        """Somebody submits an annotation; it."""
        at = at or self.clock()
        times = {"created_at": at, "updated_at": at}
        by = {"completed_by": user_id, "updated_by": user_id, "was_cancelled": False, "lead_time": 5.0}
        annotation = {"id": next(self._ids), "result": result} | by | times
        task["annotations"].append(annotation)
        task["updated_at"] = self.clock()
        return annotation

    def submit_and_die(self, task: StudioTask, user_id: int, result: list[dict[str, Any]]) -> None:
        """Somebody submits an annotation, and the server is killed before it notes the change of the task."""
        changed = task["updated_at"]
        self.uncounted.add(self.submit(task, user_id, result)["id"])
        task["updated_at"] = changed

    def edit(self, task: StudioTask, annotation: dict[str, Any], user_id: int, result: list[dict[str, Any]]) -> None:
        """Somebody changes an annotation."""
        annotation |= {"result": result, "updated_by": user_id, "updated_at": self.clock()}
        task["updated_at"] = self.clock()

    def delete(self, task: StudioTask, annotation: dict[str, Any]) -> None:
        """Somebody deletes an annotation."""
        task["annotations"].remove(annotation)
        task["updated_at"] = self.clock()
