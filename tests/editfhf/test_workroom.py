"""Memory that is kept: the same for one thread, never shared between two, and not without bounds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from editfhf import workroom
from editfhf.workroom import room


def test_a_thread_gets_the_same_memory_again() -> None:
    first = room("test", 100, np.float64)
    assert np.shares_memory(first, room("test", 60, np.float64))
    assert room("test", 60, np.float64).size == 60


def test_another_name_or_type_is_other_memory() -> None:
    first = room("test", 100, np.float64)
    assert not np.shares_memory(first, room("other", 100, np.float64))
    assert room("test", 100, np.uint8).dtype == np.uint8


def test_two_threads_never_share() -> None:
    mine = room("test", 100, np.float64)
    with ThreadPoolExecutor(1) as pool:
        assert not np.shares_memory(mine, pool.submit(room, "test", 100, np.float64).result())


def test_what_is_too_large_is_not_kept() -> None:
    large = room("large", workroom.LARGEST + 1, np.uint8)
    assert not np.shares_memory(large, room("large", workroom.LARGEST + 1, np.uint8))
