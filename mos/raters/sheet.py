"""Every rating beside the mean of what the others gave: what all columns of the table of raters are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mos.errors import UserError
from mos.moments import largest, moments
from mos.ratings import Ratings

_DIGITS = 12  # numbers that agree to so many digits of the largest score are equal


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """N ratings in the order of `Ratings`, R raters, D dimensions.

    A block is a rater in a dimension, a cell a rater's ratings (more than one only with repetitions) of one item in
    one dimension.

    block: [N] int64, rater * D + dimension
    level, levels: [N] int64 position of the score among the [levels] distinct scores of the table, ascending
    cell, first: [N] int64 cell of each rating; [cells] int64 row of each cell's first rating
    mean: [items * D] float64, mean of all ratings of an item in a dimension, NaN without
    others: [N] float64, mean of the ratings that the other raters gave the item in the dimension; 0 without others
    residual: [N] float64, score - others; 0 without others
    compared: [N] bool, whether there are others
    order: [N] int64, rows rater by rater, each rater's in the sequence in which they were given
    place: [N] int64, position of each rating in its rater's sequence, from 0
    """

    ratings: Ratings
    block: np.ndarray
    level: np.ndarray
    levels: np.ndarray
    cell: np.ndarray
    first: np.ndarray
    mean: np.ndarray
    others: np.ndarray
    residual: np.ndarray
    compared: np.ndarray
    order: np.ndarray
    place: np.ndarray

    @property
    def raters(self) -> int:
        return len(self.ratings.raters)

    @property
    def dimensions(self) -> int:
        return len(self.ratings.dimensions)

    @property
    def blocks(self) -> int:
        return self.raters * self.dimensions

    @property
    def block_dimensions(self) -> np.ndarray:
        """[blocks] int64 dimension of each block."""
        return np.tile(np.arange(self.dimensions), self.raters)

    def by_rater(self, values: np.ndarray) -> np.ndarray:
        """[raters] sums of what is given for every block."""
        return values.reshape(self.raters, self.dimensions).sum(axis=1)

    def count(self, rows: np.ndarray | None = None) -> np.ndarray:
        """[raters] int64, ratings of each, all or those where `rows` [N] is True."""
        rater = self.ratings.rater
        return np.bincount(rater if rows is None else rater[rows], minlength=self.raters)


def make_sheet(ratings: Ratings, times: np.ndarray | None) -> Sheet:
    """times: [N] when each rating was given, see `checked_times`; None for the order of the table's rows.

    The mean of the others is that of the item with this rater's share taken out, so one pass serves all raters.
    """
    group = ratings.groups()
    highest = largest(ratings.score)
    whole = moments(ratings.score, group, len(ratings.items) * len(ratings.dimensions))
    cell, first = _cells(group, ratings.rater)
    deviation = ratings.score - whole.mean[group]
    own = np.diff(first, append=len(ratings))
    rest = whole.n[group[first]] - own
    # Deviations from the item's mean: sums of the scores themselves would cancel.
    pull = np.add.reduceat(deviation, first) / np.maximum(rest, 1) if len(first) else np.zeros(0)
    compared = (rest > 0)[cell]
    others = np.where(compared, to_digits(whole.mean[group] - pull[cell], highest), 0.0)
    levels, level = np.unique(to_digits(ratings.score, highest), return_inverse=True)
    order, place = _sequence(ratings, times)
    return Sheet(
        ratings=ratings,
        block=ratings.rater_keys().astype(np.int64),
        level=level,
        levels=levels,
        cell=cell,
        first=first,
        mean=to_digits(whole.mean, highest),
        others=others,
        residual=np.where(compared, to_digits(ratings.score - others, highest), 0.0),
        compared=compared,
        order=order,
        place=place,
    )


def checked_times(times: np.ndarray, size: int) -> np.ndarray:
    """Times as numbers or datetime64 [size]; UserError where one is missing, or they are not one for each rating."""
    times = np.asarray(times)
    if times.shape != (size,) or times.dtype.kind not in "iufM":
        raise UserError(
            f"times must be one number or time for each of {size} ratings; got {times.dtype} of shape {times.shape}."
        )
    missing = int(np.count_nonzero(times != times))  # NaN and NaT differ from themselves
    if missing:
        raise UserError(
            f"{missing} of {size} ratings have no time; give all of them, or none to use the table's order."
        )
    return times


def to_digits(values: np.ndarray, highest: float) -> np.ndarray:
    """`values` without the noise of rounding, so that equal numbers compare equal; highest: the largest score."""
    return np.round(values / highest, _DIGITS) * highest if highest else values


def _cells(group: np.ndarray, rater: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts = np.ones(len(group), bool)
    starts[1:] = (group[1:] != group[:-1]) | (rater[1:] != rater[:-1])
    return np.cumsum(starts) - 1, np.flatnonzero(starts)


def _sequence(ratings: Ratings, times: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """`Sheet.order` and `Sheet.place`; ratings of one moment follow each other as in the table."""
    order = np.argsort(ratings.index, kind="stable")
    if times is not None:
        order = order[np.argsort(times[order], kind="stable")]
    # The smallest type that holds the codes: numpy sorts 16 bits in linear time.
    codes = ratings.rater.astype(np.min_scalar_type(len(ratings.raters)))
    order = order[np.argsort(codes[order], kind="stable")]
    n = np.bincount(ratings.rater, minlength=len(ratings.raters))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.repeat(np.cumsum(n) - n, n)
    return order, place
