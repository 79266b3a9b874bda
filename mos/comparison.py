"""Comparison of methods on the same ratings: differences in ranks and scores, and excluded raters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mos._arrow import column_values, null_mask, number_array, text_array
from mos.display import convert_to_pandas, render_html_table
from mos.errors import UserError
from mos.ranks import rank_with_ties
from mos.scoring.result import ScoringResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MethodComparison:
    """Tables that compare methods.

    methods: one row for each method and dimension: method, dimension, unit, items (with a score), mean, spread
        (standard deviation of the scores), mean_width (of the intervals), relative_width (mean_width / spread),
        raters_excluded, ratings_removed
    pairs: one row for each pair of methods and dimension: dimension, method, other, items (with both scores), srcc,
        plcc, kendall (tau-b), greatest_rank_change, and rmse and greatest_difference of the scores, those of `other`
        brought to the unit of `method` by least squares
    items: one row for each item and dimension: item, dimension, and for each method its score and its rank in the
        dimension (1 is best, ties share the mean)
    """

    methods: pa.Table
    pairs: pa.Table
    items: pa.Table

    def to_pandas(self) -> pd.DataFrame:
        """`pairs` as a DataFrame; `methods.to_pandas()` and `items.to_pandas()` give the other tables."""
        return convert_to_pandas(self.pairs)

    def __repr__(self) -> str:
        names = list(dict.fromkeys(self.methods["method"].to_pylist()))
        lowest = pc.min(pc.if_else(pc.is_nan(self.pairs["srcc"]), None, self.pairs["srcc"])).as_py()
        least = "" if lowest is None else f"; lowest rank correlation {lowest:.3f}"
        return f"MethodComparison({', '.join(names)}{least})"

    def _repr_html_(self) -> str:
        methods = render_html_table(self.methods, repr(self), rows=len(self.methods))
        return methods + render_html_table(self.pairs, "Pairs of methods", rows=len(self.pairs))


def compare_methods(results: Mapping[str, ScoringResult]) -> MethodComparison:
    """Compare results of different methods on the same ratings.

    Parameters
    ----------
    results
        From the name of each method to its result; two or more.

    Returns
    -------
    MethodComparison

    Raises
    ------
    UserError
        For fewer than two results.

    Notes
    -----
    Before differences are taken, the scores of one method are brought to the unit of the other by least squares.
    """
    if len(results) < 2:
        raise UserError(f"Expected two or more methods to compare; got {', '.join(results) or 'none'}.")
    first = next(iter(results.values()))
    dimensions = first.ratings.dimensions.to_pylist()
    shape = len(first.ratings.items), len(dimensions)
    scores = {name: _mos_scores(result).reshape(shape) for name, result in results.items()}
    ranks = {name: np.stack([_rank_scores(column) for column in table.T], axis=1) for name, table in scores.items()}
    methods = [
        _describe_method(name, result, dimension, position)
        for name, result in results.items()
        for position, dimension in enumerate(dimensions)
    ]
    pairs = [
        {"dimension": dimension, "method": one, "other": other}
        | _compare_pair(scores[one][:, position], scores[other][:, position])
        for position, dimension in enumerate(dimensions)
        for one, other in combinations(results, 2)
    ]
    columns = {"item": first.scores["item"], "dimension": first.scores["dimension"]}
    for name in results:
        columns[name] = _nullable_numbers(scores[name].ravel())
        columns[f"{name}_rank"] = _nullable_numbers(ranks[name].ravel())
    return MethodComparison(_table_from_rows(methods), _table_from_rows(pairs), pa.table(columns))


def _mos_scores(result: ScoringResult) -> NDArray[Any]:
    column = result.scores["mos"]
    return np.where(null_mask(column), np.nan, column_values(column))


def _rank_scores(scores: NDArray[Any]) -> NDArray[Any]:
    """1 for the best; tied scores share the mean of their ranks; NaN without a score."""
    ranks = np.full(len(scores), np.nan)
    known = ~np.isnan(scores)
    ranks[known] = rank_with_ties(-_round_ties(scores[known]))
    return ranks


def _round_ties(scores: NDArray[Any]) -> NDArray[Any]:
    """Scores rounded to nine decimals, so that scores that differ by rounding error tie."""
    return np.round(scores, 9)


def _describe_method(name: str, result: ScoringResult, dimension: str, position: int) -> dict[str, object]:
    ratings, dimensions = result.ratings, len(result.ratings.dimensions)
    mos = _mos_scores(result)[position::dimensions]
    low, high = (column_values(result.scores[end])[position::dimensions] for end in ("ci_low", "ci_high"))
    known = ~np.isnan(mos) & ~null_mask(result.scores["ci_low"])[position::dimensions]
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


def _compare_pair(one: NDArray[Any], other: NDArray[Any]) -> dict[str, object]:
    from scipy.stats import kendalltau

    both = ~np.isnan(one) & ~np.isnan(other)
    x, y = one[both], other[both]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return {"items": len(x)} | dict.fromkeys(_PAIR_STATISTICS, np.nan)
    slope, shift = np.polyfit(y, x, 1)
    off = x - (slope * y + shift)
    rank_x, rank_y = _rank_scores(x), _rank_scores(y)
    return {
        "items": len(x),
        "srcc": float(np.corrcoef(rank_x, rank_y)[0, 1]),
        "plcc": float(np.corrcoef(x, y)[0, 1]),
        "kendall": float(kendalltau(rank_x, rank_y).statistic),
        "greatest_rank_change": float(np.abs(rank_x - rank_y).max()),
        "rmse": float(np.sqrt(np.square(off).mean())),
        "greatest_difference": float(np.abs(off).max()),
    }


_PAIR_STATISTICS = ("srcc", "plcc", "kendall", "greatest_rank_change", "rmse", "greatest_difference")


def _table_from_rows(rows: list[dict[str, object]]) -> pa.Table:
    return (
        pa.table({name: _column_from_values([row[name] for row in rows]) for name in rows[0]}) if rows else pa.table({})
    )


def _column_from_values(values: list[object]) -> pa.Array:
    if isinstance(values[0], str):
        return text_array([str(value) for value in values])
    return _nullable_numbers(np.array(values, np.int64 if isinstance(values[0], int) else np.float64))


def _nullable_numbers(values: NDArray[Any]) -> pa.Array:
    return number_array(values, ~np.isnan(values)) if values.dtype.kind == "f" else number_array(values)
