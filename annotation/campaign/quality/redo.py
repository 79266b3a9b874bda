"""Find tasks that should be done again, with reasons; the manager decides, in `campaign/redo.jsonl`.

Scores that differ from those of other raters are no reason: they are opinions, and the screening of raters handles
them.  Asking only those who differ to think again would create agreement instead of measuring it, so regions are asked
for again only where one annotator disagrees with all others, who agree with each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotation.campaign.model import CampaignRecord, CountedAnswer, PairWork, TaskKey
from annotation.campaign.options import CAMPAIGN_FOLDER, CAMPAIGN_STAGES, CampaignOptions, RedoOptions
from annotation.campaign.quality.matching import count_box_matches
from annotation.campaign.quality.participants import screen_campaign_raters
from annotation.campaign.state_files import CAMPAIGN_REDO_FILE, REDO_STAGES, append_state_lines, read_redo_requests
from annotation.records import MarkFault, Place, Rating

RedoReason = Literal["alone", "empty", "hasty", "same_scores", "box_without_disk", "disk_without_box", "kinds_mixed"]


FAULT_SENTENCES: dict[tuple[MarkFault, bool], str] = {
    ("box_without_disk", False): "1 box has no disk and does not count.",
    ("box_without_disk", True): "{count} boxes have no disk and do not count.",
    ("disk_without_box", False): "1 disk has no box and does not count.",
    ("disk_without_box", True): "{count} disks have no box and do not count.",
    ("kinds_mixed", False): "1 disk is of the other kind than the box around it: is the flaw an artifact or a failure?",
    ("kinds_mixed", True): (
        "{count} disks are of the other kind than the boxes around them: are the flaws artifacts or failures?"
    ),
}
"""What to tell the annotator about a fault, and about several of its kind."""

MIN_OTHERS = 2
"""Fewest other annotators on a pair from which one can be found alone."""


MAD_TO_SD = 1.4826
"""Standard deviations per median absolute deviation, for normal values."""


class RedoTask(NamedTuple):
    """A task that should be done again, and the figure that shows it.

    round: round of the present answer; threshold: the limit that `figure` is beyond
    """

    stage: str
    pair_id: str
    person_id: str
    round: int
    reason: RedoReason
    figure: float
    threshold: float
    sentence: str


def find_tasks_to_redo(answers: Iterable[CountedAnswer], options: RedoOptions) -> list[RedoTask]:
    """Find the tasks to do again; the order of the answers does not matter.

    Parameters
    ----------
    answers
        Submissions that count.  Of several rounds of a task the latest counts; a task that was done again already is
        not asked for once more.
    options
        Thresholds of the reasons.

    Returns
    -------
    list of RedoTask
        By stage, pair and person, one entry for each reason.

    Notes
    -----
    - alone: the person's boxes have an F1 below `alone_below` with those of every other person on the pair, while the
      others, two or more who drew, have at least `others_above` between any two.
    - empty: the person drew nothing where all others, two or more, drew.
    - hasty: the time is below `hasty_share` of the median and more than `hasty_deviations` robust standard deviations
      of log time below it.  Empty and other answers of a stage have a median each: an annotator who finds no flaw is
      quick for a good reason.
    - same_scores: one of at least `same_scores` tasks in a row, in the order of time, with exactly the same scores.
    - box_without_disk, disk_without_box, kinds_mixed: something was drawn that does not count, although the rest does.
    """
    latest: dict[tuple[str, str, str], CountedAnswer] = {}
    for answer in sorted(answers, key=lambda one: (one.round, one.at)):
        latest[answer.stage, answer.pair_id, answer.person_id] = answer
    current = [latest[key] for key in sorted(latest)]
    found = [
        *_find_alone_or_empty(current, options),
        *_find_hasty(current, options),
        *_find_same_scores(current, options),
        *_find_mark_faults(current),
    ]
    return sorted(one for one in found if one.round < options.rounds)


def _make_redo_task(
    answer: CountedAnswer, reason: RedoReason, figure: float, threshold: float, sentence: str
) -> RedoTask:
    key = (answer.stage, answer.pair_id, answer.person_id, answer.round)
    return RedoTask(*key, reason, figure, threshold, sentence)


def _find_alone_or_empty(answers: Sequence[CountedAnswer], options: RedoOptions) -> list[RedoTask]:
    pairs: dict[tuple[str, str], list[CountedAnswer]] = {}
    for answer in answers:
        if answer.marks is not None:
            pairs.setdefault((answer.stage, answer.pair_id), []).append(answer)
    found = []
    for people in pairs.values():
        f1 = {
            frozenset((one.person_id, other.person_id)): count_box_matches(
                one.marks or (), other.marks or (), options.iou
            ).f1
            for one, other in combinations(people, 2)
        }
        for person in people:
            others = [one for one in people if one is not person]
            if len(others) < MIN_OTHERS or not all(one.marks for one in others):
                continue
            redo = _redo_alone(person, others, f1, options) if person.marks else _redo_empty(person, others)
            found += [redo] if redo else []
    return found


def _redo_empty(person: CountedAnswer, others: Sequence[CountedAnswer]) -> RedoTask:
    sentence = f"No region is drawn, but each of the {len(others)} others drew at least one."
    return _make_redo_task(person, "empty", 0, 1, sentence)


def _redo_alone(
    person: CountedAnswer,
    others: Sequence[CountedAnswer],
    f1: Mapping[frozenset[str], float | None],
    options: RedoOptions,
) -> RedoTask | None:
    best = max(f1[frozenset((person.person_id, one.person_id))] or 0.0 for one in others)
    worst = min(f1[frozenset((one.person_id, other.person_id))] or 0.0 for one, other in combinations(others, 2))
    if best >= options.alone_below or worst < options.others_above:
        return None
    sentence = (
        f"The boxes agree with no other person's (F1 at most {best:.2f} at IoU {options.iou:g}), but the {len(others)} "
        f"others agree with each other (F1 at least {worst:.2f})."
    )
    return _make_redo_task(person, "alone", best, options.alone_below, sentence)


def _find_hasty(answers: Sequence[CountedAnswer], options: RedoOptions) -> list[RedoTask]:
    groups: dict[tuple[str, bool], list[tuple[CountedAnswer, float]]] = {}
    for answer in answers:
        # Work that was imported or restored has no time on the task, or an impossible one.
        if answer.seconds is not None and 0 < answer.seconds < math.inf:
            groups.setdefault((answer.stage, answer.marks == ()), []).append((answer, answer.seconds))
    found = []
    for timed in groups.values():
        if len(timed) < options.least_times:
            continue
        seconds = np.array([time for _, time in timed])
        usual, least = float(np.median(seconds)), hasty_threshold(seconds, options)
        found += [
            _make_redo_task(answer, "hasty", time, least, f"It took {time:.3g} s; the median is {usual:.3g} s.")
            for answer, time in timed
            if time < least
        ]
    return found


def hasty_threshold(seconds: NDArray[Any], options: RedoOptions) -> float:
    """The time in seconds below which a task is hasty, from the times of many tasks [n], all above 0.

    The lower of `hasty_share` of the median and exp(m - k s), m the median of log time, s 1.4826 times its median
    absolute deviation, and k `hasty_deviations`: neither an even pace nor a wide spread makes a task hasty.
    """
    logs = np.log(seconds)
    middle = np.median(logs)
    spread = MAD_TO_SD * np.median(np.abs(logs - middle))
    return float(min(options.hasty_share * np.median(seconds), np.exp(middle - options.hasty_deviations * spread)))


def _find_same_scores(answers: Sequence[CountedAnswer], options: RedoOptions) -> list[RedoTask]:
    people: dict[tuple[str, str], list[CountedAnswer]] = {}
    for answer in sorted(answers, key=lambda one: (one.at, one.pair_id)):
        if answer.scores:
            people.setdefault((answer.stage, answer.person_id), []).append(answer)
    found = []
    for in_order in people.values():
        for run in _runs_of_equal_scores(in_order):
            if len(run) >= options.same_scores:
                sentence = f"It is one of {len(run)} tasks in a row with the same scores."
                found += [
                    _make_redo_task(answer, "same_scores", len(run), options.same_scores, sentence) for answer in run
                ]
    return found


def _find_mark_faults(answers: Sequence[CountedAnswer]) -> list[RedoTask]:
    """Answers with boxes or disks that do not count, one entry for each kind of fault."""
    return [
        _make_redo_task(answer, fault, count, 0, FAULT_SENTENCES[fault, count > 1].format(count=count))
        for answer in answers
        for fault, count in sorted(Counter(answer.faults).items())
    ]


def _runs_of_equal_scores(answers: Sequence[CountedAnswer]) -> list[list[CountedAnswer]]:
    """Consecutive answers with the same scores, grouped."""
    runs: list[list[CountedAnswer]] = []
    for answer in answers:
        if runs and runs[-1][-1].scores == answer.scores:
            runs[-1].append(answer)
        else:
            runs.append([answer])
    return runs


@dataclass(frozen=True, slots=True)
class CampaignRedoList:
    """Tasks that should be done again, and the raters who are not asked.

    Parameters
    ----------
    tasks
        One entry for each reason, of tasks that are not in `redo.jsonl` yet.
    excluded
        Raters whom the scoring excludes at present, with the reason.
    spared
        Number of tasks that the excluded raters are not asked for.
    advice
        Sentences about raters whom the manager should check.
    """

    tasks: tuple[RedoTask, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    spared: int = 0
    advice: tuple[str, ...] = ()

    @property
    def keys(self) -> list[TaskKey]:
        """The tasks, each once, in order."""
        return sorted({redo_task_key(one) for one in self.tasks})


def make_redo_list(record: CampaignRecord, asked: Iterable[TaskKey] = ()) -> CampaignRedoList:
    """List the tasks that should be done again.

    Gold tasks are left out, because they judge people, not pairs; so are answers on which later stages built, such as
    regions after the expert's review.  Raters whom the screening excludes are not asked: their new scores would not
    count either.

    Parameters
    ----------
    record
        Record of the campaign.
    asked
        Tasks that were asked for already, which are left out.
    """
    options = record.options
    answers = [one for work in record.work.values() for one in work.answered if one.stage in REDO_STAGES]
    excluded, advice = _excluded_raters(record.work, options)
    known = {*asked}
    due = [
        one
        for one in find_tasks_to_redo(answers, options.redo or RedoOptions())
        if redo_task_key(one) not in known and not _has_later_answer(redo_task_key(one), record.work[one.pair_id])
    ]
    tasks = tuple(one for one in due if one.stage != "scoring" or one.person_id not in excluded)
    spared = len({redo_task_key(one) for one in due} - {redo_task_key(one) for one in tasks})
    return CampaignRedoList(tasks, excluded, spared, advice)


def redo_task_key(one: RedoTask | CountedAnswer) -> TaskKey:
    """Key of the task."""
    stage = next(stage for stage in REDO_STAGES if stage == one.stage)
    return TaskKey(stage, one.pair_id, one.person_id, one.round)


def read_requested_redos(corpus: Path) -> frozenset[TaskKey]:
    """The tasks that `campaign/redo.jsonl` names."""
    return frozenset(read_redo_requests(corpus / CAMPAIGN_FOLDER, lambda broken: None))


def append_redo_requests(corpus: Path, redo_list: CampaignRedoList) -> int:
    """Append the tasks that are not in `campaign/redo.jsonl` yet, with their reasons; return their number."""
    asked = read_requested_redos(corpus)
    lines: list[dict[str, object]] = []
    for key, entries in groupby(sorted(redo_list.tasks, key=redo_task_key), redo_task_key):
        if key not in asked:
            reasons = [{"reason": one.reason, "said": one.sentence} for one in entries]
            lines.append({"key": str(key), "reasons": reasons})
    if lines:
        append_state_lines(corpus / CAMPAIGN_FOLDER / CAMPAIGN_REDO_FILE, lines)
    return len(lines)


def _has_later_answer(key: TaskKey, work: PairWork) -> bool:
    """Whether a later stage of the pair has an answer."""
    later = CAMPAIGN_STAGES[CAMPAIGN_STAGES.index(key.stage) + 1 :]
    return any(done.stage in later for done in work.done)


def _excluded_raters(work: Mapping[str, PairWork], options: CampaignOptions) -> tuple[dict[str, str], tuple[str, ...]]:
    """Raters whom the paper's method excludes on the ratings so far, with the reason; and advice on raters."""
    ratings = [
        Rating(pair_id, one.person_id, dimension, score, one.at, Place("", 0))
        for pair_id, done in work.items()
        for one in done.answered
        if one.stage == "scoring"
        for dimension, score in one.scores.items()
    ]
    if not ratings:
        return {}, ()
    screening = screen_campaign_raters(ratings, options.rules.scale)
    columns = screening.raters.select(["rater", "excluded", "reason"]).to_pylist()
    return {row["rater"]: row["reason"] or "" for row in columns if row["excluded"]}, screening.advice
