"""Gold tasks hidden among the others, and the running score of each person on them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from annotation.campaign.gold.qualification import Answer, GoldTask
from annotation.campaign.quality.matching import box_matches
from mos.errors import UserError

MOST = 0.5
"""Highest rate: one gold task after every second other task at the most."""


class GoldOptions(BaseModel):
    """How much gold is hidden, what agrees with it, and when a person is flagged.

    A person is flagged when even the upper end of the Wilson interval of their share is below `min_share`: a few misses
    prove nothing.  It is looked at after every task, so it errs more often than once in 40: of those who truly agree
    with 90 %, 80 %, 70 % of gold, 0.1 %, 0.9 % and 5 % are ever flagged in 40 gold tasks; at 50 %, 40 % and 30 % it is
    54 %, 87 % and 99 % (simulated, defaults).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rate: float = Field(0.05, ge=0, le=MOST, description="Gold tasks for each other task of a stage.")
    iou: float = Field(0.5, gt=0, le=1, description="Overlap at which a box is the gold box.")
    min_f1: float = Field(0.5, ge=0, le=1, description="F1 of the boxes of a task that agrees with gold.")
    tolerance: float = Field(1.0, ge=0, description="Mean difference from the gold scores of a task that agrees.")
    window: int = Field(20, ge=1, description="Latest gold tasks of a person that count.")
    level: float = Field(0.95, gt=0, lt=1, description="Level of the interval.")
    min_share: float = Field(0.6, ge=0, le=1, description="Share of gold tasks that a person should agree with.")


@dataclass(frozen=True, slots=True)
class Running:
    """How often a person agreed with gold of late.

    n, agreed: gold tasks in the window; share: agreed / n, None without any; low, high: its Wilson interval (0 to 1)
    flagged: whether `high` is below `threshold`
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
        """Why the person is flagged; None when they are not."""
        if not self.flagged:
            return None
        return (
            f"{self.agreed} of the last {self.n} hidden gold tasks agree with gold: at best {100 * self.high:.0f} %, "
            f"{100 * self.threshold:g} % are expected."
        )


def sprinkle(
    work: Sequence[str], gold: Sequence[str], rate: float, *, person_id: str, stage: str, seed: int = 0
) -> tuple[str, ...]:
    """Pair ids in the order in which a person gets them: `work` in its order, with gold in between.

    One gold task for every 1 / `rate` others (0 to 0.5), each at a place of its own within its stretch, so that nobody
    can count them out; each at most once, never two in a row, never the very first.  Places depend on seed, stage and
    person alone, and which gold comes there on the gold too: work that is added at the end leaves everything before it
    as it is.  Nothing marks the gold: who makes the tasks gives all of them keys of the same form.

    `UserError` for another rate, or gold that is among the work as well: nobody should answer a pair twice.
    """
    if not 0 <= rate <= MOST:
        raise UserError(f"Expected a rate of hidden gold tasks from 0 to {MOST:g}, got {rate:g}.")
    both = sorted({*work} & {*gold})
    if both:
        raise UserError(f"The gold task {both[0]!r} is ordinary work too. Take gold pairs out of the stage.")
    dealt = sorted(set(gold), key=lambda pair: (_share(seed, "gold", stage, person_id, pair), pair))
    within = [_share(seed, "place", stage, person_id, str(number)) for number in range(len(dealt))]
    order: list[str] = []
    number = 0
    for done, pair in enumerate(work, start=1):
        order.append(pair)
        if number < len(dealt) and done * rate > number + within[number]:
            order.append(dealt[number])
            number += 1
    return tuple(order)


def agrees(gold: GoldTask, answer: Answer, options: GoldOptions) -> bool:
    """Whether an answer is as good as can be expected.

    Its boxes of both kinds have an F1 of at least `min_f1` with the gold boxes (no box where gold has none), and its
    scores differ from the gold scores by no more than `tolerance` on average.  What it does not answer does not agree.
    """
    truth = gold.truth
    if not answer.covers(truth):
        return False
    if truth.marks is not None:
        f1 = box_matches(answer.marks or (), truth.marks, options.iou).f1
        if f1 is not None and f1 < options.min_f1 - 1e-9:
            return False
    apart = [abs(answer.scores[dimension] - score) for dimension, score in truth.scores.items()]
    return not apart or math.fsum(apart) / len(apart) <= options.tolerance + 1e-9


def running(
    person_id: str, gold: Mapping[str, GoldTask], answers: Sequence[tuple[str, Answer]], options: GoldOptions
) -> Running:
    """The running score of a person from (pair_id, answer) in the order of time; pairs that are no gold are passed by.

    Of a pair that was answered twice the later answer counts.
    """
    latest: dict[str, Answer] = {}
    for pair_id, answer in answers:
        if pair_id in gold:
            latest.pop(pair_id, None)
            latest[pair_id] = answer
    window = list(latest.items())[-options.window :]
    agreed = sum(agrees(gold[pair_id], answer, options) for pair_id, answer in window)
    share = agreed / len(window) if window else None
    return Running(
        person_id, len(window), agreed, share, *wilson(agreed, len(window), options.level), options.min_share
    )


def wilson(successes: int, n: int, level: float) -> tuple[float, float]:
    """Interval of a share at confidence `level` (Wilson 1927), 0 to 1; (0, 1) without any trial."""
    from scipy.special import ndtri

    if n == 0:
        return 0.0, 1.0
    z = float(ndtri((1 + level) / 2))
    share = successes / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def _share(seed: int, *words: str) -> float:
    """A number in [0, 1) that depends on the words alone."""
    digest = hashlib.blake2b("\0".join([str(seed), *words]).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53
