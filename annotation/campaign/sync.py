"""One step of a campaign: what people did goes into the archive, and what is ready for somebody goes to the server.

Whatever was interrupted, and wherever, is made good by the next run: the archive is written before anything is decided,
and what the server holds already is looked up before anything is created.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from annotation.campaign.again import FILE as AGAIN
from annotation.campaign.answers import SetAside
from annotation.campaign.archive import FILE as ARCHIVE
from annotation.campaign.archive import Archive, Version, author_of, editor_of
from annotation.campaign.drafts import FILE as DRAFTS
from annotation.campaign.lock import locked
from annotation.campaign.options import FILE, FOLDER, Stage, read_options
from annotation.campaign.planner import Record, in_order, states
from annotation.campaign.record import RecordReader, picture_urls
from annotation.campaign.set_aside import SetAsideFile
from annotation.campaign.tasks import TaskSpec
from annotation.corpus import PAIRS
from annotation.records import Pair
from annotation.studio.client import Project, Task, User

TITLES: dict[Stage, str] = {
    "regional": "Regions",
    "expert": "Expert review",
    "textual": "Texts",
    "expert_text": "Expert's texts",
    "scoring": "Scores",
}
MAX_TITLE = 50
BATCH = 500
"""Tasks whose annotations are filed at once."""

_NAME = re.compile(r'\bname="([^"]+)"')


class Server(Protocol):
    """What a sync asks of Label Studio: a part of `annotation.studio.Studio`."""

    def whoami(self) -> User: ...
    def users(self) -> list[User]: ...
    def projects(self) -> Iterator[Project]: ...
    def create_project(
        self, title: str, description: str, label_config: str, instruction: str = "", allow_empty: bool = True
    ) -> Project: ...
    def serve_pictures(self, project_id: int, folder: Path) -> None: ...
    def import_tasks(self, project_id: int, tasks: Iterable[Mapping[str, Any]]) -> list[int]: ...
    def tasks(self, project_id: int, since: str | None = None) -> Iterator[Task]: ...
    def export(self, project_id: int) -> list[Task]: ...


@dataclass(frozen=True, slots=True)
class Summary:
    """What one sync found and did.

    filed: versions of annotations that were new; steps: pairs by the step that they wait in ("done": in none)
    created: tasks by stage; set_aside: what was set aside for the first time; strangers: people without an account
    damaged: lines of the archive that cannot be read
    """

    filed: int = 0
    projects: int = 0
    created: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)
    set_aside: tuple[SetAside, ...] = ()
    strangers: tuple[str, ...] = ()
    damaged: tuple[int, ...] = ()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def sync_once(
    server: Server,
    corpus: Path,
    interface: Callable[[str], str],
    served: Path | None = None,
    now: Callable[[], str] = _now,
) -> Summary:
    """Bring server and archive up to date once; see `Sync`."""
    with locked(corpus / FOLDER), Sync(server, corpus, interface, served, now) as sync:
        return sync.run()


class Sync:
    """A campaign that is kept up to date; `run` as often as wanted, under the lock of the campaign.

    interface: the labelling configuration of a stage.
    served: where the server itself finds the corpus's images/; not needed where browsers get them from elsewhere.
    """

    def __init__(
        self,
        server: Server,
        corpus: Path,
        interface: Callable[[str], str],
        served: Path | None = None,
        now: Callable[[], str] = _now,
    ) -> None:
        self._server = server
        self._root = corpus
        self._interface = interface
        self._served = served
        self._now = now
        self._since: dict[int, str] = {}
        self._tasks: dict[int, dict[int, str]] = {}
        self._ready: set[int] = set()
        self._stamp: object = None
        self._summary = Summary()
        self._options = read_options(corpus)
        self._archive = Archive(corpus / FOLDER / ARCHIVE)
        self._records = RecordReader(corpus, self._archive)
        self._aside = SetAsideFile(corpus / FOLDER)

    def __enter__(self) -> Sync:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def run(self) -> Summary:
        """Read the server, file what is new, and create the tasks that should exist."""
        stamp = [_stamp(self._root / name) for name in (f"{FOLDER}/{FILE}", f"{FOLDER}/{AGAIN}", PAIRS, DRAFTS)]
        if stamp != self._stamp:
            self._options = read_options(self._root)
        projects, filed = self._read()
        if not filed and stamp == self._stamp:
            return replace(self._summary, filed=0, projects=0, created={}, set_aside=())
        self._stamp = None
        names = [name for tasks in self._tasks.values() for name in tasks.values()]
        record, found = self._records.read(self._options, names)
        where = list(states(record))
        made, created = self._create(in_order(record, where), record, projects)
        steps = Counter[str](state.step or "done" for state in where)
        self._summary = Summary(
            filed, made, created, dict(steps), self._aside.add(found), self._strangers(), tuple(self._archive.damaged)
        )
        self._stamp = stamp
        return self._summary

    def _read(self) -> tuple[dict[str, int], int]:
        """The first project of every `stage/person_id`, and how many new versions were filed."""
        manager = self._server.whoami().user_id
        accounts = {user.user_id: user.email for user in self._server.users() if "@" in user.email}
        authors = self._archive.authors | accounts
        found: dict[str, int] = {}
        there = set()
        filed = 0
        prefix = f"editfhf:{self._options.campaign_id}/"
        for project in self._server.projects():
            name = next((line for line in project.description.splitlines() if line.startswith(prefix)), None)
            if name is not None:
                name = name.removeprefix(prefix)
                found.setdefault(name, project.project_id)
                there.add(project.project_id)
                filed += self._read_project(name, project.project_id, authors, manager)
        self._tasks = {number: tasks for number, tasks in self._tasks.items() if number in there}
        return found, filed

    def _read_project(self, name: str, project_id: int, authors: Mapping[int, str], manager: int) -> int:
        since = self._since.get(project_id, "")
        changed: Iterable[Task] = self._server.tasks(project_id, since) if since else self._server.export(project_id)
        known = self._tasks.setdefault(project_id, {})
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
        self._since[project_id] = since
        return filed

    def _versions(self, name: str, key: str, task: Task, authors: Mapping[int, str], manager: int) -> Iterator[Version]:
        data = task["data"] if isinstance(task.get("data"), dict) else {}
        present = set()
        for annotation in task.get("annotations") or []:
            present.add(annotation["id"])
            author, editor = author_of(annotation, authors), editor_of(annotation, authors, manager)
            yield Version(name, key, task["id"], annotation["id"], author, editor, self._now(), data, annotation)
        for gone in sorted(self._archive.standing(key, task["id"]) - present):
            yield Version(name, key, task["id"], gone, None, None, self._now(), data, None)

    def _create(self, specs: list[TaskSpec], record: Record, projects: dict[str, int]) -> tuple[int, dict[str, int]]:
        """Create tasks, and the projects that they need; how many projects, and tasks by stage."""
        pairs = {pair.pair_id: pair for pair in record.pairs}
        by_project: dict[str, list[TaskSpec]] = {}
        for spec in specs:
            by_project.setdefault(spec.key.project, []).append(spec)
        made, created = 0, Counter[str]()
        for name, own in by_project.items():
            stage, person_id = own[0].key.stage, own[0].key.person_id
            config = self._interface(stage)
            if name not in projects:
                projects[name] = self._create_project(stage, person_id, config)
                made += 1
            number = projects[name]
            if self._served is not None and number not in self._ready:
                self._server.serve_pictures(number, self._served)
            self._ready.add(number)
            controls = frozenset(_NAME.findall(config))
            tasks = [self._task(spec, pairs[spec.key.pair_id], controls) for spec in own]
            ids = self._server.import_tasks(number, tasks)
            self._tasks.setdefault(number, {}).update(zip(ids, (str(spec.key) for spec in own), strict=True))
            created[stage] += len(own)
        return made, dict(created)

    def _create_project(self, stage: Stage, person_id: str, config: str) -> int:
        name = next(person.name for person in self._options.people if person.person_id == person_id)
        marker = f"editfhf:{self._options.campaign_id}/{stage}/{person_id}"
        title = f"{TITLES[stage]}: {name}"[:MAX_TITLE]
        return self._server.create_project(title, f"{self._options.name}\n{marker}", config).project_id

    def _task(self, spec: TaskSpec, pair: Pair, controls: frozenset[str]) -> dict[str, Any]:
        """The task as it is imported; of its predictions what the interface has a control for."""
        data = {"key": str(spec.key), "pair_id": pair.pair_id, "instruction": pair.instruction}
        predictions = [
            prediction
            | {
                "result": [
                    item for item in prediction["result"] if item["type"] == "relation" or item["from_name"] in controls
                ]
            }
            for prediction in spec.predictions
        ]
        return {"data": data | picture_urls(self._root, pair, self._options) | spec.data, "predictions": predictions}

    def _strangers(self) -> tuple[str, ...]:
        known = {user.email for user in self._server.users()}
        return tuple(person.person_id for person in self._options.people if person.active and person.email not in known)


def _key(task: Task) -> str:
    data = task.get("data")
    key = data.get("key") if isinstance(data, dict) else None
    return key if isinstance(key, str) else ""


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size
