"""The tasks of a campaign: their keys, and what each shows to the person who gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot
from typing import Any, NamedTuple, Self

from annotation.campaign.drafts import Draft
from annotation.campaign.options import STAGES, Stage
from annotation.campaign.planning.round_robin import Review
from annotation.consensus import Outcome
from annotation.interfaces import region_choices
from annotation.predictions import Result, rationale_results, regional_results
from annotation.records import Disk, Mark, Region
from annotation.text import MAX_ID, bad_id

Size = tuple[int, int]


class TaskKey(NamedTuple):
    """What a task is: one round (counted from 0) of one person's part in one stage of one pair."""

    stage: Stage
    pair_id: str
    person_id: str
    round: int

    def __str__(self) -> str:
        return f"{self.stage}/{self.pair_id}/{self.person_id}/{self.round}"

    @property
    def project(self) -> str:
        """The project in which the task belongs."""
        return f"{self.stage}/{self.person_id}"

    @classmethod
    def parse(cls, text: object) -> Self | None:
        """The key that a text says, which may hold slashes in its pair alone; None when it says none.

        >>> TaskKey.parse("scoring/a/b/ann/0")
        TaskKey(stage='scoring', pair_id='a/b', person_id='ann', round=0)
        """
        if not isinstance(text, str) or text.count("/") < 3:
            return None
        stage, rest = text.split("/", 1)
        pair_id, person_id, number = rest.rsplit("/", 2)
        if stage not in STAGES or bad_id(pair_id) or not number.isdecimal() or len(number) > 6:
            return None
        key = cls(stage, pair_id, person_id, int(number))
        return key if str(key) == text else None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task that should exist; `data` lacks what is the same for every task of the pair (see `sync`)."""

    key: TaskKey
    data: dict[str, Any] = field(default_factory=dict)
    predictions: tuple[dict[str, Any], ...] = ()


def regional_task(key: TaskKey) -> TaskSpec:
    """A pair to mark, with nothing of what others said."""
    return TaskSpec(key)


def expert_task(key: TaskKey, outcome: Outcome, annotators: Sequence[str], size: Size) -> TaskSpec:
    """A pair for the expert: what annotators agree on as the prediction to begin from, everybody's work as another one.

    An agreed region has one disk, the one in the middle of its annotators': theirs stay with the region whatever the
    expert does, and would count twice if they were the expert's too.
    """
    agreed = [
        Mark(region.region_id, region.kind, region.box, (_middle(region.disks),), region.flaw_type, region.severity)
        for region in outcome.regions
    ]
    letter = {name: f"{chr(ord('A') + place % 26)}{place}" for place, name in enumerate(sorted(annotators))}
    counting = [
        fate for fate in outcome.fates if fate.annotation.annotator_id in letter and fate.status != "superseded"
    ]
    everybody = [
        replace(fate.mark, mark_id=f"{letter[fate.annotation.annotator_id]}-{fate.mark.mark_id}"[:MAX_ID])
        for fate in counting
    ]
    alone = sum(fate.status == "unsupported" for fate in counting)
    said = f"{len(letter)} annotators. Regions on which they agree: {len(agreed)}. Boxes on which they do not: {alone}."
    # A project shows, in all of its tasks, the predictions named as the last one of its first import.
    predictions = [_prediction("agreed", regional_results(agreed, *size))]
    if everybody:
        predictions.insert(0, _prediction("everybody", regional_results(everybody, *size)))
    return TaskSpec(key, {"disagreement": said}, tuple(predictions))


def text_task(
    key: TaskKey, regions: Sequence[Region], reviews: Mapping[str, Review], drafts: Mapping[str, Draft], size: Size
) -> TaskSpec:
    """The current texts of regions to agree with or to revise; `seen` in the data says which texts were shown."""
    shown = [current(region, reviews[region.region_id], drafts.get(region.region_id)) for region in regions]
    data: dict[str, Any] = {"seen": {region.region_id: region.rationale or "" for region in shown}}
    if key.stage == "expert_text":
        data["history"] = _history(regions, reviews)
    return TaskSpec(key, data, (_prediction("current", rationale_results(shown, None, *size)),))


def scoring_task(key: TaskKey, regions: Sequence[Region], size: Size | None) -> TaskSpec:
    """A pair to score, with its regions and their final texts; `size` may be None where there are no regions."""
    results = rationale_results(regions, None, *size) if size is not None else []
    predictions = (_prediction("regions", results),) if results else ()
    return TaskSpec(key, {"region_choices": region_choices(regions)}, predictions)


def current(region: Region, review: Review, draft: Draft | None) -> Region:
    """The region with the text that is current, or final, and what is said with it."""
    text = review.result.said if review.result is not None else review.current
    return replace(
        region,
        rationale=text or None,
        flaw_type=review.flaw_type or (draft.flaw_type if draft else None) or region.flaw_type,
        severity=review.severity or (draft.severity if draft else None) or region.severity,
    )


def _middle(disks: Sequence[Disk]) -> Disk:
    """The disk from which the way to all others is shortest."""
    return min(disks, key=lambda one: (sum(hypot(one.x - other.x, one.y - other.y) for other in disks), one))


def _history(regions: Sequence[Region], reviews: Mapping[str, Review]) -> str:
    """Every text that the regions had, in turn; reviewers by letter, since names must not weigh."""
    lines = []
    for region in regions:
        review = reviews[region.region_id]
        letters = {name: f"reviewer {chr(ord('A') + place % 26)}" for place, name in enumerate(review.reviewers)}
        said = [f"{letters.get(one.author or '', 'draft')}: {one.text}" for one in review.revisions if one.text]
        lines.append("\n".join([f"Region {region.region_id}", *said]))
    return "\n\n".join(lines)


def _prediction(name: str, results: list[Result]) -> dict[str, Any]:
    return {"model_version": name, "result": results}
