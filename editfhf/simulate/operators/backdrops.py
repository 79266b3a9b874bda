"""Another setting behind unchanged things: the photo gives way to a painted backdrop, props and signs stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import Image, clipped, noise
from editfhf.simulate.operators.edit import Edit, Outcome, pick
from editfhf.simulate.scene import Scene


def _ramp(height: int, width: int, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> np.ndarray:
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return np.repeat(np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share, width, axis=1)


def _studio(rng: np.random.Generator, height: int, width: int) -> Image:
    wall = _ramp(height, width, (196, 204, 214), (120, 130, 146))
    return clipped(wall + 10 * noise(rng, height, width, height / 2)[..., None] + rng.normal(0, 2, (height, width, 1)))


def _beach(rng: np.random.Generator, height: int, width: int) -> Image:
    """Sky with soft clouds, a band of sea with small waves, sand in front."""
    horizon, shore = round(0.42 * height), round(0.62 * height)
    picture = _ramp(height, width, (96, 160, 226), (206, 228, 244))
    clouds = np.clip(noise(rng, height, width, height / 5) * 2 - 1.1, 0, 1)[..., None]
    picture = picture * (1 - clouds) + 250 * clouds
    waves = 26 * noise(rng, shore - horizon, max(8, width // 8), 3)
    picture[horizon:shore] = np.array((34, 112, 150), np.float32) + np.repeat(waves, 9, axis=1)[:, :width, None]
    picture[shore:] = _ramp(height - shore, width, (226, 204, 160), (202, 174, 126))
    picture[shore:] += rng.normal(0, 7, (height - shore, width, 1))
    return clipped(picture)


def _starry(rng: np.random.Generator, height: int, width: int) -> Image:
    picture = _ramp(height, width, (10, 12, 38), (58, 40, 84))
    stars = rng.random((height, width)) > 0.997
    picture[stars] = rng.uniform(150, 255, (int(stars.sum()), 1))
    return clipped(picture)


BACKDROPS: dict[str, Callable[[np.random.Generator, int, int], Image]] = {
    "a plain grey studio wall": _studio,
    "a sunny beach with the sea": _beach,
    "a starry night sky": _starry,
}


def background(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """None when nothing stands before the background."""
    if not scene.props:
        return None
    chosen, wrong = (str(name) for name in rng.permutation(list(BACKDROPS))[:2])
    kept = scene.props[0].name
    done, bad = (
        replace(scene, background=BACKDROPS[name](rng, scene.height, scene.width), focus=None)
        for name in (chosen, wrong)
    )
    text = pick(
        rng, "Change the background to {0}.", "Put {0} behind the {1}.", "Replace the setting by {0}; keep the {1}."
    )

    def other(_: np.random.Generator) -> Outcome:
        whole = Box(0.0, 0.0, float(scene.width), float(scene.height))
        return Outcome(bad.render(), whole, np.ones((scene.height, scene.width), bool), wrong, chosen, bad)

    what = f"the new background, {chosen},"
    return Edit(
        "scene_background",
        scene.render(),
        done.render(),
        text.format(chosen, kept),
        what,
        done,
        {"wrong_content": other},
    )
