"""Distinct keys: what sorting gives, also where nothing is sorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.ranks import find_distinct_keys


@pytest.mark.parametrize("bound", [50, 10_000_000])
@given(st.lists(st.integers(0, 49), max_size=30))
def test_both_ways_are_numpys_unique(bound: int, keys: list[int]) -> None:
    array = np.array(keys, np.int64)
    key, position, rows = np.unique(array, return_inverse=True, return_counts=True)
    found = find_distinct_keys(array, bound)
    assert found.key.tolist() == key.tolist()
    assert found.position.tolist() == position.tolist()
    assert found.rows.tolist() == rows.tolist()
