"""Restoration: the source is a damaged view of the scene, the perfect result is the scene itself."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import Image, blurred, clipped, ellipse, resized
from editfhf.simulate.operators import sky
from editfhf.simulate.operators.edit import Edit, Failing, Outcome, pick
from editfhf.simulate.scene import Scene


def _blur(image: Image, rng: np.random.Generator) -> Image:
    if rng.random() < 0.5:
        return blurred(image, image.shape[0] / 90)
    length = max(5, image.shape[0] // 24)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(rng.uniform(0, 180)), 1)
    tilted = cv2.warpAffine(kernel, turn, (length, length))
    return np.asarray(cv2.filter2D(image, -1, tilted / tilted.sum()), np.uint8)


def _noise(image: Image, rng: np.random.Generator) -> Image:
    return clipped(image + rng.normal(0, 30, image.shape))


def _rain(image: Image, rng: np.random.Generator) -> Image:
    return sky.rain(image, rng, 0.8)


def _snow(image: Image, rng: np.random.Generator) -> Image:
    return sky.snow(image, rng, 0.9)


def _haze(image: Image, rng: np.random.Generator) -> Image:
    return sky.fog(image, rng, 0.75)


def _dark(image: Image, rng: np.random.Generator) -> Image:
    return clipped(255 * (image.astype(np.float32) / 255) ** 1.4 * 0.24 + rng.normal(0, 3, image.shape))


def _shadow(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    w, h = width * rng.uniform(0.4, 0.6), height * rng.uniform(0.35, 0.55)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    dark = ellipse(height, width, Box(x, y, x + w, y + h), soft=0.25)[..., None] * 0.62
    return clipped(image * (1 - dark))


def _small(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    return resized(resized(image, width // 4, height // 4), width, height)


DAMAGES: dict[str, tuple[Callable[[Image, np.random.Generator], Image], tuple[str, ...], str, str]] = {
    "restore_deblur": (_blur, ("Sharpen this blurred photo.", "Remove the blur."), "the removal of the blur", "blur"),
    "restore_denoise": (_noise, ("Remove the noise.", "Clean the noisy picture."), "the removal of the noise", "noise"),
    "restore_derain": (_rain, ("Remove the rain.", "Take the rain streaks away."), "the removal of the rain", "rain"),
    "restore_desnow": (_snow, ("Remove the falling snow.", "Take the snow flakes away."), "the removal of the snow",
                       "snow"),
    "restore_dehaze": (_haze, ("Remove the haze.", "Clear the fog from the photo."), "the removal of the haze", "haze"),
    "restore_lowlight": (_dark, ("Brighten this dark photo.", "Lighten the under-exposed picture."),
                         "the brightening of the photo", "darkness"),
    "restore_deshadow": (_shadow, ("Remove the cast shadow.", "Take the dark shadow away."),
                         "the removal of the shadow", "shadow"),
    "restore_superres": (_small, ("Raise the resolution of the photo.", "Make this low-resolution picture sharp."),
                         "the higher resolution", "coarse blur"),
}  # fmt: skip


def damaged(task: str, image: Image, rng: np.random.Generator) -> Image:
    """The picture with the damage that a restoration task takes away."""
    return DAMAGES[task][0](image, rng)


def restore(task: str, scene: Scene, source: Image, rng: np.random.Generator) -> Edit:
    """The restoration of a damaged source back to its scene."""
    clean = scene.render()
    _, texts, what, damage = DAMAGES[task]

    def weak(r: np.random.Generator) -> Outcome:
        share = float(r.uniform(0.2, 0.35))
        image = clipped(source + share * (clean.astype(np.float32) - source))
        height, width = image.shape[:2]
        return Outcome(image, Box(0, 0, width, height), np.ones((height, width), bool),
                       f"far too weak, most of the {damage} is still there", what)  # fmt: skip

    failing: dict[str, Failing] = {} if task == "restore_deshadow" else {"wrong_degree": weak}
    return Edit(task, source, clean, pick(rng, *texts), what, scene, failing)
