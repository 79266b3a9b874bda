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
OPEN = 0.03
"""Share of pairs on which the reviewers never agree."""


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
    final = bool(rng.random() >= OPEN)
    right = tuple(_worded(region, meant.get(region.region_id)) for region in regions)
    drafted = tuple(
        replace(region, rationale=DRAFTS[int(rng.integers(len(DRAFTS)))]) if rng.random() < 0.3 else region
        for region in right
    )
    current, agreed, found, turn = drafted, 0, [], 0
    late = rng.random() < 0.12
    while agreed < len(reviewers):
        reviewer = reviewers[turn % len(reviewers)]
        # A late revision: the last reviewer finds the text too short, and the other two must look again.
        longer = late and turn == len(reviewers) - 1 and bool(current)
        changed = tuple(_longer(region) for region in right) if longer else right
        target = changed if longer or (current in (drafted, right) and turn < len(reviewers)) else current
        verdict: Literal["agree", "revise"] = "agree" if target == current else "revise"
        agreed = agreed + 1 if verdict == "agree" else 1
        current = target
        found.append(Statement(reviewer, current, verdict))
        turn += 1
    if not final and found:
        last = found[-1]
        found[-1] = Statement(last.reviewer, tuple(_longer(region) for region in last.regions), "revise")
    return found, final


def _worded(region: Region, flaw: Flaw | None) -> Region:
    if flaw is None:
        return replace(
            region, rationale="The marked place looks slightly different from the source and may disturb a viewer."
        )
    return replace(region, rationale=flaw.rationale, flaw_type=flaw.flaw_type, severity=flaw.severity)


def _longer(region: Region) -> Region:
    return replace(region, rationale=f"{region.rationale} A careful viewer notices it at first glance.")
