"""Rows are ordered as sorting by their codes orders them, whichever way is taken."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos._kernels import KeyPart, order_rows, reorder_codes

SIZES = (5, 2, 4)
some_rows = st.lists(st.tuples(*(st.integers(-1, size - 1) for size in SIZES)), max_size=60)


@pytest.mark.parametrize("spread", [1, 1_000, 3_000_000])  # dense keys, 64-bit keys, keys beyond 64 bits
@given(some_rows)
def test_as_a_stable_sort_of_the_codes(spread: int, rows: list[tuple[int, ...]]) -> None:
    codes = np.array(rows, np.int64).reshape(len(rows), len(SIZES))
    parts = [KeyPart(codes[:, axis] * spread, size * spread) for axis, size in enumerate(SIZES)]
    good = (codes >= 0).all(axis=1)
    found = order_rows(parts, None if good.all() else good)
    keys = [tuple(code) for code in codes.tolist()]
    expected = sorted(np.flatnonzero(good).tolist(), key=lambda row: (keys[row], row))
    assert found.rows.tolist() == expected
    again = [False] + [keys[one] == keys[other] for one, other in pairwise(expected)]
    assert (found.again is None) == (not any(again))
    if found.again is not None:
        assert found.again.tolist() == again
    for part, ordered in zip(parts, reorder_codes(parts, found), strict=True):
        assert ordered.tolist() == part.codes[expected].tolist()


@pytest.mark.parametrize("sizes", [(7, 1, 1), (1, 3, 5), (4, 3, 2, 2), (1, 1, 1)])
def test_a_complete_design_needs_no_looking_up(sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(5)
    shuffled = random.permutation(int(np.prod(sizes)))
    kinds = (np.int32, np.int16, np.int32, np.int32)
    axes = [axis.ravel()[shuffled].astype(kind) for axis, kind in zip(np.indices(sizes), kinds, strict=False)]
    parts = [KeyPart(axis, size) for axis, size in zip(axes, sizes, strict=True)]
    found = order_rows(parts, None)
    assert found.complete
    for part, ordered in zip(parts, reorder_codes(parts, found), strict=True):
        assert ordered.tolist() == part.codes[found.rows].tolist()
        assert ordered.dtype == part.codes.dtype
        assert ordered.flags.c_contiguous
