"""Artifacts of things: warped structure, duplicates, pasted edges, floating or wrongly sized objects, faces."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import Image, blend, clipped, ellipse, noise, patch, rectangle
from editfhf.simulate.props import AIRBORNE, COLOURS, KINDS, sprite


def _remapped(image: Image, dx: np.ndarray, dy: np.ndarray) -> Image:
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    source = (x + dx).astype(np.float32), (y + dy).astype(np.float32)
    return np.asarray(cv2.remap(image, *source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8)


def warped(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """Outlines bent into waves, or twisted about the middle of the box."""
    height, width = image.shape[:2]
    inside = ellipse(height, width, box, 0.35)
    if rng.random() < 0.5:
        return twisted(image, box, rng, strength)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    reach, wave = (0.07 + 0.12 * strength) * (box.y1 - box.y0), (box.y1 - box.y0) / rng.uniform(2.2, 3.4)
    return _remapped(image, inside * reach * np.sin(y * 6.28 / wave), inside * reach * np.cos(x * 6.28 / wave))


def twisted(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cx, cy = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    turn = ellipse(height, width, box, 0.9) * (1.0 + 1.6 * strength) * (1 if rng.random() < 0.5 else -1)
    u, v = x - cx, y - cy
    return _remapped(image, u * np.cos(turn) - v * np.sin(turn) - u, u * np.sin(turn) + v * np.cos(turn) - v)


def melted_face(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """Features slide down on one side and swell on the other."""
    height, width = image.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :] + 0.5
    u = np.clip((x - box.x0) / (box.x1 - box.x0), 0, 1)
    inside = ellipse(height, width, box, 0.45)
    side = u if rng.random() < 0.5 else 1 - u
    drop = (0.14 + 0.16 * strength) * (box.y1 - box.y0)
    swell = (noise(rng, height, width, (box.y1 - box.y0) / 2.5) - 0.5) * 0.5 * (box.x1 - box.x0) * strength
    return _remapped(image, inside * swell, -inside * drop * np.sin(3.1 * side))


def ghosted(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """The left (or right) half of the box copied onto its other half, half transparent when the flaw is mild."""
    width = int(box.x1 - box.x0) // 2
    half = Box(box.x0, box.y0, box.x0 + width, box.y1)
    other = Box(box.x0 + width, box.y0, box.x0 + 2 * width, box.y1)
    if rng.random() < 0.5:
        half, other = other, half
    above = image.copy()
    patch(above, other)[:] = patch(image, half)
    return blend(image, above, ellipse(image.shape[0], image.shape[1], other, 0.25) * (0.6 + 0.4 * strength))


def pasted(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """A shifted piece with a hard seam and a pale halo, as if cut out badly."""
    height, width = image.shape[:2]
    mask = (ellipse(height, width, box, 0.01) > 0).astype(np.uint8)
    if rng.random() < 0.5:
        mask = rectangle(height, width, Box(box.x0 + 2, box.y0 + 2, box.x1 - 2, box.y1 - 2)).astype(np.uint8)
    size = max(2, round(height * (0.006 + 0.008 * strength)))
    rim = mask - cv2.erode(mask, np.ones((2 * size + 1,) * 2, np.uint8))
    shift = round((box.x1 - box.x0) * 0.18)
    piece = clipped(np.roll(image, (shift // 2, shift), axis=(0, 1)) * (1.18 if rng.random() < 0.5 else 0.82))
    seamed = np.where(mask[..., None] > 0, piece, image)
    pale = clipped(seamed * 0.25 + 0.75 * np.array((250, 250, 244), np.float32))
    return np.where(rim[..., None] > 0, pale, seamed)


def floating(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """A heavy thing hanging in the air, tilted, without support or shadow."""
    kinds = [kind for kind in KINDS if kind not in AIRBORNE and kind not in ("toy figure", "umbrella")]
    return _thing(image, box, str(rng.choice(kinds)), rng, (0.8, 1.0, 18 + 20 * strength))


def misfit(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """A thing squeezed flat, against the perspective of everything else."""
    kind = str(rng.choice(["mug", "gift box", "traffic cone", "potted plant"]))
    return _thing(image, box, kind, rng, (1.0, 0.55 - 0.15 * strength, 0.0))


def _thing(image: Image, box: Box, kind: str, rng: np.random.Generator, form: tuple[float, float, float]) -> Image:
    across, along, tilt = form
    w, h = int(box.x1 - box.x0), int(box.y1 - box.y0)
    side = max(8, min(w, h))
    art: Any = sprite(kind, str(rng.choice(list(COLOURS))), side)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), tilt * (1 if rng.random() < 0.5 else -1), 0.85)
    art = cv2.warpAffine(art, turn, (side, side), flags=cv2.INTER_AREA) if tilt else art
    art = cv2.resize(art, (max(4, int(w * across)), max(4, int(h * along))), interpolation=cv2.INTER_AREA)
    y, x = int(box.y1) - art.shape[0], int(box.x0) + (w - art.shape[1]) // 2
    out = image.copy()
    view = out[y : y + art.shape[0], x : x + art.shape[1]]
    weight = art[..., 3:].astype(np.float32) / 255
    view[:] = clipped(view * (1 - weight) + art[..., :3] * weight)
    return out
