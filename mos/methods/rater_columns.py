"""Columns of the table of raters that a method has for every dimension."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from mos.arrow import numbers
from mos.ratings import Ratings


def by_dimension(ratings: Ratings, figures: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
    """A column for each figure, [raters * dimensions] float64, null where NaN; in several dimensions one for each.

    bias, or bias_<dimension> where there are several.
    """
    names = ratings.dimensions.to_pylist()
    columns = {}
    for figure, values in figures.items():
        table = values.reshape(len(ratings.raters), len(names))
        for position, dimension in enumerate(names):
            column = np.ascontiguousarray(table[:, position])
            columns[figure if len(names) == 1 else f"{figure}_{dimension}"] = numbers(column, ~np.isnan(column))
    return columns
