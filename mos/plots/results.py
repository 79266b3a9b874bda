"""Plots of a result by kind: of the whole study, or of one dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mos._arrow import column_values, null_mask
from mos.display import require_package
from mos.errors import UserError
from mos.plots.agreement import plot_planning_curve, plot_residual_map, plot_sos_scatter, plot_split_half_curve
from mos.plots.raters import plot_bias_inconsistency, plot_flagged_shares, plot_rater_ridge
from mos.plots.scores import plot_method_scatter, plot_score_histograms, plot_score_intervals
from mos.raters import report_raters
from mos.ratings import Ratings
from mos.reliability import DimensionAgreement, measure_dimension_agreement, spearman_brown
from mos.scoring.result import ScoringResult, scores_in_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_MAX_METHODS = 6
_MAX_PLANNED_RATERS = 60
_THRESHOLD_OPTIONS = ("max_outlier_share", "max_share")


def plot_result(result: ScoringResult, kind: str, dimension: str | None = None) -> Figure:
    """Plot a result.

    Parameters
    ----------
    result
        The result.
    kind
        One of `RESULT_PLOTS`; `ScoringResult.plot` explains them.
    dimension
        Name of the dimension, for the kinds that show one dimension; None for the first.

    Returns
    -------
    Figure

    Raises
    ------
    UserError
        For an unknown kind or dimension, a result that has nothing to plot of this kind, or if matplotlib is missing.
    """
    require_package("matplotlib", "editfhf[plots]")
    if kind not in RESULT_PLOTS:
        known = ", ".join(RESULT_PLOTS)
        raise UserError(f"Unknown plot '{kind[:60]}'. Expected one of {known}.")
    names = result.ratings.dimensions.to_pylist()
    if dimension is not None and dimension not in names:
        known = ", ".join(names)
        raise UserError(f"Unknown dimension '{dimension[:60]}'. Expected one of {known}.")
    return RESULT_PLOTS[kind](result, 0 if dimension is None else names.index(dimension))


def plot_study(result: ScoringResult, raters: pa.Table) -> Iterator[tuple[str, Figure]]:
    """Plot a result over all dimensions.

    Parameters
    ----------
    result
        The result.
    raters
        The table of `mos.raters.report_raters`.

    Yields
    ------
    tuple of str and Figure
        Name and figure of each plot.
    """
    yield "histograms", _plot_histograms(result)
    if exclusion_threshold(result) is not None:
        yield "shares", _plot_shares(result, raters)
    yield "bias", _plot_bias(raters)
    yield "ridge", _plot_ridge(result)


def plot_dimension(
    result: ScoringResult, compared: Mapping[str, ScoringResult], position: int, agreement: DimensionAgreement
) -> Iterator[tuple[str, Figure]]:
    """Plot one dimension of a result.

    Parameters
    ----------
    result
        The result.
    compared
        Results of other methods, by name.
    position
        Position of the dimension in `result.ratings.dimensions`.
    agreement
        The agreement of the raters in this dimension.

    Yields
    ------
    tuple of str and Figure
        Name and figure of each plot.
    """
    tag = f"d{position}"
    yield f"intervals-{tag}", _plot_intervals(result, position)
    yield f"residuals-{tag}", _plot_residuals(result, position)
    yield f"sos-{tag}", _plot_sos(agreement)
    yield f"halves-{tag}", _plot_halves(result.ratings, agreement)
    planning = _plot_planning(result, position)
    if planning is not None:
        yield f"planning-{tag}", planning
    if compared:
        yield f"methods-{tag}", _plot_methods({result.options["method"]: result, **compared}, position)


def exclusion_threshold(result: ScoringResult) -> float | None:
    """The share of flagged ratings above which the method excludes a rater; None for a method without one."""
    for option in _THRESHOLD_OPTIONS:
        if option in result.options and result.raters["share"].null_count < len(result.raters):
            return float(result.options[option])
    return None


def describe_unit(result: ScoringResult) -> str:
    """The unit of a result's scores, in words."""
    low, high = result.ratings.scale
    return "points, 0 to 100" if result.unit == "points" else f"scale, {low:g} to {high:g}"


def _plot_histograms(result: ScoringResult) -> Figure:
    ratings = result.ratings
    dimensions = ratings.dimensions.to_pylist()
    scores = _float_column(result.scores["mos"]).reshape(len(ratings.items), len(dimensions))
    raw = [ratings.score[ratings.dimension == at] for at in range(len(dimensions))]
    return plot_score_histograms(
        dimensions, raw, [scores[:, at] for at in range(len(dimensions))], describe_unit(result)
    )


def _plot_shares(result: ScoringResult, raters: pa.Table) -> Figure:
    threshold = exclusion_threshold(result)
    if threshold is None:
        raise UserError(f"The method {result.options['method']} has no limit on the share of flagged ratings to plot.")
    band = np.stack([_float_column(raters["share_low"]), _float_column(raters["share_high"])], axis=1)
    names = raters["rater"].to_pylist()
    return plot_flagged_shares(names, _float_column(raters["share"]), band, threshold, _bool_column(raters["excluded"]))


def _plot_bias(raters: pa.Table) -> Figure:
    bias_interval, inconsistency_interval = (
        np.stack([_float_column(raters[f"{name}_low"]), _float_column(raters[f"{name}_high"])], axis=1)
        for name in ("bias", "inconsistency")
    )
    return plot_bias_inconsistency(
        raters["rater"].to_pylist(),
        _float_column(raters["bias"]),
        _float_column(raters["inconsistency"]),
        bias_interval,
        inconsistency_interval,
        _bool_column(raters["excluded"]),
    )


def _plot_ridge(result: ScoringResult) -> Figure:
    ratings = result.ratings
    return plot_rater_ridge(ratings.rater, ratings.score, ratings.raters.to_pylist())


def _plot_intervals(result: ScoringResult, position: int) -> Figure:
    ratings = result.ratings
    rows = slice(position, None, len(ratings.dimensions))
    mos, low, high = (_float_column(result.scores[name])[rows] for name in ("mos", "ci_low", "ci_high"))
    confidence = float(result.options["confidence"])
    return plot_score_intervals(ratings.items.to_pylist(), mos, low, high, describe_unit(result), confidence)


def _plot_residuals(result: ScoringResult, position: int) -> Figure:
    ratings = result.ratings
    rows = ratings.dimension == position
    return plot_residual_map(ratings.item[rows], ratings.rater[rows], ratings.score[rows], ratings.raters.to_pylist())


def _plot_sos(agreement: DimensionAgreement) -> Figure:
    sos = agreement.sos
    return plot_sos_scatter(sos.mos, sos.sd, sos.scale, sos.a.value)


def _plot_halves(ratings: Ratings, agreement: DimensionAgreement) -> Figure:
    curve = agreement.curve
    extrapolated = _extrapolate_agreement(ratings, agreement)
    return plot_split_half_curve(curve.raters, curve.mean, curve.low, curve.high, extrapolated)


def _plot_planning(result: ScoringResult, position: int) -> Figure | None:
    """The planning curve; None where the ratings are too few to plan from."""
    planned = _plan_raters(result.ratings, position)
    confidence = float(result.options["confidence"])
    return None if planned is None else plot_planning_curve(*planned, "units of the scale", confidence)


def _require_planning(result: ScoringResult, position: int) -> Figure:
    figure = _plot_planning(result, position)
    if figure is None:
        raise UserError("A plot for planning needs two raters or more who rated the same two items or more.")
    return figure


def _plot_methods(results: Mapping[str, ScoringResult], position: int) -> Figure:
    shown = dict(list(results.items())[:_MAX_METHODS])
    rows = slice(position, None, len(next(iter(shown.values())).ratings.dimensions))
    scores = np.stack([_float_column(scores_in_points(result)["mos"])[rows] for result in shown.values()])
    return plot_method_scatter(list(shown), [_describe_scaled_unit(result) for result in shown.values()], scores)


RESULT_PLOTS: dict[str, Callable[[ScoringResult, int], Figure]] = {
    "intervals": _plot_intervals,
    "histograms": lambda result, _: _plot_histograms(result),
    "shares": lambda result, _: _plot_shares(result, report_raters(result.ratings, result=result)),
    "bias": lambda result, _: _plot_bias(report_raters(result.ratings, result=result)),
    "ridge": lambda result, _: _plot_ridge(result),
    "residuals": _plot_residuals,
    "sos": lambda result, position: _plot_sos(measure_dimension_agreement(result.ratings, position)),
    "halves": lambda result, position: _plot_halves(
        result.ratings, measure_dimension_agreement(result.ratings, position)
    ),
    "planning": _require_planning,
}
"""The kinds of `plot_result`: the function from a result and the position of a dimension to a figure."""


def _plan_raters(ratings: Ratings, position: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None:
    """Numbers of raters, with half-width and reliability; None where the ratings are too few to plan from."""
    from mos.planning import compute_half_width, compute_reliability, estimate_pilot

    try:
        pilot = estimate_pilot(ratings, ratings.dimensions[position].as_py())
    except UserError:
        return None
    if not pilot.sd > 0:
        return None
    counts = np.arange(2, _MAX_PLANNED_RATERS + 1)
    widths = np.array([compute_half_width(pilot.sd, int(count)) for count in counts])
    single = pilot.consistency
    known = 0 < single < 1
    reliability = np.array([compute_reliability(single, int(count)) if known else np.nan for count in counts])
    return counts, widths, reliability


def _extrapolate_agreement(ratings: Ratings, agreement: DimensionAgreement) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Numbers of raters beyond the largest half, and the agreement expected by the Spearman-Brown formula."""
    curve = agreement.curve
    known = np.flatnonzero(~np.isnan(curve.mean))
    if not len(known) or not 0 < curve.mean[known[-1]] < 1:
        return None
    largest, best = float(curve.raters[known[-1]]), float(curve.mean[known[-1]])
    sizes = np.arange(int(largest), max(len(ratings.raters), int(2 * largest)) + 1)
    return sizes, np.array([spearman_brown(best, float(size) / largest) for size in sizes])


def _describe_scaled_unit(result: ScoringResult) -> str:
    return "points of z-scores" if result.unit == "points" else "scale, as 0 to 100"


def _float_column(column: pa.ChunkedArray) -> NDArray[Any]:
    """[N] float64, NaN where null."""
    return np.where(null_mask(column), np.nan, column_values(column))


def _bool_column(column: pa.ChunkedArray) -> NDArray[Any]:
    """[N] bool, False where null."""
    return np.array([bool(value) for value in column.to_pylist()], bool)
