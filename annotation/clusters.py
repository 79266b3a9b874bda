"""Boxes that several people drew around the same thing, found without regard to the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

APART = -1.0
"""A similarity below every IoU: these two never share a cluster."""

ROUNDING = 1e-9
"""By how much an IoU may miss the threshold: percentages of a picture and back cost some bits."""


def iou_matrix(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union in [0, 1] of every box of `first` [n, 4] with every box of `second` [m, 4]: [n, m]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None), axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def clusters(boxes: NDArray[np.float64], owners: Sequence[str], iou: float) -> list[list[int]]:
    """Complete-linkage clusters of boxes [n, 4]: any two of one overlap by at least `iou`, and have different owners.

    The two most similar clusters are joined first; of equal ones, those that come first in `boxes`: sort the boxes by
    their own content and the result does not depend on the order of people.  Returns the members' indices, ascending,
    in the order of their first.
    """
    numbers = {owner: number for number, owner in enumerate(dict.fromkeys(owners))}
    names = np.array([numbers[owner] for owner in owners], dtype=np.int64)
    similarity = iou_matrix(boxes, boxes)
    similarity[names[:, None] == names[None, :]] = APART
    members = {index: [index] for index in range(len(boxes))}
    while len(members) > 1:
        first, second = divmod(int(np.argmax(similarity)), len(boxes))
        if similarity[first, second] < iou - ROUNDING:
            break
        joined = np.minimum(similarity[first], similarity[second])
        similarity[first], similarity[:, first] = joined, joined
        similarity[second], similarity[:, second] = APART, APART
        members[first] = sorted(members[first] + members.pop(second))
    return [members[index] for index in sorted(members)]
