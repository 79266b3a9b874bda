"""From the strength that a hand-crafted model computes to a map on an absolute scale, by one rule for all models.

Published code stretches every map to its own maximum, so that a clean image looks as flawed as any. Here each model
has a constant `FULL_STRENGTH`, the strength that only one pixel in a thousand of ordinary photos exceeds
(`measure_full_strength`), and a map is strength / FULL_STRENGTH, at most 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from training.samples.pair_sample import scale_array

FULL_STRENGTH_QUANTILE = 0.999


def scale_strength(strength: NDArray[Any], full: float, height: int, width: int) -> NDArray[np.float32]:
    """A map of strength [h, w] as a saliency map, float32 [height, width] in [0, 1].

    >>> scale_strength(np.array([[0.0, 1.0, 4.0]]), 2.0, 1, 3).tolist()
    [[0.0, 0.5, 1.0]]
    """
    scaled = scale_array(np.clip(strength / full, 0, 1).astype(np.float32), height, width)
    return np.clip(scaled, 0, 1).astype(np.float32)


def shrink_image(image: RgbImage, longest: int) -> RgbImage:
    """The image with its longest side at most `longest` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    return scale_array(image, max(1, round(height * scale)), max(1, round(width * scale)))


def measure_full_strength(compute_strength: Callable[[RgbImage], NDArray[Any]], photos: Iterable[RgbImage]) -> float:
    """The strength that one pixel in a thousand of the photos exceeds; every photo counts alike."""
    samples = [np.quantile(compute_strength(photo), np.linspace(0, 1, 10_001)) for photo in photos]
    return float(np.quantile(np.concatenate(samples), FULL_STRENGTH_QUANTILE))
