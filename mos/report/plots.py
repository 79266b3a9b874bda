"""The plots of the page, dimension by dimension, from results and ratings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mos import plots
from mos.agreement import Agreement, spearman_brown
from mos.arrow import nulls, plain
from mos.errors import UserError
from mos.plots import svg
from mos.ratings import Ratings
from mos.scoring.points import in_points
from mos.scoring.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_METHODS = 6
_MOST_PLANNED = 60


def drawn(figures: Iterator[tuple[str, Figure]]) -> dict[str, str]:
    """SVG by name, each figure forgotten when it is drawn."""
    return {name: svg(figure, name) for name, figure in figures}


def of_study(result: Result, raters: pa.Table, threshold: float | None) -> Iterator[tuple[str, Figure]]:
    """Plots over all dimensions: histograms, shares of flagged ratings, bias and inconsistency.

    raters: of `mos.raters.report`; threshold: share above which raters are excluded, None where there is no such rule
    """
    ratings = result.ratings
    dimensions = ratings.dimensions.to_pylist()
    scores = values(result.scores["mos"]).reshape(len(ratings.items), len(dimensions))
    raw = [ratings.score[ratings.dimension == at] for at in range(len(dimensions))]
    unit = unit_of(result)
    yield "histograms", plots.score_histograms(dimensions, raw, [scores[:, at] for at in range(len(dimensions))], unit)
    names = raters["rater"].to_pylist()
    excluded = truth(raters["excluded"])
    if threshold is not None:
        band = np.stack([values(raters["share_low"]), values(raters["share_high"])], axis=1)
        yield "shares", plots.flagged_shares(names, values(raters["share"]), band, threshold, excluded)
    yield (
        "bias",
        plots.bias_inconsistency(
            names,
            values(raters["bias"]),
            values(raters["inconsistency"]),
            np.stack([values(raters["bias_low"]), values(raters["bias_high"])], axis=1),
            np.stack([values(raters["inconsistency_low"]), values(raters["inconsistency_high"])], axis=1),
            excluded,
        ),
    )
    yield "ridge", plots.rater_ridge(ratings.rater, ratings.score, ratings.raters.to_pylist())


def of_dimension(
    result: Result, compared: Mapping[str, Result], position: int, agreement: Agreement
) -> Iterator[tuple[str, Figure]]:
    """Intervals, residuals, SOS, split halves and methods of one dimension, `position` of those of the ratings."""
    ratings = result.ratings
    here = slice(position, None, len(ratings.dimensions))
    mos, low, high = (values(result.scores[name])[here] for name in ("mos", "ci_low", "ci_high"))
    confidence = float(result.options["confidence"])
    tag = f"d{position}"
    items = ratings.items.to_pylist()
    yield f"intervals-{tag}", plots.score_intervals(items, mos, low, high, unit_of(result), confidence)
    rows = ratings.dimension == position
    yield (
        f"residuals-{tag}",
        plots.residual_map(ratings.item[rows], ratings.rater[rows], ratings.score[rows], ratings.raters.to_pylist()),
    )
    sos = agreement.sos
    yield f"sos-{tag}", plots.sos_scatter(sos.mos, sos.sd, sos.scale, sos.a.value)
    curve = agreement.curve
    yield (
        f"halves-{tag}",
        plots.split_half_curve(curve.raters, curve.mean, curve.low, curve.high, _extrapolated(ratings, agreement)),
    )
    planned = _planned(ratings, position)
    if planned is not None:
        yield f"planning-{tag}", plots.planning_curve(*planned, "units of the scale", confidence)
    if compared:
        results = dict(list({result.options["method"]: result, **compared}.items())[:_MOST_METHODS])
        scores = np.stack([values(in_points(each)["mos"])[here] for each in results.values()])
        yield (
            f"methods-{tag}",
            plots.method_scatter(list(results), [_scaled(each) for each in results.values()], scores),
        )


def _planned(ratings: Ratings, position: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Numbers of raters, the half-widths and reliabilities that they would give; None where the study cannot tell."""
    from mos.planning import from_ratings, half_width, reliability

    try:
        pilot = from_ratings(ratings, ratings.dimensions[position].as_py())
    except UserError:
        return None
    if not pilot.sd > 0:
        return None
    counts = np.arange(2, _MOST_PLANNED + 1)
    widths = np.array([half_width(pilot.sd, int(count)) for count in counts])
    single = pilot.consistency
    sure = [reliability(single, int(count)) if 0 < single < 1 else np.nan for count in counts]
    return counts, widths, np.array(sure)


def _extrapolated(ratings: Ratings, agreement: Agreement) -> tuple[np.ndarray, np.ndarray] | None:
    """What Spearman and Brown's formula expects of more raters than there are halves of."""
    curve = agreement.curve
    known = np.flatnonzero(~np.isnan(curve.mean))
    if not len(known) or not 0 < curve.mean[known[-1]] < 1:
        return None
    largest, best = float(curve.raters[known[-1]]), float(curve.mean[known[-1]])
    sizes = np.arange(int(largest), max(len(ratings.raters), int(2 * largest)) + 1)
    return sizes, np.array([spearman_brown(best, float(size) / largest) for size in sizes])


def unit_of(result: Result) -> str:
    """The unit of a result's scores, in words."""
    low, high = result.ratings.scale
    return "points, 0 to 100" if result.unit == "points" else f"scale, {low:g} to {high:g}"


def _scaled(result: Result) -> str:
    return "points of z-scores" if result.unit == "points" else "scale, as 0 to 100"


def values(column: pa.ChunkedArray) -> np.ndarray:
    """[N] float64, NaN where null."""
    return np.where(nulls(column), np.nan, plain(column))


def truth(column: pa.ChunkedArray) -> np.ndarray:
    """[N] bool, False where null."""
    return np.array([bool(value) for value in column.to_pylist()], bool)
