"""Measures of image quality as evaluation agents: the edited image is compared with its source.

A measure gives one number; it is the score in every dimension, mapped to 0 to 100 by a fixed curve that keeps the
order. The scale is therefore not that of the raters: read rank correlations, or PLCC after a logistic fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import DIMENSIONS
from training.agents.results import HIGHEST_SCORE, AgentIdentity, Score
from training.baselines import image_quality
from training.samples.pair_sample import scale_array


@dataclass(frozen=True, slots=True)
class QualityMeasure:
    """A measure and its curve from its range to 0 to 1, ascending with quality."""

    compute: Callable[[NDArray[Any], NDArray[Any]], float]
    to_share: Callable[[float], float]


def _saturate(value: float, half: float) -> float:
    """0 at 0, one half at `half`, 1 at infinity."""
    return 1.0 if math.isinf(value) else value / (value + half)


QUALITY_MEASURES = {
    "psnr": QualityMeasure(image_quality.compute_psnr, lambda decibels: _saturate(decibels, 25.0)),
    "ssim": QualityMeasure(image_quality.compute_ssim, lambda similarity: (1 + similarity) / 2),
    "ms-ssim": QualityMeasure(image_quality.compute_ms_ssim, lambda similarity: similarity),
    "gmsd": QualityMeasure(image_quality.compute_gmsd, lambda deviation: 1 - _saturate(deviation, 0.2)),
    "vif": QualityMeasure(image_quality.compute_vif, lambda fidelity: _saturate(fidelity, 1.0)),
    "nmi": QualityMeasure(image_quality.compute_nmi, lambda information: information - 1),
}
"""Measures by name, each with a curve for the score."""


class QualityEvaluation:
    """One of `QUALITY_MEASURES` as an evaluation agent; the source is scaled to the size of the current image.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((16, 16, 3), np.uint8)
    >>> [score.value for score in QualityEvaluation("ssim").evaluate(image, image, "")]
    [100.0, 100.0, 100.0]
    """

    def __init__(self, name: str) -> None:
        self._measure = QUALITY_MEASURES[name]
        self.identity = AgentIdentity("baseline", name, "1")

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """The same score in every dimension."""
        reference = scale_array(source, *current.shape[:2])
        share = self._measure.to_share(self._measure.compute(reference, current))
        value = HIGHEST_SCORE * min(1.0, max(0.0, share))
        return [Score(dimension, value, None, "ok", self.identity) for dimension in DIMENSIONS]


PsnrEvaluation = partial(QualityEvaluation, "psnr")
SsimEvaluation = partial(QualityEvaluation, "ssim")
MsSsimEvaluation = partial(QualityEvaluation, "ms-ssim")
GmsdEvaluation = partial(QualityEvaluation, "gmsd")
VifEvaluation = partial(QualityEvaluation, "vif")
NmiEvaluation = partial(QualityEvaluation, "nmi")
