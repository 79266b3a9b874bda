"""Write the result as an OpenRaster file: the input at the bottom, one layer that can be switched off for each fix."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from PIL import Image

from annotation.images import RgbImage
from mos.files import replace_file
from mos.words import replace_control_characters
from refiner.accepted_edit import AcceptedEdit
from refiner.call_store import encode_png

LAYERS_FILE = "layers.ora"

LONGEST_TITLE = 160

THUMBNAIL_SIDE = 256
"""Longest side of the thumbnail; the format allows no more."""

_MIMETYPE = b"image/openraster"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


def encode_layers(edited: RgbImage, image: RgbImage, edits: Sequence[AcceptedEdit]) -> bytes:
    """Encode the input and its fixes as OpenRaster, which Krita and GIMP open.

    Parameters
    ----------
    edited : ndarray
        uint8 [H, W, 3]: the input, the lowest layer.
    image : ndarray
        uint8 [H, W, 3]: the result, as a reader that knows no layers shows it.
    edits : sequence of AcceptedEdit
        From the lowest to the highest layer.

    Returns
    -------
    bytes

    Notes
    -----
    OpenRaster 0.0.6: a ZIP archive whose first entry is `mimetype`, stored; `stack.xml` lists the layers from the
    highest to the lowest. Every pixel of a layer is opaque or absent, so that the layers laid over each other give the
    result exactly, and without the fixes the input.
    """
    height, width = edited.shape[:2]
    parts = [
        ('  <layer name="edited image" src="data/input.png" x="0" y="0"/>', "data/input.png", encode_png(edited)),
    ]
    for number, edit in enumerate(edits, start=1):
        file = f"data/fix-{number:03d}.png"
        name = quoteattr(_clean_title(edit.title))
        line = f'  <layer name={name} src="{file}" x="{edit.left}" y="{edit.top}" composite-op="svg:src-over"/>'
        parts.append((line, file, encode_png(edit.pixels)))
    stack = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<image version="0.0.6" w="{width}" h="{height}" xres="72" yres="72">',
        ' <stack name="refinement">',
        *(line for line, _, _ in reversed(parts)),
        " </stack>",
        "</image>",
    ]
    merged = encode_png(image)
    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    small = io.BytesIO()
    thumbnail.save(small, "PNG")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        entries = [("mimetype", _MIMETYPE), ("stack.xml", "\n".join(stack).encode())]
        entries += [(file, data) for _, file, data in parts]
        entries += [("mergedimage.png", merged), ("Thumbnails/thumbnail.png", small.getvalue())]
        for name, data in entries:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return stream.getvalue()


def write_layers(path: Path, edited: RgbImage, image: RgbImage, edits: Sequence[AcceptedEdit]) -> None:
    """Write `encode_layers` to a file, in one step."""
    replace_file(path, encode_layers(edited, image, edits), sync=False)


def _clean_title(title: str) -> str:
    """The title on one line, without what XML 1.0 forbids, shortened."""
    line = " ".join(replace_control_characters(title).split())
    line = "".join(char for char in line if char not in "\ufffe\uffff")
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"
