"""Stage 2: a drafted text per region goes round three reviewers until all three stand by the same text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from annotation.records import Region
from editfhf.simulate.flaws.flaw import Flaw

DRAFTS = (
    "There seems to be a problem in this region, but its exact nature needs a closer look by a reviewer.",
    "This part of the picture does not look right compared with the source image and with the instruction given.",
    "The marked region shows something unexpected that lowers the quality of the edited picture in this place.",
)
OPEN, LATE, DRAFTED_BADLY = 0.03, 0.12, 0.3
"""Shares of pairs on which the reviewers never agree, agree only after a late revision, and get a vague draft."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One reviewer's submission: the regions with their current texts, and what the reviewer did."""

    reviewer: int
    regions: tuple[Region, ...]
    verdict: Literal["agree", "revise"]


def reviews(
    regions: Sequence[Region], meant: Mapping[str, Flaw], reviewers: Sequence[int], rng: np.random.Generator
) -> tuple[list[Statement], bool]:
    """The submissions in order of time, and whether every text became final.

    meant: the flaw behind each region id; a region without one gets a text that says so little.
    """
    right = tuple(_worded(region, meant.get(region.region_id)) for region in regions)
    draft, careful = right, 0
    if rng.random() < DRAFTED_BADLY:
        draft = tuple(replace(region, rationale=DRAFTS[int(rng.integers(len(DRAFTS)))]) for region in right)
        careful = int(rng.integers(2))  # which reviewer does not let the vague draft pass
    final = bool(rng.random() >= OPEN)
    # A late revision: the last reviewer finds the texts too short, and the other two must look again.
    late = not final or rng.random() < LATE
    settled = tuple(_longer(region) for region in right) if late else right
    found: list[Statement] = []
    current, agreed, turn = draft, 0, 0
    while agreed < len(reviewers):
        wanted = settled if turn >= len(reviewers) - 1 else right if turn >= careful else draft
        agreed = agreed + 1 if wanted == current else 1
        found.append(Statement(reviewers[turn % len(reviewers)], wanted, "agree" if wanted == current else "revise"))
        current, turn = wanted, turn + 1
        if not final and turn == len(reviewers):
            break
    return found, final


def _worded(region: Region, flaw: Flaw | None) -> Region:
    if flaw is None:
        return replace(
            region, rationale="The marked place looks slightly different from the source and may disturb a viewer."
        )
    return replace(region, rationale=flaw.rationale, flaw_type=flaw.flaw_type, severity=flaw.severity)


def _longer(region: Region) -> Region:
    return replace(region, rationale=f"{region.rationale} A careful viewer notices it at first glance.")
