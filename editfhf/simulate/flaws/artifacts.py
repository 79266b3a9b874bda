"""Artifacts: a painter for each flaw type, put where it shows and where nothing else is yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from annotation.flaws import flaw_types
from annotation.records import Box, Severity
from editfhf.simulate.canvas import Image, bounds, changed, detail, patch, touches, where
from editfhf.simulate.flaws import marks, structure, surface
from editfhf.simulate.flaws.flaw import STRENGTH, Flaw, disks
from editfhf.simulate.flaws.wording import rationale
from editfhf.simulate.props import ANATOMY, Defect
from editfhf.simulate.scene import Scene, free_box

Draw = Callable[[Image, Box, np.random.Generator, float], Image]


@dataclass(frozen=True, slots=True)
class Painter:
    """How to draw a flaw, the height of its box (shares of the picture's, before severity), width over height, words.

    busy: the flaw shows only where there is detail.  cover: least share of the box that must change visibly.
    high: the flaw belongs into the upper part of the picture.
    """

    draw: Draw
    seen: str
    heights: tuple[float, float] = (0.18, 0.34)
    aspect: float = 1.0
    busy: bool = False
    cover: float = 0.25
    high: bool = False


PAINTERS: dict[str, tuple[Painter, ...]] = {
    "object_structure": (Painter(structure.warped, "edges run in waves and swirls", (0.22, 0.36), busy=True),),
    "duplication": (
        Painter(structure.ghosted, "a second copy of it is laid next to it", (0.16, 0.28), 1.8, busy=True),
    ),
    "blending": (Painter(structure.pasted, "a pale halo and a hard seam surround it"),),
    "physics_placement": (Painter(structure.floating, "a heavy object floats in the air", high=True),),
    "scale_perspective": (Painter(structure.misfit, "an object is squeezed flat and far too wide", (0.16, 0.26), 1.4),),
    "light_shadow": (
        Painter(surface.false_shadow, "a hard dark shadow falls across without anything casting it", (0.22, 0.4)),
        Painter(surface.false_light, "a burnt-out spot of light glows without a lamp"),
    ),
    "texture": (
        Painter(surface.smeared, "the surface is smeared into plastic streaks", (0.22, 0.36), busy=True),
        Painter(surface.tiled, "one small piece of surface repeats like wallpaper", (0.22, 0.36)),
    ),
    "color": (
        Painter(surface.cast, "a garish colour cast bleeds over everything"),
        Painter(surface.banding, "the colours are clipped into few over-saturated steps", busy=True),
    ),
    "blur_noise": (
        Painter(surface.blurry, "everything is smeared by a strong blur", (0.2, 0.36), busy=True),
        Painter(surface.noisy, "heavy coloured noise covers the surface"),
        Painter(surface.blocky, "coarse square blocks replace the detail", busy=True),
    ),
    "garbled_text": (Painter(marks.garbled, "a label", (0.09, 0.14), 2.8),),
    "foreign_mark": (
        Painter(
            marks.watermark, "a half-transparent watermark is printed over the photo", (0.08, 0.13), 3.4, cover=0.06
        ),
        Painter(marks.scratch, "a bundle of thin scratches runs across", (0.16, 0.28), 1.6, cover=0.03),
        Painter(marks.fragment, "the corner of a picture frame sticks into the scene", (0.16, 0.26), cover=0.1),
    ),
}
TYPES = tuple(name for name in flaw_types("artifact") if name != "other")


def draw(
    flaw_type: str, severity: Severity, image: Image, scene: Scene | None, face: Box | None, taken: list[Box],
    rng: np.random.Generator,
) -> tuple[Image, Flaw] | None:  # fmt: skip
    """The picture with one more artifact, and its truth; None when this type finds no fitting place.

    scene: the scene of which the picture shows the props as drawn, for defects of a toy figure; face: box of the
    photo's face; taken: boxes that the new flaw must not touch.
    """
    defect = next((name for name in ANATOMY if name == flaw_type), None)
    found = _figure(defect, severity, image, scene, taken, rng) if defect and scene else None
    if found is None and flaw_type == "face" and face and not any(touches(face, other) for other in taken):
        melted = structure.melted_face(image, face, rng, STRENGTH[severity])
        return _finish("face", severity, image, melted, face, "", 0.15, rng)
    return found or _painted(flaw_type, severity, image, taken, rng)


def _painted(
    flaw_type: str, severity: Severity, image: Image, taken: list[Box], rng: np.random.Generator
) -> tuple[Image, Flaw] | None:
    painters = PAINTERS.get(flaw_type, ())
    if not painters:
        return None
    painter = painters[int(rng.integers(len(painters)))]
    for _ in range(4):
        size = float(rng.uniform(*painter.heights)) * (0.8 + 0.4 * STRENGTH[severity]) * image.shape[0]
        box = _place(painter, image, taken, size, rng)
        if box is None:
            continue
        after = painter.draw(image, box, rng, STRENGTH[severity])
        found = _finish(flaw_type, severity, image, after, box, painter.seen, painter.cover, rng)
        if found is not None:
            return found
    return None


def _place(painter: Painter, image: Image, taken: list[Box], size: float, rng: np.random.Generator) -> Box | None:
    height, width = image.shape[:2]
    taken = [*taken, Box(0, 0.6 * height, width, height)] if painter.high else taken
    places = [
        free_box(rng, height, width, (size, size * painter.aspect), taken) for _ in range(5 if painter.busy else 1)
    ]
    free = [box for box in places if box is not None]
    if not free or not painter.busy:
        return free[0] if free else None
    busy = detail(image)
    return max(free, key=lambda box: float(busy[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)].mean()))


def _finish(
    flaw_type: str,
    severity: Severity,
    before: Image,
    after: Image,
    box: Box,
    seen: str,
    cover: float,
    rng: np.random.Generator,
) -> tuple[Image, Flaw] | None:
    """The flaw as it can be seen: its box drawn tight around what changed; None when too little did."""
    pixels = changed(before, after, 14)
    tight = bounds(pixels)
    height, width = before.shape[:2]
    if tight is None or pixels.sum() < cover * box.area or tight.iou(box) < 0.3:
        return None
    text = rationale("artifact", flaw_type, severity, rng, where(tight, height, width), seen)
    return after, Flaw("artifact", flaw_type, severity, tight, disks(pixels, tight, rng), text)


def _figure(
    flaw_type: Defect, severity: Severity, image: Image, scene: Scene, taken: list[Box], rng: np.random.Generator
) -> tuple[Image, Flaw] | None:
    """A toy figure of the scene with a broken hand, face or body, where the picture still shows it whole."""
    for prop in scene.props:
        if prop.kind != "toy figure" or prop.turn:
            continue
        broken = scene.with_prop(prop, replace(prop, defect=flaw_type)).render()
        pixels = changed(scene.render(), broken, 2)
        tight = bounds(pixels)
        if tight is None or any(touches(tight, other) for other in taken):
            continue
        if changed(patch(image, tight), patch(scene.render(), tight), 1).any():
            continue
        left, top, right, bottom = (share / 100 for share in ANATOMY[flaw_type])
        part = Box(
            np.floor(prop.x + left * prop.side), np.floor(prop.y + top * prop.side),
            np.ceil(prop.x + right * prop.side), np.ceil(prop.y + bottom * prop.side),
        )  # fmt: skip
        box = Box(min(part.x0, tight.x0), min(part.y0, tight.y0), max(part.x1, tight.x1), max(part.y1, tight.y1))
        height, width = image.shape[:2]
        box = Box(max(box.x0, 0), max(box.y0, 0), min(box.x1, width), min(box.y1, height))
        after = np.where(pixels[..., None], broken, image)
        text = rationale("artifact", flaw_type, severity, rng, where(box, height, width), "")
        return after, Flaw("artifact", flaw_type, severity, box, disks(pixels, box, rng), text)
    return None
