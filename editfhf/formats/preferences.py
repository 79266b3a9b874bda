"""Preference pairs of edits of one source and one instruction (columns of Pick-a-Pic, Kirstain et al., NeurIPS 2023).

Preferences are computed from mean opinion scores: the edit with the higher score is preferred, and overlapping 95 %
intervals are a tie. The dataset has no interval of `overall`, the weighted geometric mean of three scores. Here it
runs from the overall of the three lower ends to the overall of the three upper ends: it assumes nothing about the
dependence of the three, and is too wide rather than too narrow.
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
from annotation.rules import compute_overall
from editfhf.formats.folders import BuiltDataset, DatasetRow, RowGroup
from mos.errors import UserError

PreferenceScore = Dimension | Literal["overall"]
TieRule = Literal["interval", "none"]
PREFERENCE_TEXT_COLUMNS = ("pair_id", "source_id", "instruction", "editor", "licence")
HALF_WIDTH_COLUMNS = tuple(f"{dimension}_ci95" for dimension in DIMENSIONS)


class ScoredEdit(NamedTuple):
    """One edit with a score; low, high: ends of its 95 % interval, or None; group, row: its place in the dataset."""

    pair_id: str
    editor: str | None
    licence: str | None
    score: float
    low: float | None
    high: float | None
    group: RowGroup
    row: int


class PreferencePrompt(NamedTuple):
    """All edits of one source and instruction, sorted by pair_id; first_id: the ranking_id of their first pair."""

    source_id: str
    instruction: str
    edits: tuple[ScoredEdit, ...]
    first_id: int

    @property
    def pairs(self) -> int:
        """Number of pairs of two edits."""
        return math.comb(len(self.edits), 2)


class PreferencePair(NamedTuple):
    """Two edits in the order of the columns. label: 1 if the first is preferred, 0 if the second is, 0.5 for a tie."""

    first: ScoredEdit
    second: ScoredEdit
    label: float


@dataclass(frozen=True, slots=True)
class PreferencePlan:
    """Content of an export of preference pairs.

    Attributes
    ----------
    built : BuiltDataset
        Dataset to export.
    chosen : tuple of str
        Splits to write.
    by : str
        Score that decides.
    ties : str
        "interval": overlapping 95 % intervals are a tie; "none": only equal scores are.
    prompts : dict
        Prompts of every split of the dataset, because ids continue from split to split.
    unscored, unbounded, alone : Counter
        Edits left out, by split: without a score, without a needed interval, without another edit to compare with.
    """

    built: BuiltDataset
    chosen: tuple[str, ...]
    by: PreferenceScore
    ties: TieRule
    prompts: dict[str, list[PreferencePrompt]]
    unscored: Counter[str]
    unbounded: Counter[str]
    alone: Counter[str]

    @property
    def steps(self) -> int:
        """Number of pairs to write, for a progress bar."""
        return sum(prompt.pairs for split in self.chosen for prompt in self.prompts[split])

    def summary(self) -> dict[str, Any]:
        """Counts of the written splits, as JSON values."""
        return {
            "format": "preferences",
            "by": self.by,
            "ties": self.ties,
            "splits": {split: self._count_split(split) for split in self.chosen},
        }

    def _count_split(self, split: str) -> dict[str, Any]:
        labels = [pair.label for prompt in self.prompts[split] for pair in pair_edits(prompt.edits, self.ties)]
        left_out = {"no_score": self.unscored, "no_interval": self.unbounded, "nothing_to_compare_with": self.alone}
        return {
            "pairs": len(labels),
            "decided": sum(label != 0.5 for label in labels),
            "ties": sum(label == 0.5 for label in labels),
            "prompts": len(self.prompts[split]),
            "edits": sum(len(prompt.edits) for prompt in self.prompts[split]),
            "left_out": {reason: count[split] for reason, count in left_out.items()},
        }


def plan_preferences(
    built: BuiltDataset, splits: Collection[str] = (), by: PreferenceScore = "overall", ties: TieRule = "interval"
) -> PreferencePlan:
    """Find the prompts with two or more comparable edits, without reading an image.

    Parameters
    ----------
    built : BuiltDataset
        Dataset to export.
    splits : collection of str
        Splits to write; all if empty.
    by : str
        Score that decides: a dimension or "overall".
    ties : str
        "interval" or "none", see `PreferencePlan`.

    Returns
    -------
    PreferencePlan

    Raises
    ------
    UserError
        The chosen splits have no pair, or the dataset has an invalid row.
    """
    plan = PreferencePlan(built, built.choose_splits(splits), by, ties, {}, Counter(), Counter(), Counter())
    next_id = 1
    for split in built.splits:
        edits: dict[tuple[str, str], list[ScoredEdit]] = {}
        for group, number, row in _read_edit_rows(built, split):
            edit = _make_scored_edit(group, number, row, by)
            if edit is None:
                plan.unscored[split] += 1
            elif ties == "interval" and edit.low is None:
                plan.unbounded[split] += 1
            else:
                edits.setdefault((row["source_id"], row["instruction"]), []).append(edit)
        plan.prompts[split] = []
        for (source_id, instruction), alike in edits.items():
            prompt = PreferencePrompt(source_id, instruction, tuple(sorted(alike)), next_id)
            next_id += prompt.pairs
            if prompt.pairs:
                plan.prompts[split].append(prompt)
            else:
                plan.alone[split] += 1
    if not plan.steps:
        raise UserError(
            f"{built.root} has no two edits of one source and instruction with a score {by!r}, so there is no pair to "
            "export. `editfhf stats` shows its content."
        )
    return plan


def _read_edit_rows(built: BuiltDataset, split: str) -> Iterator[tuple[RowGroup, int, DatasetRow]]:
    columns = (*PREFERENCE_TEXT_COLUMNS, *DIMENSIONS, *HALF_WIDTH_COLUMNS, "overall")
    for group in built.iterate_row_groups(split):
        for number, row in enumerate(built.decode_rows(group, built.read_columns(group, columns))):
            for name in ("pair_id", "source_id", "instruction"):
                if row[name] is None:
                    raise built.make_row_error(group, number, f"{name} is missing")
            yield group, number, row


def _make_scored_edit(group: RowGroup, number: int, row: DatasetRow, by: PreferenceScore) -> ScoredEdit | None:
    score = row[by]
    if score is None or not math.isfinite(score):
        return None
    low, high = compute_score_interval(row, by) or (None, None)
    return ScoredEdit(row["pair_id"], row["editor"], row["licence"], score, low, high, group, number)


def compute_score_interval(row: DatasetRow, by: PreferenceScore) -> tuple[float, float] | None:
    """The ends of the 95 % interval of a row's score; None if a score or a half-width is missing."""
    needed: Sequence[Dimension] = DIMENSIONS if by == "overall" else (by,)
    values = [row[name] for dimension in needed for name in (dimension, f"{dimension}_ci95")]
    if not all(value is not None and math.isfinite(value) for value in values):
        return None
    lows: dict[Dimension, float] = {dimension: row[dimension] - row[f"{dimension}_ci95"] for dimension in needed}
    highs: dict[Dimension, float] = {dimension: row[dimension] + row[f"{dimension}_ci95"] for dimension in needed}
    if by != "overall":
        return lows[by], highs[by]
    low, high = compute_overall(lows), compute_overall(highs)
    return None if low is None or high is None else (low, high)


def pair_edits(edits: Sequence[ScoredEdit], ties: TieRule) -> Iterator[PreferencePair]:
    """Every two of the edits, labelled; a digest of the two ids decides the order, so the scores do not."""
    for left, right in combinations(edits, 2):
        digest = hashlib.sha256(f"{left.pair_id}\0{right.pair_id}".encode()).digest()
        first, second = (right, left) if digest[0] & 1 else (left, right)
        yield PreferencePair(first, second, label_preference(first, second, ties))


def label_preference(first: ScoredEdit, second: ScoredEdit, ties: TieRule) -> float:
    """1 if the first is preferred, 0 if the second is, 0.5 for a tie: equal scores, or overlapping intervals."""
    if first.score == second.score or (ties == "interval" and _intervals_overlap(first, second)):
        return 0.5
    return float(first.score > second.score)


def _intervals_overlap(first: ScoredEdit, second: ScoredEdit) -> bool:
    """Whether two closed intervals share a point; False if one is missing."""
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return False
    return max(first.low, second.low) <= min(first.high, second.high)
