"""Read untrusted images: from a path in a corpus to bytes, properties, and pixels as displayed.

Every failure is an `ImageError` with a stable reason; no exception of Pillow, zlib or the operating system leaves
this module.  Only PNG, JPEG and WebP are read, recognised by their content, one image per file.  "As displayed" means
with the EXIF orientation applied.  Annotators see an image in a browser, readers of a dataset through `datasets`: what
these two show differently, or one of them cannot open, is refused.  ICC profiles are ignored: pixels are taken as sRGB.

Functions keep no state and may run in any number of threads.  With `PIL.ImageFile.LOAD_TRUNCATED_IMAGES` Pillow accepts
truncated files, so nothing is decoded while it is on.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, FileIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from annotation.encoded_images import (
    METADATA_ADVICE,
    ImageErrorReason,
    ImageFormat,
    describe_other_format,
    detect_image_format,
    diagnose_image_parts,
    diagnose_png_metadata,
    has_orientation_metadata,
    list_browser_orientations,
    read_browser_size,
    read_declared_size,
)
from mos.errors import UserError

RgbImage = NDArray[np.uint8]
"""uint8 [H, W, 3], sRGB, as displayed."""

MAX_IMAGE_BYTES = 64 * 2**20
MAX_IMAGE_PIXELS = 2**26

_ORIENTATION_TAG = 0x0112
_ORIENTATION_INFO = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
_UPRIGHT_ADVICE = "Save it as a browser shows it, without metadata."
_TRANSPOSE_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow warns of odd metadata on the terminal, from threads and workers and without the name of the file; what matters
# of it is checked here.  `warnings.catch_warnings` is no help: it changes the filters of all threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class ImageError(UserError):
    """An image that cannot be used: `reason` is a stable code, the message one sentence."""

    def __init__(self, reason: ImageErrorReason, message: str) -> None:
        super().__init__(message)
        self.reason: ImageErrorReason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[ImageErrorReason, str]]:
        return type(self), (self.reason, str(self))  # so that a worker process can return it


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Properties of one encoded image; width and height in pixels as displayed, sha256 over the original bytes."""

    format: str
    width: int
    height: int
    mode: str
    sha256: str
    size: int


def resolve_image_path(root: Path, relative: str) -> Path:
    """Resolve a relative POSIX path to the real path of a regular file inside the corpus.

    Links are followed and may lead anywhere inside the corpus.

    Parameters
    ----------
    root : Path
        Folder of the corpus.
    relative : str
        Path relative to `root`, with `/`.

    Raises
    ------
    ImageError
        bad_path, path_leaves_corpus, missing_file, not_a_file or unreadable_file.
    """
    _refuse_unsafe_path(relative)
    name = _shorten_name(relative)
    with _translate_system_errors(name):
        real = (root / relative).resolve(strict=True)
        if not real.is_relative_to(root.resolve(strict=True)):
            raise ImageError(
                "path_leaves_corpus", f"{name} links to a place outside the corpus: copy the file into it."
            )
        if not stat.S_ISREG(real.stat().st_mode):
            raise ImageError("not_a_file", f"{name} is a folder or a device: expected an image file.")
    return real


def read_image_bytes(root: Path, relative: str, *, max_bytes: int = MAX_IMAGE_BYTES) -> bytes:
    """Read the bytes of one image file of the corpus.

    Parameters
    ----------
    root, relative : Path, str
        As in `resolve_image_path`.
    max_bytes : int
        Size of the largest file that is read.

    Raises
    ------
    ImageError
        As `resolve_image_path`; file_too_big or empty_file.
    """
    path = resolve_image_path(root, relative)
    name = _shorten_name(relative)
    too_big = ImageError("file_too_big", f"{name} is larger than {max_bytes} bytes: expected a smaller file.")
    with _translate_system_errors(name):
        # the file may have been swapped since it was resolved: never follow a link or wait on a pipe here
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("not_a_file", f"{name} is a folder or a device: expected an image file.")
            if status.st_size > max_bytes:
                raise too_big
            data = _read_to_end(file, status.st_size, max_bytes)
    if len(data) > max_bytes:
        raise too_big
    if not data:
        raise ImageError("empty_file", f"{name} is empty: expected an encoded image.")
    return data


def inspect_image(data: bytes, *, max_pixels: int = MAX_IMAGE_PIXELS) -> ImageInfo:
    """Read the properties of an encoded image from its header.

    No pixel is decoded, except of a PNG whose EXIF comes after its pixels.

    Parameters
    ----------
    data : bytes
        The encoded image.
    max_pixels : int
        Largest width x height that is accepted.

    Raises
    ------
    ImageError
        unknown_format, zero_size, too_large, animated or broken_image; bad_exif, different_orientation, bad_metadata
        or not_for_browsers where `datasets` or a browser does not show the image as the other does; too_many_parts.
    """
    return _build_image_info(_open_image(data, max_pixels), data)


def verify_image(data: bytes, *, max_pixels: int = MAX_IMAGE_PIXELS) -> ImageInfo:
    """Read the properties of an encoded image and check that the whole stream decodes.

    A JPEG is decoded at one eighth of its size, which still reads all of its entropy-coded data.  A PNG also has the
    CRC of every chunk verified.  Pillow accepts a JPEG without its end marker (EOI) and a PNG without its own (IEND);
    this function does not, so that every truncation is an error.  Not detected: a flipped bit that still decodes in a
    JPEG or WebP, and missing rows of a well-formed PNG (they are black).

    Parameters and exceptions are those of `inspect_image`.
    """
    info = inspect_image(data, max_pixels=max_pixels)
    image = _open_image(data, max_pixels)
    with _translate_decoder_errors(data):
        ended = True
        if isinstance(image, JpegImageFile):
            ended = data.find(b"\xff\xd9", image.fp.tell() if image.fp else 0) != -1
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
        elif isinstance(image, PngImageFile):
            ended = data.rfind(b"IEND\xae\x42\x60\x82") != -1
            image.verify()
            image = _open_image(data, max_pixels)
        if not ended:
            raise ImageError("broken_image", f"The {info.format} has no end marker: copy or download it again.")
        image.load()
    return info


def decode_image(data: bytes, *, max_pixels: int = MAX_IMAGE_PIXELS) -> NDArray[Any]:
    """Decode an image to RGB as displayed.

    Transparency is blended with white; 16-bit samples keep their high byte; CMYK, grey, palette and 1-bit images become
    RGB by Pillow's conversions.

    Parameters
    ----------
    data, max_pixels : bytes, int
        As in `inspect_image`.

    Returns
    -------
    uint8 array [H, W, 3]

    Raises
    ------
    ImageError
        As `verify_image`, but neither CRC nor end markers are checked.
    """
    image = _open_image(data, max_pixels)
    return _decode_pixels(image, data, image.size)


def decode_thumbnail(data: bytes, *, max_side: int, max_pixels: int = MAX_IMAGE_PIXELS) -> NDArray[Any]:
    """uint8 [h, w, 3] RGB as displayed, longest side at most `max_side` pixels, never enlarged.

    Colours as `decode`; a JPEG is decoded at the nearest eighth above the size asked for, several times faster.
    """
    if max_side < 1:
        raise ValueError(f"max_side must be at least 1 pixel, but got {max_side}")
    image = _open_image(data, max_pixels)
    scale = min(1.0, max_side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    with _translate_decoder_errors(data):
        reduced = image.draft("RGB", size)
    return _decode_pixels(image, data, size, box=reduced[1] if reduced else None)


def _refuse_unsafe_path(relative: str) -> None:
    name = _shorten_name(relative)
    if not relative:
        raise ImageError("bad_path", "The path is empty: expected a relative path inside the corpus.")
    if relative.startswith("/") or ".." in PurePosixPath(relative).parts:
        raise ImageError("path_leaves_corpus", f"{name} leaves the corpus: expected a relative path inside it.")
    if re.search(r"^[A-Za-z]:|[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", relative):
        message = f"{name} has a drive letter, a backslash or a control character: expected a relative POSIX path."
        raise ImageError("bad_path", message)


def _shorten_name(name: str) -> str:
    """The name quoted on one line, long ones cut."""
    return repr(name if len(name) <= 80 else f"{name[:77]}...")


@contextmanager
def _translate_system_errors(name: str) -> Iterator[None]:
    """Convert errors of the operating system about a path into an ImageError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("missing_file", f"{name} is missing: expected a file of the corpus.") from None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links
        if isinstance(error, OSError) and error.errno not in (errno.ELOOP, errno.ENAMETOOLONG):
            message = f"{name} cannot be read ({error.strerror}): check its permissions and its disk."
            raise ImageError("unreadable_file", message) from None
        raise ImageError("bad_path", f"{name} is too long or a loop of links: expected a plain path.") from None


def _read_to_end(file: FileIO, size: int, max_bytes: int) -> bytes:
    """At most one byte more than allowed: a file may grow, or be shorter or longer than its size says."""
    blocks: list[bytes] = []
    left = max_bytes + 1
    while left and (block := file.read(min(left, size + 1))):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


_FORMAT_READERS: dict[ImageFormat, type[ImageFile.ImageFile]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,  # the first image of several
    "WEBP": WebPImageFile,
}


def _open_image(data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """The image with its header read, its size and number of frames accepted."""
    kind = detect_image_format(data)
    if kind is None:
        name = describe_other_format(data)
        raise ImageError("unknown_format", f"The file seems to be {name}: expected PNG, JPEG or WebP.")
    # Before Pillow reads the bytes: its WebP decoder allocates the canvas when it is created.
    _check_size(read_declared_size(kind, data), max_pixels)
    problem = diagnose_image_parts(kind, data)
    if problem is not None:
        raise ImageError(*problem)
    with _translate_decoder_errors(data):
        image = _FORMAT_READERS[kind](BytesIO(data))
    _check_size(image.size, max_pixels)
    if getattr(image, "is_animated", False):
        raise ImageError("animated", f"The {kind} is animated: expected a still image, so export one frame of it.")
    return image


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError("zero_size", f"The image is {width} x {height} pixels: expected at least 1 x 1.")
    if width * height > max_pixels:
        message = f"The image is {width} x {height} pixels: expected at most {max_pixels} pixels, so make it smaller."
        raise ImageError("too_large", message)


@contextmanager
def _translate_decoder_errors(data: bytes) -> Iterator[None]:
    """Convert every exception of Pillow on hostile bytes (also SyntaxError, zlib.error, warnings) into ImageError."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        message = "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on, which hides broken images: switch it off in this process."
        raise ImageError("truncated_images_allowed", message)
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        problem = diagnose_png_metadata(data) if detect_image_format(data) == "PNG" else None
        if problem is not None:
            raise ImageError(*problem) from None
        message = f"The image is broken or cut short ({type(error).__name__}): copy or download it again."
        raise ImageError("broken_image", message) from None


def _build_image_info(image: ImageFile.ImageFile, data: bytes) -> ImageInfo:
    width, height, mode, kind = image.width, image.height, image.mode, str(image.format)
    if isinstance(image, PngImageFile) and has_orientation_metadata(data):
        with _translate_decoder_errors(data):
            image.load()  # the metadata may come after the pixels
    if _read_orientation(image, data) >= 5:
        width, height = height, width
    if read_browser_size(data, image.width, image.height) != image.size:
        message = (
            f"The resolution in the EXIF makes browsers show another size than {image.width} x {image.height} pixels."
        )
        raise ImageError("different_size", f"{message} {METADATA_ADVICE}")
    return ImageInfo(kind, width, height, mode, hashlib.sha256(data).hexdigest(), len(data))


def _read_orientation(image: ImageFile.ImageFile, data: bytes) -> int:
    """The orientation 1 to 8 in which `datasets` and browsers show the image; `ImageError` where they differ."""
    orientation, shown = _read_pillow_orientation(image), list_browser_orientations(data) or [1]
    if len(shown) > 1:
        given = " and ".join(map(str, shown))
        raise ImageError("different_orientation", f"The EXIF gives the orientations {given}. {_UPRIGHT_ADVICE}")
    if orientation != shown[0]:
        place = "EXIF" if "exif" in image.info or shown != [1] else "metadata"
        kind = "WebP" if image.format == "WEBP" else image.format
        raise ImageError(
            "different_orientation",
            f"The orientation in the {place} of the {kind} counts as {orientation} for `datasets` and as "
            f"{shown[0]} for browsers, so that annotators see another image. {_UPRIGHT_ADVICE}",
        )
    return orientation


def _read_pillow_orientation(image: ImageFile.ImageFile) -> int:
    """Orientation 1 to 8 as `datasets` applies it; `ImageError` where that fails."""
    if not _ORIENTATION_INFO & image.info.keys():
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:
        message = f"The EXIF or XMP is broken, so `datasets` cannot open the image. {METADATA_ADVICE}"
        raise ImageError("bad_exif", message) from None
    if orientation is None:
        return 1
    # What `datasets` does, on one pixel with the same metadata: it fails at tags that Pillow cannot write again.
    pixel = Image.new("1", (1, 1))
    pixel.info = dict(image.info)
    try:
        ImageOps.exif_transpose(pixel)
        return int(orientation) if orientation in _TRANSPOSE_METHODS else 1
    except Exception:
        message = f"Beside the orientation the EXIF has a mistyped tag, at which `datasets` fails. {_UPRIGHT_ADVICE}"
        raise ImageError("bad_exif", message) from None


def _decode_pixels(
    image: ImageFile.ImageFile, data: bytes, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> NDArray[Any]:
    """uint8 [H, W, 3] as displayed, the box of the image (all of it when None) scaled to `size` as stored."""
    with _translate_decoder_errors(data):
        image.load()
        grey = image.mode == "L" and not image.has_transparency_data
        shown = image if grey else convert_to_rgb(image)  # grey is scaled as the one channel that it is
        if shown.size != size:
            shown = shown.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=2.0)
        method = _TRANSPOSE_METHODS.get(_read_orientation(image, data))
        return np.array((shown if method is None else shown.transpose(method)).convert("RGB"))


def convert_to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, transparency blended with white, 16-bit samples by their high byte; not turned by its EXIF."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
