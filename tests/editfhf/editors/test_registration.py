"""Registration: shifts and zooms made by SciPy and by Fourier transforms are measured and undone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import data
from skimage.registration import phase_cross_correlation

from editfhf.editors.registration import Registration, apply_registration, register_images

PHOTOS = {
    "astronaut": cv2.resize(data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA),
    "cat": data.chelsea(),
    "cup": cv2.resize(data.coffee(), (360, 240), interpolation=cv2.INTER_AREA),
}
MOVES = [(0.0, 0.0, 1.0), (0.3, -0.7, 1.0), (-4.6, 3.1, 0.997), (2.2, 1.5, 1.004), (23.0, -17.5, 1.0), (3.0, 2.0, 1.05)]


def move(image: np.ndarray, x: float, y: float, zoom: float) -> np.ndarray:
    """The image zoomed about its centre and shifted, by cubic splines of SciPy."""
    centre = (np.array(image.shape[:2]) - 1) / 2
    offset = centre - (centre + np.array([y, x])) / zoom
    channels = [
        ndimage.affine_transform(image[..., i].astype(float), [1 / zoom] * 2, offset, mode="mirror") for i in range(3)
    ]
    return np.clip(np.rint(np.stack(channels, -1)), 0, 255).astype(np.uint8)


def render(image: np.ndarray) -> np.ndarray:
    """Another light and colour, less detail, grain, and two changed objects."""
    height, width = image.shape[:2]
    light = image * np.linspace(0.9, 1.1, width)[None, :, None] * (1.08, 1.0, 0.88) + 8
    soft = cv2.GaussianBlur(light, (0, 0), 1.0) + np.random.default_rng(7).normal(0, 4, image.shape)
    changed = np.clip(soft, 0, 255).astype(np.uint8)
    changed[height // 5 : height // 2, width // 4 : width // 2] = (30, 200, 60)
    changed[height * 3 // 4 :, width // 2 : width * 4 // 5] = (220, 40, 30)
    return changed


def place_error(found: Registration, x: float, y: float, zoom: float, image: np.ndarray) -> float:
    """Largest error of the place of a corner, in pixels."""
    height, width = image.shape[:2]
    more = found.scale - zoom
    return max(
        float(np.hypot(found.shift_x - x + more * a * width / 2, found.shift_y - y + more * b * height / 2))
        for a in (-1, 1)
        for b in (-1, 1)
    )


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("moved", MOVES, ids=str)
def test_a_tenth_of_a_pixel_under_colour_drift_lost_detail_grain_and_changes(
    name: str, moved: tuple[float, float, float]
) -> None:
    photo = PHOTOS[name]
    found = register_images(photo, render(move(photo, *moved)))
    assert found.is_reliable
    assert place_error(found, *moved, photo) < 0.15  # at the corner, where the zoom's error adds
    assert np.hypot(found.shift_x - moved[0], found.shift_y - moved[1]) < 0.1
    assert found.uncertainty < 0.1


@pytest.mark.parametrize("shift", [(0.25, -0.5), (3.75, 2.1)])
def test_a_fourier_shift_is_measured_as_scikit_image_measures_it(shift: tuple[float, float]) -> None:
    photo = PHOTOS["cat"][:256, :256]
    spectrum = [ndimage.fourier_shift(np.fft.fftn(photo[..., i]), shift[::-1]) for i in range(3)]
    moved = np.clip(np.rint(np.stack([np.fft.ifftn(each).real for each in spectrum], -1)), 0, 255).astype(np.uint8)
    theirs, _, _ = phase_cross_correlation(photo.mean(axis=2), moved.mean(axis=2), upsample_factor=50)
    ours = register_images(photo, moved)
    assert (ours.shift_x, ours.shift_y) == pytest.approx(shift, abs=0.03)
    assert (ours.shift_y, ours.shift_x) == pytest.approx(-theirs, abs=0.06)
    assert ours.scale == pytest.approx(1, abs=2e-4)


def test_what_was_moved_comes_back_to_its_place() -> None:
    photo = PHOTOS["cup"]
    moved = move(photo, 3.3, -2.6, 1.006)
    back = apply_registration(moved, register_images(photo, moved))
    inner = np.s_[12:-12, 12:-12]
    before, after = (np.abs(image[inner].astype(float) - photo[inner]).mean() for image in (moved, back))
    assert after < 1.5 < before / 4
    assert np.array_equal(apply_registration(photo, Registration(0, 0, 1, 1, 0)), photo)


def test_what_may_differ_is_not_compared() -> None:
    """An object as large as two thirds of the image moves on its own; the mask tells of it."""
    photo = PHOTOS["astronaut"]
    moved = move(photo, 2.0, 1.0, 1.0)
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[:, 100:] = 255
    moved[mask > 0] = move(photo, -9.0, 6.0, 1.0)[mask > 0]
    found = register_images(photo, moved, mask)
    assert (found.shift_x, found.shift_y) == pytest.approx((2, 1), abs=0.1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("astronaut", PHOTOS["cup"]),
        ("cat", PHOTOS["astronaut"]),
        ("cup", np.random.default_rng(0).integers(0, 255, (240, 360, 3), np.uint8)),
        ("astronaut", PHOTOS["astronaut"][:, ::-1]),
    ],
)
def test_other_content_is_not_reliable(one: str, other: np.ndarray) -> None:
    height, width = PHOTOS[one].shape[:2]
    resized = np.ascontiguousarray(cv2.resize(other, (width, height)))
    assert not register_images(PHOTOS[one], resized).is_reliable


def test_nothing_to_see_is_not_reliable_and_moves_nothing() -> None:
    flat = np.full((90, 70, 3), 120, np.uint8)
    whole = np.full((90, 70), 255, np.uint8)
    for found in (register_images(flat, flat), register_images(PHOTOS["cat"][:90, :70], flat, whole)):
        assert not found.is_reliable
        assert (found.shift_x, found.shift_y, found.scale) == (0, 0, 1)


def test_stripes_tell_only_one_direction() -> None:
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = 220
    assert register_images(stripes, stripes).uncertainty > 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_images_of_any_size_give_finite_numbers(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = (random.integers(0, 255, (height, width, 3), np.uint8) for _ in range(2))
    found = register_images(one, other)
    assert np.isfinite((found.shift_x, found.shift_y, found.scale, found.response)).all()
    assert apply_registration(other, found).shape == one.shape


def test_sizes_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match="one size"):
        register_images(PHOTOS["cat"], PHOTOS["cup"])
