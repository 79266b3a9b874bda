"""Measures of an image that tell whether it is worth editing, and a hash that finds near duplicates."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage

HASH_SIDE = 8


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Limits of `diagnose_source`; grey values are in [0, 255].

    Attributes
    ----------
    min_side : int
        Pixels of the shorter side.
    max_aspect : float
        Longer side over shorter side.
    min_mean, max_mean : float
        Mean grey value.
    min_sharpness : float
        Variance of the Laplacian of the grey image.
    min_entropy : float
        Bits of the histogram of grey values.
    max_distance : int
        Bits, of 64, in which the hashes of near duplicates differ at most.
    """

    min_side: int = 64
    max_aspect: float = 3.0
    min_mean: float = 20.0
    max_mean: float = 240.0
    min_sharpness: float = 15.0
    min_entropy: float = 3.0
    max_distance: int = 4


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """Measures of one image: mean grey value, variance of the Laplacian, entropy in bits, 64-bit hash."""

    mean: float
    sharpness: float
    entropy: float
    hash: int


def measure_quality(image: RgbImage) -> ImageQuality:
    """Measure uint8 [H, W, 3] sRGB."""
    grey = convert_to_grey(image)
    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    share = share[share > 0]
    sharpness = float(cv2.Laplacian(grey, cv2.CV_64F).var())
    return ImageQuality(float(grey.mean()), sharpness, float(-(share * np.log2(share)).sum()), hash_image(grey))


def convert_to_grey(image: RgbImage) -> NDArray[np.uint8]:
    """Grey values uint8 [H, W] of uint8 [H, W, 3] sRGB."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def hash_image(grey: NDArray[np.uint8]) -> int:
    """Difference hash of uint8 [H, W]: 64 bits, one for each pair of neighbours of the image at 9 x 8 pixels."""
    small = cv2.resize(grey, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return int("".join("1" if bit else "0" for bit in (small[:, 1:] > small[:, :-1]).ravel()), 2)


def count_different_bits(one: int, other: int) -> int:
    """Hamming distance of two hashes.

    >>> count_different_bits(0b1010, 0b0011)
    2
    """
    return (one ^ other).bit_count()


def diagnose_source(width: int, height: int, quality: ImageQuality, limits: QualityLimits) -> tuple[str, str] | None:
    """Reason and message of the first check that an image fails; None when it passes all of them."""
    short, long = sorted((width, height))
    checks = (
        ("too_small", short < limits.min_side, f"The shorter side has {short} pixels: at least {limits.min_side}."),
        ("bad_aspect", long > limits.max_aspect * short, f"{width}x{height}: at most {limits.max_aspect:g} to 1."),
        ("dark", quality.mean < limits.min_mean, f"Mean grey {quality.mean:.1f}: at least {limits.min_mean:g}."),
        ("light", quality.mean > limits.max_mean, f"Mean grey {quality.mean:.1f}: at most {limits.max_mean:g}."),
        ("low_information", quality.entropy < limits.min_entropy, f"{quality.entropy:.2f} bits of grey values."),
        ("blurry", quality.sharpness < limits.min_sharpness, f"Variance of the Laplacian {quality.sharpness:.1f}."),
    )
    return next(((reason, message) for reason, failed, message in checks if failed), None)
