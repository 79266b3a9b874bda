"""Overlap of boxes, and clusters of boxes that different annotators drew around the same flaw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEVER_JOINED = -1.0
"""A similarity below every IoU: two boxes with it never share a cluster."""

IOU_ROUNDING = 1e-9
"""By how much an IoU may miss the threshold: the conversion from pixels to per cent and back loses some bits."""


def iou_matrix(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the intersection over union of every box of one array with every box of another.

    Parameters
    ----------
    first : float64 array [n, 4]
        Boxes `x0, y0, x1, y1` in pixels.
    second : float64 array [m, 4]
        Boxes in the same coordinates.

    Returns
    -------
    float64 array [n, m]
        IoU in [0, 1]; 0 for two empty boxes.

    Examples
    --------
    >>> iou_matrix(np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 1], [5, 5, 6, 6]]))
    array([[0.5, 0. ]])
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared: NDArray[np.float64] = np.prod(np.clip(high - low, 0.0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None), axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    overlap: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def cluster_boxes(boxes: NDArray[np.float64], owners: Sequence[str], iou: float) -> list[list[int]]:
    """Cluster boxes by complete linkage.

    Any two boxes of a cluster overlap by at least `iou` and have different owners.  The two most similar clusters are
    joined first; of equally similar ones, those that come first in `boxes`.

    Parameters
    ----------
    boxes : float64 array [n, 4]
        Boxes `x0, y0, x1, y1`, sorted by content if the result must not depend on the order of annotators.
    owners : sequence of str
        The annotator of each box.
    iou : float
        Least IoU of two boxes of one cluster, in (0, 1].

    Returns
    -------
    list of list of int
        Indices of the members of each cluster, ascending; clusters in the order of their first members.

    Examples
    --------
    >>> boxes = np.array([[0.0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 10, 9]])
    >>> cluster_boxes(boxes, ["ann", "ann", "bob"], 0.5)
    [[0, 2], [1]]
    """
    numbers = {owner: number for number, owner in enumerate(dict.fromkeys(owners))}
    owner_numbers = np.array([numbers[owner] for owner in owners], dtype=np.int64)
    similarity = iou_matrix(boxes, boxes)
    similarity[owner_numbers[:, None] == owner_numbers[None, :]] = NEVER_JOINED
    members = {index: [index] for index in range(len(boxes))}
    while len(members) > 1:
        first, second = divmod(int(np.argmax(similarity)), len(boxes))
        if similarity[first, second] < iou - IOU_ROUNDING:
            break
        joined = np.minimum(similarity[first], similarity[second])
        similarity[first], similarity[:, first] = joined, joined
        similarity[second], similarity[:, second] = NEVER_JOINED, NEVER_JOINED
        members[first] = sorted(members[first] + members.pop(second))
    return [members[index] for index in sorted(members)]
