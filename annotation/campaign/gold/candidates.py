"""The qualification on its way: where every candidate stands, and which tasks they get next.

Candidates are the people with the role `candidate`, and whoever was asked to qualify again.  Everybody else is taken as
qualified: the manager says so by the role.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from annotation.campaign.answers import NOTHING, Work
from annotation.campaign.gold.pairs import Gold, GoldPair, asked
from annotation.campaign.gold.qualification import Answer, Standing, standing
from annotation.campaign.gold.requalify import Since
from annotation.campaign.options import Options
from annotation.campaign.people import Person
from annotation.campaign.tasks import TaskKey, TaskSpec
from annotation.predictions import no_flaw_results, rating_results, regional_results

START = Since(0, "")
TRAINING = "Training: the answer is filled in. Compare it with what you see, add what is left open, and submit it."


def candidates(options: Options, since: Mapping[str, Since]) -> list[Person]:
    """Everybody who has to qualify before they work; nobody where the campaign has no qualification."""
    if options.qualification is None:
        return []
    return [
        person
        for person in options.people
        if person.active and ("candidate" in person.roles or person.person_id in since)
    ]


def standings(
    options: Options, gold: Gold, work: Mapping[str, Work], since: Mapping[str, Since]
) -> dict[str, Standing]:
    """Where every candidate stands, by person_id; `work` is what was said of the gold pairs, by pair_id.

    Without any gold they wait for it.
    """
    rules = options.qualification
    if rules is None:
        return {}
    found = {}
    for person in candidates(options, since):
        if not gold.sets:
            found[person.person_id] = Standing(person.person_id, "training", None, ())
            continue
        regions, scores = asked(person.roles)
        sets = [[task for one in part if (task := one.task(regions, scores))] for part in gold.sets]
        given = _given(person.person_id, work)
        found[person.person_id] = standing(
            person.person_id,
            [one.pair.pair_id for one in gold.training],
            given.keys(),
            sets,
            dict.fromkeys(range(len(sets)), given),
            rules,
            since.get(person.person_id, START).attempt,
        )
    return found


def ready(options: Options, found: Mapping[str, Standing]) -> frozenset[str]:
    """Who may be given work: active people who passed, or of whom no qualification is asked."""
    active = (person.person_id for person in options.people if person.active)
    return frozenset(name for name in active if name not in found or found[name].phase == "passed")


def lessons(
    gold: Gold, work: Mapping[str, Work], found: Mapping[str, Standing], existing: Collection[TaskKey]
) -> Iterator[TaskSpec]:
    """The tasks of the qualification that should exist and do not, by person; training in the order of the file.

    Training shows its answer; a gold task shows nothing.
    """
    shown = {one.pair.pair_id for one in gold.training}
    for person_id, place in sorted(found.items()):
        for pair_id in place.todo:
            spoiled = work.get(pair_id, NOTHING).spoiled
            number = sum((key.stage, key.person_id) == ("qualification", person_id) for key in spoiled)
            key = TaskKey("qualification", pair_id, person_id, number)
            if key not in existing:
                yield _training(key, gold.lessons[pair_id]) if pair_id in shown else TaskSpec(key, {"lesson": ""})


def _given(person_id: str, work: Mapping[str, Work]) -> dict[str, Answer]:
    """What a candidate answered in the qualification, by pair; of several answers to a pair the latest."""
    found: dict[str, Answer] = {}
    for pair_id, own in work.items():
        said = [one for one in own.answered if (one.stage, one.person_id) == ("qualification", person_id)]
        if said:
            last = max(said, key=lambda one: (one.round, one.at))
            found[pair_id] = Answer(last.marks, last.scores)
    return found


def _training(key: TaskKey, one: GoldPair) -> TaskSpec:
    marks, scores = one.truth.marks, one.truth.scores
    results: list[dict[str, Any]] = []
    if marks is not None:
        results += regional_results(marks, *one.size) if marks else no_flaw_results()
    results += rating_results({str(name): score for name, score in scores.items()}, [])
    return TaskSpec(key, {"lesson": _lesson(one)}, ({"model_version": "answer", "result": results},))


def _lesson(one: GoldPair) -> str:
    """What whoever trains reads: the explanation, what is wrong with every region, and the scores."""
    lines = [TRAINING, one.explanation]
    for mark in one.truth.marks or ():
        words = (mark.kind, *((word or "").replace("_", " ") for word in (mark.flaw_type, mark.severity)))
        lines.append(": ".join(filter(None, (", ".join(filter(None, words)), mark.rationale))))
    if one.truth.marks == ():
        lines.append("No flaw at all.")
    lines.append(_scores(one.truth.scores))
    return "\n".join(filter(None, lines))


def _scores(scores: Mapping[Any, float]) -> str:
    said: Sequence[str] = [f"{name.replace('_', ' ')} {score:g}" for name, score in scores.items()]
    return f"Scores: {', '.join(said)}." if said else ""
