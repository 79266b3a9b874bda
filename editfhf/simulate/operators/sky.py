"""Weather over a picture: rain, snow and fog; restoration takes them off again."""

from __future__ import annotations

import cv2
import numpy as np

from editfhf.simulate.canvas import Image, clipped, noise


def rain(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Slanted bright streaks over a slightly darker, greyer picture."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    slant, length = rng.uniform(-0.35, 0.35), height * 0.09
    for x, y, size in zip(*(rng.random(round(260 * strength)) for _ in range(3)), strict=True):
        start = (int(x * width * 1.2 - 0.1 * width), int(y * height * 1.2 - 0.1 * height))
        reach = length * (0.5 + size)
        end = (int(start[0] + slant * reach), int(start[1] + reach))
        cv2.line(layer, start, end, int(110 + 120 * size), max(1, height // 260), cv2.LINE_AA)
    streaks = cv2.GaussianBlur(layer, (0, 0), max(0.5, height / 700)).astype(np.float32)[..., None] / 255
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    dull = (0.65 * image + 0.35 * grey) * 0.82
    return clipped(dull * (1 - 0.75 * streaks) + 232 * 0.75 * streaks)


def snow(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Soft white flakes of several sizes over a slightly paler picture."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.float32)
    for x, y, size in zip(*(rng.random(round(330 * strength)) for _ in range(3)), strict=True):
        radius = max(1, round(height * (0.003 + 0.011 * size**3)))
        cv2.circle(layer, (int(x * width), int(y * height)), radius, float(0.6 + 0.4 * size), -1, cv2.LINE_AA)
    flakes = cv2.GaussianBlur(layer, (0, 0), max(0.6, height / 400))[..., None]
    pale = image * 0.82 + np.array((34, 37, 42), np.float32)
    return clipped(pale * (1 - 0.9 * flakes) + 250 * 0.9 * flakes)


def fog(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """A pale uneven veil that is thicker towards the top of the picture."""
    height, width = image.shape[:2]
    depth = np.linspace(0.85, 0.5, height, dtype=np.float32)[:, None]
    veil = np.clip(strength * (depth * (0.75 + 0.35 * noise(rng, height, width, height / 3))), 0, 0.92)[..., None]
    return clipped(image * (1 - veil) + 214 * veil)
