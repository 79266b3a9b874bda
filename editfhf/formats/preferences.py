"""Pairs of edits of one source and one instruction, with the columns of Pick-a-Pic (Kirstain et al., NeurIPS 2023).

Who is preferred is not asked of people but computed from their mean opinion scores: the higher score wins, and where
the two 95 % intervals overlap nobody does.  The dataset has no interval of `overall`, which is a weighted geometric
mean of three scores; ours runs from the overall of the three lower ends to that of the three upper ends.  It supposes
nothing about how the three go together, and is rather too wide than too narrow.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

from annotation.records import DIMENSIONS, Dimension
from editfhf.build.plan import overall
from editfhf.formats.built import Built, Group, Row
from mos.errors import UserError

By = Dimension | Literal["overall"]
Ties = Literal["interval", "none"]
TEXTS = ("pair_id", "source_id", "instruction", "editor", "licence")
HALVES = tuple(f"{dimension}_ci95" for dimension in DIMENSIONS)


class Edit(NamedTuple):
    """One edit that can be compared: its score, the ends of its interval (None where there is none), and its row."""

    pair_id: str
    editor: str | None
    licence: str | None
    score: float
    low: float | None
    high: float | None
    group: Group
    row: int


class Prompt(NamedTuple):
    """What the edits have in common, and the edits, by pair_id; ranking_id of the first of its pairs."""

    source_id: str
    instruction: str
    edits: tuple[Edit, ...]
    first_id: int

    @property
    def pairs(self) -> int:
        return math.comb(len(self.edits), 2)


class Comparison(NamedTuple):
    """Two edits in the order of the columns; label of the first: 1 preferred, 0 not, 0.5 a tie."""

    first: Edit
    second: Edit
    label: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What an export will hold.

    prompts: of every split of the dataset, because ids run on from split to split; chosen: the splits that are
    written; unscored, unbounded, alone: edits left out by split: without the score, without an interval where
    one is needed, and without another edit to be compared with.
    """

    built: Built
    chosen: tuple[str, ...]
    by: By
    ties: Ties
    prompts: dict[str, list[Prompt]]
    unscored: Counter[str]
    unbounded: Counter[str]
    alone: Counter[str]

    @property
    def steps(self) -> int:
        return sum(prompt.pairs for split in self.chosen for prompt in self.prompts[split])

    def summary(self) -> dict[str, Any]:
        return {
            "format": "preferences",
            "by": self.by,
            "ties": self.ties,
            "splits": {split: self._counts(split) for split in self.chosen},
        }

    def _counts(self, split: str) -> dict[str, Any]:
        labels = [pair.label for prompt in self.prompts[split] for pair in compare(prompt.edits, self.ties)]
        left_out = {"no_score": self.unscored, "no_interval": self.unbounded, "nothing_to_compare_with": self.alone}
        return {
            "pairs": len(labels),
            "decided": sum(label != 0.5 for label in labels),
            "ties": sum(label == 0.5 for label in labels),
            "prompts": len(self.prompts[split]),
            "edits": sum(len(prompt.edits) for prompt in self.prompts[split]),
            "left_out": {reason: count[split] for reason, count in left_out.items()},
        }


def plan(built: Built, splits: Collection[str] = (), by: By = "overall", ties: Ties = "interval") -> Plan:
    """Find the prompts with two edits or more that can be compared; no picture is read.

    Raises UserError when the chosen splits have none.
    """
    made = Plan(built, built.chosen(splits), by, ties, {}, Counter(), Counter(), Counter())
    next_id = 1
    for split in built.splits:
        edits: dict[tuple[str, str], list[Edit]] = {}
        for group, number, row in _rows(built, split):
            edit = _edit(group, number, row, by)
            if edit is None:
                made.unscored[split] += 1
            elif ties == "interval" and edit.low is None:
                made.unbounded[split] += 1
            else:
                edits.setdefault((row["source_id"], row["instruction"]), []).append(edit)
        made.prompts[split] = []
        for (source_id, instruction), own in edits.items():
            prompt = Prompt(source_id, instruction, tuple(sorted(own)), next_id)
            next_id += prompt.pairs
            if prompt.pairs:
                made.prompts[split].append(prompt)
            else:
                made.alone[split] += 1
    if not made.steps:
        raise UserError(
            f"{built.root} has no two edits of one source and instruction with a score {by!r}, so there is no pair to "
            "export. `editfhf stats` shows what it holds."
        )
    return made


def _rows(built: Built, split: str) -> Iterator[tuple[Group, int, Row]]:
    columns = (*TEXTS, *DIMENSIONS, *HALVES, "overall")
    for group in built.groups(split):
        for number, row in enumerate(built.rows(group, built.read(group, columns))):
            for name in ("pair_id", "source_id", "instruction"):
                if row[name] is None:
                    raise built.fault(group, number, f"it has no {name}")
            yield group, number, row


def _edit(group: Group, number: int, row: Row, by: By) -> Edit | None:
    score = row[by]
    if score is None or not math.isfinite(score):
        return None
    low, high = interval(row, by) or (None, None)
    return Edit(row["pair_id"], row["editor"], row["licence"], score, low, high, group, number)


def interval(row: Row, by: By) -> tuple[float, float] | None:
    """The ends of the 95 % interval of a row's score; None where a score or a half-width is missing."""
    needed: Sequence[Dimension] = DIMENSIONS if by == "overall" else (by,)
    values = [row[name] for dimension in needed for name in (dimension, f"{dimension}_ci95")]
    if not all(value is not None and math.isfinite(value) for value in values):
        return None
    lows: dict[str, float] = {dimension: row[dimension] - row[f"{dimension}_ci95"] for dimension in needed}
    highs: dict[str, float] = {dimension: row[dimension] + row[f"{dimension}_ci95"] for dimension in needed}
    if by != "overall":
        return lows[by], highs[by]
    low, high = overall(lows), overall(highs)
    return None if low is None or high is None else (low, high)


def compare(edits: Sequence[Edit], ties: Ties) -> Iterator[Comparison]:
    """Every two of the edits, each pair in an order that tells nothing about who is better.

    The order comes from a digest of the two ids: the same for the same edits, whatever their scores and editors.
    """
    for one, other in combinations(edits, 2):
        digest = hashlib.sha256(f"{one.pair_id}\0{other.pair_id}".encode()).digest()
        first, second = (other, one) if digest[0] & 1 else (one, other)
        yield Comparison(first, second, label(first, second, ties))


def label(first: Edit, second: Edit, ties: Ties) -> float:
    """1 when the first is preferred, 0 when the second is, 0.5 for a tie: equal scores, or overlapping intervals."""
    if first.score == second.score or (ties == "interval" and _overlap(first, second)):
        return 0.5
    return float(first.score > second.score)


def _overlap(first: Edit, second: Edit) -> bool:
    """Whether two closed intervals share a point; without both there is nothing to overlap."""
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return False
    return max(first.low, second.low) <= min(first.high, second.high)
