"""Saliency by centre and surround: Itti, Koch and Niebur, 1998."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from training.agents.results import AgentIdentity, PerceivedMaps
from training.baselines.fixed_scale import scale_strength, shrink_image

LONGEST_SIDE = 512

FULL_STRENGTH = 0.42
"""See `training.baselines.fixed_scale`."""

_CENTRES, _DELTAS = (2, 3, 4), (3, 4)
_LEVELS = max(_CENTRES) + max(_DELTAS) + 1
_MAP_LEVEL = 4
_ANGLES = (0.0, 45.0, 90.0, 135.0)
_LEAST_BRIGHTNESS = 0.1  # hues of darker pixels are not seen
_NEIGHBOURHOOD = 7  # pixels at the level of the map, within which a maximum is local


class IttiPerception:
    """Itti's model of the edited image; the same map for both kinds.

    Notes
    -----
    Formula: pyramids of nine levels of intensity, red-green and blue-yellow opponency, and four Gabor orientations;
    differences between centre levels 2, 3, 4 and surround levels 3 or 4 higher; each is weighted by
    (1 - m / M)^2, M its maximum and m the mean of its other local maxima, added up within a channel, weighted again,
    and averaged over the three channels. Source: L. Itti, C. Koch, E. Niebur, IEEE TPAMI 20(11), 1998.
    Differences from the paper: it first stretches every map to one range and weights by (M - m)^2; here a map keeps
    its contrast, so that a flat image has a flat map; the result is divided by a constant.
    Limits: it sees the edited image only, and knows neither the instruction nor what an object is.

    Examples
    --------
    >>> image = np.full((64, 64, 3), 90, np.uint8)
    >>> bool(IttiPerception().perceive(image, image, "").artifact.max() < 0.01)
    True
    """

    def __init__(self) -> None:
        self.identity = AgentIdentity("baseline", "itti", "1")

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute the map of the current image."""
        found = scale_strength(compute_itti_strength(current), FULL_STRENGTH, *current.shape[:2])
        return PerceivedMaps(found, found.copy(), self.identity)


def compute_itti_strength(image: RgbImage) -> NDArray[np.float32]:
    """The model before it is scaled, float32 [h, w], 0 or more; about a sixteenth of the working size."""
    small = shrink_image(image, LONGEST_SIDE).astype(np.float32) / np.float32(255)
    # Nine halvings need a side of 256: smaller images are repeated at the border until they have it.
    least = 1 << (_LEVELS - 1)
    rows, columns = (max(0, least - side) for side in small.shape[:2])
    padded = cv2.copyMakeBorder(small, 0, rows, 0, columns, cv2.BORDER_REFLECT_101 if min(small.shape[:2]) > 1
                                else cv2.BORDER_REPLICATE)  # fmt: skip
    channels = _conspicuity_maps(np.asarray(padded))
    size = channels[0].shape
    strength = np.mean([_promote_peaks(channel) for channel in channels], axis=0)
    kept = [max(1, round(side * share / (share + more))) for side, share, more in
            zip(size, small.shape[:2], (rows, columns), strict=True)]  # fmt: skip
    return np.asarray(strength[: kept[0], : kept[1]], np.float32)


def _conspicuity_maps(image: NDArray[np.float32]) -> list[NDArray[Any]]:
    """Intensity, colour and orientation at the level of the map."""
    red, green, blue = (np.ascontiguousarray(image[..., each]) for each in range(3))
    intensity = (red + green + blue) / 3
    seen = intensity > _LEAST_BRIGHTNESS
    bright = np.where(seen, intensity, 1)
    r, g, b = (np.where(seen, each / bright, 0) / 3 for each in (red, green, blue))
    yellow = np.maximum(0, (r + g) / 2 - np.abs(r - g) / 2 - b)
    tuned = (r - (g + b) / 2, g - (r + b) / 2, b - (r + g) / 2)
    pure_red, pure_green, pure_blue = (np.maximum(0, each) for each in tuned)
    of_intensity = _build_pyramid(intensity)
    light = _add_contrasts([of_intensity])
    colour = _add_contrasts([_build_pyramid(pure_red - pure_green), _build_pyramid(pure_blue - yellow)])
    orientation = sum(
        _promote_peaks(_add_contrasts([[_filter_orientation(level, angle) for level in of_intensity]]))
        for angle in _ANGLES
    )
    return [light, colour, np.asarray(orientation)]


def _build_pyramid(values: NDArray[Any]) -> list[NDArray[Any]]:
    levels = [values.astype(np.float32)]
    while len(levels) < _LEVELS:
        levels.append(np.asarray(cv2.pyrDown(levels[-1])))
    return levels


@cache
def _gabor_pair(angle: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Even and odd Gabor filters without a mean, the sum of their sizes 1."""
    pair = []
    for phase in (0.0, np.pi / 2):
        kernel = cv2.getGaborKernel((9, 9), 2.0, np.deg2rad(angle), 5.0, 1.0, phase, cv2.CV_32F)
        kernel = kernel - kernel.mean()
        pair.append(kernel / np.abs(kernel).sum())
    return pair[0], pair[1]


def _filter_orientation(level: NDArray[Any], angle: float) -> NDArray[Any]:
    even, odd = (
        cv2.filter2D(level, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT) for kernel in _gabor_pair(angle)
    )
    return np.hypot(even, odd)


def _add_contrasts(pyramids: list[list[NDArray[Any]]]) -> NDArray[Any]:
    """The sum of the weighted differences of centre and surround at the level of the map."""
    height, width = pyramids[0][_MAP_LEVEL].shape
    total = np.zeros((height, width), np.float32)
    for pyramid in pyramids:
        for centre in _CENTRES:
            for delta in _DELTAS:
                rows, columns = pyramid[centre].shape
                around = cv2.resize(pyramid[centre + delta], (columns, rows), interpolation=cv2.INTER_LINEAR)
                contrast = np.abs(pyramid[centre] - around)
                shrinks = centre < _MAP_LEVEL
                method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
                total += _promote_peaks(np.asarray(cv2.resize(contrast, (width, height), interpolation=method)))
    return total


def _promote_peaks(values: NDArray[Any]) -> NDArray[Any]:
    """Multiply a map by (1 - m / M)^2: one that has one strong peak counts, one with many alike does not."""
    top = float(values.max())
    if top <= 0:
        return np.zeros_like(values)
    kernel = np.ones((_NEIGHBOURHOOD, _NEIGHBOURHOOD), np.uint8)
    is_peak = (values >= cv2.dilate(values, kernel)) & (values > 0)
    others = values[is_peak & (values < top)]
    mean = float(others.mean()) if len(others) else 0.0
    return np.asarray(values * (1 - mean / top) ** 2)
