"""Read drawn results as boxes and disks in pixels.

Coordinates in an export are per cent of the image, coordinates in records are pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from annotation.labelstudio.submissions import (
    ControlNames,
    PixelSize,
    ResultItem,
    SubmissionContext,
    is_on_image,
    parse_finite_number,
    quote_excerpt,
)
from annotation.records import Box, Disk, Kind

EDGE_TOLERANCE = 1e-6
"""Pixels by which a disk centre may lie outside the image, because exports round coordinates."""

ANGLE_TOLERANCE = 1e-6
"""Degrees by which a box may be turned: less than a thousandth of a pixel at the far end of a large image."""

CLIP_TOLERANCE = 1.0
"""Pixels by which a box may reach out of the image without a word."""


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box with the id of its result item and its kind."""

    item_id: str
    kind: Kind
    box: Box


@dataclass(frozen=True, slots=True)
class DrawnDisk:
    """A disk with the id of its result item and its kind."""

    item_id: str
    kind: Kind
    disk: Disk


def read_box(item: ResultItem, size: PixelSize, source: SubmissionContext, names: ControlNames) -> DrawnBox | None:
    """Read a rectangle as a box.

    Parameters
    ----------
    item
        Result item of the control `names.box`.
    size
        (width, height) of the edited image as displayed, in pixels.
    source
        Pair, annotator and place of the submission; it receives a rejection when the box cannot be used.
    names
        Names of controls and labels.

    Returns
    -------
    DrawnBox or None
        The box in pixels, clipped to the image; None if it was rejected.
    """
    head = _read_id_and_kind(item, "box", "rectanglelabels", source, names)
    if head is None:
        return None
    name, kind = head
    value = item.value
    x, y = parse_finite_number(value.get("x")), parse_finite_number(value.get("y"))
    w, h = parse_finite_number(value.get("width")), parse_finite_number(value.get("height"))
    if x is None or y is None or w is None or h is None:
        source.reject("box", "bad_number", "Expected finite numbers in x, y, width and height.", name)
        return None
    turns = _count_quarter_turns(value.get("rotation"))
    if turns is None:
        source.reject("box", "rotated", "The box is turned: only boxes with upright sides are read.", name)
        return None
    if w == 0 or h == 0:
        source.reject("box", "empty_box", "The box has no area.", name)
        return None
    drawn = _turn_box(x, y, w, h, turns, size)
    width, height = size
    box = Box(max(0.0, drawn.x0), max(0.0, drawn.y0), min(float(width), drawn.x1), min(float(height), drawn.y1))
    if box.area <= 0:
        source.reject("box", "outside_picture", "The box lies completely outside the image.", name)
        return None
    # A dataset stores float32, in which the edges of a tiny box fall together.
    x0, y0, x1, y1 = np.asarray(box, np.float32).tolist()
    if x0 == x1 or y0 == y1:
        extent = f"{box.x1 - box.x0:.2g} x {box.y1 - box.y0:.2g} pixels"
        source.reject("box", "empty_box", f"The box has no area: {extent} are too little to be stored.", name)
        return None
    outside = max(box.x0 - drawn.x0, box.y0 - drawn.y0, drawn.x1 - box.x1, drawn.y1 - box.y1)
    if outside > CLIP_TOLERANCE:
        message = (
            f"The box reached {outside:,.0f} pixels out of the image and was cut at its edge: expected per cent of "
            f"the image in x, y, width and height, got {x:g}, {y:g}, {w:g} and {h:g}."
        )
        source.reject("box", "clipped", message, name, repaired=True)
    return DrawnBox(name, kind, box)


def _count_quarter_turns(degrees: object) -> int | None:
    """Quarter turns (0 to 3), clockwise; None for any other angle. Absent, null and a number as text are read too.

    A box that was turned by mistake and back keeps what rounding leaves.
    """
    if degrees is None:
        return 0
    if isinstance(degrees, str):
        try:
            degrees = float(degrees)
        except ValueError:
            return None
    angle = parse_finite_number(degrees)
    if angle is None:
        return None
    angle = math.fmod(angle, 360)
    turns = round(angle / 90)
    return turns % 4 if abs(angle - 90 * turns) <= ANGLE_TOLERANCE else None


def _turn_box(x: float, y: float, w: float, h: float, turns: int, size: PixelSize) -> Box:
    """The box in pixels, not clipped, of a rectangle in per cent that was turned around its corner (x, y).

    A rectangle that somebody flipped over its own edge has a negative side: (x, y) is then another corner.
    """
    width, height = size
    # Per cent of the width are other pixels than per cent of the height, so turned sides are converted.
    across, along = h * height / width, w * width / height
    dx, dy = ((w, h), (-across, along), (-w, -h), (across, -along))[turns]
    (left, right), (top, bottom) = sorted((x, x + dx)), sorted((y, y + dy))
    return Box(left / 100 * width, top / 100 * height, right / 100 * width, bottom / 100 * height)


def read_disk(item: ResultItem, size: PixelSize, source: SubmissionContext, names: ControlNames) -> DrawnDisk | None:
    """Read a keypoint as a disk.

    Parameters
    ----------
    item
        Result item of the control `names.disk`.
    size
        (width, height) of the edited image as displayed, in pixels.
    source
        Pair, annotator and place of the submission; it receives a rejection when the disk cannot be used.
    names
        Names of controls and labels.

    Returns
    -------
    DrawnDisk or None
        The disk in pixels; None if it was rejected.

    Notes
    -----
    Only the centre is read: the width of a keypoint depends on the annotator's window and is not a radius.
    """
    head = _read_id_and_kind(item, "disk", "keypointlabels", source, names)
    if head is None:
        return None
    name, kind = head
    value = item.value
    x, y = parse_finite_number(value.get("x")), parse_finite_number(value.get("y"))
    if x is None or y is None:
        source.reject("disk", "bad_number", "Expected finite numbers in x and y.", name)
        return None
    width, height = size
    x, y = x / 100 * width, y / 100 * height
    if not (-EDGE_TOLERANCE <= x <= width + EDGE_TOLERANCE and -EDGE_TOLERANCE <= y <= height + EDGE_TOLERANCE):
        source.reject("disk", "outside_picture", "The centre of the disk lies outside the image.", name)
        return None
    return DrawnDisk(name, kind, Disk(min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))))


def _read_id_and_kind(
    item: ResultItem, what: str, labels: str, source: SubmissionContext, names: ControlNames
) -> tuple[str, Kind] | None:
    """Id and kind of a drawn item; None if it was rejected."""
    name = item.item_id
    if name is None:
        source.reject(what, "no_id", f"The {what} has no usable id.")
        return None
    if not is_on_image(item.raw, names):
        source.reject(what, "wrong_picture", f"The {what} is not drawn on {names.image!r}.", name)
        return None
    if _count_quarter_turns(item.raw.get("image_rotation")) != 0:
        source.reject(what, "rotated", "The image was rotated while the annotator drew on it.", name)
        return None
    words = item.value.get(labels)
    word = words[0] if isinstance(words, list) and len(words) == 1 else None
    kind = names.labels.get(word) if isinstance(word, str) else None
    if kind is None:
        source.reject(
            what, "unknown_label", f"Expected one label of {', '.join(names.labels)}, got {quote_excerpt(word)}.", name
        )
        return None
    return name, kind
