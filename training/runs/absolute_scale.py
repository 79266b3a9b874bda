"""Put a trained network on its absolute scale, by what it says of validation pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_SHIFT = 6.0
_LEAST_CLEAN = 5
_LEAST_RATIO = 1e-2
_MARGIN = 1e-2  # rounding to float16 must not undo it


def find_map_shift(peaks: NDArray[Any], is_clean: NDArray[np.bool_], clean_share: float) -> NDArray[np.float64]:
    """Find the shift of the odds of maps with which clean images stay clean.

    Parameters
    ----------
    peaks : ndarray
        float [n, k]: highest saliency of each validation image and kind, in [0, 1].
    is_clean : ndarray
        bool [n, k]: whether the image has no flaw of the kind.
    clean_share : float
        Share of clean images, for each kind, whose map must stay below 0.5 everywhere.

    Returns
    -------
    ndarray
        float64 [k]: the largest shift of the logits, between -6 and 6, with which the share holds, so that as many
        flaws as possible reach 0.5; 0 where there are fewer than five clean images.
    """
    peak = peaks.astype(np.float64).clip(1e-9, 1 - 1e-9)
    needed = np.log(1 - peak) - np.log(peak)  # the shift that brings each peak to one half
    shifts = np.zeros(peak.shape[1])
    for index in range(peak.shape[1]):
        rows = is_clean[:, index]
        if rows.sum() >= _LEAST_CLEAN:
            allowed = np.quantile(needed[rows, index], 1 - clean_share, method="lower") - _MARGIN
            shifts[index] = np.clip(allowed, -LARGEST_SHIFT, LARGEST_SHIFT)
    return shifts


def find_sd_factor(errors: NDArray[Any]) -> NDArray[np.float64]:
    """Find the factor of predicted standard deviations that makes the mean square of (truth - score) / sd one.

    Parameters
    ----------
    errors : ndarray
        float [n, k]: (truth - score) / sd of each validation pair and dimension; NaN where there is no truth.

    Returns
    -------
    ndarray
        float64 [k], at least 0.01; 1 where there is no truth at all.
    """
    known = np.isfinite(errors)
    counts = known.sum(0)
    squares = np.where(known, errors, 0.0).astype(np.float64) ** 2
    ratio = np.sqrt(squares.sum(0) / np.maximum(counts, 1))
    return np.where(counts > 0, np.maximum(ratio, _LEAST_RATIO), 1.0)
