"""Editing failures beyond the edit itself: unasked changes, lost identity, a drift of the whole picture."""

from __future__ import annotations

import cv2
import numpy as np

from annotation.flaws import flaw_types
from annotation.records import Box, Severity
from editfhf.simulate.canvas import Image, blend, bounds, changed, clipped, ellipse, patch, resized, touches, where
from editfhf.simulate.flaws.flaw import STRENGTH, Flaw, disks
from editfhf.simulate.flaws.structure import twisted
from editfhf.simulate.flaws.wording import rationale
from editfhf.simulate.operators.edit import Edit, indefinite
from editfhf.simulate.props import COLOURS, KINDS
from editfhf.simulate.scene import Prop, free_box, painted

TYPES = tuple(name for name in flaw_types("failure") if name != "other")

Drawn = tuple[Image, Box, str]


def draw(
    flaw_type: str, severity: Severity, image: Image, edit: Edit, subject: tuple[str, Box | None], taken: list[Box],
    rng: np.random.Generator,
) -> tuple[Image, Flaw] | None:  # fmt: skip
    """The picture with one `unintended_change` or `identity_loss` more, and its truth; None when it finds no place.

    subject: what the photo shows, and its box in the picture (None when unknown).
    """
    name, focus = subject
    asked = name if flaw_type == "identity_loss" else edit.what
    strength = STRENGTH[severity]
    drawn: Drawn | None
    if flaw_type == "unintended_change":
        drawn = _unasked(image, strength, taken, rng)
    else:
        free = focus is not None and not any(touches(focus, other) for other in taken)
        drawn = _stranger(image, focus, strength, rng) if focus is not None and free else None
    if drawn is None:
        return None
    after, box, found = drawn
    pixels = changed(image, after, 14)
    tight = bounds(pixels)
    if tight is None or pixels.sum() < 0.25 * box.area or tight.iou(box) < 0.3:
        return None
    height, width = image.shape[:2]
    text = rationale("failure", flaw_type, severity, rng, where(tight, height, width), found, asked)
    return after, Flaw("failure", flaw_type, severity, tight, disks(pixels, tight, rng), text)


def drift(
    way: str, severity: Severity, image: Image, edit: Edit, rng: np.random.Generator
) -> tuple[Image, Flaw] | None:
    """The picture drifted in its "framing", with a colour "cast", or "pale" and soft; None when it hardly shows."""
    height, width = image.shape[:2]
    after, found = _drifted(way, image, STRENGTH[severity], rng)
    pixels = changed(image, after, 14)
    if pixels.mean() < 0.05:
        return None
    whole = Box(0.0, 0.0, float(width), float(height))
    text = rationale("failure", "global_drift", severity, rng, "the whole picture", found, edit.what)
    return after, Flaw("failure", "global_drift", severity, whole, disks(pixels, whole, rng), text)


def _unasked(image: Image, strength: float, taken: list[Box], rng: np.random.Generator) -> Drawn | None:
    """A thing nobody asked for, another colour, or a piece wiped away."""
    height, width = image.shape[:2]
    way = int(rng.integers(3))
    side = height * (0.16 + 0.16 * strength)
    box = free_box(rng, height, width, (side, side), taken)
    if box is None:
        return None
    if way == 0:
        prop = Prop(str(rng.choice(KINDS)), str(rng.choice(list(COLOURS))), int(box.x0), int(box.y0), int(side))
        return painted(image, prop), prop.box, f"{indefinite(prop.name)} was added"
    if way == 1:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(50, 130))) % 180
        hsv[..., 1] = np.maximum(hsv[..., 1], 110)
        other = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
        return blend(image, other, ellipse(height, width, box, 0.2)), box, "the colours turned into quite other ones"
    mask = (ellipse(height, width, box, 0.01) > 0).astype(np.uint8)
    y0, y1 = max(0, int(box.y0) - 8), min(height, int(box.y1) + 8)
    x0, x1 = max(0, int(box.x0) - 8), min(width, int(box.x1) + 8)
    out = image.copy()
    out[y0:y1, x0:x1] = cv2.inpaint(np.ascontiguousarray(image[y0:y1, x0:x1]), mask[y0:y1, x0:x1], 3, cv2.INPAINT_TELEA)
    return out, box, "content of the source was erased and smoothed over"


def _stranger(image: Image, focus: Box, strength: float, rng: np.random.Generator) -> Drawn:
    """The subject rebuilt into another: stretched, twisted and recoloured."""
    height, width = image.shape[:2]
    box = Box(*(float(int(v)) for v in focus))
    view = patch(image, box)
    h, w = view.shape[:2]
    squeezed = resized(np.ascontiguousarray(view[:, ::-1]), w, max(4, int(h * 0.6)))
    other = image.copy()
    patch(other, box)[:] = cv2.copyMakeBorder(
        squeezed, (h - squeezed.shape[0]) // 2, h - squeezed.shape[0] - (h - squeezed.shape[0]) // 2, 0, 0,
        cv2.BORDER_REFLECT,
    )  # fmt: skip
    other = twisted(other, box, rng, 0.15 + 0.25 * strength)
    other = clipped(other * np.array(rng.permutation((1.2, 0.95, 0.75)), np.float32))
    return (
        blend(image, other, ellipse(height, width, box, 0.2)),
        box,
        "form, proportions and colours belong to another",
    )


def _drifted(way: str, image: Image, strength: float, rng: np.random.Generator) -> tuple[Image, str]:
    height, width = image.shape[:2]
    if way == "framing":
        share = 0.06 + 0.1 * strength
        inner = Box(share * width, share * height * 0.5, (1 - 0.3 * share) * width, (1 - share) * height)
        return resized(patch(image, inner), width, height), "the framing is closer and shifted"
    if way == "cast":
        gains = 1 + (0.12 + 0.2 * strength) * np.array(rng.permutation((1.0, 0.0, -1.0)), np.float32)
        return clipped(image * gains), "a colour cast lies over everything"
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    soft = cv2.GaussianBlur(image, (0, 0), height * (0.003 + 0.005 * strength)).astype(np.float32)
    return clipped(0.45 * soft + 0.35 * grey + 40), "everything has become pale and soft"
