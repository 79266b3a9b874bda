"""Gold hidden among the tasks of a campaign, and how often everybody agrees with it.

A gold task is made by the same functions as every other, in the same project and the same import, so nothing in it
tells it apart.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from annotation.campaign.answers import NOTHING, Work
from annotation.campaign.gold.agreement import GoldOptions, Running, running, sprinkle
from annotation.campaign.gold.pairs import Gold, GoldPair
from annotation.campaign.gold.qualification import Answer
from annotation.campaign.gold.requalify import Since
from annotation.campaign.options import Options, Stage
from annotation.campaign.tasks import TaskKey, TaskSpec, regional_task, scoring_task
from annotation.records import Region

STAGES: tuple[Stage, ...] = ("regional", "scoring")
"""Stages in which gold is hidden: in the others people build on each other's words."""


class GoldScore(NamedTuple):
    """How often a person agrees with the hidden gold of one stage."""

    stage: Stage
    running: Running


def veiled(gold: Gold, options: Options, stage: Stage) -> dict[str, GoldPair]:
    """The gold that is hidden in a stage, by pair_id."""
    if options.gold is None or stage not in STAGES or stage not in options.steps:
        return {}
    return {pair_id: one for pair_id, one in gold.veiled.items() if one.task(*_part(stage)) is not None}


def mixed(
    options: Options,
    gold: Gold,
    work: Mapping[str, Work],
    own: Sequence[TaskSpec],
    existing: Collection[TaskKey],
    project: tuple[Stage, str],
) -> list[TaskSpec]:
    """A person's new tasks in one stage (`own`, in their order) with the gold that is due among them.

    existing: all tasks that the person has in this stage, gold too; work: what was said of the gold pairs, by pair_id.
    How many ordinary tasks there were before decides which gold comes where, so that a person meets the same gold
    after the same number of tasks, however often the tasks are made.  Gold that was due long ago is let go: who is far
    along when gold is switched on does not get all of it at once.
    """
    stage, person_id = project
    known = veiled(gold, options, stage)
    if options.gold is None or not known or not options.gold.rate:
        return list(own)
    before = len({key for key in existing if key.pair_id not in known})
    names = [f"\0{number}" for number in range(before)] + [f"\0{before + number}" for number in range(len(own))]
    order = sprinkle(names, [*known], options.gold.rate, person_id=person_id, stage=stage, seed=options.seed)
    new = dict(zip(names[before:], own, strict=True))
    stretch = math.ceil(1 / options.gold.rate)
    found: list[TaskSpec] = []
    passed = 0
    for name in order:
        if name in known:
            if passed > before - stretch:
                found += _hidden(known[name], stage, person_id, work.get(name, NOTHING), existing)
            continue
        passed += 1
        if name in new:
            found.append(new[name])
    return found


def scores_with_gold(
    options: Options, gold: Gold, work: Mapping[str, Work], since: Mapping[str, Since]
) -> list[GoldScore]:
    """The running score of everybody who answered hidden gold, by stage and person.

    Of people who were asked to qualify again only what they answered since counts.
    """
    rules = options.gold or GoldOptions()
    found = []
    for stage in STAGES:
        tasks = {
            pair_id: task for pair_id, one in veiled(gold, options, stage).items() if (task := one.task(*_part(stage)))
        }
        answers: dict[str, list[tuple[str, str, Answer]]] = {}
        for pair_id in tasks:
            for one in work.get(pair_id, NOTHING).answered:
                if one.stage == stage and (one.person_id not in since or one.at > since[one.person_id].at):
                    answer = one.at, pair_id, Answer(one.marks, one.scores)
                    answers.setdefault(one.person_id, []).append(answer)
        for person_id, given in sorted(answers.items()):
            in_time = [(pair_id, answer) for _, pair_id, answer in sorted(given, key=lambda one: one[:2])]
            found.append(GoldScore(stage, running(person_id, tasks, in_time, rules)))
    return found


def _part(stage: Stage) -> tuple[bool, bool]:
    """Whether the stage asks for regions, and whether for scores."""
    return stage == "regional", stage == "scoring"


def _hidden(one: GoldPair, stage: Stage, person_id: str, work: Work, existing: Collection[TaskKey]) -> list[TaskSpec]:
    """The task, unless it exists or is done; when nothing counts of an answer, as the next round."""
    mine = (stage, person_id)
    if any((key.stage, key.person_id) == mine for key in work.done):
        return []
    spoiled = sum((key.stage, key.person_id) == mine for key in work.spoiled)
    key = TaskKey(stage, one.pair.pair_id, person_id, spoiled)
    if key in existing:
        return []
    return [regional_task(key) if stage == "regional" else scoring_task(key, _regions(one), one.size)]


def _regions(one: GoldPair) -> list[Region]:
    return [
        Region(mark.mark_id, mark.kind, mark.box, mark.disks, mark.flaw_type, mark.severity, mark.rationale, ())
        for mark in one.truth.marks or ()
    ]
