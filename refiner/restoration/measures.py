"""How near a repaired image is to the hidden clean target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import Box
from training.metrics.results import MetricResult

ROUNDING_NOISE = 1 / 12
"""Mean squared error of rounding to whole grey values. An image is not measured nearer than that (58.9 dB)."""

WORSE_BY = 0.05
"""Decibels by which an image must fall to count as worse: less is rounding."""


def compute_psnr(image: RgbImage, target: RgbImage) -> float:
    """Peak signal-to-noise ratio in dB, at most 58.9.

    Formula: 10 log10(255^2 / max(MSE, 1/12)), the mean taken over all pixels and channels.

    >>> grey = np.full((8, 8, 3), 100, np.uint8)
    >>> round(compute_psnr(grey, grey), 2), round(compute_psnr(grey, grey + np.uint8(10)), 2)
    (58.92, 28.13)
    """
    error = float(np.mean(np.square(image.astype(np.float32) - target.astype(np.float32)), dtype=np.float64))
    return 10 * math.log10(255**2 / max(error, ROUNDING_NOISE))


def mark_boxes(boxes: Sequence[Box], height: int, width: int) -> NDArray[np.bool_]:
    """bool [H, W]: the pixels that lie in any of the boxes, at least in part."""
    inside = np.zeros((height, width), bool)
    for box in boxes:
        top, left = max(0, math.floor(box.y0)), max(0, math.floor(box.x0))
        inside[top : math.ceil(box.y1), left : math.ceil(box.x1)] = True
    return inside


def measure_restoration(
    clean: RgbImage, flawed: RgbImage, result: RgbImage, boxes: Sequence[Box], *, has_flaws: bool
) -> MetricResult:
    """Compare a repaired image with the clean target.

    Parameters
    ----------
    clean, flawed, result : ndarray
        uint8 [H, W, 3]: the hidden target, the input of the repair, and what came of it.
    boxes : sequence of Box
        True flaws, in pixels of `flawed`.
    has_flaws : bool
        Whether there is anything to repair.

    Returns
    -------
    MetricResult
        `psnr_gain` and `ssim_gain`: of the result over the input; `not_worse`: 1 if the PSNR did not fall;
        `delta_e_inside`, `delta_e_outside`: mean CIEDE2000 difference from the target, in and out of the boxes;
        `untouched`: 1 if no pixel changed. A clean image has only `untouched`, one with flaws all others.
    """
    settings: dict[str, Any] = {"psnr_floor": ROUNDING_NOISE, "worse_by": WORSE_BY}
    if not has_flaws:
        reasons = dict.fromkeys(_FLAWED_VALUES, "the image has no flaw")
        untouched = float(np.array_equal(result, flawed))
        return MetricResult(dict.fromkeys(_FLAWED_VALUES, math.nan) | {"untouched": untouched}, settings, reasons)
    gain = compute_psnr(result, clean) - compute_psnr(flawed, clean)
    inside = mark_boxes(boxes, *clean.shape[:2])
    difference = _compute_delta_e(result, clean)
    reasons = {"untouched": "the image has flaws"}
    shares = {}
    for name, where in (("delta_e_inside", inside), ("delta_e_outside", ~inside)):
        shares[name] = float(difference[where].mean()) if where.any() else math.nan
        if not where.any():
            reasons[name] = "the boxes leave no such pixel"
    values = {
        "psnr_gain": gain,
        "ssim_gain": compute_ssim(result, clean) - compute_ssim(flawed, clean),
        "not_worse": float(gain >= -WORSE_BY),
        **shares,
        "untouched": math.nan,
    }
    return MetricResult(values, settings, reasons)


_FLAWED_VALUES = ("psnr_gain", "ssim_gain", "not_worse", "delta_e_inside", "delta_e_outside")


def compute_ssim(image: RgbImage, target: RgbImage) -> float:
    """Structural similarity of the grey images with Gaussian weights (Wang et al. 2004), by scikit-image."""
    from skimage.metrics import structural_similarity

    first, second = (_to_grey(one) for one in (image, target))
    if min(first.shape) < 11:
        return math.nan
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            first, second, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def _compute_delta_e(image: RgbImage, target: RgbImage) -> NDArray[Any]:
    from skimage.color import deltaE_ciede2000, rgb2lab

    return np.asarray(deltaE_ciede2000(rgb2lab(image), rgb2lab(target)))  # type: ignore[no-untyped-call]


def _to_grey(image: RgbImage) -> NDArray[np.float64]:
    return np.asarray(image @ np.array([0.299, 0.587, 0.114]))
