"""Full-reference image quality: how much an image differs from its source, as viewers of coding errors see it.

Pure functions of two images of one size. All but PSNR look at luma, Y = 0.299 R + 0.587 G + 0.114 B, from 0 to 255.
None knows what was asked for: a wanted change counts like damage.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

PEAK = 255.0

_SSIM_SIDE, _SSIM_SIGMA = 11, 1.5
_SSIM_C1, _SSIM_C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_GMSD_T = 170.0
_VIF_SCALES = 4
_VIF_NOISE = 2.0  # variance of the noise of the visual system
_LEAST_VARIANCE = 1e-10
_NMI_BINS = 100


def compute_psnr(reference: NDArray[Any], image: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio of two images [H, W, 3], in dB: 10 log10(255^2 / mean squared error).

    Returns
    -------
    float
        Infinite for equal images.

    Examples
    --------
    >>> black = np.zeros((4, 4, 3), np.uint8)
    >>> round(compute_psnr(black, black + np.uint8(255)), 6), compute_psnr(black, black)
    (0.0, inf)
    """
    difference = reference.astype(np.float64) - image
    error = float(np.mean(np.square(difference)))
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def compute_ssim(reference: NDArray[Any], image: NDArray[Any]) -> float:
    """Structural similarity of two images [H, W, 3], -1 to 1; 1 for equal images.

    Notes
    -----
    Formula: mean over places of (2 m1 m2 + C1)(2 s12 + C2) / ((m1^2 + m2^2 + C1)(s1^2 + s2^2 + C2)), in windows of
    11 x 11 with Gaussian weights of deviation 1.5, without the border. Source: Z. Wang, A. C. Bovik, H. R. Sheikh,
    E. P. Simoncelli, IEEE TIP 13(4), 2004, without the optional reduction to 256 pixels. An image with a side below 11
    is repeated at its border first.

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    >>> round(compute_ssim(image, image), 9), compute_ssim(image, 255 - image) < 0
    (1.0, True)
    """
    luminance, structure = _compare_structure(to_luma(reference), to_luma(image))
    return float(np.mean(luminance * structure))


def compute_ms_ssim(reference: NDArray[Any], image: NDArray[Any]) -> float:
    """Multi-scale structural similarity of two images [H, W, 3], 0 to 1; 1 for equal images.

    Notes
    -----
    Formula: the product over five scales of the mean of contrast and structure, and at the last one of luminance too,
    to the powers 0.0448, 0.2856, 0.3001, 0.2363, 0.1333; between scales means of 2 x 2 pixels. A negative mean counts
    as 0. Source: Z. Wang, E. P. Simoncelli, A. C. Bovik, Asilomar 2003. Below 176 pixels a side there are fewer scales,
    and their powers add up to 1.

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    >>> round(compute_ms_ssim(image, image), 9)
    1.0
    """
    first, second = to_luma(reference), to_luma(image)
    scales = 1
    while scales < len(_MS_WEIGHTS) and min(first.shape) >> scales >= _SSIM_SIDE:
        scales += 1
    weights = np.array(_MS_WEIGHTS[:scales]) / sum(_MS_WEIGHTS[:scales])
    value = 1.0
    for scale, weight in enumerate(weights.tolist(), start=1):
        luminance, structure = _compare_structure(first, second)
        mean = float(np.mean(luminance * structure if scale == scales else structure))
        value *= max(0.0, mean) ** weight
        if scale < scales:
            first, second = _halve(first), _halve(second)
    return value


def compute_gmsd(reference: NDArray[Any], image: NDArray[Any]) -> float:
    """Gradient magnitude similarity deviation of two images [H, W, 3], 0 or more; 0 for equal images.

    Notes
    -----
    Formula: the standard deviation over places of (2 g1 g2 + 170) / (g1^2 + g2^2 + 170), g the gradient magnitude by
    Prewitt filters, after means of 2 x 2 pixels and every second one. Source: W. Xue, L. Zhang, X. Mou, A. C. Bovik,
    IEEE TIP 23(2), 2014. Limits: damage that is everywhere alike has deviation 0.

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    >>> compute_gmsd(image, image)
    0.0
    """
    first, second = (_prewitt_magnitude(_halve(to_luma(each))) for each in (reference, image))
    similarity = (2 * first * second + _GMSD_T) / (first**2 + second**2 + _GMSD_T)
    return float(similarity.std(ddof=1)) if similarity.size > 1 else 0.0


def compute_vif(reference: NDArray[Any], image: NDArray[Any]) -> float:
    """Visual information fidelity of two images [H, W, 3], in the pixel domain; 1 for equal images, more for sharper.

    Notes
    -----
    Formula: with local variances s1^2, s2^2 and covariance s12 in Gaussian windows, g = s12 / s1^2 and
    v = s2^2 - g s12, the sum over four scales and places of log(1 + g^2 s1^2 / (v + 2)), divided by that of
    log(1 + s1^2 / 2). Source: H. R. Sheikh, A. C. Bovik, IEEE TIP 15(2), 2006; the pixel domain, windows and scales
    as in the authors' `vifp_mscale`. Scales for which an image is too small are left out. A flat reference holds no
    information: 1 if the image is as flat, else 0.

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)
    >>> round(compute_vif(image, image), 6)
    1.0
    """
    first, second = to_luma(reference), to_luma(image)
    kept = total = 0.0
    for scale in range(1, _VIF_SCALES + 1):
        side = 2 ** (_VIF_SCALES - scale + 1) + 1
        weights = _gaussian_weights(side, side / 5)
        if scale > 1:
            if min(first.shape) < side:
                break
            first, second = (_average_valid(each, weights)[::2, ::2] for each in (first, second))
        if min(first.shape) < side:
            break
        information = _compare_information(first, second, weights)
        kept, total = kept + information[0], total + information[1]
    if total <= 0:
        return 1.0 if np.array_equal(first, second) else 0.0
    return kept / total


def compute_nmi(reference: NDArray[Any], image: NDArray[Any]) -> float:
    """Normalised mutual information of two images [H, W, 3], 1 to 2; 2 for equal images.

    Notes
    -----
    Formula: (H(A) + H(B)) / H(A, B), entropies of histograms with 100 bins. Source: C. Studholme, D. L. G. Hill,
    D. J. Hawkes, Pattern Recognition 32(1), 1999, as in scikit-image. Two flat images have the value 2.

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    >>> round(compute_nmi(image, image), 9)
    2.0
    """
    joint = np.histogram2d(to_luma(reference).ravel(), to_luma(image).ravel(), bins=_NMI_BINS)[0]
    both = _entropy(joint)
    return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / both if both > 0 else 2.0


def to_luma(image: NDArray[Any]) -> NDArray[np.float64]:
    """Luma [H, W] of an image [H, W, 3], 0 to 255."""
    return np.asarray(image.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))


def _compare_structure(first: NDArray[Any], second: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The two factors of SSIM, luminance, and contrast with structure, at every place."""
    short = max(0, _SSIM_SIDE - min(first.shape))
    if short:
        first, second = (np.pad(each, (short + 1) // 2, mode="edge") for each in (first, second))
    weights = _gaussian_weights(_SSIM_SIDE, _SSIM_SIGMA)
    m1, m2, s11, s22, s12 = _local_moments(first, second, weights)
    luminance = (2 * m1 * m2 + _SSIM_C1) / (m1**2 + m2**2 + _SSIM_C1)
    structure = (2 * s12 + _SSIM_C2) / (s11 + s22 + _SSIM_C2)
    return luminance, structure


def _local_moments(first: NDArray[Any], second: NDArray[Any], weights: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Means, variances and covariance in windows, without the border."""
    m1, m2 = _average_valid(first, weights), _average_valid(second, weights)
    s11 = _average_valid(first * first, weights) - m1 * m1
    s22 = _average_valid(second * second, weights) - m2 * m2
    s12 = _average_valid(first * second, weights) - m1 * m2
    return m1, m2, s11, s22, s12


def _compare_information(first: NDArray[Any], second: NDArray[Any], weights: NDArray[Any]) -> tuple[float, float]:
    """Information about the reference in the image and in the reference, summed over places."""
    _, _, s11, s22, s12 = _local_moments(first, second, weights)
    s11, s22 = np.maximum(0, s11), np.maximum(0, s22)
    gain = s12 / (s11 + _LEAST_VARIANCE)
    left = s22 - gain * s12
    flat = s11 < _LEAST_VARIANCE
    gain, left, s11 = np.where(flat, 0, gain), np.where(flat, s22, left), np.where(flat, 0, s11)
    gain, left = np.where(s22 < _LEAST_VARIANCE, 0, gain), np.where(s22 < _LEAST_VARIANCE, 0, left)
    left, gain = np.where(gain < 0, s22, left), np.maximum(0, gain)
    left = np.maximum(left, _LEAST_VARIANCE)
    kept = np.log1p(gain * gain * s11 / (left + _VIF_NOISE)).sum()
    return float(kept), float(np.log1p(s11 / _VIF_NOISE).sum())


def _gaussian_weights(side: int, sigma: float) -> NDArray[np.float64]:
    """[side] weights of one axis that add up to 1; their products are those of a square window."""
    weights = np.exp(-(np.square(np.arange(side) - side // 2) / (2 * sigma**2)))
    return np.asarray(weights / weights.sum())


def _average_valid(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Weighted means of windows that lie inside; the same weights along both axes."""
    half = len(weights) // 2
    blurred = cv2.sepFilter2D(values, cv2.CV_64F, weights, weights, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred[half : values.shape[0] - half, half : values.shape[1] - half])


def _halve(values: NDArray[Any]) -> NDArray[np.float64]:
    """Means of 2 x 2 pixels; a last odd row or column is left out, of a side of 1 it is kept."""
    rows, columns = (side // 2 * 2 if side > 1 else 1 for side in values.shape)
    part = values[:rows, :columns]
    part = (part[::2] + part[1::2]) / 2 if rows > 1 else part
    return np.asarray((part[:, ::2] + part[:, 1::2]) / 2 if columns > 1 else part)


def _prewitt_magnitude(values: NDArray[Any]) -> NDArray[np.float64]:
    kernel = np.array([[1.0, 0, -1], [1, 0, -1], [1, 0, -1]]) / 3
    across, down = (
        cv2.filter2D(values, cv2.CV_64F, each, borderType=cv2.BORDER_CONSTANT) for each in (kernel, kernel.T)
    )
    return np.asarray(np.hypot(across, down))


def _entropy(counts: NDArray[Any]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return max(0.0, -float(shares @ np.log(shares)))
