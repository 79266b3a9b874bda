"""Scores of any method on 0 to 100."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mos.arrow import nulls, numbers, plain
from mos.errors import UserError
from mos.scoring.result import Result

_PLACES, _WIDTHS = ("mos", "ci_low", "ci_high"), ("sd", "se")


def in_points(result: Result) -> pa.Table:
    """`Result.scores` in points: as they are, or from the scale of the ratings, its lowest being 0, its highest 100.

    Raises UserError where lowest and highest are the same.
    """
    if result.unit == "points" or not len(result.scores):
        return result.scores
    low, high = result.ratings.scale
    if not high > low:
        raise UserError(f"Expected a scale from a lower to a higher rating; got {low:g} to {high:g}.")
    factor = 100 / (high - low)
    table = result.scores
    for name in (*_PLACES, *_WIDTHS):
        shift = low if name in _PLACES else 0.0
        column = numbers((_filled(table[name]) - shift) * factor, ~nulls(table[name]))
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _filled(column: pa.ChunkedArray) -> np.ndarray:
    return np.where(nulls(column), 0.0, plain(column))
