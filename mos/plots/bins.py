"""Bins for histograms of scores, which mostly lie on steps that bins must not cut unevenly."""

from __future__ import annotations

import numpy as np

FEW = 21  # different values that get a bar each
_FAR = 100_000  # steps; scores that lie on more are as good as continuous
_EXACT = 1e-3  # of a step


def bars(values: np.ndarray) -> np.ndarray:
    """[2 V] left and right ends in turn, of a bar around each of V different values (ascending, at least one)."""
    half = 0.42 * (float(np.diff(values).min()) if len(values) > 1 else 1.0)
    return np.column_stack([values - half, values + half]).ravel()


def edges(values: np.ndarray, most: int) -> np.ndarray:
    """Ends of up to about `most` equally wide bins over different values (ascending, at least two).

    Where the values are multiples of a step, every bin holds as many steps: ratings in tenths counted in bins of 0.13
    would show a comb that nobody made.
    """
    span = float(values[-1] - values[0])
    step = float(np.diff(values).min())
    multiples = (values - values[0]) / step
    if multiples[-1] > _FAR or np.abs(multiples - np.round(multiples)).max() > _EXACT:
        return np.linspace(values[0], values[-1], most + 1)
    steps = round(span / step) + 1
    each = -(-steps // most)
    bins = -(-steps // each)
    return values[0] - step / 2 + step * each * np.arange(bins + 1)
