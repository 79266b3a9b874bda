"""Which tasks somebody should do again, and why: a draft for the manager, who decides.

Scores that differ from those of other raters are no reason: they are opinions, and screening deals with them.  Asking
only those who differ to think again would make agreement, not measure it; so regions are asked for again only where one
person is alone against others who agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from annotation.campaign.quality.matching import box_matches
from annotation.records import Dimension, Mark

Reason = Literal["alone", "empty", "hasty", "same_scores"]

FEWEST_OTHERS = 2
"""Others on a pair against whom a person can be alone."""

NORMAL_MAD = 1.4826
"""Median absolute deviations to standard deviations, for normal values."""


class RedoOptions(BaseModel):
    """Thresholds of the reasons."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    iou: float = Field(0.3, gt=0, le=1, description="Overlap at which two people mean the same flaw.")
    alone_below: float = Field(0.1, ge=0, le=1, description="F1 with every other below which a person is alone.")
    others_above: float = Field(0.5, ge=0, le=1, description="F1 among the others from which these agree.")
    hasty_share: float = Field(0.2, ge=0, le=1, description="Share of the usual time below which a task is hasty.")
    hasty_deviations: float = Field(3.0, ge=0, description="And so many robust deviations of log time below it.")
    least_times: int = Field(20, ge=2, description="Known times without which no task is hasty.")
    same_scores: int = Field(6, ge=2, description="Tasks in a row with the same scores that are too many.")
    rounds: int = Field(1, ge=0, description="Answers of this round (from 0) and later ones are left as they are.")


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer that counts, with the parts of its task's key.

    at: ISO time, compared as text; seconds: time on the task (Label Studio's lead_time), None when unknown
    marks: regions drawn, empty for none; None in stages in which nobody draws; scores: empty where nobody scores
    """

    stage: str
    pair_id: str
    person_id: str
    round: int
    at: str
    seconds: float | None = None
    marks: tuple[Mark, ...] | None = None
    scores: Mapping[Dimension, float] = field(default_factory=dict)


class Redo(NamedTuple):
    """A task that should be done again in another round, and the figure that says so.

    round: of the answer at hand; threshold: what `figure` is beyond
    """

    stage: str
    pair_id: str
    person_id: str
    round: int
    reason: Reason
    figure: float
    threshold: float
    sentence: str


def to_redo(answers: Iterable[Answered], options: RedoOptions) -> list[Redo]:
    """The tasks to do again, by stage, pair and person, one entry for each reason; no order of the answers matters.

    Of several rounds of a task the latest counts, and one that was done again already is not asked for once more.

    - alone: the person's boxes have an F1 below `alone_below` with those of every other on the pair, while the others,
      two or more who drew, have at least `others_above` between any two.
    - empty: the person drew nothing where everybody else, two or more, drew.
    - hasty: the time is below `hasty_share` of the median and more than `hasty_deviations` robust standard deviations
      of log time below it.  The median is that of all answers of the stage which are empty, or which are not: whoever
      finds no flaw is quick with good reason.
    - same_scores: one of at least `same_scores` tasks in a row, in the order of time, to which the person gave exactly
      the same scores.
    """
    latest: dict[tuple[str, str, str], Answered] = {}
    for answer in sorted(answers, key=lambda one: (one.round, one.at)):
        latest[answer.stage, answer.pair_id, answer.person_id] = answer
    current = [latest[key] for key in sorted(latest)]
    found = [*_alone_or_empty(current, options), *_hasty(current, options), *_same_scores(current, options)]
    return sorted(one for one in found if one.round < options.rounds)


def _redo(answer: Answered, reason: Reason, figure: float, threshold: float, sentence: str) -> Redo:
    key = (answer.stage, answer.pair_id, answer.person_id, answer.round)
    return Redo(*key, reason, figure, threshold, sentence)


def _alone_or_empty(answers: Sequence[Answered], options: RedoOptions) -> list[Redo]:
    pairs: dict[tuple[str, str], list[Answered]] = {}
    for answer in answers:
        if answer.marks is not None:
            pairs.setdefault((answer.stage, answer.pair_id), []).append(answer)
    found = []
    for people in pairs.values():
        f1 = {
            frozenset((one.person_id, other.person_id)): box_matches(one.marks or (), other.marks or (), options.iou).f1
            for one, other in combinations(people, 2)
        }
        for person in people:
            others = [one for one in people if one is not person]
            if len(others) < FEWEST_OTHERS or not all(one.marks for one in others):
                continue
            redo = _alone(person, others, f1, options) if person.marks else _empty(person, others)
            found += [redo] if redo else []
    return found


def _empty(person: Answered, others: Sequence[Answered]) -> Redo:
    sentence = f"Nothing is drawn, but each of the {len(others)} others drew something."
    return _redo(person, "empty", 0, 1, sentence)


def _alone(
    person: Answered, others: Sequence[Answered], f1: Mapping[frozenset[str], float | None], options: RedoOptions
) -> Redo | None:
    best = max(f1[frozenset((person.person_id, one.person_id))] or 0.0 for one in others)
    worst = min(f1[frozenset((one.person_id, other.person_id))] or 0.0 for one, other in combinations(others, 2))
    if best >= options.alone_below or worst < options.others_above:
        return None
    sentence = (
        f"The boxes agree with nobody's (F1 at most {best:.2f} at IoU {options.iou:g}), but the {len(others)} others "
        f"agree (at least {worst:.2f})."
    )
    return _redo(person, "alone", best, options.alone_below, sentence)


def _hasty(answers: Sequence[Answered], options: RedoOptions) -> list[Redo]:
    groups: dict[tuple[str, bool], list[tuple[Answered, float]]] = {}
    for answer in answers:
        # Work that was imported or restored has no time on the task, or none that can be.
        if answer.seconds is not None and 0 < answer.seconds < math.inf:
            groups.setdefault((answer.stage, answer.marks == ()), []).append((answer, answer.seconds))
    found = []
    for timed in groups.values():
        if len(timed) < options.least_times:
            continue
        seconds = np.array([time for _, time in timed])
        usual, least = float(np.median(seconds)), hasty_below(seconds, options)
        found += [
            _redo(answer, "hasty", time, least, f"It took {time:.3g} s; the usual time is {usual:.3g} s.")
            for answer, time in timed
            if time < least
        ]
    return found


def hasty_below(seconds: np.ndarray, options: RedoOptions) -> float:
    """The time in seconds below which a task is hasty, from those of many tasks [n], all above 0.

    The lower of `hasty_share` of the median and exp(m - k s), m the median of log time, s 1.4826 times its median
    absolute deviation, and k `hasty_deviations`: neither an even pace nor a wide spread makes anybody hasty.
    """
    logs = np.log(seconds)
    middle = np.median(logs)
    spread = NORMAL_MAD * np.median(np.abs(logs - middle))
    return float(min(options.hasty_share * np.median(seconds), np.exp(middle - options.hasty_deviations * spread)))


def _same_scores(answers: Sequence[Answered], options: RedoOptions) -> list[Redo]:
    people: dict[tuple[str, str], list[Answered]] = {}
    for answer in sorted(answers, key=lambda one: (one.at, one.pair_id)):
        if answer.scores:
            people.setdefault((answer.stage, answer.person_id), []).append(answer)
    found = []
    for own in people.values():
        for run in _runs(own):
            if len(run) >= options.same_scores:
                sentence = f"It is one of {len(run)} tasks in a row with the same scores."
                found += [_redo(answer, "same_scores", len(run), options.same_scores, sentence) for answer in run]
    return found


def _runs(answers: Sequence[Answered]) -> list[list[Answered]]:
    """Answers one after the other with the same scores, together."""
    runs: list[list[Answered]] = []
    for answer in answers:
        if runs and runs[-1][-1].scores == answer.scores:
            runs[-1].append(answer)
        else:
            runs.append([answer])
    return runs
