"""Memory that is kept: the same for one thread, never shared between two, and not without bounds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from editfhf.png import MAX_KEPT_BYTES, scratch_buffer


def test_a_thread_gets_the_same_memory_again() -> None:
    first = scratch_buffer("test", 100, np.float64)
    assert np.shares_memory(first, scratch_buffer("test", 60, np.float64))
    assert scratch_buffer("test", 60, np.float64).size == 60


def test_another_name_or_type_is_other_memory() -> None:
    first = scratch_buffer("test", 100, np.float64)
    assert not np.shares_memory(first, scratch_buffer("other", 100, np.float64))
    assert scratch_buffer("test", 100, np.uint8).dtype == np.uint8


def test_two_threads_never_share() -> None:
    mine = scratch_buffer("test", 100, np.float64)
    with ThreadPoolExecutor(1) as pool:
        assert not np.shares_memory(mine, pool.submit(scratch_buffer, "test", 100, np.float64).result())


def test_what_is_too_large_is_not_kept() -> None:
    large = scratch_buffer("large", MAX_KEPT_BYTES + 1, np.uint8)
    assert not np.shares_memory(large, scratch_buffer("large", MAX_KEPT_BYTES + 1, np.uint8))
