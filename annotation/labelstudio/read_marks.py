"""Read the marks of annotators from exported tasks: boxes with their disks, choices and texts.

Used for stage 1 and the expert review (marks) and for stage 2 (answers about regions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from annotation.json_lines import RejectCallback
from annotation.labelstudio.read_shapes import DrawnBox, DrawnDisk, read_box, read_disk
from annotation.labelstudio.submissions import (
    ControlNames,
    PixelSize,
    ResultItem,
    Submission,
    SubmissionContext,
    iterate_submissions,
    quote_excerpt,
    read_choices,
    read_text_area,
)
from annotation.records import (
    DISK_RADIUS_PER_HEIGHT,
    KINDS,
    SEVERITIES,
    Disk,
    Kind,
    Mark,
    MarkFault,
    Place,
    RegionalAnnotation,
    Severity,
    ShownDisks,
)
from annotation.taxonomy import list_flaw_types

ChoiceT = TypeVar("ChoiceT", bound=str)


@dataclass(frozen=True, slots=True)
class RegionAnswer:
    """The answers about one region: flaw type, severity and text; None for each that is missing."""

    flaw_type: str | None = None
    severity: Severity | None = None
    text: str | None = None


def read_region_answers(
    submission: Submission, names: ControlNames, kinds: Mapping[str, Kind | None]
) -> dict[str, RegionAnswer]:
    """Read flaw type, severity and text of each region of a submission.

    Parameters
    ----------
    submission
        Submission of one person.
    names
        Names of controls and labels.
    kinds
        Kind of each region by its id; None for a region whose box was rejected or that has no box.

    Returns
    -------
    dict[str, RegionAnswer]
        Answers by the id of the region, one for each id in `kinds`.

    Notes
    -----
    A choice that is not in the closed list for the kind of the region is rejected and left out.
    """
    flaws: dict[str, str] = {}
    severities: dict[str, Severity] = {}
    texts: dict[str, str] = {}
    for name, item in _iterate_region_items(submission, names.flaw_type, kinds):
        kind = kinds[name]
        kinds_to_search = (kind,) if kind else KINDS
        known = tuple(flaw_type for known_kind in kinds_to_search for flaw_type in list_flaw_types(known_kind))
        flaw = _read_closed_choice(
            item, known, f"flaw type of {kind or 'any kind'}", "unknown_flaw_type", submission.source, name
        )
        if flaw is not None:
            flaws[name] = flaw
    for name, item in _iterate_region_items(submission, names.severity, kinds):
        severity = _read_closed_choice(item, SEVERITIES, "severity", "unknown_severity", submission.source, name)
        if severity is not None:
            severities[name] = severity
    for name, item in _iterate_region_items(submission, names.rationale, kinds):
        text = read_text_area(item, submission.source)
        if text is not None:
            texts[name] = text
    return {name: RegionAnswer(flaws.get(name), severities.get(name), texts.get(name)) for name in kinds}


def _iterate_region_items(
    submission: Submission, control: str, kinds: Mapping[str, Kind | None]
) -> Iterator[tuple[str, ResultItem]]:
    """Region id and item of everything that a control wrote; items of unknown regions are rejected."""
    for item in submission.of(control):
        name = item.item_id
        if name is None or name not in kinds:
            message = f"The {control} does not belong to a box of this annotation."
            submission.source.reject("result", "unknown_region", message, name)
            continue
        yield name, item


def _read_closed_choice(
    item: ResultItem, known: Sequence[ChoiceT], list_name: str, reason: str, source: SubmissionContext, name: str
) -> ChoiceT | None:
    """The chosen word of a closed list; None if nothing was chosen or the choice was rejected."""
    words = read_choices(item)
    if words == []:
        return None
    if words is None or len(words) > 1:
        source.reject("result", "bad_choice", f"Expected one {list_name}, got several or no text.", name)
        return None
    for word in known:
        if word == words[0]:
            return word
    source.reject("result", reason, f"{quote_excerpt(words[0])} is not a {list_name}; it was left out.", name)
    return None


SHOWS_DISKS_FIELD = "shows_disks"
"""Field of the data of an expert's task: true where the task shows the disks of all annotators.

Tasks of earlier versions showed one of them, the central one, and have no such field.
"""

DiskOwner = str | None


RelationItem = dict[str, Any]


def read_regional_annotations(
    task: dict[str, Any], place: Place, size: PixelSize, reject: RejectCallback, names: ControlNames | None = None
) -> list[RegionalAnnotation]:
    """Read the marks of every submission of one task.

    Parameters
    ----------
    task
        One element of a JSON export.
    place
        File and row of the task, for rejections.
    size
        (width, height) of the edited image as displayed, in pixels.
    reject
        Receives a `Rejection` for everything that cannot be used.
    names
        Names of controls and labels; by default those of our own interfaces.

    Returns
    -------
    list[RegionalAnnotation]
        One for each submission, in the order of the export, including earlier submissions of the same person.

    Notes
    -----
    A disk belongs to the box that a relation names, else to the smallest box of its kind that contains it, else to the
    nearest box of its kind within H/20.  A box without a disk and a disk without a box are rejected.  A submission
    without any mark means "no flaw"; a submission whose marks were all rejected is rejected as a whole, because it
    does not mean that.  So is one without any mark in which `no_flaw` was not chosen, in a task of a campaign (its
    data has the `key` of the task): the interfaces of a campaign have that choice, those of other tools may not.
    """
    names = names or ControlNames()
    controls = names.region_controls | {names.no_flaw}
    data = task.get("data")
    data = data if isinstance(data, dict) else {}
    key, pair_id = data.get("key"), data.get(names.pair_id)
    from_campaign = isinstance(key, str) and f"/{pair_id}/" in key
    shown: ShownDisks | None = "all" if data.get(SHOWS_DISKS_FIELD) is True else "one" if from_campaign else None
    annotations = (
        _read_annotation(submission, size, names, from_campaign, shown)
        for submission in iterate_submissions(task, place, reject, names, controls, size)
    )
    return [annotation for annotation in annotations if annotation is not None]


def _read_annotation(
    submission: Submission, size: PixelSize, names: ControlNames, from_campaign: bool, shown: ShownDisks | None
) -> RegionalAnnotation | None:
    """The marks of one submission; None if it has neither a mark that can be used nor says that there is no flaw."""
    source = submission.source
    drawn = [read_box(item, size, source, names) for item in submission.of(names.box)]
    boxes = {box.item_id: box for box in drawn if box is not None}
    disks = [disk for item in submission.of(names.disk) if (disk := read_disk(item, size, source, names)) is not None]
    owned, disk_faults = _assign_disks(submission, boxes, disks, size[1], names)
    marks = _build_marks(submission, boxes, owned, names)
    no_flaw = any(read_choices(item) for item in submission.of(names.no_flaw))
    if not marks and (drawn or submission.of(names.disk) or submission.unknown_marks):
        message = "None of the boxes and disks can be used; the annotation does not count as 'no flaw'."
        source.reject("annotation", "nothing_usable", message)
        return None
    if not marks and from_campaign and not no_flaw:
        message = "Nothing is marked, and 'no flaw at all' is not chosen; the annotation does not count as 'no flaw'."
        source.reject("annotation", "nothing_marked", message)
        return None
    if marks and no_flaw:
        message = "'No flaw' was chosen although there are boxes; the boxes are kept."
        source.reject("result", "contradiction", message, repaired=True)
    box_faults: list[MarkFault] = ["box_without_disk"] * (len(boxes) - len(marks))
    return RegionalAnnotation(
        source.pair_id, source.annotator_id, marks, source.at, source.place, shown, (*box_faults, *disk_faults)
    )


def _build_marks(
    submission: Submission, boxes: Mapping[str, DrawnBox], disks: Mapping[str, list[Disk]], names: ControlNames
) -> tuple[Mark, ...]:
    """One mark for each box with a disk; a box without one is rejected."""
    box_ids = {item.item_id for item in submission.of(names.box) if item.item_id is not None}
    kinds = {name: boxes[name].kind if name in boxes else None for name in sorted(box_ids)}
    answers = read_region_answers(submission, names, kinds)
    marks = []
    for name, box in boxes.items():
        if name not in disks:
            submission.source.reject("box", "box_without_disk", "The box has no disk; it does not count.", name)
            continue
        answer = answers[name]
        marks.append(Mark(name, box.kind, box.box, tuple(disks[name]), answer.flaw_type, answer.severity, answer.text))
    return tuple(marks)


def _assign_disks(
    submission: Submission, boxes: Mapping[str, DrawnBox], disks: list[DrawnDisk], height: int, names: ControlNames
) -> tuple[dict[str, list[Disk]], tuple[MarkFault, ...]]:
    """Disks by the id of their box, in the order in which they were drawn, and a fault for each disk without one.

    Boxes without a disk are left out.
    """
    related = _read_relations(submission, boxes, disks, names)
    owned: dict[str, list[Disk]] = {}
    faults: list[MarkFault] = []
    for disk in disks:
        owner = related[disk.item_id] if disk.item_id in related else _find_owner_box(disk, boxes, height)
        if owner is None:
            mixed = any(box.kind != disk.kind and box.box.contains(disk.disk) for box in boxes.values())
            message = "The disk has no box of its kind: no box is related to it, contains it or lies within its radius."
            if mixed:
                message += f" It is marked as {disk.kind}, and a box around it is not: kinds may be mixed up."
            submission.source.reject("disk", "disk_without_box", message, disk.item_id)
            faults.append("kinds_mixed" if mixed else "disk_without_box")
        else:
            owned.setdefault(owner, []).append(disk.disk)
    return owned, tuple(faults)


def _find_owner_box(disk: DrawnDisk, boxes: Mapping[str, DrawnBox], height: int) -> DiskOwner:
    """The smallest box of the disk's kind that contains it, else the nearest one within the radius H/20."""
    candidates = [box for box in boxes.values() if box.kind == disk.kind]
    containing = [box for box in candidates if box.box.contains(disk.disk)]
    if containing:
        return min(containing, key=lambda box: (box.box.area, box.box, box.item_id)).item_id
    radius = DISK_RADIUS_PER_HEIGHT * height
    near = [(distance, box) for box in candidates if (distance := box.box.distance(disk.disk)) <= radius]
    if not near:
        return None
    return min(near, key=lambda item: (item[0], item[1].box.area, item[1].box, item[1].item_id))[1].item_id


def _read_relations(
    submission: Submission, boxes: Mapping[str, DrawnBox], disks: list[DrawnDisk], names: ControlNames
) -> dict[str, DiskOwner]:
    """Id of the box that a relation names, by the id of the disk; None if that box was rejected."""
    if not submission.relations:
        return {}
    drawn = {name for control in (names.box, names.disk) for item in submission.of(control) if (name := item.item_id)}
    points = {disk.item_id: disk for disk in disks}
    related: dict[str, DiskOwner] = {}
    for item in submission.relations:
        ends = _read_relation_ends(item, drawn, submission, names)
        if ends is None:
            continue
        disk_id, box_id = ends if ends[0] in points else ends[::-1]
        if disk_id not in points or box_id in points:
            _reject_relation(
                submission,
                item,
                "bad_relation",
                "Expected a relation between a disk and a box, neither of them rejected.",
            )
        elif box_id not in boxes:
            _reject_relation(submission, item, "bad_relation", "The box of this relation was rejected.")
            related.setdefault(disk_id, None)
        elif boxes[box_id].kind != points[disk_id].kind:
            _reject_relation(
                submission, item, "kinds_differ", "The relation connects a disk and a box of different kinds."
            )
        elif related.setdefault(disk_id, box_id) != box_id:
            _reject_relation(
                submission, item, "second_relation", "The disk is already related to another box, which is kept."
            )
    return related


def _read_relation_ends(
    item: RelationItem, drawn: set[str], submission: Submission, names: ControlNames
) -> tuple[str, str] | None:
    """The two ids that a relation connects; None if it was rejected."""
    first, second, labels = item.get("from_id"), item.get("to_id"), item.get("labels")
    if not isinstance(first, str) or not isinstance(second, str) or first not in drawn or second not in drawn:
        _reject_relation(
            submission, item, "unknown_relation", "The relation names a result that is not in the annotation."
        )
        return None
    if labels not in (None, [], [names.relation]):
        _reject_relation(
            submission, item, "unknown_relation", f"Expected a relation {names.relation!r} or one without a label."
        )
        return None
    return first, second


def _reject_relation(submission: Submission, item: RelationItem, reason: str, message: str) -> None:
    name = item.get("from_id")
    submission.source.reject("result", reason, message, name if isinstance(name, str) and len(name) <= 200 else None)
