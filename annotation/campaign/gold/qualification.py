"""Judge candidates: score their answers to gold tasks, attempt by attempt.

A figure that the gold of an attempt does not ask for (no failures in it, no scores) is None and is not judged: the gold
of raters may hold only scores, that of annotators only regions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from annotation.campaign.model import GoldTask, PairAnswer
from annotation.campaign.options import MIN_RANKED_SCORES, QualificationOptions
from annotation.campaign.quality.matching import BoxMatches, count_box_matches, count_disk_hits, disk_radius
from annotation.records import DIMENSIONS, KINDS, Dimension, Kind
from mos.ranks import spearman_correlation

AttemptStatus = Literal["passed", "failed", "pending"]
CandidatePhase = Literal["training", "gold", "passed", "failed"]


@dataclass(frozen=True, slots=True)
class QualificationFigure:
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
class AttemptResult:
    """The result of one attempt.

    answered, asked: answered gold tasks of the attempt, and all of them
    figures: empty while pending
    """

    person_id: str
    attempt: int
    outcome: AttemptStatus
    answered: int
    asked: int
    figures: tuple[QualificationFigure, ...] = ()

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What failed or is missing, as sentences for the candidate and the manager."""
        if self.outcome == "pending":
            return (f"{self.answered} of {self.asked} gold tasks are answered.",)
        return tuple(figure.sentence for figure in self.figures if not figure.passed)


@dataclass(frozen=True, slots=True)
class CandidateStatus:
    """How far a candidate is.

    phase: training, gold (an attempt is open), passed, or failed (no attempt is left)
    attempt: number of the current or last attempt; None in training, and when no gold set is left for one
    todo: pair ids of the unanswered tasks of this phase, in their order
    verdicts: results of the attempts that were begun; the last is the current one
    """

    person_id: str
    phase: CandidatePhase
    attempt: int | None
    todo: tuple[str, ...]
    verdicts: tuple[AttemptResult, ...] = ()


def judge_attempt(
    person_id: str,
    gold: Sequence[GoldTask],
    answers: Mapping[str, PairAnswer],
    options: QualificationOptions,
    attempt: int = 0,
) -> AttemptResult:
    """Judge a candidate's answers to one gold set.

    Parameters
    ----------
    person_id
        The candidate.
    gold
        Gold tasks of the attempt; their order does not matter.
    answers
        Answers by pair_id.  Answers to other pairs, and answers that lack a part, do not count.
    options
        Thresholds.
    attempt
        Number of the attempt, from 0.

    Returns
    -------
    AttemptResult
        Pending while fewer tasks than the share `answered` have an answer.

    Notes
    -----
    - box_f1_<kind>: boxes of the kind, matched one to one at `iou`, counts added up over all tasks.  A box where
      gold has none counts against the candidate; where neither has any, the kind is not judged.
    - disk_hits: disks at most `disk_reach` radii (H/20 each) from the centre of a gold disk of the same kind, or inside
      a gold box of it, as a share of all disks of the candidate; 0 for a candidate without disks where gold has some.
    - rank_<dimension>: Spearman with the gold scores, equal scores sharing their ranks; 0 when all scores are equal.
    """
    done = sorted(
        (task for task in gold if task.pair_id in answers and answers[task.pair_id].answers_all_of(task.truth)),
        key=lambda task: task.pair_id,
    )
    if len(done) < math.ceil(options.answered * len(gold) - 1e-9) or not done:
        return AttemptResult(person_id, attempt, "pending", len(done), len(gold))
    both = [(task, answers[task.pair_id]) for task in done]
    figures = (
        *(_box_figure(both, kind, options) for kind in KINDS),
        _disk_figure(both, options),
        *(_rank_figure(both, dimension, options) for dimension in DIMENSIONS),
    )
    outcome: AttemptStatus = "passed" if all(figure.passed for figure in figures) else "failed"
    return AttemptResult(person_id, attempt, outcome, len(done), len(gold), figures)


def candidate_status(
    person_id: str,
    training: Sequence[str],
    trained: Collection[str],
    sets: Sequence[Sequence[GoldTask]],
    answers: Mapping[int, Mapping[str, PairAnswer]],
    options: QualificationOptions,
    since: int = 0,
) -> CandidateStatus:
    """How far a candidate is, who first answers the training tasks, then gold.

    Parameters
    ----------
    person_id
        The candidate.
    training
        Pair ids of the training tasks, which show their answers.
    trained
        Pair ids of the training tasks that the candidate answered.
    sets
        Gold tasks of attempt 0, 1, ...; the next attempt begins when one has failed.
    answers
        Answers to gold, by attempt and pair_id.
    options
        Thresholds, and the number of attempts.
    since
        First attempt that counts; above 0 after a request to qualify again.
    """
    todo = tuple(pair for pair in training if pair not in trained)
    if todo and since == 0:
        return CandidateStatus(person_id, "training", None, todo)
    verdicts: list[AttemptResult] = []
    for attempt in range(since, min(since + options.attempts, len(sets))):
        given = answers.get(attempt, {})
        verdict = judge_attempt(person_id, sets[attempt], given, options, attempt)
        verdicts.append(verdict)
        if verdict.outcome == "pending":
            todo = tuple(
                task.pair_id
                for task in sets[attempt]
                if task.pair_id not in given or not given[task.pair_id].answers_all_of(task.truth)
            )
            return CandidateStatus(person_id, "gold", attempt, todo, tuple(verdicts))
        if verdict.passed:
            return CandidateStatus(person_id, "passed", attempt, (), tuple(verdicts))
    last = verdicts[-1].attempt if verdicts else None
    return CandidateStatus(person_id, "failed", last, (), tuple(verdicts))


GoldAnswers = Sequence[tuple[GoldTask, PairAnswer]]


def _box_figure(both: GoldAnswers, kind: Kind, options: QualificationOptions) -> QualificationFigure:
    total = BoxMatches()
    for task, answer in both:
        if task.truth.marks is not None:
            total += count_box_matches(answer.marks or (), task.truth.marks, options.iou, (kind,))
    sentence = (
        f"Boxes of kind {kind}: {total.hits} of {total.second} gold boxes found at IoU {options.iou:g} with "
        f"{total.first} boxes, F1 {_format_figure(total.f1)}; expected at least {options.min_box_f1:g}."
    )
    return QualificationFigure(f"box_f1_{kind}", total.f1, options.min_box_f1, sentence)


def _disk_figure(both: GoldAnswers, options: QualificationOptions) -> QualificationFigure:
    hits = drawn = expected = 0
    for task, answer in both:
        if task.truth.marks is not None:
            reach = options.disk_reach * disk_radius(task.height)
            found = count_disk_hits(answer.marks or (), task.truth.marks, reach)
            hits, drawn = hits + found[0], drawn + found[1]
            expected += sum(len(mark.disks) for mark in task.truth.marks)
    value = hits / drawn if drawn else (0.0 if expected else None)
    sentence = f"Disks: {hits} of {drawn} lie on a gold flaw; expected a share of at least {options.min_disk_hits:g}."
    return QualificationFigure("disk_hits", value, options.min_disk_hits, sentence)


def _rank_figure(both: GoldAnswers, dimension: Dimension, options: QualificationOptions) -> QualificationFigure:
    rated = [(task.truth.scores[dimension], answer) for task, answer in both if dimension in task.truth.scores]
    value = gold_rank_correlation([gold for gold, _ in rated], [answer.scores[dimension] for _, answer in rated])
    sentence = (
        f"Scores of {dimension}: rank correlation {_format_figure(value)} with gold on {len(rated)} tasks; expected "
        f"at least {options.min_rank_correlation:g}."
    )
    return QualificationFigure(f"rank_{dimension}", value, options.min_rank_correlation, sentence)


def gold_rank_correlation(gold: Iterable[float], own: Iterable[float]) -> float | None:
    """Spearman's rho of gold and `own` scores, -1 to 1.

    0 when all `own` scores are equal; None with fewer than three scores, or when all gold scores are equal.

    >>> gold_rank_correlation([1, 2, 3, 4], [10, 20, 40, 30])
    0.8
    """
    gold_scores, own_scores = (np.array([*scores], dtype=np.float64) for scores in (gold, own))
    if len(gold_scores) < MIN_RANKED_SCORES or np.ptp(gold_scores) == 0:
        return None
    return 0.0 if np.ptp(own_scores) == 0 else spearman_correlation(gold_scores, own_scores)


def _format_figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
