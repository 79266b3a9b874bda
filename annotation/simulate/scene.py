"""Scenes: a photo with props and signs, which the object and text operators edit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from annotation.records import Box
from annotation.simulate.photos import Photo
from annotation.simulate.pixels import FloatMask, RgbImage, boxes_touch, clip_pixels
from annotation.simulate.sprites import (
    AIRBORNE_PROPS,
    PROP_COLOURS,
    PROP_KINDS,
    FigureDefect,
    Sign,
    paint_sign,
    render_sprite,
)


@dataclass(frozen=True, slots=True)
class Prop:
    """One prop: its kind, colour and square box (x, y: top left, whole pixels)."""

    kind: str
    colour: str
    x: int
    y: int
    side: int
    defect: FigureDefect = ""
    turn: int = 0

    @property
    def box(self) -> Box:
        return Box(float(self.x), float(self.y), float(self.x + self.side), float(self.y + self.side))

    @property
    def name(self) -> str:
        return f"{self.colour} {self.kind}"


@dataclass(frozen=True)
class Scene:
    """Background photo, props from back to front, and signs with wording."""

    background: RgbImage
    photo: Photo
    focus: Box | None
    props: tuple[Prop, ...] = ()
    signs: tuple[Sign, ...] = ()

    @property
    def height(self) -> int:
        return int(self.background.shape[0])

    @property
    def width(self) -> int:
        return int(self.background.shape[1])

    def render(self) -> RgbImage:
        image = self.background.copy()
        for sign in self.signs:
            paint_sign(image, sign)
        for prop in self.props:
            _paint_prop(image, prop)
        return image

    def subject(self) -> Box | None:
        """Box of the photo's subject; None when a prop or sign covers its middle."""
        if self.focus is None:
            return None
        w, h = (self.focus.x1 - self.focus.x0) / 6, (self.focus.y1 - self.focus.y0) / 6
        middle = Box(self.focus.x0 + w, self.focus.y0 + h, self.focus.x1 - w, self.focus.y1 - h)
        return None if any(boxes_touch(middle, box) for box in self.taken) else self.focus

    def with_prop(self, old: Prop | None, new: Prop | None) -> Scene:
        """The scene with one prop replaced, removed (new is None) or added (old is None)."""
        kept = [prop for prop in self.props if prop != old]
        if old is not None and new is not None:
            kept = [new if prop == old else prop for prop in self.props]
        elif new is not None:
            kept.append(new)
        return replace(self, props=tuple(kept))

    def with_sign(self, old: Sign | None, new: Sign | None) -> Scene:
        """The scene with one sign replaced, removed or added, as for props."""
        kept = [sign for sign in self.signs if sign != old]
        return replace(self, signs=tuple(kept) if new is None else (*kept, new))

    @property
    def taken(self) -> list[Box]:
        return [prop.box for prop in self.props] + [sign.box for sign in self.signs]


def render_prop(prop: Prop) -> tuple[RgbImage, FloatMask]:
    """Colours uint8 [side, side, 3] and opacity [side, side] of a prop."""
    art = np.rot90(render_sprite(prop.kind, prop.colour, prop.side, prop.defect), prop.turn)
    return art[..., :3], np.divide(art[..., 3], 255, dtype=np.float32)


def image_with_prop(image: RgbImage, prop: Prop) -> RgbImage:
    """A copy of the image with one prop in it."""
    out = image.copy()
    _paint_prop(out, prop)
    return out


def _paint_prop(image: RgbImage, prop: Prop) -> None:
    height, width = image.shape[:2]
    if prop.kind not in AIRBORNE_PROPS:
        _paint_ground_shadow(image, prop)
    x0, y0 = max(prop.x, 0), max(prop.y, 0)
    x1, y1 = min(prop.x + prop.side, width), min(prop.y + prop.side, height)
    if x1 <= x0 or y1 <= y0:
        return
    colours, opacity = render_prop(prop)
    rows, columns = slice(y0 - prop.y, y1 - prop.y), slice(x0 - prop.x, x1 - prop.x)
    weight = opacity[rows, columns, None]
    image[y0:y1, x0:x1] = clip_pixels(image[y0:y1, x0:x1] * (1 - weight) + colours[rows, columns] * weight)


def _paint_ground_shadow(image: RgbImage, prop: Prop) -> None:
    height, width = image.shape[:2]
    cx, cy, rx, ry = prop.x + prop.side * 0.52, prop.y + prop.side * 0.965, prop.side * 0.46, prop.side * 0.07
    x0, x1 = max(0, int(cx - rx)), min(width, int(cx + rx) + 1)
    y0, y1 = max(0, int(cy - ry)), min(height, int(cy + ry) + 1)
    if x1 <= x0 or y1 <= y0:
        return
    y, x = np.mgrid[y0:y1, x0:x1]
    dark = np.clip(1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2, 0, 1)[..., None] * 0.5
    image[y0:y1, x0:x1] = clip_pixels(image[y0:y1, x0:x1] * (1 - dark.astype(np.float32)))


def find_free_box(
    rng: np.random.Generator, height: int, width: int, size: tuple[float, float], taken: list[Box], tries: int = 40
) -> Box | None:
    """A whole-pixel box of about `size` (h, w) inside the image that touches none of `taken`; None if none fits."""
    h, w = (max(4, round(v)) for v in size)
    if h >= height or w >= width:
        return None
    for _ in range(tries):
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        box = Box(float(x), float(y), float(x + w), float(y + h))
        if not any(boxes_touch(box, other) for other in taken):
            return box
    return None


def place_random_prop(rng: np.random.Generator, scene: Scene, taken: list[Box], kind: str | None = None) -> Prop | None:
    """A random prop at a free place, airborne ones high and others low; None when the scene is full."""
    kind = kind or str(rng.choice(PROP_KINDS))
    side = scene.height * (rng.uniform(0.34, 0.44) if kind == "toy figure" else rng.uniform(0.22, 0.34))
    top, bottom = (0.0, 0.35) if kind in AIRBORNE_PROPS else (0.6, 1.0)
    walls = [
        Box(0, 0, scene.width, max(0.0, top * scene.height - side / 2)),
        Box(0, bottom * scene.height + side / 2, scene.width, scene.height),
    ]
    box = find_free_box(rng, scene.height, scene.width, (side, side), taken + [wall for wall in walls if wall.area])
    if box is None:
        return None
    used = {prop.colour for prop in scene.props}
    colour = str(rng.choice([name for name in PROP_COLOURS if name not in used]))
    return Prop(kind, colour, int(box.x0), int(box.y0), int(box.x1 - box.x0))
