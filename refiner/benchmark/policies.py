"""From verdicts to values: what becomes of a sample without a score, under each policy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mos.errors import UserError
from refiner.benchmark.suites import Question, Suite, compute_values, find_suite, list_questions
from refiner.benchmark.verdicts import JudgedRun, JudgedSample, Verdict

Policy = Literal["exclude", "zero", "fail", "official", "lmms-eval"]

POLICIES: tuple[Policy, ...] = get_args(Policy)

POLICY_MEANINGS: Mapping[Policy, str] = {
    "exclude": "A sample without all of its scores has no value.",
    "zero": "A sample without all of its scores has the lowest value.",
    "fail": "A sample without all of its scores is an error.",
    "official": "The benchmark's own code. GEdit: a reply that cannot be parsed counts as a random number from 0 to 10 "
    "(here its expectation), other failures have no value. KRIS: the scores that exist. ImgEdit: no value.",
    "lmms-eval": "The rules of lmms-eval. GEdit: as official for replies that cannot be parsed, other failures are 0. "
    "ImgEdit: failures are 0, scores are not capped. KRIS: the scores that exist. The mean is over samples.",
}

GEDIT_GUESSES = range(11)
"""GEdit's own code draws one of these where a reply cannot be parsed twice."""


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    """The values of one sample under a policy.

    Attributes
    ----------
    sample : JudgedSample
    values : tuple of float
        Empty where the policy gives none.
    judged : bool
        Whether every question has a score.
    """

    sample: JudgedSample
    values: tuple[float, ...]
    judged: bool


def compute_outcomes(run: JudgedRun, policy: Policy) -> list[SampleOutcome]:
    """The values of all samples of a run, in their order.

    Raises
    ------
    UserError
        Under the policy "fail", where a sample has not all of its scores.
    """
    suite = find_suite(str(run.receipt.get("benchmark")))
    by_sample: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in run.verdicts:
        by_sample[verdict.sample_id].append(verdict)
    return [_compute_outcome(suite, sample, by_sample[sample.sample_id], policy) for sample in run.samples]


def _compute_outcome(suite: Suite, sample: JudgedSample, verdicts: Sequence[Verdict], policy: Policy) -> SampleOutcome:
    questions = list_questions(suite, sample.group)
    scores: dict[str, float] = {}
    failed: list[tuple[Question, str]] = []
    for question in questions:
        answers = [one for one in verdicts if one.question == question.name]
        usable = [one for one in answers if one.status == "ok"]
        if usable:
            scores |= _average_scores(question, usable)
        else:
            failed.append((question, answers[0].status if answers else "missing"))
    if not failed:
        caps = policy != "lmms-eval"
        return SampleOutcome(sample, tuple(compute_values(suite, scores, caps=caps)), True)
    if policy == "fail":
        question, status = failed[0]
        raise UserError(
            f"Sample {sample.sample_id!r} has no score for {question.name} ({status}): judge it again, or choose "
            "another policy."
        )
    return SampleOutcome(sample, tuple(_fill_values(suite, questions, scores, failed, policy)), False)


def _average_scores(question: Question, usable: Sequence[Verdict]) -> dict[str, float]:
    """The mean over judges and repeats of each criterion."""
    return {
        criterion: math.fsum(float(one.scores[criterion]) for one in usable) / len(usable)
        for criterion in question.criteria
    }


def _fill_values(
    suite: Suite,
    questions: Sequence[Question],
    scores: Mapping[str, float],
    failed: Sequence[tuple[Question, str]],
    policy: Policy,
) -> list[float]:
    if policy == "exclude":
        return []
    if policy == "zero":
        lowest = float(suite.low) if suite.name == "imgedit" else 0.0
        criteria = sum(len(question.criteria) for question in questions)
        return [lowest] * (criteria if suite.name == "kris" else 1)
    if suite.name == "kris":
        return compute_values(suite, scores)
    if suite.name == "gedit" and all(status == "unparsed" for _, status in failed):
        return [_expect_guessed_value(scores)]
    return [0.0] if policy == "lmms-eval" else []


def _expect_guessed_value(scores: Mapping[str, float]) -> float:
    """The expectation of sqrt(SC PQ) where SC, PQ or both are drawn from 0 to 10."""
    guesses = [float(guess) for guess in GEDIT_GUESSES]
    semantics = [min(scores["editing_success"], scores["over_editing"])] if "editing_success" in scores else guesses
    quality = [min(scores["naturalness"], scores["artifacts"])] if "naturalness" in scores else guesses
    drawn = [math.sqrt(one * other) for one in semantics for other in quality]
    return math.fsum(drawn) / len(drawn)
