"""Artifacts that are added on top: unreadable lettering, watermarks, scratches and stray borders."""

from __future__ import annotations

import cv2
import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import Image, clipped, patch
from editfhf.simulate.lettering import lettering


def garbled(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """Malformed letters: pieces of glyphs mirrored, cut and overlapped, on a plate that looks like a label."""
    view = patch(image, box)
    height, width = view.shape[:2]
    text = "".join(rng.choice(list("RESTAUBQKMWNG"), 5))
    ink = lettering(text, width, height).astype(np.float32)
    for _ in range(3 + round(5 * strength)):
        w = max(3, width // 7)
        x, to = int(rng.integers(0, width - w)), int(rng.integers(0, width - w))
        piece = np.rot90(ink[:, x : x + w], 2) if rng.random() < 0.6 else ink[::-1, x : x + w]
        ink[:, to : to + w] = np.maximum(ink[:, to : to + w] * (rng.random() < 0.5), piece)
    weight = ink[..., None] / 255
    paper, pen = ((240, 238, 228), (30, 30, 60)) if rng.random() < 0.5 else ((40, 60, 110), (246, 240, 210))
    plate = view * 0.1 + 0.9 * np.array(paper, np.float32)
    out = image.copy()
    patch(out, box)[:] = clipped(plate * (1 - weight) + np.array(pen, np.float32) * weight)
    return out


def watermark(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """A half-transparent stock watermark."""
    view = patch(image, box)
    height, width = view.shape[:2]
    text = str(rng.choice(["© STOCK", "SAMPLE", "PREVIEW", "DEMO 2000"]))
    ink = lettering(text, width, height, "serif").astype(np.float32)
    weight = ink[..., None] / 255 * (0.5 + 0.4 * strength)
    tone = 255.0 if view.mean() < 150 else 20.0
    out = image.copy()
    patch(out, box)[:] = clipped(view * (1 - weight) + tone * weight)
    return out


def scratch(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """A bundle of bright scratches across the box."""
    out = image.copy()
    tone = (250, 250, 246) if patch(image, box).mean() < 150 else (24, 20, 20)
    thick = max(1, round(image.shape[0] * (0.003 + 0.005 * strength)))
    for _ in range(3 + round(3 * strength)):
        xs = np.linspace(box.x0 + thick, box.x1 - 1 - thick, 6)
        ys = np.clip(rng.uniform(box.y0, box.y1) + np.cumsum(rng.normal(0, (box.y1 - box.y0) / 7, 6)),
                     box.y0 + thick, box.y1 - 1 - thick)  # fmt: skip
        cv2.polylines(out, [np.stack([xs, ys], axis=1).astype(np.int32)], False, tone, thick, cv2.LINE_AA)
    return out


def fragment(image: Image, box: Box, rng: np.random.Generator, strength: float) -> Image:
    """The corner of a picture frame that belongs to nothing."""
    out = image.copy()
    view = patch(out, box)
    thick = max(2, round(min(view.shape[:2]) * (0.12 + 0.1 * strength)))
    colour = ((150, 20, 30), (250, 250, 250), (20, 20, 20), (212, 175, 55))[int(rng.integers(4))]
    view[:thick] = colour
    view[:, :thick] = colour
    view[thick // 2] = view[:, thick // 2] = tuple(min(255, c + 60) for c in colour)
    return out
