"""Decide which submissions in the archive count, pair by pair; all others are rejected with a reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from annotation.campaign.archive import ARCHIVE_FILE, AnnotationVersion, AnswerArchive
from annotation.campaign.model import (
    CountedAnswer,
    InstructionCheck,
    PairImageSize,
    PairWork,
    ReportRejection,
    ReviewTurn,
    TaskKey,
    reject_submission,
)
from annotation.campaign.options import CAMPAIGN_FOLDER, CampaignOptions
from annotation.campaign.prompt_check import read_instruction_checks
from annotation.campaign.studio_tasks import needs_proposal
from annotation.labelstudio.connection import UNREADABLE_KEY
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.read_ratings import read_export_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.labelstudio.submissions import is_declined
from annotation.records import DIMENSIONS, Place, Rating, Rationale, RegionalAnnotation, Rejection
from annotation.text import collapse_blanks

VersionHistory = list[tuple[int, AnnotationVersion]]
"""The versions of one annotation, the earliest first, each with its line in the archive."""


def group_task_keys(
    archive: AnswerArchive, options: CampaignOptions, stages: Mapping[str, Collection[str]], report: ReportRejection
) -> dict[str, list[TaskKey]]:
    """The tasks with a submission in the archive, by pair_id; submissions under any other key are rejected.

    stages: the stages in which a pair can have tasks, by pair_id
    """
    people = {person.person_id for person in options.people}
    keys: dict[str, list[TaskKey]] = {}
    for text in archive.known_keys():
        key = TaskKey.parse(text)
        if key is not None and key.person_id in people and key.stage in stages.get(key.pair_id, ()):
            keys.setdefault(key.pair_id, []).append(key)
            continue
        message = f"The task key {text[:80]!r} does not belong to this campaign: unknown pair, person or stage."
        for annotation_id, history in archive.versions(text).items():
            report(
                reject_submission(
                    text, annotation_id, history[-1][0], "unknown_key", message, author=history[-1][1].author
                )
            )
    return keys


def read_pair_work(
    archive: AnswerArchive,
    keys: Collection[TaskKey],
    size: PairImageSize,
    options: CampaignOptions,
    report: ReportRejection,
    again: Collection[TaskKey] = (),
) -> PairWork:
    """The submissions to one pair's tasks that count; `size` is (width, height) of the edited image in pixels.

    No submission counts to a task that is to be done `again`.
    """
    reading = _PairWorkReader(size, options, report, again)
    for key in sorted(keys):
        histories = archive.versions(str(key)).values()
        submitted = [history for history in histories if history[-1][1].annotation is not None]
        if not submitted:
            continue
        usable = [valid for history in submitted if (valid := reading.valid_versions(key, history))]
        reading.take(key, usable)
    return reading.work()


class _PairWorkReader:
    """Collects the work of one pair."""

    def __init__(
        self, size: PairImageSize, options: CampaignOptions, report: ReportRejection, again: Collection[TaskKey]
    ) -> None:
        self._size = size
        self._again = again
        self._scale = options.rules.scale
        self._emails = {person.person_id: person.email for person in options.people}
        self._report = report
        self._done: set[TaskKey] = set()
        self._spoiled: set[TaskKey] = set()
        self._declined: set[TaskKey] = set()
        self._marks: dict[str, list[RegionalAnnotation]] = {"regional": [], "expert": []}
        self._turns: dict[str, dict[str, list[ReviewTurn]]] = {"textual": {}, "expert_text": {}}
        self._counted: dict[TaskKey, set[int]] = {}
        self._answered: list[CountedAnswer] = []
        self._checks: list[InstructionCheck] = []

    def valid_versions(self, key: TaskKey, history: VersionHistory) -> VersionHistory:
        """The versions of one annotation by the task's owner, in the owner's project."""
        found = []
        for line, version in history:
            if version.annotation is None:
                continue
            fault = self._version_fault(key, version)
            if fault is None:
                found.append((line, version))
            else:
                self._report(reject_submission(str(key), version.annotation_id, line, *fault, author=version.author))
        return found

    def take(self, key: TaskKey, usable: list[VersionHistory]) -> None:
        """Read the usable versions of a task, and note whether any of them counts."""
        for history in usable:
            # Every version of a text counts as a turn; of drawings and scores the latest version replaces the others.
            versions = history if key.stage in self._turns else history[-1:]
            for line, version in versions:
                if self._counts(key, line, version):
                    self._counted.setdefault(key, set()).add(line)
        (self._done if key in self._counted else self._spoiled).add(key)
        if key in self._spoiled and any(is_declined(history[-1][1].annotation or {}) for history in usable):
            self._declined.add(key)

    def work(self) -> PairWork:
        turns, settling = (
            {region: tuple(taken) for region, taken in self._turns[stage].items()}
            for stage in ("textual", "expert_text")
        )
        return PairWork(
            frozenset(self._done),
            frozenset(self._spoiled),
            tuple(self._marks["regional"]),
            tuple(self._marks["expert"]),
            turns,
            settling,
            {key: frozenset(lines) for key, lines in self._counted.items()},
            tuple(self._answered),
            tuple(self._checks),
            frozenset(self._declined),
        )

    def _version_fault(self, key: TaskKey, version: AnnotationVersion) -> tuple[str, str] | None:
        if UNREADABLE_KEY in (version.annotation or {}):
            message = (
                f"Label Studio cannot show annotation {version.annotation_id} of task {version.task_id}, nor a list "
                "that contains it. Delete it on the server (docs/campaign.md). Its previous version counts, if any."
            )
            return "unreadable", message
        if version.project != key.project:
            return "wrong_project", f"The task is in the project {version.project!r}, but belongs to {key.project!r}."
        if version.author is None:
            return "unknown_person", "The server does not name the author; only annotations by the task's owner count."
        if version.author != self._emails[key.person_id]:
            return "wrong_person", f"The task belongs to {key.person_id}; annotations by others do not count."
        if version.editor is not None:
            message = f"{version.editor} changed an annotation by {key.person_id}; its previous version counts."
            return "changed_by_other", message
        if version.proposals == 0 and needs_proposal(key, version.data):
            message = (
                "The server had lost the proposal of the task, so that its person saw none; the answer does not count. "
                "The task is created again."
            )
            return "no_proposal", message
        if key in self._again:
            return "done_again", f"{key.person_id} was asked to do the task again; only the new answer counts."
        return None

    def _counts(self, key: TaskKey, line: int, version: AnnotationVersion) -> bool:
        place = Place(f"{CAMPAIGN_FOLDER}/{ARCHIVE_FILE}", line)

        def reject(rejection: Rejection) -> None:
            if not rejection.repaired:
                part = (rejection.reason, rejection.message, version.author, rejection.item_id)
                self._report(reject_submission(str(key), version.annotation_id, line, *part))

        task = make_owned_task(key, [version])
        if key.stage in self._turns:
            return self._read_texts(key, version, read_rationales(task, place, self._size, reject), reject)
        if key.stage == "prompt_check":
            checks = read_instruction_checks(task, place, reject)
            self._checks += checks
            return bool(checks)
        marked: list[RegionalAnnotation] | None = None
        if key.stage in (*self._marks, "qualification"):
            drawn = _select_task_part(task, numbers=False) if key.stage == "qualification" else task
            marked = read_regional_annotations(drawn, place, self._size, reject)
            if not marked:
                return False
        ratings: list[Rating] = []
        if key.stage in ("scoring", "qualification"):
            rated = _select_task_part(task, numbers=True) if marked is not None else task
            ratings = read_export_ratings(rated, place, reject)[0]
            if is_declined(version.annotation or {}) or not self._check_ratings(key, place, ratings, reject):
                return False
        self._answer(key, version, marked, ratings)
        return True

    def _answer(
        self, key: TaskKey, version: AnnotationVersion, marked: list[RegionalAnnotation] | None, ratings: list[Rating]
    ) -> None:
        if key.stage in self._marks:
            self._marks[key.stage] += marked or []
        marks = None if marked is None else tuple(mark for one in marked for mark in one.marks)
        at = next(one.at for one in marked) if marked else ratings[0].rated_at
        scores = {rating.dimension: rating.score for rating in ratings}
        faults = tuple(fault for one in marked or () for fault in one.faults)
        self._answered.append(CountedAnswer(*key, at, read_lead_time(version.annotation or {}), marks, scores, faults))

    def _read_texts(
        self, key: TaskKey, version: AnnotationVersion, statements: list[Rationale], reject: Callable[[Rejection], None]
    ) -> bool:
        seen = version.data.get("seen")
        shown = {name: text for name, text in seen.items() if isinstance(text, str)} if isinstance(seen, dict) else {}
        by_region = {statement.region_id: statement for statement in statements}
        for name in by_region.keys() - shown.keys():
            message = "The text is about a region that the task does not show."
            reject(Rejection("rationale", *by_region[name].place, "unknown_region", message, key.pair_id, name))
        known = [statement for statement in statements if statement.region_id in shown]
        for name, text in shown.items() if known else ():
            # No statement on a shown region is an empty answer: its reviewer has been asked.
            statement = by_region.get(name)
            words = (statement.text, statement.flaw_type, statement.severity) if statement else ("", None, None)
            turn = ReviewTurn(key.person_id, text, *words, known[0].at)
            self._turns[key.stage].setdefault(name, []).append(turn)
        if any(statement.verdict == "revise" for statement in known) and all(
            collapse_blanks(statement.text or "") == collapse_blanks(shown[statement.region_id]) for statement in known
        ):
            message = "'I revised a text' was chosen, but no text differs from the one that was shown; it counts as is."
            reject(Rejection("rationale", *known[0].place, "nothing_revised", message, key.pair_id))
        return bool(known)

    def _check_ratings(
        self, key: TaskKey, place: Place, ratings: list[Rating], reject: Callable[[Rejection], None]
    ) -> bool:
        low, high = self._scale
        if any(not low <= rating.score <= high for rating in ratings):
            message = (
                f"Expected scores from {low:g} to {high:g}; no score of this task counts. The task is created again."
            )
            reject(Rejection("rating", *place, "out_of_scale", message, key.pair_id))
            return False
        if {rating.dimension for rating in ratings} != set(DIMENSIONS):
            message = f"Expected a score for each of {', '.join(DIMENSIONS)}. The task is created again."
            reject(Rejection("rating", *place, "incomplete", message, key.pair_id))
            return False
        return True


def read_lead_time(annotation: Mapping[str, Any]) -> float | None:
    """Label Studio's lead_time, in seconds on the task; None without it."""
    seconds = annotation.get("lead_time")
    return float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None


def _select_task_part(task: dict[str, Any], numbers: bool) -> dict[str, Any]:
    """A task of the qualification, which has regions and scores, with only its scores or without them.

    Without its key: its scores are required, so nobody submits it by mistake, and a candidate who is judged by scores
    alone need not say that there is no flaw.
    """
    [annotation] = task["annotations"]
    result = annotation.get("result")
    if isinstance(result, list):
        result = [
            item for item in result if (isinstance(item, dict) and item.get("from_name") in DIMENSIONS) == numbers
        ]
    data = {name: value for name, value in task["data"].items() if name != "key"}
    return task | {"data": data, "annotations": [annotation | {"result": result}]}


def make_owned_task(key: TaskKey, versions: Collection[AnnotationVersion]) -> dict[str, Any]:
    """A task of an export with these annotations; their author is the task's owner, by person_id."""
    owner = {"completed_by": {"email": key.person_id}}
    data = dict(next(iter(versions)).data) | {"key": str(key), "pair_id": key.pair_id}
    return {"data": data, "annotations": [(version.annotation or {}) | owner for version in versions]}
