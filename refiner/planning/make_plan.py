"""From findings to a plan: each area with its editors, instruction, seeds and reason."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.records import Box, Kind
from annotation.taxonomy import load_flaw_definitions
from mos.words import escape_unprintable
from refiner.planning.join_regions import EditArea
from refiner.planning.routes import choose_editors, find_route
from training.agents.results import Finding

LONGEST_RATIONALE = 400
"""Characters of a rationale that an editor is told."""

LONGEST_INSTRUCTION = 1000
"""Characters of the user's instruction that an editor is told."""

SAME_AREA = 0.5
"""Areas of two turns with at least this intersection over union of their boxes are the same area."""


@dataclass(frozen=True, slots=True)
class PlannedCandidate:
    """One try: an editor with a seed."""

    editor: str
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class PlannedEdit:
    """What is to be done with one area.

    Attributes
    ----------
    edit_id : str
        Number in the turn, from "1".
    area : EditArea
    kind : {"artifact", "failure"}
        Of the strongest region.
    flaw_type : str or None
        Of the strongest region; None where the reasoning agent did not say.
    findings : tuple of Finding
        Of all regions of the area, the strongest first.
    editors : tuple of str
        All editors that may repair it, in their order.
    candidates : tuple of PlannedCandidate
        Those of this turn; empty where nothing is left to try.
    instruction : str
        What the editors are told.
    reason : str
        Why these editors, or why none.
    """

    edit_id: str
    area: EditArea
    kind: Kind
    flaw_type: str | None
    findings: tuple[Finding, ...]
    editors: tuple[str, ...]
    candidates: tuple[PlannedCandidate, ...]
    instruction: str
    reason: str


class TriedEdits:
    """What was tried in vain in earlier turns, by area, so that a new turn tries something else."""

    def __init__(self) -> None:
        self._tried: list[tuple[Box, int]] = []

    def count_tries(self, box: Box) -> int:
        """Candidates that were tried for this area."""
        return max((count for known, count in self._tried if known.iou(box) >= SAME_AREA), default=0)

    def add_tries(self, box: Box, count: int) -> None:
        """Record that `count` further candidates were tried in vain."""
        total = self.count_tries(box) + count
        self._tried = [one for one in self._tried if one[0].iou(box) < SAME_AREA] + [(box, total)]


def make_plan(
    areas: Sequence[EditArea],
    findings: Mapping[str, Finding],
    instruction: str,
    available: Collection[str],
    *,
    preferred: Sequence[str] = (),
    candidates: int = 1,
    seed: int = 0,
    tried: TriedEdits | None = None,
    unseeded: Collection[str] = (),
) -> list[PlannedEdit]:
    """Plan the edits of one turn.

    Parameters
    ----------
    areas : sequence of EditArea
        In the order in which they are edited.
    findings : mapping from str to Finding
        By the id of the region.
    instruction : str
        The user's instruction; untrusted text.
    available, preferred
        As in `choose_editors`.
    candidates : int
        Tries of one area in one turn.
    seed : int
        Seed of the run.
    tried : TriedEdits, optional
        What was tried in vain before.
    unseeded : collection of str
        Editors that take no seed, so that a second try would be the first one again.

    Returns
    -------
    list of PlannedEdit
        One for each area, in the same order.
    """
    memory = TriedEdits() if tried is None else tried
    plan = []
    for number, area in enumerate(areas, start=1):
        told = tuple(findings[one.region_id] for one in area.regions)
        kind, flaw_type = area.regions[0].kind, told[0].flaw_type
        route = find_route(kind, flaw_type)
        editors = choose_editors(route, available, preferred)
        tries = _list_tries(editors, unseeded, memory.count_tries(area.box), candidates)
        chosen = tuple(PlannedCandidate(name, derive_seed(seed, area.box, name, attempt)) for name, attempt in tries)
        if not editors:
            reason = f"No editor of this run repairs it. {route.reason}"
        elif not chosen:
            reason = "Every editor that may repair it was tried before."
        else:
            reason = route.reason
        told_instruction = write_edit_instruction(route.task, told, instruction)
        plan.append(PlannedEdit(str(number), area, kind, flaw_type, told, editors, chosen, told_instruction, reason))
    return plan


def _list_tries(editors: Sequence[str], unseeded: Collection[str], done: int, count: int) -> list[tuple[str, int]]:
    """Editors with the number of the attempt, after the first `done`: each editor once, then those with seeds again."""
    tries: list[tuple[str, int]] = []
    attempt = 0
    while len(tries) < done + count:
        round_of = [(name, attempt) for name in editors if attempt == 0 or name not in unseeded]
        if not round_of:
            break
        tries += round_of
        attempt += 1
    return tries[done : done + count]


def derive_seed(seed: int, box: Box, editor: str, attempt: int) -> int:
    """The seed of one try, 0 to 2**31 - 1: a digest of the run's seed, the area, the editor and the attempt."""
    text = f"{seed} {list(map(int, box))} {editor} {attempt}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


def write_edit_instruction(task: str, findings: Sequence[Finding], instruction: str) -> str:
    """What an editor is told about one area.

    The user's instruction and the rationales are data: they are shortened, put on one line and quoted.

    Examples
    --------
    >>> write_edit_instruction("Remove the mark", [], "make it snow")
    'Remove the mark. Change nothing outside of the masked area. The image was made by the instruction: "make it snow"'
    """
    parts = [f"{task}."]
    named: dict[str, None] = {}
    for finding in findings:
        if finding.flaw_type is not None and finding.flaw_type != "other":
            named[load_flaw_definitions()[finding.kind][finding.flaw_type]] = None
    parts += named
    told = dict.fromkeys(_quote_text(one.rationale, LONGEST_RATIONALE) for one in findings if one.rationale)
    parts += [f"Diagnosis: {text}" for text in told]
    parts.append("Change nothing outside of the masked area.")
    if instruction.strip():
        parts.append(f"The image was made by the instruction: {_quote_text(instruction, LONGEST_INSTRUCTION)}")
    return " ".join(parts)


def _quote_text(text: str, longest: int) -> str:
    line = " ".join(escape_unprintable(text).split()).replace('"', "'")
    return f'"{line if len(line) <= longest else line[: longest - 1] + "…"}"'


def paint_mask(area: EditArea, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 [H, W]: 255 in the area, 0 elsewhere."""
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = map(int, area.box)
    mask[top:bottom, left:right][area.mask] = 255
    return mask
