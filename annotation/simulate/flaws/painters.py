"""Painters of artifacts: surfaces, structure, and marks on top of the image.

Every painter takes the whole image and a box of whole pixels, and changes pixels inside the box only.
`strength` in (0, 1] follows the severity.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import Box
from annotation.simulate.pixels import (
    RgbImage,
    blend_images,
    box_view,
    clip_pixels,
    ellipse_mask,
    rectangle_mask,
    resize_image,
    smooth_noise,
)
from annotation.simulate.sprites import AIRBORNE_PROPS, PROP_COLOURS, PROP_KINDS, render_lettering, render_sprite


def _wavering_ellipse(image: RgbImage, box: Box, rng: np.random.Generator, soft: float = 0.3) -> NDArray[Any]:
    """An ellipse with a wavering edge in the box, as a mask of the whole image."""
    height, width = image.shape[:2]
    shape = ellipse_mask(height, width, box, soft)
    return np.clip(shape * (1.35 - 0.7 * smooth_noise(rng, height, width, max(6.0, (box.y1 - box.y0) / 3))), 0, 1)


def _blend_ellipse(image: RgbImage, above: RgbImage, box: Box, soft: float) -> RgbImage:
    """`above` over the image inside the ellipse of the box."""
    return blend_images(image, above, ellipse_mask(image.shape[0], image.shape[1], box, soft))


def smear_texture(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """Detail wiped into wavy plastic streaks."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    reach = (0.35 + 0.65 * strength) * (box.x1 - box.x0) * 0.45
    turn = smooth_noise(rng, height, width, height / 6) - 0.5
    smear = image
    for step in (0.25, 0.5, 1.0):
        moved = cv2.remap(smear, x + step * reach * turn, y + 0.2 * step * reach * turn, cv2.INTER_LINEAR, borderMode=2)
        smear = clip_pixels(0.5 * smear.astype(np.float32) + 0.5 * moved)
    size = max(3, int(height / 40) | 1)
    return blend_images(image, np.asarray(cv2.medianBlur(smear, size), np.uint8), _wavering_ellipse(image, box, rng))


def tile_texture(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """One small piece of the surface repeated like wallpaper."""
    view = box_view(image, box)
    side = max(6, round(min(view.shape[:2]) * (0.42 - 0.14 * strength)))
    y, x = int(rng.integers(0, view.shape[0] - side + 1)), int(rng.integers(0, view.shape[1] - side + 1))
    piece = view[y : y + side, x : x + side].astype(np.float32)
    mean = piece.mean(axis=(0, 1))
    cell = clip_pixels(mean + (piece - mean) * 1.5 + rng.normal(0, 10, (side, side, 1)))
    rows, columns = -(-view.shape[0] // side), -(-view.shape[1] // side)
    wall = np.tile(cell, (rows, columns, 1))[: view.shape[0], : view.shape[1]]
    above = image.copy()
    box_view(above, box)[:] = wall
    return _blend_ellipse(image, above, box, 0.12)


def paint_colour_cast(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """A garish colour bleeding over the place."""
    tint = np.array(((225, 30, 205), (40, 225, 70), (250, 70, 20), (30, 90, 250))[int(rng.integers(4))], np.float32)
    share = 0.35 + 0.4 * strength
    above = clip_pixels(image * (1 - share) + tint * share)
    return blend_images(image, above, _wavering_ellipse(image, box, rng, 0.4))


def paint_colour_banding(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """Few, over-saturated steps of colour instead of a smooth ramp."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.4 + 110 * strength, 0, 255)
    vivid = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    step = 60 + 50 * strength
    return _blend_ellipse(image, clip_pixels(np.round(vivid / step) * step), box, 0.2)


def blur_region(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    sigma = image.shape[0] * (0.014 + 0.02 * strength)
    return _blend_ellipse(image, np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8), box, 0.3)


def paint_region_noise(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    above = clip_pixels(image + rng.normal(0, 34 + 44 * strength, image.shape))
    return _blend_ellipse(image, above, box, 0.3)


def paint_coarse_blocks(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """Coarse square blocks, as after far too much compression."""
    height, width = image.shape[:2]
    cell = max(4.0, height * (0.022 + 0.018 * strength))
    small = resize_image(image, max(2, round(width / cell)), max(2, round(height / cell)))
    above = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    return _blend_ellipse(image, above, box, 0.1)


def paint_false_shadow(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """A hard dark shadow that no object of the scene could cast."""
    height, width = image.shape[:2]
    corners = np.array([(0.1, 0.98), (0.32, 0.98), (0.98, 0.12), (0.72, 0.02)], np.float32)
    if rng.random() < 0.5:
        corners[:, 0] = 1 - corners[:, 0]
    points = corners * (box.x1 - box.x0, box.y1 - box.y0) + (box.x0, box.y0)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    dark = (0.45 + 0.42 * strength) * mask.astype(np.float32)[..., None] / 255
    return clip_pixels(image * (1 - dark))


def paint_false_light(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """A burnt-out spot of light without a lamp."""
    glow = ellipse_mask(image.shape[0], image.shape[1], box, 0.85)[..., None] * (0.65 + 0.35 * strength)
    return clip_pixels(image * (1 - glow) + np.array((255, 252, 232), np.float32) * glow)


def _remap_pixels(image: RgbImage, dx: NDArray[Any], dy: NDArray[Any]) -> RgbImage:
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    source = (x + dx).astype(np.float32), (y + dy).astype(np.float32)
    return np.asarray(cv2.remap(image, *source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8)


def warp_structure(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """Outlines bent into waves, or twisted about the middle of the box."""
    height, width = image.shape[:2]
    inside = ellipse_mask(height, width, box, 0.35)
    if rng.random() < 0.5:
        return twist_structure(image, box, rng, strength)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    reach, wave = (0.07 + 0.12 * strength) * (box.y1 - box.y0), (box.y1 - box.y0) / rng.uniform(2.2, 3.4)
    return _remap_pixels(image, inside * reach * np.sin(y * 6.28 / wave), inside * reach * np.cos(x * 6.28 / wave))


def twist_structure(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cx, cy = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    turn = ellipse_mask(height, width, box, 0.9) * (1.0 + 1.6 * strength) * (1 if rng.random() < 0.5 else -1)
    u, v = x - cx, y - cy
    return _remap_pixels(image, u * np.cos(turn) - v * np.sin(turn) - u, u * np.sin(turn) + v * np.cos(turn) - v)


def melt_face(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """Features slide down on one side and swell on the other."""
    height, width = image.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :] + 0.5
    u = np.clip((x - box.x0) / (box.x1 - box.x0), 0, 1)
    inside = ellipse_mask(height, width, box, 0.45)
    side = u if rng.random() < 0.5 else 1 - u
    drop = (0.14 + 0.16 * strength) * (box.y1 - box.y0)
    swell = (smooth_noise(rng, height, width, (box.y1 - box.y0) / 2.5) - 0.5) * 0.5 * (box.x1 - box.x0) * strength
    return _remap_pixels(image, inside * swell, -inside * drop * np.sin(3.1 * side))


def duplicate_half(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """The left (or right) half of the box copied onto its other half, half transparent when the flaw is mild."""
    width = int(box.x1 - box.x0) // 2
    half = Box(box.x0, box.y0, box.x0 + width, box.y1)
    other = Box(box.x0 + width, box.y0, box.x0 + 2 * width, box.y1)
    if rng.random() < 0.5:
        half, other = other, half
    above = image.copy()
    box_view(above, other)[:] = box_view(image, half)
    return blend_images(
        image, above, ellipse_mask(image.shape[0], image.shape[1], other, 0.25) * (0.6 + 0.4 * strength)
    )


def paste_shifted_piece(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """A shifted piece with a hard seam and a pale halo, as if cut out badly."""
    height, width = image.shape[:2]
    mask = (ellipse_mask(height, width, box, 0.01) > 0).astype(np.uint8)
    if rng.random() < 0.5:
        mask = rectangle_mask(height, width, Box(box.x0 + 2, box.y0 + 2, box.x1 - 2, box.y1 - 2)).astype(np.uint8)
    size = max(2, round(height * (0.006 + 0.008 * strength)))
    rim = mask - cv2.erode(mask, np.ones((2 * size + 1,) * 2, np.uint8))
    shift = round((box.x1 - box.x0) * 0.18)
    piece = clip_pixels(np.roll(image, (shift // 2, shift), axis=(0, 1)) * (1.18 if rng.random() < 0.5 else 0.82))
    seamed = np.where(mask[..., None] > 0, piece, image)
    pale = clip_pixels(seamed * 0.25 + 0.75 * np.array((250, 250, 244), np.float32))
    return np.where(rim[..., None] > 0, pale, seamed)


def paint_floating_prop(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """A heavy thing hanging in the air, tilted, without support or shadow."""
    kinds = [kind for kind in PROP_KINDS if kind not in AIRBORNE_PROPS and kind not in ("toy figure", "umbrella")]
    return _paint_tilted_prop(image, box, str(rng.choice(kinds)), rng, (0.8, 1.0, 18 + 20 * strength))


def paint_misfit_prop(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """A thing squeezed flat, against the perspective of everything else."""
    kind = str(rng.choice(["mug", "gift box", "traffic cone", "potted plant"]))
    return _paint_tilted_prop(image, box, kind, rng, (1.0, 0.55 - 0.15 * strength, 0.0))


def _paint_tilted_prop(
    image: RgbImage, box: Box, kind: str, rng: np.random.Generator, form: tuple[float, float, float]
) -> RgbImage:
    across, along, tilt = form
    w, h = int(box.x1 - box.x0), int(box.y1 - box.y0)
    side = max(8, min(w, h))
    art: Any = render_sprite(kind, str(rng.choice(list(PROP_COLOURS))), side)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), tilt * (1 if rng.random() < 0.5 else -1), 0.85)
    art = cv2.warpAffine(art, turn, (side, side), flags=cv2.INTER_AREA) if tilt else art
    art = cv2.resize(art, (max(4, int(w * across)), max(4, int(h * along))), interpolation=cv2.INTER_AREA)
    y, x = int(box.y1) - art.shape[0], int(box.x0) + (w - art.shape[1]) // 2
    out = image.copy()
    view = out[y : y + art.shape[0], x : x + art.shape[1]]
    weight = art[..., 3:].astype(np.float32) / 255
    view[:] = clip_pixels(view * (1 - weight) + art[..., :3] * weight)
    return out


def paint_garbled_label(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """Malformed letters: pieces of glyphs mirrored, cut and overlapped, on a plate that looks like a label."""
    view = box_view(image, box)
    height, width = view.shape[:2]
    text = "".join(rng.choice(list("RESTAUBQKMWNG"), 5))
    ink = render_lettering(text, width, height).astype(np.float32)
    for _ in range(3 + round(5 * strength)):
        w = max(3, width // 7)
        x, to = int(rng.integers(0, width - w)), int(rng.integers(0, width - w))
        piece = np.rot90(ink[:, x : x + w], 2) if rng.random() < 0.6 else ink[::-1, x : x + w]
        ink[:, to : to + w] = np.maximum(ink[:, to : to + w] * (rng.random() < 0.5), piece)
    weight = ink[..., None] / 255
    paper, pen = ((240, 238, 228), (30, 30, 60)) if rng.random() < 0.5 else ((40, 60, 110), (246, 240, 210))
    plate = view * 0.1 + 0.9 * np.array(paper, np.float32)
    out = image.copy()
    box_view(out, box)[:] = clip_pixels(plate * (1 - weight) + np.array(pen, np.float32) * weight)
    return out


def paint_watermark(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """A half-transparent stock watermark."""
    view = box_view(image, box)
    height, width = view.shape[:2]
    text = str(rng.choice(["© STOCK", "SAMPLE", "PREVIEW", "DEMO 2000"]))
    ink = render_lettering(text, width, height, "serif").astype(np.float32)
    weight = ink[..., None] / 255 * (0.5 + 0.4 * strength)
    tone = 255.0 if view.mean() < 150 else 20.0
    out = image.copy()
    box_view(out, box)[:] = clip_pixels(view * (1 - weight) + tone * weight)
    return out


def paint_scratches(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """A bundle of bright scratches across the box."""
    out = image.copy()
    tone = (250, 250, 246) if box_view(image, box).mean() < 150 else (24, 20, 20)
    thick = max(1, round(image.shape[0] * (0.003 + 0.005 * strength)))
    for _ in range(3 + round(3 * strength)):
        xs = np.linspace(box.x0 + thick, box.x1 - 1 - thick, 6)
        ys = np.clip(rng.uniform(box.y0, box.y1) + np.cumsum(rng.normal(0, (box.y1 - box.y0) / 7, 6)),
                     box.y0 + thick, box.y1 - 1 - thick)  # fmt: skip
        cv2.polylines(out, [np.stack([xs, ys], axis=1).astype(np.int32)], False, tone, thick, cv2.LINE_AA)
    return out


def paint_frame_corner(image: RgbImage, box: Box, rng: np.random.Generator, strength: float) -> RgbImage:
    """The corner of a picture frame."""
    out = image.copy()
    view = box_view(out, box)
    thick = max(2, round(min(view.shape[:2]) * (0.12 + 0.1 * strength)))
    colour = ((150, 20, 30), (250, 250, 250), (20, 20, 20), (212, 175, 55))[int(rng.integers(4))]
    view[:thick] = colour
    view[:, :thick] = colour
    view[thick // 2] = view[:, thick // 2] = tuple(min(255, c + 60) for c in colour)
    return out
