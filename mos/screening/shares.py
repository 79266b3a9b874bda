"""Which raters have too many outliers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def beyond(n: np.ndarray, flagged: np.ndarray, max_share: Fraction) -> np.ndarray:
    """[raters] bool: whether MORE than `max_share` of the `n` ratings of each are `flagged`.

    Compared in integers: a rater at exactly 5 % stays.
    """
    exceeds = [
        int(out) * max_share.denominator > max_share.numerator * int(count)
        for out, count in zip(flagged, n, strict=True)
    ]
    return np.array(exceeds, bool)
