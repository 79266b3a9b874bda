"""A pair and its instruction as the arrays that the network reads: both images at one size, and hand-made cues.

The source is first brought onto the current image: registered, and its colours carried over by a robust smooth
transform. What then differs is no shift, zoom or colour cast of the whole image. The cues say what the frozen features
say badly: how colours still differ, and how much fine detail and grain each image has. All of it is OpenCV and numpy,
the same for training and for the agents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf.editors.colour_fit import convert_to_lab, fit_colour_transform
from editfhf.editors.registration import Registration, apply_registration, register_images
from training.compact.words import encode_instruction
from training.samples.pair_sample import scale_array

HEIGHT, WIDTH = 320, 384
"""Size of both images in the network, whatever their shape: multiples of 32, the mean aspect of edited images."""

CELL = 8
ROWS, COLUMNS = HEIGHT // CELL, WIDTH // CELL
"""Grid on which the pair is compared."""

CUE_COUNT = 23
WHOLE_COUNT = 12

_SEARCH = 1  # pixels of the half-sized images


@dataclass(frozen=True, slots=True, eq=False)
class PairInputs:
    """What the network reads of one pair.

    Attributes
    ----------
    images : ndarray
        uint8 [2, HEIGHT, WIDTH, 3]: the source as it was brought onto the current image, and the current image.
    cues : ndarray
        float32 [CUE_COUNT, ROWS, COLUMNS].
    whole : ndarray
        float32 [WHOLE_COUNT]: what concerns the pair as a whole.
    text : ndarray
        float32 [TEXT_SIZE], see `encode_instruction`.
    """

    images: NDArray[np.uint8]
    cues: NDArray[np.float32]
    whole: NDArray[np.float32]
    text: NDArray[np.float32]


def prepare_pair(source: RgbImage, current: RgbImage, instruction: str) -> PairInputs:
    """Compute the network's inputs of one pair.

    Parameters
    ----------
    source, current : ndarray
        uint8 [H, W, 3]; the two may differ in size.
    instruction : str
    """
    height, width = current.shape[:2]
    before = scale_array(scale_array(source, height, width), HEIGHT, WIDTH)
    after = scale_array(current, HEIGHT, WIDTH)
    found = register_images(after, before)
    registration = found if found.is_reliable else Registration(0.0, 0.0, 1.0, found.response, 0.0)
    moved = apply_registration(before, registration)
    fitted = fit_colour_transform(moved, after).apply(moved)
    cues, colours = compute_cues(moved, fitted, after, _mark_shown(registration))
    shift = np.array([registration.shift_x, registration.shift_y, 250 * (registration.scale - 1)]) / 10
    size = np.log1p(registration.displacement(HEIGHT, WIDTH)) / 3
    whole = np.array([*np.clip(shift, -4, 4), size, found.response, found.is_reliable, *colours], np.float32)
    return PairInputs(np.stack([fitted, after]), cues, whole, encode_instruction(instruction))


def compute_cues(
    moved: RgbImage, fitted: RgbImage, after: RgbImage, shown: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the hand-made cues of two images of the network's size.

    Parameters
    ----------
    moved, fitted, after : ndarray
        uint8 [HEIGHT, WIDTH, 3]: the registered source, the same with the colours of the current image, and that image.
    shown : ndarray
        float32 [HEIGHT, WIDTH]: 1 where the source shows the place at all.

    Returns
    -------
    cues : ndarray
        float32 [CUE_COUNT, ROWS, COLUMNS].
    colours : ndarray
        float32 [6]: mean change of colours, mean residual, lost detail, share that the source shows.
    """
    before, carried, current = (convert_to_lab(image) for image in (moved, fitted, after))
    drift, residual = carried - before, current - carried
    size = np.sqrt(np.square(residual).sum(axis=2))
    nearest = _find_nearest_residual(carried, current)
    images = [*_split(current / 50), *_split(carried / 50), *_split(drift / 20), *_split(residual / 20)]
    means = [_pool_mean(each) for each in (*images, size / 20, nearest / 20, shown)]
    peaks = [_pool_peak(each / 20) for each in (size, nearest)]
    details = [_measure_detail(lab) for lab in (carried, current)]
    cues = np.stack([*means, *peaks, *details[0], *details[1]]).astype(np.float32)
    lost = float((details[0][0] - details[1][0]).mean())
    whole = [*drift.reshape(-1, 3).mean(axis=0) / 20, size.mean() / 20, lost, shown.mean()]
    return cues, np.array(whole, np.float32)


def _mark_shown(registration: Registration) -> NDArray[np.float32]:
    """1 where the registered source shows the place, float32 [HEIGHT, WIDTH]."""
    everywhere = np.ones((HEIGHT, WIDTH), np.float32)
    matrix = registration.matrix(HEIGHT, WIDTH)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(everywhere, matrix, (WIDTH, HEIGHT), flags=flags, borderValue=0.0))


def _find_nearest_residual(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float32]:
    """Smallest colour difference of each place to the places around it in the other image, float32 [H, W].

    A redrawn image moves by other pixels in each part; what is only moved has a small residual.
    """
    half = (before.shape[1] // 2, before.shape[0] // 2)
    first, second = (cv2.resize(each, half, interpolation=cv2.INTER_AREA) for each in (before, after))
    framed = cv2.copyMakeBorder(first, _SEARCH, _SEARCH, _SEARCH, _SEARCH, cv2.BORDER_REPLICATE)
    best = np.full(second.shape[:2], np.inf, np.float32)
    for y in range(2 * _SEARCH + 1):
        for x in range(2 * _SEARCH + 1):
            difference = cv2.absdiff(second, framed[y : y + half[1], x : x + half[0]])
            total = cv2.boxFilter(cv2.transform(difference, np.ones((1, 3), np.float32)), -1, (5, 5))
            np.minimum(best, total, out=best)
    return np.asarray(cv2.resize(best, before.shape[1::-1], interpolation=cv2.INTER_NEAREST))


def _measure_detail(lab: NDArray[Any]) -> list[NDArray[Any]]:
    """Energy of finest detail, coarser detail and colour grain, on a logarithmic scale; three maps [ROWS, COLUMNS]."""
    fine, coarse = (cv2.GaussianBlur(lab, (0, 0), sigma) for sigma in (0.8, 2.5))
    first, second = np.abs(lab - fine), np.abs(fine - coarse)
    energies = (first[..., 0], second[..., 0], first[..., 1] + first[..., 2])
    return [np.log(0.1 + _pool_mean(energy)) for energy in energies]


def _split(image: NDArray[Any]) -> list[NDArray[Any]]:
    return [np.ascontiguousarray(image[..., channel]) for channel in range(image.shape[2])]


def _pool_mean(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.resize(values, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA))


def _pool_peak(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(values.reshape(ROWS, CELL, COLUMNS, CELL).max(axis=(1, 3)))
