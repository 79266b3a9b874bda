"""How boxes are asked about: outlined and numbered in the image, listed by number and kind, and a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import Box, Kind
from editfhf.drafting.pair_images import draw_numbered_boxes

BOXES_PER_REQUEST = 12

NumberedBoxes = Mapping[int, tuple[Kind, Box]]
"""Kind and box, in pixels of the current image, by number from 1."""


def number_boxes(boxes: Sequence[tuple[Kind, Box]]) -> dict[int, tuple[Kind, Box]]:
    """Boxes by their numbers, from 1."""
    return dict(enumerate(boxes, start=1))


def outline_boxes(shown: RgbImage, size: tuple[int, int], numbered: NumberedBoxes) -> NDArray[np.uint8]:
    """Outline and number all boxes in an image.

    Parameters
    ----------
    shown : ndarray
        uint8 [h, w, 3]: the current image at the size at which it is shown.
    size : (int, int)
        Height and width of the current image, in whose pixels the boxes are.
    numbered : mapping
    """
    across, down = shown.shape[1] / size[1], shown.shape[0] / size[0]
    outlines = {
        number: Box(box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down)
        for number, (_, box) in numbered.items()
    }
    return draw_numbered_boxes(shown, outlines)


def list_regions(numbered: NumberedBoxes) -> str:
    """The lines that ask about regions.

    >>> list_regions({2: ("artifact", Box(0, 0, 1, 1))})
    "- Region 2: kind 'artifact'"
    """
    return "\n".join(f"- Region {number}: kind {kind!r}" for number, (kind, _) in numbered.items())


def split_boxes(numbered: NumberedBoxes) -> Iterator[dict[int, tuple[Kind, Box]]]:
    """Parts of at most `BOXES_PER_REQUEST` boxes, each asked about in one request."""
    entries = list(numbered.items())
    for first in range(0, len(entries), BOXES_PER_REQUEST):
        yield dict(entries[first : first + BOXES_PER_REQUEST])
