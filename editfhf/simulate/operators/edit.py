"""An edit: what was asked, the picture as it should have become, and the ways in which this edit can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annotation.records import Box
from editfhf.simulate.canvas import Image, blend, bounds, changed, clipped, rectangle
from editfhf.simulate.scene import Scene

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """A failed version of an edit.

    box: where the failure is; pixels: bool [H, W], the flawed pixels inside it; found: words for what is seen there;
    asked: words for what should be there; scene: the scene of which `image` is the plain rendering, if it is one.
    """

    image: Image
    box: Box
    pixels: Bits
    found: str
    asked: str
    scene: Scene | None = None


Failing = Callable[[np.random.Generator], Outcome | None]


@dataclass(frozen=True)
class Edit:
    """One instruction on one source, carried out perfectly, and its own ways to fail by failure type.

    what: noun phrase for the change ("the warmer colour tone").  strength: whether a blend between source and result
    is a weaker or stronger version of the same edit.
    """

    task: str
    source: Image
    result: Image
    instruction: str
    what: str
    scene: Scene | None = None
    failing: Mapping[str, Failing] = field(default_factory=dict)
    strength: bool = False

    def ways(self) -> dict[str, Failing]:
        """Every way in which this edit can fail, its own before the generic ones."""
        generic: dict[str, Failing] = {"not_executed": self._untouched}
        if self.source.shape == self.result.shape:
            generic["partial"] = self._half_done
            if self.strength:
                generic["wrong_degree"] = self._wrong_degree
        return generic | dict(self.failing)

    def target(self) -> Box:
        """Where source and result differ; the whole picture when the canvas itself changed."""
        height, width = self.result.shape[:2]
        whole = Box(0, 0, width, height)
        if self.source.shape != self.result.shape:
            return whole
        return bounds(changed(self.source, self.result)) or whole

    def _untouched(self, rng: np.random.Generator) -> Outcome | None:
        height, width = self.source.shape[:2]
        if self.source.shape != self.result.shape:
            everything = np.ones((height, width), bool)
            whole = Box(0.0, 0.0, float(width), float(height))
            return Outcome(self.source.copy(), whole, everything, "the content of the source", self.what)
        pixels = changed(self.source, self.result)
        return Outcome(self.source.copy(), self.target(), pixels, "the content of the source", self.what)

    def _half_done(self, rng: np.random.Generator) -> Outcome | None:
        height, width = self.result.shape[:2]
        box = self.target()
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
        image = blend(self.result, self.source, rectangle(height, width, half, feather=height / 60))
        pixels = changed(image, self.result)
        tight = bounds(pixels)
        name = ("left", "right", "upper", "lower")[side]
        if tight is None or pixels.sum() < 0.25 * half.area:
            return None
        return Outcome(image, tight, pixels, f"its {name} part still shows the content of the source", self.what)

    def _wrong_degree(self, rng: np.random.Generator) -> Outcome | None:
        weak = bool(rng.random() < 0.5)
        share = float(rng.uniform(0.22, 0.36)) if weak else float(rng.uniform(2.0, 2.5))
        source = self.source.astype(np.float32)
        image = clipped(source + share * (self.result - source))
        pixels = changed(image, self.result, 16)
        box = bounds(pixels)
        if box is None or pixels.mean() < 0.2:
            return None
        found = "far too weak, hardly visible" if weak else "far too strong, crushing the details of the photo"
        return Outcome(image, box, pixels, found, self.what)


def pick(rng: np.random.Generator, *choices: str) -> str:
    return choices[int(rng.integers(len(choices)))]


def indefinite(name: str) -> str:
    """The name with its indefinite article.

    >>> indefinite("orange kite"), indefinite("red mug")
    ('an orange kite', 'a red mug')
    """
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
