"""Data types of a campaign: tasks, answers, text reviews, gold, and the record by which tasks are planned.

Holds data and values derived from it, no behaviour; every other module except options and drafts may import it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self, get_args

from annotation.campaign.drafts import DraftsByPair
from annotation.campaign.options import CAMPAIGN_STAGES, CampaignOptions, CampaignStage, PairStage
from annotation.rationales import StatedText, TextAgreement, decide_agreement, most_common_latest
from annotation.records import Dimension, Mark, MarkFault, Pair, Region, RegionalAnnotation, Severity
from annotation.text import collapse_blanks, describe_bad_id
from mos.rejections import Rejection

PairImageSize = tuple[int, int]


class TaskKey(NamedTuple):
    """Key of a task: one round (counted from 0) of one participant's part in one stage of one pair."""

    stage: CampaignStage
    pair_id: str
    person_id: str
    round: int

    def __str__(self) -> str:
        return f"{self.stage}/{self.pair_id}/{self.person_id}/{self.round}"

    @property
    def project(self) -> str:
        """Name of the task's project: `stage/person_id`."""
        return f"{self.stage}/{self.person_id}"

    @classmethod
    def parse(cls, text: object) -> Self | None:
        """Parse a key; only its pair_id may hold slashes.  None when the text is no key.

        >>> TaskKey.parse("scoring/a/b/ann/0")
        TaskKey(stage='scoring', pair_id='a/b', person_id='ann', round=0)
        """
        if not isinstance(text, str) or text.count("/") < 3:
            return None
        stage, rest = text.split("/", 1)
        pair_id, person_id, number = rest.rsplit("/", 2)
        if stage not in CAMPAIGN_STAGES or describe_bad_id(pair_id) or not number.isdecimal() or len(number) > 6:
            return None
        key = cls(stage, pair_id, person_id, int(number))
        return key if str(key) == text else None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task that should exist; `sync` adds the data that all tasks of a pair share."""

    key: TaskKey
    data: dict[str, Any] = field(default_factory=dict)
    predictions: tuple[dict[str, Any], ...] = ()


CAMPAIGN_REJECTION_KEYS = {
    "key": "file",
    "annotation_id": "submission_id",
    "line": "row",
    "reason": "reason",
    "message": "message",
    "author": "annotator_id",
    "item_id": "item_id",
}
"""Keys of a line of `campaign/set_aside.jsonl`, and the field of `Rejection` that each one shows."""


def reject_submission(
    key: str,
    submission_id: int,
    line: int,
    reason: str,
    message: str,
    author: str | None = None,
    item_id: str | None = None,
) -> Rejection:
    """Make the rejection of a submission, or of a line of a state file.

    Parameters
    ----------
    key
        Key of the task, or the name of the file in which the line is wrong.
    submission_id
        Label Studio's number of the annotation; 0 for a line of a file.
    line
        Line of the version in the archive, or of the file.
    reason
        A short stable code in snake_case.
    message
        What was expected, what came, and what to do.
    author
        E-mail of the person who submitted it, if known.
    item_id
        Which part of the submission does not count; None for all of it.
    """
    return Rejection(
        "submission", key, line, reason, message, item_id=item_id, annotator_id=author, submission_id=submission_id
    )


ReportRejection = Callable[[Rejection], None]


ReviewStatus = Literal["open", "final", "escalated", "settled"]


TurnStatus = Literal["agreed", "revised", "outdated", "empty", "late", "foreign", "early", "settled"]


COUNTED_TURN_STATUSES: tuple[TurnStatus, ...] = ("agreed", "revised", "outdated")
"""Statuses of the turns that an export of the texts holds."""


@dataclass(frozen=True, slots=True)
class ReviewTurn:
    """What one reviewer or expert submitted about the text of one region.

    seen: the text that was shown, "" when there was none; text: the reviewer's own, None to agree with `seen`
    at: ISO time, compared as text
    """

    reviewer: str
    seen: str
    text: str | None
    flaw_type: str | None
    severity: Severity | None
    at: str

    @property
    def said(self) -> str:
        """The text that the reviewer agrees with: their own, or the one that was shown."""
        return self.seen if self.text is None else self.text


class ReviewEntry(NamedTuple):
    """A turn with its status; every turn stays in the history."""

    turn: ReviewTurn
    status: TurnStatus


@dataclass(frozen=True, slots=True)
class TextRevision:
    """A text that was the current one; `author` and `at` are None for the draft."""

    text: str
    author: str | None
    at: str | None


@dataclass(frozen=True, slots=True)
class TextReview:
    """The review of one region's text.

    revisions: every text that was the current one, the draft first; the last is the current one
    history: every turn in the order in which it was taken up
    standing: the latest turn of each reviewer that counts, the latest last
    answered: reviewers who answered the current revision
    words: number of turns that changed something, at most `limit * len(reviewers)`
    status: open, final (the reviewers agree), escalated (the expert is to decide), settled (the expert has)
    """

    reviewers: tuple[str, ...]
    limit: int
    needed: int
    revisions: tuple[TextRevision, ...]
    history: tuple[ReviewEntry, ...] = ()
    standing: tuple[ReviewTurn, ...] = ()
    answered: frozenset[str] = frozenset()
    words: int = 0
    status: ReviewStatus = "open"

    @property
    def current(self) -> str:
        """The text to show next; "" when nobody has written one."""
        return self.revisions[-1].text

    @property
    def result(self) -> ReviewTurn | None:
        """The turn with which the review ended, whose `said` is the final text; None before the end."""
        if self.status == "settled":
            return next(turn for turn, status in self.history if status == "settled")
        return self.standing[-1] if self.status == "final" else None

    @property
    def agreeing(self) -> tuple[ReviewTurn, ...]:
        """The turns that agree with the current (or the final) text, the latest last."""
        last = self.result.said if self.status == "final" and self.result else self.current
        return turns_with_text(self.standing, last)

    @property
    def flaw_type(self) -> str | None:
        """The expert's, else the most common one among the reviewers who agree."""
        turns = [self.result] if self.status == "settled" and self.result else self.agreeing
        return most_common_latest([turn.flaw_type for turn in turns])

    @property
    def severity(self) -> Severity | None:
        """The expert's, else the most common one among the reviewers who agree."""
        turns = [self.result] if self.status == "settled" and self.result else self.agreeing
        return most_common_latest([turn.severity for turn in turns])

    @property
    def verdict(self) -> TextAgreement:
        """Whether the turns so far make the latest text final."""
        stated = [StatedText(turn.reviewer, turn.said, turn.flaw_type, turn.severity) for turn in self.counted]
        return decide_agreement(stated, self.needed)

    @property
    def counted(self) -> tuple[ReviewTurn, ...]:
        """The reviewers' turns that count, in their order."""
        return tuple(turn for turn, status in self.history if status in COUNTED_TURN_STATUSES)


def turns_with_text(standing: Iterable[ReviewTurn], text: str) -> tuple[ReviewTurn, ...]:
    """The turns whose text is this one, blanks aside."""
    same = collapse_blanks(text)
    return tuple(turn for turn in standing if collapse_blanks(turn.said) == same)


InstructionVerdict = Literal["agree", "revise", "drop"]


INSTRUCTION_VERDICTS: tuple[InstructionVerdict, ...] = get_args(InstructionVerdict)


@dataclass(frozen=True, slots=True)
class InstructionCheck:
    """A checker's verdict on an instruction: keep it, rewrite it, or drop the pair.

    note: the instruction as it should read, or why the pair should be dropped; instruction: the one that was checked
    """

    pair_id: str
    person_id: str
    verdict: InstructionVerdict
    note: str
    at: str
    instruction: str


@dataclass(frozen=True, slots=True)
class CountedAnswer:
    """One submission that counts, with the parts of its task's key.

    at: ISO time, compared as text; seconds: time on the task (Label Studio's lead_time), None when unknown
    marks: regions drawn, empty for none; None in stages without regions; scores: empty in stages without scores
    faults: boxes and disks that were drawn and do not count
    """

    stage: str
    pair_id: str
    person_id: str
    round: int
    at: str
    seconds: float | None = None
    marks: tuple[Mark, ...] | None = None
    scores: Mapping[Dimension, float] = field(default_factory=dict)
    faults: tuple[MarkFault, ...] = ()


@dataclass(frozen=True, slots=True)
class PairWork:
    """What counts of one pair.

    done: tasks with a submission that counts; spoiled: tasks in which something was submitted and nothing counts
    declined: those spoiled tasks whose owner said that they cannot judge the pair
    regional, expert: annotations of each stage, in their latest state
    turns, settling: by region, all turns of the reviewers and of the expert on its text
    counted: archive lines of the versions that count, by task
    answered: marks and scores that count, one entry for each annotation in its latest state
    checks: verdicts on the instruction
    """

    done: frozenset[TaskKey] = frozenset()
    spoiled: frozenset[TaskKey] = frozenset()
    regional: tuple[RegionalAnnotation, ...] = ()
    expert: tuple[RegionalAnnotation, ...] = ()
    turns: Mapping[str, tuple[ReviewTurn, ...]] = field(default_factory=dict)
    settling: Mapping[str, tuple[ReviewTurn, ...]] = field(default_factory=dict)
    counted: Mapping[TaskKey, frozenset[int]] = field(default_factory=dict)
    answered: tuple[CountedAnswer, ...] = ()
    checks: tuple[InstructionCheck, ...] = ()
    declined: frozenset[TaskKey] = frozenset()


NO_WORK = PairWork()


@dataclass(frozen=True, slots=True)
class PairAnswer:
    """Marks and scores of one pair: a candidate's answer, or the known (gold) one.

    marks: None where regions are not asked for (or not answered); empty when there is no flaw
    scores: of some dimensions or none; gold and candidates may use different scales, only the order counts
    """

    marks: tuple[Mark, ...] | None = None
    scores: Mapping[Dimension, float] = field(default_factory=dict)

    def answers_all_of(self, asked: PairAnswer) -> bool:
        """Whether it has marks and scores wherever `asked` has them."""
        return (asked.marks is None or self.marks is not None) and asked.scores.keys() <= self.scores.keys()


@dataclass(frozen=True, slots=True)
class GoldTask:
    """A pair whose answer is known; `height` of the edited image in pixels."""

    pair_id: str
    height: int
    truth: PairAnswer


@dataclass(frozen=True, slots=True)
class GoldPair:
    """A pair with its known answer; `size` is (width, height) of the edited image in pixels.

    explanation: shown to candidates in training
    """

    pair: Pair
    size: tuple[int, int]
    truth: PairAnswer
    explanation: str = ""

    def task(self, regions: bool, scores: bool) -> GoldTask | None:
        """The gold task with the parts that are asked for; None when the known answer has none of them."""
        truth = PairAnswer(self.truth.marks if regions else None, self.truth.scores if scores else {})
        asked = truth.marks is not None or truth.scores
        return GoldTask(self.pair.pair_id, self.size[1], truth) if asked else None


@dataclass(frozen=True)
class GoldSet:
    """All gold of a corpus; none of its pairs is annotated by the campaign.

    training, hidden: in the order of the file; sets: those of attempt 0, 1, ...
    """

    training: tuple[GoldPair, ...] = ()
    sets: tuple[tuple[GoldPair, ...], ...] = ()
    hidden: tuple[GoldPair, ...] = ()

    @cached_property
    def pairs(self) -> Mapping[str, GoldPair]:
        """Every gold pair by its pair_id."""
        return self.lessons | self.hidden_pairs

    @cached_property
    def lessons(self) -> dict[str, GoldPair]:
        """Gold pairs of training and qualification, by pair_id."""
        return {one.pair.pair_id: one for part in (self.training, *self.sets) for one in part}

    @cached_property
    def hidden_pairs(self) -> dict[str, GoldPair]:
        """Gold pairs that are hidden among the tasks, by pair_id."""
        return {one.pair.pair_id: one for one in self.hidden}


class RequalifyRequest(NamedTuple):
    """A request to qualify again: the first attempt that counts from now on, and the ISO time of the request."""

    attempt: int
    at: str


@dataclass(frozen=True, slots=True)
class CampaignRecord:
    """Everything from which the tasks that should exist follow.

    work: what counts, by pair_id; sizes: (width, height) of the edited image of every pair with a submission
    existing: tasks that the server holds
    gold: pairs with known answers, none of them among `pairs`; gold_work: what counts of them, by pair_id
    since: requests to qualify again, by person_id
    again: tasks to do again, each with the codes of the reasons
    """

    options: CampaignOptions
    pairs: Sequence[Pair]
    work: Mapping[str, PairWork] = field(default_factory=dict)
    sizes: Mapping[str, PairImageSize] = field(default_factory=dict)
    drafts: DraftsByPair = field(default_factory=dict)
    existing: Collection[TaskKey] = frozenset()
    gold: GoldSet = field(default_factory=GoldSet)
    gold_work: Mapping[str, PairWork] = field(default_factory=dict)
    since: Mapping[str, RequalifyRequest] = field(default_factory=dict)
    again: Mapping[TaskKey, Sequence[str]] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, Pair]:
        """Every pair that can have tasks, gold pairs included, by pair_id."""
        return {pair.pair_id: pair for pair in self.pairs} | {
            pair_id: one.pair for pair_id, one in self.gold.pairs.items()
        }


@dataclass(frozen=True, slots=True)
class PairStatus:
    """How far one pair is.

    step: the first step that is not complete; None when all are; "dropped" when the checkers dropped the pair
    regions: the accepted regions; reviews: the review of each region's text; wanted: tasks that should exist now
    unqualified: tasks that wait until their person, or somebody else, has qualified
    """

    pair_id: str
    step: PairStage | Literal["dropped"] | None
    regions: tuple[Region, ...]
    reviews: Mapping[str, TextReview]
    wanted: tuple[TaskSpec, ...]
    unqualified: tuple[TaskKey, ...] = ()
