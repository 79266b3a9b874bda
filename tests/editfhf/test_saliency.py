"""Disks to map to PNG: the formula of the design in float64 is the oracle, two decoders read the files."""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from editfhf import saliency
from editfhf.saliency import SaliencyProfile, parse_sigma, quantise_saliency, render_saliency
from mos.errors import UserError

HALF_A_LEVEL = 0.5 / 255
PROFILES = get_args(SaliencyProfile)


def formula(disks: np.ndarray, height: int, width: int, sigma: float) -> np.ndarray:
    """The sum of Gaussians before scaling, float64, straight from the definition."""
    y, x = np.mgrid[:height, :width] + 0.5
    total = np.zeros((height, width))
    for xk, yk in disks:
        total += np.exp(-((x - xk) ** 2 + (y - yk) ** 2) / (2 * sigma**2))
    return total


def scattered(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Disks in and a little around the image."""
    return np.random.default_rng(seed).uniform([-5, -5], [width + 5, height + 5], (count, 2))


# --- the default profile -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (300, 41), (37, 250), (1, 1), (129, 128), (400, 520)])
@pytest.mark.parametrize("count", [1, 2, 12, 60])
def test_the_map_is_the_formula(size: tuple[int, int], count: int) -> None:
    height, width = size
    disks = scattered(count, height, width)
    sigma = max(3.0, height / 40)
    expected = formula(disks, height, width, sigma)
    found, peak = render_saliency(disks, height, width, sigma=sigma)
    assert found.dtype == np.float32 and found.shape == size
    assert peak == pytest.approx(expected.max(), rel=1e-4)
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-4)
    assert found.max() == 1.0 and found.min() >= 0


def test_sigma_is_a_fortieth_of_the_height() -> None:
    disks = scattered(5, 200, 100)
    np.testing.assert_array_equal(render_saliency(disks, 200, 100)[0], render_saliency(disks, 200, 100, sigma=5.0)[0])


def test_a_disk_at_a_pixel_centre_is_a_filtered_point() -> None:
    point = np.zeros((90, 120))
    point[40, 70] = 1
    expected = gaussian_filter(point, 4.0, truncate=8, mode="constant")
    found, peak = render_saliency([[70.5, 40.5]], 90, 120, sigma=4.0)
    assert peak == 1.0
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-5)


def test_a_disk_on_a_pixel_corner_is_symmetric() -> None:
    found, peak = render_saliency([[20.0, 10.0]], 20, 40, sigma=3.0)
    assert peak == pytest.approx(np.exp(-0.25 / 9), rel=1e-5)
    np.testing.assert_array_equal(found, found[::-1])
    np.testing.assert_array_equal(found, found[:, ::-1])


def test_a_disk_may_reach_over_the_border() -> None:
    whole, _ = render_saliency([[50.0, 50.0], [90.0, 98.0]], 100, 100, sigma=4.0)
    part, _ = render_saliency([[10.0, 50.0], [50.0, 98.0]], 97, 60, sigma=4.0)
    np.testing.assert_allclose(part, whole[:97, 40:] / whole[:97, 40:].max(), atol=1e-5)


def test_without_disks_the_map_is_empty() -> None:
    for disks in ([], np.empty((0, 2)), [[1e300, -1e300]], [[500.0, 5.0]]):
        found, peak = render_saliency(disks, 40, 30)
        assert peak == 0.0 and found.shape == (40, 30) and not found.any()


def test_the_map_is_exactly_where_the_disks_are() -> None:
    """Bands and columns that no disk reaches are skipped; nothing that would be a grey level is."""
    disks = np.array([[100.0, 60.0], [104.0, 700.0]])
    expected = formula(disks, 800, 300, 20.0)
    found, _ = render_saliency(disks, 800, 300)
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-5)
    assert not found[300:500].any()


disks_strategy = st.lists(st.tuples(st.floats(-20, 100), st.floats(-20, 80)), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(disks_strategy, st.randoms(use_true_random=False), st.sampled_from(PROFILES[:2]))
def test_the_order_of_disks_changes_no_byte(
    disks: list[tuple[float, float]], random: object, profile: SaliencyProfile
) -> None:
    shuffled = disks.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert saliency.render_saliency_png(disks, 60, 80, profile=profile) == saliency.render_saliency_png(
        shuffled, 60, 80, profile=profile
    )


@settings(max_examples=50, deadline=None)
@given(disks_strategy, st.integers(0, 9), st.integers(0, 9))
def test_moving_the_disks_moves_the_map(disks: list[tuple[float, float]], right: int, down: int) -> None:
    disks = [(round(x, 3) + 40, round(y, 3) + 40) for x, y in disks]
    moved = [(x + right, y + down) for x, y in disks]
    sigma = 3.0
    found, peak = render_saliency(disks, 200, 200, sigma=sigma)
    again, peak_again = render_saliency(moved, 200, 200, sigma=sigma)
    assert peak_again == pytest.approx(peak, abs=1e-5)
    np.testing.assert_allclose(again[down:, right:], found[: 200 - down, : 200 - right], atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(disks_strategy, st.floats(2, 30))
def test_the_map_reaches_one_and_255(disks: list[tuple[float, float]], sigma: float) -> None:
    centred = [*disks, (30.5, 20.5)]
    found, peak = render_saliency(centred, 60, 80, sigma=sigma)
    assert peak >= 1 - 1e-5
    assert found.max() == 1 and quantise_saliency(found).max() == 255


def test_many_disks_need_little_memory() -> None:
    disks = scattered(100_000, 120, 160)
    expected = np.zeros((120, 160))
    y, x = np.arange(120) + 0.5, np.arange(160) + 0.5
    for part in np.array_split(disks, 50):
        across = np.exp(-((x - part[:, :1]) ** 2) / 18)
        expected += np.exp(-((y - part[:, 1:]) ** 2) / 18).T @ across
    found, peak = render_saliency(disks, 120, 160)
    assert peak == pytest.approx(expected.max(), rel=1e-4)
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-4)


# --- the other profiles ------------------------------------------------------------------------------------------


def convolved_disk(height: int, width: int, x: float, y: float, radius: float, sigma: float) -> np.ndarray:
    """A disk drawn eight times finer, blurred, and read at the pixel centres."""
    fine = 8
    v, u = (np.mgrid[: height * fine, : width * fine] + 0.5) / fine
    blurred = gaussian_filter(((u - x) ** 2 + (v - y) ** 2 <= radius**2).astype(float), sigma * fine, truncate=6)
    around = blurred.reshape(height, fine, width, fine)[
        :, fine // 2 - 1 : fine // 2 + 1, :, fine // 2 - 1 : fine // 2 + 1
    ]
    return around.mean(axis=(1, 3))


@pytest.mark.parametrize("profile", PROFILES[1:])
@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_one_disk_is_a_blurred_disk(profile: SaliencyProfile, sigma: float) -> None:
    expected = convolved_disk(80, 96, 47.3, 38.8, 4.0, sigma)
    found, peak = render_saliency([[47.3, 38.8]], 80, 96, sigma=sigma, profile=profile)
    tolerance = 2e-3 if profile == "disk*gaussian" else 0.03  # the union is drawn in whole pixels
    np.testing.assert_allclose(found, expected / expected.max(), atol=tolerance)
    centre = 1 - np.exp(-(4.0**2) / (2 * sigma**2))  # a standard normal point within 4 / sigma
    expected_peak = expected.max() / (centre if profile == "disk*gaussian" else 1)
    assert peak == pytest.approx(expected_peak, abs=tolerance)


def test_convolved_disks_add_up_and_unions_do_not() -> None:
    once, twice = [[40.5, 40.5]], [[40.5, 40.5]] * 2
    assert render_saliency(twice, 80, 80, profile="disk*gaussian")[1] == pytest.approx(2.0, abs=1e-4)
    np.testing.assert_array_equal(
        render_saliency(once, 80, 80, profile="union+blur")[0], render_saliency(twice, 80, 80, profile="union+blur")[0]
    )


def test_a_union_is_the_mean_over_annotators() -> None:
    """Two of three annotators agree on the left disk: it stands at 2/3, the right one at 1/3."""
    disks = [[40.5, 60.5], [41.0, 60.5], [140.5, 60.5]]
    found, peak = render_saliency(disks, 120, 180, sigma=1.0, profile="union+blur", groups=[7, 3, 5])
    assert peak == pytest.approx(2 / 3, abs=1e-3)
    assert found[60, 140] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("profile", PROFILES[:2])
def test_grouping_a_sum_divides_its_peak_only(profile: SaliencyProfile) -> None:
    disks = scattered(6, 80, 80)
    alone, peak = render_saliency(disks, 80, 80, profile=profile)
    mean, peak_of_mean = render_saliency(disks, 80, 80, profile=profile, groups=[0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(mean, alone)
    assert peak_of_mean == pytest.approx(peak / 3)


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_know_the_border_and_the_empty_map(profile: SaliencyProfile) -> None:
    found, peak = render_saliency([[-1.0, 20.0]], 40, 60, profile=profile)
    assert 0 < peak < 1 and found.max() == 1 and found[:, 30:].max() == 0
    assert render_saliency([], 40, 60, profile=profile)[1] == 0.0
    assert render_saliency([[-500.0, 20.0]], 40, 60, profile=profile)[1] == 0.0


# --- what cannot be drawn ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disks", "options", "message"),
    [
        ([[np.nan, 1.0]], {}, "NaN"),
        ([[np.inf, 1.0]], {}, "infinite"),
        ([[1.0, 2.0, 3.0]], {}, r"\[K, 2\]"),
        ([1.0, 2.0], {}, r"\[K, 2\]"),
        ([[1.0, 2.0]], {"sigma": 0.0}, "positive"),
        ([[1.0, 2.0]], {"sigma": float("nan")}, "positive"),
        ([[1.0, 2.0]], {"height": 0}, "positive"),
        ([[1.0, 2.0]], {"profile": "box"}, "union\\+blur"),
        ([[1.0, 2.0]], {"profile": "disk*gaussian", "sigma": 0.01}, "sigma"),
        ([[1.0, 2.0]], {"groups": [1, 2]}, "groups"),
    ],
)
def test_what_cannot_be_drawn_is_refused(disks: object, options: dict[str, object], message: str) -> None:
    arguments = {"height": 20, "width": 30} | options
    with pytest.raises(ValueError, match=message):
        render_saliency(disks, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "height", "pixels"),
    [("H/40", 1024, 25.6), ("0.025H", 1024, 25.6), ("12px", 7, 12.0), (" .5H ", 10, 5.0), ("H/2.5", 10, 4.0)],
)
def test_sigma_is_read_in_shares_or_pixels(text: str, height: int, pixels: float) -> None:
    assert parse_sigma(text).pixels(height) == pytest.approx(pixels)


def test_the_default_sigma_can_be_said() -> None:
    assert parse_sigma("H/40") == saliency.DEFAULT_SIGMA


@pytest.mark.parametrize("text", ["", "12", "px", "H", "H/0", "0px", "-1px", "1e3px", "nan px", "H/40px", "infH"])
def test_other_sigmas_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected a share of the height"):
        parse_sigma(text)


# --- grey levels and files ---------------------------------------------------------------------------------------


def test_halves_are_rounded_to_even_levels_as_numpy_does() -> None:
    values = np.array([[0, 0.5 / 255, 0.4999 / 255, 1.5 / 255, 0.5, 254.5 / 255, 1]], np.float32)
    assert (
        quantise_saliency(values).tolist()
        == np.rint(values * np.float32(255)).tolist()
        == [[0, 0, 0, 2, 128, 254, 255]]
    )


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01])
def test_values_outside_the_scale_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        quantise_saliency(np.array([[0.5, bad]], np.float32))


def test_grey_levels_are_within_half_a_level() -> None:
    disks = scattered(12, 256, 256)
    expected = formula(disks, 256, 256, 6.4)
    grey = quantise_saliency(render_saliency(disks, 256, 256)[0])
    assert np.abs(grey / 255 - expected / expected.max()).max() < HALF_A_LEVEL + 1e-5


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("count", [0, 1, 12])
def test_one_call_is_the_three_steps_and_two_decoders_agree(profile: SaliencyProfile, count: int) -> None:
    disks = scattered(count, 300, 200)
    saliency_map, peak = render_saliency(disks, 300, 200, profile=profile)
    grey = quantise_saliency(saliency_map)
    data, again = saliency.render_saliency_png(disks, 300, 200, profile=profile)
    assert again == peak
    assert data == saliency.encode_saliency(grey)
    with Image.open(BytesIO(data)) as image:
        assert (image.format, image.mode, image.info) == ("PNG", "L", {})
        np.testing.assert_array_equal(np.asarray(image), grey)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), grey)


def test_any_grey_image_survives_the_file() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (57, 91), np.uint8)
    for pixels in (grey, grey[:, ::2], np.zeros((5, 3), np.uint8)):
        with Image.open(BytesIO(saliency.encode_saliency(pixels))) as image:
            np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_only_grey_images_are_encoded(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        saliency.encode_saliency(bad)


DIGEST = """
import hashlib, sys
import numpy as np
from editfhf import saliency
random = np.random.default_rng(5)
digest = hashlib.sha256()
for count in (1, 2, 3, 7, 12, 33, 60):
    for height, width in ((512, 512), (333, 517)):
        disks = random.uniform(0, [width, height], (count, 2))
        for profile in ("gaussian", "disk*gaussian", "union+blur")[: 3 if count == 7 else 2]:
            values, peak = saliency.render_saliency(disks, height, width, profile=profile)
            digest.update(values.tobytes() + repr(peak).encode())
sys.stdout.write(digest.hexdigest())
"""


@pytest.mark.slow
def test_values_do_not_depend_on_threads_or_processor() -> None:
    """Different BLAS kernels stand for different processors: their sums differ in the last bits, ours may not."""
    kernels = [{"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "2"}, {"OPENBLAS_CORETYPE": "Prescott"}]
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env=os.environ | kernel, check=True, capture_output=True, text=True
        ).stdout
        for kernel in kernels
    }
    assert len(digests) == 1 and len(digests.pop()) == 64
