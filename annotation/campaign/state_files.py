"""The small files in a campaign's folder, and its lock.

- `requalify.jsonl`: requests to qualify again; `redo.jsonl`: tasks to do again
- `set_aside.jsonl`: rejected submissions
- `handed_out.jsonl`: task times, which are the times at which a sync first saw each task; and withdrawn tasks
- `campaign_id`: the id under which the projects on the server were made
- `unread.json`: what the server could not show
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from annotation.campaign.model import CAMPAIGN_REJECTION_KEYS, RequalifyRequest, TaskKey, reject_submission
from annotation.campaign.options import CampaignStage
from annotation.json_lines import read_json_lines
from annotation.labelstudio.client import StudioProject
from mos.errors import UserError
from mos.files import append_lines, open_regular_file, read_regular_file, replace_file, try_lock
from mos.rejections import Rejection, encode_rejection, rejection_as_dict

CAMPAIGN_LOCK_FILE = "lock"


@contextmanager
def lock_campaign(folder: Path) -> Iterator[None]:
    """Hold the lock of the campaign in a folder.

    Raises
    ------
    UserError
        There is no such folder, or another process holds the lock.
    """
    if not folder.is_dir():
        raise UserError(f"There is no campaign in {folder.parent}. Create one with: editfhf annotate create")
    with open_regular_file(folder / CAMPAIGN_LOCK_FILE, "ab") as stream:
        if not try_lock(stream):
            raise UserError(f"Another command is using the campaign in {folder}. Wait until it ends.")
        yield


REQUALIFY_FILE = "requalify.jsonl"


def read_requalify_requests(folder: Path, report: Callable[[Rejection], None]) -> dict[str, RequalifyRequest]:
    """The latest request for each participant; a line is `{"person_id": ..., "attempt": ..., "at": ...}`."""
    if not (folder / REQUALIFY_FILE).is_file():
        return {}
    requests: dict[str, RequalifyRequest] = {}
    for row, line in read_json_lines(
        folder / REQUALIFY_FILE, REQUALIFY_FILE, lambda broken: report(_bad_requalify_line(broken.row, broken.message))
    ):
        person_id, attempt, at = line.get("person_id"), line.get("attempt"), line.get("at")
        if not isinstance(person_id, str) or type(attempt) is not int or attempt < 0 or not isinstance(at, str):
            report(_bad_requalify_line(row, "Expected person_id, attempt and at; the line is ignored."))
            continue
        requests[person_id] = max(requests.get(person_id, RequalifyRequest(0, "")), RequalifyRequest(attempt, at))
    return requests


def note_requalify_request(folder: Path, person_id: str, since: RequalifyRequest) -> None:
    """Append a request that a participant qualifies again, from this attempt on."""
    append_state_lines(folder / REQUALIFY_FILE, [{"person_id": person_id, **since._asdict()}])


def append_state_lines(path: Path, lines: list[dict[str, object]]) -> None:
    """Append JSON lines, after completing an incomplete last line; they are on the disk when this returns."""
    append_lines(path, (orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))


def _bad_requalify_line(row: int, message: str) -> Rejection:
    return reject_submission(REQUALIFY_FILE, 0, row, "bad_requalify", message)


CAMPAIGN_REDO_FILE = "redo.jsonl"


REDO_STAGES: tuple[CampaignStage, ...] = ("regional", "expert", "scoring")
"""Stages in which an answer can be withdrawn; in the others, later answers build on it."""


def read_redo_requests(folder: Path, report: Callable[[Rejection], None]) -> dict[TaskKey, tuple[str, ...]]:
    """The tasks to do again, with the codes of the reasons; none for a task that was asked for by hand.

    A line is `{"key": "stage/pair/person/round", "reasons": [{"reason": ...}]}` and may hold more keys.  The answers of
    such a task stay in the archive and no longer count; its participant gets the task's next round.
    """
    if not (folder / CAMPAIGN_REDO_FILE).is_file():
        return {}
    requests: dict[TaskKey, tuple[str, ...]] = {}
    for row, line in read_json_lines(
        folder / CAMPAIGN_REDO_FILE,
        CAMPAIGN_REDO_FILE,
        lambda broken: report(_bad_redo_line(broken.row, broken.message)),
    ):
        key = TaskKey.parse(line.get("key"))
        if key is None or key.stage not in REDO_STAGES:
            report(_bad_redo_line(row, f"Expected the key of a task of {', '.join(REDO_STAGES)}; the line is ignored."))
        else:
            requests[key] = tuple(dict.fromkeys((*requests.get(key, ()), *_reason_codes(line.get("reasons")))))
    return requests


def _reason_codes(reasons: object) -> list[str]:
    entries = reasons if isinstance(reasons, list) else []
    codes = (entry.get("reason") for entry in entries if isinstance(entry, dict))
    return [code for code in codes if isinstance(code, str)]


def _bad_redo_line(row: int, message: str) -> Rejection:
    return reject_submission(CAMPAIGN_REDO_FILE, 0, row, "bad_redo", message)


CAMPAIGN_REJECTIONS_FILE = "set_aside.jsonl"


RejectionIdentity = tuple[Any, ...]


class RejectionsFile:
    """The file of rejected submissions; each is written once."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CAMPAIGN_REJECTIONS_FILE
        self._known: set[RejectionIdentity] = set()
        if self._path.is_file():
            self._known = {
                _rejection_identity(line)
                for _, line in read_json_lines(self._path, CAMPAIGN_REJECTIONS_FILE, lambda broken: None)
            }

    def add(self, rejections: Iterable[Rejection]) -> tuple[Rejection, ...]:
        """Append the rejections that are not in the file yet; return these."""
        identities = (
            (_rejection_identity(rejection_as_dict(rejection, CAMPAIGN_REJECTION_KEYS)), rejection)
            for rejection in rejections
        )
        new = {identity: rejection for identity, rejection in identities if identity not in self._known}
        if new:
            append_lines(self._path, (encode_rejection(each, CAMPAIGN_REJECTION_KEYS) for each in new.values()))
            self._known.update(new)
        return tuple(new.values())


def _rejection_identity(line: dict[str, Any]) -> RejectionIdentity:
    return tuple(line.get(name) for name in ("key", "annotation_id", "line", "reason", "item_id"))


TASK_TIMES_FILE = "handed_out.jsonl"


def read_task_times(folder: Path) -> dict[str, str]:
    """Task times: the ISO time at which a sync first saw each task, by key; empty without the file.

    A task that a sync withdrew is left out until it is seen again.
    """
    if not (folder / TASK_TIMES_FILE).is_file():
        return {}
    times: dict[str, str] = {}
    # The next sync writes a line again that a crash cut off, because its key is not found.
    for _, line in read_json_lines(folder / TASK_TIMES_FILE, TASK_TIMES_FILE, lambda rejection: None):
        key, at = line.get("key"), line.get("at")
        if isinstance(key, str) and isinstance(line.get("withdrawn"), str):
            times.pop(key, None)
        elif isinstance(key, str) and isinstance(at, str):
            times.setdefault(key, at)
    return times


class TaskTimesFile:
    """The file of task times, which only grows; one sync at a time writes it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / TASK_TIMES_FILE
        self._known = set(read_task_times(folder))

    @property
    def keys(self) -> frozenset[str]:
        """Keys of all tasks that a sync ever saw and did not withdraw."""
        return frozenset(self._known)

    def note(self, keys: Iterable[str], at: str) -> None:
        """Append the tasks that are seen for the first time, at this ISO time."""
        new = sorted({key for key in keys if key} - self._known)
        if not new:
            return
        append_state_lines(self._path, [{"key": key, "at": at} for key in new])
        self._known.update(new)

    def note_withdrawn(self, keys: Iterable[str], at: str) -> None:
        """Append that these tasks were withdrawn, at this ISO time."""
        gone = sorted(self._known.intersection(keys))
        if not gone:
            return
        append_state_lines(self._path, [{"key": key, "withdrawn": at} for key in gone])
        self._known.difference_update(gone)


CAMPAIGN_ID_FILE = "campaign_id"


def hold_campaign_id(folder: Path, campaign_id: str) -> None:
    """Write down the campaign_id under which the projects are made; `UserError` when it is another than before."""
    path = folder / CAMPAIGN_ID_FILE
    if not path.is_file():
        replace_file(path, f"{campaign_id}\n".encode())
        return
    before = read_regular_file(path).decode().strip()
    if before != campaign_id:
        raise UserError(
            f"campaign.yaml has the campaign_id {campaign_id!r}, but the projects on the server belong to {before!r}: "
            f"everybody would get all tasks a second time. Set campaign_id: {before} again. For another campaign, use "
            "another corpus folder."
        )


UNREADABLE_NOTES_FILE = "unread.json"


def describe_unreadable(unreadable: Mapping[str, Collection[int]], projects: Mapping[str, StudioProject]) -> list[str]:
    """Sentences for the manager on projects and tasks that the server cannot show; see `ServerReader`."""
    notes = []
    for name, tasks in sorted(unreadable.items()):
        place = f"the project of {name} (project {projects[name].project_id})"
        if tasks:
            many = ", ".join(map(str, sorted(tasks)[:5])) + (f" and {len(tasks) - 5} more" if len(tasks) > 5 else "")
            notes.append(
                f"Label Studio cannot show tasks {many} of {place}. Delete them on the server (docs/campaign.md); the "
                "next sync creates the unfinished ones again."
            )
        else:
            notes.append(
                f"Label Studio cannot show {place}, but shows all others. No task is created in it; answers in the "
                "archive count. Check the server's log (docs/campaign.md)."
            )
    return notes


def keys_in_projects(projects: Collection[str], keys: Iterable[str]) -> set[str]:
    """The keys whose tasks belong to one of the projects."""
    return {text for text in keys if (key := TaskKey.parse(text)) is not None and key.project in projects}


def write_unreadable_notes(folder: Path, notes: Collection[str]) -> None:
    """Replace the sentences of the last sync; without sentences, remove the file."""
    if not notes:
        (folder / UNREADABLE_NOTES_FILE).unlink(missing_ok=True)
        return
    replace_file(folder / UNREADABLE_NOTES_FILE, orjson.dumps(list(notes)))


def read_unreadable_notes(folder: Path) -> list[str]:
    """The sentences of the last sync; none when the file is missing or damaged (the next sync rewrites it)."""
    try:
        notes = orjson.loads(read_regular_file(folder / UNREADABLE_NOTES_FILE))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return []
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
