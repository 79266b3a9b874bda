"""The list of everything that was left out, with the rule, the figure and the threshold that decided."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mos.moments import Moments
from mos.scores import Normalised
from mos.screening import RaterShares
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


def unusable_raters(ratings: Ratings, own: Normalised, rated: np.ndarray, excluded: np.ndarray, ddof: int) -> pa.Table:
    """Raters who are not excluded but cannot be normalised in one dimension: too few ratings, or all of them equal.

    rated: [raters * dimensions] bool, whether there are ratings; excluded: [raters] bool.
    """
    dimensions = len(ratings.dimensions)
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


def outlying_ratings(ratings: Ratings, flag: np.ndarray, found: Moments, ddof: int, sigma: float) -> pa.Table:
    """Ratings more than `sigma` standard deviations from their group's mean; the statistic counts deviations."""
    at = np.flatnonzero(flag)
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
    columns = {name: labels.take(pa.array(where[name])) for name, labels in names.items() if name in where}
    columns |= {
        "what": pa.repeat(what, size),
        "rule": pa.repeat(rule, size),
        "statistic": pa.array(statistic, pa.float64()),
        "threshold": pa.array(np.full(size, threshold)),
        "margin": pa.array(np.abs(statistic - threshold)),
    }
    if "index" in where:
        columns["index"] = pa.array(where["index"])
    return pa.table([columns.get(field.name, pa.nulls(size, field.type)) for field in SCHEMA], schema=SCHEMA)
