"""Rows of the ledger of exclusions, and columns of the table of raters, that scoring methods make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mos._arrow import number_array, repeat_text
from mos.ratings import Ratings
from mos.scoring.normalise import NormalisedRatings


def columns_by_dimension(ratings: Ratings, figures: Mapping[str, NDArray[Any]]) -> dict[str, pa.Array]:
    """Make columns of the table of raters.

    Parameters
    ----------
    ratings : Ratings
    figures : mapping from str to ndarray of float64, shape (raters * dimensions,)

    Returns
    -------
    dict from str to pyarrow.Array
        A column for each figure, null where NaN, such as "bias". With several dimensions, a column for each
        dimension, such as "bias_overall".
    """
    names = ratings.dimensions.to_pylist()
    columns = {}
    for figure, values in figures.items():
        table = values.reshape(len(ratings.raters), len(names))
        for position, dimension in enumerate(names):
            column = np.ascontiguousarray(table[:, position])
            columns[figure if len(names) == 1 else f"{figure}_{dimension}"] = number_array(column, ~np.isnan(column))
    return columns


EXCLUSIONS_SCHEMA = pa.schema(
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


NO_EXCLUSIONS = pa.table([pa.nulls(0, field.type) for field in EXCLUSIONS_SCHEMA], schema=EXCLUSIONS_SCHEMA)


def rater_exclusions(
    ratings: Ratings,
    rule: str,
    statistic: NDArray[Any],
    threshold: float | NDArray[Any],
    rater: NDArray[Any],
    dimension: NDArray[Any] | None = None,
) -> pa.Table:
    """Make the rows of the ledger for excluded raters.

    Parameters
    ----------
    ratings : Ratings
    rule : str
        One of `NOT_USED_REASONS`, or the part of a rule that decided.
    statistic, threshold : ndarray of float64, shape (exclusions,)
        The figure that decided, and its limit.
    rater, dimension : ndarray of int, shape (exclusions,)
        Without dimension, the rater is excluded in all dimensions.

    Returns
    -------
    pyarrow.Table
        With the columns of `EXCLUSIONS_SCHEMA`.
    """
    where = {"rater": rater} if dimension is None else {"rater": rater, "dimension": dimension}
    return _exclusion_rows(ratings, "rater", rule, statistic, threshold, **where)


def unusable_rater_exclusions(
    ratings: Ratings, normalised: NormalisedRatings, rating_count: NDArray[Any], excluded: NDArray[Any], ddof: int
) -> list[pa.Table]:
    """Make the rows of the ledger for raters that are not excluded but have no z-scores in a dimension.

    Parameters
    ----------
    ratings : Ratings
    normalised : NormalisedRatings
    rating_count : ndarray of int, shape (raters * dimensions,)
    excluded : ndarray of bool, shape (raters * dimensions,)
    ddof : {0, 1}

    Returns
    -------
    list of pyarrow.Table
        Raters with too few ratings, and raters whose ratings are all equal.
    """
    dimensions = len(ratings.dimensions)
    concerned = (rating_count > 0) & ~excluded
    few = np.flatnonzero(concerned & normalised.too_few)
    constant = np.flatnonzero(concerned & normalised.constant)
    return [
        rater_exclusions(ratings, rule, figure[at], threshold, at // dimensions, at % dimensions)
        for rule, at, figure, threshold in (
            ("too_few", few, normalised.moments.n.astype(np.float64), 2.0),
            ("constant", constant, normalised.moments.sd(ddof), normalised.least_sd),
        )
        if len(at)
    ]


def outlier_exclusions(ratings: Ratings, row: NDArray[Any], statistic: NDArray[Any], sigma: float) -> pa.Table:
    """Make the rows of the ledger for outliers.

    Parameters
    ----------
    ratings : Ratings
    row : ndarray of int, shape (outliers,)
    statistic : ndarray of float64, shape (outliers,)
        Distance from the mean, in standard deviations.
    sigma : float
        Limit of the distance.

    Returns
    -------
    pyarrow.Table
        With the columns of `EXCLUSIONS_SCHEMA`.
    """
    return _exclusion_rows(
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


def _exclusion_rows(
    ratings: Ratings,
    what: str,
    rule: str,
    statistic: NDArray[Any],
    threshold: float | NDArray[Any],
    **where: NDArray[Any],
) -> pa.Table:
    size = len(statistic)
    names = {"item": ratings.items, "rater": ratings.raters, "dimension": ratings.dimensions}
    columns = {name: labels.take(number_array(where[name])) for name, labels in names.items() if name in where}
    columns |= {
        "what": repeat_text(what, size),
        "rule": repeat_text(rule, size),
        "statistic": number_array(statistic),
        "threshold": number_array(np.broadcast_to(np.float64(threshold), size)),
        "margin": number_array(np.abs(statistic - threshold)),
    }
    if "index" in where:
        columns["index"] = number_array(where["index"])
    return pa.table(
        [columns.get(field.name, pa.nulls(size, field.type)) for field in EXCLUSIONS_SCHEMA], schema=EXCLUSIONS_SCHEMA
    )
