"""Run a sync: read submissions into the archive, plan, and create the missing tasks on the server.

The next run completes an interrupted one: the archive is written before anything is decided, and the server is checked
for a project or task before it is created.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from annotation.campaign.archive import ARCHIVE_FILE, AnswerArchive
from annotation.campaign.model import CampaignRecord, PairStatus, TaskKey, TaskSpec
from annotation.campaign.options import CAMPAIGN_FOLDER, CampaignStage, read_campaign_options
from annotation.campaign.planning.outdated_tasks import list_outdated_tasks
from annotation.campaign.planning.pass_list import (
    find_stray_drafts,
    make_pass_list,
    missing_draft_notes,
    undecided_pair_notes,
)
from annotation.campaign.planning.planner import iter_pair_statuses, order_missing_tasks
from annotation.campaign.read_record import RECORD_INPUTS, RecordReader, pair_image_urls
from annotation.campaign.state_files import (
    RejectionsFile,
    TaskTimesFile,
    describe_unreadable,
    hold_campaign_id,
    keys_in_projects,
    lock_campaign,
    write_unreadable_notes,
)
from annotation.campaign.studio_tasks import SHOWN_FIELD
from annotation.campaign.sync.read_server import CampaignServer, PlacedTask, ServerReader
from annotation.labelstudio.client import StudioProject
from annotation.labelstudio.connection import StudioNotFoundError, StudioRefusedError, StudioUnavailableError
from annotation.records import Pair
from mos.rejections import Rejection

STAGE_TITLES: dict[CampaignStage, str] = {
    "qualification": "Qualification",
    "prompt_check": "Instructions",
    "regional": "Regions",
    "expert": "Expert review",
    "textual": "Texts",
    "expert_text": "Expert's texts",
    "scoring": "Scores",
}
MAX_PROJECT_TITLE = 50

_CONTROL_NAME = re.compile(r'\bname="([^"]+)"')


@dataclass(frozen=True, slots=True)
class SyncSummary:
    """What one sync found and did.

    Parameters
    ----------
    filed
        Number of new versions of annotations in the archive.
    projects
        Number of projects created.
    created
        Number of tasks created, by stage.
    steps
        Number of pairs by the step they wait in; "done" for finished pairs.
    set_aside
        Rejections that are new.
    people_without_account
        Ids of active people without an account on the server.
    damaged
        Lines of the archive that cannot be read.
    duplicate_tasks
        Number of removed tasks that existed twice.
    without_proposal
        Number of removed tasks that the server had stored without their proposal; they are created again.
    withdrawn
        Number of removed tasks without an answer, by stage: of participants who left, of stages that wait for a redo,
        and tasks of experts whose proposal has changed, which are created again.
    updated_projects
        Projects that got the present interface.
    incompatible_projects
        Why other projects could not get it, when first tried.
    notes
        New sentences for the manager: on what the server cannot show, qualification, instructions and drafts.
    """

    filed: int = 0
    projects: int = 0
    created: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)
    set_aside: tuple[Rejection, ...] = ()
    people_without_account: tuple[str, ...] = ()
    damaged: tuple[int, ...] = ()
    duplicate_tasks: int = 0
    without_proposal: int = 0
    withdrawn: Mapping[str, int] = field(default_factory=dict)
    updated_projects: tuple[str, ...] = ()
    incompatible_projects: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class StageInterface(Protocol):
    """Returns the labelling configuration of a stage, with its scores on the scale."""

    def __call__(self, stage: str, *, scale: tuple[float, float]) -> str: ...


def _utc_now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def sync_campaign_once(
    server: CampaignServer,
    corpus: Path,
    interface: StageInterface,
    served: Path | None = None,
    now: Callable[[], str] = _utc_now_text,
) -> SyncSummary:
    """Run one sync of a campaign, under its lock.

    Parameters
    ----------
    server
        The Label Studio server.
    corpus
        Folder of the corpus.
    interface
        Returns the labelling configuration of a stage.
    served
        Folder in which the server finds the corpus's `images/`; None when browsers get them from elsewhere.
    now
        Returns the present ISO time (UTC).

    Raises
    ------
    UserError
        There is no campaign, another command uses it, a file is wrong, or the server refuses a request.
    """
    with lock_campaign(corpus / CAMPAIGN_FOLDER), CampaignSync(server, corpus, interface, served, now) as sync:
        return sync.run()


class CampaignSync:
    """Keeps a campaign up to date: call `run` repeatedly, under the lock of the campaign.

    The parameters are those of `sync_campaign_once`; `state` is the folder of the archive and of the other files that a
    sync writes, by default that of the campaign.
    """

    def __init__(
        self,
        server: CampaignServer,
        corpus: Path,
        interface: StageInterface,
        served: Path | None = None,
        now: Callable[[], str] = _utc_now_text,
        state: Path | None = None,
    ) -> None:
        folder = corpus / CAMPAIGN_FOLDER if state is None else state
        self._server = server
        self._root = corpus
        self._folder = folder
        self._interface = interface
        self._served = served
        self._ready: set[int] = set()
        self._incompatible: set[str] = set()
        self._state: object = None
        self._summary = SyncSummary()
        self._notes: tuple[str, ...] = ()
        self._failed: list[str] = []
        self._options = read_campaign_options(corpus)
        self._archive = AnswerArchive(folder / ARCHIVE_FILE)
        self._reader = ServerReader(server, self._archive, now)
        self._records = RecordReader(corpus, self._archive)
        self._rejections = RejectionsFile(folder)
        self._task_times = TaskTimesFile(folder)
        self._now = now

    def __enter__(self) -> CampaignSync:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    @property
    def projects(self) -> frozenset[int]:
        """Ids of the campaign's projects, those created by the last run included."""
        return frozenset(self._reader.tasks)

    def run(self, hinted: Collection[int] | None = None) -> SyncSummary:
        """Read the server, append new versions to the archive, and create the missing tasks.

        hinted: ids of the projects that changed, so that only these are read; None for all.
        """
        stamp = [_file_stamp(self._root / name) for name in RECORD_INPUTS]
        self._options = read_campaign_options(self._root)
        hold_campaign_id(self._folder, self._options.campaign_id)
        self._failed.clear()
        filed = self._reader.read(self._options.campaign_id, hinted)
        duplicates = self._remove_tasks(self._reader.find_duplicate_tasks())
        without_proposal = self._remove_tasks(self._reader.find_tasks_without_proposal())
        updated, incompatible = self._update_interfaces()
        names = self._keys()
        unreadable = [
            *describe_unreadable(self._reader.unreadable_tasks, self._reader.projects),
            *_describe_begun_tasks(self._reader.find_tasks_without_proposal(), self._reader),
        ]
        if not filed and not self._failed and (stamp, names, unreadable) == self._state:
            unchanged = replace(self._summary, filed=0, projects=0, created={}, set_aside=(), withdrawn={}, notes=())
            return replace(
                unchanged,
                duplicate_tasks=len(duplicates),
                without_proposal=len(without_proposal),
                updated_projects=updated,
                incompatible_projects=incompatible,
            )
        self._state = None
        record, rejections = self._records.read(self._options, names)
        statuses = list(iter_pair_statuses(record))
        withdrawn = self._withdraw_tasks(record, statuses)
        if withdrawn:
            record = replace(record, existing=frozenset(record.existing) - set(withdrawn))
            statuses = list(iter_pair_statuses(record))
        projects, created = self._create(order_missing_tasks(record, statuses), record)
        self._task_times.note(self._reader.keys(), self._now())
        self._task_times.note_withdrawn({str(key) for key in withdrawn} - {*self._reader.keys()}, self._now())
        steps = dict(Counter[str](state.step or "done" for state in statuses))
        without_account, damaged = self._people_without_account(), tuple(self._archive.damaged)
        troubles = (*unreadable, *self._failed)
        write_unreadable_notes(self._folder, troubles)
        waiting = (*missing_draft_notes(statuses), *undecided_pair_notes(record, statuses))
        earlier, self._notes = self._notes, (*troubles, *make_pass_list(record).notes, *waiting)
        self._summary = SyncSummary(
            filed,
            projects,
            created,
            steps,
            self._rejections.add([*rejections, *find_stray_drafts(record, statuses)]),
            without_account,
            damaged,
            len(duplicates),
            len(without_proposal),
            dict(Counter[str](key.stage for key in withdrawn)),
            updated,
            incompatible,
            tuple(note for note in self._notes if note not in earlier),
        )
        self._state = None if self._failed else (stamp, self._keys(), unreadable)
        return self._summary

    def _keys(self) -> list[str]:
        """The keys of all tasks on the server; for tasks that it cannot show, the known keys."""
        known = (*self._task_times.keys, *self._archive.known_keys()) if self._reader.unreadable_tasks else ()
        return sorted([*self._reader.keys(), *keys_in_projects(self._reader.unreadable_tasks, known)])

    @contextmanager
    def _note_project_failure(self, name: str) -> Iterator[None]:
        """Note a failure in one project, which the next run tries again; raises when the server is down."""
        try:
            yield
        except (StudioNotFoundError, StudioUnavailableError) as error:
            self._server.whoami()
            self._failed.append(f"The project of {name} was not changed: {error}")

    def _remove_tasks(self, tasks: Iterable[PlacedTask]) -> list[str]:
        """Delete the tasks that nobody has begun; return their keys."""
        removed = []
        for name, project_id, task_id in tasks:
            with self._note_project_failure(name):
                if self._server.delete_untouched(project_id, task_id):
                    removed.append(self._reader.forget_task(project_id, task_id))
        return removed

    def _withdraw_tasks(self, record: CampaignRecord, statuses: list[PairStatus]) -> list[TaskKey]:
        """Delete the outdated tasks that nobody has begun; return their keys."""
        shown = {key: digest for key in record.existing if (digest := self._reader.shown.get(str(key)))}
        outdated = {str(key): key for key in list_outdated_tasks(record, statuses, shown)}
        removed = self._remove_tasks(self._reader.find_tasks_with_keys(outdated.keys()))
        return [outdated[name] for name in removed]

    def _update_interfaces(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Give every project the present interface of its stage; names of projects that changed, and refusals."""
        updated, refusals = [], []
        wanted: dict[str, str] = {}
        for name, project in self._reader.projects.items():
            stage = name.partition("/")[0]
            if stage not in STAGE_TITLES:
                continue
            if stage not in wanted:
                wanted[stage] = self._interface(stage, scale=self._options.rules.scale)
            if project.label_config == wanted[stage]:
                continue
            try:
                with self._note_project_failure(name):
                    self._server.update_label_config(project.project_id, wanted[stage])
                    updated.append(name)
            except StudioRefusedError as error:
                sentence = (
                    f"The project of {name} keeps its interface, because annotations in it do not fit the present one: "
                    f"{error} Delete these annotations on the server (the archive keeps them) and sync again."
                )
                if sentence not in self._incompatible:
                    refusals.append(sentence)
                self._incompatible.add(sentence)
        return tuple(updated), tuple(refusals)

    def _create(self, specs: list[TaskSpec], record: CampaignRecord) -> tuple[int, dict[str, int]]:
        """Create tasks and the projects that they need; return the number of projects, and of tasks by stage."""
        pairs = record.shown
        by_project: dict[str, list[TaskSpec]] = {}
        for spec in specs:
            by_project.setdefault(spec.key.project, []).append(spec)
        projects, created = 0, Counter[str]()
        for name, project_specs in by_project.items():
            if self._reader.unreadable_tasks.get(name) == ():
                continue
            stage, person_id = project_specs[0].key.stage, project_specs[0].key.person_id
            config = self._interface(stage, scale=self._options.rules.scale)
            if name not in self._reader.projects:
                self._reader.projects[name] = self._create_project(stage, person_id, config)
                projects += 1
            with self._note_project_failure(name):
                self._import_project_tasks(self._reader.projects[name].project_id, project_specs, pairs, config)
                created[stage] += len(project_specs)
        return projects, dict(created)

    def _import_project_tasks(self, number: int, specs: list[TaskSpec], pairs: Mapping[str, Pair], config: str) -> None:
        """Create tasks in the project with this id."""
        if self._served is not None and number not in self._ready:
            self._server.serve_images(number, self._served)
        self._ready.add(number)
        controls = frozenset(_CONTROL_NAME.findall(config))
        tasks = [self._task(spec, pairs[spec.key.pair_id], controls) for spec in specs]
        ids = self._server.import_tasks(number, tasks)
        self._reader.tasks.setdefault(number, {}).update(zip(ids, (str(spec.key) for spec in specs), strict=True))
        self._reader.shown |= {str(spec.key): str(spec.data[SHOWN_FIELD]) for spec in specs if SHOWN_FIELD in spec.data}

    def _create_project(self, stage: CampaignStage, person_id: str, config: str) -> StudioProject:
        name = next(person.name for person in self._options.people if person.person_id == person_id)
        marker = f"editfhf:{self._options.campaign_id}/{stage}/{person_id}"
        title = f"{STAGE_TITLES[stage]}: {name}"[:MAX_PROJECT_TITLE]
        return self._server.create_project(title, f"{self._options.name}\n{marker}", config)

    def _task(self, spec: TaskSpec, pair: Pair, controls: frozenset[str]) -> dict[str, Any]:
        """The task as it is imported, without predictions for which the interface has no control."""
        data = {"key": str(spec.key), "pair_id": pair.pair_id, "instruction": pair.instruction, "notice": ""}
        predictions = [
            prediction
            | {
                "result": [
                    item for item in prediction["result"] if item["type"] == "relation" or item["from_name"] in controls
                ]
            }
            for prediction in spec.predictions
        ]
        return {"data": data | pair_image_urls(self._root, pair, self._options) | spec.data, "predictions": predictions}

    def _people_without_account(self) -> tuple[str, ...]:
        known = {user.email for user in self._server.users()}
        return tuple(person.person_id for person in self._options.people if person.active and person.email not in known)


def _describe_begun_tasks(tasks: Iterable[PlacedTask], reader: ServerReader) -> list[str]:
    """A sentence about tasks that somebody began while the server had lost their proposal."""
    keys = [reader.tasks[one.project_id][one.task_id] for one in tasks]
    if not keys:
        return []
    return [
        f"Begun before the server's loss of their proposal was noticed: {', '.join(keys)}. Answers to these tasks do "
        "not count; each is created again once it is answered."
    ]


def _file_stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size
