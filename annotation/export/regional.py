"""Stage 1 and the expert review: boxes with their disks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annotation.export.drawing import DrawnBox, DrawnDisk, box_of, disk_of, said_of
from annotation.export.names import Names
from annotation.export.submissions import Size, Submission, chosen, submissions
from annotation.jsonlines import Reject
from annotation.records import DISK_RADIUS_PER_HEIGHT, Disk, Mark, Place, RegionalAnnotation

Owner = str | None
Relation = dict[str, Any]


def regional(
    task: dict[str, Any], place: Place, size: Size, reject: Reject, names: Names | None = None
) -> list[RegionalAnnotation]:
    """What each person marked in one task; `size` is (width, height) of the edited image as displayed, in pixels.

    A disk belongs to the box that a relation names, else to the smallest box of its kind that contains it, else to the
    nearest one within H/20; a box or disk left alone is rejected.  A submission without any mark says "no flaw seen";
    one of whose marks none could be used is set aside, because it does not say so.  All submissions are returned, also
    earlier ones of the same person.
    """
    names = names or Names()
    controls = names.drawn | {names.no_flaw}
    found = (
        _annotation(submission, size, names) for submission in submissions(task, place, reject, names, controls, size)
    )
    return [annotation for annotation in found if annotation is not None]


def _annotation(submission: Submission, size: Size, names: Names) -> RegionalAnnotation | None:
    source = submission.source
    drawn = [box_of(item, size, source, names) for item in submission.of(names.box)]
    boxes = {box.item_id: box for box in drawn if box is not None}
    disks = [disk for item in submission.of(names.disk) if (disk := disk_of(item, size, source, names)) is not None]
    marks = _marks(submission, boxes, _owned(submission, boxes, disks, size[1], names), names)
    if not marks and (drawn or submission.of(names.disk)):
        message = "Boxes or disks were drawn, but none can be used: it does not count as 'no flaw'."
        source.reject("annotation", "nothing_usable", message)
        return None
    if marks and any(chosen(item) for item in submission.of(names.no_flaw)):
        message = "'No flaw' was chosen although boxes are drawn: the boxes are kept."
        source.reject("result", "contradiction", message, repaired=True)
    return RegionalAnnotation(source.pair_id, source.annotator_id, marks, source.at, source.place)


def _marks(
    submission: Submission, boxes: Mapping[str, DrawnBox], disks: Mapping[str, list[Disk]], names: Names
) -> tuple[Mark, ...]:
    named = {item.item_id for item in submission.of(names.box) if item.item_id is not None}
    kinds = {name: boxes[name].kind if name in boxes else None for name in sorted(named)}
    said = said_of(submission, names, kinds)
    marks = []
    for name, box in boxes.items():
        if name not in disks:
            submission.source.reject("box", "box_without_disk", "No disk belongs to this box; it does not count.", name)
            continue
        about = said[name]
        marks.append(Mark(name, box.kind, box.box, tuple(disks[name]), about.flaw_type, about.severity, about.text))
    return tuple(marks)


def _owned(
    submission: Submission, boxes: Mapping[str, DrawnBox], disks: list[DrawnDisk], height: int, names: Names
) -> dict[str, list[Disk]]:
    """The disks of each box that has one, by the box's id, in the order in which they were drawn."""
    related = _related(submission, boxes, disks, names)
    owned: dict[str, list[Disk]] = {}
    for disk in disks:
        owner = related[disk.item_id] if disk.item_id in related else _near(disk, boxes, height)
        if owner is None:
            message = "The disk belongs to no box of its kind: none is related, contains it or lies within its radius."
            submission.source.reject("disk", "disk_without_box", message, disk.item_id)
        else:
            owned.setdefault(owner, []).append(disk.disk)
    return owned


def _near(disk: DrawnDisk, boxes: Mapping[str, DrawnBox], height: int) -> Owner:
    """The smallest box of the disk's kind that contains it, else the nearest one within the radius H/20."""
    same = [box for box in boxes.values() if box.kind == disk.kind]
    around = [box for box in same if box.box.contains(disk.disk)]
    if around:
        return min(around, key=lambda box: (box.box.area, box.box, box.item_id)).item_id
    radius = DISK_RADIUS_PER_HEIGHT * height
    near = [(distance, box) for box in same if (distance := box.box.distance(disk.disk)) <= radius]
    if not near:
        return None
    return min(near, key=lambda found: (found[0], found[1].box.area, found[1].box, found[1].item_id))[1].item_id


def _related(
    submission: Submission, boxes: Mapping[str, DrawnBox], disks: list[DrawnDisk], names: Names
) -> dict[str, Owner]:
    """The box that a relation names for a disk, by the disk's id; None where that box was rejected."""
    if not submission.relations:
        return {}
    named = {name for control in (names.box, names.disk) for item in submission.of(control) if (name := item.item_id)}
    points = {disk.item_id: disk for disk in disks}
    related: dict[str, Owner] = {}
    for item in submission.relations:
        ends = _ends(item, named, submission, names)
        if ends is None:
            continue
        disk_id, box_id = ends if ends[0] in points else ends[::-1]
        if disk_id not in points or box_id in points:
            _refuse(
                submission, item, "bad_relation", "Expected a relation between a disk and a box that are both used."
            )
        elif box_id not in boxes:
            _refuse(submission, item, "bad_relation", "The box of this relation was set aside.")
            related.setdefault(disk_id, None)
        elif boxes[box_id].kind != points[disk_id].kind:
            _refuse(submission, item, "kinds_differ", "The relation joins a disk and a box of different kinds.")
        elif related.setdefault(disk_id, box_id) != box_id:
            _refuse(submission, item, "second_relation", "The disk is already related to another box, which is kept.")
    return related


def _ends(item: Relation, named: set[str], submission: Submission, names: Names) -> tuple[str, str] | None:
    """The two ids that a relation joins; None when it was rejected."""
    first, second, labels = item.get("from_id"), item.get("to_id"), item.get("labels")
    if not isinstance(first, str) or not isinstance(second, str) or first not in named or second not in named:
        _refuse(submission, item, "unknown_relation", "The relation names a result that the annotation does not have.")
        return None
    if labels not in (None, [], [names.relation]):
        _refuse(submission, item, "unknown_relation", f"Expected a relation {names.relation!r} or one without a label.")
        return None
    return first, second


def _refuse(submission: Submission, item: Relation, reason: str, message: str) -> None:
    name = item.get("from_id")
    submission.source.reject("result", reason, message, name if isinstance(name, str) and len(name) <= 200 else None)
