"""Paste-back: outside of the mask no bit changes; what an editor did to place and colours is undone or refused."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage import data

from editfhf.editors.mask_geometry import PixelBox, bound_mask, fade_inside, make_ring
from editfhf.editors.paste_back import paste_back

PHOTO = cv2.resize(data.coffee(), (300, 200), interpolation=cv2.INTER_AREA)
MASK = np.zeros(PHOTO.shape[:2], np.uint8)
MASK[70:130, 90:180] = 255
OUTSIDE = MASK == 0
EDITED = PHOTO.copy()
EDITED[80:120, 100:170] = (40, 160, 90)  # what the editor was asked for


def move(image: np.ndarray, x: float, y: float, zoom: float = 1.0) -> np.ndarray:
    """The image zoomed about its centre and shifted, by cubic splines of SciPy."""
    centre = (np.array(image.shape[:2]) - 1) / 2
    offset = centre - (centre + np.array([y, x])) / zoom
    channels = [
        ndimage.affine_transform(image[..., i].astype(float), [1 / zoom] * 2, offset, mode="mirror") for i in range(3)
    ]
    return np.clip(np.rint(np.stack(channels, -1)), 0, 255).astype(np.uint8)


def recolour(image: np.ndarray) -> np.ndarray:
    light = image * np.linspace(0.92, 1.05, image.shape[1])[None, :, None] * (1.06, 1.0, 0.9) + 5
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def error_inside(image: np.ndarray) -> float:
    """Mean difference to the wanted edit inside of the mask, away from its edge."""
    view = np.s_[76:124, 96:174]
    return float(np.abs(image[view].astype(float) - EDITED[view]).mean())


ANSWERS = {
    "as asked": EDITED,
    "shifted": move(EDITED, 3.4, -2.2),
    "zoomed": move(EDITED, 0, 0, 1.012),
    "recoloured": recolour(EDITED),
    "shifted, zoomed and recoloured": recolour(move(EDITED, -4.3, 1.6, 0.99)),
    "twice as large": cv2.resize(EDITED, (600, 400), interpolation=cv2.INTER_CUBIC),
    "a little stretched": cv2.resize(EDITED, (304, 200), interpolation=cv2.INTER_CUBIC),
    "cut to another aspect": cv2.copyMakeBorder(EDITED, 24, 24, 0, 0, cv2.BORDER_REFLECT),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_the_editor_did_to_the_whole_image_is_undone(name: str) -> None:
    result = paste_back(PHOTO, ANSWERS[name], MASK)
    assert result.refused == ""
    assert result.is_registered
    assert np.array_equal(result.image[OUTSIDE], PHOTO[OUTSIDE])
    assert error_inside(result.image) < 3
    assert (result.resized_from is not None) == (ANSWERS[name].shape != PHOTO.shape)


def test_an_answer_as_asked_is_taken_bit_by_bit() -> None:
    result = paste_back(PHOTO, EDITED, MASK)
    assert np.array_equal(result.image, EDITED)
    assert (result.spill_mean, result.spill_share, result.colour_change) == (0, 0, 0)


def test_without_colour_matching_the_cast_stays() -> None:
    cast = recolour(EDITED)
    kept = paste_back(PHOTO, cast, MASK, match_colour=False)
    assert error_inside(kept.image) > 2 * error_inside(paste_back(PHOTO, cast, MASK).image)
    assert np.array_equal(kept.image[OUTSIDE], PHOTO[OUTSIDE])


@pytest.mark.parametrize(
    "answer",
    [
        cv2.resize(data.astronaut(), (300, 200)),
        np.full_like(PHOTO, 128),
        PHOTO[:, ::-1].copy(),
        np.random.default_rng(0).integers(0, 255, PHOTO.shape, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["another photo", "grey", "mirrored", "noise", "one pixel"],
)
def test_an_answer_that_cannot_be_registered_is_refused_with_its_reason(answer: np.ndarray) -> None:
    result = paste_back(PHOTO, answer, MASK)
    assert "could not be registered" in result.refused
    assert np.array_equal(result.image, PHOTO)


def test_an_answer_without_the_region_is_refused() -> None:
    mask = np.zeros_like(MASK)
    mask[60:140, :20] = 255
    result = paste_back(PHOTO, move(PHOTO, -30, 0), mask)
    assert "beyond its border" in result.refused
    assert np.array_equal(result.image, PHOTO)


def test_spill_is_what_changed_outside() -> None:
    spilled = EDITED.copy()
    spilled[150:200, 0:60] = (250, 20, 200)  # 3000 of 54600 pixels
    result = paste_back(PHOTO, spilled, MASK)
    assert result.refused == ""
    assert result.spill_share == pytest.approx(3000 / OUTSIDE.sum(), rel=0.1)
    assert np.array_equal(result.image[OUTSIDE], PHOTO[OUTSIDE])
    assert paste_back(PHOTO, recolour(EDITED), MASK).spill_share < 0.01  # a smooth cast is no spill ...
    assert paste_back(PHOTO, recolour(EDITED), MASK).spill_mean > 3  # ... but a difference


def test_surroundings_that_show_nothing_do_not_prevent_an_edit() -> None:
    flat = np.full((120, 160, 3), 90, np.uint8)
    answer = flat.copy()
    mask = np.zeros((120, 160), np.uint8)
    mask[40:80, 50:110] = 255
    answer[45:75, 55:105] = (200, 30, 30)
    result = paste_back(flat, answer, mask)
    assert result.refused == ""
    assert not result.is_registered
    assert np.array_equal(result.image, answer)


def test_four_turns_and_a_png_lose_nothing_outside() -> None:
    current = PHOTO
    for turn in range(4):
        mask = np.zeros_like(MASK)
        mask[20 + 40 * turn : 50 + 40 * turn, 30:120] = 255
        answer = recolour(move(np.where(mask[..., None] > 0, 255 - current, current), 1.5 * turn, -1.0))
        before, current = current, paste_back(current, answer, mask).image
        assert np.array_equal(current[mask == 0], before[mask == 0])
        assert not np.array_equal(current, before)
    never = np.ones_like(OUTSIDE)
    for turn in range(4):
        never[20 + 40 * turn : 50 + 40 * turn, 30:120] = False
    file = BytesIO()
    Image.fromarray(current).save(file, "PNG")
    assert np.array_equal(np.asarray(Image.open(file))[never], PHOTO[never])


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_any_mask_any_size_any_answer(draw: st.DataObject) -> None:
    height, width = draw.draw(st.integers(1, 48)), draw.draw(st.integers(1, 48))
    random = np.random.default_rng(draw.draw(st.integers(0, 2**31)))
    current = random.integers(0, 255, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    y, x = draw.draw(st.integers(0, height - 1)), draw.draw(st.integers(0, width - 1))
    mask[y : y + draw.draw(st.integers(0, 48)), x : x + draw.draw(st.integers(0, 48))] = 255
    answer = random.integers(0, 255, draw.draw(st.sampled_from([(height, width, 3), (16, 24, 3), (1, 3, 3)])), np.uint8)
    result = paste_back(current, answer, mask)
    assert np.array_equal(result.image[mask == 0], current[mask == 0])
    assert result.image.shape == current.shape
    if result.refused:
        assert np.array_equal(result.image, current)


def test_arrays_of_another_kind_are_an_error() -> None:
    with pytest.raises(ValueError, match="mask must be"):
        paste_back(PHOTO, PHOTO, MASK[:10])
    with pytest.raises(ValueError, match="answer must be"):
        paste_back(PHOTO, PHOTO.astype(float), MASK)  # type: ignore[arg-type]


def test_a_region_fades_in_on_its_inside_only() -> None:
    weights = fade_inside(MASK, 6)
    assert (weights[OUTSIDE] == 0).all()
    assert (weights[~OUTSIDE] > 0).all()
    assert weights[100, 135] == 1
    assert (np.diff(weights[100, 90:100]) >= 0).all()
    at_border = np.zeros_like(MASK)
    at_border[:40] = 255
    assert (fade_inside(at_border, 6)[0] == 1).all()  # the border of the image is no edge


def test_a_narrow_region_is_changed_all_the_same() -> None:
    line = np.zeros_like(MASK)
    line[50, 20:200] = 255
    assert fade_inside(line, 20)[50, 100] > 0.8


def test_ring_and_bounds() -> None:
    ring = make_ring(MASK, 5)
    assert not (ring & ~OUTSIDE).any()
    grown = cv2.dilate(MASK, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)))
    assert (ring == ((grown > 0) & OUTSIDE)).mean() > 0.998
    assert bound_mask(MASK) == PixelBox(90, 70, 180, 130)
    assert bound_mask(np.zeros((3, 3))) is None
