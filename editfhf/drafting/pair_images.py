"""The three images of a pair that are sent to a model: source, edited, and edited with numbered outlines.

Outlines and numbers are outside their boxes, and outside all other boxes where there is room. A frame around the image
makes room for them at its borders. Their colours are black, magenta and white, visible on any background.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from math import ceil, floor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from annotation import images
from annotation.records import Box, Pair
from editfhf.chat import EncodedImage

FRAME_COLOUR = (127, 127, 127)


_WHITE, _BLACK, _SIGNAL = (255, 255, 255), (0, 0, 0), (255, 40, 200)


OUTLINE_COLOURS = (_BLACK, _SIGNAL, _SIGNAL, _WHITE, _BLACK)
"""Colours of the outline, one pixel each, from the box outwards."""


MIN_TEXT_HEIGHT = 14


TEXT_HEIGHT_SHARE = 1 / 36
"""Height of a number as a fraction of the longer side of the image."""


class _PixelArea(NamedTuple):
    """Rectangle of whole pixels, half-open."""

    x0: int
    y0: int
    x1: int
    y1: int

    def count_shared(self, other: _PixelArea) -> int:
        """Number of pixels in both."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return width * height if width > 0 and height > 0 else 0

    def is_within(self, other: _PixelArea) -> bool:
        return self.count_shared(other) == (self.x1 - self.x0) * (self.y1 - self.y0)


def frame_width(height: int, width: int) -> int:
    """Pixels that `draw_numbered_boxes` adds on each side of an image of this size: room for a number."""
    return len(OUTLINE_COLOURS) + 2 * _text_height(height, width)


def draw_numbered_boxes(pixels: NDArray[Any], boxes: Mapping[int, Box]) -> NDArray[Any]:
    """Draw numbered outlines around boxes, on a framed copy of an image.

    Parameters
    ----------
    pixels : uint8 array of shape (H, W, 3)
        RGB image.
    boxes : mapping of int to Box
        Boxes by number, in pixels of the image; clipped at its borders.

    Returns
    -------
    uint8 array of shape (H + 2 f, W + 2 f, 3)
        With f = `frame_width(H, W)`; the image begins at (f, f). The same input gives the same pixels.
    """
    height, width = pixels.shape[:2]
    frame = frame_width(height, width)
    canvas = Image.new("RGB", (width + 2 * frame, height + 2 * frame), FRAME_COLOUR)
    canvas.paste(Image.fromarray(pixels), (frame, frame))
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=_text_height(height, width))
    areas = {number: _pixel_area(boxes[number], width, height, frame) for number in sorted(boxes)}
    for area in areas.values():
        _draw_outline(pen, area)
    whole = _PixelArea(0, 0, *canvas.size)
    taken: list[_PixelArea] = []
    for number, area in areas.items():
        left, top, right, bottom = (round(edge) for edge in font.getbbox(str(number)))
        size = right - left + 8, bottom - top + 8
        others = [other for name, other in areas.items() if name != number]
        place = _choose_label_place(list(_label_candidates(area, *size)), whole, taken, others)
        taken.append(place)
        pen.rectangle((place.x0, place.y0, place.x1 - 1, place.y1 - 1), fill=_BLACK, outline=_WHITE)
        pen.text((place.x0 + 4 - left, place.y0 + 4 - top), str(number), fill=_WHITE, font=font)
    return np.array(canvas)


def _text_height(height: int, width: int) -> int:
    return max(MIN_TEXT_HEIGHT, round(max(height, width) * TEXT_HEIGHT_SHARE))


def _pixel_area(box: Box, width: int, height: int, frame: int) -> _PixelArea:
    """Pixels that a box touches, at least one, in coordinates of the framed image."""
    x0, x1 = _pixel_span(box.x0, box.x1, width)
    y0, y1 = _pixel_span(box.y0, box.y1, height)
    return _PixelArea(x0 + frame, y0 + frame, x1 + frame, y1 + frame)


def _pixel_span(low: float, high: float, size: int) -> tuple[int, int]:
    first = min(max(floor(low), 0), size - 1)
    return first, min(max(ceil(high), first + 1), size)


def _draw_outline(pen: ImageDraw.ImageDraw, area: _PixelArea) -> None:
    for distance, colour in enumerate(OUTLINE_COLOURS, start=1):
        pen.rectangle(
            (area.x0 - distance, area.y0 - distance, area.x1 - 1 + distance, area.y1 - 1 + distance), outline=colour
        )


def _label_candidates(area: _PixelArea, width: int, height: int) -> Iterator[_PixelArea]:
    """Places for the number of a box, in order of preference: at its corners, then along its sides."""
    gap = len(OUTLINE_COLOURS)
    middle_x, middle_y = (area.x0 + area.x1 - width) // 2, (area.y0 + area.y1 - height) // 2
    above, below = area.y0 - gap - height, area.y1 + gap
    before, after = area.x0 - gap - width, area.x1 + gap
    columns = (area.x0 - gap, area.x1 + gap - width, middle_x)
    rows = (area.y0 - gap, area.y1 + gap - height, middle_y)
    corners = [*((x, above) for x in columns), *((x, below) for x in columns)]
    corners += [*((before, y) for y in rows), *((after, y) for y in rows)]
    for x, y in corners:
        yield _PixelArea(x, y, x + width, y + height)


def _choose_label_place(
    places: list[_PixelArea], whole: _PixelArea, taken: list[_PixelArea], others: list[_PixelArea]
) -> _PixelArea:
    """The first place that covers nothing, else the one that covers least."""

    def rank_place(place: _PixelArea) -> tuple[bool, int]:
        return not place.is_within(whole), sum(place.count_shared(other) for other in [*taken, *others])

    return min(places, key=rank_place)


DraftImageFormat = Literal["jpeg", "png"]


@dataclass(frozen=True, slots=True)
class DraftImageEncoding:
    """How images are encoded.

    Parameters
    ----------
    max_side : int
        Largest length of the longer side in pixels; larger images are scaled down.
    format : "jpeg" or "png"
        JPEG has quality 90 and no chroma subsampling.
    """

    max_side: int = 1024
    format: DraftImageFormat = "jpeg"


@dataclass(frozen=True, slots=True)
class PairImages:
    """Encoded images of a pair; `numbered` is `edited` with numbered outlines."""

    source: EncodedImage
    edited: EncodedImage
    numbered: EncodedImage


def encode_pair_images(
    root: Path, pair: Pair, boxes: Mapping[int, Box], size: tuple[int, int], encoding: DraftImageEncoding
) -> PairImages:
    """Read, scale and encode the images of a pair. The same files give the same bytes; metadata is removed.

    Parameters
    ----------
    root : Path
        Folder of the corpus.
    pair : Pair
        For the names of its files.
    boxes : mapping of int to Box
        Boxes by number, in pixels of the edited image as displayed.
    size : tuple of int
        (width, height) of the edited image as displayed, in pixels.
    encoding : DraftImageEncoding
        Size and format.

    Raises
    ------
    ImageError
        An image cannot be read or decoded.
    """
    source = images.decode_thumbnail(images.read_image_bytes(root, pair.source), max_side=encoding.max_side)
    edited = images.decode_thumbnail(images.read_image_bytes(root, pair.edited), max_side=encoding.max_side)
    across, down = edited.shape[1] / size[0], edited.shape[0] / size[1]
    scaled = {
        number: Box(box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down) for number, box in boxes.items()
    }
    return PairImages(
        *(encode_image(pixels, encoding.format) for pixels in (source, edited, draw_numbered_boxes(edited, scaled)))
    )


def encode_image(pixels: NDArray[Any], form: DraftImageFormat) -> EncodedImage:
    """Encode an image, uint8 (H, W, 3), without metadata."""
    stream = BytesIO()
    image = Image.fromarray(pixels)
    if form == "jpeg":
        # No chroma subsampling: a flaw in colour may be a few pixels wide.
        image.save(stream, "JPEG", quality=90, subsampling=0)
    else:
        image.save(stream, "PNG", compress_level=6)
    return EncodedImage(stream.getvalue(), f"image/{form}")
