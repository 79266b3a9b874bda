"""Edits of the frame: zoom in, and paint beyond the borders."""

from __future__ import annotations

import cv2
import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import Image, bounds, changed, clipped, patch, resized, where
from editfhf.simulate.operators.edit import Edit, Failing, Outcome, pick
from editfhf.simulate.operators.tones import sharpened
from editfhf.simulate.scene import Scene


def _view(image: Image, box: Box) -> Image:
    height, width = image.shape[:2]
    return sharpened(resized(patch(image, box), width, height), 0.4)


def _window(rng: np.random.Generator, height: int, width: int, share: float) -> Box:
    w, h = round(width * share), round(height * share)
    x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    return Box(float(x), float(y), float(x + w), float(y + h))


def zoom(scene: Scene, rng: np.random.Generator) -> Edit | None:
    source = scene.render()
    height, width = source.shape[:2]
    box = _window(rng, height, width, 0.5)
    at = where(box, height, width)
    whole, everything = Box(0, 0, width, height), np.ones((height, width), bool)
    what = f"the close view of {at}"

    def elsewhere(r: np.random.Generator) -> Outcome | None:
        for _ in range(20):
            wrong = _window(r, height, width, 0.5)
            if wrong.iou(box) < 0.25:
                found = f"a close view of {where(wrong, height, width)}"
                return Outcome(_view(source, wrong), whole, everything, found, at)
        return None

    def barely(r: np.random.Generator) -> Outcome:
        wide = Box(0.06 * width, 0.06 * height, 0.94 * width, 0.94 * height)
        return Outcome(_view(source, wide), whole, everything, "far too weak, the frame is hardly any closer", what)

    # A zoom cannot be half done.
    failing: dict[str, Failing] = {"wrong_target": elsewhere, "wrong_degree": barely, "partial": lambda _: None}
    text = pick(rng, "Zoom in on {0}.", "Show {0} of the picture from closer.").format(at)
    return Edit("zoom_in", source, _view(source, box), text, what, None, failing)


def outpaint(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """The source is the middle of the scene; the perfect result shows all of it again."""
    full = scene.render()
    height, width = full.shape[:2]
    margin = round(width * rng.uniform(0.16, 0.22))
    source = np.ascontiguousarray(full[:, margin : width - margin])
    what = "the content beyond the left and right borders"

    def one_side(r: np.random.Generator) -> Outcome | None:
        left = bool(r.random() < 0.5)
        box = Box(0, 0, margin, height) if left else Box(width - margin, 0, width, height)
        image = full.copy()
        edge = full[:, margin] if left else full[:, width - margin - 1]
        smear = cv2.GaussianBlur(np.ascontiguousarray(edge[:, None]), (1, 0), sigmaX=0.1, sigmaY=height / 30)
        patch(image, box)[:] = clipped(0.35 * smear.astype(np.float32) + 0.65 * 128)
        pixels = changed(image, full)
        tight = bounds(pixels)
        if tight is None:
            return None
        return Outcome(image, box, pixels, f"the {'left' if left else 'right'} border is an empty grey band", what)

    text = pick(rng, "Extend the picture to the left and right.", "Continue the scene beyond both side borders.")
    return Edit("outpaint", source, full, text, what, None, {"partial": one_side})
