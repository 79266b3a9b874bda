"""From the regions of two maps to the areas that are edited: grown to the size of a flaw, joined where they meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import DISK_RADIUS_PER_HEIGHT, Box, Kind
from editfhf.editors.mask_geometry import choose_ring_width
from editfhf.saliency import SIGMA_PER_HEIGHT
from training.agents.map_regions import MapRegion

GROWTH_PER_HEIGHT = DISK_RADIUS_PER_HEIGHT - math.sqrt(2 * math.log(2)) * SIGMA_PER_HEIGHT
"""By how much a region is grown to the size of its disks, as a share of the image's height.

A map of one disk of the radius H/20 falls to one half at 1.18 sigma from its centre, sigma = H/40. Grown by the rest,
the region is the disk again.
"""

SMALL_SIDE_PER_HEIGHT = 2 * DISK_RADIUS_PER_HEIGHT
"""A region whose box is at most as large as one disk is small."""

JOIN_GAP_PER_HEIGHT = DISK_RADIUS_PER_HEIGHT
"""Small regions are joined when the gap between their boxes is at most this share of the height."""


@dataclass(frozen=True, slots=True, eq=False)
class FlawRegion:
    """A region of one of the two maps.

    Attributes
    ----------
    region_id : str
        Such as "a1" or "f2": the kind and its number in the turn.
    kind : {"artifact", "failure"}
    region : MapRegion
    """

    region_id: str
    kind: Kind
    region: MapRegion


@dataclass(frozen=True, slots=True, eq=False)
class EditArea:
    """What is edited at once.

    Attributes
    ----------
    regions : tuple of FlawRegion
        The regions in it, the strongest first.
    box : Box
        Whole pixels of the image.
    mask : ndarray
        bool [H, W] of the box: what may change.
    """

    regions: tuple[FlawRegion, ...]
    box: Box
    mask: NDArray[np.bool_]


def number_regions(found: Sequence[tuple[Kind, MapRegion]]) -> list[FlawRegion]:
    """Regions with ids that count within their kind."""
    counts: dict[Kind, int] = {}
    numbered = []
    for kind, region in found:
        counts[kind] = counts.get(kind, 0) + 1
        numbered.append(FlawRegion(f"{kind[0]}{counts[kind]}", kind, region))
    return numbered


def join_regions(regions: Sequence[FlawRegion], height: int, width: int) -> list[EditArea]:
    """Grow regions and join those that belong together.

    Parameters
    ----------
    regions : sequence of FlawRegion
    height, width : int
        Size of the image in pixels.

    Returns
    -------
    list of EditArea
        Disjoint, the strongest first: by the highest product of peak and area of a region.

    Notes
    -----
    Every region is grown by `measure_growth`. Two are joined when they then touch, or when both are small and the
    gap between their boxes is at most `JOIN_GAP_PER_HEIGHT`: specks are repaired in one edit, large flaws apart.
    """
    if not regions:
        return []
    growth = measure_growth(height, width)
    kernel = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * growth + 1, 2 * growth + 1)), np.uint8)
    grown = [_grow_region(one.region, growth, kernel, height, width) for one in regions]
    parents = list(range(len(regions)))
    for first in range(len(regions)):
        for second in range(first):
            if _belong_together(regions[first], grown[first], regions[second], grown[second], height):
                _join(parents, first, second)
    groups: dict[int, list[int]] = {}
    for number in range(len(regions)):
        groups.setdefault(_find_root(parents, number), []).append(number)
    areas = [_make_area([regions[one] for one in group], [grown[one] for one in group]) for group in groups.values()]
    return sorted(areas, key=lambda area: -_strength(area.regions[0]))


def measure_growth(height: int, width: int) -> int:
    """By how many pixels regions of an image of this size are grown: to whole disks, and the rim that fades in."""
    return max(1, round(GROWTH_PER_HEIGHT * height)) + max(1, choose_ring_width(height, width) // 4)


@dataclass(frozen=True, slots=True, eq=False)
class _GrownRegion:
    left: int
    top: int
    mask: NDArray[np.bool_]

    @property
    def right(self) -> int:
        return self.left + self.mask.shape[1]

    @property
    def bottom(self) -> int:
        return self.top + self.mask.shape[0]


def _grow_region(region: MapRegion, growth: int, kernel: NDArray[np.uint8], height: int, width: int) -> _GrownRegion:
    left, top = int(region.box.x0), int(region.box.y0)
    padded = np.pad(region.mask, growth).astype(np.uint8)
    mask = np.asarray(cv2.dilate(padded, kernel)).astype(np.bool_)
    top, left = top - growth, left - growth
    cut = mask[max(0, -top) : height - top, max(0, -left) : width - left]
    return _GrownRegion(max(0, left), max(0, top), cut)


def _belong_together(
    first: FlawRegion, grown: _GrownRegion, second: FlawRegion, other: _GrownRegion, height: int
) -> bool:
    if _touch(grown, other):
        return True
    side = SMALL_SIDE_PER_HEIGHT * height
    boxes = first.region.box, second.region.box
    if any(max(box.x1 - box.x0, box.y1 - box.y0) > side for box in boxes):
        return False
    across = max(boxes[0].x0, boxes[1].x0) - min(boxes[0].x1, boxes[1].x1)
    down = max(boxes[0].y0, boxes[1].y0) - min(boxes[0].y1, boxes[1].y1)
    return math.hypot(max(0.0, across), max(0.0, down)) <= JOIN_GAP_PER_HEIGHT * height


def _touch(first: _GrownRegion, second: _GrownRegion) -> bool:
    left, right = max(first.left, second.left), min(first.right, second.right)
    top, bottom = max(first.top, second.top), min(first.bottom, second.bottom)
    if left >= right or top >= bottom:
        return False
    parts = [one.mask[top - one.top : bottom - one.top, left - one.left : right - one.left] for one in (first, second)]
    return bool(np.any(parts[0] & parts[1]))


def _make_area(regions: Sequence[FlawRegion], grown: Sequence[_GrownRegion]) -> EditArea:
    left, top = min(one.left for one in grown), min(one.top for one in grown)
    right, bottom = max(one.right for one in grown), max(one.bottom for one in grown)
    mask = np.zeros((bottom - top, right - left), np.bool_)
    for one in grown:
        mask[one.top - top : one.bottom - top, one.left - left : one.right - left] |= one.mask
    box = Box(float(left), float(top), float(right), float(bottom))
    ordered = sorted(regions, key=lambda one: (-_strength(one), one.region_id))
    return EditArea(tuple(ordered), box, mask)


def _strength(region: FlawRegion) -> float:
    return float(region.region.peak * region.region.area)


def _find_root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        number = parents[number]
    return number


def _join(parents: list[int], first: int, second: int) -> None:
    parents[_find_root(parents, first)] = _find_root(parents, second)
