"""The list of everything that was left out, with the rule, the figure and the threshold that decided."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mos.arrow import numbers, repeated
from mos.ratings import Ratings
from mos.scoring.scores import Normalised

SCHEMA = pa.schema(
    [
        ("what", pa.string()),
        ("item", pa.string()),
        ("rater", pa.string()),
        ("dimension", pa.string()),
        ("index", pa.int64()),
        ("rule", pa.string()),
        ("statistic", pa.float64()),
        ("threshold", pa.float64()),
        ("margin", pa.float64()),
    ]
)
EMPTY = pa.table([pa.nulls(0, field.type) for field in SCHEMA], schema=SCHEMA)


def raters(
    ratings: Ratings,
    rule: str,
    statistic: np.ndarray,
    threshold: float | np.ndarray,
    rater: np.ndarray,
    dimension: np.ndarray | None = None,
) -> pa.Table:
    """Raters set aside by `rule`; of a dimension, or of all of them where it is None."""
    where = {"rater": rater} if dimension is None else {"rater": rater, "dimension": dimension}
    return _lines(ratings, "rater", rule, statistic, threshold, **where)


def unusable_raters(
    ratings: Ratings, own: Normalised, given: np.ndarray, excluded: np.ndarray, ddof: int
) -> list[pa.Table]:
    """Raters who are not excluded but cannot be normalised in a dimension: too few ratings, or all of them equal.

    given: [raters * dimensions] ratings of each; excluded: [raters * dimensions] bool.
    """
    dimensions = len(ratings.dimensions)
    concerned = (given > 0) & ~excluded
    few = np.flatnonzero(concerned & own.too_few)
    constant = np.flatnonzero(concerned & own.constant)
    return [
        raters(ratings, rule, figure[at], threshold, at // dimensions, at % dimensions)
        for rule, at, figure, threshold in (
            ("too_few", few, own.moments.n.astype(np.float64), 2.0),
            ("constant", constant, own.moments.sd(ddof), own.least_sd),
        )
        if len(at)
    ]


def outlying_ratings(ratings: Ratings, row: np.ndarray, statistic: np.ndarray, sigma: float) -> pa.Table:
    """Ratings `row` [outliers], each `statistic` standard deviations from its group's mean, more than `sigma`."""
    return _lines(
        ratings,
        "rating",
        "outlier",
        statistic,
        sigma,
        item=ratings.item[row],
        rater=ratings.rater[row],
        dimension=ratings.dimension[row],
        index=ratings.index[row],
    )


def _lines(
    ratings: Ratings, what: str, rule: str, statistic: np.ndarray, threshold: float | np.ndarray, **where: np.ndarray
) -> pa.Table:
    size = len(statistic)
    names = {"item": ratings.items, "rater": ratings.raters, "dimension": ratings.dimensions}
    columns = {name: labels.take(numbers(where[name])) for name, labels in names.items() if name in where}
    columns |= {
        "what": repeated(what, size),
        "rule": repeated(rule, size),
        "statistic": numbers(statistic),
        "threshold": numbers(np.broadcast_to(np.float64(threshold), size)),
        "margin": numbers(np.abs(statistic - threshold)),
    }
    if "index" in where:
        columns["index"] = numbers(where["index"])
    return pa.table([columns.get(field.name, pa.nulls(size, field.type)) for field in SCHEMA], schema=SCHEMA)
