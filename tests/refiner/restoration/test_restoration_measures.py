"""The measures of the restoration benchmark, against algebra and scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from annotation.records import Box
from refiner.restoration.measures import compute_psnr, compute_ssim, mark_boxes, measure_restoration

RANDOM = np.random.default_rng(3)
CLEAN = RANDOM.integers(0, 256, (40, 60, 3)).astype(np.uint8)
BOX = Box(10.0, 5.0, 30.0, 25.0)


def flawed() -> np.ndarray:
    image = CLEAN.copy()
    image[5:25, 10:30] = 255 - image[5:25, 10:30]
    return image


def test_psnr_is_that_of_scikit_image() -> None:
    assert compute_psnr(flawed(), CLEAN) == pytest.approx(peak_signal_noise_ratio(CLEAN, flawed()), abs=1e-6)


def test_ssim_is_that_of_scikit_image_on_the_grey_images() -> None:
    grey = [image @ np.array([0.299, 0.587, 0.114]) for image in (flawed(), CLEAN)]
    expected = structural_similarity(
        *grey, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert compute_ssim(flawed(), CLEAN) == pytest.approx(expected)


def test_a_perfect_repair_gains_up_to_the_noise_of_rounding() -> None:
    result = measure_restoration(CLEAN, flawed(), CLEAN, [BOX], has_flaws=True)
    assert result["psnr_gain"] == pytest.approx(10 * math.log10(255**2 * 12) - compute_psnr(flawed(), CLEAN))
    assert result["delta_e_inside"] == result["delta_e_outside"] == 0
    assert result["not_worse"] == 1
    assert result["ssim_gain"] > 0


def test_doing_nothing_gains_nothing_and_is_not_worse() -> None:
    result = measure_restoration(CLEAN, flawed(), flawed(), [BOX], has_flaws=True)
    assert (result["psnr_gain"], result["ssim_gain"], result["not_worse"]) == (0, 0, 1)
    assert result["delta_e_inside"] > result["delta_e_outside"] == 0


def test_harm_outside_of_the_boxes_is_told_apart() -> None:
    harmed = CLEAN.copy()
    harmed[30:] = 0
    result = measure_restoration(CLEAN, flawed(), harmed, [BOX], has_flaws=True)
    assert result["delta_e_inside"] == 0 < result["delta_e_outside"]


def test_a_clean_image_counts_as_untouched_or_not_and_as_nothing_else() -> None:
    same = measure_restoration(CLEAN, CLEAN, CLEAN, [], has_flaws=False)
    changed = measure_restoration(CLEAN, CLEAN, flawed(), [], has_flaws=False)
    assert (same["untouched"], changed["untouched"]) == (1, 0)
    assert math.isnan(same["psnr_gain"])
    assert same.reasons["psnr_gain"] == "the image has no flaw"


def test_a_box_covers_the_pixels_that_it_touches() -> None:
    assert mark_boxes([Box(0.5, 0.0, 2.0, 1.5)], 3, 4).astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4]
    assert not mark_boxes([], 3, 4).any()
    assert mark_boxes([Box(-5.0, -5.0, 99.0, 99.0)], 3, 4).all()
