"""Raise places of a map that are certainly flawed, so that a region is the whole place and not only its peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import Kind
from training.agents.map_regions import REGION_THRESHOLD

CERTAIN: Mapping[Kind, float] = {"artifact": 0.5, "failure": 0.45}
"""Saliency that a place must reach somewhere to be raised."""

PLACE_EDGE = 0.25
"""Saliency at which such a place ends. All were chosen on validation images, by the F1 of boxes and false alarms."""

_GAIN = REGION_THRESHOLD / (1 - REGION_THRESHOLD) * (1 - PLACE_EDGE) / PLACE_EDGE


def lift_certain_places(saliency: NDArray[Any], certain: float) -> NDArray[np.float32]:
    """Multiply the odds of every certain place by the factor that brings its edge to the threshold of a region.

    Parameters
    ----------
    saliency : ndarray
        float [H, W] in [0, 1].
    certain : float
        Saliency that a place must reach somewhere, in [`PLACE_EDGE`, 1].

    Returns
    -------
    ndarray
        float32 [H, W] in [0, 1]. Pixels keep their order within a place; what is not certain stays as it was, and so
        does a map that reaches `certain` nowhere.

    Notes
    -----
    People's disks lie at random places of a flaw, so a learnt mean of their maps has one peak and long slopes: the part
    above one high threshold is a small core of the flaw, and a lower threshold marks clean images. Two thresholds,
    as in the edge detector of J. Canny (IEEE TPAMI 8(6), 1986), keep the false alarms of the higher and the extent of
    the lower one.

    Examples
    --------
    >>> lift_certain_places(np.array([[0.0, 0.25, 0.5, 0.0, 0.3]]), 0.5).round(2).tolist()
    [[0.0, 0.5, 0.75, 0.0, 0.30000001192092896]]
    """
    lifted = saliency.astype(np.float32)
    if float(lifted.max(initial=0.0)) < certain:
        return lifted
    count, labels = cv2.connectedComponents((lifted >= PLACE_EDGE).astype(np.uint8), connectivity=8)
    is_certain = np.zeros(count, np.bool_)
    is_certain[np.unique(labels[lifted >= certain])] = True
    places = is_certain[labels]
    values = lifted[places]
    lifted[places] = _GAIN * values / (1 + (_GAIN - 1) * values)
    return lifted
