"""The centre prior: flaws, like everything that is photographed, lie near the centre of the image."""

from __future__ import annotations

import numpy as np

from annotation.images import RgbImage
from training.agents.results import AgentIdentity, PerceivedMaps

DEFAULT_SPREAD = 0.25
PRIOR_PEAK = 0.4
"""Highest value of the map: below the threshold of 0.5, since a prior has seen no flaw."""


class CentrePrior:
    """A Gaussian at the centre of the image, whatever the image shows; the same for both kinds.

    Parameters
    ----------
    spread : float
        Standard deviation as a share of height and width.

    Notes
    -----
    Formula: 0.4 exp(-((x/W - 1/2)^2 + (y/H - 1/2)^2) / (2 spread^2)). Source: B. W. Tatler, Journal of Vision 7(14),
    2007, for fixations. Limits: it has the same value on a clean image.

    Examples
    --------
    >>> image = np.zeros((5, 7, 3), np.uint8)
    >>> found = CentrePrior().perceive(image, image, "")
    >>> found.artifact.shape, [int(each) for each in np.unravel_index(found.artifact.argmax(), (5, 7))]
    ((5, 7), [2, 3])
    """

    def __init__(self, spread: float = DEFAULT_SPREAD) -> None:
        if not spread > 0:
            raise ValueError(f"spread must be above 0, but got {spread}.")
        self.spread = spread
        self.identity = AgentIdentity("baseline", "centre", "1")

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Give the prior at the size of the current image."""
        height, width = current.shape[:2]
        down, across = (
            np.exp(-0.5 * (((np.arange(side) + 0.5) / side - 0.5) / self.spread) ** 2) for side in (height, width)
        )
        prior = (PRIOR_PEAK * down[:, None] * across).astype(np.float32)
        return PerceivedMaps(prior, prior.copy(), self.identity)
