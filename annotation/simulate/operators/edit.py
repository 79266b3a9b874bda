"""An edit: its instruction, its perfect result, and its failure modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annotation.records import Box
from annotation.simulate.pixels import RgbImage, blend_images, clip_pixels, difference_mask, mask_bounds, rectangle_mask
from annotation.simulate.scene import Prop, Scene

BoolMask = NDArray[np.bool_]


@dataclass(frozen=True)
class FailedEdit:
    """A failed version of an edit.

    box: where the failure is; pixels: bool [H, W], the flawed pixels inside it; found: words for what is seen there;
    asked: words for what should be there; scene: the scene whose rendering is `image`, if there is one
    """

    image: RgbImage
    box: Box
    pixels: BoolMask
    found: str
    asked: str
    scene: Scene | None = None


FailureMode = Callable[[np.random.Generator], FailedEdit | None]


@dataclass(frozen=True, slots=True)
class EditTarget:
    """One of several props that one instruction changes: `old` is None where it is added, `new` where it is removed."""

    old: Prop | None
    new: Prop | None

    @property
    def prop(self) -> Prop:
        """The prop as it is wanted, or the one that is to go."""
        prop = self.new or self.old
        assert prop is not None
        return prop


@dataclass(frozen=True)
class SceneEdit:
    """One instruction on one source with its perfect result.

    what: noun phrase for the change ("the warmer colour tone"); failing: failure modes of this edit by failure type;
    strength: whether a blend of source and result is a weaker or stronger version of the same edit;
    targets: the props that it changes, where these are several; apply: for an edit of the whole image, the change from
    the rendered scene of the source to the result
    """

    task: str
    source: RgbImage
    result: RgbImage
    instruction: str
    what: str
    scene: Scene | None = None
    failing: Mapping[str, FailureMode] = field(default_factory=dict)
    strength: bool = False
    targets: tuple[EditTarget, ...] = ()
    apply: Callable[[RgbImage], RgbImage] | None = None

    def failure_modes(self) -> dict[str, FailureMode]:
        """Failure modes by failure type; those of this edit replace the generic ones."""
        generic: dict[str, FailureMode] = {"not_executed": self._fail_not_executed}
        if self.source.shape == self.result.shape:
            generic["partial"] = self._fail_partial
            if self.strength:
                generic["wrong_degree"] = self._fail_wrong_degree
        return generic | dict(self.failing)

    def changed_box(self) -> Box:
        """Where source and result differ; the whole image when the canvas itself changed."""
        height, width = self.result.shape[:2]
        whole = Box(0, 0, width, height)
        if self.source.shape != self.result.shape:
            return whole
        return mask_bounds(difference_mask(self.source, self.result)) or whole

    def _fail_not_executed(self, rng: np.random.Generator) -> FailedEdit | None:
        height, width = self.source.shape[:2]
        if self.source.shape != self.result.shape:
            everything = np.ones((height, width), bool)
            whole = Box(0.0, 0.0, float(width), float(height))
            return FailedEdit(self.source.copy(), whole, everything, "the content of the source", self.what)
        pixels = difference_mask(self.source, self.result)
        return FailedEdit(self.source.copy(), self.changed_box(), pixels, "the content of the source", self.what)

    def _fail_partial(self, rng: np.random.Generator) -> FailedEdit | None:
        height, width = self.result.shape[:2]
        box = self.changed_box()
        cut = float(rng.uniform(0.4, 0.6))
        side = int(rng.integers(4))
        left, top = box.x0 + cut * (box.x1 - box.x0), box.y0 + cut * (box.y1 - box.y0)
        x, y = float(np.floor(left)), float(np.floor(top))
        half = (
            Box(box.x0, box.y0, x, box.y1),
            Box(x, box.y0, box.x1, box.y1),
            Box(box.x0, box.y0, box.x1, y),
            Box(box.x0, y, box.x1, box.y1),
        )[side]
        if half.area < 0.003 * height * width:
            return None
        image = blend_images(self.result, self.source, rectangle_mask(height, width, half, feather=height / 60))
        pixels = difference_mask(image, self.result)
        tight = mask_bounds(pixels)
        name = ("left", "right", "upper", "lower")[side]
        if tight is None or pixels.sum() < 0.25 * half.area:
            return None
        return FailedEdit(image, tight, pixels, f"its {name} part still shows the content of the source", self.what)

    def _fail_wrong_degree(self, rng: np.random.Generator) -> FailedEdit | None:
        weak = bool(rng.random() < 0.5)
        share = float(rng.uniform(0.22, 0.36)) if weak else float(rng.uniform(2.0, 2.5))
        source = self.source.astype(np.float32)
        image = clip_pixels(source + share * (self.result - source))
        pixels = difference_mask(image, self.result, 16)
        box = mask_bounds(pixels)
        if box is None or pixels.mean() < 0.2:
            return None
        found = "far too weak, hardly visible" if weak else "far too strong, crushing the details of the photo"
        return FailedEdit(image, box, pixels, found, self.what)


def changed_inside(before: RgbImage, after: RgbImage, box: Box) -> BoolMask:
    """Pixels inside the box that differ between two images of one size: bool [H, W]."""
    pixels = difference_mask(before, after)
    inside = np.zeros_like(pixels)
    x0, y0, x1, y1 = (max(0, int(edge)) for edge in box)
    inside[y0:y1, x0:x1] = pixels[y0:y1, x0:x1]
    return inside


def pick_text(rng: np.random.Generator, *choices: str) -> str:
    """One of the texts, at random."""
    return choices[int(rng.integers(len(choices)))]


def add_article(name: str) -> str:
    """The name with its indefinite article.

    >>> add_article("orange kite"), add_article("red mug")
    ('an orange kite', 'a red mug')
    """
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
