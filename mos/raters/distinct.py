"""Distinct keys and how often each occurs, without sorting where a table of all keys is small."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Distinct(NamedTuple):
    """key: [keys] int64 ascending; position: [N] of each row's key among them; rows: [keys] how many have each."""

    key: np.ndarray
    position: np.ndarray
    rows: np.ndarray


def distinct(keys: np.ndarray, bound: int) -> Distinct:
    """keys: [N] int64 in 0..bound-1."""
    if bound > len(keys) + 1_000_000:
        return Distinct(*np.unique(keys, return_inverse=True, return_counts=True))
    count = np.bincount(keys, minlength=bound)
    present = np.flatnonzero(count)
    position = np.zeros(bound, np.int64)
    position[present] = np.arange(len(present))
    return Distinct(present, position[keys], count[present])
