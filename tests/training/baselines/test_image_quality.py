"""Image quality against scikit-image, explicit loops, and algebra."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from scipy.ndimage import correlate
from skimage import data, metrics

from annotation.records import DIMENSIONS
from training.agents.registry import load_agent
from training.baselines import image_quality

PHOTO = cv2.resize(data.astronaut(), (96, 80), interpolation=cv2.INTER_AREA)
MEASURES = ("psnr", "ssim", "ms-ssim", "gmsd", "vif", "nmi")


def add_noise(sd: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sd, PHOTO.shape)
    return np.clip(np.rint(PHOTO + noise), 0, 255).astype(np.uint8)


NOISY = add_noise(20)


def test_psnr_and_ssim_and_mutual_information_are_those_of_scikit_image() -> None:
    luma = [image_quality.to_luma(each) for each in (PHOTO, NOISY)]
    ssim = metrics.structural_similarity(
        *luma, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert image_quality.compute_ssim(PHOTO, NOISY) == pytest.approx(ssim, abs=1e-9)
    assert image_quality.compute_psnr(PHOTO, NOISY) == pytest.approx(
        metrics.peak_signal_noise_ratio(PHOTO, NOISY), abs=1e-9
    )
    assert image_quality.compute_nmi(PHOTO, NOISY) == pytest.approx(
        metrics.normalized_mutual_information(*luma), abs=1e-9
    )


def test_one_scale_of_ms_ssim_is_ssim() -> None:
    small, noisy = PHOTO[:20, :20], NOISY[:20, :20]
    assert image_quality.compute_ms_ssim(small, noisy) == pytest.approx(image_quality.compute_ssim(small, noisy))


def test_gmsd_is_its_formula_pixel_by_pixel() -> None:
    magnitudes = []
    for image in (PHOTO, NOISY):
        luma = image @ np.array([0.299, 0.587, 0.114])
        halved = luma.reshape(40, 2, 48, 2).mean(axis=(1, 3))
        across = np.array([[1, 0, -1]] * 3) / 3
        magnitudes.append(
            np.sqrt(correlate(halved, across, mode="constant") ** 2 + correlate(halved, across.T, mode="constant") ** 2)
        )
    first, second = magnitudes
    similarity = [(2 * a * b + 170) / (a * a + b * b + 170) for a, b in zip(first.ravel(), second.ravel(), strict=True)]
    assert image_quality.compute_gmsd(PHOTO, NOISY) == pytest.approx(np.std(similarity, ddof=1), rel=1e-9)


def test_vif_of_scaled_contrast_follows_from_local_variances() -> None:
    """Of image = a * reference + b there is no noise: each place keeps log(1 + a^2 s / 2) of log(1 + s / 2)."""
    reference = np.repeat(np.random.default_rng(0).integers(0, 100, (60, 60, 1)), 3, axis=2).astype(np.float64)
    kept = total = 0.0
    level = reference[..., 0]
    for scale in range(1, 5):
        side = 2 ** (5 - scale) + 1
        axis = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * (side / 5) ** 2))
        window = np.outer(axis, axis) / axis.sum() ** 2
        half = side // 2

        def average(values: np.ndarray, window: np.ndarray = window, half: int = half) -> np.ndarray:
            return correlate(values, window, mode="constant")[half:-half, half:-half]

        if scale > 1:
            level = average(level)[::2, ::2]
        if min(level.shape) < side:
            break
        variance = np.maximum(0, average(level * level) - average(level) ** 2)
        kept += np.log1p(0.25 * variance / 2).sum()
        total += np.log1p(variance / 2).sum()
    assert image_quality.compute_vif(reference, 0.5 * reference + 30) == pytest.approx(kept / total, rel=1e-6)
    assert image_quality.compute_vif(reference, 1.5 * reference) > 1


@pytest.mark.parametrize("name", MEASURES)
def test_scores_fall_with_damage_and_are_100_without(name: str) -> None:
    agent = load_agent("evaluation", name)
    values = []
    for image in (PHOTO, add_noise(5), add_noise(15), add_noise(45)):
        scores = agent.evaluate(PHOTO, image, "")
        assert [score.dimension for score in scores] == list(DIMENSIONS)
        assert len({score.value for score in scores}) == 1
        values.append(scores[0].value)
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    assert values[0] == pytest.approx(50 if name == "vif" else 100)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (12, 9)])
def test_small_and_flat_images_have_a_score(name: str, shape: tuple[int, int]) -> None:
    flat = np.full((*shape, 3), 77, np.uint8)
    (score, *_) = load_agent("evaluation", name).evaluate(PHOTO, flat, "")
    assert score.value is not None
    assert math.isfinite(score.value)
