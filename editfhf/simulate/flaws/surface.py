"""Artifacts of surfaces: texture, colour, blur and noise, light and shadow.

Every painter takes the whole picture and a box of whole pixels and changes pixels inside the box only.
`strength` in (0, 1] follows the severity.
"""

from __future__ import annotations

import cv2
import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import Image, blend, clipped, ellipse, noise, patch, resized


def _blob(image: Image, box: Box, rng: np.random.Generator, soft: float = 0.3) -> np.ndarray:
    """An ellipse with a wavering edge in the box, as a mask of the whole picture."""
    height, width = image.shape[:2]
    shape = ellipse(height, width, box, soft)
    return np.clip(shape * (1.35 - 0.7 * noise(rng, height, width, max(6.0, (box.y1 - box.y0) / 3))), 0, 1)


def smeared(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """Detail wiped into wavy plastic streaks."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    reach = (0.35 + 0.65 * strength) * (box.x1 - box.x0) * 0.45
    turn = noise(rng, height, width, height / 6) - 0.5
    smear = image
    for step in (0.25, 0.5, 1.0):
        moved = cv2.remap(smear, x + step * reach * turn, y + 0.2 * step * reach * turn, cv2.INTER_LINEAR, borderMode=2)
        smear = clipped(0.5 * smear.astype(np.float32) + 0.5 * moved)
    size = max(3, int(height / 40) | 1)
    return blend(image, np.asarray(cv2.medianBlur(smear, size), np.uint8), _blob(image, box, rng))


def tiled(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """One small piece of the surface repeated like wallpaper."""
    view = patch(image, box)
    side = max(6, round(min(view.shape[:2]) * (0.42 - 0.14 * strength)))
    y, x = int(rng.integers(0, view.shape[0] - side + 1)), int(rng.integers(0, view.shape[1] - side + 1))
    piece = view[y : y + side, x : x + side].astype(np.float32)
    mean = piece.mean(axis=(0, 1))
    cell = clipped(mean + (piece - mean) * 1.5 + rng.normal(0, 10, (side, side, 1)))
    rows, columns = -(-view.shape[0] // side), -(-view.shape[1] // side)
    wall = np.tile(cell, (rows, columns, 1))[: view.shape[0], : view.shape[1]]
    above = image.copy()
    patch(above, box)[:] = wall
    return blend(image, above, ellipse(image.shape[0], image.shape[1], box, 0.12))


def cast(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """A garish colour bleeding over the place."""
    tint = np.array(((225, 30, 205), (40, 225, 70), (250, 70, 20), (30, 90, 250))[int(rng.integers(4))], np.float32)
    share = 0.35 + 0.4 * strength
    above = clipped(image * (1 - share) + tint * share)
    return blend(image, above, _blob(image, box, rng, 0.4))


def banding(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """Few, over-saturated steps of colour instead of a smooth ramp."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.4 + 110 * strength, 0, 255)
    vivid = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    step = 60 + 50 * strength
    return blend(image, clipped(np.round(vivid / step) * step), ellipse(image.shape[0], image.shape[1], box, 0.2))


def blurry(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    sigma = image.shape[0] * (0.014 + 0.02 * strength)
    return blend(
        image,
        np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8),
        ellipse(image.shape[0], image.shape[1], box, 0.3),
    )


def noisy(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    above = clipped(image + rng.normal(0, 34 + 44 * strength, image.shape))
    return blend(image, above, ellipse(image.shape[0], image.shape[1], box, 0.3))


def blocky(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """Coarse square blocks, as after far too much compression."""
    height, width = image.shape[:2]
    cell = max(4.0, height * (0.022 + 0.018 * strength))
    small = resized(image, max(2, round(width / cell)), max(2, round(height / cell)))
    above = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    return blend(image, above, ellipse(height, width, box, 0.1))


def false_shadow(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """A hard dark shadow that nothing in the scene could cast."""
    height, width = image.shape[:2]
    corners = np.array([(0.1, 0.98), (0.32, 0.98), (0.98, 0.12), (0.72, 0.02)], np.float32)
    if rng.random() < 0.5:
        corners[:, 0] = 1 - corners[:, 0]
    points = corners * (box.x1 - box.x0, box.y1 - box.y0) + (box.x0, box.y0)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    dark = (0.45 + 0.42 * strength) * mask.astype(np.float32)[..., None] / 255
    return clipped(image * (1 - dark))


def false_light(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """A burnt-out spot of light without a lamp."""
    glow = ellipse(image.shape[0], image.shape[1], box, 0.85)[..., None] * (0.65 + 0.35 * strength)
    return clipped(image * (1 - glow) + np.array((255, 252, 232), np.float32) * glow)
