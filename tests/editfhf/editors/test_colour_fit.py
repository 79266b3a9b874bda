"""The colour transform: known changes of colours are found, also around changed objects and on a ring."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from editfhf.editors.colour_fit import (
    convert_from_lab,
    convert_to_lab,
    fit_colour_transform,
    fit_smooth_transform,
)

PHOTO = cv2.resize(data.coffee(), (240, 160), interpolation=cv2.INTER_AREA)


def change_light(image: np.ndarray) -> np.ndarray:
    """Warmer, and lit from the right."""
    light = image * np.linspace(0.9, 1.05, image.shape[1])[None, :, None] * (1.05, 1.0, 0.9) + 6
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def test_lab_and_back_is_the_same_image() -> None:
    every = np.arange(0, 256, 5, np.uint8)
    cube = np.stack(np.meshgrid(every, every, every), -1).reshape(-1, len(every), 3)
    assert np.abs(convert_from_lab(convert_to_lab(cube)).astype(int) - cube).max() <= 1


def test_images_that_are_alike_are_not_changed() -> None:
    found = fit_colour_transform(PHOTO, PHOTO)
    assert np.abs(found.apply(PHOTO).astype(int) - PHOTO).max() <= 1
    assert found.spread == 1


def test_a_change_of_light_is_undone_around_a_changed_object() -> None:
    after = change_light(PHOTO)
    with_object = after.copy()
    with_object[30:110, 60:150] = (20, 180, 90)
    found = fit_colour_transform(PHOTO, with_object)
    assert difference(PHOTO, after) > 6
    assert difference(found.apply(PHOTO), after) < 1.5


def test_only_pixels_with_weight_count() -> None:
    after = change_light(PHOTO)
    ring = np.zeros(PHOTO.shape[:2])
    ring[20:140, 30:200] = 1
    ring[50:110, 60:170] = 0
    broken = np.where(ring[..., None] > 0, after, 255 - after).astype(np.uint8)
    found = fit_colour_transform(PHOTO, broken, ring).apply(PHOTO)
    assert difference(found[20:140, 30:200], after[20:140, 30:200]) < 2.5


def test_without_pixels_nothing_is_changed() -> None:
    nothing = fit_colour_transform(PHOTO, 255 - PHOTO, np.zeros(PHOTO.shape[:2]))
    assert np.abs(nothing.apply(PHOTO).astype(int) - PHOTO).max() <= 1


def test_a_ring_of_one_colour_shifts_other_colours_and_does_not_flatten_them() -> None:
    """Least squares alone would map every colour to that of the ring."""
    before = PHOTO.copy()
    ring = np.zeros(PHOTO.shape[:2])
    ring[:25] = 1
    before[:25] = 120
    after = before.copy()
    after[:25] = 130
    found = fit_colour_transform(before, after, ring).apply(before)
    assert np.abs(found[:25].astype(int) - 130).max() <= 1
    assert found[30:].std() == pytest.approx(before[30:].std(), rel=0.1)


def test_any_affine_transform_is_recovered_exactly() -> None:
    random = np.random.default_rng(0)
    before = random.uniform(0, 100, (40, 50, 3))
    after = before @ [[0.9, 0.1, 0.0], [0.0, 1.1, 0.05], [0.1, 0.0, 0.8]] + (3, -2, 5)
    transform, spread = fit_smooth_transform(before, after)
    assert np.abs(transform.apply(before) - after).max() < 1e-9
    assert spread == 1  # never less than rounding
