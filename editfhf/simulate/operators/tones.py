"""Whole-picture edits of colour, light, weather, season and style."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import Image, blurred, clipped, noise
from editfhf.simulate.operators import sky
from editfhf.simulate.operators.edit import Edit, Failing, Outcome, pick
from editfhf.simulate.scene import Scene

Filter = Callable[[Image, np.random.Generator], Image]


def _gain(image: Image, _: np.random.Generator, gains: tuple[float, float, float]) -> Image:
    return clipped(image * np.array(gains, np.float32))


def _grade(image: Image, _: np.random.Generator, low: tuple[int, int, int], high: tuple[int, int, int]) -> Image:
    """Grey values mapped onto a ramp between two colours, mixed with the picture."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] / 255
    ramp = np.array(low, np.float32) * (1 - grey) + np.array(high, np.float32) * grey
    return clipped(0.35 * image + 0.65 * ramp)


def _grain(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    faded = image.astype(np.float32) * 0.8 + np.array((38, 30, 22), np.float32)
    y, x = np.ogrid[:height, :width]
    distance = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)[..., None]
    return clipped((faded + rng.normal(0, 13, (height, width, 1))) * (1 - 0.8 * distance))


def _sepia(image: Image, rng: np.random.Generator) -> Image:
    toned = _grade(_grade(image, rng, (30, 16, 6), (255, 236, 196)), rng, (30, 16, 6), (255, 236, 196))
    return clipped(toned + rng.normal(0, 7, (*image.shape[:2], 1)))


def _sunset(image: Image, _: np.random.Generator) -> Image:
    height = image.shape[0]
    ramp = np.linspace(1.25, 0.75, height, dtype=np.float32)[:, None, None]
    return clipped(image * ramp * np.array((1.12, 0.86, 0.6), np.float32) + np.array((22, 6, 0), np.float32))


def _night(image: Image, rng: np.random.Generator) -> Image:
    dark = 255 * (image.astype(np.float32) / 255) ** 1.7
    return clipped(dark * np.array((0.42, 0.5, 0.85), np.float32))


def _autumn(image: Image, rng: np.random.Generator) -> Image:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    green = (hsv[..., 0] > 25) & (hsv[..., 0] < 100)
    hsv[..., 0] = np.where(green, 8 + hsv[..., 0] // 8, hsv[..., 0])
    return _gain(np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8), rng, (1.14, 0.95, 0.72))


def _winter(image: Image, rng: np.random.Generator) -> Image:
    """Frost on what faces up (bright edges from above), cold light."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lit = np.clip(cv2.Sobel(cv2.GaussianBlur(grey, (0, 0), image.shape[0] / 200), cv2.CV_32F, 0, 1) / 60, 0, 1)
    cover = np.clip(lit + 0.35 * noise(rng, image.shape[0], image.shape[1], image.shape[0] / 8), 0, 1)[..., None]
    cold = grey[..., None] * np.array((0.86, 0.95, 1.08), np.float32) * 0.6 + image * 0.4
    return clipped(cold * (1 - 0.75 * cover) + 246 * 0.75 * cover)


def _painting(image: Image, rng: np.random.Generator) -> Image:
    """Flat washes that dry darker at their rims, paled by grainy paper."""
    height, width = image.shape[:2]
    wash = np.asarray(cv2.edgePreservingFilter(image, flags=1, sigma_s=60, sigma_r=0.6), np.uint8)
    grey = cv2.cvtColor(wash, cv2.COLOR_RGB2GRAY)
    rim = cv2.GaussianBlur(cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), (0, 0), 1)
    blotches = 0.72 + 0.28 * noise(rng, height, width, height / 7)[..., None]
    paper = 250 + rng.normal(0, 5, (height, width, 1))
    return clipped((wash * blotches + paper * (1 - blotches)) - 0.5 * rim[..., None].astype(np.float32))


def _mosaic(image: Image, rng: np.random.Generator) -> Image:
    """Short strokes: every pixel takes the colour of a point nearby, along a smooth field of directions."""
    height, width = image.shape[:2]
    turn = noise(rng, height, width, height / 5) * 2 * np.pi
    reach = noise(rng, height, width, 3) * height / 40
    y, x = np.mgrid[:height, :width].astype(np.float32)
    strokes = cv2.remap(image, x + reach * np.cos(turn), y + reach * np.sin(turn), cv2.INTER_NEAREST, borderMode=2)
    hsv = cv2.cvtColor(cv2.medianBlur(strokes, 5), cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.5 + 15, 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _sketch(image: Image, _: np.random.Generator) -> Image:
    grey, _colour = cv2.pencilSketch(image, sigma_s=40, sigma_r=0.08, shade_factor=0.04)
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def _cartoon(image: Image, _: np.random.Generator) -> Image:
    flat = np.asarray(cv2.edgePreservingFilter(image, flags=1, sigma_s=40, sigma_r=0.45), np.uint8)
    flat = clipped(np.round(flat.astype(np.float32) / 36) * 36 * 1.06)
    grey = cv2.medianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 5)
    size = max(5, image.shape[0] // 50 | 1)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, size, 5)
    return np.where(lines[..., None] == 0, np.uint8(26), flat)


# Task -> (filter, instruction texts, noun phrase for the change, words for the wrong kind of change).
Look = tuple[Filter, tuple[str, ...], str, str]
LOOKS: dict[str, tuple[Look, ...]] = {
    "color_tone": (
        (
            partial(_gain, gains=(1.2, 1.0, 0.72)),
            ("Make the picture warmer.", "Shift the overall colours to a warm, golden tone."),
            "the warm colour tone",
            "a warm yellowish tone",
        ),
        (
            partial(_gain, gains=(0.74, 0.95, 1.22)),
            ("Give the picture a cool blue tone.", "Make the overall colours colder."),
            "the cool colour tone",
            "a cold bluish tone",
        ),
        (
            partial(_grade, low=(40, 12, 60), high=(255, 226, 206)),
            ("Give the whole picture a purple and peach tint.", "Tint the photo from purple to peach."),
            "the purple and peach tint",
            "a purple tint",
        ),
    ),
    "film_look": (
        (_grain, ("Add film grain and a faded vintage look.", "Make it look like an old film photo."), "the film look",
         "a grainy faded film look"),
        (partial(_grade, low=(12, 34, 44), high=(255, 214, 160)),
         ("Apply a teal and orange cinema look.", "Grade the photo like a film, teal shadows and orange lights."),
         "the teal and orange film look", "a teal and orange grading"),
    ),
    "scene_lighting": (
        (_sunset, ("Relight the scene as at golden hour.", "Make it look like sunset."), "the sunset light",
         "a sunset light"),
        (_night, ("Turn the scene into night.", "Make it look as if the photo was taken at night."), "the night light",
         "a dark blue night"),
    ),
    "scene_weather": (
        (partial(sky.rain, strength=1.0), ("Make it rain.", "Add heavy rain to the scene."), "the rain", "rain"),
        (partial(sky.snow, strength=1.0), ("Let it snow.", "Add falling snow to the scene."), "the falling snow",
         "falling snow"),
        (partial(sky.fog, strength=1.0), ("Add thick fog.", "Cover the scene in fog."), "the fog", "a veil of fog"),
    ),
    "scene_season": (
        (_autumn, ("Change the season to autumn.", "Make it look like autumn."), "the autumn colours",
         "orange autumn colours"),
        (_winter, ("Change the season to winter.", "Turn it into a frosty winter scene."), "the winter look",
         "frosty winter colours"),
    ),
    "style_art": (
        (_painting, ("Turn the photo into a soft watercolour.", "Redraw it as a watercolour painting."),
         "the watercolour style", "a watercolour"),
        (_mosaic, ("Repaint it in short oil strokes.", "Redraw the picture as an oil painting with visible strokes."),
         "the oil painting style", "an oil painting"),
    ),
    "style_cartoon_sketch": (
        (_sketch, ("Turn the photo into a pencil sketch.", "Redraw it as a pencil drawing."), "the pencil sketch",
         "a grey pencil sketch"),
        (_cartoon, ("Turn the photo into a cartoon.", "Make it a comic panel with flat colours and dark outlines."),
         "the cartoon style", "a cartoon"),
    ),
    "style_era": (
        (_sepia, ("Make it look like a photograph from 1900.", "Give it the look of an antique sepia print."),
         "the antique look", "an old sepia print"),
    ),
}  # fmt: skip
GRADUAL = frozenset({"color_tone", "film_look", "scene_lighting", "style_era", "scene_season"})


def look(task: str, scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A whole-picture edit of one of the tasks of LOOKS; it can also fail by turning into another look of its kind."""
    source = scene.render()
    choices = LOOKS[task]
    chosen = int(rng.integers(len(choices)))
    apply, texts, what, _ = choices[chosen]
    result = apply(source, np.random.default_rng(rng.integers(2**63)))
    failing: dict[str, Failing] = {}
    others = [other for i, other in enumerate(choices) if i != chosen]
    if others:

        def other_look(r: np.random.Generator) -> Outcome:
            wrong, _texts, _what, found = others[int(r.integers(len(others)))]
            image = wrong(source, r)
            height, width = image.shape[:2]
            whole = Box(0.0, 0.0, float(width), float(height))
            return Outcome(image, whole, np.ones((height, width), bool), found, what)

        failing["wrong_content"] = other_look
    return Edit(task, source, result, pick(rng, *texts), what, None, failing, strength=task in GRADUAL)


def sharpened(image: Image, amount: float) -> Image:
    """Unsharp mask."""
    return clipped(image + amount * (image.astype(np.float32) - blurred(image, image.shape[0] / 250)))
