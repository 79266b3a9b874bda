"""One step of a campaign: what people did goes into the archive, and what is ready for somebody goes to the server.

Whatever was interrupted, and wherever, is made good by the next run: the archive is written before anything is decided,
and what the server holds already is looked up before anything is created.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from annotation.campaign.answers import SetAside
from annotation.campaign.exchange.archive import FILE as ARCHIVE
from annotation.campaign.exchange.archive import Archive
from annotation.campaign.exchange.handed_out import HandedOut
from annotation.campaign.exchange.lock import locked
from annotation.campaign.exchange.reading import Reader
from annotation.campaign.exchange.server import Server
from annotation.campaign.exchange.set_aside import SetAsideFile
from annotation.campaign.exchange.unread import keys_of, unread_notes, write_unread
from annotation.campaign.gold.passing import pass_list
from annotation.campaign.options import FOLDER, Stage, read_options
from annotation.campaign.planning.planner import Record, in_order, states, without_drafts
from annotation.campaign.record import INPUTS, RecordReader, picture_urls
from annotation.campaign.tasks import TaskSpec
from annotation.records import Pair
from annotation.studio.client import Project
from annotation.studio.connection import Gone, NotReady, Refused

TITLES: dict[Stage, str] = {
    "qualification": "Qualification",
    "prompt_check": "Instructions",
    "regional": "Regions",
    "expert": "Expert review",
    "textual": "Texts",
    "expert_text": "Expert's texts",
    "scoring": "Scores",
}
MAX_TITLE = 50

_NAME = re.compile(r'\bname="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Summary:
    """What one sync found and did.

    filed: versions of annotations that were new; steps: pairs by the step that they wait in ("done": in none)
    created: tasks by stage; set_aside: what was set aside for the first time; strangers: people without an account
    damaged: lines of the archive that cannot be read; doubled: tasks that were there twice, of which one is left
    fitted: projects that were given the present interface; misfits: why others could not be, when first tried
    notes: what the manager should know of what the server cannot show, of people's qualification, of instructions and
    of drafts, when it is new
    """

    filed: int = 0
    projects: int = 0
    created: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)
    set_aside: tuple[SetAside, ...] = ()
    strangers: tuple[str, ...] = ()
    damaged: tuple[int, ...] = ()
    doubled: int = 0
    fitted: tuple[str, ...] = ()
    misfits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Interface(Protocol):
    """The labelling configuration of a stage, in which scores are given on the scale."""

    def __call__(self, stage: str, *, scale: tuple[float, float]) -> str: ...


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def sync_once(
    server: Server,
    corpus: Path,
    interface: Interface,
    served: Path | None = None,
    now: Callable[[], str] = _now,
) -> Summary:
    """Bring server and archive up to date once; see `Sync`."""
    with locked(corpus / FOLDER), Sync(server, corpus, interface, served, now) as sync:
        return sync.run()


class Sync:
    """A campaign that is kept up to date; `run` as often as wanted, under the lock of the campaign.

    interface: gives the labelling configuration of a stage.
    served: where the server itself finds the corpus's images/; not needed where browsers get them from elsewhere.
    """

    def __init__(
        self,
        server: Server,
        corpus: Path,
        interface: Interface,
        served: Path | None = None,
        now: Callable[[], str] = _now,
    ) -> None:
        self._server = server
        self._root = corpus
        self._interface = interface
        self._served = served
        self._ready: set[int] = set()
        self._unfit: set[str] = set()
        self._state: object = None
        self._summary = Summary()
        self._told: tuple[str, ...] = ()
        self._failed: list[str] = []
        self._options = read_options(corpus)
        self._archive = Archive(corpus / FOLDER / ARCHIVE)
        self._reader = Reader(server, self._archive, now)
        self._records = RecordReader(corpus, self._archive)
        self._aside = SetAsideFile(corpus / FOLDER)
        self._handed_out = HandedOut(corpus / FOLDER)
        self._now = now

    def __enter__(self) -> Sync:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    @property
    def projects(self) -> frozenset[int]:
        """Ids of the campaign's projects, those that the last run made among them."""
        return frozenset(self._reader.tasks)

    def run(self, heard: Collection[int] | None = None) -> Summary:
        """Read the server, file what is new, and create the tasks that should exist.

        heard: ids of the projects of which something was heard, so that the others need no look; None for all.
        """
        stamp = [_stamp(self._root / name) for name in INPUTS]
        self._options = read_options(self._root)
        self._failed.clear()
        filed = self._reader.read(self._options.campaign_id, heard)
        doubled = self._remove_doubles()
        fitted, misfits = self._fit()
        names = self._keys()
        unread = unread_notes(self._reader.unread, self._reader.projects)
        if not filed and not self._failed and (stamp, names, unread) == self._state:
            still = replace(self._summary, filed=0, projects=0, created={}, set_aside=(), notes=())
            return replace(still, doubled=doubled, fitted=fitted, misfits=misfits)
        self._state = None
        record, found = self._records.read(self._options, names)
        where = list(states(record))
        made, created = self._create(in_order(record, where), record)
        self._handed_out.note(self._reader.keys(), self._now())
        steps = dict(Counter[str](state.step or "done" for state in where))
        strange, damaged = self._strangers(), tuple(self._archive.damaged)
        troubles = (*unread, *self._failed)
        write_unread(self._root / FOLDER, troubles)
        told, self._told = self._told, (*troubles, *pass_list(record).notes, *without_drafts(where))
        notes = tuple(note for note in self._told if note not in told)
        self._summary = Summary(
            filed, made, created, steps, self._aside.add(found), strange, damaged, doubled, fitted, misfits, notes
        )
        self._state = None if self._failed else (stamp, self._keys(), unread)
        return self._summary

    def _keys(self) -> list[str]:
        """The keys of all tasks on the server; where it cannot show them, of all that are known to have been there."""
        known = (*self._handed_out.keys, *self._archive.known_keys()) if self._reader.unread else ()
        return sorted([*self._reader.keys(), *keys_of(self._reader.unread, known)])

    @contextmanager
    def _others_go_on(self, name: str) -> Iterator[None]:
        """What fails in one project, and not because the server is away, is tried again by the next run."""
        try:
            yield
        except (Gone, NotReady) as error:
            self._server.whoami()
            self._failed.append(f"The project of {name} is left as it is: {error}")

    def _remove_doubles(self) -> int:
        removed = 0
        for name, project_id, task_id in self._reader.doubles():
            with self._others_go_on(name):
                if self._server.delete_untouched(project_id, task_id):
                    del self._reader.tasks[project_id][task_id]
                    removed += 1
        return removed

    def _fit(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Give every project the interface of its stage, if it has another and the work in it fits."""
        fitted, misfits = [], []
        wanted: dict[str, str] = {}
        for name, project in self._reader.projects.items():
            stage = name.partition("/")[0]
            if stage not in TITLES:
                continue
            if stage not in wanted:
                wanted[stage] = self._interface(stage, scale=self._options.scale)
            if project.label_config == wanted[stage]:
                continue
            try:
                with self._others_go_on(name):
                    self._server.update_label_config(project.project_id, wanted[stage])
                    fitted.append(name)
            except Refused as error:
                sentence = (
                    f"The project of {name} keeps another interface than ours, because work in it does not fit ours: "
                    f"{error} Delete those annotations on the server (the archive keeps them) and sync again."
                )
                if sentence not in self._unfit:
                    misfits.append(sentence)
                self._unfit.add(sentence)
        return tuple(fitted), tuple(misfits)

    def _create(self, specs: list[TaskSpec], record: Record) -> tuple[int, dict[str, int]]:
        """Create tasks, and the projects that they need; how many projects, and tasks by stage."""
        pairs = record.shown
        by_project: dict[str, list[TaskSpec]] = {}
        for spec in specs:
            by_project.setdefault(spec.key.project, []).append(spec)
        made, created = 0, Counter[str]()
        for name, own in by_project.items():
            if self._reader.unread.get(name) == ():
                continue
            stage, person_id = own[0].key.stage, own[0].key.person_id
            config = self._interface(stage, scale=self._options.scale)
            if name not in self._reader.projects:
                self._reader.projects[name] = self._create_project(stage, person_id, config)
                made += 1
            with self._others_go_on(name):
                self._fill(self._reader.projects[name].project_id, own, pairs, config)
                created[stage] += len(own)
        return made, dict(created)

    def _fill(self, number: int, own: list[TaskSpec], pairs: Mapping[str, Pair], config: str) -> None:
        """Create tasks in the project with this id."""
        if self._served is not None and number not in self._ready:
            self._server.serve_pictures(number, self._served)
        self._ready.add(number)
        controls = frozenset(_NAME.findall(config))
        tasks = [self._task(spec, pairs[spec.key.pair_id], controls) for spec in own]
        ids = self._server.import_tasks(number, tasks)
        self._reader.tasks.setdefault(number, {}).update(zip(ids, (str(spec.key) for spec in own), strict=True))

    def _create_project(self, stage: Stage, person_id: str, config: str) -> Project:
        name = next(person.name for person in self._options.people if person.person_id == person_id)
        marker = f"editfhf:{self._options.campaign_id}/{stage}/{person_id}"
        title = f"{TITLES[stage]}: {name}"[:MAX_TITLE]
        return self._server.create_project(title, f"{self._options.name}\n{marker}", config)

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


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size
