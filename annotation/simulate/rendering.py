"""Render an image as a generative editor does: every pixel is drawn again, also where nothing was edited.

An editor that decodes a latent image moves the picture by parts of a pixel or a few pixels, zooms a little, loses
detail, lets the colours drift smoothly and leaves grain.  A comparison of pixels that works without this measures
nothing about real edits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import Box, Disk
from annotation.simulate.flaws.flaw import InjectedFlaw
from annotation.simulate.pixels import RgbImage, clip_pixels


@dataclass(frozen=True, slots=True)
class RenderingOptions:
    """Largest amounts of each effect; the amounts of one image are drawn below them.

    Parameters
    ----------
    shift : float
        Largest shift in each direction as a share of the image height; in half of the images whole pixels.
    zoom : float
        Largest change of scale about the middle of the image, closer or wider.
    detail : float
        Largest factor by which the image is reduced and enlarged again, at least 1; the colours alone
        are reduced by twice as much beyond 1.
    drift : float
        Largest smooth drift of each colour channel, in grey values of 0 to 255.
    grain : float
        Largest standard deviation of the grain, in grey values.

    Notes
    -----
    The default amounts are what users of open editors report: a shift and a zoom of a few pixels at 1024 pixels, detail
    as after the 8 x 8 latent of an autoencoder.
    """

    shift: float = 0.008
    zoom: float = 0.012
    detail: float = 2.0
    drift: float = 12.0
    grain: float = 4.0


@dataclass(frozen=True, slots=True)
class Rendering:
    """The amounts drawn for one image.

    Attributes
    ----------
    shift_x, shift_y : float
        Shift of the content in pixels, to the right and down.
    zoom : float
        Scale about the middle of the image; above 1 is closer.
    detail : float
        Factor by which the image is reduced and enlarged again.
    sharpening : float
        Amount of the unsharp mask that follows.
    grain : float
        Standard deviation of the grain in grey values.
    """

    shift_x: float
    shift_y: float
    zoom: float
    detail: float
    sharpening: float
    grain: float

    def matrix(self, height: int, width: int) -> NDArray[np.float64]:
        """[2, 3] affine transform from pixel coordinates of the image to those of its rendering.

        Coordinates are those of boxes: the middle of the first pixel is (0.5, 0.5).
        """
        x, y = width / 2, height / 2
        shift = (x - self.zoom * x + self.shift_x, y - self.zoom * y + self.shift_y)
        return np.array([[self.zoom, 0, shift[0]], [0, self.zoom, shift[1]]], np.float64)

    def move_box(self, box: Box, height: int, width: int) -> Box:
        """Where the content of a box is in the rendering.

        An edge at a border of the image stays there: beyond the border the rendering mirrors the content.
        """
        left, top = self.matrix(height, width)[:, 2]

        def move_edge(edge: float, offset: float, border: float) -> float:
            return edge if edge <= 0 or edge >= border else float(np.clip(self.zoom * edge + offset, 0, border))

        return Box(
            move_edge(box.x0, left, width),
            move_edge(box.y0, top, height),
            move_edge(box.x1, left, width),
            move_edge(box.y1, top, height),
        )

    def move_flaw(self, flaw: InjectedFlaw, height: int, width: int) -> InjectedFlaw:
        """The flaw where it is in the rendering, its disks inside its box."""
        box = self.move_box(flaw.box, height, width)
        left, top = self.matrix(height, width)[:, 2]
        disks = tuple(
            Disk(
                float(np.clip(self.zoom * disk.x + left, box.x0 + 0.25, box.x1 - 0.25)),
                float(np.clip(self.zoom * disk.y + top, box.y0 + 0.25, box.y1 - 0.25)),
            )
            for disk in flaw.disks
        )
        return replace(flaw, box=box, disks=disks)


def draw_rendering(seed: int, height: int, options: RenderingOptions = RenderingOptions()) -> Rendering:
    """Draw the amounts for an image of this height: the same seed, height and options give the same amounts."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    reach = options.shift * height
    shift = rng.uniform(-reach, reach, 2)
    if rng.random() < 0.5:
        shift = np.round(shift)
    zoom = 1 + rng.uniform(-options.zoom, options.zoom)
    detail = 1 + (options.detail - 1) * rng.uniform(0.25, 1)
    return Rendering(
        float(shift[0]),
        float(shift[1]),
        float(zoom),
        float(detail),
        float(rng.uniform(0, 0.6) * min(1.0, options.detail - 1)),
        float(rng.uniform(0.25, 1) * options.grain),
    )


def render_as_editor(image: RgbImage, seed: int, options: RenderingOptions = RenderingOptions()) -> RgbImage:
    """Draw every pixel of an image again, as a generative editor does.

    Parameters
    ----------
    image : ndarray
        uint8 RGB [H, W, 3] of any size.
    seed : int
        At least 0.  Two images of one size that are rendered with the same seed differ only near pixels in which they
        differed before, so that a flawed image and its clean target stay comparable.
    options : RenderingOptions
        Largest amounts.

    Returns
    -------
    ndarray
        uint8 RGB [H, W, 3]; the same bytes for the same arguments.

    Examples
    --------
    >>> image = np.full((32, 48, 3), 128, np.uint8)
    >>> rendered = render_as_editor(image, 7)
    >>> rendered.shape, bool((rendered == render_as_editor(image, 7)).all()), bool((rendered == image).all())
    ((32, 48, 3), True, False)
    """
    height, width = image.shape[:2]
    drawn = draw_rendering(seed, height, options)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    pixels = _move_pixels(image.astype(np.float32), drawn)
    pixels = _lose_detail(pixels, drawn)
    pixels += _draw_drift(rng, height, width, options.drift)
    pixels += _draw_grain(rng, height, width, drawn.grain)
    return clip_pixels(pixels)


def _move_pixels(pixels: NDArray[Any], drawn: Rendering) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    matrix = drawn.matrix(height, width)
    # OpenCV counts from the middle of the first pixel.
    matrix[:, 2] += 0.5 * drawn.zoom - 0.5
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.float32)


def _lose_detail(pixels: NDArray[Any], drawn: Rendering) -> NDArray[Any]:
    """Brightness reduced and enlarged by the factor, colours twice as far, then a mild unsharp mask."""
    bright = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    coarse = _reduce_and_enlarge(bright, drawn.detail)
    colours = _reduce_and_enlarge(pixels - bright, 2 * drawn.detail - 1)
    blurred = cv2.GaussianBlur(coarse, (0, 0), drawn.detail)[..., None]
    return np.asarray(coarse[..., None] * (1 + drawn.sharpening) - drawn.sharpening * blurred + colours, np.float32)


def _reduce_and_enlarge(pixels: NDArray[Any], factor: float) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


DRIFT_CELLS = 4
"""Random values in each direction from which the drift is interpolated: blobs of about a third of the image."""


def _draw_drift(rng: np.random.Generator, height: int, width: int, reach: float) -> NDArray[Any]:
    """Smooth field float32 [H, W, 3]: one drift of the whole image, and a smaller one that changes over it."""
    whole = rng.uniform(-0.6, 0.6, 3)
    cells = whole + rng.uniform(-0.4, 0.4, (DRIFT_CELLS, DRIFT_CELLS, 3))
    return np.asarray(
        cv2.resize((reach * cells).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC), np.float32
    )


GRAIN_WIDTH = 0.6
"""Standard deviation of the blur of the grain in pixels: it is a little wider than one pixel."""


def _draw_grain(rng: np.random.Generator, height: int, width: int, deviation: float) -> NDArray[Any]:
    """Grain of the brightness, float32 [H, W, 1]."""
    kernel = cv2.getGaussianKernel(5, GRAIN_WIDTH)
    noise = rng.standard_normal((height, width), dtype=np.float32) * (deviation / float(np.square(kernel).sum()))
    return np.asarray(cv2.sepFilter2D(noise, -1, kernel, kernel), np.float32)[..., None]
