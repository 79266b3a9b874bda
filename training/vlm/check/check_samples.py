"""Samples of a check: images of unequal sizes, made from a seed, with regions, scores and texts of unequal length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, KINDS, Box, Region
from annotation.taxonomy import list_flaw_types
from training.samples.pair_sample import PairSample, scale_array

_SHAPES = ((3, 4), (4, 3), (2, 5))
"""Heights and widths of the images, in the unit that the areas of the recipe allow."""

_SENTENCE = "the hand near the left lamp has six fingers and looks bent since the edit"
_WORDS = _SENTENCE.split()


def make_check_samples(most_pixels: int, seed: int = 0) -> list[PairSample]:
    """Three samples that differ in size, number of regions and length of instruction.

    Parameters
    ----------
    most_pixels : int
        Largest area of a shown image; the samples have about half of it, and one has more.
    seed : int
    """
    random = np.random.default_rng(seed)
    samples = []
    for place, (rows, columns) in enumerate(_SHAPES):
        unit = (most_pixels * (0.4 + 0.4 * place) / (rows * columns)) ** 0.5
        height, width = round(rows * unit), round(columns * unit)
        regions = tuple(_make_region(random, number, height, width) for number in range(1, place + 3))
        samples.append(
            PairSample(
                pair_id=f"check-{place}",
                source_id=f"check-{place}",
                instruction=" ".join(_WORDS[: 4 + 3 * place]),
                task="object_add",
                source=_make_image(random, height, width),
                edited=_make_image(random, height, width),
                maps={kind: np.asarray(_make_image(random, height, width)[..., 0] / 255, np.float32) for kind in KINDS},
                regions=regions,
                scores={name: float(random.uniform(5, 95)) for name in DIMENSIONS},
                shown=Box(0.0, 0.0, float(width), float(height)),
            )
        )
    return samples


def _make_image(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Soft blobs with noise: unlike any other image, and changed by every resize."""
    coarse = random.integers(0, 255, (6, 6, 3), dtype=np.uint8)
    noise = random.integers(0, 40, (height, width, 3), dtype=np.uint8)
    return np.asarray(scale_array(coarse, height, width) // 2 + noise, np.uint8)


def _make_region(random: np.random.Generator, number: int, height: int, width: int) -> Region:
    kind = KINDS[number % 2]
    x0, y0 = float(random.uniform(0, width / 2)), float(random.uniform(0, height / 2))
    types = list_flaw_types(kind)
    return Region(
        region_id=f"r{number}",
        kind=kind,
        box=Box(x0, y0, x0 + width / 3, y0 + height / 3),
        disks=(),
        flaw_type=types[number % len(types)],
        severity="minor",
        rationale=f"Number {number}: {' '.join(_WORDS[number:])}.",
        annotators=("1",),
    )
