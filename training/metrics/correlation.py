"""Correlation of predicted scores with mean opinion scores: SRCC, KRCC, and PLCC, plain and after a logistic fit.

A model's scale need not be that of the raters, so PLCC is usually reported after a monotonic curve maps its scores to
theirs. The curve has four or five parameters, and papers seldom say which; both are computed, and named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mos.ranks import spearman_correlation
from training.metrics.results import MetricResult

CORRELATION_METRICS = ("srcc", "krcc", "plcc", "plcc_logistic4", "plcc_logistic5")

TOO_FEW_ROWS = "Fewer than two rows have both numbers."
CONSTANT_NUMBERS = "The {name} are all equal."
TOO_FEW_FOR_CURVE = "A curve with {parameters} parameters needs more than {parameters} rows, but there are {rows}."
NO_CURVE = "The fit of the curve did not converge."

_STEEP = 60.0  # a logistic function beyond is 0 or 1

_LOG_WIDTHS = (-3.0, -2.0, -1.0, 0.0, 1.0)  # of the curves of the grid, in standard deviations of the predictions

_MOST_LOG_WIDTH = 6.0  # wider curves are lines within rounding, narrower ones steps

_POLISHED = 3  # places of the grid from which a fit starts


@dataclass(frozen=True, slots=True)
class FittedCurve:
    """A curve from predicted scores to mean opinion scores.

    Attributes
    ----------
    parameters : tuple of float
        As in the formula of `fit_logistic`.
    squares : float
        Sum of the squared residuals.
    values : ndarray
        float64 [N], the curve at the predicted scores.
    """

    parameters: tuple[float, ...]
    squares: float
    values: NDArray[Any]


def correlation_metrics(predicted: ArrayLike, truth: ArrayLike) -> MetricResult:
    """Correlate predicted scores with true ones.

    Parameters
    ----------
    predicted, truth : array_like
        [N] numbers; None or NaN where there is none, such as a refused score or a pair that nobody rated.

    Returns
    -------
    MetricResult
        `srcc`, `krcc`, `plcc`, and `plcc_logistic4` and `plcc_logistic5` after a fit by `fit_logistic`. Rows without
        one of the numbers are left out, and counted in the settings.

    Raises
    ------
    ValueError
        If the two are not vectors of one length.

    Notes
    -----
    Formulas: SRCC is Pearson's correlation of the ranks, ties sharing their mean rank; KRCC is Kendall's tau-b,
    (concordant - discordant) / sqrt((pairs - ties in one) (pairs - ties in the other)); PLCC is Pearson's correlation.
    Sources: paper, section 5; VQEG, Final Report on the Validation of Objective Models of Video Quality Assessment,
    2000 and 2003 (FR-TV phases I and II).
    Limits: a curve is fitted to the very rows that it is judged on, which flatters short tables.

    Examples
    --------
    >>> found = correlation_metrics([1, 2, 3, 4], [10, 30, 20, 40])
    >>> round(found["srcc"], 6), round(found["krcc"], 6), round(found["plcc"], 6)
    (0.8, 0.666667, 0.8)
    >>> found.reasons["plcc_logistic4"]
    'A curve with 4 parameters needs more than 4 rows, but there are 4.'
    """
    given_x, given_y = _as_vector(predicted, "predicted"), _as_vector(truth, "truth")
    if len(given_x) != len(given_y):
        raise ValueError(
            f"predicted and truth must have one length, but got {len(given_x)} and {len(given_y)} numbers."
        )
    known = np.isfinite(given_x) & np.isfinite(given_y)
    x, y = given_x[known], given_y[known]
    settings: dict[str, Any] = {
        "rows": len(x),
        "without_prediction": int(np.count_nonzero(~np.isfinite(given_x))),
        "without_truth": int(np.count_nonzero(np.isfinite(given_x) & ~np.isfinite(given_y))),
    }
    reason = _why_undefined(x, y)
    if reason:
        return MetricResult(
            dict.fromkeys(CORRELATION_METRICS, math.nan), settings, dict.fromkeys(CORRELATION_METRICS, reason)
        )
    values = {"srcc": spearman_correlation(x, y), "krcc": _kendall(x, y), "plcc": pearson_correlation(x, y)}
    reasons: dict[str, str] = {}
    for parameters in (4, 5):
        name = f"plcc_logistic{parameters}"
        values[name] = math.nan
        if len(x) <= parameters:
            reasons[name] = TOO_FEW_FOR_CURVE.format(parameters=parameters, rows=len(x))
            continue
        curve = fit_logistic(x, y, parameters)
        if curve is None or np.ptp(curve.values) == 0:
            reasons[name] = NO_CURVE
            continue
        values[name] = pearson_correlation(curve.values, y)
        settings[name] = curve.parameters
    return MetricResult(values, settings, reasons)


def pearson_correlation(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Pearson's correlation of two vectors [N], neither of them constant.

    >>> round(pearson_correlation(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 4.0])), 6)
    0.866025
    """
    value = float(_standardise(x)[0] @ _standardise(y)[0]) / len(x)
    return max(-1.0, min(1.0, value))


def fit_logistic(x: NDArray[Any], y: NDArray[Any], parameters: int) -> FittedCurve | None:
    """Fit a logistic curve from x to y by least squares.

    Parameters
    ----------
    x, y : ndarray
        float64 [N], finite, neither of them constant.
    parameters : {4, 5}

    Returns
    -------
    FittedCurve or None
        None if no fit converged.

    Notes
    -----
    Four parameters (VQEG 2003): f(x) = (b1 - b2) / (1 + exp(-(x - b3) / |b4|)) + b2, monotonic.
    Five parameters (H. R. Sheikh et al., IEEE TIP 15(11), 2006):
    f(x) = b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5, which contains every line and need not be monotonic.
    For a given centre b3 and width (|b4|, or 1/b2) a curve is linear in the other parameters, which are then solved
    exactly; centre and width are searched on a grid, and the best places polished. So the fit needs no start value.
    (G. H. Golub and V. Pereyra, SIAM Journal on Numerical Analysis 10(2), 1973.)

    Examples
    --------
    >>> x = np.linspace(-4, 4, 9)
    >>> curve = fit_logistic(x, 80 / (1 + np.exp(-(x - 1) / 0.5)) + 10, 4)
    >>> [round(float(parameter), 4) for parameter in curve.parameters]
    [90.0, 10.0, 1.0, 0.5]
    """
    from scipy.optimize import least_squares

    (u, x_mean, x_sd), (v, y_mean, y_sd) = _standardise(x), _standardise(y)

    def residuals(place: NDArray[Any]) -> NDArray[Any]:
        return _solve_linear_part(u, v, place, parameters)[1]

    centres = np.quantile(u, np.linspace(0.05, 0.95, 7))
    grid = [np.array([centre, width]) for centre in centres for width in _LOG_WIDTHS]
    squares = [float(np.square(residuals(place)).sum()) for place in grid]
    starts = [grid[number] for number in np.argsort(squares, kind="stable")[:_POLISHED]]
    found = [least_squares(residuals, start, method="lm", max_nfev=200) for start in starts]
    best = min(found, key=lambda each: float(each.cost))
    if not np.isfinite(best.cost):
        return None
    linear, left = _solve_linear_part(u, v, best.x, parameters)
    centre, width = x_mean + x_sd * float(best.x[0]), x_sd * _width(best.x)
    scaled: tuple[float, ...]
    rise, slope, level = (float(each) for each in (linear[0], linear[2] if parameters == 5 else 0.0, linear[1]))
    if parameters == 4:
        scaled = (y_mean + y_sd * (level + rise), y_mean + y_sd * level, centre, width)
    else:
        slope *= y_sd / x_sd
        scaled = (y_sd * rise, 1 / width, centre, slope, y_mean + y_sd * level - slope * x_mean)
    return FittedCurve(scaled, float(np.square(left).sum()) * y_sd * y_sd, y_mean + y_sd * (v + left))


def _solve_linear_part(
    u: NDArray[Any], v: NDArray[Any], place: NDArray[Any], parameters: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The height, the level and (of five parameters) the slope of a curve, and [N] what it misses v by.

    place: centre and logarithm of the width
    """
    z = np.clip((u - place[0]) / _width(place), -_STEEP, _STEEP)
    rising = 1 / (1 + np.exp(-z)) - (0.5 if parameters == 5 else 0.0)
    columns = [rising, np.ones_like(u), u] if parameters == 5 else [rising, np.ones_like(u)]
    design = np.column_stack(columns)
    linear = np.linalg.lstsq(design, v, rcond=1e-12)[0]
    return linear, np.asarray(design @ linear - v)


def _width(place: NDArray[Any]) -> float:
    return math.exp(min(max(float(place[1]), -_MOST_LOG_WIDTH), _MOST_LOG_WIDTH))


def _standardise(values: NDArray[Any]) -> tuple[NDArray[Any], float, float]:
    """The values scaled to mean 0 and deviation 1, with both; squares of very large numbers stay numbers."""
    mean = float(values.mean())
    deviation = values - mean
    top = float(np.abs(deviation).max())
    sd = top * float((deviation / top).std())
    return deviation / sd, mean, sd


def _kendall(x: NDArray[Any], y: NDArray[Any]) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(x, y).statistic)


def _as_vector(numbers: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(numbers, np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be a vector [N], but got shape {array.shape}.")
    return array


def _why_undefined(x: NDArray[Any], y: NDArray[Any]) -> str | None:
    if len(x) < 2:
        return TOO_FEW_ROWS
    for name, values in (("predictions", x), ("true scores", y)):
        if values.min() == values.max():
            return CONSTANT_NUMBERS.format(name=name)
    return None
