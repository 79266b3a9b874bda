"""Gold hidden among the tasks of a campaign, and how often each participant agrees with it.

A gold task is made by the same functions as every other task, in the same project and the same import, so that nothing
in it reveals it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from annotation.campaign.model import (
    NO_WORK,
    GoldPair,
    GoldSet,
    GoldTask,
    PairAnswer,
    PairWork,
    RequalifyRequest,
    TaskKey,
    TaskSpec,
)
from annotation.campaign.options import HIDDEN_GOLD_STAGES, MAX_GOLD_RATE, CampaignOptions, CampaignStage, GoldOptions
from annotation.campaign.quality.matching import count_box_matches
from annotation.campaign.studio_tasks import make_regional_task, make_scoring_task
from annotation.records import Region
from mos.errors import UserError


@dataclass(frozen=True, slots=True)
class RunningGoldScore:
    """How often a participant agreed with their latest gold tasks.

    n, agreed: gold tasks in the window, and those that agree; share: agreed / n, None without any
    low, high: Wilson interval of the share, 0 to 1; flagged: whether `high` is below `threshold`
    """

    person_id: str
    n: int
    agreed: int
    share: float | None
    low: float
    high: float
    threshold: float

    @property
    def flagged(self) -> bool:
        return self.high < self.threshold

    @property
    def sentence(self) -> str | None:
        """Why the participant is flagged; None when they are not."""
        if not self.flagged:
            return None
        return (
            f"{self.agreed} of the last {self.n} hidden gold tasks agree with gold: at most {100 * self.high:.0f} %, "
            f"expected at least {100 * self.threshold:g} %."
        )


def insert_gold(
    work: Sequence[str], gold: Sequence[str], rate: float, *, person_id: str, stage: str, seed: int = 0
) -> tuple[str, ...]:
    """Insert gold into the work of one participant.

    There is one gold task for every 1 / `rate` others, at a random place in its stretch, so that participants cannot
    count them out; each gold pair at most once, never two in a row, never first.  Places depend only on seed, stage and
    person, and which gold comes there also on the gold: work that is added at the end changes nothing before it.

    Parameters
    ----------
    work
        Pair ids in the order in which the participant gets them.
    gold
        Pair ids of the gold.
    rate
        Gold tasks for each other task, 0 to 0.5.

    Returns
    -------
    tuple of str
        Pair ids of `work` in its order, with gold in between.

    Raises
    ------
    UserError
        The rate is out of range, or a gold pair is among the work: no participant should answer a pair twice.
    """
    if not 0 <= rate <= MAX_GOLD_RATE:
        raise UserError(f"Expected a rate of hidden gold tasks from 0 to {MAX_GOLD_RATE:g}, got {rate:g}.")
    both = sorted({*work} & {*gold})
    if both:
        raise UserError(f"The gold task {both[0]!r} is ordinary work too. Remove gold pairs from the stage.")
    dealt = sorted(set(gold), key=lambda pair: (_hash_to_unit(seed, "gold", stage, person_id, pair), pair))
    within = [_hash_to_unit(seed, "place", stage, person_id, str(number)) for number in range(len(dealt))]
    order: list[str] = []
    number = 0
    for done, pair in enumerate(work, start=1):
        order.append(pair)
        if number < len(dealt) and done * rate > number + within[number]:
            order.append(dealt[number])
            number += 1
    return tuple(order)


def agrees_with_gold(gold: GoldTask, answer: PairAnswer, options: GoldOptions) -> bool:
    """Whether an answer agrees with gold.

    Its boxes of both kinds have an F1 of at least `min_f1` with the gold boxes (no box where gold has none), and its
    scores differ from the gold scores by no more than `tolerance` on average.  An answer without a part of it does not.
    """
    truth = gold.truth
    if not answer.answers_all_of(truth):
        return False
    if truth.marks is not None:
        f1 = count_box_matches(answer.marks or (), truth.marks, options.iou).f1
        if f1 is not None and f1 < options.min_f1 - 1e-9:
            return False
    apart = [abs(answer.scores[dimension] - score) for dimension, score in truth.scores.items()]
    return not apart or math.fsum(apart) / len(apart) <= options.tolerance + 1e-9


def running_gold_score(
    person_id: str, gold: Mapping[str, GoldTask], answers: Sequence[tuple[str, PairAnswer]], options: GoldOptions
) -> RunningGoldScore:
    """The running score of a participant, from (pair_id, answer) in the order of time; other pairs are skipped.

    Of two answers to a pair the later one counts.
    """
    latest: dict[str, PairAnswer] = {}
    for pair_id, answer in answers:
        if pair_id in gold:
            latest.pop(pair_id, None)
            latest[pair_id] = answer
    window = list(latest.items())[-options.window :]
    agreed = sum(agrees_with_gold(gold[pair_id], answer, options) for pair_id, answer in window)
    share = agreed / len(window) if window else None
    return RunningGoldScore(
        person_id, len(window), agreed, share, *wilson_interval(agreed, len(window), options.level), options.min_share
    )


def wilson_interval(successes: int, n: int, level: float) -> tuple[float, float]:
    """Confidence interval of a share (Wilson 1927).

    Parameters
    ----------
    successes, n
        Number of successes and of trials.
    level
        Confidence level, above 0 and below 1.

    Returns
    -------
    (float, float)
        Lower and upper end, 0 to 1; (0, 1) without any trial.

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(8, 10, 0.95)]
    [0.49, 0.943]
    """
    from scipy.special import ndtri

    if n == 0:
        return 0.0, 1.0
    z = float(ndtri((1 + level) / 2))
    share = successes / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def _hash_to_unit(seed: int, *words: str) -> float:
    """A number in [0, 1) that depends only on the seed and the words."""
    digest = hashlib.blake2b("\0".join([str(seed), *words]).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


class StageGoldScore(NamedTuple):
    """How often a participant agrees with the hidden gold of one stage."""

    stage: CampaignStage
    running: RunningGoldScore


def hidden_gold_of_stage(gold: GoldSet, options: CampaignOptions, stage: CampaignStage) -> dict[str, GoldPair]:
    """Gold pairs that are hidden in a stage, by pair_id."""
    if options.gold is None or stage not in HIDDEN_GOLD_STAGES or stage not in options.steps:
        return {}
    return {pair_id: one for pair_id, one in gold.hidden_pairs.items() if one.task(*_asked_of_stage(stage)) is not None}


def interleave_gold(
    options: CampaignOptions,
    gold: GoldSet,
    work: Mapping[str, PairWork],
    own: Sequence[TaskSpec],
    existing: Collection[TaskKey],
    project: tuple[CampaignStage, str],
) -> list[TaskSpec]:
    """A participant's new tasks in one stage (`own`, in their order), with the gold that is due among them.

    existing: all tasks of the participant in this stage, gold included; work: work on the gold pairs, by pair_id.
    The number of earlier ordinary tasks decides which gold comes where, so that a participant meets the same gold
    after the same number of tasks, however often tasks are planned.  Gold that was due long ago is skipped: a
    participant who is far along when gold is switched on does not get all of it at once.
    """
    stage, person_id = project
    known = hidden_gold_of_stage(gold, options, stage)
    if options.gold is None or not known or not options.gold.rate:
        return list(own)
    before = len({key for key in existing if key.pair_id not in known})
    names = [f"\0{number}" for number in range(before)] + [f"\0{before + number}" for number in range(len(own))]
    order = insert_gold(names, [*known], options.gold.rate, person_id=person_id, stage=stage, seed=options.seed)
    new = dict(zip(names[before:], own, strict=True))
    stretch = math.ceil(1 / options.gold.rate)
    found: list[TaskSpec] = []
    passed = 0
    for name in order:
        if name in known:
            if passed > before - stretch:
                found += _due_gold_tasks(known[name], stage, person_id, work.get(name, NO_WORK), existing)
            continue
        passed += 1
        if name in new:
            found.append(new[name])
    return found


def hidden_gold_scores(
    options: CampaignOptions, gold: GoldSet, work: Mapping[str, PairWork], since: Mapping[str, RequalifyRequest]
) -> list[StageGoldScore]:
    """The running score of each participant who answered hidden gold, by stage and person.

    After a request to qualify again, only later answers count.
    """
    rules = options.gold or GoldOptions()
    found = []
    for stage in HIDDEN_GOLD_STAGES:
        tasks = {
            pair_id: task
            for pair_id, one in hidden_gold_of_stage(gold, options, stage).items()
            if (task := one.task(*_asked_of_stage(stage)))
        }
        answers: dict[str, list[tuple[str, str, PairAnswer]]] = {}
        for pair_id in tasks:
            for one in work.get(pair_id, NO_WORK).answered:
                if one.stage == stage and (one.person_id not in since or one.at > since[one.person_id].at):
                    answer = one.at, pair_id, PairAnswer(one.marks, one.scores)
                    answers.setdefault(one.person_id, []).append(answer)
        for person_id, given in sorted(answers.items()):
            in_time = [(pair_id, answer) for _, pair_id, answer in sorted(given, key=lambda one: one[:2])]
            found.append(StageGoldScore(stage, running_gold_score(person_id, tasks, in_time, rules)))
    return found


def _asked_of_stage(stage: CampaignStage) -> tuple[bool, bool]:
    """Whether the stage asks for regions, and whether for scores."""
    return stage == "regional", stage == "scoring"


def _due_gold_tasks(
    one: GoldPair, stage: CampaignStage, person_id: str, work: PairWork, existing: Collection[TaskKey]
) -> list[TaskSpec]:
    """The task, unless it exists or is done; the next round of it when a submission does not count."""
    mine = (stage, person_id)
    if any((key.stage, key.person_id) == mine for key in work.done):
        return []
    spoiled = sum((key.stage, key.person_id) == mine for key in work.spoiled)
    key = TaskKey(stage, one.pair.pair_id, person_id, spoiled)
    if key in existing:
        return []
    return [make_regional_task(key) if stage == "regional" else make_scoring_task(key, _gold_regions(one), one.size)]


def _gold_regions(one: GoldPair) -> list[Region]:
    return [
        Region(mark.mark_id, mark.kind, mark.box, mark.disks, mark.flaw_type, mark.severity, mark.rationale, ())
        for mark in one.truth.marks or ()
    ]
