"""The list of everything that was left out, with the rule, the figure and the threshold that decided."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mos.arrow import numbers, repeated
from mos.moments import Moments
from mos.scores import Normalised
from mos.screening.outliers import RaterShares
from mos.table import Ratings

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


def excluded_raters(ratings: Ratings, shares: RaterShares, max_share: float) -> pa.Table:
    """Raters with too many outliers, in all dimensions."""
    at = np.flatnonzero(shares.excluded)
    return _lines(ratings, "rater", "outlier_share", shares.outliers[at] / shares.n[at], max_share, rater=at)


def unusable_raters(ratings: Ratings, own: Normalised, excluded: np.ndarray, ddof: int) -> pa.Table:
    """Raters who are not excluded but cannot be normalised in one dimension: too few ratings, or all of them equal.

    excluded: [raters] bool.
    """
    dimensions = len(ratings.dimensions)
    key = ratings.rater.astype(np.int64) * dimensions + ratings.dimension
    rated = np.bincount(key, minlength=len(own.moments.n)) > 0
    concerned = rated & ~np.repeat(excluded, dimensions)
    few = np.flatnonzero(concerned & own.too_few)
    constant = np.flatnonzero(concerned & own.constant)
    tables = [
        _lines(ratings, "rater", rule, figure[at], threshold, rater=at // dimensions, dimension=at % dimensions)
        for rule, at, figure, threshold in (
            ("too_few", few, own.moments.n.astype(np.float64), 2.0),
            ("constant", constant, own.moments.sd(ddof), own.least_sd),
        )
    ]
    return pa.concat_tables(tables)


def outlying_ratings(ratings: Ratings, at: np.ndarray, found: Moments, ddof: int, sigma: float) -> pa.Table:
    """Ratings `at`, more than `sigma` standard deviations from their group's mean; the statistic counts deviations."""
    group = ratings.item[at].astype(np.int64) * len(ratings.dimensions) + ratings.dimension[at]
    statistic = np.abs(ratings.score[at] - found.mean[group]) / found.sd(ddof)[group]
    return _lines(
        ratings,
        "rating",
        "outlier",
        statistic,
        sigma,
        item=ratings.item[at],
        rater=ratings.rater[at],
        dimension=ratings.dimension[at],
        index=ratings.index[at],
    )


def _lines(
    ratings: Ratings, what: str, rule: str, statistic: np.ndarray, threshold: float, **where: np.ndarray
) -> pa.Table:
    size = len(statistic)
    names = {"item": ratings.items, "rater": ratings.raters, "dimension": ratings.dimensions}
    columns = {name: labels.take(numbers(where[name])) for name, labels in names.items() if name in where}
    columns |= {
        "what": repeated(what, size),
        "rule": repeated(rule, size),
        "statistic": numbers(statistic),
        "threshold": numbers(np.full(size, threshold)),
        "margin": numbers(np.abs(statistic - threshold)),
    }
    if "index" in where:
        columns["index"] = numbers(where["index"])
    return pa.table([columns.get(field.name, pa.nulls(size, field.type)) for field in SCHEMA], schema=SCHEMA)
