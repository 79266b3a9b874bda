"""Convert records to the JSON of Label Studio, as the server (1.23) writes it.

`read_marks`, `read_rationales` and `read_ratings` read it back without loss.  Control names are those of the labelling
interfaces: `box`, `disk`, `flaw_type`, `severity`, `rationale`, `verdict`, `no_flaw`, `flagged`, and one Number for
each dimension.  Coordinates of a result are per cent of the image as displayed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Literal

from annotation.records import DISK_RADIUS_PER_HEIGHT, Box, Disk, Kind, Mark, Region, Severity
from annotation.text import MAX_ID_LENGTH

ResultJson = dict[str, Any]

IMAGE_CONTROL = "edited"


def regional_results(marks: Sequence[Mark], width: int, height: int) -> list[ResultJson]:
    """Convert marks to the results of stage 1 or of the expert review.

    Parameters
    ----------
    marks
        Marks of one annotator on one pair, with different ids.
    width, height
        Size of the edited image as displayed, in pixels.

    Returns
    -------
    list[ResultJson]
        For each mark a rectangle with its choices and text, all under the id of the mark, and for each of its disks a
        keypoint with a relation from the disk to the box.
    """
    taken = {mark.mark_id for mark in marks}
    results: list[ResultJson] = []
    for mark in marks:
        results += _box_results(
            mark.mark_id, mark.kind, mark.box, mark.flaw_type, mark.severity, mark.rationale, (width, height)
        )
        for disk in mark.disks:
            disk_id = _choose_disk_id(mark.mark_id, taken)
            results += [
                _disk_result(disk_id, mark.kind, disk, (width, height)),
                _relation_result(disk_id, mark.mark_id),
            ]
    return results


def no_flaw_results() -> list[ResultJson]:
    """Results of an annotator who found no flaw: the choice `no_flaw` alone."""
    return [_choices_result("no_flaw", "no_flaw", ["no_flaw"])]


def rationale_results(
    regions: Sequence[Region], verdict: Literal["agree", "revise"] | None, width: int, height: int
) -> list[ResultJson]:
    """Convert regions and a verdict to the results of stage 2.

    Parameters
    ----------
    regions
        Regions with flaw type, severity and text.
    verdict
        The reviewer's verdict on the texts; None adds none.
    width, height
        Size of the edited image as displayed, in pixels.

    Returns
    -------
    list[ResultJson]
        For each region a rectangle with its choices and text, and the verdict.
    """
    results: list[ResultJson] = []
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
        results.append(_choices_result("verdict", "verdict", [verdict]))
    return results


def rating_results(scores: Mapping[str, float], flagged: Sequence[str]) -> list[ResultJson]:
    """Convert scores and flags to the results of stage 3.

    Parameters
    ----------
    scores
        Score by dimension, on the scale of the campaign.
    flagged
        Ids of the regions that the rater calls unreasonable.

    Returns
    -------
    list[ResultJson]
        A number for each dimension, and one choice with all flags if there are any.
    """
    results = [
        _build_result(dimension, dimension, "number", {"number": float(score)}) for dimension, score in scores.items()
    ]
    if flagged:
        results.append(_choices_result("flagged", "flagged", list(flagged)))
    return results


def build_annotation_json(
    annotation_id: int,
    task_id: int,
    project: int,
    completed_by: int,
    result: Sequence[ResultJson],
    at: str,
    lead_time: float,
    cancelled: bool = False,
) -> dict[str, Any]:
    """Build one submission as it appears in a JSON export.

    Parameters
    ----------
    annotation_id, task_id, project
        Numbers of the annotation, its task and its project on the server.
    completed_by
        Number of the user who submitted it.
    result
        Results of this submission.
    at
        Time of the submission, in ISO format.
    lead_time
        Time spent on the task, in seconds.
    cancelled
        Whether the user skipped the task.

    Returns
    -------
    dict[str, Any]
        An element of `annotations` of a task.
    """
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


def build_task_json(
    task_id: int, project: int, data: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], at: str
) -> dict[str, Any]:
    """Build one element of a JSON export: a task with all its annotations.

    Parameters
    ----------
    task_id, project
        Numbers of the task and its project on the server.
    data
        Data of the task, with `pair_id`.
    annotations
        Annotations made by `build_annotation_json`.
    at
        Time at which the task was created, in ISO format.

    Returns
    -------
    dict[str, Any]
        The task.
    """
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
) -> Iterator[ResultJson]:
    """A rectangle, with its choices and its text."""
    width, height = size
    place = {
        "x": 100 * box.x0 / width,
        "y": 100 * box.y0 / height,
        "width": 100 * (box.x1 - box.x0) / width,
        "height": 100 * (box.y1 - box.y0) / height,
        "rotation": 0,
    }
    yield _build_result(item_id, "box", "rectanglelabels", place | {"rectanglelabels": [kind]}, size)
    for name, choice in (("flaw_type", flaw_type), ("severity", severity)):
        if choice is not None:
            yield _build_result(item_id, name, "choices", place | {"choices": [choice]}, size)
    if rationale is not None:
        yield _build_result(item_id, "rationale", "textarea", place | {"text": [rationale]}, size)


def _disk_result(item_id: str, kind: Kind, disk: Disk, size: tuple[int, int]) -> ResultJson:
    """A keypoint that is displayed with the radius of the disk."""
    width, height = size
    # The server draws a keypoint with `width` per cent of the image's width, and our interfaces add an outline that
    # extends it by half on the outside, hence 1.5; only the centre is read back.
    displayed_width = 100 * DISK_RADIUS_PER_HEIGHT * height / width / 1.5
    value = {"x": 100 * disk.x / width, "y": 100 * disk.y / height, "width": displayed_width, "keypointlabels": [kind]}
    return _build_result(item_id, "disk", "keypointlabels", value, size)


def _relation_result(disk_id: str, box_id: str) -> ResultJson:
    return {"from_id": disk_id, "to_id": box_id, "type": "relation", "direction": "right", "labels": ["disk_of"]}


def _choices_result(item_id: str, name: str, choices: list[str]) -> ResultJson:
    return _build_result(item_id, name, "choices", {"choices": choices})


def _build_result(
    item_id: str, name: str, kind: str, value: dict[str, Any], size: tuple[int, int] | None = None
) -> ResultJson:
    image_fields = {"original_width": size[0], "original_height": size[1], "image_rotation": 0} if size else {}
    return image_fields | {
        "value": value,
        "id": item_id,
        "from_name": name,
        "to_name": IMAGE_CONTROL,
        "type": kind,
        "origin": "manual",
    }


def _choose_disk_id(mark_id: str, taken: set[str]) -> str:
    """An id for the next disk of a mark, not in `taken`, to which it is added.

    A mark id that leaves no room for the suffix is cut.
    """
    for number in count():
        suffix = f"-d{number}"
        disk_id = mark_id[: MAX_ID_LENGTH - len(suffix)] + suffix
        if disk_id not in taken:
            break
    taken.add(disk_id)
    return disk_id
