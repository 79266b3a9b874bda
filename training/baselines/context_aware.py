"""Context-aware saliency: Goferman, Zelnik-Manor and Tal, 2010."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from training.agents.results import AgentIdentity, PerceivedMaps
from training.baselines.fixed_scale import scale_strength, shrink_image
from training.samples.pair_sample import scale_array

LONGEST_SIDE = 128

FULL_STRENGTH = 0.087
"""See `training.baselines.fixed_scale`."""

PATCH_SIDE = 7

_STRIDE = 3  # pixels between patches: neighbours overlap by more than half
_SCALES = (1.0, 0.8, 0.5, 0.3)
_NEIGHBOUR_SCALES = (1.0, 0.5, 0.25)  # of the scale of a patch; below 0.2 none
_LEAST_SCALE = 0.2
_NEIGHBOURS = 64
_POSITION_WEIGHT = 3.0
_ATTENDED = 0.8  # of the strength of a photo's foreground: such places attract their surroundings


class ContextAwarePerception:
    """Context-aware saliency of the edited image; the same map for both kinds.

    Notes
    -----
    Formula: S_i = 1 - exp(-mean over the 64 most similar patches k of d(i, k)), d = d_colour / (1 + 3 d_position),
    d_colour the Euclidean distance of patches of 7 x 7 pixels in CIE Lab, each channel scaled to [0, 1], d_position
    that of their places as a share of the longer side; patches are compared across scales, and S is the mean over
    four scales; then S (1 - d_foci), d_foci the distance to the closest place that attracts attention.
    Source: S. Goferman, L. Zelnik-Manor, A. Tal, CVPR 2010. Differences from the paper: at most 128 pixels a side
    (250 there), patches at every third pixel; d_colour is divided by the root of its number of entries; a place
    attracts attention from a fixed strength on, not from 80 % of the image's own maximum; the result is divided by a
    constant. Limits: it sees the edited image only.

    Examples
    --------
    >>> image = np.full((64, 64, 3), 90, np.uint8)
    >>> bool(ContextAwarePerception().perceive(image, image, "").artifact.max() < 0.01)
    True
    """

    def __init__(self) -> None:
        self.identity = AgentIdentity("baseline", "ca", "1")

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute the map of the current image."""
        strength = attract_surroundings(compute_context_strength(current))
        found = scale_strength(strength, FULL_STRENGTH, *current.shape[:2])
        return PerceivedMaps(found, found.copy(), self.identity)


def compute_context_strength(image: RgbImage) -> NDArray[np.float32]:
    """How unlike all other patches those around each pixel are, float32 [h, w] in [0, 1], at the working size."""
    small = shrink_image(image, LONGEST_SIDE)
    height, width = small.shape[:2]
    lab = cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    colours = np.asarray((lab + np.array([0, 128, 128])) / np.array([100, 255, 255]), np.float32)
    wanted = dict.fromkeys([*_SCALES, *(s * n for s in _SCALES for n in _NEIGHBOUR_SCALES if s * n >= _LEAST_SCALE)])
    patches = {scale: _cut_patches(colours, scale) for scale in wanted}
    maps = []
    for scale in _SCALES:
        own, places, grid = patches[scale]
        others = [patches[scale * each] for each in _NEIGHBOUR_SCALES if scale * each in patches]
        strength = _compare_patches(own, places, np.vstack([o[0] for o in others]), np.vstack([o[1] for o in others]))
        maps.append(scale_array(strength.reshape(grid), height, width))
    return np.asarray(np.mean(maps, axis=0), np.float32)


def attract_surroundings(strength: NDArray[Any]) -> NDArray[np.float32]:
    """Lower the strength [h, w] with the distance to the closest place that attracts attention, if there is one."""
    return np.asarray(strength * (1 - _distance_to_foci(strength)), np.float32)


def _cut_patches(colours: NDArray[Any], scale: float) -> tuple[NDArray[Any], NDArray[Any], tuple[int, int]]:
    """Patches [n, 147] at one scale, their places [n, 2] as shares of the longer side, and their grid."""
    height, width = (max(1, round(side * scale)) for side in colours.shape[:2])
    scaled = scale_array(colours, height, width)
    half = PATCH_SIDE // 2
    padded = cv2.copyMakeBorder(scaled, half, half, half, half, cv2.BORDER_REPLICATE)
    view: Any = np.lib.stride_tricks.sliding_window_view  # its types know one axis only
    windows = view(padded, (PATCH_SIDE, PATCH_SIDE), axis=(0, 1))
    chosen = windows[::_STRIDE, ::_STRIDE]
    rows, columns = chosen.shape[:2]
    down, across = (np.arange(count) * _STRIDE + 0.5 for count in (rows, columns))
    places = np.stack(np.meshgrid(down, across, indexing="ij"), -1).reshape(-1, 2) / max(height, width)
    return chosen.reshape(rows * columns, -1).astype(np.float32), places.astype(np.float32), (rows, columns)


def _compare_patches(
    own: NDArray[Any], places: NDArray[Any], others: NDArray[Any], other_places: NDArray[Any]
) -> NDArray[Any]:
    """1 - exp(-mean distance to the most similar other patches), [n]."""
    colour = np.sqrt(_squared_distances(own, others) / own.shape[1])
    distance = colour / (1 + _POSITION_WEIGHT * np.sqrt(_squared_distances(places, other_places)))
    count = min(_NEIGHBOURS, distance.shape[1])
    nearest = np.partition(distance, count - 1, axis=1)[:, :count]
    return np.asarray(1 - np.exp(-nearest.mean(axis=1)))


def _squared_distances(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None] - 2 * (first @ second.T)
    return np.asarray(np.maximum(squares, 0))


def _distance_to_foci(strength: NDArray[Any]) -> NDArray[Any]:
    """Distance of each pixel to the closest that attracts attention, as a share of the longer side; 0 if none does."""
    attended = strength >= _ATTENDED * FULL_STRENGTH
    if not attended.any():
        return np.zeros_like(strength)
    distance = cv2.distanceTransform((~attended).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.minimum(1, np.asarray(distance) / max(strength.shape))
