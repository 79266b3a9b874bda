"""Edits of the background and of the frame: another background behind unchanged props, zoom in, outpaint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import Box
from annotation.simulate.operators.edit import FailedEdit, FailureMode, SceneEdit, pick_text
from annotation.simulate.pixels import (
    RgbImage,
    box_view,
    clip_pixels,
    describe_place,
    difference_mask,
    mask_bounds,
    resize_image,
    sharpen_image,
    smooth_noise,
)
from annotation.simulate.scene import Scene


def _colour_ramp(height: int, width: int, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> NDArray[Any]:
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return np.repeat(np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share, width, axis=1)


def _paint_studio_wall(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    wall = _colour_ramp(height, width, (196, 204, 214), (120, 130, 146))
    return clip_pixels(
        wall + 10 * smooth_noise(rng, height, width, height / 2)[..., None] + rng.normal(0, 2, (height, width, 1))
    )


def _paint_beach(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Sky with soft clouds, a band of sea with small waves, sand in front."""
    horizon, shore = round(0.42 * height), round(0.62 * height)
    picture = _colour_ramp(height, width, (96, 160, 226), (206, 228, 244))
    clouds = np.clip(smooth_noise(rng, height, width, height / 5) * 2 - 1.1, 0, 1)[..., None]
    picture = picture * (1 - clouds) + 250 * clouds
    waves = 26 * smooth_noise(rng, shore - horizon, max(8, width // 8), 3)
    picture[horizon:shore] = np.array((34, 112, 150), np.float32) + np.repeat(waves, 9, axis=1)[:, :width, None]
    picture[shore:] = _colour_ramp(height - shore, width, (226, 204, 160), (202, 174, 126))
    picture[shore:] += rng.normal(0, 7, (height - shore, width, 1))
    return clip_pixels(picture)


def _paint_starry_sky(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    picture = _colour_ramp(height, width, (10, 12, 38), (58, 40, 84))
    stars = rng.random((height, width)) > 0.997
    picture[stars] = rng.uniform(150, 255, (int(stars.sum()), 1))
    return clip_pixels(picture)


BACKDROP_PAINTERS: dict[str, Callable[[np.random.Generator, int, int], RgbImage]] = {
    "a plain grey studio wall": _paint_studio_wall,
    "a sunny beach with the sea": _paint_beach,
    "a starry night sky": _paint_starry_sky,
}


def change_background(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    """Another background behind the props; None for a scene without props."""
    if not scene.props:
        return None
    chosen, wrong = (str(name) for name in rng.permutation(list(BACKDROP_PAINTERS))[:2])
    kept = scene.props[0].name
    done, bad = (
        replace(scene, background=BACKDROP_PAINTERS[name](rng, scene.height, scene.width), focus=None)
        for name in (chosen, wrong)
    )
    text = pick_text(
        rng, "Change the background to {0}.", "Put {0} behind the {1}.", "Replace the setting by {0}; keep the {1}."
    )

    def show_other_background(_: np.random.Generator) -> FailedEdit:
        whole = Box(0.0, 0.0, float(scene.width), float(scene.height))
        return FailedEdit(bad.render(), whole, np.ones((scene.height, scene.width), bool), wrong, chosen, bad)

    what = f"the new background, {chosen},"
    return SceneEdit(
        "scene_background",
        scene.render(),
        done.render(),
        text.format(chosen, kept),
        what,
        done,
        {"wrong_content": show_other_background},
    )


def _zoom_view(image: RgbImage, box: Box) -> RgbImage:
    height, width = image.shape[:2]
    return sharpen_image(resize_image(box_view(image, box), width, height), 0.4)


def _random_window(rng: np.random.Generator, height: int, width: int, share: float) -> Box:
    w, h = round(width * share), round(height * share)
    x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    return Box(float(x), float(y), float(x + w), float(y + h))


def zoom_image(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    source = scene.render()
    height, width = source.shape[:2]
    box = _random_window(rng, height, width, 0.5)
    at = describe_place(box, height, width)
    whole, everything = Box(0, 0, width, height), np.ones((height, width), bool)
    what = f"the close view of {at}"

    def zoom_elsewhere(r: np.random.Generator) -> FailedEdit | None:
        for _ in range(20):
            wrong = _random_window(r, height, width, 0.5)
            if wrong.iou(box) < 0.25:
                found = f"a close view of {describe_place(wrong, height, width)}"
                return FailedEdit(_zoom_view(source, wrong), whole, everything, found, at)
        return None

    def zoom_too_little(r: np.random.Generator) -> FailedEdit:
        wide = Box(0.06 * width, 0.06 * height, 0.94 * width, 0.94 * height)
        return FailedEdit(
            _zoom_view(source, wide), whole, everything, "far too weak, the frame is hardly any closer", what
        )

    # A zoom cannot be half done.
    failing: dict[str, FailureMode] = {
        "wrong_target": zoom_elsewhere,
        "wrong_degree": zoom_too_little,
        "partial": lambda _: None,
    }
    text = pick_text(rng, "Zoom in on {0}.", "Show {0} of the picture from closer.").format(at)
    return SceneEdit("zoom_in", source, _zoom_view(source, box), text, what, None, failing)


def outpaint_sides(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    """An extension to both sides: the source is the middle of the scene, the perfect result all of it."""
    full = scene.render()
    height, width = full.shape[:2]
    margin = round(width * rng.uniform(0.16, 0.22))
    source = np.ascontiguousarray(full[:, margin : width - margin])
    what = "the content beyond the left and right borders"

    def leave_one_side(r: np.random.Generator) -> FailedEdit | None:
        left = bool(r.random() < 0.5)
        box = Box(0, 0, margin, height) if left else Box(width - margin, 0, width, height)
        image = full.copy()
        edge = full[:, margin] if left else full[:, width - margin - 1]
        smear = cv2.GaussianBlur(np.ascontiguousarray(edge[:, None]), (1, 0), sigmaX=0.1, sigmaY=height / 30)
        box_view(image, box)[:] = clip_pixels(0.35 * smear.astype(np.float32) + 0.65 * 128)
        pixels = difference_mask(image, full)
        tight = mask_bounds(pixels)
        if tight is None:
            return None
        return FailedEdit(image, box, pixels, f"the {'left' if left else 'right'} border is an empty grey band", what)

    text = pick_text(rng, "Extend the picture to the left and right.", "Continue the scene beyond both side borders.")
    return SceneEdit("outpaint", source, full, text, what, None, {"partial": leave_one_side})
