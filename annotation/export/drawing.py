"""Boxes, disks and what is said of a box, out of result items in per cent of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from annotation.export.names import Names
from annotation.export.submissions import (
    Item,
    Size,
    Source,
    Submission,
    chosen,
    excerpt,
    number,
    written,
)
from annotation.flaws import flaw_types
from annotation.records import KINDS, SEVERITIES, Box, Disk, Kind, Severity

Word = TypeVar("Word", bound=str)

EDGE = 1e-6
"""Pixels by which rounding may put a centre on the picture's border outside of it."""


@dataclass(frozen=True, slots=True)
class DrawnBox:
    item_id: str
    kind: Kind
    box: Box


@dataclass(frozen=True, slots=True)
class DrawnDisk:
    item_id: str
    kind: Kind
    disk: Disk


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of one region."""

    flaw_type: str | None = None
    severity: Severity | None = None
    text: str | None = None


def box_of(item: Item, size: Size, source: Source, names: Names) -> DrawnBox | None:
    """The box of a rectangle, clipped to the picture of `size` (width, height) pixels; None when it was rejected."""
    head = _head(item, "box", "rectanglelabels", source, names)
    if head is None:
        return None
    name, kind = head
    value = item.value
    x, y = number(value.get("x")), number(value.get("y"))
    w, h = number(value.get("width")), number(value.get("height"))
    if x is None or y is None or w is None or h is None:
        source.reject("box", "bad_number", "Expected finite numbers in x, y, width and height.", name)
        return None
    if value.get("rotation", 0) != 0:
        source.reject("box", "rotated", "The box is turned: only upright boxes are read.", name)
        return None
    if w <= 0 or h <= 0:
        source.reject("box", "empty_box", "The box has no area.", name)
        return None
    width, height = size
    box = Box(
        max(0.0, x / 100 * width),
        max(0.0, y / 100 * height),
        min(float(width), (x + w) / 100 * width),
        min(float(height), (y + h) / 100 * height),
    )
    if box.area <= 0:
        source.reject("box", "outside_picture", "The box lies wholly outside the picture.", name)
        return None
    return DrawnBox(name, kind, box)


def disk_of(item: Item, size: Size, source: Source, names: Names) -> DrawnDisk | None:
    """The disk of a keypoint on a picture of `size` (width, height) pixels; None when it was rejected.

    The keypoint's own width follows the annotator's window and is no radius: the centre alone is read.
    """
    head = _head(item, "disk", "keypointlabels", source, names)
    if head is None:
        return None
    name, kind = head
    value = item.value
    x, y = number(value.get("x")), number(value.get("y"))
    if x is None or y is None:
        source.reject("disk", "bad_number", "Expected finite numbers in x and y.", name)
        return None
    width, height = size
    x, y = x / 100 * width, y / 100 * height
    if not (-EDGE <= x <= width + EDGE and -EDGE <= y <= height + EDGE):
        source.reject("disk", "outside_picture", "The disk's centre lies outside the picture.", name)
        return None
    return DrawnDisk(name, kind, Disk(min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))))


def said_of(submission: Submission, names: Names, kinds: Mapping[str, Kind | None]) -> dict[str, Said]:
    """What was said of each region by its id; `kinds` are the regions that were drawn, None where it was rejected.

    A choice outside the closed list of the region's kind is rejected and left out.
    """
    flaws: dict[str, str] = {}
    severities: dict[str, Severity] = {}
    texts: dict[str, str] = {}
    for name, item in _per_region(submission, names.flaw_type, kinds):
        kind = kinds[name]
        known = flaw_types(kind) if kind else tuple(flaw for each in KINDS for flaw in flaw_types(each))
        flaw = _choice(item, known, f"flaw type of {kind or 'any kind'}", "unknown_flaw_type", submission.source, name)
        if flaw is not None:
            flaws[name] = flaw
    for name, item in _per_region(submission, names.severity, kinds):
        severity = _choice(item, SEVERITIES, "severity", "unknown_severity", submission.source, name)
        if severity is not None:
            severities[name] = severity
    for name, item in _per_region(submission, names.rationale, kinds):
        text = written(item, submission.source)
        if text is not None:
            texts[name] = text
    return {name: Said(flaws.get(name), severities.get(name), texts.get(name)) for name in kinds}


def _per_region(submission: Submission, control: str, kinds: Mapping[str, Kind | None]) -> Iterator[tuple[str, Item]]:
    for item in submission.of(control):
        name = item.item_id
        if name is None or name not in kinds:
            message = f"The {control} belongs to no box of this annotation."
            submission.source.reject("result", "unknown_region", message, name)
            continue
        yield name, item


def _choice(item: Item, known: Sequence[Word], list_name: str, reason: str, source: Source, name: str) -> Word | None:
    """The one chosen word out of a closed list; None when nothing was chosen or the choice was rejected."""
    words = chosen(item)
    if words == []:
        return None
    if words is None or len(words) > 1:
        source.reject("result", "bad_choice", f"Expected one {list_name}, got several or no text.", name)
        return None
    for word in known:
        if word == words[0]:
            return word
    source.reject("result", reason, f"{excerpt(words[0])} is no {list_name}; it was left out.", name)
    return None


def _head(item: Item, what: str, labels: str, source: Source, names: Names) -> tuple[str, Kind] | None:
    """Id and kind of a drawn item; None when it was rejected."""
    name = item.item_id
    if name is None:
        source.reject(what, "no_id", f"The {what} has no id that can be used.")
        return None
    if item.raw.get("to_name", names.picture) != names.picture:
        source.reject(what, "wrong_picture", f"The {what} is not drawn on {names.picture!r}.", name)
        return None
    if item.raw.get("image_rotation", 0) != 0:
        source.reject(what, "rotated", "The picture was turned while it was drawn on.", name)
        return None
    words = item.value.get(labels)
    word = words[0] if isinstance(words, list) and len(words) == 1 else None
    kind = names.labels.get(word) if isinstance(word, str) else None
    if kind is None:
        source.reject(
            what, "unknown_label", f"Expected one label of {', '.join(names.labels)}, got {excerpt(word)}.", name
        )
        return None
    return name, kind
