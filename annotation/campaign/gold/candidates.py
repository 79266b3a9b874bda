"""Qualification of candidates: the status of each, their next tasks, and requests to qualify again.

Candidates are the participants with the role `candidate`, and those who were asked to qualify again.  All others count
as qualified: the manager decides that by their roles.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from annotation.campaign.gold.qualification import CandidateStatus, candidate_status
from annotation.campaign.gold_file import judged_parts
from annotation.campaign.model import (
    NO_WORK,
    CampaignRecord,
    GoldPair,
    GoldSet,
    PairAnswer,
    PairWork,
    RequalifyRequest,
    TaskKey,
    TaskSpec,
)
from annotation.campaign.options import CAMPAIGN_FOLDER, CampaignOptions
from annotation.campaign.people import Participant
from annotation.campaign.state_files import note_requalify_request
from annotation.campaign.studio_tasks import TRAINING_NOTICE
from annotation.labelstudio.results import no_flaw_results, rating_results, regional_results
from mos.errors import UserError

NEVER_REQUALIFIED = RequalifyRequest(0, "")


TRAINING_NOTE = "Training: the answer is filled in. Compare it with the images, add what is missing, and submit it."


def list_candidates(options: CampaignOptions, since: Mapping[str, RequalifyRequest]) -> list[Participant]:
    """Participants who must qualify before they work; none when the campaign has no qualification."""
    if options.qualification is None:
        return []
    return [
        person
        for person in options.people
        if person.active and ("candidate" in person.roles or person.person_id in since)
    ]


def candidate_statuses(
    options: CampaignOptions, gold: GoldSet, work: Mapping[str, PairWork], since: Mapping[str, RequalifyRequest]
) -> dict[str, CandidateStatus]:
    """How far each candidate is, by person_id; `work` is the work on the gold pairs, by pair_id.

    Without gold, candidates wait in training.
    """
    rules = options.qualification
    if rules is None:
        return {}
    found = {}
    for person in list_candidates(options, since):
        if not gold.sets:
            found[person.person_id] = CandidateStatus(person.person_id, "training", None, ())
            continue
        regions, scores = judged_parts(person.roles)
        sets = [[task for one in part if (task := one.task(regions, scores))] for part in gold.sets]
        given = _qualification_answers(person.person_id, work)
        found[person.person_id] = candidate_status(
            person.person_id,
            [one.pair.pair_id for one in gold.training],
            given.keys(),
            sets,
            dict.fromkeys(range(len(sets)), given),
            rules,
            since.get(person.person_id, NEVER_REQUALIFIED).attempt,
        )
    return found


def find_ready_people(options: CampaignOptions, found: Mapping[str, CandidateStatus]) -> frozenset[str]:
    """Ids of participants who may get tasks: active ones who passed, or who need no qualification."""
    active = (person.person_id for person in options.people if person.active)
    return frozenset(name for name in active if name not in found or found[name].phase == "passed")


def iter_qualification_tasks(
    gold: GoldSet, work: Mapping[str, PairWork], found: Mapping[str, CandidateStatus], existing: Collection[TaskKey]
) -> Iterator[TaskSpec]:
    """Yield the missing tasks of the qualification, by person; training tasks in the order of `gold.jsonl`.

    A training task shows its answer; a gold task does not.  Both say that the next task may take a minute: candidates
    take the end of the first set for the end of their work.
    """
    shown = {one.pair.pair_id for one in gold.training}
    for person_id, place in sorted(found.items()):
        for pair_id in place.todo:
            spoiled = work.get(pair_id, NO_WORK).spoiled
            number = sum((key.stage, key.person_id) == ("qualification", person_id) for key in spoiled)
            key = TaskKey("qualification", pair_id, person_id, number)
            if key not in existing:
                spec = (
                    _make_training_task(key, gold.lessons[pair_id])
                    if pair_id in shown
                    else TaskSpec(key, {"lesson": ""})
                )
                yield replace(spec, data=spec.data | {"notice": TRAINING_NOTICE})


def _qualification_answers(person_id: str, work: Mapping[str, PairWork]) -> dict[str, PairAnswer]:
    """A candidate's answers in the qualification, by pair_id; of several answers to a pair the latest."""
    answers: dict[str, PairAnswer] = {}
    for pair_id, pair_work in work.items():
        own = [one for one in pair_work.answered if (one.stage, one.person_id) == ("qualification", person_id)]
        if own:
            last = max(own, key=lambda answer: (answer.round, answer.at))
            answers[pair_id] = PairAnswer(last.marks, last.scores)
    return answers


def _make_training_task(key: TaskKey, one: GoldPair) -> TaskSpec:
    marks, scores = one.truth.marks, one.truth.scores
    results: list[dict[str, Any]] = []
    if marks is not None:
        results += regional_results(marks, *one.size) if marks else no_flaw_results()
    results += rating_results({str(name): score for name, score in scores.items()}, [])
    return TaskSpec(key, {"lesson": _lesson_text(one)}, ({"model_version": "answer", "result": results},))


def _lesson_text(one: GoldPair) -> str:
    """The text of a training task: the explanation, a line for every region, and the scores."""
    lines = [TRAINING_NOTE, one.explanation]
    for mark in one.truth.marks or ():
        words = (mark.kind, *((word or "").replace("_", " ") for word in (mark.flaw_type, mark.severity)))
        lines.append(": ".join(filter(None, (", ".join(filter(None, words)), mark.rationale))))
    if one.truth.marks == ():
        lines.append("No flaw at all.")
    lines.append(_scores_text(one.truth.scores))
    return "\n".join(filter(None, lines))


def _scores_text(scores: Mapping[Any, float]) -> str:
    texts: Sequence[str] = [f"{name.replace('_', ' ')} {score:g}" for name, score in scores.items()]
    return f"Scores: {', '.join(texts)}." if texts else ""


def request_requalification(corpus: Path, record: CampaignRecord, person_id: str, now: datetime) -> RequalifyRequest:
    """Ask a participant to qualify again, on gold that they have not seen.

    Parameters
    ----------
    corpus
        Folder of the corpus; the request is appended to `campaign/requalify.jsonl`.
    record
        Record of the campaign.
    person_id
        The participant.
    now
        Time of the request, with a time zone (UTC).

    Returns
    -------
    RequalifyRequest
        The first attempt that counts from now on, and the time.

    Raises
    ------
    UserError
        The participant is unknown or inactive, is qualifying already, or has seen all gold; or the campaign has no
        qualification.
    """
    person = next((one for one in record.options.people if one.person_id == person_id), None)
    if person is None or not person.active:
        raise UserError(
            f"Expected an active person of the campaign, got {person_id!r}. Check 'people' in campaign.yaml."
        )
    if record.options.qualification is None:
        raise UserError("The campaign has no qualification. Add 'qualification: {}' to its campaign.yaml.")
    found = candidate_statuses(record.options, record.gold, record.gold_work, record.since).get(person_id)
    attempt = 0
    if found is not None:
        if found.phase in ("training", "gold"):
            raise UserError(f"{person_id} is qualifying already ({found.phase}): {len(found.todo)} tasks are open.")
        attempt = record.since.get(person_id, NEVER_REQUALIFIED).attempt if found.attempt is None else found.attempt + 1
    sets = record.gold.sets[attempt : attempt + 1]
    if not any(one.task(*judged_parts(person.roles)) for part in sets for one in part):
        raise UserError(
            f"{person_id} has seen all gold. Add lines of attempt {attempt} to gold.jsonl, with the marks or scores by "
            "which their roles are judged."
        )
    since = RequalifyRequest(attempt, now.isoformat(timespec="microseconds").replace("+00:00", "Z"))
    note_requalify_request(corpus / CAMPAIGN_FOLDER, person_id, since)
    return since
