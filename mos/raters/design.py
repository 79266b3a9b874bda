"""Each rating with the mean of the other raters' ratings: the input of all columns of the table of raters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments, largest_magnitude
from mos.errors import UserError
from mos.ratings import Ratings

_SCORE_DIGITS = 12  # numbers that agree to so many digits of the largest score are equal


@dataclass(frozen=True, slots=True, eq=False)
class RaterDesign:
    """N ratings in the order of `Ratings`, R raters, D dimensions.

    A block is a rater in a dimension, a cell a rater's ratings (more than one only with repetitions) of one item in
    one dimension.

    block: [N] int64, rater * D + dimension
    level, levels: [N] int64 position of the score among the [levels] distinct scores of the table, ascending
    cell, first: [N] int64 cell of each rating; [cells] int64 row of each cell's first rating
    mean: [items * D] float64, mean of all ratings of an item in a dimension, NaN without ratings
    others: [N] float64, mean of the ratings that the other raters gave the item in the dimension; 0 without others
    residual: [N] float64, score - others; 0 without others
    compared: [N] bool, whether there are others
    order: [N] int64, rows rater by rater, each rater's in the sequence in which they were given
    place: [N] int64, position of each rating in its rater's sequence, from 0
    """

    ratings: Ratings
    block: NDArray[Any]
    level: NDArray[Any]
    levels: NDArray[Any]
    cell: NDArray[Any]
    first: NDArray[Any]
    mean: NDArray[Any]
    others: NDArray[Any]
    residual: NDArray[Any]
    compared: NDArray[Any]
    order: NDArray[Any]
    place: NDArray[Any]

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
    def block_dimensions(self) -> NDArray[Any]:
        """[blocks] int64 dimension of each block."""
        return np.tile(np.arange(self.dimensions), self.raters)

    def by_rater(self, values: NDArray[Any]) -> NDArray[Any]:
        """[raters] sums of values [blocks] over the dimensions."""
        sums: NDArray[Any] = values.reshape(self.raters, self.dimensions).sum(axis=1)
        return sums

    def count(self, rows: NDArray[Any] | None = None) -> NDArray[Any]:
        """[raters] int64, ratings of each, all or those where `rows` [N] is True."""
        rater = self.ratings.rater
        return np.bincount(rater if rows is None else rater[rows], minlength=self.raters)


def make_rater_design(ratings: Ratings, times: NDArray[Any] | None) -> RaterDesign:
    """Compute the design; times: [N] as `check_times` returns them, None for the order of the table's rows.

    The mean of the others is the item's mean without the rater's share, so one pass is enough for all raters.
    """
    group = ratings.groups()
    highest = largest_magnitude(ratings.score)
    whole = group_moments(ratings.score, group, len(ratings.items) * len(ratings.dimensions))
    cell, first = _find_cells(group, ratings.rater)
    deviation = ratings.score - whole.mean[group]
    cell_sizes = np.diff(first, append=len(ratings))
    rest = whole.n[group[first]] - cell_sizes
    # Deviations from the item's mean avoid the cancellation of sums of scores.
    pull = np.add.reduceat(deviation, first) / np.maximum(rest, 1) if len(first) else np.zeros(0)
    compared = (rest > 0)[cell]
    others = np.where(compared, round_digits(whole.mean[group] - pull[cell], highest), 0.0)
    levels, level = np.unique(round_digits(ratings.score, highest), return_inverse=True)
    order, place = _order_sequence(ratings, times)
    return RaterDesign(
        ratings=ratings,
        block=ratings.rater_keys().astype(np.int64),
        level=level,
        levels=levels,
        cell=cell,
        first=first,
        mean=round_digits(whole.mean, highest),
        others=others,
        residual=np.where(compared, round_digits(ratings.score - others, highest), 0.0),
        compared=compared,
        order=order,
        place=place,
    )


def check_times(times: NDArray[Any], size: int) -> NDArray[Any]:
    """Times as numbers or datetime64 [size]; raises `UserError` for a missing time, or for a wrong shape or type."""
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


def round_digits(values: NDArray[Any], highest: float) -> NDArray[Any]:
    """`values` without the noise of rounding, so that equal numbers compare equal; highest: the largest score."""
    return np.round(values / highest, _SCORE_DIGITS) * highest if highest else values


def _find_cells(group: NDArray[Any], rater: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    starts = np.ones(len(group), bool)
    starts[1:] = (group[1:] != group[:-1]) | (rater[1:] != rater[:-1])
    return np.cumsum(starts) - 1, np.flatnonzero(starts)


def _order_sequence(ratings: Ratings, times: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """`RaterDesign.order` and `RaterDesign.place`; ratings with equal times keep their order in the table."""
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
