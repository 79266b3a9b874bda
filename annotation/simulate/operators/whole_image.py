"""Edits of the whole image: colour, light, weather, season and style; restoration of a damaged image.

For a restoration the source is a damaged view of the scene, and the perfect result is the scene itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from annotation.records import Box
from annotation.simulate.operators.edit import FailedEdit, FailureMode, SceneEdit, pick_text
from annotation.simulate.pixels import RgbImage, blur_image, clip_pixels, ellipse_mask, resize_image, smooth_noise
from annotation.simulate.scene import Scene


def draw_rain(image: RgbImage, rng: np.random.Generator, strength: float) -> RgbImage:
    """Slanted bright streaks over a slightly darker, greyer image."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    slant, length = rng.uniform(-0.35, 0.35), height * 0.09
    for x, y, size in zip(*(rng.random(round(260 * strength)) for _ in range(3)), strict=True):
        start = (int(x * width * 1.2 - 0.1 * width), int(y * height * 1.2 - 0.1 * height))
        reach = length * (0.5 + size)
        end = (int(start[0] + slant * reach), int(start[1] + reach))
        cv2.line(layer, start, end, int(110 + 120 * size), max(1, height // 260), cv2.LINE_AA)
    streaks = cv2.GaussianBlur(layer, (0, 0), max(0.5, height / 700)).astype(np.float32)[..., None] / 255
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    dull = (0.65 * image + 0.35 * grey) * 0.82
    return clip_pixels(dull * (1 - 0.75 * streaks) + 232 * 0.75 * streaks)


def draw_snow(image: RgbImage, rng: np.random.Generator, strength: float) -> RgbImage:
    """Soft white flakes of several sizes over a slightly paler image."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.float32)
    for x, y, size in zip(*(rng.random(round(330 * strength)) for _ in range(3)), strict=True):
        radius = max(1, round(height * (0.003 + 0.011 * size**3)))
        cv2.circle(layer, (int(x * width), int(y * height)), radius, float(0.6 + 0.4 * size), -1, cv2.LINE_AA)
    flakes = cv2.GaussianBlur(layer, (0, 0), max(0.6, height / 400))[..., None]
    pale = image * 0.82 + np.array((34, 37, 42), np.float32)
    return clip_pixels(pale * (1 - 0.9 * flakes) + 250 * 0.9 * flakes)


def draw_fog(image: RgbImage, rng: np.random.Generator, strength: float) -> RgbImage:
    """A pale uneven veil that is thicker towards the top of the image."""
    height, width = image.shape[:2]
    depth = np.linspace(0.85, 0.5, height, dtype=np.float32)[:, None]
    veil = np.clip(strength * (depth * (0.75 + 0.35 * smooth_noise(rng, height, width, height / 3))), 0, 0.92)[
        ..., None
    ]
    return clip_pixels(image * (1 - veil) + 214 * veil)


LookFilter = Callable[[RgbImage, np.random.Generator], RgbImage]


def _apply_gains(image: RgbImage, _: np.random.Generator, gains: tuple[float, float, float]) -> RgbImage:
    return clip_pixels(image * np.array(gains, np.float32))


def _grade_colours(
    image: RgbImage, _: np.random.Generator, low: tuple[int, int, int], high: tuple[int, int, int]
) -> RgbImage:
    """Grey values mapped onto a ramp between two colours, mixed with the image."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] / 255
    ramp = np.array(low, np.float32) * (1 - grey) + np.array(high, np.float32) * grey
    return clip_pixels(0.35 * image + 0.65 * ramp)


def _apply_film_grain(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    height, width = image.shape[:2]
    faded = image.astype(np.float32) * 0.8 + np.array((38, 30, 22), np.float32)
    y, x = np.ogrid[:height, :width]
    distance = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)[..., None]
    return clip_pixels((faded + rng.normal(0, 13, (height, width, 1))) * (1 - 0.8 * distance))


def _apply_sepia(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    toned = _grade_colours(_grade_colours(image, rng, (30, 16, 6), (255, 236, 196)), rng, (30, 16, 6), (255, 236, 196))
    return clip_pixels(toned + rng.normal(0, 7, (*image.shape[:2], 1)))


def _apply_sunset(image: RgbImage, _: np.random.Generator) -> RgbImage:
    height = image.shape[0]
    ramp = np.linspace(1.25, 0.75, height, dtype=np.float32)[:, None, None]
    return clip_pixels(image * ramp * np.array((1.12, 0.86, 0.6), np.float32) + np.array((22, 6, 0), np.float32))


def _apply_night(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    dark = 255 * (image.astype(np.float32) / 255) ** 1.7
    return clip_pixels(dark * np.array((0.42, 0.5, 0.85), np.float32))


def _apply_autumn(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    green = (hsv[..., 0] > 25) & (hsv[..., 0] < 100)
    hsv[..., 0] = np.where(green, 8 + hsv[..., 0] // 8, hsv[..., 0])
    return _apply_gains(np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8), rng, (1.14, 0.95, 0.72))


def _apply_winter(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Frost on what faces up (bright edges from above), cold light."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lit = np.clip(cv2.Sobel(cv2.GaussianBlur(grey, (0, 0), image.shape[0] / 200), cv2.CV_32F, 0, 1) / 60, 0, 1)
    cover = np.clip(lit + 0.35 * smooth_noise(rng, image.shape[0], image.shape[1], image.shape[0] / 8), 0, 1)[..., None]
    cold = grey[..., None] * np.array((0.86, 0.95, 1.08), np.float32) * 0.6 + image * 0.4
    return clip_pixels(cold * (1 - 0.75 * cover) + 246 * 0.75 * cover)


def _paint_watercolour(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Flat washes that dry darker at their rims, paled by grainy paper."""
    height, width = image.shape[:2]
    wash = np.asarray(cv2.edgePreservingFilter(image, flags=1, sigma_s=60, sigma_r=0.6), np.uint8)
    grey = cv2.cvtColor(wash, cv2.COLOR_RGB2GRAY)
    rim = cv2.GaussianBlur(cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), (0, 0), 1)
    blotches = 0.72 + 0.28 * smooth_noise(rng, height, width, height / 7)[..., None]
    paper = 250 + rng.normal(0, 5, (height, width, 1))
    return clip_pixels((wash * blotches + paper * (1 - blotches)) - 0.5 * rim[..., None].astype(np.float32))


def _paint_oil_strokes(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Short strokes: every pixel takes the colour of a point nearby, along a smooth field of directions."""
    height, width = image.shape[:2]
    turn = smooth_noise(rng, height, width, height / 5) * 2 * np.pi
    reach = smooth_noise(rng, height, width, 3) * height / 40
    y, x = np.mgrid[:height, :width].astype(np.float32)
    strokes = cv2.remap(image, x + reach * np.cos(turn), y + reach * np.sin(turn), cv2.INTER_NEAREST, borderMode=2)
    hsv = cv2.cvtColor(cv2.medianBlur(strokes, 5), cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.5 + 15, 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _draw_pencil_sketch(image: RgbImage, _: np.random.Generator) -> RgbImage:
    grey, _colour = cv2.pencilSketch(image, sigma_s=40, sigma_r=0.08, shade_factor=0.04)
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def _draw_cartoon(image: RgbImage, _: np.random.Generator) -> RgbImage:
    flat = np.asarray(cv2.edgePreservingFilter(image, flags=1, sigma_s=40, sigma_r=0.45), np.uint8)
    flat = clip_pixels(np.round(flat.astype(np.float32) / 36) * 36 * 1.06)
    grey = cv2.medianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 5)
    size = max(5, image.shape[0] // 50 | 1)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, size, 5)
    return np.where(lines[..., None] == 0, np.uint8(26), flat)


# Task -> (filter, instruction texts, noun phrase for the change, words for the wrong kind of change).
ImageLook = tuple[LookFilter, tuple[str, ...], str, str]


IMAGE_LOOKS: dict[str, tuple[ImageLook, ...]] = {
    "color_tone": (
        (
            partial(_apply_gains, gains=(1.2, 1.0, 0.72)),
            ("Make the picture warmer.", "Shift the overall colours to a warm, golden tone."),
            "the warm colour tone",
            "a warm yellowish tone",
        ),
        (
            partial(_apply_gains, gains=(0.74, 0.95, 1.22)),
            ("Give the picture a cool blue tone.", "Make the overall colours colder."),
            "the cool colour tone",
            "a cold bluish tone",
        ),
        (
            partial(_grade_colours, low=(40, 12, 60), high=(255, 226, 206)),
            ("Give the whole picture a purple and peach tint.", "Tint the photo from purple to peach."),
            "the purple and peach tint",
            "a purple tint",
        ),
    ),
    "film_look": (
        (
            _apply_film_grain,
            ("Add film grain and a faded vintage look.", "Make it look like an old film photo."),
            "the film look",
            "a grainy faded film look",
        ),
        (
            partial(_grade_colours, low=(12, 34, 44), high=(255, 214, 160)),
            ("Apply a teal and orange cinema look.", "Grade the photo like a film, teal shadows and orange lights."),
            "the teal and orange film look",
            "a teal and orange grading",
        ),
    ),
    "scene_lighting": (
        (
            _apply_sunset,
            ("Relight the scene as at golden hour.", "Make it look like sunset."),
            "the sunset light",
            "a sunset light",
        ),
        (
            _apply_night,
            ("Turn the scene into night.", "Make it look as if the photo was taken at night."),
            "the night light",
            "a dark blue night",
        ),
    ),
    "scene_weather": (
        (partial(draw_rain, strength=1.0), ("Make it rain.", "Add heavy rain to the scene."), "the rain", "rain"),
        (
            partial(draw_snow, strength=1.0),
            ("Let it snow.", "Add falling snow to the scene."),
            "the falling snow",
            "falling snow",
        ),
        (partial(draw_fog, strength=1.0), ("Add thick fog.", "Cover the scene in fog."), "the fog", "a veil of fog"),
    ),
    "scene_season": (
        (
            _apply_autumn,
            ("Change the season to autumn.", "Make it look like autumn."),
            "the autumn colours",
            "orange autumn colours",
        ),
        (
            _apply_winter,
            ("Change the season to winter.", "Turn it into a frosty winter scene."),
            "the winter look",
            "frosty winter colours",
        ),
    ),
    "style_art": (
        (
            _paint_watercolour,
            ("Turn the photo into a soft watercolour.", "Redraw it as a watercolour painting."),
            "the watercolour style",
            "a watercolour",
        ),
        (
            _paint_oil_strokes,
            ("Repaint it in short oil strokes.", "Redraw the picture as an oil painting with visible strokes."),
            "the oil painting style",
            "an oil painting",
        ),
    ),
    "style_cartoon_sketch": (
        (
            _draw_pencil_sketch,
            ("Turn the photo into a pencil sketch.", "Redraw it as a pencil drawing."),
            "the pencil sketch",
            "a grey pencil sketch",
        ),
        (
            _draw_cartoon,
            ("Turn the photo into a cartoon.", "Make it a comic panel with flat colours and dark outlines."),
            "the cartoon style",
            "a cartoon",
        ),
    ),
    "style_era": (
        (
            _apply_sepia,
            ("Make it look like a photograph from 1900.", "Give it the look of an antique sepia print."),
            "the antique look",
            "an old sepia print",
        ),
    ),
}


GRADUAL_TASKS = frozenset({"color_tone", "film_look", "scene_lighting", "style_era", "scene_season"})


def apply_look(task: str, scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    """An edit of the whole image by a task of `IMAGE_LOOKS`; one failure mode is another look of the same task."""
    source = scene.render()
    choices = IMAGE_LOOKS[task]
    chosen = int(rng.integers(len(choices)))
    apply, texts, what, _ = choices[chosen]
    seed = int(rng.integers(2**63))

    def apply_chosen(image: RgbImage) -> RgbImage:
        return apply(image, np.random.default_rng(seed))

    failing: dict[str, FailureMode] = {}
    others = [other for i, other in enumerate(choices) if i != chosen]
    if others:

        def apply_other_look(r: np.random.Generator) -> FailedEdit:
            wrong, _texts, _what, found = others[int(r.integers(len(others)))]
            image = wrong(source, r)
            height, width = image.shape[:2]
            whole = Box(0.0, 0.0, float(width), float(height))
            return FailedEdit(image, whole, np.ones((height, width), bool), found, what)

        failing["wrong_content"] = apply_other_look
    return SceneEdit(
        task,
        source,
        apply_chosen(source),
        pick_text(rng, *texts),
        what,
        None,
        failing,
        strength=task in GRADUAL_TASKS,
        apply=apply_chosen,
    )


def _damage_blur(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    if rng.random() < 0.5:
        return blur_image(image, image.shape[0] / 90)
    length = max(5, image.shape[0] // 24)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(rng.uniform(0, 180)), 1)
    tilted = cv2.warpAffine(kernel, turn, (length, length))
    return np.asarray(cv2.filter2D(image, -1, tilted / tilted.sum()), np.uint8)


def _damage_noise(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    return clip_pixels(image + rng.normal(0, 30, image.shape))


def _damage_rain(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    return draw_rain(image, rng, 0.8)


def _damage_snow(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    return draw_snow(image, rng, 0.9)


def _damage_haze(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    return draw_fog(image, rng, 0.75)


def _damage_lowlight(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    return clip_pixels(255 * (image.astype(np.float32) / 255) ** 1.4 * 0.24 + rng.normal(0, 3, image.shape))


def _damage_shadow(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    height, width = image.shape[:2]
    w, h = width * rng.uniform(0.4, 0.6), height * rng.uniform(0.35, 0.55)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    dark = ellipse_mask(height, width, Box(x, y, x + w, y + h), soft=0.25)[..., None] * 0.62
    return clip_pixels(image * (1 - dark))


def _damage_resolution(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    height, width = image.shape[:2]
    return resize_image(resize_image(image, width // 4, height // 4), width, height)


IMAGE_DAMAGES: dict[str, tuple[Callable[[RgbImage, np.random.Generator], RgbImage], tuple[str, ...], str, str]] = {
    "restore_deblur": (
        _damage_blur,
        ("Sharpen this blurred photo.", "Remove the blur."),
        "the removal of the blur",
        "blur",
    ),
    "restore_denoise": (
        _damage_noise,
        ("Remove the noise.", "Clean the noisy picture."),
        "the removal of the noise",
        "noise",
    ),
    "restore_derain": (
        _damage_rain,
        ("Remove the rain.", "Take the rain streaks away."),
        "the removal of the rain",
        "rain",
    ),
    "restore_desnow": (
        _damage_snow,
        ("Remove the falling snow.", "Take the snow flakes away."),
        "the removal of the snow",
        "snow",
    ),
    "restore_dehaze": (
        _damage_haze,
        ("Remove the haze.", "Clear the fog from the photo."),
        "the removal of the haze",
        "haze",
    ),
    "restore_lowlight": (
        _damage_lowlight,
        ("Brighten this dark photo.", "Lighten the under-exposed picture."),
        "the brightening of the photo",
        "darkness",
    ),
    "restore_deshadow": (
        _damage_shadow,
        ("Remove the cast shadow.", "Take the dark shadow away."),
        "the removal of the shadow",
        "shadow",
    ),
    "restore_superres": (
        _damage_resolution,
        ("Raise the resolution of the photo.", "Make this low-resolution picture sharp."),
        "the higher resolution",
        "coarse blur",
    ),
}


def damage_image(task: str, image: RgbImage, rng: np.random.Generator) -> RgbImage:
    """The image with the damage that a restoration task removes."""
    return IMAGE_DAMAGES[task][0](image, rng)


def restore_image(task: str, scene: Scene, source: RgbImage, rng: np.random.Generator) -> SceneEdit:
    """The restoration of a damaged source back to its scene."""
    clean = scene.render()
    _, texts, what, damage = IMAGE_DAMAGES[task]

    def restore_too_little(r: np.random.Generator) -> FailedEdit:
        share = float(r.uniform(0.2, 0.35))
        image = clip_pixels(source + share * (clean.astype(np.float32) - source))
        height, width = image.shape[:2]
        return FailedEdit(image, Box(0, 0, width, height), np.ones((height, width), bool),
                       f"far too weak, most of the {damage} is still there", what)  # fmt: skip

    failing: dict[str, FailureMode] = {} if task == "restore_deshadow" else {"wrong_degree": restore_too_little}
    return SceneEdit(task, source, clean, pick_text(rng, *texts), what, scene, failing)
