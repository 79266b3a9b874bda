"""The picture of a diagnosis: the edited image, both maps over it, numbered boxes and a legend.

The kinds differ in colour (orange and blue), in line (solid and dashed) and in letter (A and F), so that nobody needs
to see colours to tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from annotation.images import RgbImage
from annotation.records import KINDS, Box, Kind
from editfhf.heat import KIND_COLOURS, blend_heat
from training.agents.results import PerceivedMaps
from training.samples.pair_sample import scale_array

LEAST_SIDE, LARGEST_SIDE = 640, 1600
"""The longer side of the image in the picture, in pixels: smaller images are enlarged, larger ones reduced."""

LEGEND_TEXT: dict[Kind, str] = {"artifact": "artifact: looks wrong", "failure": "failure: not as instructed"}

_PAPER, _INK, _HALO = (255, 255, 255), (32, 33, 36), (255, 255, 255)
_LABEL_INK: dict[Kind, tuple[int, int, int]] = {"artifact": (0, 0, 0), "failure": (255, 255, 255)}
_TINT = 0.55  # of the opacity of `blend_heat`: what is wrong must still be seen
_LEAST_LEGEND_WIDTH = 460
_LINE, _DASH, _GAP = 3, 12, 7


class _Frame(NamedTuple):
    """A rectangle of whole pixels in the picture, half-open."""

    x0: int
    y0: int
    x1: int
    y1: int

    def count_shared(self, other: _Frame) -> int:
        width, height = min(self.x1, other.x1) - max(self.x0, other.x0), min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(0, width) * max(0, height)


def draw_overlay(edited: RgbImage, maps: PerceivedMaps, labels: Sequence[tuple[str, Kind, Box]]) -> Image.Image:
    """Draw the picture of a diagnosis.

    Parameters
    ----------
    edited : ndarray
        uint8 [H, W, 3].
    maps : PerceivedMaps
        Two maps, float32 [H, W].
    labels : sequence of (label, kind, Box)
        Boxes in pixels of `edited`.

    Returns
    -------
    PIL.Image.Image
        RGB, the image with a legend below it.
    """
    height, width = _find_shown_size(*edited.shape[:2])
    picture = Image.fromarray(scale_array(edited, height, width))
    for kind in KINDS:
        heat = np.clip(scale_array(maps.by_kind(kind), height, width), 0, 1)
        # `blend_heat` shows weak values by a square root, which would cover a whole image here.
        picture = blend_heat(picture, np.square(_TINT * heat), KIND_COLOURS[kind])
    text_height = max(15, round(max(height, width) / 48))
    margin = text_height // 2
    legend_height = 2 * text_height + 3 * margin
    canvas = Image.new("RGB", (max(width, _LEAST_LEGEND_WIDTH), height + legend_height), _PAPER)
    canvas.paste(picture, (0, 0))
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=text_height)
    whole = _Frame(0, 0, width, height)
    across, down = width / edited.shape[1], height / edited.shape[0]
    frames = [(label, kind, _place_frame(kind, box, across, down, whole)) for label, kind, box in labels]
    for _, kind, frame in frames:
        _draw_frame(pen, kind, frame)
    _draw_labels(pen, font, frames, whole)
    _draw_legend(pen, font, [kind for _, kind, _ in labels], height, text_height, margin)
    return canvas


def _find_shown_size(height: int, width: int) -> tuple[int, int]:
    longest = max(height, width)
    scale = min(max(longest, LEAST_SIDE), LARGEST_SIDE) / longest
    return max(1, round(height * scale)), max(1, round(width * scale))


def _place_frame(kind: Kind, box: Box, across: float, down: float, whole: _Frame) -> _Frame:
    """The line of a box; that of a failure lies further out, so that both are seen where boxes are the same."""
    out = _LINE if kind == "artifact" else 3 * _LINE
    x0, y0 = round(box.x0 * across) - out, round(box.y0 * down) - out
    x1, y1 = round(box.x1 * across) + out, round(box.y1 * down) + out
    x0, y0 = max(x0, whole.x0), max(y0, whole.y0)
    return _Frame(x0, y0, max(x0 + 1, min(x1, whole.x1)), max(y0 + 1, min(y1, whole.y1)))


def _draw_frame(pen: ImageDraw.ImageDraw, kind: Kind, frame: _Frame) -> None:
    halo = (frame.x0 - 1, frame.y0 - 1, frame.x1, frame.y1)
    pen.rectangle(halo, outline=_HALO, width=_LINE + 2)
    if kind == "artifact":
        pen.rectangle((frame.x0, frame.y0, frame.x1 - 1, frame.y1 - 1), outline=KIND_COLOURS[kind], width=_LINE)
        return
    for x in range(frame.x0, frame.x1, _DASH + _GAP):
        end = min(x + _DASH, frame.x1) - 1
        for y in (frame.y0, max(frame.y0, frame.y1 - _LINE)):
            pen.rectangle((x, y, end, y + _LINE - 1), fill=KIND_COLOURS[kind])
    for y in range(frame.y0, frame.y1, _DASH + _GAP):
        end = min(y + _DASH, frame.y1) - 1
        for x in (frame.x0, max(frame.x0, frame.x1 - _LINE)):
            pen.rectangle((x, y, x + _LINE - 1, end), fill=KIND_COLOURS[kind])


def _draw_labels(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    frames: Sequence[tuple[str, Kind, _Frame]],
    whole: _Frame,
) -> None:
    taken: list[_Frame] = []
    for label, kind, frame in frames:
        left, top, right, bottom = (round(edge) for edge in font.getbbox(label))
        size = right - left + 8, bottom - top + 8
        others = [other for name, _, other in frames if name != label]
        place = min(_list_label_places(frame, *size, whole), key=lambda each: _rank_place(each, taken, others))
        taken.append(place)
        pen.rectangle((place.x0, place.y0, place.x1 - 1, place.y1 - 1), fill=KIND_COLOURS[kind], outline=_HALO)
        pen.text((place.x0 + 4 - left, place.y0 + 4 - top), label, fill=_LABEL_INK[kind], font=font)


def _list_label_places(frame: _Frame, width: int, height: int, whole: _Frame) -> Iterator[_Frame]:
    """Places for a label, moved into the picture: above, below, beside, and last inside its frame."""
    columns = (frame.x0, frame.x1 - width)
    corners = [(x, y) for y in (frame.y0 - height, frame.y1) for x in columns]
    corners += [(x, y) for x in (frame.x0 - width, frame.x1) for y in (frame.y0, frame.y1 - height)]
    corners += [(x, y) for y in (frame.y0, frame.y1 - height) for x in columns]
    for x, y in corners:
        x, y = max(0, min(x, whole.x1 - width)), max(0, min(y, whole.y1 - height))
        yield _Frame(x, y, x + width, y + height)


def _rank_place(place: _Frame, taken: Sequence[_Frame], others: Sequence[_Frame]) -> tuple[int, int]:
    """Fewest pixels of other labels, then of other frames."""
    return sum(map(place.count_shared, taken)), sum(map(place.count_shared, others))


def _draw_legend(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    kinds: Sequence[Kind],
    top: int,
    text_height: int,
    margin: int,
) -> None:
    for row, kind in enumerate(KINDS):
        y = top + margin + row * (text_height + margin)
        _draw_frame(pen, kind, _Frame(margin + 2, y, margin + 2 + 3 * text_height, y + text_height))
        count = kinds.count(kind)
        letter = kind[0].upper()
        found = "none found" if not count else f"{letter}1" if count == 1 else f"{letter}1 to {letter}{count}"
        text = f"{LEGEND_TEXT[kind]} ({found})"
        pen.text((2 * margin + 3 * text_height + 6, y + text_height // 2), text, fill=_INK, font=font, anchor="lm")
