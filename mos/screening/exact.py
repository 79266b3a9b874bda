"""Scores as whole numbers, so that a comparison which rounding could decide is decided exactly.

A score counts as the decimal number that was written, to twelve digits after the leading digit of the largest score.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, log10

import numpy as np

NEAR = 1e-9  # relative width of the band around a threshold that is decided in whole numbers
_DIGITS = 12
RESOLUTION = 10.0**-_DIGITS  # of the largest score: differences below it may be none
# How far, in units of the last digit, a score may lie from a number of fewer digits that it is rounded to.
_ROUNDS_TO_IT = 0.4


def whole_numbers(score: np.ndarray, highest: float) -> np.ndarray:
    """[N] the scores as whole multiples of the largest power of ten that all of them are multiples of.

    score: [N] float64, N > 0; highest: the largest magnitude in the whole table, which decides the last digit.
    int64 up to twelve digits, else Python's integers (object).

    >>> whole_numbers(np.array([3.3, 0.1 + 0.2]), highest=3.3).tolist()
    [33, 3]
    """
    decimals = _DIGITS - floor(log10(highest)) if highest else _DIGITS
    for digits in range(_DIGITS + 1):
        scaled = score * 10.0 ** (decimals - _DIGITS + digits)
        whole = np.rint(scaled)
        if np.abs(scaled - whole).max() <= _ROUNDS_TO_IT * 10.0 ** (digits - _DIGITS):
            return whole.astype(np.int64)
    return np.array([round(Fraction(value) * Fraction(10) ** decimals) for value in score.tolist()], object)
