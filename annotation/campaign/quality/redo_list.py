"""The tasks of a campaign to do again: worked out from the record, and noted in `campaign/redo.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from annotation.campaign.answers import Work
from annotation.campaign.gold.requalify import append_lines
from annotation.campaign.options import FOLDER, Options
from annotation.campaign.options import STAGES as ORDER
from annotation.campaign.planning.planner import Record
from annotation.campaign.quality.again import FILE, STAGES, read_again
from annotation.campaign.quality.redo import Answered, Redo, RedoOptions, to_redo
from annotation.campaign.quality.regions import screen_raters
from annotation.campaign.tasks import TaskKey
from annotation.records import Place, Rating


@dataclass(frozen=True, slots=True)
class RedoList:
    """What should be done again, and whom it makes no sense to ask.

    tasks: one entry for each reason, of tasks that are not in the file yet
    excluded: raters whom the scoring would set aside as things are, and why; spared: how many tasks of theirs it
        would have been
    advice: sentences on raters whom a person should look at
    """

    tasks: tuple[Redo, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    spared: int = 0
    advice: tuple[str, ...] = ()

    @property
    def keys(self) -> list[TaskKey]:
        """The tasks, each once, in order."""
        return sorted({key_of(one) for one in self.tasks})


def redo_list(record: Record, asked: Iterable[TaskKey] = ()) -> RedoList:
    """The tasks that should be done again and are not among those that were `asked` for already.

    Gold is left alone: it judges people, not pairs; and so is what others have built on since, such as regions after
    the expert's review.  Raters whom screening excludes are not asked: their scores do not
    count whatever they say next, and they would be asked for nearly all of them.
    """
    options = record.options
    answers = [one for work in record.work.values() for one in work.answered if one.stage in STAGES]
    excluded, advice = _screened(record.work, options)
    known = {*asked}
    due = [
        one
        for one in to_redo(answers, options.redo or RedoOptions())
        if key_of(one) not in known and not _built_on(key_of(one), record.work[one.pair_id])
    ]
    tasks = tuple(one for one in due if one.stage != "scoring" or one.person_id not in excluded)
    spared = len({key_of(one) for one in due} - {key_of(one) for one in tasks})
    return RedoList(tasks, excluded, spared, advice)


def key_of(one: Redo | Answered) -> TaskKey:
    """The key of the task."""
    stage = next(stage for stage in STAGES if stage == one.stage)
    return TaskKey(stage, one.pair_id, one.person_id, one.round)


def asked_already(corpus: Path) -> frozenset[TaskKey]:
    """The tasks that `campaign/redo.jsonl` names."""
    return read_again(corpus / FOLDER, lambda broken: None)


def note(corpus: Path, found: RedoList) -> int:
    """Add the tasks to `campaign/redo.jsonl`, a line each with its reasons; how many were not in it yet."""
    asked = asked_already(corpus)
    lines: list[dict[str, object]] = []
    for key, entries in groupby(sorted(found.tasks, key=key_of), key_of):
        if key not in asked:
            reasons = [{"reason": one.reason, "said": one.sentence} for one in entries]
            lines.append({"key": str(key), "reasons": reasons})
    if lines:
        append_lines(corpus / FOLDER / FILE, lines)
    return len(lines)


def _built_on(key: TaskKey, work: Work) -> bool:
    """Whether a later stage of the pair has an answer already."""
    later = ORDER[ORDER.index(key.stage) + 1 :]
    return any(done.stage in later for done in work.done)


def _screened(work: Mapping[str, Work], options: Options) -> tuple[dict[str, str], tuple[str, ...]]:
    """Raters whom the paper's method excludes on the ratings so far, with the reason; and advice on others."""
    ratings = [
        Rating(pair_id, one.person_id, dimension, score, one.at, Place("", 0))
        for pair_id, done in work.items()
        for one in done.answered
        if one.stage == "scoring"
        for dimension, score in one.scores.items()
    ]
    if not ratings:
        return {}, ()
    screening = screen_raters(ratings, options.scale)
    columns = screening.raters.select(["rater", "excluded", "reason"]).to_pylist()
    return {row["rater"]: row["reason"] or "" for row in columns if row["excluded"]}, screening.advice
