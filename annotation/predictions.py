"""Records to Label Studio's JSON, in the shape that the server (1.23) itself writes.

The other direction is `annotation.export`; what is written here is read there without loss.  Control names are those of
the labelling interfaces: `box`, `disk`, `flaw_type`, `severity`, `rationale`, `verdict`, `no_flaw`, `flagged`, and one
Number per dimension.  Coordinates of a result are per cent of the picture as displayed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Literal

from annotation.records import DISK_RADIUS_PER_HEIGHT, Box, Disk, Kind, Mark, Region, Severity
from annotation.text import MAX_ID

Result = dict[str, Any]

PICTURE = "edited"


def regional_results(marks: Sequence[Mark], width: int, height: int) -> list[Result]:
    """Results of stage 1 (or of the expert review) for marks on a picture of `width` x `height` pixels.

    Every mark gives a rectangle under its own `mark_id`, its choices and text under the same id, and for every disk a
    keypoint with a relation disk -> box.  Mark ids must differ within one annotation.
    """
    taken = {mark.mark_id for mark in marks}
    results: list[Result] = []
    for mark in marks:
        results += _box_results(
            mark.mark_id, mark.kind, mark.box, mark.flaw_type, mark.severity, mark.rationale, (width, height)
        )
        for disk in mark.disks:
            disk_id = _free_id(mark.mark_id, taken)
            results += [_keypoint(disk_id, mark.kind, disk, (width, height)), _relation(disk_id, mark.mark_id)]
    return results


def no_flaw_results() -> list[Result]:
    """Results of a person who looked and said that there is no flaw."""
    return [_choices("no_flaw", "no_flaw", ["no_flaw"])]


def rationale_results(
    regions: Sequence[Region], verdict: Literal["agree", "revise"] | None, width: int, height: int
) -> list[Result]:
    """Results of stage 2: the regions with flaw type, severity and text, and the reviewer's verdict on them."""
    results: list[Result] = []
    for region in regions:
        results += _box_results(
            region.region_id,
            region.kind,
            region.box,
            region.flaw_type,
            region.severity,
            region.rationale,
            (width, height),
        )
    if verdict is not None:
        results.append(_choices("verdict", "verdict", [verdict]))
    return results


def rating_results(scores: Mapping[str, float], flagged: Sequence[str]) -> list[Result]:
    """Results of stage 3: a number per dimension and the ids of the regions called unreasonable."""
    results = [_result(dimension, dimension, "number", {"number": float(score)}) for dimension, score in scores.items()]
    if flagged:
        results.append(_choices("flagged", "flagged", list(flagged)))
    return results


def annotation(
    annotation_id: int,
    task_id: int,
    project: int,
    completed_by: int,
    result: Sequence[Result],
    at: str,
    lead_time: float,
    cancelled: bool = False,
) -> dict[str, Any]:
    """One person's submission; `at` is an ISO time, `lead_time` the seconds spent, `cancelled` a skipped task."""
    return {
        "id": annotation_id,
        "completed_by": completed_by,
        "result": list(result),
        "was_cancelled": cancelled,
        "ground_truth": False,
        "created_at": at,
        "updated_at": at,
        "draft_created_at": None,
        "lead_time": lead_time,
        "prediction": {},
        "result_count": len({item["id"] for item in result if "id" in item}),
        "unique_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"annotation:{project}:{task_id}:{annotation_id}")),
        "import_id": None,
        "last_action": None,
        "bulk_created": False,
        "task": task_id,
        "project": project,
        "updated_by": completed_by,
        "parent_prediction": None,
        "parent_annotation": None,
        "last_created_by": None,
    }


def task(
    task_id: int, project: int, data: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], at: str
) -> dict[str, Any]:
    """One element of a JSON export: the task's data with everybody's annotations."""
    cancelled = sum(1 for item in annotations if item["was_cancelled"])
    return {
        "id": task_id,
        "annotations": [dict(item) for item in annotations],
        "drafts": [],
        "predictions": [],
        "data": dict(data),
        "meta": {},
        "created_at": at,
        "updated_at": max([at, *(item["updated_at"] for item in annotations)]),
        "allow_skip": True,
        "inner_id": task_id,
        "total_annotations": len(annotations) - cancelled,
        "cancelled_annotations": cancelled,
        "total_predictions": 0,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": project,
        "updated_by": annotations[-1]["completed_by"] if annotations else None,
        "comment_authors": [],
    }


def _box_results(
    item_id: str,
    kind: Kind,
    box: Box,
    flaw_type: str | None,
    severity: Severity | None,
    rationale: str | None,
    size: tuple[int, int],
) -> Iterator[Result]:
    width, height = size
    place = {
        "x": 100 * box.x0 / width,
        "y": 100 * box.y0 / height,
        "width": 100 * (box.x1 - box.x0) / width,
        "height": 100 * (box.y1 - box.y0) / height,
        "rotation": 0,
    }
    yield _result(item_id, "box", "rectanglelabels", place | {"rectanglelabels": [kind]}, size)
    for name, choice in (("flaw_type", flaw_type), ("severity", severity)):
        if choice is not None:
            yield _result(item_id, name, "choices", place | {"choices": [choice]}, size)
    if rationale is not None:
        yield _result(item_id, "rationale", "textarea", place | {"text": [rationale]}, size)


def _keypoint(item_id: str, kind: Kind, disk: Disk, size: tuple[int, int]) -> Result:
    width, height = size
    # The server's `width` is what is drawn, relative to the picture's width, and our interfaces draw a line around it
    # that is half of it wide to the outside; readers take the centre alone.
    drawn = 100 * DISK_RADIUS_PER_HEIGHT * height / width / 1.5
    value = {"x": 100 * disk.x / width, "y": 100 * disk.y / height, "width": drawn, "keypointlabels": [kind]}
    return _result(item_id, "disk", "keypointlabels", value, size)


def _relation(disk_id: str, box_id: str) -> Result:
    return {"from_id": disk_id, "to_id": box_id, "type": "relation", "direction": "right", "labels": ["disk_of"]}


def _choices(item_id: str, name: str, choices: list[str]) -> Result:
    return _result(item_id, name, "choices", {"choices": choices})


def _result(item_id: str, name: str, kind: str, value: dict[str, Any], size: tuple[int, int] | None = None) -> Result:
    drawn = {"original_width": size[0], "original_height": size[1], "image_rotation": 0} if size else {}
    return drawn | {
        "value": value,
        "id": item_id,
        "from_name": name,
        "to_name": PICTURE,
        "type": kind,
        "origin": "manual",
    }


def _free_id(mark_id: str, taken: set[str]) -> str:
    """An id for the next disk of a mark that no box and no other disk has; it is added to `taken`.

    Of a mark id of which nothing may follow within the longest id, the beginning stands for it.
    """
    for number in count():
        suffix = f"-d{number}"
        disk_id = mark_id[: MAX_ID - len(suffix)] + suffix
        if disk_id not in taken:
            break
    taken.add(disk_id)
    return disk_id
