"""Who may work: a candidate's answers to gold tasks, scored, and the attempts that lead there.

A figure that the gold of an attempt does not ask for (no failures in it, no scores) is None and is not judged: raters
can be given gold scores alone, annotators gold regions alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from annotation.campaign.quality.matching import Matches, box_matches, disk_hits, disk_radius
from annotation.records import DIMENSIONS, KINDS, Dimension, Kind, Mark
from mos.agreement.ranks import spearman
from mos.errors import UserError

Outcome = Literal["passed", "failed", "pending"]
Phase = Literal["training", "gold", "passed", "failed"]

LEAST_RANKED = 3
"""With fewer scores a rank correlation says nothing."""


class QualificationOptions(BaseModel):
    """What a candidate needs.  Each threshold is the lowest value that passes.

    Three rank correlations of at least 0.4 on 10 gold tasks pass 0.2 % of candidates who rate at random, 63 %, 84 % and
    98 % of those whose true correlation with gold is 0.7, 0.8 and 0.9; on 20 tasks 0.01 %, 85 %, 98 % and all
    (simulated, normal scores, three independent dimensions).  Asked for 0.6 instead, 45 % at 0.8 would fail 10 tasks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    iou: float = Field(0.5, gt=0, le=1, description="Overlap at which a box is the gold box.")
    min_box_f1: float = Field(0.5, ge=0, le=1, description="F1 of boxes with gold, for each kind of region.")
    disk_reach: float = Field(1.0, ge=0, le=20, description="Distance to a gold disk that is a hit, in radii (H/20).")
    min_disk_hits: float = Field(0.7, ge=0, le=1, description="Share of the disks that hit.")
    min_rank_correlation: float = Field(0.4, ge=-1, le=1, description="Spearman with gold, for each dimension.")
    min_tasks: int = Field(5, ge=LEAST_RANKED, description="Gold tasks that an attempt has, with regions or scores.")
    answered: float = Field(1.0, gt=0, le=1, description="Share of an attempt's tasks after which it is judged.")
    attempts: int = Field(2, ge=1, le=20, description="Attempts that a candidate has, each on another gold set.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one pair: by a candidate, or, as gold, by those who know.

    marks: None where regions are not asked for (or not answered); empty says that there is no flaw
    scores: of some dimensions or none; gold and candidates may use different scales, only the order counts
    """

    marks: tuple[Mark, ...] | None = None
    scores: Mapping[Dimension, float] = field(default_factory=dict)

    def covers(self, asked: Answer) -> bool:
        """Whether it answers all that is `asked`."""
        return (asked.marks is None or self.marks is not None) and asked.scores.keys() <= self.scores.keys()


@dataclass(frozen=True, slots=True)
class GoldTask:
    """A pair whose answer is known; `height` of the edited image in pixels."""

    pair_id: str
    height: int
    truth: Answer


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a candidate.

    name: box_f1_<kind>, disk_hits or rank_<dimension>; value: None where the gold does not ask for it
    """

    name: str
    value: float | None
    threshold: float
    sentence: str

    @property
    def passed(self) -> bool:
        return self.value is None or self.value >= self.threshold - 1e-9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one attempt came to.

    answered, asked: gold tasks of the attempt
    figures: all of them, empty while pending
    """

    person_id: str
    attempt: int
    outcome: Outcome
    answered: int
    asked: int
    figures: tuple[Figure, ...] = ()

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What failed, or what is missing, for the candidate and the manager."""
        if self.outcome == "pending":
            return (f"{self.answered} of {self.asked} gold tasks are answered.",)
        return tuple(figure.sentence for figure in self.figures if not figure.passed)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a candidate stands.

    phase: training, gold (an attempt is open), passed, or failed (no attempt is left)
    attempt: number of the current or last attempt, None in training, and where no gold set is left to begin one
    todo: pair ids of the tasks of this phase that are not answered yet, in their order
    verdicts: one for each attempt that was begun, the last is the current one's
    """

    person_id: str
    phase: Phase
    attempt: int | None
    todo: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = ()


def judge(
    person_id: str,
    gold: Sequence[GoldTask],
    answers: Mapping[str, Answer],
    options: QualificationOptions,
    attempt: int = 0,
) -> Verdict:
    """What a candidate's `answers`, by pair_id, to one gold set come to; neither order matters.

    - box_f1_<kind>: boxes of the kind, matched one to one at `iou`, counts added up over all tasks.  A box drawn where
      gold has none counts against the candidate; gold without any box of the kind lets one who drew none alone.
    - disk_hits: disks at most `disk_reach` radii (H/20 each) from the centre of a gold disk of the same kind, or inside
      a gold box of it, as a share of all that the candidate drew; 0 for who drew none where gold has some.
    - rank_<dimension>: Spearman with the gold scores, equal scores sharing their ranks; 0 for who scored all alike.

    Answers to other pairs than those of the set, and answers that leave out a part, do not count.  Pending while fewer
    tasks than the share `answered` have one.
    """
    done = sorted(
        (task for task in gold if task.pair_id in answers and answers[task.pair_id].covers(task.truth)),
        key=lambda task: task.pair_id,
    )
    if len(done) < math.ceil(options.answered * len(gold) - 1e-9) or not done:
        return Verdict(person_id, attempt, "pending", len(done), len(gold))
    both = [(task, answers[task.pair_id]) for task in done]
    figures = (
        *(_boxes(both, kind, options) for kind in KINDS),
        _disks(both, options),
        *(_ranks(both, dimension, options) for dimension in DIMENSIONS),
    )
    outcome: Outcome = "passed" if all(figure.passed for figure in figures) else "failed"
    return Verdict(person_id, attempt, outcome, len(done), len(gold), figures)


def standing(
    person_id: str,
    training: Sequence[str],
    trained: Collection[str],
    sets: Sequence[Sequence[GoldTask]],
    answers: Mapping[int, Mapping[str, Answer]],
    options: QualificationOptions,
    since: int = 0,
) -> Standing:
    """Where a candidate stands, who first answers the `training` tasks (pair ids; their answers are shown), then gold.

    Attempt n is on the n-th of `sets`, and the next one begins when it has failed.  `trained` are the training tasks
    that are answered, `answers` those to gold by attempt and pair.  Whoever shall qualify again gets `since`, the first
    attempt that counts now: what they passed before it no longer does.
    """
    todo = tuple(pair for pair in training if pair not in trained)
    if todo and since == 0:
        return Standing(person_id, "training", None, todo)
    verdicts: list[Verdict] = []
    for attempt in range(since, min(since + options.attempts, len(sets))):
        given = answers.get(attempt, {})
        verdict = judge(person_id, sets[attempt], given, options, attempt)
        verdicts.append(verdict)
        if verdict.outcome == "pending":
            todo = tuple(
                task.pair_id
                for task in sets[attempt]
                if task.pair_id not in given or not given[task.pair_id].covers(task.truth)
            )
            return Standing(person_id, "gold", attempt, todo, tuple(verdicts))
        if verdict.passed:
            return Standing(person_id, "passed", attempt, (), tuple(verdicts))
    last = verdicts[-1].attempt if verdicts else None
    return Standing(person_id, "failed", last, (), tuple(verdicts))


def check_gold(sets: Sequence[Sequence[GoldTask]], options: QualificationOptions) -> None:
    """`UserError` where a gold set cannot tell good from bad: too small, without a region, with equal scores alone.

    Also where a pair is in it twice or in two sets, since whoever tries again would know its answer.
    """
    if not sets:
        raise UserError("Expected at least one set of gold tasks, got none. Add pairs whose answers are known.")
    twice = [pair for pair, times in Counter(task.pair_id for tasks in sets for task in tasks).items() if times > 1]
    if twice:
        raise UserError(f"The gold task {twice[0]!r} is there more than once. Each attempt needs tasks of its own.")
    for number, tasks in enumerate(sets):
        _check_set(f"Gold set {number}", [task.truth for task in tasks], options)


def _check_set(name: str, truths: Sequence[Answer], options: QualificationOptions) -> None:
    marked = [truth.marks for truth in truths if truth.marks is not None]
    scored = {dimension: [t.scores[dimension] for t in truths if dimension in t.scores] for dimension in DIMENSIONS}
    parts = {"regions": len(marked)} | {f"a score of {dimension}": len(known) for dimension, known in scored.items()}
    if not any(parts.values()):
        raise UserError(f"{name}: expected gold regions or gold scores, got neither. Add them.")
    for part, count in parts.items():
        if 0 < count < options.min_tasks:
            raise UserError(
                f"{name}: expected at least {options.min_tasks} tasks with {part}, got {count}. Add tasks, or lower "
                "min_tasks."
            )
    if marked and not any(marked):
        raise UserError(f"{name}: expected at least one task with a flaw, got none. Add one.")
    for dimension, known in scored.items():
        if known and len(set(known)) == 1:
            raise UserError(f"{name}: all gold scores of {dimension} are {known[0]:g}. Add better and worse pairs.")


Both = Sequence[tuple[GoldTask, Answer]]


def _boxes(both: Both, kind: Kind, options: QualificationOptions) -> Figure:
    total = Matches()
    for task, answer in both:
        if task.truth.marks is not None:
            total += box_matches(answer.marks or (), task.truth.marks, options.iou, (kind,))
    sentence = (
        f"Boxes of kind {kind}: {total.hits} of {total.second} gold boxes found at IoU {options.iou:g} with "
        f"{total.first} boxes, F1 {_number(total.f1)}; at least {options.min_box_f1:g} is needed."
    )
    return Figure(f"box_f1_{kind}", total.f1, options.min_box_f1, sentence)


def _disks(both: Both, options: QualificationOptions) -> Figure:
    hits = drawn = expected = 0
    for task, answer in both:
        if task.truth.marks is not None:
            reach = options.disk_reach * disk_radius(task.height)
            found = disk_hits(answer.marks or (), task.truth.marks, reach)
            hits, drawn = hits + found[0], drawn + found[1]
            expected += sum(len(mark.disks) for mark in task.truth.marks)
    value = hits / drawn if drawn else (0.0 if expected else None)
    sentence = f"Disks: {hits} of {drawn} lie on a gold flaw; a share of at least {options.min_disk_hits:g} is needed."
    return Figure("disk_hits", value, options.min_disk_hits, sentence)


def _ranks(both: Both, dimension: Dimension, options: QualificationOptions) -> Figure:
    rated = [(task.truth.scores[dimension], answer) for task, answer in both if dimension in task.truth.scores]
    value = rank_correlation([gold for gold, _ in rated], [answer.scores[dimension] for _, answer in rated])
    sentence = (
        f"Scores of {dimension}: rank correlation {_number(value)} with gold on {len(rated)} tasks; at least "
        f"{options.min_rank_correlation:g} is needed."
    )
    return Figure(f"rank_{dimension}", value, options.min_rank_correlation, sentence)


def rank_correlation(gold: Iterable[float], own: Iterable[float]) -> float | None:
    """Spearman's rho, -1 to 1; 0 where all of one's `own` scores are equal; None with fewer than three, or equal gold.

    >>> rank_correlation([1, 2, 3, 4], [10, 20, 40, 30])
    0.8
    """
    one, other = (np.array([*scores], dtype=np.float64) for scores in (gold, own))
    if len(one) < LEAST_RANKED or np.ptp(one) == 0:
        return None
    return 0.0 if np.ptp(other) == 0 else spearman(one, other)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
