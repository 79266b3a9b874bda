"""Compare two annotators' marks of one image: boxes one to one, disks by area."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.box_clusters import IOU_ROUNDING, iou_matrix
from annotation.records import DISK_RADIUS_PER_HEIGHT, KINDS, Box, Disk, Kind, Mark

DiskCentres = tuple[NDArray[np.float64], ...]

MAX_CIRCLE_PAIRS = 1 << 17
"""Pairs of circles in one batch: an array with a number for each takes a megabyte."""


@dataclass(frozen=True, slots=True)
class BoxMatches:
    """`hits` boxes matched one to one, of `first` and of `second` boxes; counts of several images can be added up."""

    hits: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: BoxMatches) -> BoxMatches:
        return BoxMatches(self.hits + other.hits, self.first + other.first, self.second + other.second)

    @property
    def f1(self) -> float | None:
        """2 hits / (first + second), the harmonic mean of precision and recall, 0 to 1; None without boxes."""
        drawn = self.first + self.second
        return 2 * self.hits / drawn if drawn else None


@dataclass(frozen=True, slots=True)
class DiskAreas:
    """Areas of the intersection and the union of two sets of disks, in squared disk radii; can be added up."""

    shared: float = 0.0
    union: float = 0.0

    def __add__(self, other: DiskAreas) -> DiskAreas:
        return DiskAreas(self.shared + other.shared, self.union + other.union)

    @property
    def iou(self) -> float | None:
        """Intersection over union, 0 to 1; None without disks."""
        return min(1.0, self.shared / self.union) if self.union > 0 else None


def match_boxes(first: Sequence[Box], second: Sequence[Box], iou: float) -> list[tuple[int, int]]:
    """Match boxes one to one, so that each two overlap by `iou` (above 0) or more.

    As many matches as possible; of several solutions the one with the largest sum of IoU.  So the number of matches
    depends neither on who comes first nor on the order of the boxes; greedy matching by IoU can miss some.

    Returns
    -------
    list of (int, int)
        Positions in `first` and in `second`.
    """
    return _match_by_overlap(iou_matrix(_boxes_as_array(first), _boxes_as_array(second)), iou)


def _match_by_overlap(overlap: NDArray[np.float64], iou: float) -> list[tuple[int, int]]:
    fits = overlap >= iou - IOU_ROUNDING
    if not fits.any():
        return []
    from scipy.optimize import linear_sum_assignment

    # One more match outweighs any sum of overlaps.
    worth = np.where(fits, 1 + overlap / (1 + min(overlap.shape)), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if fits[row, column]]


def count_box_matches(
    first: Iterable[Mark], second: Iterable[Mark], iou: float, kinds: Sequence[Kind] = KINDS
) -> BoxMatches:
    """Count the boxes of `kinds` that match; an artifact never matches a failure."""
    return count_matches_at(first, second, (iou,), kinds)[0]


def count_matches_at(
    first: Iterable[Mark], second: Iterable[Mark], ious: Sequence[float], kinds: Sequence[Kind] = KINDS
) -> tuple[BoxMatches, ...]:
    """Count matching boxes at each of several IoUs; see `count_box_matches`."""
    first, second = list(first), list(second)
    totals = [BoxMatches()] * len(ious)
    for kind in kinds:
        boxes = [mark.box for mark in first if mark.kind == kind]
        other_boxes = [mark.box for mark in second if mark.kind == kind]
        overlap = iou_matrix(_boxes_as_array(boxes), _boxes_as_array(other_boxes))
        totals = [
            total + BoxMatches(len(_match_by_overlap(overlap, iou)), len(boxes), len(other_boxes))
            for total, iou in zip(totals, ious, strict=True)
        ]
    return tuple(totals)


def disk_centres_in_radii(marks: Iterable[Mark], height: int) -> DiskCentres:
    """Centres [n, 2] of the disks of each kind, in disk radii (H/20, H = `height` pixels), in the order of `KINDS`."""
    drawn = list(marks)
    return tuple(_centres_of_kind(drawn, kind, height) for kind in KINDS)


def shared_disk_areas(people: Sequence[tuple[DiskCentres, DiskCentres]]) -> list[DiskAreas]:
    """Intersection and union of the disks of each two annotators, within each kind, added up over kinds.

    Exact, from the arcs of the circles, without a raster; parts outside the image count too.
    """
    sets = [
        [
            part
            for centres, others in zip(first, second, strict=True)
            for part in (centres, others, np.concatenate((centres, others)))
        ]
        for first, second in people
    ]
    areas = disk_union_areas([part for parts in sets for part in parts]).reshape(len(people), len(KINDS), 3)
    first_area, second_area, union = np.moveaxis(areas, 2, 0)
    shared = np.maximum(0.0, first_area + second_area - union).sum(axis=1)
    return [DiskAreas(float(common), float(total)) for common, total in zip(shared, union.sum(axis=1), strict=True)]


def disk_union_areas(sets: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Area [len(sets)] of the union of circles of radius 1 around the centres [n, 2] of each set."""
    areas = np.zeros(len(sets))
    by_size: dict[int, list[int]] = {}
    for place, each in enumerate(sets):
        by_size.setdefault(len(each), []).append(place)
    for size, places in by_size.items():
        most = max(1, MAX_CIRCLE_PAIRS // (size * size + 1))
        for start in range(0, len(places) if size else 0, most):
            part = places[start : start + most]
            areas[part] = _batch_union_areas(np.stack([sets[place] for place in part]))
    return areas


def _batch_union_areas(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area [b] of the union of circles of radius 1 around `centres` [b, n, 2], for each of b sets.

    Green's theorem: half the integral of x dy - y dx along the arcs that lie in no other circle.
    """
    order = np.lexsort((centres[..., 0], centres[..., 1]), axis=-1)
    centres = np.take_along_axis(centres, order[..., None], axis=1)
    centres = centres - centres.mean(axis=1, keepdims=True)  # products of large coordinates would cost digits
    across, down = (centres[:, None, :, axis] - centres[:, :, None, axis] for axis in (0, 1))
    distance = np.hypot(across, down)
    # Of equal circles only the first counts.
    first = np.logical_not(np.tril(distance == 0, -1).any(axis=2))
    near = np.logical_and(distance > 0, distance < 2) & first[:, None, :]
    half = np.arccos(np.minimum(distance, 2) / 2)
    start = np.mod(np.arctan2(down, across) - half, 2 * np.pi)
    areas: NDArray[np.float64] = np.where(first, _free_arc_areas(centres, start, start + 2 * half, near), 0.0).sum(
        axis=1
    )
    return areas


def count_disk_hits(candidate: Iterable[Mark], gold: Iterable[Mark], reach: float) -> tuple[int, int]:
    """Count the candidate's disks that hit, and all of them.

    A disk hits when its centre is at most `reach` pixels from the centre of a gold disk of its kind, of any region, or
    lies in a gold box of its kind.
    """
    gold_marks = list(gold)
    hits = drawn = 0
    for mark in candidate:
        same = [other for other in gold_marks if other.kind == mark.kind]
        drawn += len(mark.disks)
        hits += sum(any(_is_near_mark(disk, other, reach) for other in same) for disk in mark.disks)
    return hits, drawn


def disk_radius(height: int) -> float:
    """The radius of a disk in pixels in an image of `height` pixels: H/20."""
    return height * DISK_RADIUS_PER_HEIGHT


def _is_near_mark(disk: Disk, mark: Mark, reach: float) -> bool:
    if mark.box.contains(disk):
        return True
    return any(math.hypot(disk.x - other.x, disk.y - other.y) <= reach * (1 + IOU_ROUNDING) for other in mark.disks)


def _boxes_as_array(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _centres_of_kind(marks: Sequence[Mark], kind: Kind, height: int) -> NDArray[np.float64]:
    """Centres [n, 2] of the disks of one kind, in radii."""
    disks = [disk for mark in marks if mark.kind == kind for disk in mark.disks]
    return np.array(disks, dtype=np.float64).reshape(-1, 2) / disk_radius(height)


def _free_arc_areas(
    centres: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64], near: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Contribution [b, n] of circles around `centres` [b, n, 2] to the area of the union of their set.

    start, end: [b, n, m] where the arcs of each circle that lie in others begin, in [0, 2 pi), and end; `near`
    [b, n, m] says which of them are arcs
    """
    turn = 2 * math.pi
    # What is no arc is sorted last and covers nothing.
    start, end = (np.where(near, angle, turn) for angle in (start, end))
    order = np.argsort(start, axis=2)
    start, end = (np.take_along_axis(angle, order, axis=2) for angle in (start, end))
    # An arc that ends beyond a full turn covers the beginning of the next one too.
    begun = np.maximum(0.0, end.max(axis=2, keepdims=True) - turn)
    reached = np.maximum.accumulate(np.concatenate([begun, end], axis=2), axis=2)
    start = np.concatenate([start, np.full_like(begun, turn)], axis=2)
    x, y = centres[..., :1], centres[..., 1:]
    free = start - reached + x * (np.sin(start) - np.sin(reached)) - y * (np.cos(start) - np.cos(reached))
    areas: NDArray[np.float64] = np.where(start > reached, free, 0.0).sum(axis=2) / 2
    return areas
