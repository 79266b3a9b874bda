"""Whether a rater changes over the session: drifts up or down, or becomes less consistent."""

from __future__ import annotations

import numpy as np

from mos.moments import moments
from mos.raters.closeness import item_effect
from mos.raters.sheet import Sheet

_LEVEL = 0.95


def drift(sheet: Sheet) -> dict[str, np.ndarray]:
    """Columns drift, drift_low, drift_high and inconsistency_ratio; each [raters]."""
    return _slope(sheet) | {"inconsistency_ratio": _halves(sheet)}


def _slope(sheet: Sheet) -> dict[str, np.ndarray]:
    """Least squares of rating - mean of the others on the place in the rater's sequence, from 0 to 1.

    One slope and an intercept for each dimension, so that dimensions rated one after the other look like no drift.
    The t interval allows for `item_effect`.  None below three items, or where nothing is left to err.
    """
    from scipy.special import stdtrit

    rows = sheet.compared
    last = np.maximum(sheet.count() - 1, 1)
    x = sheet.place / last[sheet.ratings.rater]
    place = moments(x, sheet.block, sheet.blocks, rows)
    residual = moments(sheet.residual, sheet.block, sheet.blocks, rows)
    dx = np.where(rows, x - place.mean[sheet.block], 0.0)
    dy = np.where(rows, sheet.residual - residual.mean[sheet.block], 0.0)
    sxx = sheet.by_rater(place.ss)
    sxy = np.bincount(sheet.ratings.rater, dx * dy, sheet.raters)
    freedom = sheet.by_rater(place.n) - sheet.by_rater(place.n > 0) - 1
    known = (sxx > 0) & (freedom > 0)
    slope = np.full(sheet.raters, np.nan)
    np.divide(sxy, sxx, out=slope, where=known)
    error = dy - np.where(known, slope, 0.0)[sheet.ratings.rater] * dx
    left = np.bincount(sheet.ratings.rater, error**2, sheet.raters)
    items, effect = item_effect(sheet, error)
    quantile = np.where(items > 2, stdtrit(np.maximum(items - 2, 1), (1 + _LEVEL) / 2), np.nan)
    half = quantile * np.sqrt(effect * left / np.where(known, freedom * sxx, np.nan))
    return {"drift": slope, "drift_low": slope - half, "drift_high": slope + half}


def _halves(sheet: Sheet) -> np.ndarray:
    """[raters] SD of rating - mean of the others in the second half of the sequence over that in the first.

    Each around the mean of its half and dimension; of an odd number of ratings, the middle one is in the second half.
    """
    second = 2 * sheet.place + 1 >= sheet.count()[sheet.ratings.rater]
    found = moments(sheet.residual, 2 * sheet.block + second, 2 * sheet.blocks, sheet.compared)
    shape = (sheet.raters, sheet.dimensions, 2)
    ss = found.ss.reshape(shape).sum(axis=1)
    freedom = (found.n.reshape(shape) - (found.n.reshape(shape) > 0)).sum(axis=1)
    known = (freedom > 0).all(axis=1) & (ss[:, 0] > 0)
    variance = ss / np.maximum(freedom, 1)
    ratio = np.full(sheet.raters, np.nan)
    np.divide(variance[:, 1], variance[:, 0], out=ratio, where=known)
    return np.sqrt(ratio)
