"""A small campaign of a test on the real Label Studio, of which a test can do every step by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annotation import interfaces
from annotation.campaign.archive import AnnotationVersion, AnswerArchive
from annotation.campaign.options import CAMPAIGN_FOLDER
from annotation.campaign.sync.run_sync import CampaignSync, StageInterface, SyncSummary
from annotation.labelstudio.client import StudioClient, StudioProject
from annotation.labelstudio.connection import StudioConnection
from annotation.labelstudio.read_tasks import StudioTask
from annotation.labelstudio.server import find_studio_server
from tests.annotation.campaign.people_at_work import respond
from tests.annotation.campaign.pilot import SIZE, corpus_of
from tests.annotation.studio_server import Live


class LivePilot:
    """A campaign with an id of its own; `roles` are those of its people, whose accounts are made here."""

    def __init__(
        self,
        live: Live,
        root: Path,
        campaign_id: str,
        roles: Mapping[str, Sequence[str]],
        pairs: int = 1,
        **options: Any,
    ) -> None:
        people = [
            {"person_id": name, "email": f"{name}@example.org", "name": name.title(), "roles": own}
            for name, own in roles.items()
        ]
        self.live = live
        self.campaign_id = campaign_id
        self.people = tuple(roles)
        small = {"annotators": 2, "reviewers": 2, "raters": 2}
        self.corpus = corpus_of(root, pairs, campaign_id=campaign_id, people=people, **(small | options))
        for name in roles:
            live.person(name)

    @contextmanager
    def running(self, interface: StageInterface = interfaces.render_label_config) -> Iterator[CampaignSync]:
        pictures = find_studio_server(self.live.server.data).images
        with self.live.manager() as manager, CampaignSync(manager, self.corpus, interface, pictures) as running:
            yield running

    def sync(self, interface: StageInterface = interfaces.render_label_config) -> SyncSummary:
        with self.running(interface) as running:
            return running.run()

    def project(self, name: str) -> StudioProject:
        """The project of `stage/person_id`."""
        with self.live.manager() as manager:
            found = manager.find_project(f"editfhf:{self.campaign_id}/{name}")
        assert found is not None
        return found

    def projects(self) -> list[StudioProject]:
        with self.live.manager() as manager:
            return [found for found in manager.projects() if f"editfhf:{self.campaign_id}/" in found.description]

    def tasks(self) -> list[StudioTask]:
        """Every task on the server, by key."""
        with self.live.manager() as manager:
            found = [task for project in self.projects() for task in manager.tasks(project.project_id)]
        return sorted(found, key=lambda task: str(task["data"]["key"]))

    def task_keys(self) -> list[str]:
        return [task["data"]["key"] for task in self.tasks()]

    def task(self, key: str) -> StudioTask:
        stage, _, person_id, *_ = key.split("/")
        project_id = self.project(f"{stage}/{person_id}").project_id
        with self.live.manager() as manager:
            [found] = [task for task in manager.tasks(project_id) if task["data"]["key"] == key]
        return found

    @contextmanager
    def wire(self, name: str | None = None) -> Iterator[StudioConnection]:
        """The server as a person sees it; None for the manager."""
        key = self.live.server.api_key if name is None else self.live.person(name)[0]
        with StudioConnection(self.live.server.url, key) as wire:
            yield wire

    def submit(self, key: str, results: list[dict[str, Any]] | None = None) -> int:
        """The owner of a task answers; the annotation's id."""
        return self._submit(self.task(key), results)

    def _submit(self, task: StudioTask, results: list[dict[str, Any]] | None = None) -> int:
        key = task["data"]["key"]
        with StudioClient(self.live.server.url, self.live.person(key.split("/")[2])[0]) as person:
            said = respond(task, SIZE) if results is None else results
            return person.import_annotations(task["id"], [{"result": said, "lead_time": 5.0}])[0]

    def work(self) -> int:
        """Everybody answers what is open; how many tasks that were."""
        waiting = [task for task in self.tasks() if not task["annotations"]]
        for task in waiting:
            self._submit(task)
        return len(waiting)

    def versions(self, key: str) -> list[AnnotationVersion]:
        """All that the archive has of a task, annotation by annotation."""
        with AnswerArchive(self.corpus / CAMPAIGN_FOLDER / "answers.jsonl") as archive:
            return [version for history in archive.versions(key).values() for _, version in history]

    def archived(self) -> dict[str, list[Any]]:
        """What was said in every task, in its order."""
        with AnswerArchive(self.corpus / CAMPAIGN_FOLDER / "answers.jsonl") as archive:
            keys = archive.known_keys()
        return {
            key: [version.annotation and version.annotation["result"] for version in self.versions(key)] for key in keys
        }
