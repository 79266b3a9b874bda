"""Drawn things that can be put into a photo: RGBA sprites, four times oversampled and softly shaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from editfhf.simulate.canvas import Colour

Sprite = NDArray[np.uint8]
Defect = Literal["", "hand_foot", "face", "body"]

COLOURS: dict[str, Colour] = {
    "red": (206, 44, 46),
    "blue": (46, 92, 200),
    "yellow": (240, 196, 44),
    "green": (52, 148, 76),
    "purple": (128, 66, 168),
    "orange": (236, 130, 40),
    "pink": (236, 128, 168),
    "white": (238, 238, 234),
}
SKIN, INK = (238, 196, 160), (40, 36, 40)
OVERSAMPLE = 4

Draw = ImageDraw.ImageDraw
Scaled = Callable[..., list[tuple[float, float]]]


def _shade(colour: Colour, factor: float) -> Colour:
    r, g, b = (max(0, min(255, round(c * factor))) for c in colour)
    return r, g, b


def _balloon(d: Draw, p: Scaled, colour: Colour, _: Defect) -> None:
    d.line(p((50, 76), (47, 86), (53, 93), (50, 100)), fill=INK, width=round(p((1.2, 0))[0][0]))
    d.polygon(p((50, 72), (44, 80), (56, 80)), fill=_shade(colour, 0.7))
    d.ellipse(p((18, 0), (82, 76)), fill=colour)


def _ball(d: Draw, p: Scaled, colour: Colour, _: Defect) -> None:
    d.ellipse(p((2, 2), (98, 98)), fill=colour)
    for start in (20, 140, 260):
        d.pieslice(p((2, 2), (98, 98)), start, start + 50, fill=(244, 244, 240))
    d.ellipse(p((42, 42), (58, 58)), fill=_shade(colour, 0.7))


def _cone(d: Draw, p: Scaled, colour: Colour, _: Defect) -> None:
    d.polygon(p((5, 96), (12, 86), (88, 86), (95, 96)), fill=_shade(colour, 0.75))
    d.polygon(p((22, 88), (46, 2), (54, 2), (78, 88)), fill=colour)
    d.polygon(p((31, 56), (36, 38), (64, 38), (69, 56)), fill=(244, 244, 240))


def _mug(d: Draw, p: Scaled, colour: Colour, _: Defect) -> None:
    d.ellipse(p((58, 28), (98, 74)), outline=_shade(colour, 0.85), width=round(p((9, 0))[0][0]))
    d.rounded_rectangle(p((8, 12), (76, 98)), radius=p((10, 0))[0][0], fill=colour)
    d.ellipse(p((8, 4), (76, 24)), fill=_shade(colour, 0.55))


def _gift(d: Draw, p: Scaled, colour: Colour, _: Defect) -> None:
    d.rectangle(p((8, 36), (92, 98)), fill=colour)
    d.rectangle(p((2, 26), (98, 44)), fill=_shade(colour, 1.15))
    ribbon = (246, 226, 120) if colour != COLOURS["yellow"] else (200, 60, 60)
    d.rectangle(p((42, 26), (58, 98)), fill=ribbon)
    d.ellipse(p((22, 4), (50, 28)), outline=ribbon, width=round(p((7, 0))[0][0]))
    d.ellipse(p((50, 4), (78, 28)), outline=ribbon, width=round(p((7, 0))[0][0]))


def _kite(d: Draw, p: Scaled, colour: Colour, _: Defect) -> None:
    d.polygon(p((50, 0), (86, 32), (50, 76), (14, 32)), fill=colour)
    d.polygon(p((50, 0), (86, 32), (50, 32)), fill=_shade(colour, 1.25))
    d.polygon(p((50, 76), (14, 32), (50, 32)), fill=_shade(colour, 0.75))
    d.line(p((50, 76), (58, 84), (44, 92), (54, 100)), fill=INK, width=round(p((1.6, 0))[0][0]))


def _umbrella(d: Draw, p: Scaled, colour: Colour, _: Defect) -> None:
    d.line(p((50, 40), (50, 92)), fill=INK, width=round(p((3, 0))[0][0]))
    d.arc(p((50, 84), (64, 99)), 0, 180, fill=INK, width=round(p((3, 0))[0][0]))
    d.pieslice(p((2, 4), (98, 96)), 180, 360, fill=colour)
    d.pieslice(p((30, 4), (70, 96)), 180, 360, fill=_shade(colour, 1.2))
    d.line(p((50, 4), (50, 0)), fill=INK, width=round(p((3, 0))[0][0]))


def _plant(d: Draw, p: Scaled, colour: Colour, _: Defect) -> None:
    for x, y in ((22, 34), (36, 12), (62, 10), (78, 32), (50, 2)):
        d.line(p((50, 64), (x, y + 10)), fill=(40, 96, 52), width=round(p((3, 0))[0][0]))
        d.ellipse(p((x - 13, y), (x + 13, y + 26)), fill=(58, 138, 70))
    d.polygon(p((26, 62), (74, 62), (66, 98), (34, 98)), fill=colour)
    d.rectangle(p((22, 58), (78, 68)), fill=_shade(colour, 1.12))


def _figure(d: Draw, p: Scaled, colour: Colour, defect: Defect) -> None:
    """A small toy figure with a face, a shirt, five-fingered hands and two legs; a defect breaks one of these."""
    trousers, thick = (60, 70, 110), round(p((7, 0))[0][0])
    for x in (42, 58):
        d.line(p((x, 66), (x, 94)), fill=trousers, width=round(p((9, 0))[0][0]))
        d.ellipse(p((x - 8, 91), (x + 7, 99)), fill=INK)
    if defect == "body":
        d.line(p((60, 66), (86, 82), (74, 96)), fill=trousers, width=round(p((9, 0))[0][0]))
        d.line(p((38, 46), (8, 62)), fill=colour, width=thick)
        d.line(p((62, 40), (76, 58), (92, 50), (86, 66)), fill=colour, width=thick)
    d.rounded_rectangle(p((35, 34), (65, 70)), radius=p((6, 0))[0][0], fill=colour)
    hands = ((14, 30), (86, 30))
    for side, (x, y) in zip((-1, 1), hands, strict=True):
        if defect != "body" or side < 0:
            d.line(p((50 + side * 13, 38), (x, y + 6)), fill=colour, width=thick)
            _hand(d, p, x, y, broken=defect == "hand_foot" and side > 0)
    _head(d, p, melted=defect == "face")


def _hand(d: Draw, p: Scaled, x: float, y: float, broken: bool) -> None:
    width = round(p((3.0, 0))[0][0])
    d.ellipse(p((x - 5, y - 3), (x + 5, y + 7)), fill=SKIN)
    angles = (-150, -128, -108, -90, -70, -48, -22, 4, 150) if broken else (-150, -118, -90, -62, -28)
    for i, angle in enumerate(angles):
        reach = (15 if i % 2 else 9) if broken else 10
        turn = np.deg2rad(angle)
        tip = (x + reach * np.cos(turn), y + 2 + reach * np.sin(turn))
        d.line(p((x, y + 2), tip), fill=SKIN, width=width)


def _head(d: Draw, p: Scaled, melted: bool) -> None:
    d.ellipse(p((34, 4), (66, 36)), fill=SKIN)
    d.pieslice(p((33, 1), (67, 35)), 180, 360, fill=(96, 60, 36))
    d.ellipse(p((36, 9), (64, 36)), fill=SKIN)
    line = round(p((2, 0))[0][0])
    if melted:
        d.ellipse(p((39, 24), (47, 33)), fill=INK)
        d.ellipse(p((55, 13), (58, 16)), fill=INK)
        d.line(p((51, 14), (60, 20), (54, 24), (62, 30)), fill=(150, 50, 50), width=line)
    else:
        for x in (44, 56):
            d.ellipse(p((x - 2.2, 17), (x + 2.2, 21.4)), fill=INK)
        d.arc(p((43, 20), (57, 31)), 20, 160, fill=(150, 50, 50), width=line)


Painter = Callable[[Draw, Scaled, Colour, Defect], None]
PAINTERS: dict[str, Painter] = {
    "balloon": _balloon,
    "beach ball": _ball,
    "traffic cone": _cone,
    "mug": _mug,
    "gift box": _gift,
    "kite": _kite,
    "umbrella": _umbrella,
    "potted plant": _plant,
    "toy figure": _figure,
}
KINDS = tuple(PAINTERS)
AIRBORNE = frozenset({"balloon", "kite"})
# Parts of the figure, in per cent of its box, on which a defect of that kind is seen.
ANATOMY: dict[Defect, tuple[float, float, float, float]] = {
    "hand_foot": (66, 12, 100, 42),
    "face": (31, 2, 69, 38),
    "body": (0, 34, 100, 100),
}


@lru_cache(maxsize=512)
def sprite(kind: str, colour: str, height: int, defect: Defect = "") -> Sprite:
    """RGBA uint8 [height, height, 4] of a thing in a named colour, read-only."""
    side = height * OVERSAMPLE
    canvas = Pillow.new("RGBA", (side, side))

    def scaled(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * side / 100, y * side / 100) for x, y in points]

    PAINTERS[kind](ImageDraw.Draw(canvas), scaled, COLOURS[colour], defect)
    art = np.array(canvas.resize((height, height), Pillow.Resampling.LANCZOS))
    y, x = np.mgrid[:height, :height] / max(height - 1, 1)
    light = 1.16 - 0.42 * np.clip(np.hypot(x - 0.34, y - 0.28), 0, 1)
    art[..., :3] = np.clip(art[..., :3] * light[..., None], 0, 255).astype(np.uint8)
    art.setflags(write=False)
    return art
