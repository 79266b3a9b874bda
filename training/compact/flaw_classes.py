"""What the flaw head is asked and what it answers: boxes as arrays, and the classes of flaws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.records import KINDS, Box, Kind
from annotation.taxonomy import list_flaw_types
from training.compact.pair_inputs import CELL, COLUMNS, HEIGHT, ROWS, WIDTH

FLAW_CLASSES = tuple((kind, flaw) for kind in KINDS for flaw in list_flaw_types(kind))
"""Kind and flaw type of each class of the flaw head."""

BOX_GEOMETRY = 6


def encode_boxes(boxes: Sequence[tuple[Kind, Box]]) -> dict[str, NDArray[np.float32]]:
    """Make arrays of boxes in pixels of the network.

    Parameters
    ----------
    boxes : sequence of (kind, Box)

    Returns
    -------
    dict from str to ndarray
        float32 `masks` [B, 40, 48]: share of each cell that the box covers, at least a little of the nearest one;
        `geometry` [B, 6]: centre, size, logarithms of area and aspect; `kinds` [B, 2].
    """
    masks = np.zeros((len(boxes), ROWS, COLUMNS), np.float32)
    geometry = np.zeros((len(boxes), BOX_GEOMETRY), np.float32)
    kinds = np.zeros((len(boxes), len(KINDS)), np.float32)
    for row, (kind, box) in enumerate(boxes):
        down, across = _cover_cells(box.y0, box.y1, ROWS), _cover_cells(box.x0, box.x1, COLUMNS)
        masks[row] = down[:, None] * across
        width, height = max(box.x1 - box.x0, 1.0) / WIDTH, max(box.y1 - box.y0, 1.0) / HEIGHT
        centre = (box.x0 + box.x1) / (2 * WIDTH) - 0.5, (box.y0 + box.y1) / (2 * HEIGHT) - 0.5
        geometry[row] = [*centre, width, height, np.log(width * height) / 4, np.log(width / height)]
        kinds[row, KINDS.index(kind)] = 1
    return {"masks": masks, "geometry": geometry, "kinds": kinds}


def _cover_cells(low: float, high: float, count: int) -> NDArray[Any]:
    """Share of each cell of a side that lies between two coordinates in pixels."""
    edges = np.arange(count + 1) * CELL
    covered: NDArray[Any] = np.clip(np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1]), 0, CELL) / CELL
    if not covered.any():  # an empty box, or one outside of the image
        covered[min(max(int((low + high) / 2 // CELL), 0), count - 1)] = 1e-3
    return covered
