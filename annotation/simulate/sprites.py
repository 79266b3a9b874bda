"""Drawings for photos: RGBA sprites of props, and signs with lettering.

Sprites are drawn four times oversampled and softly shaded.  Letters use the DejaVu fonts that matplotlib carries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from annotation.records import Box
from annotation.simulate.pixels import RgbColour, RgbImage

Sprite = NDArray[np.uint8]


FigureDefect = Literal["", "hand_foot", "face", "body", "other"]
"""What is wrong with a toy figure; `other`: it is sound, but another individual."""


PROP_COLOURS: dict[str, RgbColour] = {
    "red": (206, 44, 46),
    "blue": (46, 92, 200),
    "yellow": (240, 196, 44),
    "green": (52, 148, 76),
    "purple": (128, 66, 168),
    "orange": (236, 130, 40),
    "pink": (236, 128, 168),
    "white": (238, 238, 234),
}


SKIN_COLOUR, INK_COLOUR = (238, 196, 160), (40, 36, 40)


SPRITE_OVERSAMPLE = 4


SpriteDraw = ImageDraw.ImageDraw


ScalePoints = Callable[..., list[tuple[float, float]]]


def _shade_colour(colour: RgbColour, factor: float) -> RgbColour:
    r, g, b = (max(0, min(255, round(c * factor))) for c in colour)
    return r, g, b


def _draw_balloon(d: SpriteDraw, p: ScalePoints, colour: RgbColour, _: FigureDefect) -> None:
    d.line(p((50, 76), (47, 86), (53, 93), (50, 100)), fill=INK_COLOUR, width=round(p((1.2, 0))[0][0]))
    d.polygon(p((50, 72), (44, 80), (56, 80)), fill=_shade_colour(colour, 0.7))
    d.ellipse(p((18, 0), (82, 76)), fill=colour)


def _draw_beach_ball(d: SpriteDraw, p: ScalePoints, colour: RgbColour, _: FigureDefect) -> None:
    d.ellipse(p((2, 2), (98, 98)), fill=colour)
    for start in (20, 140, 260):
        d.pieslice(p((2, 2), (98, 98)), start, start + 50, fill=(244, 244, 240))
    d.ellipse(p((42, 42), (58, 58)), fill=_shade_colour(colour, 0.7))


def _draw_traffic_cone(d: SpriteDraw, p: ScalePoints, colour: RgbColour, _: FigureDefect) -> None:
    d.polygon(p((5, 96), (12, 86), (88, 86), (95, 96)), fill=_shade_colour(colour, 0.75))
    d.polygon(p((22, 88), (46, 2), (54, 2), (78, 88)), fill=colour)
    d.polygon(p((31, 56), (36, 38), (64, 38), (69, 56)), fill=(244, 244, 240))


def _draw_mug(d: SpriteDraw, p: ScalePoints, colour: RgbColour, _: FigureDefect) -> None:
    d.ellipse(p((58, 28), (98, 74)), outline=_shade_colour(colour, 0.85), width=round(p((9, 0))[0][0]))
    d.rounded_rectangle(p((8, 12), (76, 98)), radius=p((10, 0))[0][0], fill=colour)
    d.ellipse(p((8, 4), (76, 24)), fill=_shade_colour(colour, 0.55))


def _draw_gift_box(d: SpriteDraw, p: ScalePoints, colour: RgbColour, _: FigureDefect) -> None:
    d.rectangle(p((8, 36), (92, 98)), fill=colour)
    d.rectangle(p((2, 26), (98, 44)), fill=_shade_colour(colour, 1.15))
    ribbon = (246, 226, 120) if colour != PROP_COLOURS["yellow"] else (200, 60, 60)
    d.rectangle(p((42, 26), (58, 98)), fill=ribbon)
    d.ellipse(p((22, 4), (50, 28)), outline=ribbon, width=round(p((7, 0))[0][0]))
    d.ellipse(p((50, 4), (78, 28)), outline=ribbon, width=round(p((7, 0))[0][0]))


def _draw_kite(d: SpriteDraw, p: ScalePoints, colour: RgbColour, _: FigureDefect) -> None:
    d.polygon(p((50, 0), (86, 32), (50, 76), (14, 32)), fill=colour)
    d.polygon(p((50, 0), (86, 32), (50, 32)), fill=_shade_colour(colour, 1.25))
    d.polygon(p((50, 76), (14, 32), (50, 32)), fill=_shade_colour(colour, 0.75))
    d.line(p((50, 76), (58, 84), (44, 92), (54, 100)), fill=INK_COLOUR, width=round(p((1.6, 0))[0][0]))


def _draw_umbrella(d: SpriteDraw, p: ScalePoints, colour: RgbColour, _: FigureDefect) -> None:
    d.line(p((50, 40), (50, 92)), fill=INK_COLOUR, width=round(p((3, 0))[0][0]))
    d.arc(p((50, 84), (64, 99)), 0, 180, fill=INK_COLOUR, width=round(p((3, 0))[0][0]))
    d.pieslice(p((2, 4), (98, 96)), 180, 360, fill=colour)
    d.pieslice(p((30, 4), (70, 96)), 180, 360, fill=_shade_colour(colour, 1.2))
    d.line(p((50, 4), (50, 0)), fill=INK_COLOUR, width=round(p((3, 0))[0][0]))


def _draw_potted_plant(d: SpriteDraw, p: ScalePoints, colour: RgbColour, _: FigureDefect) -> None:
    for x, y in ((22, 34), (36, 12), (62, 10), (78, 32), (50, 2)):
        d.line(p((50, 64), (x, y + 10)), fill=(40, 96, 52), width=round(p((3, 0))[0][0]))
        d.ellipse(p((x - 13, y), (x + 13, y + 26)), fill=(58, 138, 70))
    d.polygon(p((26, 62), (74, 62), (66, 98), (34, 98)), fill=colour)
    d.rectangle(p((22, 58), (78, 68)), fill=_shade_colour(colour, 1.12))


def _draw_toy_figure(d: SpriteDraw, p: ScalePoints, colour: RgbColour, defect: FigureDefect) -> None:
    """A small toy figure with a face, a shirt, five-fingered hands and two legs; a defect breaks one of these."""
    trousers, thick = (120, 84, 40) if defect == "other" else (60, 70, 110), round(p((7, 0))[0][0])
    for x in (42, 58):
        d.line(p((x, 66), (x, 94)), fill=trousers, width=round(p((9, 0))[0][0]))
        d.ellipse(p((x - 8, 91), (x + 7, 99)), fill=INK_COLOUR)
    if defect == "body":
        d.line(p((60, 66), (86, 82), (74, 96)), fill=trousers, width=round(p((9, 0))[0][0]))
        d.line(p((38, 46), (8, 62)), fill=colour, width=thick)
        d.line(p((62, 40), (76, 58), (92, 50), (86, 66)), fill=colour, width=thick)
    d.rounded_rectangle(p((35, 34), (65, 70)), radius=p((6, 0))[0][0], fill=colour)
    hands = ((14, 30), (86, 30))
    for side, (x, y) in zip((-1, 1), hands, strict=True):
        if defect != "body" or side < 0:
            d.line(p((50 + side * 13, 38), (x, y + 6)), fill=colour, width=thick)
            _draw_hand(d, p, x, y, broken=defect == "hand_foot" and side > 0)
    _draw_head(d, p, melted=defect == "face", other=defect == "other")


def _draw_hand(d: SpriteDraw, p: ScalePoints, x: float, y: float, broken: bool) -> None:
    width = round(p((3.0, 0))[0][0])
    d.ellipse(p((x - 5, y - 3), (x + 5, y + 7)), fill=SKIN_COLOUR)
    angles = (-150, -128, -108, -90, -70, -48, -22, 4, 150) if broken else (-150, -118, -90, -62, -28)
    for i, angle in enumerate(angles):
        reach = (15 if i % 2 else 9) if broken else 10
        turn = np.deg2rad(angle)
        tip = (x + reach * np.cos(turn), y + 2 + reach * np.sin(turn))
        d.line(p((x, y + 2), tip), fill=SKIN_COLOUR, width=width)


def _draw_head(d: SpriteDraw, p: ScalePoints, melted: bool, other: bool = False) -> None:
    """A head; `other` is one of another person, with long fair hair, darker skin and glasses."""
    skin, hair = ((178, 124, 84), (236, 206, 110)) if other else (SKIN_COLOUR, (96, 60, 36))
    if other:
        d.rounded_rectangle(p((30, 8), (70, 44)), radius=p((8, 0))[0][0], fill=hair)
    d.ellipse(p((34, 4), (66, 36)), fill=skin)
    d.pieslice(p((33, 1), (67, 35)), 180, 360, fill=hair)
    d.ellipse(p((36, 9), (64, 36)), fill=skin)
    line = round(p((2, 0))[0][0])
    if melted:
        d.ellipse(p((39, 24), (47, 33)), fill=INK_COLOUR)
        d.ellipse(p((55, 13), (58, 16)), fill=INK_COLOUR)
        d.line(p((51, 14), (60, 20), (54, 24), (62, 30)), fill=(150, 50, 50), width=line)
    else:
        for x in (44, 56):
            d.ellipse(p((x - 2.2, 17), (x + 2.2, 21.4)), fill=INK_COLOUR)
        d.arc(p((43, 20), (57, 31)), 20, 160, fill=(150, 50, 50), width=line)
    if other:
        for x in (44, 56):
            d.ellipse(p((x - 5, 14), (x + 5, 24)), outline=INK_COLOUR, width=line)
        d.line(p((49, 18), (51, 18)), fill=INK_COLOUR, width=line)


PropPainter = Callable[[SpriteDraw, ScalePoints, RgbColour, FigureDefect], None]


PROP_PAINTERS: dict[str, PropPainter] = {
    "balloon": _draw_balloon,
    "beach ball": _draw_beach_ball,
    "traffic cone": _draw_traffic_cone,
    "mug": _draw_mug,
    "gift box": _draw_gift_box,
    "kite": _draw_kite,
    "umbrella": _draw_umbrella,
    "potted plant": _draw_potted_plant,
    "toy figure": _draw_toy_figure,
}


PROP_KINDS = tuple(PROP_PAINTERS)


AIRBORNE_PROPS = frozenset({"balloon", "kite"})


# Parts of the figure, in per cent of its box, on which a defect of that kind is seen.
FIGURE_PARTS: dict[FigureDefect, tuple[float, float, float, float]] = {
    "hand_foot": (66, 12, 100, 42),
    "face": (31, 2, 69, 38),
    "body": (0, 34, 100, 100),
}


@lru_cache(maxsize=512)
def render_sprite(kind: str, colour: str, height: int, defect: FigureDefect = "") -> Sprite:
    """RGBA uint8 [height, height, 4] of a thing in a named colour, read-only."""
    side = height * SPRITE_OVERSAMPLE
    canvas = Pillow.new("RGBA", (side, side))

    def scale_points(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * side / 100, y * side / 100) for x, y in points]

    PROP_PAINTERS[kind](ImageDraw.Draw(canvas), scale_points, PROP_COLOURS[colour], defect)
    art = np.array(canvas.resize((height, height), Pillow.Resampling.LANCZOS))
    y, x = np.mgrid[:height, :height] / max(height - 1, 1)
    light = 1.16 - 0.42 * np.clip(np.hypot(x - 0.34, y - 0.28), 0, 1)
    art[..., :3] = np.clip(art[..., :3] * light[..., None], 0, 255).astype(np.uint8)
    art.setflags(write=False)
    return art


FONT_FACES = {"sans-serif": "DejaVuSans-Bold", "serif": "DejaVuSerif-Bold", "typewriter": "DejaVuSansMono-Bold"}


SIGN_WORDS = ("OPEN", "SALE", "EXIT", "CAFE", "MUSIC", "MARKET", "HOTEL", "PARK", "BAKERY", "LIBRARY")


SIGN_TRANSLATIONS = {
    "Spanish": {"OPEN": "ABIERTO", "SALE": "REBAJAS", "EXIT": "SALIDA", "MARKET": "MERCADO", "PARK": "PARQUE"},
    "French": {"OPEN": "OUVERT", "SALE": "SOLDES", "EXIT": "SORTIE", "MARKET": "MARCHÉ", "BAKERY": "BOULANGERIE"},
    "German": {"OPEN": "GEÖFFNET", "EXIT": "AUSGANG", "MARKET": "MARKT", "LIBRARY": "BIBLIOTHEK", "BAKERY": "BÄCKEREI"},
}


@dataclass(frozen=True, slots=True)
class Sign:
    """Wording in a box of whole pixels, on a plate (or on the photo itself when `plate` is empty)."""

    text: str
    box: Box
    colour: str = "white"
    plate: str = "blue"
    face: str = "sans-serif"


@cache
def _find_font_file(face: str) -> str:
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
    return str(Path(spec.origin).parent / "mpl-data/fonts/ttf" / f"{FONT_FACES[face]}.ttf")


@lru_cache(maxsize=256)
def load_font(face: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_find_font_file(face), size, layout_engine=ImageFont.Layout.BASIC)


def render_lettering(text: str, width: int, height: int, face: str = "sans-serif") -> NDArray[Any]:
    """Opacity uint8 [height, width] of a text as large as fits and centred."""
    size = max(6, int(height * 0.9))
    left, top, right, bottom = load_font(face, size).getbbox(text)
    size = max(5, int(size * min(1.0, width * 0.94 / max(right - left, 1), height * 0.94 / max(bottom - top, 1))))
    left, top, right, bottom = load_font(face, size).getbbox(text)
    layer = Pillow.new("L", (width, height))
    at = ((width - (right - left)) / 2 - left, (height - (bottom - top)) / 2 - top)
    ImageDraw.Draw(layer).text(at, text, fill=255, font=load_font(face, size))
    return np.array(layer)


def sign_colour(name: str) -> RgbColour:
    return (24, 24, 28) if name == "black" else PROP_COLOURS[name]


def paint_sign(image: RgbImage, sign: Sign) -> None:
    """Draw a sign into the image, in place."""
    x0, y0, x1, y1 = (int(v) for v in sign.box)
    plate = Pillow.fromarray(image[y0:y1, x0:x1].copy())
    width, height = x1 - x0, y1 - y0
    if sign.plate:
        ImageDraw.Draw(plate).rounded_rectangle(
            (0, 0, width - 1, height - 1),
            radius=max(2, height // 8),
            fill=sign_colour(sign.plate),
            outline=(245, 245, 240),
        )
    inset = max(1, height // 10)
    layer = np.zeros((height, width), np.uint8)
    layer[inset : height - inset, inset : width - inset] = render_lettering(
        sign.text, width - 2 * inset, height - 2 * inset, sign.face
    )
    plate.paste(sign_colour(sign.colour), (0, 0), Pillow.fromarray(layer))
    image[y0:y1, x0:x1] = np.array(plate)
