"""Saliency by spatially weighted dissimilarity of patches: Duan and others, 2011."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from training.agents.results import AgentIdentity, PerceivedMaps
from training.baselines.fixed_scale import scale_strength, shrink_image

LONGEST_SIDE = 512

PATCH_SIDE = 14

FULL_STRENGTH = 1.70
"""See `training.baselines.fixed_scale`."""

_COMPONENTS = 11
_LEAST_SPREAD = 1.0  # grey levels: a component with less is noise of rounding and coding
_BLUR_SIGMA = 3.0  # in a window of 3 x 3 patches


class SwdPerception:
    """Spatially weighted dissimilarity of the edited image; the same map for both kinds.

    Notes
    -----
    Formula: S_p = c_p * sum over q of |x_p - x_q|_1 / (1 + |p - q|), over patches of 14 x 14 pixels in YCbCr, x their
    coordinates in the leading 11 eigenvectors of the patches' Gram matrix, |p - q| in patches,
    c_p = 1 - |p - centre| / its maximum. Source: L. Duan, C. Wu, J. Miao, L. Qing, Y. Fu, CVPR 2011, 473-480
    (the paper's reference 71 names other authors). Differences from the paper: components with a standard deviation
    below one grey level count as noise and are left out; the mean over patches replaces the sum, so that sizes
    compare; the result is divided by a constant.
    Limits: eigenvectors have no unit, so weak structure counts like strong; it sees the edited image only.

    Examples
    --------
    >>> image = np.full((64, 64, 3), 90, np.uint8)
    >>> float(SwdPerception().perceive(image, image, "").artifact.max())
    0.0
    """

    def __init__(self) -> None:
        self.identity = AgentIdentity("baseline", "swd", "1")

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute the map of the current image."""
        found = scale_strength(compute_swd_strength(current), FULL_STRENGTH, *current.shape[:2])
        return PerceivedMaps(found, found.copy(), self.identity)


def compute_swd_strength(image: RgbImage) -> NDArray[np.float32]:
    """The model before it is scaled, float32 [rows, columns] of patches, 0 or more."""
    small = cv2.cvtColor(shrink_image(image, LONGEST_SIDE), cv2.COLOR_RGB2YCrCb)
    rows, columns = (max(1, round(side / PATCH_SIDE)) for side in small.shape[:2])
    fitted = cv2.resize(small, (columns * PATCH_SIDE, rows * PATCH_SIDE), interpolation=cv2.INTER_AREA)
    patches = fitted.reshape(rows, PATCH_SIDE, columns, PATCH_SIDE, 3).swapaxes(1, 2).reshape(rows * columns, -1)
    coordinates = _find_coordinates(patches.astype(np.float64))
    if not coordinates.shape[1]:
        return np.zeros((rows, columns), np.float32)
    places = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 2)
    weights = 1 / (1 + np.linalg.norm(places[:, None] - places[None], axis=2))
    # Eigenvectors have length 1, so their entries shrink with the number of patches.
    scale = np.sqrt(len(patches))
    different = sum(np.abs(values[:, None] - values[None]) for values in (coordinates * scale).T)
    from_centre = np.linalg.norm(places - [(rows - 1) / 2, (columns - 1) / 2], axis=1)
    centred = 1 - from_centre / max(1.0, float(from_centre.max()))
    strength = (centred * (different * weights).mean(axis=1)).reshape(rows, columns).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(strength, (3, 3), _BLUR_SIGMA, borderType=cv2.BORDER_REPLICATE), np.float32)


def _find_coordinates(patches: NDArray[Any]) -> NDArray[np.float64]:
    """[n, k] entries of the patches [n, D] in the leading eigenvectors of their Gram matrix, without those of noise."""
    deviation = patches - patches.mean(axis=0)
    # The left singular vectors are these eigenvectors; those of the D x D matrix are quicker where D is smaller.
    values, vectors = np.linalg.eigh(deviation.T @ deviation)
    leading = np.argsort(values)[::-1][:_COMPONENTS]
    spread = np.sqrt(np.maximum(values[leading], 0) / len(patches))
    leading = leading[spread >= _LEAST_SPREAD]
    return np.asarray(deviation @ vectors[:, leading] / np.sqrt(values[leading]))
