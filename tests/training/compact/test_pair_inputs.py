"""The network's inputs: what a shift, a zoom and a colour cast of the whole image leave behind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from annotation.records import Box
from training.compact.flaw_classes import encode_boxes
from training.compact.pair_inputs import CELL, COLUMNS, CUE_COUNT, HEIGHT, ROWS, WHOLE_COUNT, WIDTH, prepare_pair

PHOTO = cv2.resize(data.astronaut(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
RESIDUAL = 12  # place of the residual's size among the cues


def render(image: np.ndarray) -> np.ndarray:
    """Move the image by a few pixels, zoom it a little, and let its colours drift."""
    move = np.array([[1.01, 0, 2.5], [0, 1.01, -3.25]])
    moved = cv2.warpAffine(image, move, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.clip(moved * (1.08, 1.0, 0.9) + 4, 0, 255).astype(np.uint8)


def test_a_rendered_image_has_a_residual_only_where_it_was_changed() -> None:
    changed = PHOTO.copy()
    changed[120:160, 200:240] = (20, 220, 40)
    inputs = prepare_pair(PHOTO, render(changed), "Add a square.")
    residual = inputs.cues[RESIDUAL]
    inside = residual[120 // CELL : 160 // CELL, 208 // CELL : 240 // CELL]
    assert inside.mean() > 8 * np.median(residual)
    fitted = cv2.absdiff(inputs.images[0], inputs.images[1])[20:100, 20:-20].mean()
    raw = cv2.absdiff(PHOTO, inputs.images[1])[20:100, 20:-20].mean()
    assert fitted < raw / 3


@pytest.mark.parametrize("sizes", [((1, 1), (1, 1)), ((600, 90), (70, 800)), ((5, 7), (320, 384))])
def test_any_sizes_give_finite_arrays(sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    source, current = (cv2.resize(PHOTO, size[::-1]).reshape(*size, 3) for size in sizes)
    inputs = prepare_pair(source, current, "x")
    assert inputs.images.shape == (2, HEIGHT, WIDTH, 3) and inputs.images.dtype == np.uint8
    assert inputs.cues.shape == (CUE_COUNT, ROWS, COLUMNS) and inputs.whole.shape == (WHOLE_COUNT,)
    assert np.isfinite(inputs.cues).all() and np.isfinite(inputs.whole).all()


def test_boxes_cover_their_area_of_the_grid() -> None:
    boxes = [
        ("artifact", Box(4, 8, 36, 24)),
        ("failure", Box(-50, -50, -40, -40)),
        ("failure", Box(0, 0, WIDTH, HEIGHT)),
    ]
    arrays = encode_boxes(boxes)
    assert arrays["masks"][0].sum() * CELL**2 == pytest.approx(32 * 16)
    assert arrays["masks"][1].sum() > 0  # outside: the nearest cell
    assert (arrays["masks"][2] == 1).all()
    assert np.isfinite(arrays["geometry"]).all() and arrays["kinds"].tolist() == [[1, 0], [0, 1], [0, 1]]
