"""Inject one more flaw into an image and record its truth.

Artifacts: a painter for each flaw type, placed where it is visible and touches no other flaw.
Failures beyond the edit itself: unintended changes, identity loss, a drift of the whole image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from annotation.records import Box, Kind, Severity
from annotation.simulate.flaws.flaw import SEVERITY_STRENGTH, InjectedFlaw, sample_disks, write_rationale
from annotation.simulate.flaws.painters import (
    blur_region,
    duplicate_half,
    melt_face,
    paint_coarse_blocks,
    paint_colour_banding,
    paint_colour_cast,
    paint_false_light,
    paint_false_shadow,
    paint_floating_prop,
    paint_frame_corner,
    paint_garbled_label,
    paint_misfit_prop,
    paint_region_noise,
    paint_scratches,
    paint_watermark,
    paste_shifted_piece,
    smear_texture,
    tile_texture,
    twist_structure,
    warp_structure,
)
from annotation.simulate.operators.edit import SceneEdit, add_article
from annotation.simulate.pixels import (
    RgbImage,
    blend_images,
    box_view,
    boxes_touch,
    clip_pixels,
    describe_place,
    detail_map,
    difference_mask,
    ellipse_mask,
    mask_bounds,
    resize_image,
)
from annotation.simulate.scene import Prop, Scene, find_free_box, image_with_prop
from annotation.simulate.sprites import FIGURE_PARTS, PROP_COLOURS, PROP_KINDS, FigureDefect
from annotation.taxonomy import list_flaw_types

ArtifactDraw = Callable[[RgbImage, Box, np.random.Generator, float], RgbImage]

DrawnFlaw = tuple[RgbImage, InjectedFlaw]
"""The image with one more flaw, and the truth about the flaw."""

DrawnFailure = tuple[RgbImage, Box, str]
"""The image with one more failure, the box that was changed, and words for what is seen."""


@dataclass(frozen=True, slots=True)
class ArtifactPainter:
    """How to draw an artifact, and where.

    draw: the painter; seen: words for what it draws; heights: range of the height of its box as a share of the image's,
    before severity; aspect: width over height; busy: the flaw is visible only on detail; cover: least share of the box
    that must change visibly; high: the flaw belongs into the upper part of the image
    """

    draw: ArtifactDraw
    seen: str
    heights: tuple[float, float] = (0.18, 0.34)
    aspect: float = 1.0
    busy: bool = False
    cover: float = 0.25
    high: bool = False


ARTIFACT_PAINTERS: dict[str, tuple[ArtifactPainter, ...]] = {
    "object_structure": (ArtifactPainter(warp_structure, "edges run in waves and swirls", (0.22, 0.36), busy=True),),
    "duplication": (
        ArtifactPainter(duplicate_half, "a second copy of it is laid next to it", (0.16, 0.28), 1.8, busy=True),
    ),
    "blending": (ArtifactPainter(paste_shifted_piece, "a pale halo and a hard seam surround it"),),
    "physics_placement": (ArtifactPainter(paint_floating_prop, "a heavy object floats in the air", high=True),),
    "scale_perspective": (
        ArtifactPainter(paint_misfit_prop, "an object is squeezed flat and far too wide", (0.16, 0.26), 1.4),
    ),
    "light_shadow": (
        ArtifactPainter(paint_false_shadow, "a hard dark shadow falls across without anything casting it", (0.22, 0.4)),
        ArtifactPainter(paint_false_light, "a burnt-out spot of light glows without a lamp"),
    ),
    "texture": (
        ArtifactPainter(smear_texture, "the surface is smeared into plastic streaks", (0.22, 0.36), busy=True),
        ArtifactPainter(tile_texture, "one small piece of surface repeats like wallpaper", (0.22, 0.36)),
    ),
    "color": (
        ArtifactPainter(paint_colour_cast, "a garish colour cast bleeds over everything"),
        ArtifactPainter(paint_colour_banding, "the colours are clipped into few over-saturated steps", busy=True),
    ),
    "blur_noise": (
        ArtifactPainter(blur_region, "everything is smeared by a strong blur", (0.2, 0.36), busy=True),
        ArtifactPainter(paint_region_noise, "heavy coloured noise covers the surface"),
        ArtifactPainter(paint_coarse_blocks, "coarse square blocks replace the detail", busy=True),
    ),
    "garbled_text": (ArtifactPainter(paint_garbled_label, "a label", (0.09, 0.14), 2.8),),
    "foreign_mark": (
        ArtifactPainter(
            paint_watermark, "a half-transparent watermark is printed over the photo", (0.08, 0.13), 3.4, cover=0.06
        ),
        ArtifactPainter(paint_scratches, "a bundle of thin scratches runs across", (0.16, 0.28), 1.6, cover=0.03),
        ArtifactPainter(
            paint_frame_corner, "the corner of a picture frame sticks into the scene", (0.16, 0.26), cover=0.1
        ),
    ),
}


ARTIFACT_TYPES = tuple(name for name in list_flaw_types("artifact") if name != "other")


def draw_artifact(
    flaw_type: str, severity: Severity, image: RgbImage, scene: Scene | None, face: Box | None, taken: list[Box],
    rng: np.random.Generator,
) -> DrawnFlaw | None:  # fmt: skip
    """Draw one more artifact; None when this type finds no fitting place.

    scene: the scene whose props the image shows as drawn, for defects of a toy figure; face: box of the photo's face;
    taken: boxes that the new flaw must not touch
    """
    defect = next((name for name in FIGURE_PARTS if name == flaw_type), None)
    drawn = _break_figure(defect, severity, image, scene, taken, rng) if defect and scene else None
    if drawn is None and flaw_type == "face" and face and not any(boxes_touch(face, other) for other in taken):
        melted = melt_face(image, face, rng, SEVERITY_STRENGTH[severity])
        return _record_flaw("artifact", "face", severity, image, melted, face, ("", ""), 0.15, rng)
    return drawn or _paint_artifact(flaw_type, severity, image, taken, rng)


def _paint_artifact(
    flaw_type: str, severity: Severity, image: RgbImage, taken: list[Box], rng: np.random.Generator
) -> DrawnFlaw | None:
    painters = ARTIFACT_PAINTERS.get(flaw_type, ())
    if not painters:
        return None
    painter = painters[int(rng.integers(len(painters)))]
    for _ in range(4):
        size = float(rng.uniform(*painter.heights)) * (0.8 + 0.4 * SEVERITY_STRENGTH[severity]) * image.shape[0]
        box = _place_artifact(painter, image, taken, size, rng)
        if box is None:
            continue
        after = painter.draw(image, box, rng, SEVERITY_STRENGTH[severity])
        words = (painter.seen, "")
        drawn = _record_flaw("artifact", flaw_type, severity, image, after, box, words, painter.cover, rng)
        if drawn is not None:
            return drawn
    return None


def _place_artifact(
    painter: ArtifactPainter, image: RgbImage, taken: list[Box], size: float, rng: np.random.Generator
) -> Box | None:
    height, width = image.shape[:2]
    taken = [*taken, Box(0, 0.6 * height, width, height)] if painter.high else taken
    places = [
        find_free_box(rng, height, width, (size, size * painter.aspect), taken) for _ in range(5 if painter.busy else 1)
    ]
    free = [box for box in places if box is not None]
    if not free or not painter.busy:
        return free[0] if free else None
    busy = detail_map(image)
    return max(free, key=lambda box: float(busy[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)].mean()))


def _record_flaw(
    kind: Kind, flaw_type: str, severity: Severity, before: RgbImage, after: RgbImage, box: Box, words: tuple[str, str],
    cover: float, rng: np.random.Generator,
) -> DrawnFlaw | None:  # fmt: skip
    """The flaw with a tight box around the changed pixels; None when too few pixels of the box changed.

    words: what is seen, and what the instruction wanted; cover: least share of the box that must change
    """
    pixels = difference_mask(before, after, 14)
    tight = mask_bounds(pixels)
    height, width = before.shape[:2]
    if tight is None or pixels.sum() < cover * box.area or tight.iou(box) < 0.3:
        return None
    text = write_rationale(kind, flaw_type, severity, rng, describe_place(tight, height, width), *words)
    return after, InjectedFlaw(kind, flaw_type, severity, tight, sample_disks(pixels, tight, rng), text)


def _break_figure(
    flaw_type: FigureDefect,
    severity: Severity,
    image: RgbImage,
    scene: Scene,
    taken: list[Box],
    rng: np.random.Generator,
) -> DrawnFlaw | None:
    """Break the hand, face or body of a toy figure that the image shows without a flaw."""
    for prop in scene.props:
        if prop.kind != "toy figure" or prop.turn:
            continue
        broken = scene.with_prop(prop, replace(prop, defect=flaw_type)).render()
        pixels = difference_mask(scene.render(), broken, 2)
        tight = mask_bounds(pixels)
        if tight is None or any(boxes_touch(tight, other) for other in taken):
            continue
        if difference_mask(box_view(image, tight), box_view(scene.render(), tight), 1).any():
            continue
        left, top, right, bottom = (share / 100 for share in FIGURE_PARTS[flaw_type])
        part = Box(
            np.floor(prop.x + left * prop.side), np.floor(prop.y + top * prop.side),
            np.ceil(prop.x + right * prop.side), np.ceil(prop.y + bottom * prop.side),
        )  # fmt: skip
        box = Box(min(part.x0, tight.x0), min(part.y0, tight.y0), max(part.x1, tight.x1), max(part.y1, tight.y1))
        height, width = image.shape[:2]
        box = Box(max(box.x0, 0), max(box.y0, 0), min(box.x1, width), min(box.y1, height))
        after = np.where(pixels[..., None], broken, image)
        text = write_rationale("artifact", flaw_type, severity, rng, describe_place(box, height, width), "")
        return after, InjectedFlaw("artifact", flaw_type, severity, box, sample_disks(pixels, box, rng), text)
    return None


def draw_failure(
    flaw_type: str, severity: Severity, image: RgbImage, edit: SceneEdit, subject: tuple[str, Box | None],
    taken: list[Box], rng: np.random.Generator,
) -> DrawnFlaw | None:  # fmt: skip
    """Draw one more `unintended_change` or `identity_loss`; None when it finds no place.

    subject: name of the photo's subject, and its box in the image (None when unknown)
    """
    name, focus = subject
    asked = name if flaw_type == "identity_loss" else edit.what
    strength = SEVERITY_STRENGTH[severity]
    drawn: DrawnFailure | None
    if flaw_type == "unintended_change":
        drawn = _change_unasked_place(image, strength, taken, rng)
    else:
        free = focus is not None and not any(boxes_touch(focus, other) for other in taken)
        drawn = _replace_subject(image, focus, strength, rng) if focus is not None and free else None
    if drawn is None:
        return None
    after, box, seen = drawn
    return _record_flaw("failure", flaw_type, severity, image, after, box, (seen, asked), 0.25, rng)


def draw_global_drift(
    way: str, severity: Severity, image: RgbImage, edit: SceneEdit, rng: np.random.Generator
) -> DrawnFlaw | None:
    """Let the whole image drift in its "framing", to a colour "cast", or to "pale"; None when too little changes."""
    height, width = image.shape[:2]
    after, seen = _apply_drift(way, image, SEVERITY_STRENGTH[severity], rng)
    pixels = difference_mask(image, after, 14)
    if pixels.mean() < 0.05:
        return None
    whole = Box(0.0, 0.0, float(width), float(height))
    text = write_rationale("failure", "global_drift", severity, rng, "the whole picture", seen, edit.what)
    return after, InjectedFlaw("failure", "global_drift", severity, whole, sample_disks(pixels, whole, rng), text)


def _change_unasked_place(
    image: RgbImage, strength: float, taken: list[Box], rng: np.random.Generator
) -> DrawnFailure | None:
    """A prop, another colour, or an erased piece that the instruction does not ask for."""
    height, width = image.shape[:2]
    way = int(rng.integers(3))
    side = height * (0.16 + 0.16 * strength)
    box = find_free_box(rng, height, width, (side, side), taken)
    if box is None:
        return None
    if way == 0:
        prop = Prop(
            str(rng.choice(PROP_KINDS)), str(rng.choice(list(PROP_COLOURS))), int(box.x0), int(box.y0), int(side)
        )
        return image_with_prop(image, prop), prop.box, f"{add_article(prop.name)} was added"
    if way == 1:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(50, 130))) % 180
        hsv[..., 1] = np.maximum(hsv[..., 1], 110)
        other = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
        return (
            blend_images(image, other, ellipse_mask(height, width, box, 0.2)),
            box,
            "the colours turned into quite other ones",
        )
    mask = (ellipse_mask(height, width, box, 0.01) > 0).astype(np.uint8)
    y0, y1 = max(0, int(box.y0) - 8), min(height, int(box.y1) + 8)
    x0, x1 = max(0, int(box.x0) - 8), min(width, int(box.x1) + 8)
    out = image.copy()
    out[y0:y1, x0:x1] = cv2.inpaint(np.ascontiguousarray(image[y0:y1, x0:x1]), mask[y0:y1, x0:x1], 3, cv2.INPAINT_TELEA)
    return out, box, "content of the source was erased and smoothed over"


def _replace_subject(image: RgbImage, focus: Box, strength: float, rng: np.random.Generator) -> DrawnFailure:
    """The subject changed into another one: stretched, twisted and recoloured."""
    height, width = image.shape[:2]
    box = Box(*(float(int(v)) for v in focus))
    view = box_view(image, box)
    h, w = view.shape[:2]
    squeezed = resize_image(np.ascontiguousarray(view[:, ::-1]), w, max(4, int(h * 0.6)))
    other = image.copy()
    box_view(other, box)[:] = cv2.copyMakeBorder(
        squeezed, (h - squeezed.shape[0]) // 2, h - squeezed.shape[0] - (h - squeezed.shape[0]) // 2, 0, 0,
        cv2.BORDER_REFLECT,
    )  # fmt: skip
    other = twist_structure(other, box, rng, 0.15 + 0.25 * strength)
    other = clip_pixels(other * np.array(rng.permutation((1.2, 0.95, 0.75)), np.float32))
    return (
        blend_images(image, other, ellipse_mask(height, width, box, 0.2)),
        box,
        "form, proportions and colours belong to another",
    )


def _apply_drift(way: str, image: RgbImage, strength: float, rng: np.random.Generator) -> tuple[RgbImage, str]:
    height, width = image.shape[:2]
    if way == "framing":
        share = 0.06 + 0.1 * strength
        inner = Box(share * width, share * height * 0.5, (1 - 0.3 * share) * width, (1 - share) * height)
        return resize_image(box_view(image, inner), width, height), "the framing is closer and shifted"
    if way == "cast":
        gains = 1 + (0.12 + 0.2 * strength) * np.array(rng.permutation((1.0, 0.0, -1.0)), np.float32)
        return clip_pixels(image * gains), "a colour cast lies over everything"
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    soft = cv2.GaussianBlur(image, (0, 0), height * (0.003 + 0.005 * strength)).astype(np.float32)
    return clip_pixels(0.45 * soft + 0.35 * grey + 40), "everything has become pale and soft"
