"""The three pictures of a pair that a model is shown, each read and encoded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from annotation import images
from annotation.records import Box, Pair
from editfhf.chat import Picture
from editfhf.drafting.numbered import draw

Format = Literal["jpeg", "png"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are sent: their longer side in pixels at most, and JPEG (quality 90, full colour) or PNG."""

    max_side: int = 1024
    format: Format = "jpeg"


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures of a pair; `numbered` is `edited` with its boxes outlined."""

    source: Picture
    edited: Picture
    numbered: Picture


def show(root: Path, pair: Pair, boxes: Mapping[int, Box], size: tuple[int, int], encoding: Encoding) -> Shown:
    """Read, scale and encode the pictures of a pair; `ImageError` when one cannot be used.

    boxes: by number, in pixels of the edited picture as displayed, whose (width, height) is `size`
    Metadata of the files is not sent.  The same pictures give the same bytes.
    """
    source = images.thumbnail(images.read(root, pair.source), max_side=encoding.max_side)
    edited = images.thumbnail(images.read(root, pair.edited), max_side=encoding.max_side)
    across, down = edited.shape[1] / size[0], edited.shape[0] / size[1]
    scaled = {
        number: Box(box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down) for number, box in boxes.items()
    }
    return Shown(*(encode(pixels, encoding.format) for pixels in (source, edited, draw(edited, scaled))))


def encode(pixels: np.ndarray, form: Format) -> Picture:
    """uint8 [H, W, 3] as a file without metadata."""
    stream = BytesIO()
    picture = Image.fromarray(pixels)
    if form == "jpeg":
        # No subsampling: a flaw in colour may be a few pixels wide.
        picture.save(stream, "JPEG", quality=90, subsampling=0)
    else:
        picture.save(stream, "PNG", compress_level=6)
    return Picture(stream.getvalue(), f"image/{form}")
