"""Synthetic images for the check of an editor: a scene full of detail, and the same scene with two flawed regions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.simulate.pixels import clip_pixels, smooth_noise

PROBE_SIZE = (320, 448)
"""Height and width: multiples of 32 and not square, so that an editor of squares shows itself."""

_RECTANGLES = 40
_NOISE = 9.0  # grey levels


@dataclass(frozen=True, slots=True, eq=False)
class ProbeImages:
    """What an editor is given.

    Attributes
    ----------
    source : ndarray
        uint8 [H, W, 3]: the scene.
    other_source : ndarray
        uint8 [H, W, 3]: the scene with other content in the first region.
    current : ndarray
        uint8 [H, W, 3]: the scene, blurred, discoloured and noisy in both regions.
    first, second : ndarray
        uint8 [H, W]: masks of the regions, far from each other.
    """

    source: RgbImage
    other_source: RgbImage
    current: RgbImage
    first: NDArray[np.uint8]
    second: NDArray[np.uint8]


def make_probe_images() -> ProbeImages:
    """Make the images; always the same ones."""
    random = np.random.default_rng(20_26)
    height, width = PROBE_SIZE
    light = np.stack([smooth_noise(random, height, width, 120) for _ in range(3)], -1) * 110 + 60
    canvas = np.ascontiguousarray(light, np.float32)
    for _ in range(_RECTANGLES):
        x, y = int(random.integers(-20, width)), int(random.integers(-20, height))
        size = tuple(int(side) for side in random.integers(12, 70, 2))
        colour = tuple(float(value) for value in random.uniform(30, 225, 3))
        cv2.rectangle(canvas, (x, y, *size), colour, -1, cv2.LINE_AA)
    grain = np.stack([smooth_noise(random, height, width, 3)] * 3, -1) - 0.5
    source = clip_pixels(cv2.GaussianBlur(canvas, (0, 0), 0.7) + 50 * grain)
    first, second = (np.zeros(PROBE_SIZE, np.uint8) for _ in range(2))
    cv2.ellipse(first, (120, 110), (46, 38), 0, 0, 360, 255, -1)
    cv2.ellipse(second, (330, 220), (44, 40), 0, 0, 360, 255, -1)
    blurred = cv2.GaussianBlur(source, (0, 0), 2.5).astype(np.float32) * (0.85, 1.0, 1.15) + 8
    flawed = clip_pixels(blurred + random.normal(0, _NOISE, source.shape))
    current = np.where(((first | second) > 0)[..., None], flawed, source)
    other = np.where((first > 0)[..., None], 255 - np.roll(source, (90, 150), (0, 1)), source)
    return ProbeImages(source, other, current, first, second)
