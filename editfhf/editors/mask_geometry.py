"""Masks of edits: the ring around one, the weight with which a changed region fades in, and its bounds."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


class PixelBox(NamedTuple):
    """Half-open box of whole pixels: columns x0 to x1, rows y0 to y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array [H, W, ...]."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grow(self, margin: int, height: int, width: int) -> PixelBox:
        """The box with a margin on each side, cut at the borders of an image of this size."""
        x0, y0 = max(0, self.x0 - margin), max(0, self.y0 - margin)
        return PixelBox(x0, y0, min(width, self.x1 + margin), min(height, self.y1 + margin))


def bound_mask(mask: NDArray[Any]) -> PixelBox | None:
    """Smallest box with all pixels of the mask that are not 0; None where there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return PixelBox(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def choose_ring_width(height: int, width: int) -> int:
    """Width in pixels of the ring around a mask in an image of this size: a fortieth of the longer side, at least 8."""
    return max(8, round(max(height, width) / 40))


def make_ring(mask: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """Pixels outside of a mask and at most `width` pixels from it: bool [H, W]."""
    inside = mask > 0
    if inside.all() or not inside.any():
        return np.zeros(mask.shape, bool)
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray((distance > 0) & (distance <= width))


def fade_inside(mask: NDArray[Any], width: int) -> NDArray[np.float32]:
    """Weights of a changed region that fades in from the edge of its mask, inside of it only.

    Parameters
    ----------
    mask : ndarray
        [H, W]; not 0 inside.
    width : int
        Pixels over which the weight grows from 0 to 1; in a part of the mask that is narrow, a third of its half-width.

    Returns
    -------
    ndarray
        float32 [H, W]: 0 outside, more than 0 inside, 1 from `width` pixels on. The border of the image is no edge.
    """
    inside = (mask > 0).astype(np.uint8)
    if inside.all():
        return np.ones(mask.shape, np.float32)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5)
    count, labels = cv2.connectedComponents(inside, connectivity=8)
    deepest = np.atleast_1d(ndimage.maximum(distance, labels, np.arange(count)))
    widths = np.minimum(width, deepest / 3).astype(np.float32) + 1
    linear = np.minimum(1, distance / widths[labels])
    return np.asarray(linear * linear * (3 - 2 * linear), np.float32)  # no edge where it begins, none where it ends
