"""Small builders of rating tables."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mos.table import Ratings, validate_ratings

DATA = Path(__file__).parents[1] / "data" / "ratings"


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Path of a real table of ratings by name (`tests/data/README.md` lists them)."""
    folder = tmp_path_factory.mktemp("ratings")

    def path(name: str) -> Path:
        packed, plain = DATA / f"{name}.gz", folder / name
        if not packed.is_file():
            return DATA / name
        if not plain.is_file():
            plain.write_bytes(gzip.decompress(packed.read_bytes()))
        return plain

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
        ratings, problems = validate_ratings(table, scale)
        assert not problems
        return ratings

    return build
