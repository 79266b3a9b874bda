"""What every method finds, before it is put into tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from mos.moments import blocks
from mos.ratings import Ratings
from mos.scoring.scores import Means

# What became of a rating; `Result.status` holds positions in this list.
STATUSES = ("kept", "outlier", "rater_excluded", "rater_constant", "rater_too_few")
KEPT, OUTLIER, RATER_EXCLUDED, RATER_CONSTANT, RATER_TOO_FEW = range(len(STATUSES))


class Fates(NamedTuple):
    """What becomes of every rating.

    rater: [raters * dimensions] uint8, position in `STATUSES`: what becomes of a rater's ratings of a dimension
    removed: [removed] int64, ascending rows of the ratings that are set aside for their own sake
    given, retained: [raters * dimensions] ratings of each, before and after those were removed
    """

    rater: np.ndarray
    removed: np.ndarray
    given: np.ndarray
    retained: np.ndarray


class Flags(NamedTuple):
    """What a rule counts against raters.

    n, flagged: [raters] ratings of each, and how many of them the rule counts
    row: [flagged ratings] int64, ascending rows
    """

    n: np.ndarray
    flagged: np.ndarray
    row: np.ndarray


class Null(NamedTuple):
    """What a rule would do to raters who are all alike and Gaussian.

    chance: [items * dimensions] probability that a rating is flagged
    share: [raters] mean of it over the rater's ratings, NaN without any
    exclusions: how many raters, or raters in a dimension where each is screened on its own, would be excluded; NaN
        where that is not known
    """

    chance: np.ndarray
    share: np.ndarray
    exclusions: float


@dataclass(frozen=True, eq=False, slots=True)
class Estimate:
    """Scores as arrays, and how they came about.

    unit: "points", 0 to 100, or "scale", that of the ratings
    value: [N] float64, the rating as it entered the mean (z, the rating less its rater's bias, ...); NaN without
    status: [N] uint8, positions in `STATUSES`
    means: of every item and dimension, in `unit`
    rated: [items * dimensions] int64, ratings of each before anything was removed
    to_unit: factor and shift from `value` to `unit`
    normalises: whether every rater's ratings are brought to one mean, so that groups of raters must share items
    exclusion: the rule by which raters are excluded, one of `mos.scoring.result.NOT_USED`; "" for none
    by_dimension: whether it decides for every dimension on its own, not for a rater's ratings of all of them
    flags: None where the method counts nothing against raters
    null: makes what chance alone would do; None where that is not known
    decisions: makes the lines of the ledger, see `mos.scoring.ledger.SCHEMA`
    columns: makes further columns of the table of raters
    notes: sentences for a person
    """

    unit: Literal["points", "scale"]
    value: np.ndarray
    status: np.ndarray
    means: Means
    rated: np.ndarray
    fates: Fates
    exclusion: str
    decisions: Callable[[], list[pa.Table]]
    by_dimension: bool = False
    to_unit: tuple[float, float] = (1.0, 0.0)
    normalises: bool = False
    flags: Flags | None = None
    null: Callable[[], Null] | None = None
    columns: Callable[[], Mapping[str, pa.Array]] = dict
    notes: list[str] = field(default_factory=list)


def statuses(ratings: Ratings, fates: Fates) -> np.ndarray:
    """[N] uint8: a removed rating is an outlier whether or not its rater is excluded as well."""
    key = ratings.rater_keys()
    status = np.empty(len(ratings), np.uint8)
    if not fates.rater.any():
        status[:] = KEPT
    else:
        for rows in blocks(len(ratings)):
            fates.rater.take(key[rows], out=status[rows], mode="clip")
    status[fates.removed] = OUTLIER
    return status
