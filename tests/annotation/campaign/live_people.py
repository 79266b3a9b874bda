"""The people of the campaign on a real server: who they are, and how they work, each with an account of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from annotation import interfaces
from annotation.labelstudio.accounts import create_personal_token, read_passwords
from annotation.labelstudio.client import StudioClient, StudioProject
from tests.annotation.studio_server import Live

Task = dict[str, Any]
Answer = Callable[[str, Task], list[dict[str, Any]]]

CAMPAIGN = "tour"
ROLES = {
    "tour-ann": ["regional", "rater"],
    "tour-bob": ["regional", "rater"],
    "tour-cat": ["candidate", "regional", "rater"],
    "tour-dan": ["reviewer", "rater"],
    "tour-eve": ["reviewer", "rater"],
    "tour-fay": ["reviewer", "rater"],
    "tour-kim": ["candidate", "rater"],
    "tour-max": ["expert"],
    "tour-zoe": ["candidate", "regional", "rater"],
} | {f"tour-r{number}": ["rater"] for number in range(1, 9)}
PASS = {"tour-ann": 0, "tour-bob": 1, "tour-cat": 2}
"""Those who mark, and which pass of the example each of them gives."""
REVIEWERS = ("tour-dan", "tour-eve", "tour-fay")
RATERS = sorted(name for name, roles in ROLES.items() if "rater" in roles and name != "tour-zoe")
"""Those who score: everybody who may but zoe, who does not qualify."""


def table() -> list[dict[str, Any]]:
    """The people as campaign.yaml lists them."""
    return [
        {"person_id": name, "email": f"{name}@example.org", "name": name.title(), "roles": roles}
        for name, roles in ROLES.items()
    ]


class Crowd:
    """Everybody, with the keys to their accounts, which `sync` has made."""

    def __init__(self, live: Live, passwords: Path) -> None:
        self._live = live
        self._done: dict[int, int] = {}
        known = read_passwords(passwords)
        self._keys = {
            email.partition("@")[0]: create_personal_token(live.server.url, email, password)
            for email, password in known.items()
        }
        with live.manager() as manager:
            self._ids = {user.email.partition("@")[0]: user.user_id for user in manager.users()}

    def studio(self, name: str) -> StudioClient:
        """The server as a person sees it."""
        return StudioClient(self._live.server.url, self._keys[name])

    def projects(self) -> dict[str, dict[str, StudioProject]]:
        """The projects of the campaign on the server, by person and stage."""
        found: dict[str, dict[str, StudioProject]] = {}
        with self._live.manager() as manager:
            for project in manager.projects():
                marker = project.description.splitlines()[-1] if project.description else ""
                if marker.startswith(f"editfhf:{CAMPAIGN}/"):
                    _, stage, name = marker.split("/")
                    found.setdefault(name, {})[stage] = project
        return found

    def tasks(self, name: str, stage: str) -> list[Task]:
        """A person's tasks in a stage, as they themselves see them."""
        with self.studio(name) as person:
            return list(person.tasks(self.projects()[name][stage].project_id))

    def work(self, answer: Answer) -> int:
        """Everybody opens their own projects, all at the same time, and submits what is open; how many tasks."""
        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(lambda one: self._work(*one, answer), sorted(self.projects().items())))

    def _work(self, name: str, projects: dict[str, StudioProject], answer: Answer) -> int:
        submitted = 0
        with self.studio(name) as person:
            for stage, project in projects.items():
                if project.task_count == self._done.get(project.project_id):
                    continue
                tasks = list(person.tasks(project.project_id))
                self._done[project.project_id] = len(tasks)
                for task in tasks:
                    assert set(interfaces.list_data_fields(stage)) <= task["data"].keys()
                    if all(one["completed_by"] != self._ids[name] for one in task["annotations"]):
                        person.import_annotations(task["id"], [{"result": answer(name, task), "lead_time": 10.0}])
                        submitted += 1
        return submitted
