"""From a saliency map to a mask, its regions and their boxes.

The map is compared with a threshold on its absolute scale, so an image may have no region at all: a map is never
stretched to its own maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import Box

REGION_THRESHOLD = 0.5
"""Saliency from which a pixel belongs to a region."""

LEAST_REGION_AREA = 50
"""Pixels of the smallest region that is kept."""

KERNEL_SIDE = 5
"""Side in pixels of the square with which a mask is opened and closed."""


@dataclass(frozen=True, slots=True, eq=False)
class MapRegion:
    """One connected part of a saliency map that lies above the threshold.

    Attributes
    ----------
    box : Box
        The smallest half-open box around the region, whole pixels of the map.
    mask : ndarray
        bool [H, W] of the box: the pixels of the region.
    peak : float
        Highest saliency in the region, from the threshold to 1.
    area : int
        Pixels of the region.
    """

    box: Box
    mask: NDArray[np.bool_]
    peak: float
    area: int


def find_map_regions(
    saliency: NDArray[Any], threshold: float = REGION_THRESHOLD, least_area: int = LEAST_REGION_AREA
) -> list[MapRegion]:
    """Find the connected regions of a saliency map.

    Parameters
    ----------
    saliency : ndarray
        float [H, W] in [0, 1], on an absolute scale.
    threshold : float
        Saliency from which a pixel belongs to a region, above 0 and at most 1.
    least_area : int
        Pixels of the smallest region that is kept.

    Returns
    -------
    list of MapRegion
        From top to bottom, then from left to right, by the upper left corner of the box; empty for a clean image.

    Raises
    ------
    ValueError
        For another shape, or a value or threshold out of range.

    Notes
    -----
    The pixels with S >= threshold are opened and then closed with a square of 5 x 5 pixels; what is left is split
    into parts that touch along a side or at a corner (8-connected). At the border the square is cut off, so that a
    region there, or a map smaller than the square, is treated like one inside: opening removes what is narrower than
    5 pixels, unless the border cuts it.

    Examples
    --------
    >>> saliency = np.zeros((40, 60), np.float32)
    >>> saliency[10:20, 30:50] = 0.75
    >>> [(region.box, region.peak, region.area) for region in find_map_regions(saliency)]
    [(Box(x0=30.0, y0=10.0, x1=50.0, y1=20.0), 0.75, 200)]
    """
    labels, parts = _label_parts(saliency, threshold, least_area)
    regions = []
    for number, (left, top, width, height, area) in parts:
        window = slice(top, top + height), slice(left, left + width)
        mask = labels[window] == number
        box = Box(float(left), float(top), float(left + width), float(top + height))
        regions.append(MapRegion(box, mask, float(saliency[window][mask].max()), area))
    return sorted(regions, key=lambda region: (region.box.y0, region.box.x0, region.box.y1, region.box.x1))


def find_mask(
    saliency: NDArray[Any], threshold: float = REGION_THRESHOLD, least_area: int = LEAST_REGION_AREA
) -> NDArray[np.bool_]:
    """Compute the mask of all regions of a saliency map.

    Parameters
    ----------
    saliency, threshold, least_area
        As in `find_map_regions`.

    Returns
    -------
    ndarray
        bool [H, W]: true in the regions that `find_map_regions` finds, false elsewhere.

    Raises
    ------
    ValueError
        As `find_map_regions`.
    """
    labels, parts = _label_parts(saliency, threshold, least_area)
    kept = np.zeros(int(labels.max()) + 1, np.bool_)
    kept[[number for number, _ in parts]] = True
    return np.asarray(kept[labels])


_Part = tuple[int, tuple[int, int, int, int, int]]  # its label; left, top, width, height and area in pixels


def _label_parts(saliency: NDArray[Any], threshold: float, least_area: int) -> tuple[NDArray[np.int32], list[_Part]]:
    """The label of every pixel, 0 outside; and the parts that are large enough."""
    if saliency.ndim != 2 or not saliency.size or not np.issubdtype(saliency.dtype, np.floating):
        raise ValueError(
            f"saliency must be a float array [H, W] with pixels, but got {saliency.dtype} {saliency.shape}."
        )
    low, high = float(saliency.min()), float(saliency.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"saliency must lie in [0, 1], but got {low:g} to {high:g}.")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, but got {threshold}.")
    least = saliency.dtype.type(threshold)  # 0.7 as float32 is not 0.7 as float64
    if high < least:
        return np.zeros(saliency.shape, np.int32), []
    mask = (saliency >= least).astype(np.uint8)
    kernel = np.ones((KERNEL_SIDE, KERNEL_SIDE), np.uint8)
    # OpenCV's own border value neither erodes nor dilates from outside.
    for operation in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
        mask = np.asarray(cv2.morphologyEx(mask, operation, kernel), np.uint8)
    _, labels, numbers, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    parts: list[_Part] = []
    for number, (left, top, width, height, area) in enumerate(numbers.tolist()):
        if number and area >= least_area:
            parts.append((number, (left, top, width, height, area)))
    return np.asarray(labels, np.int32), parts
