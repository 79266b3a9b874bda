"""Annotations of edited images as plain immutable records.

Coordinates are float pixels of the edited image as displayed (EXIF orientation applied): origin top left, boxes
half-open `[x0, y0, x1, y1]`, disks `[x, y]`.  Radii are never stored: a disk's radius is H/20 (paper, section 3.2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mos.rejections import Rejection as Rejection

Kind = Literal["artifact", "failure"]
KINDS: tuple[Kind, ...] = ("artifact", "failure")

Dimension = Literal["perceptual_quality", "instruction_following", "visual_consistency"]
DIMENSIONS: tuple[Dimension, ...] = ("perceptual_quality", "instruction_following", "visual_consistency")

Severity = Literal["minor", "moderate", "severe"]
SEVERITIES: tuple[Severity, ...] = ("minor", "moderate", "severe")

DISK_RADIUS_PER_HEIGHT = 1 / 20
"""Radius of every disk as a share of the height of the edited image (paper, section 3.2.1)."""


class Place(NamedTuple):
    """The file and row that a record was read from.

    Parameters
    ----------
    file : str
        POSIX path relative to the corpus.
    row : int
        From 1: a line of a JSON-lines or CSV file (the CSV header is line 1), a studio task of an export, a row of a
        Parquet table; 0 for the file as a whole.
    """

    file: str
    row: int


class Disk(NamedTuple):
    """Centre of a disk in pixels of the edited image; its radius is `DISK_RADIUS_PER_HEIGHT` of the image's height."""

    x: float
    y: float


class Box(NamedTuple):
    """Half-open box in pixels of the edited image.

    Parameters
    ----------
    x0, y0 : float
        Left and upper edge.
    x1, y1 : float
        Right and lower edge, which are outside the box.

    Examples
    --------
    >>> box = Box(0, 0, 4, 2)
    >>> box.area, box.contains(Disk(4, 1)), box.distance(Disk(7, 6))
    (8, False, 5.0)
    """

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        """Area in square pixels; 0 for an empty box."""
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)

    def contains(self, disk: Disk) -> bool:
        """Whether the disk's centre is inside the box."""
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
    """One edited image with its source, instruction, task and editor: a line of `pairs.jsonl`.

    Parameters
    ----------
    pair_id : str
        Unique id of the edited image, at most 200 characters.
    source_id : str
        Id of the source image, which several pairs may share.
    source, edited : str
        Paths of the two images, POSIX and relative to the corpus.
    instruction : str
        Instruction for the editor, at most 10,000 characters.
    task : str
        Id of the edit task, see `annotation.taxonomy.load_edit_tasks`.
    editor : str
        Model or program that made the edit.
    licence, origin : str
        Licence and origin of the images; the corpus' licence and "" where the line states none.
    place : Place
        The line of `pairs.jsonl`.
    """

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
    """One annotator's box with the disks that belong to it, before consensus.

    Parameters
    ----------
    mark_id : str
        Id of the box in its submission.
    kind : {"artifact", "failure"}
        An artifact is a flaw of the image, a failure a flaw of the edit.
    box : Box
        Box around the flawed object.
    disks : tuple of Disk
        Centres of the disks that belong to the box.
    flaw_type : str or None
        Id of the flaw type, see `annotation.taxonomy.list_flaw_types`.
    severity : {"minor", "moderate", "severe"} or None
        How bad the flaw is.
    rationale : str or None
        Text about the flaw, which only an expert writes.
    """

    mark_id: str
    kind: Kind
    box: Box
    disks: tuple[Disk, ...]
    flaw_type: str | None = None
    severity: Severity | None = None
    rationale: str | None = None


MarkFault = Literal["box_without_disk", "disk_without_box", "kinds_mixed"]
"""Why a drawn box or disk does not count, where its annotator can correct it."""

ShownDisks = Literal["all", "one"]


@dataclass(frozen=True, slots=True)
class RegionalAnnotation:
    """All marks of one submission about one pair (stage regional or expert).

    Parameters
    ----------
    pair_id : str
        The pair.
    annotator_id : str
        The annotator or expert.
    marks : tuple of Mark
        The marks; none where the annotator saw no flaw.
    at : str
        ISO time of the last change, compared as text.
    place : Place
        The studio task that holds the submission.
    shown_disks : {"all", "one"} or None
        Of an expert's submission: the disks of the annotators that the studio task showed in each region.  After
        "all" the expert's disks are all that count; "one" (earlier versions of the campaign) was the central one;
        None: unknown.
    faults : tuple of {"box_without_disk", "disk_without_box", "kinds_mixed"}
        What was drawn and does not count, one entry for each box or disk; a disk in a box of the other kind alone is
        "kinds_mixed".
    """

    pair_id: str
    annotator_id: str
    marks: tuple[Mark, ...]
    at: str
    place: Place
    shown_disks: ShownDisks | None = None
    faults: tuple[MarkFault, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """An accepted region.

    Parameters
    ----------
    region_id : str
        Id that is unique within the pair.
    kind : {"artifact", "failure"}
        Kind of the flaw.
    box : Box
        The expert's box, else the coordinate-wise median of the members' boxes.
    disks : tuple of Disk
        Disks of every member; the expert's alone where the expert saw all those of the annotators.
    flaw_type : str or None
        Flaw type of the final text, else the most common one of the members.
    severity : {"minor", "moderate", "severe"} or None
        Severity of the final text, else the most common one of the members.
    rationale : str or None
        The final text; None until there is one.
    annotators : tuple of str
        Annotators of the members.
    mark_ids : tuple of str
        Ids of the members' marks.
    """

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
    """One reviewer's statement about one region in one round of the stage textual: a text, or a verdict alone."""

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
    """One rater's score of one pair in one dimension (stage scoring)."""

    pair_id: str
    annotator_id: str
    dimension: Dimension
    score: float
    rated_at: str
    place: Place


@dataclass(frozen=True, slots=True)
class Flag:
    """One rater's flag on one region as unreasonable (stage scoring)."""

    pair_id: str
    region_id: str
    annotator_id: str
    place: Place


@dataclass(frozen=True, slots=True)
class PairSubmissions:
    """Everything that was submitted about the regions of one pair.

    Parameters
    ----------
    regional : sequence of RegionalAnnotation
        Submissions of annotators.
    expert : sequence of RegionalAnnotation
        Submissions of experts.
    rationales : sequence of Rationale
        Statements of reviewers.
    flags : sequence of Flag
        Flags of raters.
    """

    regional: Sequence[RegionalAnnotation] = ()
    expert: Sequence[RegionalAnnotation] = ()
    rationales: Sequence[Rationale] = ()
    flags: Sequence[Flag] = ()
