"""Studies at random, and the same ratings as plain rows for oracles that loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from mos.ratings import Ratings
from mos.table import validate_ratings


@dataclass(frozen=True)
class Row:
    """One rating; `others`: exact mean of what other raters gave the item in the dimension, None without."""

    item: int
    dimension: int
    rater: int
    score: float
    place: int  # in the rater's own sequence
    others: Fraction | None
    exact: Fraction


@pytest.fixture(scope="session")
def study() -> Callable[..., Ratings]:
    """A random study: a share of all ratings is missing, and rows come in random order."""

    def build(
        seed: int = 0,
        items: int = 12,
        raters: int = 5,
        dimensions: int = 1,
        fill: float = 0.8,
        repetitions: int = 1,
        decimals: int = 0,
    ) -> Ratings:
        random = np.random.default_rng(seed)
        at = np.argwhere(random.random((items, raters, dimensions, repetitions)) < fill)
        random.shuffle(at)
        quality = random.uniform(1, 5, (items, dimensions))[at[:, 0], at[:, 2]]
        score = np.clip(np.round(quality + random.normal(0, 0.9, len(at)), decimals), 1, 5)
        table = {
            "item": [f"i{i:03d}" for i in at[:, 0]],
            "rater": [f"r{r:03d}" for r in at[:, 1]],
            "dimension": [f"d{d}" for d in at[:, 2]],
            "score": score,
        }
        if repetitions > 1:
            table["repetition"] = [str(r) for r in at[:, 3]]
        ratings, problems = validate_ratings(pa.table(table), (1, 5))
        assert not problems
        return ratings

    return build


@pytest.fixture(scope="session")
def rows() -> Callable[[Ratings], list[list[Row]]]:
    """For every rater the rows in the order of the table."""

    def unfold(ratings: Ratings) -> list[list[Row]]:
        values = list(
            zip(
                ratings.item.tolist(),
                ratings.dimension.tolist(),
                ratings.rater.tolist(),
                [Fraction(str(score)) for score in ratings.score.tolist()],
                ratings.index.tolist(),
                strict=True,
            )
        )
        found: list[list[Row]] = []
        for rater in range(len(ratings.raters)):
            own = sorted((value for value in values if value[2] == rater), key=lambda value: value[4])
            found.append([])
            for place, (item, dimension, _, score, _) in enumerate(own):
                rest = [v[3] for v in values if v[0] == item and v[1] == dimension and v[2] != rater]
                mean = sum(rest, Fraction(0)) / len(rest) if rest else None
                found[-1].append(Row(item, dimension, rater, float(score), place, mean, score))
        return found

    return unfold


@pytest.fixture(scope="session")
def same() -> Callable[[list[object], list[object]], None]:
    """Compare a column with what is expected: None where null, else to 1e-9."""

    def compare(column: list[object], expected: list[object]) -> None:
        assert [value is None for value in column] == [value is None for value in expected]
        numbers = [(a, b) for a, b in zip(column, expected, strict=True) if a is not None]
        assert [a for a, _ in numbers] == pytest.approx([b for _, b in numbers], rel=1e-9, abs=1e-9)

    return compare
