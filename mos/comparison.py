"""Several methods on one table, side by side: how differently they rank and score the items, and whom they exclude."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mos.arrow import nulls, numbers, plain, texts
from mos.errors import UserError
from mos.scoring.result import Result


class Comparison(NamedTuple):
    """methods: a row a method and dimension; pairs: a row a pair of methods and dimension; items: a row a score.

    methods: method, dimension, unit, items (with a score), mean, spread (standard deviation of the scores), mean_width
        (of the intervals) and relative_width (to the spread), raters_excluded, ratings_removed
    pairs: dimension, method, other, items (with both scores), srcc, plcc, kendall (tau-b), greatest_rank_change,
        rmse and greatest_difference of the scores: those of `other` brought to the unit of `method` by least squares
    items: item, dimension, and for each method its score and rank in the dimension (1 is best, ties share the mean)
    """

    methods: pa.Table
    pairs: pa.Table
    items: pa.Table


def compare(results: Mapping[str, Result]) -> Comparison:
    """Compare results of the same ratings, by name.

    Raises UserError for fewer than two results.
    """
    if len(results) < 2:
        raise UserError(f"Expected two or more methods to compare; got {', '.join(results) or 'none'}.")
    first = next(iter(results.values()))
    dimensions = first.ratings.dimensions.to_pylist()
    shape = len(first.ratings.items), len(dimensions)
    scores = {name: _scores(result).reshape(shape) for name, result in results.items()}
    ranks = {name: np.stack([_ranks(column) for column in table.T], axis=1) for name, table in scores.items()}
    methods = [
        _method(name, result, dimension, position)
        for name, result in results.items()
        for position, dimension in enumerate(dimensions)
    ]
    pairs = [
        {"dimension": dimension, "method": one, "other": other}
        | _pair(scores[one][:, position], scores[other][:, position])
        for position, dimension in enumerate(dimensions)
        for one, other in combinations(results, 2)
    ]
    columns = {"item": first.scores["item"], "dimension": first.scores["dimension"]}
    for name in results:
        columns[name] = _nullable(scores[name].ravel())
        columns[f"{name}_rank"] = _nullable(ranks[name].ravel())
    return Comparison(_table(methods), _table(pairs), pa.table(columns))


def _scores(result: Result) -> np.ndarray:
    column = result.scores["mos"]
    return np.where(nulls(column), np.nan, plain(column))


def _ranks(scores: np.ndarray) -> np.ndarray:
    """1 for the best; tied scores share the mean of their ranks; NaN without a score."""
    from scipy.stats import rankdata

    ranks = np.full(len(scores), np.nan)
    known = ~np.isnan(scores)
    ranks[known] = rankdata(-_settled(scores[known]))
    return ranks


def _settled(scores: np.ndarray) -> np.ndarray:
    """Scores that only rounding sets apart made equal, so that they tie."""
    return np.round(scores, 9)


def _method(name: str, result: Result, dimension: str, position: int) -> dict[str, object]:
    ratings, dimensions = result.ratings, len(result.ratings.dimensions)
    mos = _scores(result)[position::dimensions]
    low, high = (plain(result.scores[end])[position::dimensions] for end in ("ci_low", "ci_high"))
    known = ~np.isnan(mos) & ~nulls(result.scores["ci_low"])[position::dimensions]
    scored = mos[~np.isnan(mos)]
    spread = float(scored.std(ddof=1)) if len(scored) > 1 else np.nan
    width = float((high - low)[known].mean()) if known.any() else np.nan
    excluded = {"all", dimension}
    return {
        "method": name,
        "dimension": dimension,
        "unit": result.unit,
        "items": len(scored),
        "mean": float(scored.mean()) if len(scored) else np.nan,
        "spread": spread,
        "mean_width": width,
        "relative_width": width / spread if spread > 0 else np.nan,
        "raters_excluded": sum(
            bool(excluded & set((names or "").split(", "))) for names in result.raters["excluded_in"].to_pylist()
        ),
        "ratings_removed": int(np.count_nonzero((ratings.dimension == position) & (result.status != 0))),
    }


def _pair(one: np.ndarray, other: np.ndarray) -> dict[str, object]:
    from scipy.stats import kendalltau

    both = ~np.isnan(one) & ~np.isnan(other)
    x, y = one[both], other[both]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return {"items": len(x)} | dict.fromkeys(_FIGURES, np.nan)
    slope, shift = np.polyfit(y, x, 1)
    off = x - (slope * y + shift)
    rank_x, rank_y = _ranks(x), _ranks(y)
    return {
        "items": len(x),
        "srcc": float(np.corrcoef(rank_x, rank_y)[0, 1]),
        "plcc": float(np.corrcoef(x, y)[0, 1]),
        "kendall": float(kendalltau(rank_x, rank_y).statistic),
        "greatest_rank_change": float(np.abs(rank_x - rank_y).max()),
        "rmse": float(np.sqrt(np.square(off).mean())),
        "greatest_difference": float(np.abs(off).max()),
    }


_FIGURES = ("srcc", "plcc", "kendall", "greatest_rank_change", "rmse", "greatest_difference")


def _table(rows: list[dict[str, object]]) -> pa.Table:
    return pa.table({name: _column([row[name] for row in rows]) for name in rows[0]}) if rows else pa.table({})


def _column(values: list[object]) -> pa.Array:
    if isinstance(values[0], str):
        return texts([str(value) for value in values])
    return _nullable(np.array(values, np.int64 if isinstance(values[0], int) else np.float64))


def _nullable(values: np.ndarray) -> pa.Array:
    return numbers(values, ~np.isnan(values)) if values.dtype.kind == "f" else numbers(values)
