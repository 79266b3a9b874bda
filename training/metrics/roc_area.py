"""AUC-Judd: the area under the ROC curve that tells positive pixels from the others, by three rules."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.metrics._kernels import MapRange, PositiveRanks, rank_positives, scan_map
from training.metrics.maps import (
    CONSTANT_PREDICTION,
    NO_NEGATIVES,
    NO_POSITIVES,
    NOT_FINITE,
    flatten_map,
    make_map_result,
    mark_given,
)
from training.metrics.results import MetricResult

AucRule = Literal["exact", "mit", "richhf"]

JITTER = 1e-7
"""Width of the uniform noise by which the code of the MIT benchmark breaks ties."""


def auc_judd(
    prediction: NDArray[Any], positives: NDArray[Any], rule: AucRule = "exact", *, jitter_seed: int | None = None
) -> MetricResult:
    """Compute the area under the ROC curve that tells positive pixels from the others.

    Parameters
    ----------
    prediction : ndarray
        [H, W] real numbers.
    positives : ndarray
        [H, W], true or above 0 at the positives.
    rule : {"exact", "mit", "richhf"}
        "exact": the probability that a positive has a higher value than a negative, ties counted as one half.
        "mit": the curve of the MIT code, with thresholds at the positives only. "richhf": the same with the number of
        the positive counted from 0 instead of 1.
    jitter_seed : int, optional
        Of "mit" and "richhf": break ties by uniform noise of width 1e-7 with this seed, as the MIT code does with no
        seed. Without a seed the value is the mean over all orders of tied pixels, to which such noise tends.

    Returns
    -------
    MetricResult
        `auc_judd` in [0, 1].

    Notes
    -----
    Formula, with P pixels, N positives: exact = sum over positives of (negatives below + half of the negatives at the
    same value) / (N (P - N)). The MIT curve joins (0, 0) and the points (FP_i, i/N), i from the highest positive down,
    so the first trapezoid lies too high: mit = exact + FP_N / (2 N), where FP_N is the share of negatives above the
    lowest positive. With one positive that is up to 0.5; with thousands it is nothing. RichHF: the FPR of every point
    is too high by d = 1 / (P - N), so richhf = mit - d + d / (2 N).
    Sources: Bylinskii et al. 2019; AUC_Judd.m of the MIT benchmark; metrics.py of RichHF.
    Limits: AUC sees the order of the values only, and forgives false alarms of low value. A constant prediction has
    the exact value 0.5; the MIT code gives NaN, or with jitter a random number, so "mit" is not defined there.

    Examples
    --------
    >>> prediction = np.array([[0.1, 0.4, 0.4, 0.9]])
    >>> auc_judd(prediction, np.array([[0, 1, 0, 0]]))["auc_judd"]
    0.5
    """
    values = flatten_map(prediction)
    where = np.flatnonzero(mark_given(positives, np.shape(prediction)))
    settings = {"auc_rule": rule, "positive_pixels": len(where), "pixels": len(values), "jitter_seed": jitter_seed}
    scanned = scan_map(values)
    if not (math.isfinite(scanned.low) and math.isfinite(scanned.high)):
        return make_map_result({"auc_judd": NOT_FINITE}, settings)
    if jitter_seed is not None and rule != "exact":
        values = values + np.random.default_rng(jitter_seed).random(len(values)) * JITTER
        scanned = scan_map(values)
    return make_map_result({"auc_judd": compute_auc(values, where, scanned, rule)}, settings)


def compute_auc(values: NDArray[Any], where: NDArray[Any], scanned: MapRange, rule: AucRule) -> float | str:
    positives, negatives = len(where), len(values) - len(where)
    if not positives:
        return NO_POSITIVES
    if not negatives:
        return NO_NEGATIVES
    if scanned.low == scanned.high:
        return 0.5 if rule == "exact" else f"{CONSTANT_PREDICTION[:-1]}: jitter alone would decide the order."
    ranks = rank_positives(values, where)
    # Over all pixels, then less the pairs of positives, of which each is half below the other on average.
    doubled = int(ranks.below.sum()) + int(ranks.upto.sum()) - positives * positives
    exact = doubled / (2 * positives * negatives)
    if rule == "exact":
        return exact
    value = exact + _negatives_above_lowest(ranks) / (2 * positives * negatives)
    return value if rule == "mit" else value - (1 - 1 / (2 * positives)) / negatives


def _negatives_above_lowest(ranks: PositiveRanks) -> float:
    """Negatives above the lowest positive, on average over the orders of those that are tied with it."""
    positives = len(ranks.below)
    tied_positives = int(np.searchsorted(ranks.below, ranks.below[0], side="right"))
    tied_negatives = int(ranks.upto[0] - ranks.below[0]) - tied_positives
    above = ranks.pixels - int(ranks.upto[0]) - (positives - tied_positives)
    return above + tied_negatives * tied_positives / (tied_positives + 1)
