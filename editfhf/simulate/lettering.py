"""Wording in a picture: signs and captions drawn with the DejaVu fonts that matplotlib carries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from annotation.records import Box
from editfhf.simulate.canvas import Colour, Image
from editfhf.simulate.props import COLOURS

FACES = {"sans-serif": "DejaVuSans-Bold", "serif": "DejaVuSerif-Bold", "typewriter": "DejaVuSansMono-Bold"}
WORDS = ("OPEN", "SALE", "EXIT", "CAFE", "MUSIC", "MARKET", "HOTEL", "PARK", "BAKERY", "LIBRARY")
TRANSLATIONS = {
    "Spanish": {"OPEN": "ABIERTO", "SALE": "REBAJAS", "EXIT": "SALIDA", "MARKET": "MERCADO", "PARK": "PARQUE"},
    "French": {"OPEN": "OUVERT", "SALE": "SOLDES", "EXIT": "SORTIE", "MARKET": "MARCHÉ", "BAKERY": "BOULANGERIE"},
    "German": {"OPEN": "GEÖFFNET", "EXIT": "AUSGANG", "MARKET": "MARKT", "LIBRARY": "BIBLIOTHEK", "BAKERY": "BÄCKEREI"},
}


@dataclass(frozen=True, slots=True)
class Sign:
    """Wording in a box of whole pixels, on a plate (or straight on the photo when plate is empty)."""

    text: str
    box: Box
    colour: str = "white"
    plate: str = "blue"
    face: str = "sans-serif"


@cache
def _font_file(face: str) -> str:
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
    return str(Path(spec.origin).parent / "mpl-data/fonts/ttf" / f"{FACES[face]}.ttf")


@lru_cache(maxsize=256)
def font(face: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_file(face), size, layout_engine=ImageFont.Layout.BASIC)


def lettering(text: str, width: int, height: int, face: str = "sans-serif") -> np.ndarray:
    """Opacity uint8 [height, width] of a text as large as fits and centred."""
    size = max(6, int(height * 0.9))
    left, top, right, bottom = font(face, size).getbbox(text)
    size = max(5, int(size * min(1.0, width * 0.94 / max(right - left, 1), height * 0.94 / max(bottom - top, 1))))
    left, top, right, bottom = font(face, size).getbbox(text)
    layer = Pillow.new("L", (width, height))
    at = ((width - (right - left)) / 2 - left, (height - (bottom - top)) / 2 - top)
    ImageDraw.Draw(layer).text(at, text, fill=255, font=font(face, size))
    return np.array(layer)


def colour_of(name: str) -> Colour:
    return (24, 24, 28) if name == "black" else COLOURS[name]


def paint_sign(image: Image, sign: Sign) -> None:
    """Draw a sign into the image, in place."""
    x0, y0, x1, y1 = (int(v) for v in sign.box)
    plate = Pillow.fromarray(image[y0:y1, x0:x1].copy())
    width, height = x1 - x0, y1 - y0
    if sign.plate:
        ImageDraw.Draw(plate).rounded_rectangle(
            (0, 0, width - 1, height - 1),
            radius=max(2, height // 8),
            fill=colour_of(sign.plate),
            outline=(245, 245, 240),
        )
    inset = max(1, height // 10)
    layer = np.zeros((height, width), np.uint8)
    layer[inset : height - inset, inset : width - inset] = lettering(
        sign.text, width - 2 * inset, height - 2 * inset, sign.face
    )
    plate.paste(colour_of(sign.colour), (0, 0), Pillow.fromarray(layer))
    image[y0:y1, x0:x1] = np.array(plate)
