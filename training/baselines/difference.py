"""The difference baseline: what changed between source and current image, beyond a smooth change of all colours.

A filter, a new white balance or a light from one side changes every pixel by a rule. The rule is estimated so that the
changed objects do not take part in it; what it does not explain is the map.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf.editors.colour_fit import convert_to_lab, fit_smooth_transform, noise_of_residual
from editfhf.saliency import SIGMA_PER_HEIGHT
from training.agents.results import AgentIdentity, PerceivedMaps
from training.samples.pair_sample import scale_array

LONGEST_SIDE = 256
"""The comparison is made at this size; smaller differences are noise of coding and resampling."""

HALF_DIFFERENCE = 20.0
"""Colour difference in CIE Lab at which the map is one half: an absolute scale, the same for all images."""

_NOISE_MARGIN = 3.0


class DifferencePerception:
    """What changed beyond a robust smooth colour transform; the same map for both kinds.

    Notes
    -----
    Formula: at most 256 pixels a side, in CIE Lab, the current image is fitted by an affine transform of the source's
    colours plus a quadratic surface over the image, in each channel, by iteratively reweighted least squares with
    Tukey's weights. With d the Euclidean residual less three robust standard deviations, the map is
    d^2 / (d^2 + 20^2), blurred with a standard deviation of H/40. Source: P. J. Huber and E. Ronchetti, Robust
    Statistics, 2009; P. J. Rousseeuw and A. Leroy, 1987, for the scale. Limits: a wanted change is marked like an
    unwanted one, a flaw that was in the source is not found, and shifted images differ at every edge.

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(0, 200, (40, 60, 3)).astype(np.uint8)
    >>> float(DifferencePerception().perceive(image, image, "").artifact.max())
    0.0
    """

    def __init__(self) -> None:
        self.identity = AgentIdentity("baseline", "difference", "1")

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compare the two images; the source is scaled to the size of the current image."""
        height, width = current.shape[:2]
        scale = min(1.0, LONGEST_SIDE / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        before, after = (convert_to_lab(scale_array(image, *size)) for image in (source, current))
        residual = compute_colour_residual(before, after)
        excess = np.square(
            np.maximum(0.0, np.linalg.norm(residual, axis=2) - _NOISE_MARGIN * noise_of_residual(residual))
        )
        strength = (excess / (excess + HALF_DIFFERENCE**2)).astype(np.float32)
        sigma = max(size[0] * SIGMA_PER_HEIGHT, 1e-3)
        blurred = cv2.GaussianBlur(strength, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        found = np.clip(scale_array(np.asarray(blurred), height, width), 0.0, 1.0).astype(np.float32)
        return PerceivedMaps(found, found.copy(), self.identity)


def compute_colour_residual(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
    """What a smooth colour transform of one image does not explain of another.

    Parameters
    ----------
    before, after : ndarray
        [H, W, 3] colours of the two images, in one space.

    Returns
    -------
    ndarray
        float64 [H, W, 3], `after` minus the transformed `before`.
    """
    transform, _ = fit_smooth_transform(before, after)
    return np.asarray(after - transform.apply(before.astype(np.float64)))
