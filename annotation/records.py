"""What people said about edited images, as plain immutable records.

Coordinates are float pixels of the edited image as displayed (EXIF orientation applied): origin top left, boxes
half-open `[x0, y0, x1, y1]`, disks `[x, y]`.  Radii are never stored: a disk's radius is H/20 (paper, section 3.2.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["artifact", "failure"]
KINDS: tuple[Kind, ...] = ("artifact", "failure")

Dimension = Literal["perceptual_quality", "instruction_following", "visual_consistency"]
DIMENSIONS: tuple[Dimension, ...] = ("perceptual_quality", "instruction_following", "visual_consistency")

Severity = Literal["minor", "moderate", "severe"]
SEVERITIES: tuple[Severity, ...] = ("minor", "moderate", "severe")

DISK_RADIUS_PER_HEIGHT = 1 / 20


class Place(NamedTuple):
    """Where a record came from: a file of the corpus (POSIX, relative) and its row.

    `row` counts from 1: a line of a JSON-lines or CSV file (the CSV header is line 1), a task of an export,
    a row of a Parquet table.
    """

    file: str
    row: int


class Disk(NamedTuple):
    x: float
    y: float


class Box(NamedTuple):
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)

    def contains(self, disk: Disk) -> bool:
        return self.x0 <= disk.x < self.x1 and self.y0 <= disk.y < self.y1

    def distance(self, disk: Disk) -> float:
        """Euclidean distance in pixels from the disk's centre to the box; 0 inside."""
        dx = max(self.x0 - disk.x, 0.0, disk.x - self.x1)
        dy = max(self.y0 - disk.y, 0.0, disk.y - self.y1)
        return float((dx * dx + dy * dy) ** 0.5)

    def iou(self, other: Box) -> float:
        """Intersection over union in [0, 1]; 0 for two empty boxes.

        >>> Box(0, 0, 2, 2).iou(Box(1, 0, 3, 2))
        0.3333333333333333
        """
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True)
class Pair:
    """One edited image with its source, instruction, task and editor: a line of `pairs.jsonl`."""

    pair_id: str
    source_id: str
    source: str
    edited: str
    instruction: str
    task: str
    editor: str
    licence: str
    origin: str
    place: Place


@dataclass(frozen=True, slots=True)
class Mark:
    """One annotator's box with the disks that belong to it, before consensus."""

    mark_id: str
    kind: Kind
    box: Box
    disks: tuple[Disk, ...]
    flaw_type: str | None = None
    severity: Severity | None = None
    rationale: str | None = None


@dataclass(frozen=True, slots=True)
class RegionalAnnotation:
    """All that one person marked on one pair in one submission (stage 1, or the expert review).

    An annotation without marks says that the person looked and saw no flaw.
    `at` is the ISO time of the last change, compared as text.
    """

    pair_id: str
    annotator_id: str
    marks: tuple[Mark, ...]
    at: str
    place: Place


@dataclass(frozen=True, slots=True)
class Region:
    """An accepted flaw: box, disks of every supporting annotator, and, once final, what is wrong and why."""

    region_id: str
    kind: Kind
    box: Box
    disks: tuple[Disk, ...]
    flaw_type: str | None
    severity: Severity | None
    rationale: str | None
    annotators: tuple[str, ...]
    mark_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rationale:
    """What one reviewer said of one region in one round of stage 2: a text (revised or agreed to) or a bare verdict."""

    pair_id: str
    region_id: str
    annotator_id: str
    kind: Kind | None
    box: Box | None
    text: str | None
    flaw_type: str | None
    severity: Severity | None
    verdict: Literal["agree", "revise"] | None
    at: str
    place: Place


@dataclass(frozen=True, slots=True)
class Rating:
    pair_id: str
    annotator_id: str
    dimension: Dimension
    score: float
    rated_at: str
    place: Place


@dataclass(frozen=True, slots=True)
class Flag:
    """One rater called one region unreasonable (stage 3)."""

    pair_id: str
    region_id: str
    annotator_id: str
    place: Place


@dataclass(frozen=True, slots=True)
class Rejection:
    """One thing set aside, or read after a repair, and why: a line of `rejected.jsonl`.

    what: file | pair | image | annotation | box | disk | result | rationale | rating | flag | region | rater | score
    reason: a short stable code in snake_case, counted in the summary
    message: one sentence: what was expected, what came, what to do; never a person's id (that is `annotator_id`,
        which is written as a pseudonym) and never more than a short excerpt of the input
    repaired: True when the thing was used all the same (a byte order mark that was skipped)
    """

    what: str
    file: str
    row: int
    reason: str
    message: str
    pair_id: str | None = None
    item_id: str | None = None
    annotator_id: str | None = None
    repaired: bool = field(default=False)
