"""Memory that a thread works in, kept from one picture to the next.

A megabyte asked for anew is given page by page, which takes longer than filling it; what is kept is given at once.
"""

from __future__ import annotations

import threading

import numpy as np

LARGEST = 32 << 20  # bytes: more than that is not kept
_thread = threading.local()


def room(name: str, size: int, dtype: type[np.generic]) -> np.ndarray:
    """[size] of `dtype`, uninitialised: the same memory whenever this thread asks for `name` again.

    Whoever asks uses it up before it, or anybody it calls, asks for that name again.
    """
    kept: np.ndarray | None = getattr(_thread, name, None)
    if kept is None or kept.size < size or kept.dtype != dtype:
        kept = np.empty(size, dtype)
        if kept.nbytes <= LARGEST:
            setattr(_thread, name, kept)
    return kept[:size]
