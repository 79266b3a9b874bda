"""One row of a dataset as arrays: both images, both maps, regions and scores, all in the pixels of the edited image."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.images import decode_image
from annotation.records import DIMENSIONS, KINDS, Box, Dimension, Disk, Kind, Region
from annotation.taxonomy import load_edit_tasks
from mos.errors import UserError

IMAGE_COLUMNS = ("source_image", "edited_image", *(f"{kind}_saliency" for kind in KINDS))

NEEDED_COLUMNS = (
    *("pair_id", "source_id", "instruction", "task"),
    *IMAGE_COLUMNS,
    *(f"{kind}_regions" for kind in KINDS),
)


@dataclass(frozen=True, slots=True, eq=False)
class PairSample:
    """One pair, ready for a model.

    Attributes
    ----------
    pair_id, source_id, instruction, task : str
        As in the dataset; the task by its id.
    source, edited : ndarray
        uint8 [H, W, 3], sRGB as displayed. The source is scaled to the size of the edited image.
    maps : dict
        For each kind the true saliency map, float32 [H, W] in [0, 1]; zero everywhere where no region was accepted.
    regions : tuple of Region
        Accepted regions of both kinds, artifacts first; boxes and disks in pixels of `edited`.
    scores : dict
        For each dimension the mean opinion score, or None.
    shown : Box
        The part of the edited image, in its original pixels, that the arrays show.
    flipped : bool
        Whether left and right are exchanged.
    """

    pair_id: str
    source_id: str
    instruction: str
    task: str
    source: NDArray[np.uint8]
    edited: NDArray[np.uint8]
    maps: Mapping[Kind, NDArray[np.float32]]
    regions: tuple[Region, ...]
    scores: Mapping[Dimension, float | None]
    shown: Box
    flipped: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of all arrays in pixels."""
        return self.edited.shape[0], self.edited.shape[1]

    def boxes_of_kind(self, kind: Kind) -> NDArray[np.float64]:
        """Boxes of the regions of one kind, float64 [n, 4]."""
        return np.array([region.box for region in self.regions if region.kind == kind], np.float64).reshape(-1, 4)


def decode_row(row: Mapping[str, Any]) -> PairSample:
    """Make a sample of a row of the table "default", at the size of its edited image.

    Parameters
    ----------
    row : mapping
        With the columns of the dataset. An image is what `datasets` gives: a mapping with "bytes", or a decoded
        `PIL.Image`.

    Raises
    ------
    UserError
        If a column is missing, an image cannot be read, a map has another size than the edited image, or the task is
        none of the list.
    """
    require_columns(row)
    edited = _read_pixels(row["edited_image"], "edited_image")
    height, width = edited.shape[:2]
    source = scale_array(_read_pixels(row["source_image"], "source_image"), height, width)
    maps = {kind: _read_map(row[f"{kind}_saliency"], f"{kind}_saliency", (height, width)) for kind in KINDS}
    return PairSample(
        pair_id=row["pair_id"],
        source_id=row["source_id"],
        instruction=row["instruction"] or "",
        task=_name_task(row["task"]),
        source=source,
        edited=edited,
        maps=maps,
        regions=tuple(_read_region(kind, region) for kind in KINDS for region in row[f"{kind}_regions"] or ()),
        scores={name: _read_number(row.get(name)) for name in DIMENSIONS},
        shown=Box(0.0, 0.0, float(width), float(height)),
    )


def require_columns(names: Collection[str]) -> None:
    """UserError for columns that lack one of the table "default"; scores may be missing."""
    missing = [name for name in NEEDED_COLUMNS if name not in names]
    if missing:
        raise UserError(
            f"Expected the columns of the table 'default', but {', '.join(missing)} are missing: choose this table of "
            "a dataset that `editfhf build` made."
        )


def scale_array(values: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Scale an image or a map [h, w, ...] to [height, width, ...] as a whole, so that coordinates scale with it.

    Means over areas where both sides shrink, bilinear between pixel centres otherwise.
    """
    if values.shape[:2] == (height, width):
        return values
    shrinks = height <= values.shape[0] and width <= values.shape[1]
    scaled = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(scaled)


def _name_task(task: str | int | None) -> str:
    """The id of a task: `datasets` gives its number in the list, and -1 where there is none."""
    if task is None or task == -1:
        return ""
    if isinstance(task, str):
        return task
    names = list(load_edit_tasks())
    if not 0 <= task < len(names):
        raise UserError(f"Expected a task from 0 to {len(names) - 1}, but got {task}.")
    return names[task]


def _read_number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _read_bytes(value: Any, column: str) -> bytes:
    data = value.get("bytes") if isinstance(value, Mapping) else None
    if not data:
        raise UserError(f"Expected an image in the column {column}, but there is none.")
    return bytes(data)


def _read_pixels(value: Any, column: str) -> NDArray[np.uint8]:
    if isinstance(value, Image.Image):  # decoded by `datasets`, which applies the orientation
        return np.asarray(value.convert("RGB"))
    return decode_image(_read_bytes(value, column))


def _read_map(value: Any, column: str, size: tuple[int, int]) -> NDArray[np.float32]:
    if isinstance(value, Image.Image):
        grey = np.asarray(value.convert("L"))
    else:
        grey = decode_image(_read_bytes(value, column))[..., 0]
    if grey.shape != size:
        raise UserError(f"The map {column} must have the size of the edited image {size}, but has {grey.shape}.")
    return grey.astype(np.float32) / np.float32(255)


def _read_region(kind: Kind, region: Mapping[str, Any]) -> Region:
    return Region(
        region_id=region["region_id"],
        kind=kind,
        box=Box(*(float(each) for each in region["box"])),
        disks=tuple(Disk(float(x), float(y)) for x, y in region["disks"] or ()),
        flaw_type=region["flaw_type"],
        severity=region["severity"],
        rationale=region["rationale"],
        annotators=tuple(region["annotators"] or ()),
    )
