"""How alike two people's marks of one picture are: their boxes one to one, their disks by area."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.clusters import ROUNDING, iou_matrix
from annotation.records import DISK_RADIUS_PER_HEIGHT, KINDS, Box, Disk, Kind, Mark

Centres = tuple[NDArray[np.float64], ...]

AT_ONCE = 1 << 17
"""Pairs of circles that are looked at together, a megabyte for every number that is worked out of a pair."""


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


def disk_centres(marks: Iterable[Mark], height: int) -> Centres:
    """The centres [n, 2] of somebody's disks in disk radii (H/20, H = `height` pixels), in the order of `KINDS`."""
    drawn = list(marks)
    return tuple(_centres(drawn, kind, height) for kind in KINDS)


def disk_areas(people: Sequence[tuple[Centres, Centres]]) -> list[Areas]:
    """Areas that the disks of two people share and cover together, within each kind, added up over kinds.

    Exact, by the circles' arcs, and so free of any raster; what reaches over the border of the picture counts too.
    """
    sets = [
        [
            part
            for own, theirs in zip(first, second, strict=True)
            for part in (own, theirs, np.concatenate((own, theirs)))
        ]
        for first, second in people
    ]
    found = union_areas([part for parts in sets for part in parts]).reshape(len(people), len(KINDS), 3)
    own, theirs, union = np.moveaxis(found, 2, 0)
    shared = np.maximum(0.0, own + theirs - union).sum(axis=1)
    return [Areas(float(one), float(both)) for one, both in zip(shared, union.sum(axis=1), strict=True)]


def union_areas(sets: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Area [len(sets)] that circles of radius 1 around the centres [n, 2] of each set cover together."""
    areas = np.zeros(len(sets))
    by_size: dict[int, list[int]] = {}
    for place, each in enumerate(sets):
        by_size.setdefault(len(each), []).append(place)
    for size, places in by_size.items():
        most = max(1, AT_ONCE // (size * size + 1))
        for start in range(0, len(places) if size else 0, most):
            part = places[start : start + most]
            areas[part] = _unions(np.stack([sets[place] for place in part]))
    return areas


def _unions(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area [b] that circles around `centres` [b, n, 2] cover together, for each of b sets.

    Green's theorem: half the integral of x dy - y dx along the arcs that lie in no other circle.
    """
    order = np.lexsort((centres[..., 0], centres[..., 1]), axis=-1)
    centres = np.take_along_axis(centres, order[..., None], axis=1)
    centres = centres - centres.mean(axis=1, keepdims=True)  # products of large coordinates would cost digits
    across, down = (centres[:, None, :, axis] - centres[:, :, None, axis] for axis in (0, 1))
    distance = np.hypot(across, down)
    # Of equal circles the first stands for all.
    first = np.logical_not(np.tril(distance == 0, -1).any(axis=2))
    near = np.logical_and(distance > 0, distance < 2) & first[:, None, :]
    half = np.arccos(np.minimum(distance, 2) / 2)
    start = np.mod(np.arctan2(down, across) - half, 2 * np.pi)
    return np.where(first, _arcs(centres, start, start + 2 * half, near), 0.0).sum(axis=1)


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
) -> NDArray[np.float64]:
    """Contribution [b, n] of circles around `centres` [b, n, 2] to the area inside the outline of all of their set.

    start, end: [b, n, m] where the arcs of each circle that lie in others begin, in [0, 2 pi), and end; `near`
    [b, n, m] says which of them are arcs
    """
    turn = 2 * math.pi
    # An arc that is none comes after all others and covers nothing.
    start, end = (np.where(near, angle, turn) for angle in (start, end))
    order = np.argsort(start, axis=2)
    start, end = (np.take_along_axis(angle, order, axis=2) for angle in (start, end))
    # What reaches beyond a full turn covers the beginning of the next one too.
    begun = np.maximum(0.0, end.max(axis=2, keepdims=True) - turn)
    reached = np.maximum.accumulate(np.concatenate([begun, end], axis=2), axis=2)
    start = np.concatenate([start, np.full_like(begun, turn)], axis=2)
    x, y = centres[..., :1], centres[..., 1:]
    free = start - reached + x * (np.sin(start) - np.sin(reached)) - y * (np.cos(start) - np.cos(reached))
    return np.where(start > reached, free, 0.0).sum(axis=2) / 2
