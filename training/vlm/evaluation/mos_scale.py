"""Put scores on the scale of the raters, by validation pairs: monotone, so that no ranking changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from annotation.records import DIMENSIONS
from training.agents.results import HIGHEST_SCORE
from training.runs.absolute_scale import find_sd_factor

LEAST_VALIDATION = 10
"""Fewest validation scores by which a scale is changed."""


def fit_score_scale(scores: NDArray[Any], sds: NDArray[Any], truth: NDArray[Any]) -> dict[str, list[float]]:
    """Fit a line to the scores of each dimension, and a factor to their deviations.

    Parameters
    ----------
    scores, sds, truth : ndarray
        float [n, 3] in MOS points; NaN in `truth` where there is none.

    Returns
    -------
    dict
        `slope`, `offset` and `sd_factor`, three numbers each. The line is the identity where there are fewer than ten
        scores, or where it would turn the ranking round.
    """
    slopes, offsets = np.ones(len(DIMENSIONS)), np.zeros(len(DIMENSIONS))
    for index in range(len(DIMENSIONS)):
        known = np.isfinite(truth[:, index])
        given, wanted = scores[known, index].astype(np.float64), truth[known, index].astype(np.float64)
        if len(given) >= LEAST_VALIDATION and given.std() > 0:
            slope = float(((given - given.mean()) * (wanted - wanted.mean())).mean() / given.var())
            if slope > 0:
                slopes[index], offsets[index] = slope, wanted.mean() - slope * given.mean()
    errors = (truth - (scores * slopes + offsets)) / (sds * slopes)
    return {"slope": slopes.tolist(), "offset": offsets.tolist(), "sd_factor": find_sd_factor(errors).tolist()}


def fit_level_scale(means: NDArray[Any], truth: NDArray[Any]) -> dict[str, list[float]]:
    """Fit the monotone map from mean levels to MOS of each dimension.

    Parameters
    ----------
    means, truth : ndarray
        float [n, 3] in MOS points; NaN in `truth` where there is none.

    Returns
    -------
    dict
        `level_from_<dimension>` and `level_to_<dimension>`: the corners of a line that never falls. It is the identity
        where there are fewer than ten scores.
    """
    scale: dict[str, list[float]] = {}
    for index, name in enumerate(DIMENSIONS):
        known = np.isfinite(truth[:, index])
        before, after = np.array([0.0, HIGHEST_SCORE]), np.array([0.0, HIGHEST_SCORE])
        if known.sum() >= LEAST_VALIDATION:
            order = np.argsort(means[known, index], kind="stable")
            before = means[known, index][order].astype(np.float64)
            after = np.asarray(isotonic_regression(truth[known, index][order]).x)
        scale |= {f"level_from_{name}": before.tolist(), f"level_to_{name}": after.tolist()}
    return scale


def apply_level_scale(scale: Mapping[str, list[float]], means: NDArray[Any]) -> NDArray[np.float64]:
    """MOS of mean levels [n, 3], by the map of `fit_level_scale`."""
    mapped = [
        np.interp(means[:, index], scale[f"level_from_{name}"], scale[f"level_to_{name}"])
        for index, name in enumerate(DIMENSIONS)
    ]
    return np.stack(mapped, 1).clip(0, HIGHEST_SCORE)
