"""What counts of everything in the archive, pair by pair; what does not is set aside with its reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from annotation import export
from annotation.campaign.exchange.archive import FILE, Archive, Version
from annotation.campaign.options import FOLDER, Options
from annotation.campaign.planning.prompt_check import Check, checks
from annotation.campaign.planning.round_robin import Turn
from annotation.campaign.quality.redo import Answered
from annotation.campaign.tasks import Size, TaskKey
from annotation.records import DIMENSIONS, Place, Rating, Rationale, RegionalAnnotation, Rejection
from annotation.studio.unreadable import UNREADABLE

History = list[tuple[int, Version]]
"""The versions of one annotation, the earliest first, each with its line in the archive."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """Something that was submitted and does not count, or not wholly: a line of `campaign/set_aside.jsonl`.

    line: that of the version in the archive; item_id: which part of it, where it is only a part
    """

    key: str
    annotation_id: int
    line: int
    reason: str
    message: str
    author: str | None = None
    item_id: str | None = None


Report = Callable[[SetAside], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What counts of one pair.

    done: tasks with an answer that counts; spoiled: tasks in which something was submitted and nothing counts
    regional, expert: one annotation each, in its latest state
    turns, settling: of each region, what reviewers and the expert said of its text, every version of it
    counted: archive lines of the versions that count, by task
    answered: marks and scores that count, one entry for each annotation in its latest state
    checks: what was said of the instruction
    """

    done: frozenset[TaskKey] = frozenset()
    spoiled: frozenset[TaskKey] = frozenset()
    regional: tuple[RegionalAnnotation, ...] = ()
    expert: tuple[RegionalAnnotation, ...] = ()
    turns: Mapping[str, tuple[Turn, ...]] = field(default_factory=dict)
    settling: Mapping[str, tuple[Turn, ...]] = field(default_factory=dict)
    counted: Mapping[TaskKey, frozenset[int]] = field(default_factory=dict)
    answered: tuple[Answered, ...] = ()
    checks: tuple[Check, ...] = ()


NOTHING = Work()


def sort_keys(
    archive: Archive, options: Options, stages: Mapping[str, Collection[str]], report: Report
) -> dict[str, list[TaskKey]]:
    """The tasks of which something is in the archive, by pair; work under any other key is set aside.

    stages: those in which there can be tasks of a pair, by pair_id
    """
    people = {person.person_id for person in options.people}
    found: dict[str, list[TaskKey]] = {}
    for text in archive.known_keys():
        key = TaskKey.parse(text)
        if key is not None and key.person_id in people and key.stage in stages.get(key.pair_id, ()):
            found.setdefault(key.pair_id, []).append(key)
            continue
        message = f"The task's key {text[:80]!r} is none of this campaign's: its pair, person or stage is not there."
        for annotation_id, history in archive.versions(text).items():
            report(SetAside(text, annotation_id, history[-1][0], "unknown_key", message, author=history[-1][1].author))
    return found


def read_work(
    archive: Archive,
    keys: Collection[TaskKey],
    size: Size,
    options: Options,
    report: Report,
    again: Collection[TaskKey] = (),
) -> Work:
    """What counts of one pair's tasks; `size` is (width, height) of the edited image in pixels.

    Nothing counts of the tasks that are to be done `again`.
    """
    reading = _Reading(size, options, report, again)
    for key in sorted(keys):
        histories = archive.versions(str(key)).values()
        submitted = [history for history in histories if history[-1][1].annotation is not None]
        if not submitted:
            continue
        usable = [valid for history in submitted if (valid := reading.valid(key, history))]
        reading.take(key, usable)
    return reading.work()


class _Reading:
    """The work of one pair while it is read."""

    def __init__(self, size: Size, options: Options, report: Report, again: Collection[TaskKey]) -> None:
        self._size = size
        self._again = again
        self._scale = options.scale
        self._emails = {person.person_id: person.email for person in options.people}
        self._report = report
        self._done: set[TaskKey] = set()
        self._spoiled: set[TaskKey] = set()
        self._marks: dict[str, list[RegionalAnnotation]] = {"regional": [], "expert": []}
        self._turns: dict[str, dict[str, list[Turn]]] = {"textual": {}, "expert_text": {}}
        self._counted: dict[TaskKey, set[int]] = {}
        self._answered: list[Answered] = []
        self._checks: list[Check] = []

    def valid(self, key: TaskKey, history: History) -> History:
        """The versions of one annotation by the task's owner, in the owner's project."""
        found = []
        for line, version in history:
            if version.annotation is None:
                continue
            fault = self._fault(key, version)
            if fault is None:
                found.append((line, version))
            else:
                self._report(SetAside(str(key), version.annotation_id, line, *fault, author=version.author))
        return found

    def take(self, key: TaskKey, usable: list[History]) -> None:
        """Note what is said in the task, and whether anything counts."""
        for history in usable:
            # Every word on a text was said; of drawings and scores the latest state replaces the earlier ones.
            said = history if key.stage in self._turns else history[-1:]
            for line, version in said:
                if self._counts(key, line, version):
                    self._counted.setdefault(key, set()).add(line)
        (self._done if key in self._counted else self._spoiled).add(key)

    def work(self) -> Work:
        turns, settling = (
            {region: tuple(said) for region, said in self._turns[stage].items()} for stage in ("textual", "expert_text")
        )
        return Work(
            frozenset(self._done),
            frozenset(self._spoiled),
            tuple(self._marks["regional"]),
            tuple(self._marks["expert"]),
            turns,
            settling,
            {key: frozenset(lines) for key, lines in self._counted.items()},
            tuple(self._answered),
            tuple(self._checks),
        )

    def _fault(self, key: TaskKey, version: Version) -> tuple[str, str] | None:
        if UNREADABLE in (version.annotation or {}):
            message = (
                f"Label Studio cannot show annotation {version.annotation_id} of task {version.task_id}, nor a list "
                "with it: delete it on the server (docs/campaign.md). What it was before counts, if anything."
            )
            return "unreadable", message
        if version.project != key.project:
            return "wrong_project", f"The task lies in the project {version.project!r}: it belongs to {key.project!r}."
        if version.author is None:
            return "unknown_person", "The server does not say who made the annotation; only its owner's counts."
        if version.author != self._emails[key.person_id]:
            return "wrong_person", f"The task is {key.person_id}'s; somebody else's work in it does not count."
        if version.editor is not None:
            message = f"{version.editor} changed the work of {key.person_id}: what it was before counts."
            return "changed_by_other", message
        if key in self._again:
            return "done_again", f"{key.person_id} was asked to do the task again: the new answer counts."
        return None

    def _counts(self, key: TaskKey, line: int, version: Version) -> bool:
        place = Place(f"{FOLDER}/{FILE}", line)

        def reject(rejection: Rejection) -> None:
            if not rejection.repaired:
                part = (rejection.reason, rejection.message, version.author, rejection.item_id)
                self._report(SetAside(str(key), version.annotation_id, line, *part))

        task = owned_task(key, [version])
        if key.stage in self._turns:
            return self._said(key, version, export.rationales(task, place, self._size, reject), reject)
        if key.stage == "prompt_check":
            said = checks(task, place, reject)
            self._checks += said
            return bool(said)
        marked: list[RegionalAnnotation] | None = None
        if key.stage in (*self._marks, "qualification"):
            marked = export.regional(_part(task, numbers=False), place, self._size, reject)
            if not marked:
                return False
        ratings: list[Rating] = []
        if key.stage in ("scoring", "qualification"):
            rated = _part(task, numbers=True) if marked is not None else task
            ratings = export.ratings(rated, place, reject)[0]
            if not self._rated(key, place, ratings, reject):
                return False
        self._answer(key, version, marked, ratings)
        return True

    def _answer(
        self, key: TaskKey, version: Version, marked: list[RegionalAnnotation] | None, ratings: list[Rating]
    ) -> None:
        if key.stage in self._marks:
            self._marks[key.stage] += marked or []
        marks = None if marked is None else tuple(mark for one in marked for mark in one.marks)
        at = next(one.at for one in marked) if marked else ratings[0].rated_at
        scores = {rating.dimension: rating.score for rating in ratings}
        self._answered.append(Answered(*key, at, lead_time(version.annotation or {}), marks, scores))

    def _said(
        self, key: TaskKey, version: Version, statements: list[Rationale], reject: Callable[[Rejection], None]
    ) -> bool:
        seen = version.data.get("seen")
        shown = {name: text for name, text in seen.items() if isinstance(text, str)} if isinstance(seen, dict) else {}
        by_region = {statement.region_id: statement for statement in statements}
        for name in by_region.keys() - shown.keys():
            message = "The text is about a region that the task did not show."
            reject(Rejection("rationale", *by_region[name].place, "unknown_region", message, key.pair_id, name))
        known = [statement for statement in statements if statement.region_id in shown]
        for name, text in shown.items() if known else ():
            # A region passed over without a word is an empty answer: its reviewer has been asked.
            one = by_region.get(name)
            own, flaw, severity = (one.text, one.flaw_type, one.severity) if one else ("", None, None)
            turn = Turn(key.person_id, text, own, flaw, severity, known[0].at)
            self._turns[key.stage].setdefault(name, []).append(turn)
        return bool(known)

    def _rated(self, key: TaskKey, place: Place, ratings: list[Rating], reject: Callable[[Rejection], None]) -> bool:
        low, high = self._scale
        if any(not low <= rating.score <= high for rating in ratings):
            message = f"Expected scores from {low:g} to {high:g}: none of this task counts. The task is given again."
            reject(Rejection("rating", *place, "out_of_scale", message, key.pair_id))
            return False
        if {rating.dimension for rating in ratings} != set(DIMENSIONS):
            message = f"Expected a score for each of {', '.join(DIMENSIONS)}. The task is given again."
            reject(Rejection("rating", *place, "incomplete", message, key.pair_id))
            return False
        return True


def lead_time(annotation: Mapping[str, Any]) -> float | None:
    """Seconds on the task as Label Studio took them; None when it did not."""
    seconds = annotation.get("lead_time")
    return float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None


def _part(task: dict[str, Any], numbers: bool) -> dict[str, Any]:
    """A task of the qualification, which asks for regions and scores: with its scores alone, or with all the rest."""
    [annotation] = task["annotations"]
    result = annotation.get("result")
    if isinstance(result, list):
        result = [
            item for item in result if (isinstance(item, dict) and item.get("from_name") in DIMENSIONS) == numbers
        ]
    return task | {"annotations": [annotation | {"result": result}]}


def owned_task(key: TaskKey, versions: Collection[Version]) -> dict[str, Any]:
    """A task of an export with these annotations, by person_id instead of the server's number."""
    owner = {"completed_by": {"email": key.person_id}}
    data = dict(next(iter(versions)).data) | {"key": str(key), "pair_id": key.pair_id}
    return {"data": data, "annotations": [(version.annotation or {}) | owner for version in versions]}
