"""Which part of an image an editor is shown: the crop around a mask, and crops for many regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from editfhf.editors.mask_geometry import PixelBox, bound_mask

_MOST_GROUPS = 64  # every two of them are compared
_JOINED_GROWTH = 1.1  # two crops become one where that shows an editor no more than a tenth of pixels in addition


@dataclass(frozen=True, slots=True)
class CropOptions:
    """How crops are chosen; `plan_crop` says how each is used.

    Attributes
    ----------
    context : float
        Surroundings on each side of the mask, as a share of the longer side of its box.
    least_context : int
        At least so many pixels of surroundings on each side.
    least_side : int
        Shortest side of what an editor is shown, in pixels.
    multiple : int
        Sides of what an editor is shown are multiples of it.
    most_pixels : int
        Largest area of what an editor is shown.
    whole_share : float
        A crop that is at least this share of the image becomes the whole image.
    """

    context: float = 0.5
    least_context: int = 32
    least_side: int = 512
    multiple: int = 16
    most_pixels: int = 2**20
    whole_share: float = 0.75


DEFAULT_CROP_OPTIONS = CropOptions()


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of an image, and the size at which an editor is shown it.

    Attributes
    ----------
    box : PixelBox
        In pixels of the image.
    width, height : int
        Of what the editor is shown; multiples of `CropOptions.multiple`.
    """

    box: PixelBox
    width: int
    height: int

    @property
    def is_resized(self) -> bool:
        """Whether the editor is shown the part at another size than it has."""
        return (self.width, self.height) != (self.box.width, self.box.height)


@dataclass(frozen=True, slots=True, eq=False)
class RegionCrop:
    """A crop with the part of the mask that is to be changed in it: uint8 [H, W], the size of the image."""

    crop: Crop
    mask: NDArray[np.uint8]


def plan_crop(mask: NDArray[Any], image_size: tuple[int, int], options: CropOptions = DEFAULT_CROP_OPTIONS) -> Crop:
    """Choose the part of an image that an editor is shown for a mask.

    Parameters
    ----------
    mask : ndarray
        [H, W]; not 0 where the image may change; somewhere at least.
    image_size : tuple of int
        Height and width of the image, those of the mask.
    options : CropOptions

    Returns
    -------
    Crop

    Raises
    ------
    ValueError
        For an empty mask, or a mask of another size than the image.

    Notes
    -----
    The rule:

    1. Around the box of the mask there is context on each side: `context` times the longer side of the box, and at
       least `least_context` pixels. An editor needs to see what belongs together, whatever the shape of the box.
    2. Each side is at least `least_side` and a multiple of `multiple`. The part grows around its centre; at a border it
       is moved, not cut, so that the mask has context wherever the image has any. No side is longer than the image's.
    3. A part that is at least `whole_share` of the image becomes the whole image.
    4. The editor is shown the part at its own pixels. It is shown a smaller one if the area is above `most_pixels`, and
       a larger one if the image itself has a side below `least_side`; both keep the aspect. A part whose sides are no
       multiples, since it ends at the borders of the image, is stretched by less than `multiple` pixels.

    So a part of an image of 8000 x 6000 pixels is shown at full detail unless the region itself is large, and what is
    shown of an image of one size is the same for a region in its middle and at its border.
    """
    height, width = image_size
    bounds = bound_mask(mask)
    if bounds is None or mask.shape != (height, width):
        raise ValueError(f"the mask must be {height} x {width} and not empty, but got {mask.shape}, box {bounds}.")
    return _plan_box(bounds, height, width, options)


def plan_region_crops(
    mask: NDArray[Any],
    image_size: tuple[int, int],
    options: CropOptions = DEFAULT_CROP_OPTIONS,
    *,
    most_crops: int = 8,
) -> list[RegionCrop]:
    """Choose crops for a mask of many regions: near ones share a crop.

    Parameters
    ----------
    mask, image_size, options
        As in `plan_crop`.
    most_crops : int
        No more crops than this; the nearest are joined until they fit.

    Returns
    -------
    list of RegionCrop
        From top to bottom. Each pixel of the mask is in the mask of exactly one crop; none for an empty mask.

    Notes
    -----
    Regions nearer than twice `least_context` belong together. Two crops are joined where the joint one shows an editor
    hardly more pixels than both, and, while there are more than `most_crops`, the two whose joint box is the smallest.
    """
    height, width = image_size
    if mask.shape != (height, width):
        raise ValueError(f"the mask must be {height} x {width}, but got {mask.shape}.")
    inside = (mask > 0).astype(np.uint8)
    near = _label_near(inside, options.least_context)
    groups = _group_regions(np.where(inside > 0, near, 0))
    while True:
        pair = _choose_pair(groups, height, width, options, len(groups) > most_crops)
        if pair is None:
            break
        one, other = pair
        labels = groups[one][1] | groups[other][1]
        groups[one] = (_join_boxes(groups[one][0], groups[other][0]), labels)
        del groups[other]
    crops = []
    for box, labels in sorted(groups, key=lambda group: (group[0].y0, group[0].x0)):
        part = np.where(np.isin(near, list(labels)) & (inside > 0), 255, 0).astype(np.uint8)
        crops.append(RegionCrop(_plan_box(box, height, width, options), part))
    return crops


_Group = tuple[PixelBox, frozenset[int]]
"""Box of some regions, and their labels."""


def _label_near(inside: NDArray[np.uint8], distance: int) -> NDArray[np.int32]:
    """Labels [H, W] of the regions; those whose surroundings of `distance` pixels touch have one label.

    Of very many regions those are taken together that are a little farther from each other.
    """
    while True:
        side = 2 * distance + 1
        grown = cv2.dilate(inside, np.ones((side, side), np.uint8))
        count, labels = cv2.connectedComponents(grown, connectivity=8)
        if count - 1 <= _MOST_GROUPS or distance > max(inside.shape):
            return np.asarray(labels, np.int32)
        distance *= 2


def _group_regions(labels: NDArray[np.int32]) -> list[_Group]:
    rows, columns = np.nonzero(labels)
    found = labels[rows, columns]
    if not len(found):
        return []
    order = np.argsort(found, kind="stable")
    values, starts = np.unique(found[order], return_index=True)
    groups: list[_Group] = []
    for value, places in zip(values.tolist(), np.split(order, starts[1:]), strict=True):
        y, x = rows[places], columns[places]
        box = PixelBox(int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)
        groups.append((box, frozenset({int(value)})))
    return groups


def _choose_pair(
    groups: list[_Group], height: int, width: int, options: CropOptions, must: bool
) -> tuple[int, int] | None:
    """Which two groups to join next: the ones whose joint crop adds the fewest pixels; None where none should be."""
    if len(groups) < 2:
        return None
    boxes = np.array([box for box, _ in groups])
    crops = np.array([_plan_box(box, height, width, options).box for box, _ in groups])
    areas = (crops[:, 2] - crops[:, 0]) * (crops[:, 3] - crops[:, 1])
    low = np.minimum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.maximum(boxes[:, None, 2:], boxes[None, :, 2:])
    first, second = np.triu_indices(len(groups), 1)
    around = np.prod((high - low)[first, second], axis=1)
    for index in np.argsort(around, kind="stable"):
        one, other = int(first[index]), int(second[index])
        if must:
            return one, other
        joint = _plan_box(_join_boxes(groups[one][0], groups[other][0]), height, width, options).box
        if joint.width * joint.height <= _JOINED_GROWTH * (areas[one] + areas[other]):
            return one, other
    return None


def _join_boxes(one: PixelBox, other: PixelBox) -> PixelBox:
    return PixelBox(min(one.x0, other.x0), min(one.y0, other.y0), max(one.x1, other.x1), max(one.y1, other.y1))


def _plan_box(bounds: PixelBox, height: int, width: int, options: CropOptions) -> Crop:
    """The crop for the box of a mask in an image of this size; the rule is in `plan_crop`."""
    margin = max(options.least_context, round(options.context * max(bounds.width, bounds.height)))
    x0, x1 = _choose_side(bounds.x0 - margin, bounds.x1 + margin, width, options)
    y0, y1 = _choose_side(bounds.y0 - margin, bounds.y1 + margin, height, options)
    box = PixelBox(x0, y0, x1, y1)
    if box.width * box.height >= options.whole_share * width * height:
        box = PixelBox(0, 0, width, height)
    smaller = float(np.sqrt(options.most_pixels / (box.width * box.height)))
    larger = options.least_side / min(box.width, box.height)
    factor = min(smaller, max(1.0, larger))
    return Crop(box, *(_round_side(side * factor, options.multiple) for side in (box.width, box.height)))


def _choose_side(start: int, end: int, longest: int, options: CropOptions) -> tuple[int, int]:
    """Start and end of one side: long enough, a multiple, around the same centre, moved into the image."""
    wanted = max(end - start, options.least_side)
    side = min(longest, -(-wanted // options.multiple) * options.multiple)
    first = min(max(0, (start + end - side) // 2), longest - side)
    return first, first + side


def _round_side(side: float, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple
