"""Small builders of rating tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mos.table import Ratings, code

DATA = Path(__file__).parents[2] / "../shared/data/ratings"


@pytest.fixture
def real() -> Callable[[str], Path]:
    """Path of a real table of ratings by name; skips where the tables are absent."""

    def path(name: str) -> Path:
        if not DATA.is_dir():
            pytest.skip("the real tables of ratings are not here")
        return DATA / name

    return path


@pytest.fixture
def coded() -> Callable[..., Ratings]:
    """Ratings from a matrix [items, raters] or [items, raters, dimensions]; NaN where there is no rating."""

    def build(scores: object, scale: tuple[float, float] | None = None) -> Ratings:
        array = np.asarray(scores, float)
        array = array[:, :, None] if array.ndim == 2 else array
        item, rater, dimension = np.nonzero(~np.isnan(array))
        table = pa.table(
            {
                "item": [f"item{i:05d}" for i in item],
                "rater": [f"rater{r:04d}" for r in rater],
                "dimension": [f"dimension{d}" for d in dimension],
                "score": array[item, rater, dimension],
            }
        )
        ratings, problems = code(table, scale)
        assert not problems
        return ratings

    return build
