"""Baselines: the contract of perception, and what each of them must and must not find."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import correlate
from skimage import data

from training.agents.protocols import Perception
from training.agents.registry import list_agents, load_agent
from training.baselines.aim import _load_basis, filter_image
from training.baselines.difference import compute_colour_residual
from training.baselines.smvj import find_faces, render_faces
from training.baselines.swd import compute_swd_strength
from training.metrics.maps import clean_image_metrics, mark_positives
from training.metrics.roc_area import auc_judd

PHOTO = cv2.resize(data.astronaut(), (320, 240), interpolation=cv2.INTER_AREA)


def with_square(image: np.ndarray) -> np.ndarray:
    """A green square of 40 x 40 pixels around (200, 100)."""
    changed = image.copy()
    changed[80:120, 180:220] = (30, 200, 60)
    return changed


def scale_colours(image: np.ndarray) -> np.ndarray:
    """Warm, brighter, and lit from the right: an affine change of colours and a smooth one over the image."""
    light = np.linspace(0.95, 1.1, image.shape[1])[None, :, None]
    return np.clip(image * light * (1.05, 1.0, 0.85) + 8, 0, 255).astype(np.uint8)


HAND_CRAFTED = ["aim", "ca", "itti", "smvj", "swd"]


@pytest.mark.parametrize("name", ["centre", "difference", *HAND_CRAFTED])
@pytest.mark.parametrize("shape", [(240, 320), (5, 7), (1, 1), (300, 20)])
def test_agents_keep_the_contract(name: str, shape: tuple[int, int]) -> None:
    agent = load_agent("perception", name)
    source, current = PHOTO, cv2.resize(with_square(PHOTO), shape[::-1])
    found = agent.perceive(source, current, "Add a square.")
    assert isinstance(agent, Perception)
    assert found.artifact.shape == found.failure.shape == shape  # PerceivedMaps checks type and range
    assert (found.agent.family, found.agent.name) == ("baseline", name)
    again = load_agent("perception", name).perceive(source, current, "Add a square.")
    assert np.array_equal(found.artifact, again.artifact)


def test_baselines_are_listed() -> None:
    assert set(list_agents("perception")) >= {"centre", "difference", *HAND_CRAFTED}


def test_the_centre_prior_raises_no_alarm() -> None:
    found = load_agent("perception", "centre").perceive(PHOTO, PHOTO, "")
    assert clean_image_metrics(found.artifact)["alarm"] == 0
    positives = mark_positives([[160, 120]], *PHOTO.shape[:2])
    assert auc_judd(found.artifact, positives)["auc_judd"] > 0.99


CHANGES = {
    "nothing": lambda image: image,
    "JPEG": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], 1),
    "colours and light": scale_colours,
    "colours, light and JPEG": lambda image: cv2.imdecode(cv2.imencode(".jpg", scale_colours(image))[1], 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_smooth_changes_of_all_colours_are_no_difference(name: str) -> None:
    found = load_agent("perception", "difference").perceive(PHOTO, CHANGES[name](PHOTO), "")
    assert found.artifact.max() < 0.2
    assert found.artifact.mean() < 0.02  # chroma of a small JPEG is wrong at edges


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_object_is_found_under_any_smooth_change(name: str) -> None:
    found = load_agent("perception", "difference").perceive(PHOTO, CHANGES[name](with_square(PHOTO)), "")
    inside, outside = found.artifact[85:115, 185:215], found.artifact.copy()
    outside[60:140, 160:240] = 0
    assert inside.min() > 0.5
    assert outside.max() < 0.2


def test_a_colour_transform_is_recovered_exactly_around_a_large_changed_object() -> None:
    random = np.random.default_rng(0)
    before = random.uniform(0, 100, (40, 50, 3))
    mix = np.array([[0.9, 0.1, 0.0], [0.0, 1.1, 0.05], [0.1, 0.0, 0.8]])
    after = before @ mix + np.linspace(-5, 5, 50)[None, :, None] + np.array([3.0, -2.0, 5.0])
    changed = np.zeros((40, 50), bool)
    changed[:, :15] = True  # 30 % of the image
    moved = after.copy()
    moved[changed] += random.uniform(40, 80, (changed.sum(), 3))
    residual = compute_colour_residual(before, moved)
    assert np.abs(residual[~changed]).max() < 1e-6
    assert residual[changed] == pytest.approx((moved - after)[changed], abs=1e-6)


def draw_grid(odd: tuple[int, int, int], others: tuple[int, int, int]) -> np.ndarray:
    """Grey, with 6 x 8 squares of one colour and one of another around (184, 104)."""
    image = np.full((240, 320, 3), 128, np.uint8)
    for row in range(6):
        for column in range(8):
            y, x = 16 + 36 * row, 22 + 36 * column
            image[y : y + 16, x : x + 16] = odd if (row, column) == (2, 4) else others
    return image


@pytest.mark.parametrize("name", ["aim", "ca", "itti", "swd"])
def test_what_is_unlike_all_others_pops_out(name: str) -> None:
    """A red square among green ones: the highest value lies within a square and a half of it."""
    image = draw_grid((220, 40, 40), (40, 170, 40))
    found = load_agent("perception", name).perceive(image, image, "").artifact
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert abs(y - 96) <= 28
    assert abs(x - 174) <= 28


@pytest.mark.parametrize("name", HAND_CRAFTED)
def test_a_map_is_on_an_absolute_scale(name: str) -> None:
    """No map is stretched to its own maximum: that of a flat image is zero but for rounding."""
    flat = np.full((120, 160, 3), 100, np.uint8)
    assert load_agent("perception", name).perceive(flat, flat, "").artifact.max() < 0.01


def test_faces_are_found_and_marked_at_their_centre() -> None:
    (x0, y0, x1, y1), *_ = find_faces(data.astronaut())
    assert (x0 + x1) / 2 == pytest.approx(224, abs=12)  # scikit-image's own cascade: row 70, column 175, 93 pixels
    assert (y0 + y1) / 2 == pytest.approx(116, abs=12)
    channel = render_faces(data.astronaut())
    x = int(channel.argmax()) % channel.shape[1]
    assert abs(x + 0.5 - (x0 + x1) / 2) <= 1
    assert channel.max() == pytest.approx(1, abs=1e-3)


def test_aim_correlates_with_its_filters() -> None:
    """The Fourier transform gives the correlation that scipy computes place by place."""
    random = np.random.default_rng(0)
    image, basis = random.random((9, 11, 3)), random.normal(size=(2, 5, 5, 3))
    expected = [
        sum(correlate(image[..., channel], each[..., channel], mode="nearest") for channel in range(3))
        for each in basis
    ]
    assert filter_image(image, basis) == pytest.approx(np.array(expected), abs=1e-9)


def test_the_basis_of_aim_has_no_mean() -> None:
    basis, digest = _load_basis()
    assert basis.shape == (25, 21, 21, 3)
    assert np.abs(basis.mean(axis=(1, 2, 3))).max() < 1e-3 * np.abs(basis).max()
    assert load_agent("perception", "aim").identity.digest == digest


def test_swd_is_its_formula_patch_by_patch() -> None:
    image = PHOTO[:84, :112]
    found = compute_swd_strength(image)
    patches = [
        cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[14 * row : 14 * row + 14, 14 * column : 14 * column + 14].ravel()
        for row in range(6)
        for column in range(8)
    ]
    centred = np.array(patches, float) - np.mean(patches, axis=0)
    vectors = np.linalg.eigh(centred @ centred.T)[1][:, ::-1][:, :11] * np.sqrt(48)
    expected = np.zeros((6, 8))
    furthest = np.hypot(2.5, 3.5)
    for p in range(48):
        row, column = divmod(p, 8)
        total = sum(
            np.abs(vectors[p] - vectors[q]).sum() / (1 + np.hypot(row - q // 8, column - q % 8)) for q in range(48)
        )
        expected[row, column] = (1 - np.hypot(row - 2.5, column - 3.5) / furthest) * total / 48
    expected = cv2.GaussianBlur(expected, (3, 3), 3, borderType=cv2.BORDER_REPLICATE)
    assert found == pytest.approx(expected, rel=1e-3)
