"""The one reader of untrusted images: from a name in a corpus to bytes, facts, and pixels as displayed.

Every fault is an `ImageError` with a stable reason; no exception of Pillow, zlib or the operating system leaves
this module.  Only PNG, JPEG and WebP are read, told by their content, one picture a file.  "As displayed" means with
the EXIF orientation applied, as `datasets` and browsers do.  ICC profiles are ignored: pixels are taken as sRGB.

Functions keep no state and may run in any number of threads.  `PIL.ImageFile.LOAD_TRUNCATED_IMAGES` would let broken
files pass for whole ones, so nothing is decoded while a process has it switched on.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, FileIO
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from mos.errors import UserError

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 2**26

Reason = Literal[
    "bad_path",
    "path_leaves_corpus",
    "missing_file",
    "not_a_file",
    "unreadable_file",
    "file_too_big",
    "empty_file",
    "unknown_format",
    "zero_size",
    "too_large",
    "animated",
    "broken_image",
    "truncated_images_allowed",
]

_ORIENTATION = 0x0112
_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OTHERS = {  # first bytes of what people put beside the three formats we read
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"%PDF": "PDF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"version https://git-lfs": "a Git LFS pointer, not the image itself",
}


class ImageError(UserError):
    """A file or image that cannot be used: `reason` is a stable code, the message one sentence."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[Reason, str]]:
        return type(self), (self.reason, str(self))  # so that it survives the way back from a worker process


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Facts about one encoded image; width and height in pixels as displayed, sha256 over the original bytes."""

    format: str
    width: int
    height: int
    mode: str
    sha256: str
    size: int


def resolve(root: Path, relative: str) -> Path:
    """The real path of a regular file inside the corpus `root`, named by a relative POSIX path.

    Links are followed and may lead anywhere inside `root`.  Raises ImageError: bad_path, path_leaves_corpus,
    missing_file, not_a_file, unreadable_file.
    """
    _refuse_unsafe(relative)
    name = _short(relative)
    with _system_errors(name):
        real = (root / relative).resolve(strict=True)
        if not real.is_relative_to(root.resolve(strict=True)):
            raise ImageError(
                "path_leaves_corpus", f"{name} links to a place outside the corpus: copy the file into it."
            )
        if not stat.S_ISREG(real.stat().st_mode):
            raise ImageError("not_a_file", f"{name} is a folder or a device: expected an image file.")
    return real


def read(root: Path, relative: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of one file of the corpus, at most `max_bytes` of them.

    Raises ImageError as `resolve` does, and file_too_big or empty_file.
    """
    path = resolve(root, relative)
    name = _short(relative)
    too_big = ImageError("file_too_big", f"{name} is larger than {max_bytes} bytes: expected a smaller file.")
    with _system_errors(name):
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


def inspect(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Facts from the header alone; no pixel is decoded (but for a PNG whose EXIF comes after its pixels).

    Raises ImageError: unknown_format, zero_size, too_large, animated, broken_image.  A broken EXIF block counts as
    orientation 1.
    """
    return _info(_open(data, max_pixels), data)


def check(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """`inspect`, and proof that the whole stream decodes.

    A JPEG is decoded at one eighth of its size, which still reads all of its entropy-coded data.  A PNG also has the
    CRC of every chunk verified.  Pillow does not miss the end marker of a JPEG (EOI) or of a PNG (IEND); we do, so
    that every truncation is refused.  Not noticed: a flipped bit that still decodes in a JPEG or WebP, and rows that
    a well-formed PNG never had (they are black).
    """
    info = inspect(data, max_pixels=max_pixels)
    image = _open(data, max_pixels)
    with _decoding():
        ended = True
        if isinstance(image, JpegImageFile):
            ended = data.find(b"\xff\xd9", image.fp.tell() if image.fp else 0) != -1
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
        elif isinstance(image, PngImageFile):
            ended = data.rfind(b"IEND\xae\x42\x60\x82") != -1
            image.verify()
            image = _open(data, max_pixels)
        if not ended:
            raise ImageError("broken_image", f"The {info.format} has no end marker: copy or download it again.")
        image.load()
    return info


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """uint8 [H, W, 3] RGB as displayed.

    Transparency is laid on white; 16-bit samples keep their high byte; CMYK, grey, palette and 1-bit images become
    RGB by Pillow's conversions.  Raises ImageError as `check` does, though neither CRC nor EOI are looked at.
    """
    image = _open(data, max_pixels)
    return _pixels(image, image.size)


def thumbnail(data: bytes, *, max_side: int, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """uint8 [h, w, 3] RGB as displayed, longest side at most `max_side` pixels, never enlarged.

    Colours as `decode`; a JPEG is decoded at the nearest eighth above the size asked for, several times faster.
    """
    if max_side < 1:
        raise ValueError(f"max_side must be at least 1 pixel, but got {max_side}")
    image = _open(data, max_pixels)
    scale = min(1.0, max_side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    with _decoding():
        reduced = image.draft("RGB", size)
    return _pixels(image, size, box=reduced[1] if reduced else None)


def _refuse_unsafe(relative: str) -> None:
    name = _short(relative)
    if not relative:
        raise ImageError("bad_path", "The path is empty: expected a relative path inside the corpus.")
    if relative.startswith("/") or ".." in PurePosixPath(relative).parts:
        raise ImageError("path_leaves_corpus", f"{name} leaves the corpus: expected a relative path inside it.")
    if re.search(r"^[A-Za-z]:|[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", relative):
        message = f"{name} has a drive letter, a backslash or a control character: expected a relative POSIX path."
        raise ImageError("bad_path", message)


def _short(name: str) -> str:
    """The name quoted on one line, long ones cut."""
    return repr(name if len(name) <= 80 else f"{name[:77]}...")


@contextmanager
def _system_errors(name: str) -> Iterator[None]:
    """Turn what the operating system says about a path into an ImageError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("missing_file", f"{name} is not there: expected a file of the corpus.") from None
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


class _Jpeg(JpegImageFile):
    """The first picture of a JPEG, also of a multi-picture one; its resolution (which may warn) is not read."""

    def _read_dpi_from_exif(self) -> None:
        return


_READERS: dict[str, type[ImageFile.ImageFile]] = {"PNG": PngImageFile, "JPEG": _Jpeg, "WEBP": WebPImageFile}


def _open(data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """The image with its header read, its size and number of frames accepted."""
    kind = _format(data)
    _accept_size(_declared_size(kind, data), max_pixels)
    with _decoding():
        image = _READERS[kind](BytesIO(data))
    _accept_size(image.size, max_pixels)
    if getattr(image, "is_animated", False):
        raise ImageError("animated", f"The {kind} is animated: expected a still image, so export one frame of it.")
    return image


def _format(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    raise ImageError("unknown_format", f"The file seems to be {_looks_like(data)}: expected PNG, JPEG or WebP.")


def _looks_like(data: bytes) -> str:
    head = data[:1024]
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "HEIC, AVIF or a video"
    if b"<svg" in head.lower():
        return "SVG"
    if b"<html" in head.lower():
        return "a web page"
    return "text" if head and re.fullmatch(rb"[\t\n\r\x20-\x7e\x80-\xff]*", head) else "no image"


def _declared_size(kind: str, data: bytes) -> tuple[int, int]:
    """Width and height as the first header says, (1, 1) when it is too short or, in a JPEG, further on.

    Asked before Pillow sees the bytes, because its WebP decoder allocates the canvas when it is made.
    """
    try:
        match data[12:16] if kind != "JPEG" else b"":
            case b"IHDR":
                width, height = struct.unpack_from(">II", data, 16)
                return width, height
            case b"VP8X":  # two numbers of 24 bits
                return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
            case b"VP8L":  # a signature byte, then two numbers of 14 bits
                (bits,) = struct.unpack_from("<I", data, 21)
                return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            case b"VP8 ":  # a frame tag and a start code of three bytes each, then 14 bits a side
                width, height = struct.unpack_from("<HH", data, 26)
                return width & 0x3FFF, height & 0x3FFF
    except struct.error:
        pass
    return 1, 1


def _accept_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError("zero_size", f"The image is {width} x {height} pixels: expected at least 1 x 1.")
    if width * height > max_pixels:
        message = f"The image is {width} x {height} pixels: expected at most {max_pixels} pixels, so make it smaller."
        raise ImageError("too_large", message)


@contextmanager
def _decoding() -> Iterator[None]:
    """Turn whatever Pillow raises on hostile bytes (OSError, SyntaxError, zlib.error, warnings...) into ImageError."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        message = "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on, which hides broken images: switch it off in this process."
        raise ImageError("truncated_images_allowed", message)
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        message = f"The image is broken or cut short ({type(error).__name__}): copy or download it again."
        raise ImageError("broken_image", message) from None


def _info(image: ImageFile.ImageFile, data: bytes) -> ImageInfo:
    width, height, mode, kind = image.width, image.height, image.mode, str(image.format)
    # Pillow decodes a PNG to look for metadata behind its pixels: only let it where there is any
    if (not isinstance(image, PngImageFile) or _has_orientation(data)) and _orientation(image) >= 5:
        width, height = height, width
    return ImageInfo(kind, width, height, mode, hashlib.sha256(data).hexdigest(), len(data))


def _has_orientation(png: bytes) -> bool:
    """Whether a chunk of the PNG may hold an orientation: EXIF, EXIF written as text, or XMP."""
    at = 8
    while at + 8 <= len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        if name == b"eXIf" or png.startswith((b"Raw profile type exif\0", b"XML:com.adobe.xmp\0"), at + 8):
            return True
        at += 12 + length
    return False


def _orientation(image: ImageFile.ImageFile) -> int:
    """EXIF (or XMP) orientation 1 to 8, as Pillow and so `datasets` find it; 1 when absent or broken."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return found if found in _TRANSPOSED else 1


def _pixels(
    image: ImageFile.ImageFile, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    """uint8 [H, W, 3] as displayed, the box of the image (all of it when None) scaled to `size` as stored."""
    with _decoding():
        image.load()
        grey = image.mode == "L" and not image.has_transparency_data
        shown = image if grey else _to_rgb(image)  # grey is scaled as the one channel that it is
        if shown.size != size:
            shown = shown.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=2.0)
        method = _TRANSPOSED.get(_orientation(image))
        return np.array((shown if method is None else shown.transpose(method)).convert("RGB"))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
