"""Change the size of a sample, and vary it for training; images, maps, boxes and disks always change together.

What would make the truth false is not done: no colour changes on one side only, no mirror image of a sample whose
texts speak of left and right, and no score of the whole image for a part of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, Box, Disk, Region
from training.samples.pair_sample import PairSample, scale_array

LEAST_VISIBLE_SHARE = 0.5
"""A region is kept in a crop that shows this share of its box, or more."""

_SIDE_WORDS = re.compile(
    r"\b(left\w*|right\w*|(?:counter|anti)?-?clockwise|mirror\w*|flip\w*|text\w*|letters?|words?|spell\w*|"
    r"read(?:s|ing)?|numbers?|digits?|logos?|signs?|caption\w*|east\w*|west\w*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SampleVariation:
    """How samples are varied for training.

    Attributes
    ----------
    flip : float
        Probability of exchanging left and right, 0 to 1, for samples where this is allowed.
    least_area : float
        Least share of the image that a random crop shows, above 0 and at most 1; 1 for no crop.
    brightness : float
        Both images are multiplied by one factor between 1 - brightness and 1 + brightness; 0 to 0.9.
    """

    flip: float = 0.0
    least_area: float = 1.0
    brightness: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.flip <= 1 and 0 < self.least_area <= 1 and 0 <= self.brightness <= 0.9):
            raise ValueError(
                "flip must lie in [0, 1], least_area in (0, 1] and brightness in [0, 0.9], but got "
                f"{self.flip}, {self.least_area} and {self.brightness}."
            )


def vary_sample(sample: PairSample, variation: SampleVariation, random: np.random.Generator) -> PairSample:
    """Vary a sample at random: crop, flip and brightness, each drawn whether it is used or not."""
    area, across, down, flip, light = random.random(5)
    if variation.least_area < 1:
        height, width = sample.size
        side = math.sqrt(variation.least_area + (1 - variation.least_area) * area)
        rows, columns = max(1, round(side * height)), max(1, round(side * width))
        top, left = round(down * (height - rows)), round(across * (width - columns))
        sample = crop_sample(sample, top, left, rows, columns)
    if flip < variation.flip and may_flip_sample(sample):
        sample = flip_sample(sample)
    if variation.brightness:
        sample = scale_brightness(sample, 1 + variation.brightness * (2 * light - 1))
    return sample


def may_flip_sample(sample: PairSample) -> bool:
    """Whether no text of the sample speaks of sides, directions, or writing, which a mirror image would make false."""
    texts = [sample.instruction, sample.task]
    texts += [text for region in sample.regions for text in (region.rationale, region.flaw_type) if text]
    return not any(_SIDE_WORDS.search(text.replace("_", " ")) for text in texts)


def flip_sample(sample: PairSample) -> PairSample:
    """Exchange left and right."""
    width = sample.size[1]

    def mirror(region: Region) -> Region:
        x0, y0, x1, y1 = region.box
        disks = tuple(Disk(width - disk.x, disk.y) for disk in region.disks)
        return replace(region, box=Box(width - x1, y0, width - x0, y1), disks=disks)

    flipped = _change_arrays(sample, lambda values: np.ascontiguousarray(values[:, ::-1]))
    return replace(flipped, regions=tuple(map(mirror, sample.regions)), flipped=not sample.flipped)


def crop_sample(sample: PairSample, top: int, left: int, rows: int, columns: int) -> PairSample:
    """Cut out a part of a sample.

    Regions of which less than `LEAST_VISIBLE_SHARE` is visible are left out; their part of the map stays. Scores are
    left out, since they are of the whole image, unless the part is the whole.
    """
    height, width = sample.size
    if (top, left, rows, columns) == (0, 0, height, width):
        return sample
    if not (0 <= top < top + rows <= height and 0 <= left < left + columns <= width):
        raise ValueError(f"The part {top}, {left}, {rows}, {columns} is not inside an image of {height} x {width}.")

    def move(region: Region) -> Region:
        x0, y0, x1, y1 = region.box
        box = Box(
            min(max(x0 - left, 0.0), columns),
            min(max(y0 - top, 0.0), rows),
            min(max(x1 - left, 0.0), columns),
            min(max(y1 - top, 0.0), rows),
        )
        disks = [Disk(disk.x - left, disk.y - top) for disk in region.disks]
        inside = tuple(disk for disk in disks if 0 <= disk.x < columns and 0 <= disk.y < rows)
        return replace(region, box=box, disks=inside)

    moved = [(move(region), region) for region in sample.regions]
    kept = tuple(new for new, old in moved if 0 < new.box.area >= LEAST_VISIBLE_SHARE * old.box.area)
    cut = _change_arrays(sample, lambda values: np.ascontiguousarray(values[top : top + rows, left : left + columns]))
    return replace(
        cut,
        regions=kept,
        scores=dict.fromkeys(DIMENSIONS),
        shown=_part_of(sample, Box(left, top, left + columns, top + rows)),
    )


def _part_of(sample: PairSample, part: Box) -> Box:
    """A part of the arrays as a part of the original edited image."""
    height, width = sample.size
    if sample.flipped:
        part = Box(width - part.x1, part.y0, width - part.x0, part.y1)
    x_scale = (sample.shown.x1 - sample.shown.x0) / width
    y_scale = (sample.shown.y1 - sample.shown.y0) / height
    x0, y0 = sample.shown.x0, sample.shown.y0
    return Box(x0 + part.x0 * x_scale, y0 + part.y0 * y_scale, x0 + part.x1 * x_scale, y0 + part.y1 * y_scale)


def resize_sample(sample: PairSample, height: int, width: int) -> PairSample:
    """Scale a sample to a size in pixels; boxes and disks scale with the images."""
    before = sample.size
    if before == (height, width):
        return sample
    x_scale, y_scale = width / before[1], height / before[0]

    def scale(region: Region) -> Region:
        x0, y0, x1, y1 = region.box
        disks = tuple(Disk(disk.x * x_scale, disk.y * y_scale) for disk in region.disks)
        return replace(region, box=Box(x0 * x_scale, y0 * y_scale, x1 * x_scale, y1 * y_scale), disks=disks)

    scaled = _change_arrays(sample, lambda values: scale_array(values, height, width))
    return replace(scaled, regions=tuple(map(scale, sample.regions)))


def fit_size(height: int, width: int, most_pixels: int, multiple: int = 1) -> tuple[int, int]:
    """The largest size with about the same shape, at most `most_pixels`, and sides that are multiples; never larger.

    Parameters
    ----------
    height, width : int
        Size of an image in pixels.
    most_pixels : int
        At least `multiple` squared.
    multiple : int
        Of both sides, such as the 32 pixels of a token of Qwen3-VL. A side below it becomes it.

    Examples
    --------
    >>> fit_size(3000, 2000, 2**20, 32), fit_size(100, 70, 2**20), fit_size(20, 500, 2**20, 32)
    ((1248, 832), (100, 70), (32, 480))
    """
    scale = min(1.0, math.sqrt(most_pixels / (height * width)))
    rows, columns = (max(multiple, math.floor(side * scale + 1e-9) // multiple * multiple) for side in (height, width))
    if rows * columns > most_pixels:  # a side was raised to the multiple: the other one gives way
        longest = max(multiple, most_pixels // multiple // multiple * multiple)
        rows, columns = min(rows, longest), min(columns, longest)
    return rows, columns


def scale_brightness(sample: PairSample, factor: float) -> PairSample:
    """Multiply both images by one factor, so that their difference stays one of the edit."""
    table = np.clip(np.rint(np.arange(256) * factor), 0, 255).astype(np.uint8)
    return replace(sample, source=table[sample.source], edited=table[sample.edited])


def _change_arrays(sample: PairSample, change: Callable[[NDArray[Any]], NDArray[Any]]) -> PairSample:
    """The same change of both images and both maps."""
    return replace(
        sample,
        source=change(sample.source),
        edited=change(sample.edited),
        maps={kind: change(values) for kind, values in sample.maps.items()},
    )
