"""A rater's share is compared exactly: five percent is not more than five percent."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mos.methods.paper import exceeds_share


def test_exactly_five_percent_stays() -> None:
    n, flagged = np.array([20, 19, 60, 61, 5, 0]), np.array([1, 1, 3, 3, 0, 0])
    assert exceeds_share(n, flagged, Fraction("0.05")).tolist() == [False, True, False, False, False, False]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1))), st.fractions(0, 1, max_denominator=60))
def test_exact_for_any_share(raters: list[tuple[int, float]], share: Fraction) -> None:
    n = [size for size, _ in raters]
    flagged = [int(part * size) for size, part in raters]
    exact = [size > 0 and Fraction(some, size) > share for size, some in zip(n, flagged, strict=True)]
    assert exceeds_share(np.array(n, np.int64), np.array(flagged, np.int64), share).tolist() == exact
