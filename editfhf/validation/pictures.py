"""The pictures of a row: encoded images that decode, and saliency maps that are those of the raw points."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation import images
from annotation.images import ImageError, ImageInfo
from annotation.records import KINDS, Kind
from editfhf import saliency
from editfhf.dataset import Points, accepted_points
from editfhf.validation.rows import Row

# A map drawn by another version of OpenCV or NumPy may round one grey level differently.
LEVELS = 1


@dataclass
class Pictures:
    """How pictures are checked: with which limits and options, and which of them are known to be good.

    deep: decode every image instead of reading its header only
    """

    deep: bool
    max_pixels: int
    sigma: saliency.Sigma
    profile: saliency.Profile
    good: set[str] = field(default_factory=set)

    def look(self, name: str, stored: dict[str, Any] | None) -> ImageInfo | str:
        """Facts of one encoded image, or what is wrong with it."""
        data = (stored or {}).get("bytes")
        if not data:
            return f"{name} is empty"
        try:
            info = images.inspect(data, max_pixels=self.max_pixels)
            # The edits of one source share it: each content is decoded once.
            if self.deep and info.sha256 not in self.good:
                images.check(data, max_pixels=self.max_pixels)
                self.good.add(info.sha256)
        except ImageError as found:
            return f"{name} cannot be used: {found}"
        return info


def check_maps(row: Row, marks: list[dict[str, Any]], edited: ImageInfo, pictures: Pictures) -> Iterator[str]:
    """Both maps: same size as the edited image, mode L, and what the marks of the row's regions give, drawn again."""
    regions = {region["region_id"] for kind in KINDS for region in row[f"{kind}_regions"] or ()}
    points = accepted_points(marks, regions)
    for kind in KINDS:
        info = pictures.look(f"{kind}_saliency", row[f"{kind}_saliency"])
        if isinstance(info, str):
            yield info
        elif (info.mode, info.width, info.height) != ("L", edited.width, edited.height):
            yield (
                f"{kind}_saliency is {info.mode} {info.width} x {info.height}: expected L, and the size of the edited "
                f"image, {edited.width} x {edited.height}"
            )
        else:
            yield from _check_map(row, kind, points[kind], info, pictures)


def _check_map(row: Row, kind: Kind, points: Points, info: ImageInfo, pictures: Pictures) -> Iterator[str]:
    drawn, peak = saliency.png(
        points.disks,
        info.height,
        info.width,
        sigma=pictures.sigma.pixels(info.height),
        profile=pictures.profile,
        groups=points.groups_for(pictures.profile),
    )
    stored = row[f"{kind}_saliency"]["bytes"]
    # The same bytes, unless another version of OpenCV wrote them: then the pixels decide.
    if stored != drawn:
        yield from _compare(f"{kind}_saliency", stored, drawn)
    found = row[f"{kind}_peak"]
    if found is None or not math.isclose(found, peak, rel_tol=1e-5, abs_tol=1e-6):
        yield f"{kind}_peak is {found}, but the disks give {peak:.6g}"


def _compare(name: str, stored: bytes, drawn: bytes) -> Iterator[str]:
    try:
        furthest = int(np.abs(_grey(stored) - _grey(drawn)).max(initial=0))
    except (OSError, SyntaxError, ValueError) as found:
        yield f"{name} cannot be decoded as PNG ({found.__class__.__name__})"
        return
    if furthest > LEVELS:
        yield f"{name} is not the map of its disks: drawn again, it differs by up to {furthest} of 255 levels"


def _grey(png: bytes) -> NDArray[np.int16]:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return np.asarray(image, np.int16)
