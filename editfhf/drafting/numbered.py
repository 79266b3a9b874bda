"""Boxes drawn on a copy of a picture: numbered outlines around the flaws, never over them.

Every outline lies outside its box, and its number outside too, clear of all other boxes wherever there is room.  A
frame is added around the picture so that this holds at its borders.  Lines and labels are white on black on white, and
so stand out from any background.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, floor
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from annotation.records import Box

FRAME = (127, 127, 127)
WHITE, BLACK, SIGNAL = (255, 255, 255), (0, 0, 0), (255, 40, 200)
RINGS = (BLACK, SIGNAL, SIGNAL, WHITE, BLACK)
"""Colours of the outline, one pixel each, from the box outwards."""

SMALLEST_TEXT = 14
TEXT_PER_SIDE = 1 / 36
"""Height of a number as a part of the picture's longer side."""


class _Area(NamedTuple):
    """Whole pixels, half-open."""

    x0: int
    y0: int
    x1: int
    y1: int

    def shared(self, other: _Area) -> int:
        """How many pixels are in both."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return width * height if width > 0 and height > 0 else 0

    def within(self, other: _Area) -> bool:
        return self.shared(other) == (self.x1 - self.x0) * (self.y1 - self.y0)


def frame_width(height: int, width: int) -> int:
    """Pixels that `draw` adds on each side of a picture of this size: room for a number."""
    return len(RINGS) + 2 * _text_height(height, width)


def draw(pixels: np.ndarray, boxes: Mapping[int, Box]) -> np.ndarray:
    """A framed copy of a picture with its boxes outlined and numbered.

    pixels: uint8 [H, W, 3]; boxes: by number, in pixels of this picture; what lies beyond its border is cut off
    Returns uint8 [H + 2 f, W + 2 f, 3] with f = `frame_width(H, W)`; the picture begins at (f, f).  The same input
    gives the same pixels.
    """
    height, width = pixels.shape[:2]
    frame = frame_width(height, width)
    canvas = Image.new("RGB", (width + 2 * frame, height + 2 * frame), FRAME)
    canvas.paste(Image.fromarray(pixels), (frame, frame))
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=_text_height(height, width))
    areas = {number: _area(boxes[number], width, height, frame) for number in sorted(boxes)}
    for area in areas.values():
        _outline(pen, area)
    whole = _Area(0, 0, *canvas.size)
    taken: list[_Area] = []
    for number, area in areas.items():
        left, top, right, bottom = (round(edge) for edge in font.getbbox(str(number)))
        size = right - left + 8, bottom - top + 8
        others = [other for name, other in areas.items() if name != number]
        place = _best(list(_places(area, *size)), whole, taken, others)
        taken.append(place)
        pen.rectangle((place.x0, place.y0, place.x1 - 1, place.y1 - 1), fill=BLACK, outline=WHITE)
        pen.text((place.x0 + 4 - left, place.y0 + 4 - top), str(number), fill=WHITE, font=font)
    return np.array(canvas)


def _text_height(height: int, width: int) -> int:
    return max(SMALLEST_TEXT, round(max(height, width) * TEXT_PER_SIDE))


def _area(box: Box, width: int, height: int, frame: int) -> _Area:
    """The pixels that a box touches, at least one, on the framed canvas."""
    x0, x1 = _span(box.x0, box.x1, width)
    y0, y1 = _span(box.y0, box.y1, height)
    return _Area(x0 + frame, y0 + frame, x1 + frame, y1 + frame)


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    first = min(max(floor(low), 0), size - 1)
    return first, min(max(ceil(high), first + 1), size)


def _outline(pen: ImageDraw.ImageDraw, area: _Area) -> None:
    for distance, colour in enumerate(RINGS, start=1):
        pen.rectangle(
            (area.x0 - distance, area.y0 - distance, area.x1 - 1 + distance, area.y1 - 1 + distance), outline=colour
        )


def _places(area: _Area, width: int, height: int) -> Iterator[_Area]:
    """Where the number of a box may stand, the best first: at its corners, then along its sides."""
    gap = len(RINGS)
    middle_x, middle_y = (area.x0 + area.x1 - width) // 2, (area.y0 + area.y1 - height) // 2
    above, below = area.y0 - gap - height, area.y1 + gap
    before, after = area.x0 - gap - width, area.x1 + gap
    columns = (area.x0 - gap, area.x1 + gap - width, middle_x)
    rows = (area.y0 - gap, area.y1 + gap - height, middle_y)
    corners = [*((x, above) for x in columns), *((x, below) for x in columns)]
    corners += [*((before, y) for y in rows), *((after, y) for y in rows)]
    for x, y in corners:
        yield _Area(x, y, x + width, y + height)


def _best(places: list[_Area], whole: _Area, taken: list[_Area], others: list[_Area]) -> _Area:
    """The first place that hides nothing, else the one that hides least."""

    def hidden(place: _Area) -> tuple[bool, int]:
        return not place.within(whole), sum(place.shared(other) for other in [*taken, *others])

    return min(places, key=hidden)
