"""Images in every form in which a person has them, as the arrays that agents take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from annotation.images import MAX_IMAGE_PIXELS, ImageError, RgbImage, convert_to_rgb, decode_image, read_image_bytes
from mos.errors import UserError
from mos.files import require_path

ImageInput = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]
"""A path, an encoded image, a PIL image, or a uint8 array [H, W], [H, W, 3] or [H, W, 4]."""

_READABLE_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})


def read_rgb_image(image: ImageInput, name: str) -> RgbImage:
    """Read an image in any form.

    Parameters
    ----------
    image : ImageInput
        A path, an encoded PNG, JPEG or WebP, a PIL image, or an array of uint8. Transparency is blended with white,
        the EXIF orientation is applied, and ICC profiles are ignored: pixels are taken as sRGB.
    name : str
        What the image is, for messages, such as "source".

    Returns
    -------
    ndarray
        uint8 [H, W, 3].

    Raises
    ------
    UserError
        It cannot be read, is too large, or has no form of the list.
    """
    try:
        if isinstance(image, bytes):
            return decode_image(image)
        if isinstance(image, str | os.PathLike):
            return decode_image(read_image_file(Path(image)))
        if isinstance(image, Image.Image):
            return _convert_pil_image(image)
        if isinstance(image, np.ndarray):
            return _convert_array(image)
    except ImageError as error:
        where = f", {image}" if isinstance(image, str | os.PathLike) else ""
        raise ImageError(error.reason, f"The {name} image{where}: {error}") from None
    raise UserError(
        f"The {name} image is a {type(image).__name__}: expected a path, bytes, a PIL image or a uint8 array."
    )


def read_image_file(path: Path) -> bytes:
    """The bytes of an image file that the user named; links are followed.

    Raises
    ------
    ImageError
        There is no such file, or it cannot be read.
    """
    require_path(path)
    try:
        real = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("missing_file", "there is no such file; check the path.") from None
    except (OSError, RuntimeError):
        raise ImageError("bad_path", "the path cannot be followed; check its links and permissions.") from None
    return read_image_bytes(real.parent, real.name)


def _convert_pil_image(image: Image.Image) -> RgbImage:
    _check_size(image.height, image.width)
    if image.mode not in _READABLE_MODES and not image.mode.startswith("I;16"):
        raise ImageError("unknown_format", f"PIL images of the mode {image.mode} are not read; convert it to RGB.")
    return np.array(convert_to_rgb(ImageOps.exif_transpose(image)))


def _convert_array(pixels: NDArray[Any]) -> RgbImage:
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (3, 4)):
        raise ImageError(
            "unknown_format",
            f"expected a uint8 array [H, W], [H, W, 3] or [H, W, 4], but got {pixels.dtype} {list(shape)}.",
        )
    _check_size(shape[0], shape[1])
    return np.array(convert_to_rgb(Image.fromarray(np.ascontiguousarray(pixels))))


def _check_size(height: int, width: int) -> None:
    if not 1 <= height * width <= MAX_IMAGE_PIXELS:
        message = f"it is {width} x {height} pixels: expected from 1 to {MAX_IMAGE_PIXELS:,} pixels in all."
        raise ImageError("too_large" if height * width else "zero_size", message)
