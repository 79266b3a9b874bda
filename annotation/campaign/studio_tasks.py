"""Label Studio tasks of a campaign: the data and predictions that each one shows to its participant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from annotation.campaign.drafts import RationaleDraft
from annotation.campaign.model import PairImageSize, TaskKey, TaskSpec, TextReview
from annotation.consensus import PairConsensus
from annotation.interfaces import build_region_choices
from annotation.labelstudio.read_marks import SHOWS_DISKS_FIELD
from annotation.labelstudio.results import ResultJson, rationale_results, regional_results
from annotation.records import Mark, Region
from annotation.text import MAX_ID_LENGTH

SHOWN_FIELD = "shown"
"""Field of an expert's task: a digest of what it shows, by which a sync notices that the proposal has changed."""

REDO_NOTICES = {
    "alone": "Your boxes agreed with nobody else's. Look again for what is broken, and for what the instruction says.",
    "empty": "You marked nothing, but everybody else marked something. Look at the whole picture again.",
    "hasty": "Your answer came very quickly. Take the time that you need.",
    "same_scores": "You gave the same scores many times in a row. Score this picture by itself.",
    "box_without_disk": "A box of yours had no disk. Put at least one disk into every box.",
    "disk_without_box": "A disk of yours was in no box of its kind. Draw a box around every disk.",
    "kinds_mixed": "A box and its disks were of different kinds. Disks of a box must be of its kind.",
}
"""What annotators read in a task that is given again, by the code of the reason."""

AGAIN_NOTICE = "You are asked to look at this picture once more; only your new answer counts."
UNUSABLE_NOTICE = "Your last answer to this picture could not be used. Please answer it once more."
TRAINING_NOTICE = (
    "The next task comes within a minute of your answer: if the page says that no tasks are left, wait and reload it."
)


def write_redo_notice(reasons: Iterable[str] | None) -> str:
    """The text in a task that is given again; `reasons` are codes, None when the last answer could not be used."""
    if reasons is None:
        return UNUSABLE_NOTICE
    return " ".join([AGAIN_NOTICE, *(REDO_NOTICES[code] for code in reasons if code in REDO_NOTICES)])


def needs_proposal(key: TaskKey, data: Mapping[str, Any]) -> bool:
    """Whether a task with this data shows a prediction, without which its answer means nothing."""
    match key.stage:
        case "expert" | "textual" | "expert_text":
            return True
        case "scoring":
            return bool(data.get("region_choices"))
        case "qualification":
            return bool(data.get("lesson"))
    return False


def make_regional_task(key: TaskKey) -> TaskSpec:
    """A pair to mark, without the work of others."""
    return TaskSpec(key)


def make_expert_task(key: TaskKey, outcome: PairConsensus, annotators: Sequence[str], size: PairImageSize) -> TaskSpec:
    """A pair for the expert, who starts from the prediction `agreed`; `everybody` shows the annotators' boxes.

    An agreed region has the disks of all its annotators, and the data says so: what the expert submits replaces them.
    """
    agreed = [
        Mark(region.region_id, region.kind, region.box, region.disks, region.flaw_type, region.severity)
        for region in outcome.regions
    ]
    letter = {name: f"{chr(ord('A') + place % 26)}{place}" for place, name in enumerate(sorted(annotators))}
    counting = [
        resolved
        for resolved in outcome.marks
        if resolved.annotation.annotator_id in letter and resolved.status != "superseded"
    ]
    everybody = [
        replace(
            resolved.mark,
            mark_id=f"{letter[resolved.annotation.annotator_id]}-{resolved.mark.mark_id}"[:MAX_ID_LENGTH],
        )
        for resolved in counting
    ]
    alone = sum(resolved.status == "unsupported" for resolved in counting)
    summary = (
        f"{len(letter)} annotators. Regions on which they agree: {len(agreed)}. Boxes on which they do not: {alone}."
    )
    # In all of its tasks, a project shows the predictions named like the last one of its first import.
    predictions = [_make_prediction("agreed", regional_results(agreed, *size))]
    if everybody:
        predictions.insert(0, _make_prediction("everybody", regional_results(everybody, *size)))
    data = {"disagreement": summary, SHOWS_DISKS_FIELD: True, SHOWN_FIELD: _digest_content([summary, predictions])}
    return TaskSpec(key, data, tuple(predictions))


def make_text_task(
    key: TaskKey,
    regions: Sequence[Region],
    reviews: Mapping[str, TextReview],
    drafts: Mapping[str, RationaleDraft],
    size: PairImageSize,
) -> TaskSpec:
    """The current texts of regions, to agree with or to revise; `seen` in the data keeps the texts that were shown."""
    shown = [with_current_text(region, reviews[region.region_id], drafts.get(region.region_id)) for region in regions]
    data: dict[str, Any] = {"seen": {region.region_id: region.rationale or "" for region in shown}}
    if key.stage == "expert_text":
        data["history"] = _text_history(regions, reviews)
    return TaskSpec(key, data, (_make_prediction("current", rationale_results(shown, None, *size)),))


def make_scoring_task(key: TaskKey, regions: Sequence[Region], size: PairImageSize | None) -> TaskSpec:
    """A pair to score, with its regions and their final texts; `size` may be None where there are no regions."""
    results = rationale_results(regions, None, *size) if size is not None else []
    predictions = (_make_prediction("regions", results),) if results else ()
    return TaskSpec(key, {"region_choices": build_region_choices(regions)}, predictions)


def with_current_text(region: Region, review: TextReview, draft: RationaleDraft | None) -> Region:
    """The region with its current or final text, flaw type and severity."""
    text = review.result.said if review.result is not None else review.current
    return replace(
        region,
        rationale=text or None,
        flaw_type=review.flaw_type or (draft.flaw_type if draft else None) or region.flaw_type,
        severity=review.severity or (draft.severity if draft else None) or region.severity,
    )


def _text_history(regions: Sequence[Region], reviews: Mapping[str, TextReview]) -> str:
    """Every text that the regions had, in order; reviewers are letters, so that their names do not matter."""
    lines = []
    for number, region in enumerate(regions, 1):
        review = reviews[region.region_id]
        letters = {name: f"reviewer {chr(ord('A') + place % 26)}" for place, name in enumerate(review.reviewers)}
        texts = [
            f"{letters.get(revision.author or '', 'draft')}: {revision.text}"
            for revision in review.revisions
            if revision.text
        ]
        # The number is that of the region in Label Studio's list.
        words = ", ".join(filter(None, (region.kind, (region.flaw_type or "").replace("_", " "))))
        lines.append("\n".join([f"{number}. {words}", *texts]))
    return "\n\n".join(lines)


def _digest_content(content: object) -> str:
    return hashlib.blake2b(orjson.dumps(content), digest_size=8).hexdigest()


def _make_prediction(name: str, results: list[ResultJson]) -> dict[str, Any]:
    return {"model_version": name, "result": results}
