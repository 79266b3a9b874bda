"""Checking every picture once: read, identified by its digest, decoded to the end, and never decoded again.

What is known good is remembered by digest in a small text file under the user's cache folder (`EDITFHF_CACHE`), so
that a second build only reads and hashes.  Bad pictures are not remembered: they are looked at again each time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import PIL
import platformdirs

from annotation import images
from annotation.images import ImageError

BATCH = 16


class Picture(NamedTuple):
    """What was found of one image file; `reason` and `message` are set when it cannot be used."""

    path: str
    sha256: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    reason: str = ""
    message: str = ""


class KnownGood(NamedTuple):
    size: int
    width: int
    height: int


def cache_file() -> Path:
    """Where known good pictures are remembered, for this version of the decoder."""
    folder = os.environ.get("EDITFHF_CACHE") or platformdirs.user_cache_dir("editfhf", appauthor=False)
    return Path(folder) / f"images-pillow-{PIL.__version__}.tsv"


@lru_cache(maxsize=1)
def _known(path: Path, _size: int) -> dict[str, KnownGood]:
    known = {}
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            fields = line.split("\t")
            # A line torn by a crash is no entry.
            if len(fields) == 4 and len(fields[0]) == 64 and line.endswith("\n") and _whole(fields[1:]):
                known[fields[0]] = KnownGood(int(fields[1]), int(fields[2]), int(fields[3]))
    return known


def _whole(fields: list[str]) -> bool:
    return all(field.strip().isdecimal() for field in fields)


def known_good(path: Path) -> dict[str, KnownGood]:
    """Known good pictures by SHA-256; empty when there is no cache."""
    try:
        return _known(path, path.stat().st_size)
    except (OSError, ValueError):
        return {}


def remember(path: Path, pictures: Iterable[Picture]) -> None:
    """Add good pictures to the cache; a cache that cannot be written costs time, not correctness."""
    lines = [f"{p.sha256}\t{p.size}\t{p.width}\t{p.height}\n" for p in pictures if not p.reason]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="ascii") as handle:
            handle.write("".join(lines))
    except OSError:
        return


def check_batch(root: str, paths: list[str], cache: str, max_bytes: int, max_pixels: int) -> list[Picture]:
    """Check the image files `paths` (relative to `root`), in a worker."""
    known = known_good(Path(cache)) if cache else {}
    return [_check(Path(root), path, known, max_bytes, max_pixels) for path in paths]


def _check(root: Path, path: str, known: dict[str, KnownGood], max_bytes: int, max_pixels: int) -> Picture:
    try:
        data = images.read(root, path, max_bytes=max_bytes)
        if known:
            digest = hashlib.sha256(data).hexdigest()
            good = known.get(digest)
            if good and good.width * good.height <= max_pixels:
                return Picture(path, digest, len(data), good.width, good.height)
        info = images.check(data, max_pixels=max_pixels)
        return Picture(path, info.sha256, len(data), info.width, info.height)
    except ImageError as error:
        return Picture(path, reason=error.reason, message=str(error))
