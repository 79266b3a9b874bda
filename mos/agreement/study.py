"""Agreement of the raters of a study: every coefficient of a dimension, and the table of all dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from mos.agreement.alpha import krippendorff
from mos.agreement.coefficient import READING, Coefficient
from mos.agreement.components import random_effects
from mos.agreement.icc import complete_iccs
from mos.agreement.opinions import opinions
from mos.agreement.resampling import Resampling
from mos.agreement.sos import Sos, sos
from mos.agreement.split_half import Curve, split_half
from mos.arrow import chosen, numbers, texts
from mos.errors import UserError
from mos.ratings import Ratings

_REPEATED = "ratings of an item by the same rater were averaged first"


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How well the raters agree in a dimension.

    coefficients: by name, in the order of `READING`, which tells how to read each
    curve: rank correlation of two panels by their size, for a plot
    sos: the SOS parameter with the points for a plot; its `item` are positions in `Ratings.items`
    """

    dimension: str
    coefficients: dict[str, Coefficient]
    curve: Curve
    sos: Sos


def agreement(
    ratings: Ratings,
    dimension: int,
    *,
    seed: int = 0,
    replicates: int = 1000,
    splits: int = 200,
    level: float = 0.95,
) -> Agreement:
    """Every coefficient of a dimension, a position in `ratings.dimensions`, with intervals at `level` in (0, 1).

    seed: of the bootstrap and of the halvings; replicates: resamples of the items; splits: random halvings
    Where a coefficient is undefined its value is None and its note says why.  Raises UserError for a dimension that
    is not there, or options out of range.
    """
    _check(ratings, dimension, replicates, splits, level)
    return _agreement(ratings, dimension, Resampling(replicates, seed, level), splits)


def agreements(
    ratings: Ratings, *, seed: int = 0, replicates: int = 1000, splits: int = 200, level: float = 0.95
) -> list[Agreement]:
    """`agreement` in every dimension of the ratings; quicker than one by one."""
    dimensions = range(len(ratings.dimensions))
    for dimension in dimensions:
        _check(ratings, dimension, replicates, splits, level)
    resampling = Resampling(replicates, seed, level)
    return [_agreement(ratings, dimension, resampling, splits) for dimension in dimensions]


def table(
    ratings: Ratings, *, seed: int = 0, replicates: int = 1000, splits: int = 200, level: float = 0.95
) -> pa.Table:
    """`tabulate` of `agreements`."""
    return tabulate(agreements(ratings, seed=seed, replicates=replicates, splits=splits, level=level))


def tabulate(found: Sequence[Agreement]) -> pa.Table:
    """One row for each dimension and coefficient.

    dimension, coefficient; value, ci_low, ci_high (null where undefined); interval (what the two are); n_items,
    n_raters, n_ratings behind the value; note (why there is no value, or what to know; null when all is well)
    """
    rows = [(each.dimension, name, value) for each in found for name, value in each.coefficients.items()]
    values = [value for _, _, value in rows]
    return pa.table(
        {
            "dimension": texts([dimension for dimension, _, _ in rows]),
            "coefficient": texts([name for _, name, _ in rows]),
            "value": _floats([value.value for value in values]),
            "ci_low": _floats([value.ci_low for value in values]),
            "ci_high": _floats([value.ci_high for value in values]),
            "interval": _words([value.interval for value in values]),
            "n_items": numbers(np.array([value.items for value in values], np.int64)),
            "n_raters": numbers(np.array([value.raters for value in values], np.int64)),
            "n_ratings": numbers(np.array([value.ratings for value in values], np.int64)),
            "note": _words([value.note for value in values]),
        }
    )


def _agreement(ratings: Ratings, dimension: int, resampling: Resampling, splits: int) -> Agreement:
    rows = ratings.dimension == dimension
    item, rater, score = ratings.item[rows], ratings.rater[rows], ratings.score[rows]
    found = opinions(item, rater, score)
    coefficients = {
        "krippendorff_interval": krippendorff(found, "interval", resampling),
        "krippendorff_ordinal": krippendorff(found, "ordinal", resampling),
        **random_effects(found, resampling),
    }
    if found.complete:
        coefficients |= complete_iccs(found, resampling.level)
    halves = split_half(found, splits, resampling.seed, resampling.level)
    coefficients |= {"split_half_srcc": halves.srcc, "split_half_srcc_corrected": halves.corrected}
    if found.ratings > len(found):
        coefficients = {name: _with(value, _REPEATED) for name, value in coefficients.items()}
    diversity = sos(item, rater, score, ratings.scale, resampling)
    coefficients["sos_a"] = diversity.a
    name = ratings.dimensions[dimension].as_py()
    return Agreement(name, {name: coefficients[name] for name in READING}, halves.curve, diversity)


def _with(value: Coefficient, note: str) -> Coefficient:
    return replace(value, note=note if value.note is None else f"{value.note}; {note}")


def _floats(values: Sequence[float | None]) -> pa.Array:
    known = np.array([value is not None for value in values], bool)
    return numbers(np.array([0.0 if value is None else value for value in values]), known)


def _words(values: Sequence[str | None]) -> pa.StringArray:
    """Texts, null where None."""
    known = sorted({value for value in values if value is not None})
    return chosen(texts(known), np.array([-1 if value is None else known.index(value) for value in values], np.int32))


def _check(ratings: Ratings, dimension: int, replicates: int, splits: int, level: float) -> None:
    last = len(ratings.dimensions) - 1
    if not 0 <= dimension <= last:
        raise UserError(f"The dimension must be a position from 0 to {last}; got {dimension}.")
    if replicates < 1 or splits < 1:
        raise UserError(f"Replicates and splits must be at least 1; got {replicates} and {splits}.")
    if not 0 < level < 1:
        raise UserError(f"The level of the intervals must lie between 0 and 1; got {level:g}.")
