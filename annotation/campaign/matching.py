"""How alike two people's marks of one picture are: their boxes one to one, their disks by area."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.clusters import ROUNDING, iou_matrix
from annotation.records import DISK_RADIUS_PER_HEIGHT, KINDS, Box, Disk, Kind, Mark


@dataclass(frozen=True, slots=True)
class Matches:
    """`hits` boxes matched one to one, of `first` and of `second`; those of several pictures can be added up."""

    hits: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Matches) -> Matches:
        return Matches(self.hits + other.hits, self.first + other.first, self.second + other.second)

    @property
    def f1(self) -> float | None:
        """2 hits / (first + second), the harmonic mean of precision and recall, 0 to 1; None where nobody drew."""
        drawn = self.first + self.second
        return 2 * self.hits / drawn if drawn else None


@dataclass(frozen=True, slots=True)
class Areas:
    """Area that two sets of disks share, and that they cover together, in squared disk radii; can be added up."""

    shared: float = 0.0
    union: float = 0.0

    def __add__(self, other: Areas) -> Areas:
        return Areas(self.shared + other.shared, self.union + other.union)

    @property
    def iou(self) -> float | None:
        """Intersection over union, 0 to 1; None without disks."""
        return min(1.0, self.shared / self.union) if self.union > 0 else None


def matched(first: Sequence[Box], second: Sequence[Box], iou: float) -> list[tuple[int, int]]:
    """Positions of the boxes that belong together, one to one: each pair overlaps by `iou` (above 0) or more.

    As many pairs as possible; of several ways the one with the largest sum of IoU.  So the number of pairs is the same
    whichever person comes first and in whatever order the boxes are; greedy matching by IoU can miss some.
    """
    from scipy.optimize import linear_sum_assignment

    if not first or not second:
        return []
    overlap = iou_matrix(_array(first), _array(second))
    fits = overlap >= iou - ROUNDING
    # A pair more outweighs any sum of overlaps.
    worth = np.where(fits, 1 + overlap / (1 + min(overlap.shape)), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if fits[row, column]]


def box_matches(first: Iterable[Mark], second: Iterable[Mark], iou: float, kinds: Sequence[Kind] = KINDS) -> Matches:
    """The boxes of `kinds` that match within their kind: an artifact never matches a failure."""
    one, other = list(first), list(second)
    total = Matches()
    for kind in kinds:
        own = [mark.box for mark in one if mark.kind == kind]
        theirs = [mark.box for mark in other if mark.kind == kind]
        total += Matches(len(matched(own, theirs, iou)), len(own), len(theirs))
    return total


def disk_areas(first: Iterable[Mark], second: Iterable[Mark], height: int) -> Areas:
    """Areas of the disks (radius H/20, H = `height` pixels) of two people, within each kind, added up over kinds.

    Exact, by the circles' arcs, and so free of any raster; what reaches over the border of the picture counts too.
    """
    one, other = list(first), list(second)
    total = Areas()
    for kind in KINDS:
        own, theirs = _centres(one, kind, height), _centres(other, kind, height)
        union = union_area(np.concatenate([own, theirs]))
        shared = union_area(own) + union_area(theirs) - union
        total += Areas(max(0.0, shared), union)
    return total


def union_area(centres: NDArray[np.float64]) -> float:
    """Area that circles of radius 1 around `centres` [n, 2] cover together.

    Green's theorem: half the integral of x dy - y dx along the arcs that lie in no other circle.
    """
    centres = np.unique(centres, axis=0)
    across, down = (centres[:, axis] - centres[:, axis, None] for axis in (0, 1))
    distance = np.hypot(across, down)
    near = (distance > 0) & (distance < 2)
    area = math.pi * int(np.count_nonzero(~near.any(axis=1)))
    if not near.any():
        return area
    start = np.mod(np.arctan2(down, across) - np.arccos(np.minimum(distance, 2) / 2), 2 * np.pi)
    end = start + 2 * np.arccos(np.minimum(distance, 2) / 2)
    middle = centres.mean(axis=0)  # products of large coordinates would cost digits
    for index in np.flatnonzero(near.any(axis=1)):
        others = near[index]
        covered = sorted(zip(start[index, others].tolist(), end[index, others].tolist(), strict=True))
        x, y = (centres[index] - middle).tolist()
        area += _arcs(x, y, covered)
    return area


def disk_hits(candidate: Iterable[Mark], gold: Iterable[Mark], reach: float) -> tuple[int, int]:
    """How many of the candidate's disks hit, and how many there are.

    A disk hits when its centre is at most `reach` pixels from the centre of a gold disk of its kind (whichever gold
    region that belongs to), or lies in a gold box of its kind.
    """
    answers = list(gold)
    hits = drawn = 0
    for mark in candidate:
        same = [other for other in answers if other.kind == mark.kind]
        drawn += len(mark.disks)
        hits += sum(any(_near(disk, other, reach) for other in same) for disk in mark.disks)
    return hits, drawn


def disk_radius(height: int) -> float:
    """The radius of a disk in pixels on a picture of `height` pixels: H/20."""
    return height * DISK_RADIUS_PER_HEIGHT


def _near(disk: Disk, mark: Mark, reach: float) -> bool:
    if mark.box.contains(disk):
        return True
    return any(math.hypot(disk.x - other.x, disk.y - other.y) <= reach * (1 + ROUNDING) for other in mark.disks)


def _array(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _centres(marks: Sequence[Mark], kind: Kind, height: int) -> NDArray[np.float64]:
    """Centres [n, 2] of the disks of one kind, in radii."""
    disks = [disk for mark in marks if mark.kind == kind for disk in mark.disks]
    return np.array(disks, dtype=np.float64).reshape(-1, 2) / disk_radius(height)


def _arcs(x: float, y: float, covered: list[tuple[float, float]]) -> float:
    """Contribution of the circle around (x, y) to the area inside the outline of all.

    covered: where its arcs lie in other circles, ascending, each from an angle in [0, 2 pi) to a larger one
    """
    # What reaches beyond a full turn covers the beginning of the next one too.
    reached = max(0.0, *(end - 2 * math.pi for _, end in covered))
    area = 0.0
    for begin, end in [*covered, (2 * math.pi, 2 * math.pi)]:
        if begin > reached:
            turn = x * (math.sin(begin) - math.sin(reached)) - y * (math.cos(begin) - math.cos(reached))
            area += (begin - reached + turn) / 2
        reached = max(reached, end)
    return area
