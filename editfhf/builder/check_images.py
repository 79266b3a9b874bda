"""Check the image files of a corpus: read, hash and decode each once.

Good images are remembered by digest in a text file in the user's cache folder (`EDITFHF_CACHE`), so that a second
build only reads and hashes them. Bad images are not remembered and are checked again each time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import PIL
import platformdirs

from annotation import images
from annotation.images import ImageError
from mos.files import open_regular_file

IMAGE_BATCH = 16
IMAGE_CHECKS = 2
"""Number of the checks in `annotation.images`: to be raised when they refuse what they accepted before."""


class CheckedImage(NamedTuple):
    """One image file; `reason` and `message` are set when it cannot be used."""

    path: str
    sha256: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    reason: str = ""
    message: str = ""


class KnownImage(NamedTuple):
    """A good image: bytes of its file, and width and height in pixels."""

    size: int
    width: int
    height: int


def image_cache_path() -> Path:
    """The file that remembers good images, for these checks and this version of the decoder."""
    folder = os.environ.get("EDITFHF_CACHE") or platformdirs.user_cache_dir("editfhf", appauthor=False)
    return Path(folder) / f"images-{IMAGE_CHECKS}-pillow-{PIL.__version__}.tsv"


@lru_cache(maxsize=1)
def _load_known_images(path: Path, _size: int) -> dict[str, KnownImage]:
    known = {}
    with TextIOWrapper(open_regular_file(path), "ascii", "replace") as lines:
        for line in lines:
            fields = line.split("\t")
            # A crash can leave an incomplete line.
            if len(fields) == 4 and len(fields[0]) == 64 and line.endswith("\n") and _are_integers(fields[1:]):
                known[fields[0]] = KnownImage(int(fields[1]), int(fields[2]), int(fields[3]))
    return known


def _are_integers(fields: list[str]) -> bool:
    return all(field.strip().isdecimal() for field in fields)


def read_known_images(path: Path) -> dict[str, KnownImage]:
    """Good images by SHA-256; empty when there is no cache."""
    try:
        return _load_known_images(path, path.stat().st_size)
    except (OSError, ValueError):
        return {}


def remember_images(path: Path, checked: Iterable[CheckedImage]) -> None:
    """Add good images to the cache. An unwritable cache is ignored: it only costs time."""
    lines = [f"{image.sha256}\t{image.size}\t{image.width}\t{image.height}\n" for image in checked if not image.reason]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_regular_file(path, "ab") as handle:
            handle.write("".join(lines).encode())
    except OSError:
        return


def check_image_batch(root: str, paths: list[str], cache: str, max_bytes: int, max_pixels: int) -> list[CheckedImage]:
    """Check the image files `paths` (relative to `root`), in a worker."""
    known = read_known_images(Path(cache)) if cache else {}
    return [_check_image(Path(root), path, known, max_bytes, max_pixels) for path in paths]


def _check_image(root: Path, path: str, known: dict[str, KnownImage], max_bytes: int, max_pixels: int) -> CheckedImage:
    try:
        data = images.read_image_bytes(root, path, max_bytes=max_bytes)
        if known:
            digest = hashlib.sha256(data).hexdigest()
            image = known.get(digest)
            if image and image.width * image.height <= max_pixels:
                return CheckedImage(path, digest, len(data), image.width, image.height)
        info = images.verify_image(data, max_pixels=max_pixels)
        return CheckedImage(path, info.sha256, len(data), info.width, info.height)
    except ImageError as error:
        return CheckedImage(path, reason=error.reason, message=str(error))
