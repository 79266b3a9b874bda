"""How alike two people's marks of one picture are: their boxes one to one, their disks by area."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    return _matched(iou_matrix(_array(first), _array(second)), iou)


def _matched(overlap: NDArray[np.float64], iou: float) -> list[tuple[int, int]]:
    fits = overlap >= iou - ROUNDING
    if not fits.any():
        return []
    from scipy.optimize import linear_sum_assignment

    # A pair more outweighs any sum of overlaps.
    worth = np.where(fits, 1 + overlap / (1 + min(overlap.shape)), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if fits[row, column]]


def box_matches(first: Iterable[Mark], second: Iterable[Mark], iou: float, kinds: Sequence[Kind] = KINDS) -> Matches:
    """The boxes of `kinds` that match within their kind: an artifact never matches a failure."""
    return matches_at(first, second, (iou,), kinds)[0]


def matches_at(
    first: Iterable[Mark], second: Iterable[Mark], ious: Sequence[float], kinds: Sequence[Kind] = KINDS
) -> tuple[Matches, ...]:
    """The same at each of several IoUs."""
    one, other = list(first), list(second)
    totals = [Matches()] * len(ious)
    for kind in kinds:
        own = [mark.box for mark in one if mark.kind == kind]
        theirs = [mark.box for mark in other if mark.kind == kind]
        overlap = iou_matrix(_array(own), _array(theirs))
        totals = [
            total + Matches(len(_matched(overlap, iou)), len(own), len(theirs))
            for total, iou in zip(totals, ious, strict=True)
        ]
    return tuple(totals)


class Covered(NamedTuple):
    """What somebody's disks of one kind cover: centres [n, 2] in disk radii, area in squared radii."""

    centres: NDArray[np.float64]
    area: float


def covered(marks: Iterable[Mark], height: int) -> tuple[Covered, ...]:
    """What the disks (radius H/20, H = `height` pixels) of each kind cover, in the order of `KINDS`."""
    drawn = list(marks)
    every = (_centres(drawn, kind, height) for kind in KINDS)
    return tuple(Covered(centres, union_area(centres)) for centres in every)


def disk_areas(first: Sequence[Covered], second: Sequence[Covered]) -> Areas:
    """Areas that the disks of two people share and cover together, within each kind, added up over kinds.

    Exact, by the circles' arcs, and so free of any raster; what reaches over the border of the picture counts too.
    """
    total = Areas()
    for own, theirs in zip(first, second, strict=True):
        union = union_area(np.concatenate([own.centres, theirs.centres]))
        total += Areas(max(0.0, own.area + theirs.area - union), union)
    return total


def union_area(centres: NDArray[np.float64]) -> float:
    """Area that circles of radius 1 around `centres` [n, 2] cover together.

    Green's theorem: half the integral of x dy - y dx along the arcs that lie in no other circle.
    """
    centres = centres[np.lexsort(centres.T)]
    centres = centres[np.append(True, (centres[1:] != centres[:-1]).any(axis=1))[: len(centres)]]
    across, down = (centres[:, axis] - centres[:, axis, None] for axis in (0, 1))
    distance = np.hypot(across, down)
    near = (distance > 0) & (distance < 2)
    met = near.any(axis=1)
    area = math.pi * int(np.count_nonzero(~met))
    if not met.any():
        return area
    half = np.arccos(np.minimum(distance[met], 2) / 2)
    start = np.mod(np.arctan2(down[met], across[met]) - half, 2 * np.pi)
    middle = centres.mean(axis=0)  # products of large coordinates would cost digits
    return area + _arcs(centres[met] - middle, start, start + 2 * half, near[met])


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


def _arcs(
    centres: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64], near: NDArray[np.bool_]
) -> float:
    """Contribution of circles around `centres` [n, 2] to the area inside the outline of all.

    start, end: [n, m] where the arcs of each circle that lie in others begin, in [0, 2 pi), and end; `near` [n, m] says
    which of them are arcs
    """
    turn = 2 * math.pi
    # An arc that is none comes after all others and covers nothing.
    start, end = (np.where(near, angle, turn) for angle in (start, end))
    order = np.argsort(start, axis=1)
    start, end = (np.take_along_axis(angle, order, axis=1) for angle in (start, end))
    # What reaches beyond a full turn covers the beginning of the next one too.
    begun = np.maximum(0.0, end.max(axis=1, keepdims=True) - turn)
    reached = np.maximum.accumulate(np.concatenate([begun, end], axis=1), axis=1)
    start = np.concatenate([start, np.full_like(begun, turn)], axis=1)
    x, y = centres[:, :1], centres[:, 1:]
    free = start - reached + x * (np.sin(start) - np.sin(reached)) - y * (np.cos(start) - np.cos(reached))
    return float(np.where(start > reached, free, 0.0).sum() / 2)
