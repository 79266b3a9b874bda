"""Agreement of the raters of a study: all coefficients of a dimension, and the table of all dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mos._arrow import number_array, take_labels, text_array
from mos.display import convert_to_pandas, render_html_table
from mos.errors import UserError, require_count, require_number
from mos.ratings import Ratings
from mos.reliability.alpha import estimate_alpha
from mos.reliability.coefficient import COEFFICIENT_MEANINGS, Coefficient, ItemBootstrap, average_opinions
from mos.reliability.icc import estimate_complete_iccs, estimate_random_effects
from mos.reliability.sos import SosFit, fit_sos
from mos.reliability.split_half import SplitHalfCurve, estimate_split_half

if TYPE_CHECKING:
    import pandas as pd

_REPEATED_NOTE = "ratings of an item by the same rater were averaged first"


@dataclass(frozen=True, slots=True, eq=False)
class DimensionAgreement:
    """The agreement of the raters in one dimension.

    Attributes
    ----------
    dimension
        Name of the dimension.
    coefficients
        The coefficients by name, in the order of `COEFFICIENT_MEANINGS`, which explains each.
    curve
        Rank correlation of two panels by their size, for a plot.
    sos
        The SOS parameter with the points for a plot; `sos.item` has positions in `Ratings.items`.
    """

    dimension: str
    coefficients: dict[str, Coefficient]
    curve: SplitHalfCurve
    sos: SosFit


@dataclass(frozen=True, slots=True, eq=False)
class AgreementReport:
    """The agreement of the raters in all dimensions.

    Attributes
    ----------
    dimensions
        The coefficients, curve and SOS fit of each dimension.
    """

    dimensions: tuple[DimensionAgreement, ...]

    @property
    def table(self) -> pa.Table:
        """One row for each dimension and coefficient, see `tabulate_agreement`."""
        return tabulate_agreement(self.dimensions)

    def to_pandas(self) -> pd.DataFrame:
        """`table` as a DataFrame."""
        return convert_to_pandas(self.table)

    def __repr__(self) -> str:
        alphas = []
        for agreement in self.dimensions:
            value = agreement.coefficients["krippendorff_interval"].value
            alphas.append(f"{agreement.dimension} {'undefined' if value is None else f'{value:.3g}'}")
        return f"AgreementReport(Krippendorff's alpha: {', '.join(alphas)})"

    def _repr_html_(self) -> str:
        table = self.table
        names = list(COEFFICIENT_MEANINGS)
        shown = table.select(["dimension", "coefficient", "value", "ci_low", "ci_high", "note"])
        meanings = text_array([COEFFICIENT_MEANINGS.get(name, "") for name in table["coefficient"].to_pylist()])
        return render_html_table(
            shown.append_column("meaning", pa.chunked_array([meanings])), repr(self), rows=2 * len(names)
        )


def measure_dimension_agreement(
    ratings: Ratings,
    dimension: int,
    *,
    seed: int = 0,
    replicates: int = 1000,
    splits: int = 200,
    level: float = 0.95,
) -> DimensionAgreement:
    """Compute all coefficients of one dimension, with intervals.

    Parameters
    ----------
    ratings
        The ratings of the study.
    dimension
        Position of the dimension in `ratings.dimensions`.
    seed
        Random seed of the bootstrap and of the halvings.
    replicates
        Number of resamples of the items, 1 or more.
    splits
        Number of random halvings of the raters, 1 or more.
    level
        Level of the intervals, between 0 and 1.

    Returns
    -------
    DimensionAgreement
        The value of an undefined coefficient is None, and its note gives the reason.

    Raises
    ------
    UserError
        If a parameter is out of range.
    """
    _check_options(ratings, dimension, seed, replicates, splits, level)
    return _measure_dimension(ratings, dimension, ItemBootstrap(replicates, seed, level), splits)


def measure_agreement(
    ratings: Ratings, *, seed: int = 0, replicates: int = 1000, splits: int = 200, level: float = 0.95
) -> list[DimensionAgreement]:
    """Compute all coefficients of all dimensions, with intervals; faster than `measure_dimension_agreement` for each.

    Parameters
    ----------
    ratings
        The ratings of the study.
    seed
        Random seed of the bootstrap and of the halvings.
    replicates
        Number of resamples of the items, 1 or more.
    splits
        Number of random halvings of the raters, 1 or more.
    level
        Level of the intervals, between 0 and 1.

    Returns
    -------
    list of DimensionAgreement
        One for each dimension, in the order of `ratings.dimensions`.

    Raises
    ------
    UserError
        If a parameter is out of range.
    """
    dimensions = range(len(ratings.dimensions))
    for dimension in dimensions:
        _check_options(ratings, dimension, seed, replicates, splits, level)
    resampling = ItemBootstrap(replicates, seed, level)
    return [_measure_dimension(ratings, dimension, resampling, splits) for dimension in dimensions]


def report_agreement(
    ratings: Ratings, *, seed: int = 0, replicates: int = 1000, splits: int = 200, level: float = 0.95
) -> pa.Table:
    """Compute and tabulate all coefficients of all dimensions, see `measure_agreement` and `tabulate_agreement`.

    Parameters
    ----------
    ratings
        The ratings of the study.
    seed, replicates, splits, level
        See `measure_agreement`.

    Returns
    -------
    pa.Table
        One row for each dimension and coefficient, see `tabulate_agreement`.

    Raises
    ------
    UserError
        If a parameter is out of range.
    """
    return tabulate_agreement(measure_agreement(ratings, seed=seed, replicates=replicates, splits=splits, level=level))


def tabulate_agreement(agreements: Sequence[DimensionAgreement]) -> pa.Table:
    """Tabulate the agreement of several dimensions.

    Parameters
    ----------
    agreements
        The dimensions, as `measure_agreement` returns them.

    Returns
    -------
    pa.Table
        One row for each dimension and coefficient. Columns: dimension; coefficient; value, ci_low and ci_high (null
        where undefined); interval (how it was computed); n_items, n_raters and n_ratings behind the value; note (why
        there is no value, or a warning; null if there is neither).
    """
    rows = [
        (agreement.dimension, name, value) for agreement in agreements for name, value in agreement.coefficients.items()
    ]
    values = [value for _, _, value in rows]
    return pa.table(
        {
            "dimension": text_array([dimension for dimension, _, _ in rows]),
            "coefficient": text_array([name for _, name, _ in rows]),
            "value": _float_column([value.value for value in values]),
            "ci_low": _float_column([value.ci_low for value in values]),
            "ci_high": _float_column([value.ci_high for value in values]),
            "interval": _text_column([value.interval for value in values]),
            "n_items": number_array(np.array([value.items for value in values], np.int64)),
            "n_raters": number_array(np.array([value.raters for value in values], np.int64)),
            "n_ratings": number_array(np.array([value.ratings for value in values], np.int64)),
            "note": _text_column([value.note for value in values]),
        }
    )


def _measure_dimension(ratings: Ratings, dimension: int, resampling: ItemBootstrap, splits: int) -> DimensionAgreement:
    rows = ratings.dimension == dimension
    item, rater, score = ratings.item[rows], ratings.rater[rows], ratings.score[rows]
    opinions = average_opinions(item, rater, score)
    coefficients = {
        "krippendorff_interval": estimate_alpha(opinions, "interval", resampling),
        "krippendorff_ordinal": estimate_alpha(opinions, "ordinal", resampling),
        **estimate_random_effects(opinions, resampling),
    }
    if opinions.complete:
        coefficients |= estimate_complete_iccs(opinions, resampling.level)
    halves = estimate_split_half(opinions, splits, resampling.seed, resampling.level)
    coefficients |= {"split_half_srcc": halves.srcc, "split_half_srcc_corrected": halves.corrected}
    if opinions.ratings > len(opinions):
        coefficients = {name: _add_note(value, _REPEATED_NOTE) for name, value in coefficients.items()}
    diversity = fit_sos(item, rater, score, ratings.scale, resampling)
    coefficients["sos_a"] = diversity.a
    name = ratings.dimensions[dimension].as_py()
    return DimensionAgreement(
        name, {name: coefficients[name] for name in COEFFICIENT_MEANINGS}, halves.curve, diversity
    )


def _add_note(value: Coefficient, note: str) -> Coefficient:
    return replace(value, note=note if value.note is None else f"{value.note}; {note}")


def _float_column(values: Sequence[float | None]) -> pa.Array:
    known = np.array([value is not None for value in values], bool)
    return number_array(np.array([0.0 if value is None else value for value in values]), known)


def _text_column(values: Sequence[str | None]) -> pa.StringArray:
    """Texts, null where None."""
    known = sorted({value for value in values if value is not None})
    return take_labels(
        text_array(known), np.array([-1 if value is None else known.index(value) for value in values], np.int32)
    )


def _check_options(ratings: Ratings, dimension: int, seed: int, replicates: int, splits: int, level: float) -> None:
    last = len(ratings.dimensions) - 1
    if not 0 <= dimension <= last:
        raise UserError(f"The dimension must be a position from 0 to {last}; got {dimension}.")
    require_count("seed", seed, 0)
    require_count("replicates", replicates, 1)
    require_count("splits", splits, 1)
    require_number("level", level)
    if not 0 < level < 1:
        raise UserError(f"The level of the intervals must lie between 0 and 1; got {level:g}.")
