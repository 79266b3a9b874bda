"""Which raters share items with which: whether scores of different items can be compared at all."""

from __future__ import annotations

import numpy as np

from mos.table import Ratings

_FIRST_ROWS = 16_384


def components(ratings: Ratings, kept: np.ndarray, used: np.ndarray) -> dict[str, int]:
    """For every dimension, into how many parts without a common item the raters fall.

    1 is good; 0 means no ratings.

    kept: [N] bool, which ratings count; used: [raters, dimensions] bool, whether one of the rater's does
    """
    raters, dimensions = used.shape
    nodes = np.arange(raters * dimensions)  # a rater in a dimension
    label: np.ndarray = nodes.copy()  # the smallest node of the part
    before: np.ndarray = np.zeros(0, np.int64)
    start, size = 0, _FIRST_ROWS  # a few items mostly tell that there is one part
    parts = used.sum(axis=0)
    while start < len(kept) and parts.max() > 1:
        rows = np.append(before, start + np.flatnonzero(kept[start : start + size]))
        label = _joined(label, *_neighbours(ratings, rows, dimensions, len(nodes)))
        parts = (used.ravel() & (label == nodes)).reshape(raters, dimensions).sum(axis=0)
        before, start, size = rows[-1:], start + size, 2 * size
    return dict(zip(ratings.dimensions.to_pylist(), parts.tolist(), strict=True))


def _neighbours(ratings: Ratings, rows: np.ndarray, dimensions: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The nodes of any two rows that follow each other and rate the same: the ratings are ordered by what they rate."""
    dimension = ratings.dimension[rows].astype(np.int64)
    group = ratings.item[rows].astype(np.int64) * dimensions + dimension
    node = ratings.rater[rows].astype(np.int64) * dimensions + dimension
    same = group[1:] == group[:-1]
    return np.divmod(_distinct(node[:-1][same] * nodes + node[1:][same], nodes**2), nodes)


def _joined(label: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The labels after joining nodes `one` to nodes `other`; a label is the smallest node of its part."""
    while True:
        ends = np.sort([label[one], label[other]], axis=0)
        if (ends[0] == ends[1]).all():
            return label
        np.minimum.at(label, ends[1], ends[0])
        while (label[label] != label).any():
            label = label[label]


def _distinct(codes: np.ndarray, bound: int) -> np.ndarray:
    """The distinct values of `codes`, all below `bound`, sorted; without sorting where a table of them is small."""
    if bound > len(codes) + 1_000_000:
        return np.unique(codes)
    present = np.zeros(bound, bool)
    present[codes] = True
    return np.flatnonzero(present)
