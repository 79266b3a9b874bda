"""Correlations against SciPy, their definitions, and curves that made the data."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import curve_fit

from training.metrics.correlation import CORRELATION_METRICS, correlation_metrics, fit_logistic

CLOSE = {"rel": 1e-9, "abs": 1e-9}


def tau_b(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b by its definition over all pairs of rows."""
    agreement = ties_x = ties_y = 0
    pairs = list(combinations(range(len(x)), 2))
    for i, j in pairs:
        agreement += np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
        ties_x += x[i] == x[j]
        ties_y += y[i] == y[j]
    return float(agreement / math.sqrt((len(pairs) - ties_x) * (len(pairs) - ties_y)))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30))
@example([(0, 0), (1, 1)])
@example([(0, 1), (0, 2), (1, 0)])
def test_correlations_are_those_of_scipy_with_any_ties(rows: list[tuple[int, int]]) -> None:
    x, y = np.array(rows, float).T
    found = correlation_metrics(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert all(math.isnan(found[name]) for name in CORRELATION_METRICS)
        return
    assert found["srcc"] == pytest.approx(stats.spearmanr(x, y).statistic, **CLOSE)
    assert found["krcc"] == pytest.approx(tau_b(x, y), **CLOSE)
    assert found["plcc"] == pytest.approx(stats.pearsonr(x, y).statistic, **CLOSE)


def test_numbers_of_any_size_keep_their_digits() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 50))
    expected = stats.pearsonr(x, y).statistic
    assert correlation_metrics(x * 1e150, y * 1e-150)["plcc"] == pytest.approx(expected, **CLOSE)


NOISE = np.random.default_rng(1).normal(size=80)
SCORES = np.sort(np.random.default_rng(2).uniform(-3, 3, 80))
CURVES = {
    "rising": 30 + 60 / (1 + np.exp(-(SCORES - 0.7) / 0.3)),
    "falling": 90 - 60 / (1 + np.exp(-(SCORES - 0.7) / 0.3)),
    "a wide one": 20 + 500 / (1 + np.exp(-(SCORES - 4) / 2)),
    "a line": 50 + 8 * SCORES,
}


@pytest.mark.parametrize("name", ["rising", "falling", "a wide one"])
def test_the_curve_that_made_the_data_is_found(name: str) -> None:
    found = correlation_metrics(SCORES, CURVES[name])
    assert found["plcc_logistic4"] == pytest.approx(1, abs=1e-8)
    assert found["plcc_logistic5"] == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("parameters", [4, 5])
def test_no_fit_of_scipy_from_the_published_start_is_better(name: str, parameters: int) -> None:
    y = CURVES[name] + 4 * NOISE

    def four(x: np.ndarray, a: float, b: float, c: float, d: float) -> np.ndarray:
        return (a - b) / (1 + np.exp(-(x - c) / abs(d))) + b

    def five(x: np.ndarray, a: float, b: float, c: float, d: float, e: float) -> np.ndarray:
        return a * (0.5 - 1 / (1 + np.exp(b * (x - c)))) + d * x + e

    starts = {4: [y.max(), y.min(), SCORES.mean(), SCORES.std() / 4], 5: [y.max(), 1, SCORES.mean(), 0.1, 0.1]}
    curve = four if parameters == 4 else five
    with np.errstate(over="ignore"):
        theirs, _ = curve_fit(curve, SCORES, y, starts[parameters], maxfev=20_000)
        squares = float(np.square(curve(SCORES, *theirs) - y).sum())
    ours = fit_logistic(SCORES, y, parameters)
    assert ours is not None
    assert ours.squares <= squares * (1 + 1e-6)
    assert np.square(ours.values - y).sum() == pytest.approx(ours.squares)
    # The reported parameters are those of the published formula, in the units of the data.
    with np.errstate(over="ignore"):
        assert curve(SCORES, *ours.parameters) == pytest.approx(ours.values, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", CURVES)
def test_a_fit_never_lowers_plcc_of_five_parameters(name: str) -> None:
    found = correlation_metrics(SCORES, CURVES[name] + 10 * NOISE)
    assert found["plcc_logistic5"] >= abs(found["plcc"]) - 1e-9


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 0), (1e3, -40), (0.04, 7)])
def test_a_fit_does_not_depend_on_units(scale: float, offset: float) -> None:
    y = CURVES["rising"] + 4 * NOISE
    plain, moved = correlation_metrics(SCORES, y), correlation_metrics(SCORES * scale + offset, y / 20)
    assert moved == pytest.approx(plain, rel=1e-5)


def test_rows_without_a_number_are_left_out_and_counted() -> None:
    x, y = [1.0, None, 2.0, 3.0, math.nan, 5.0], [1.0, 2.0, None, 2.5, None, 9.0]
    found = correlation_metrics(np.array(x, float), np.array(y, float))
    assert found["plcc"] == pytest.approx(stats.pearsonr([1, 3, 5], [1, 2.5, 9]).statistic, **CLOSE)
    assert (found.settings["rows"], found.settings["without_prediction"], found.settings["without_truth"]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("predicted", "truth", "words"),
    [
        ([], [], "Fewer than two rows"),
        ([1.0], [2.0], "Fewer than two rows"),
        ([1.0, math.nan], [2.0, 3.0], "Fewer than two rows"),
        ([50.0] * 6, [1, 2, 3, 4, 5, 6], "predictions are all equal"),
        ([1, 2, 3, 4, 5, 6], [50.0] * 6, "true scores are all equal"),
    ],
)
def test_what_is_not_defined_has_a_reason(predicted: list[float], truth: list[float], words: str) -> None:
    found = correlation_metrics(predicted, truth)
    assert all(math.isnan(found[name]) and words in found.reasons[name] for name in CORRELATION_METRICS)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2, 3]), ([[1, 2]], [[1, 2]]), (1.0, 2.0)])
def test_vectors_of_one_length(x: object, y: object) -> None:
    with pytest.raises(ValueError, match="must"):
        correlation_metrics(x, y)  # type: ignore[arg-type]
