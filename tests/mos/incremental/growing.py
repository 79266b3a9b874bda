"""Tables of ratings, states of them, and the whole computation that they must equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mos.errors import UserError
from mos.methods import find_method, score_ratings
from mos.scoring.options import ScoringOptions
from mos.scoring.result import ScoringResult
from mos.table import validate_ratings

Key = tuple[str, str, str]
SCALE = (1.0, 5.0)


def table(rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Rows of item, rater, dimension, score, and a repetition where the first row has five parts."""
    columns = list(zip(*rows, strict=True)) or [[]] * 4
    names = ("item", "rater", "dimension", "score", "repetition")[: len(columns)]
    return pa.table(
        {
            name: pa.array(column, pa.float64() if name == "score" else pa.string())
            for name, column in zip(names, columns, strict=True)
        }
    )


def options(name: str, **given: Any) -> ScoringOptions:
    return find_method(name).options.from_mapping(given)


def study(items: int, raters: int, dimensions: int, seed: int, fill: float = 1.0) -> dict[Key, float]:
    """Scores in halves on 1 to 5, some raters harsh, one of them careless; a share `fill` of all combinations."""
    random = np.random.default_rng(seed)
    shape = items, raters, dimensions
    quality = random.uniform(1.5, 4.5, (items, 1, dimensions))
    scores = quality + random.normal(0, 0.3, (1, raters, 1)) + random.normal(0, 0.5, shape)
    scores[:, 0] = random.uniform(1, 5, (items, dimensions))
    scores = np.clip(np.round(2 * scores) / 2, 1, 5)
    there = np.argwhere(random.random(shape) < fill).tolist()
    return {(f"item{i:02d}", f"rater{r:02d}", f"dimension{d}"): float(scores[i, r, d]) for i, r, d in there}


def in_full(ratings: Mapping[Key, float], by: ScoringOptions, seed: int = 0) -> ScoringResult | str:
    """The score of all ratings as one table, its rows in random order; or the error."""
    rows = [(*key, value) for key, value in ratings.items()]
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    coded, problems = validate_ratings(table(rows[at] for at in order), SCALE)
    assert not problems
    return outcome(lambda: score_ratings(coded, by))


def outcome(work: Callable[[], ScoringResult]) -> ScoringResult | str:
    try:
        return work()
    except UserError as error:
        return str(error)


def assert_equal(found: ScoringResult | str, expected: ScoringResult | str) -> None:
    """To the last bit: ratings, statuses, values, tables, summary, and ledger, whose rows count as each table does."""
    if isinstance(found, str) or isinstance(expected, str):
        assert found == expected
        return
    for name in ("items", "raters", "dimensions"):
        assert getattr(found.ratings, name).to_pylist() == getattr(expected.ratings, name).to_pylist()
    for name in ("item", "rater", "dimension", "repetition", "score"):
        one, other = getattr(found.ratings, name), getattr(expected.ratings, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.ratings.index, np.arange(len(found.ratings)))
    assert found.ratings.scale == expected.ratings.scale or not len(found.ratings)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_array_equal(found.value, expected.value)
    assert found.scores.equals(expected.scores)
    assert found.raters.equals(expected.raters)
    assert repr(found.summary) == repr(expected.summary)
    assert (found.options, found.unit) == (expected.options, expected.unit)
    mine, theirs = found.ledger().to_pylist(), expected.ledger().to_pylist()
    for line in mine:
        line["index"] = None if line["index"] is None else int(expected.ratings.index[line["index"]])
    assert mine == theirs
