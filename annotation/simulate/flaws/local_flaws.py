"""Small flaws drawn into a window of the image: many fit into one image, at little cost.

Painters scale what they draw with the height of the image that they see, so in a window they draw finer flaws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import Box, Kind, Severity
from annotation.simulate.flaws.flaw import InjectedFlaw, sample_disks, write_rationale
from annotation.simulate.flaws.injection import ARTIFACT_PAINTERS, ArtifactPainter, DrawnFlaw
from annotation.simulate.operators.edit import SceneEdit, add_article
from annotation.simulate.pixels import (
    FloatMask,
    RgbImage,
    blend_images,
    box_view,
    clip_pixels,
    describe_place,
    difference_mask,
    ellipse_mask,
    mask_bounds,
    resize_image,
    smooth_noise,
)
from annotation.simulate.scene import Prop, find_free_box, image_with_prop
from annotation.simulate.sprites import PROP_COLOURS, PROP_KINDS

SEVERITY_STRENGTHS: dict[Severity, tuple[float, float]] = {
    "minor": (0.12, 0.4),
    "moderate": (0.4, 0.75),
    "severe": (0.75, 1.0),
}
"""Range of the strength of a painter by severity; the lower end is just visible."""


def find_least_side(height: int) -> float:
    """Smallest side in pixels of the box of a flaw that is still seen in an image of this height.

    >>> [find_least_side(height) for height in (96, 192, 384, 1024)]
    [4.0, 4.0, 8.0, 8.0]
    """
    return min(8.0, max(4.0, height / 48))


VISIBLE_CHANGE = 14
"""Change of a channel from which a pixel counts as changed."""


@dataclass(frozen=True)
class PlaceChooser:
    """Where further flaws may lie.

    taken: boxes that they must not touch; busy: detail of the image in [0, 1]; near: boxes of what was edited, where
    flaws are more frequent
    """

    height: int
    width: int
    taken: Sequence[Box]
    busy: FloatMask
    near: Sequence[Box] = ()

    def find_place(
        self, size: tuple[float, float], rng: np.random.Generator, busy: bool = False, high: bool = False
    ) -> Box | None:
        """A whole-pixel box of about `size` (height, width); None where there is no room.

        busy: take the place with the most detail of several; high: in the upper part of the image
        """
        taken = [*self.taken, Box(0, 0.6 * self.height, self.width, self.height)] if high else list(self.taken)
        tries = 6 if busy or self.near else 1
        places = [find_free_box(rng, self.height, self.width, size, taken, 12) for _ in range(tries)]
        free = [place for place in places if place is not None]
        if not free:
            return None
        edited = [place for place in free if any(_holds_centre(box, place) for box in self.near)]
        if edited and rng.random() < 0.5:
            free = edited
        return max(free, key=lambda place: float(box_view(self.busy, place).mean())) if busy else free[0]


def _holds_centre(outer: Box, inner: Box) -> bool:
    x, y = (inner.x0 + inner.x1) / 2, (inner.y0 + inner.y1) / 2
    return outer.x0 <= x < outer.x1 and outer.y0 <= y < outer.y1


def draw_strength(severity: Severity, rng: np.random.Generator) -> float:
    """Strength of a painter in (0, 1] for a severity."""
    return float(rng.uniform(*SEVERITY_STRENGTHS[severity]))


def draw_local_artifact(
    flaw_type: str, severity: Severity, image: RgbImage, places: PlaceChooser, rng: np.random.Generator
) -> DrawnFlaw | None:
    """Draw one more artifact into a window of the image; None when this type finds no fitting place."""
    painters = ARTIFACT_PAINTERS.get(flaw_type, ())
    if not painters:
        return None
    painter = painters[int(rng.integers(len(painters)))]
    for _ in range(3):
        strength = draw_strength(severity, rng)
        size = _draw_size(painter, image.shape[0], strength, rng)
        box = places.find_place((size, size * painter.aspect), rng, painter.busy, painter.high)
        if box is None:
            continue
        window = grow_box(box, image.shape[0], image.shape[1])
        before = np.ascontiguousarray(box_view(image, window))
        after = painter.draw(before, move_box_by(box, -window.x0, -window.y0), rng, strength)
        drawn = record_local_flaw(
            ("artifact", flaw_type, severity), image, window, after, box, (painter.seen, ""), painter.cover, rng
        )
        if drawn is not None:
            return drawn
    return None


def _draw_size(painter: ArtifactPainter, height: int, strength: float, rng: np.random.Generator) -> float:
    """Height of the box in pixels: mostly much smaller than where there are few flaws."""
    share = float(rng.uniform(*painter.heights)) * float(np.clip(rng.lognormal(-0.65, 0.4), 0.3, 1.1))
    return max(find_least_side(height) + 2, share * (0.85 + 0.3 * strength) * height)


def grow_box(box: Box, height: int, width: int) -> Box:
    """The box with a margin of its longer side, in whole pixels inside the image."""
    margin = max(box.x1 - box.x0, box.y1 - box.y0)
    return Box(
        float(max(0, int(box.x0 - margin))),
        float(max(0, int(box.y0 - margin))),
        float(min(width, int(box.x1 + margin) + 1)),
        float(min(height, int(box.y1 + margin) + 1)),
    )


def move_box_by(box: Box, x: float, y: float) -> Box:
    return Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)


def record_local_flaw(
    labels: tuple[Kind, str, Severity], image: RgbImage, window: Box, after: RgbImage, box: Box, words: tuple[str, str],
    cover: float, rng: np.random.Generator, least_iou: float = 0.3,
) -> DrawnFlaw | None:  # fmt: skip
    """The image with the changed window, and the flaw with a tight box; None when too little of the box changed.

    after: the window with the flaw; box: where the flaw was drawn, in the image; words: what is seen, and what the
    instruction wanted; cover: least share of the box that must change visibly; least_iou: of the tight box with
    the other one
    """
    kind, flaw_type, severity = labels
    height, width = image.shape[:2]
    changed = difference_mask(np.ascontiguousarray(box_view(image, window)), after, VISIBLE_CHANGE)
    tight = mask_bounds(changed)
    if tight is None or changed.sum() < cover * box.area:
        return None
    tight = move_box_by(tight, window.x0, window.y0)
    if tight.iou(box) < least_iou or min(tight.x1 - tight.x0, tight.y1 - tight.y0) < find_least_side(height):
        return None
    pixels = np.zeros((height, width), bool)
    box_view(pixels, window)[:] = changed
    out = image.copy()
    box_view(out, window)[:] = after
    text = write_rationale(kind, flaw_type, severity, rng, describe_place(tight, height, width), *words)
    return out, InjectedFlaw(kind, flaw_type, severity, tight, sample_disks(pixels, tight, rng), text)


def draw_unasked_change(
    severity: Severity, image: RgbImage, edit: SceneEdit, places: PlaceChooser, rng: np.random.Generator
) -> DrawnFlaw | None:
    """Draw one change that the instruction does not ask for, as clean as a wanted one; None where there is no room."""
    strength = draw_strength(severity, rng)
    side = image.shape[0] * (0.07 + 0.17 * strength * float(rng.uniform(0.6, 1.3)))
    box = places.find_place((side, side * float(rng.uniform(0.8, 1.5))), rng, busy=bool(rng.random() < 0.6))
    if box is None:
        return None
    window = grow_box(box, image.shape[0], image.shape[1])
    before = np.ascontiguousarray(box_view(image, window))
    inside = move_box_by(box, -window.x0, -window.y0)
    after, seen = _change_window(before, inside, strength, rng)
    labels: tuple[Kind, str, Severity] = ("failure", "unintended_change", severity)
    return record_local_flaw(labels, image, window, after, box, (seen, edit.what), 0.12, rng, least_iou=0.12)


def _change_window(before: RgbImage, box: Box, strength: float, rng: np.random.Generator) -> tuple[RgbImage, str]:
    """The window with one clean change in the box, and words for it."""
    height, width = before.shape[:2]
    way = int(rng.integers(3))
    segment = find_segment(before, box) if way == 1 else None
    if segment is not None and segment.sum() > FULL_SEGMENT * ellipse_mask(height, width, box, 0.01).sum():
        # A surface without an outline of its own would become a disc of another colour: people call that an artifact.
        segment, way = None, 0
    if way == 0:
        side = int(min(box.x1 - box.x0, box.y1 - box.y0))
        prop = Prop(str(rng.choice(PROP_KINDS)), str(rng.choice(list(PROP_COLOURS))), int(box.x0), int(box.y0), side)
        return image_with_prop(before, prop), f"{add_article(prop.name)} was added"
    if segment is not None:
        hsv = cv2.cvtColor(before, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(40, 140))) % 180
        hsv[..., 1] = np.maximum(hsv[..., 1], 70 + round(70 * strength))
        other = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
        return blend_images(before, other, segment), "the thing there has quite another colour"
    shift = (round(width * float(rng.uniform(0.25, 0.5))), round(height * float(rng.uniform(-0.2, 0.2))))
    other = np.ascontiguousarray(np.roll(before[:, ::-1], shift, axis=(1, 0)))
    hole = np.where(waver_ellipse(height, width, box, rng, 0.05) > 0.3, np.uint8(255), np.uint8(0))
    return clone_seamlessly(before, other, hole), "other content replaced what was there"


FULL_SEGMENT = 0.85
"""Share of the ellipse from which a segment has no outline of its own."""


def find_segment(image: RgbImage, box: Box) -> FloatMask:
    """The surface of about one colour around the middle of a box, cut at the box, with a soft edge of two pixels."""
    height, width = image.shape[:2]
    smooth = cv2.bilateralFilter(cv2.GaussianBlur(image, (0, 0), 1.2), 7, 40, 5)
    lab = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB), np.uint8)
    mask = np.zeros((height + 2, width + 2), np.uint8)
    middle = (int((box.x0 + box.x1) / 2), int((box.y0 + box.y1) / 2))
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (255 << 8)
    cv2.floodFill(lab, mask, middle, (0, 0, 0), (70, 16, 16), (70, 16, 16), flags)
    inside = np.where(ellipse_mask(height, width, box, 0.01) > 0, mask[1:-1, 1:-1], np.uint8(0))
    closed = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.GaussianBlur(closed, (0, 0), 1.0) / 255, np.float32)


def clone_seamlessly(below: RgbImage, above: RgbImage, hole: NDArray[np.uint8]) -> RgbImage:
    """The image with the pixels of another one inside a hole, their gradients kept, without a seam."""
    x, y, width, height = cv2.boundingRect(hole)
    if min(width, height) < 3 or x < 1 or y < 1 or x + width >= below.shape[1] or y + height >= below.shape[0]:
        return below
    # OpenCV changes the mask that it is given, and wants the middle of the mask's own bounds.
    middle = (x + width // 2, y + height // 2)
    return np.asarray(cv2.seamlessClone(above, below, hole.copy(), middle, cv2.NORMAL_CLONE), np.uint8)


def waver_ellipse(height: int, width: int, box: Box, rng: np.random.Generator, soft: float = 0.25) -> FloatMask:
    """An ellipse with a wavering soft edge in the box."""
    noise = smooth_noise(rng, height, width, max(6.0, (box.y1 - box.y0) / 3))
    return np.asarray(np.clip(ellipse_mask(height, width, box, soft) * (1.5 - 0.7 * noise), 0, 1), np.float32)


def draw_lost_identity(
    name: str, box: Box, severity: Severity, image: RgbImage, taken: Sequence[Box], rng: np.random.Generator
) -> DrawnFlaw | None:
    """Change a thing of the source into another individual of its kind; None where another flaw is in the way."""
    if any(box.x0 < other.x1 and other.x0 < box.x1 and box.y0 < other.y1 and other.y0 < box.y1 for other in taken):
        return None
    height, width = image.shape[:2]
    whole = Box(*(float(round(edge)) for edge in box))
    whole = Box(max(whole.x0, 0), max(whole.y0, 0), min(whole.x1, width), min(whole.y1, height))
    if min(whole.x1 - whole.x0, whole.y1 - whole.y0) < 2 * find_least_side(height):
        return None
    window = grow_box(whole, height, width)
    before = np.ascontiguousarray(box_view(image, window))
    inside = move_box_by(whole, -window.x0, -window.y0)
    after = _change_individual(before, inside, draw_strength(severity, rng), rng)
    seen = "form, proportions and colours belong to another"
    labels: tuple[Kind, str, Severity] = ("failure", "identity_loss", severity)
    return record_local_flaw(labels, image, window, after, whole, (seen, name), 0.2, rng)


def _change_individual(before: RgbImage, box: Box, strength: float, rng: np.random.Generator) -> RgbImage:
    """The thing in the box as another one of its kind: mirrored, narrower or flatter, and in other colours."""
    height, width = before.shape[:2]
    view = np.ascontiguousarray(box_view(before, box)[:, ::-1])
    h, w = view.shape[:2]
    factor = 1 - 0.25 - 0.25 * strength
    size = (max(4, round(w * factor)), h) if rng.random() < 0.5 else (w, max(4, round(h * factor)))
    small = resize_image(view, *size)
    left, top = (w - size[0]) // 2, (h - size[1]) // 2
    other = before.copy()
    box_view(other, box)[:] = cv2.copyMakeBorder(
        small, top, h - size[1] - top, left, w - size[0] - left, cv2.BORDER_REFLECT
    )
    hsv = cv2.cvtColor(other, cv2.COLOR_RGB2HSV)
    turn = int(rng.integers(12, 30)) * (1 if rng.random() < 0.5 else -1)
    hsv[..., 0] = (hsv[..., 0].astype(int) + turn) % 180
    turned = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
    return blend_images(before, turned, ellipse_mask(height, width, box, 0.2))


def draw_local_failure(
    severity: Severity, image: RgbImage, edit: SceneEdit, places: PlaceChooser, rng: np.random.Generator
) -> DrawnFlaw | None:
    """Undo or overdo an edit of the whole image in one place; None where the edit changes too little there."""
    height, width = image.shape[:2]
    side = height * float(rng.uniform(0.1, 0.3)) * (0.8 + 0.4 * draw_strength(severity, rng))
    box = places.find_place((side, side * float(rng.uniform(0.7, 1.7))), rng)
    if box is None:
        return None
    window = grow_box(box, height, width)
    before, source, result = (
        np.ascontiguousarray(box_view(pixels, window)) for pixels in (image, edit.source, edit.result)
    )
    inside = move_box_by(box, -window.x0, -window.y0)
    mask = waver_ellipse(before.shape[0], before.shape[1], inside, rng)
    if edit.strength and rng.random() < 0.35:
        degree: NDArray[np.float32] = source.astype(np.float32) + 2.2 * (result.astype(np.float32) - source)
        flaw_type, other, found = "wrong_degree", clip_pixels(degree), "far too strong in this one place"
        words = (found, edit.what)
    else:
        flaw_type, other = "partial", source
        words = ("this place still shows the content of the source", edit.what)
    after = blend_images(before, other, mask)
    labels: tuple[Kind, str, Severity] = ("failure", flaw_type, severity)
    return record_local_flaw(labels, image, window, after, box, words, 0.3, rng)
