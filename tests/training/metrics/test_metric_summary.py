"""Means of metrics and their intervals: by hand, against scikit-learn's and SciPy's own resampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from training.metrics.results import MetricResult, bootstrap_over_sources, summarise_metrics


def results(values: list[float]) -> list[MetricResult]:
    return [
        MetricResult({"cc": value}, reasons={"cc": "The prediction is constant."} if math.isnan(value) else None)
        for value in values
    ]


def test_a_value_that_is_not_defined_needs_a_reason() -> None:
    with pytest.raises(ValueError, match=r"needs a reason: cc\."):
        MetricResult({"cc": math.nan, "nss": 1.0})


def test_what_is_not_defined_is_counted_and_not_averaged() -> None:
    found = summarise_metrics(results([0.2, math.nan, 0.4, math.inf]), list("abcd"))["cc"]
    assert found.mean == pytest.approx(0.3)
    assert (found.count, found.missing, found.sources) == (2, 2, 2)
    assert found.reasons == {"The prediction is constant.": 1, "The value is infinite.": 1}


def test_a_metric_of_some_rows_only() -> None:
    rows = [MetricResult({"mse": 0.5}), MetricResult({"cc": 0.25})]
    found = summarise_metrics(rows, ["a", "b"])
    assert (found["mse"].mean, found["mse"].count, found["mse"].missing) == (0.5, 1, 1)
    assert found["mse"].reasons == {"not computed": 1}


def test_nothing_defined_is_nan() -> None:
    found = summarise_metrics(results([math.nan, math.nan]), ["a", "b"])["cc"]
    assert math.isnan(found.mean)
    assert math.isnan(found.ci_low)
    assert (found.count, found.sources) == (0, 0)


def test_one_source_has_no_interval() -> None:
    found = summarise_metrics(results([0.1, 0.9]), ["a", "a"])["cc"]
    assert found.mean == pytest.approx(0.5)
    assert math.isnan(found.ci_low)
    assert math.isnan(found.ci_high)


def test_the_interval_of_independent_rows_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.1, 60)
    found = summarise_metrics(results(values.tolist()), list(range(60)), replicates=4000)["cc"]
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.ci_low, found.ci_high) == pytest.approx((expected.low, expected.high), abs=0.003)


def test_rows_of_one_source_are_drawn_together() -> None:
    """Ten copies of every row say nothing new: the interval is that of the single rows."""
    values = np.random.default_rng(4).normal(0.5, 0.1, 30)
    single = summarise_metrics(results(values.tolist()), list(range(30)))["cc"]
    copies = summarise_metrics(results(np.repeat(values, 10).tolist()), np.repeat(np.arange(30), 10).tolist())["cc"]
    assert (copies.ci_low, copies.ci_high) == pytest.approx((single.ci_low, single.ci_high))
    alone = summarise_metrics(results(np.repeat(values, 10).tolist()), list(range(300)))["cc"]
    assert alone.ci_high - alone.ci_low < 0.5 * (copies.ci_high - copies.ci_low)


def test_any_statistic_has_the_interval_of_the_mean() -> None:
    values = np.random.default_rng(5).normal(size=40)
    sources = [f"s{number // 2}" for number in range(40)]
    mean = summarise_metrics(results(values.tolist()), sources, seed=9)["cc"]
    found = bootstrap_over_sources(lambda rows: float(values[rows].mean()), sources, seed=9)
    assert found == pytest.approx((mean.ci_low, mean.ci_high))


def test_the_seed_decides() -> None:
    values = results(np.random.default_rng(6).normal(size=30).tolist())
    first, second, other = (summarise_metrics(values, list(range(30)), seed=seed)["cc"] for seed in (1, 1, 2))
    assert first == second
    assert first.ci_low != other.ci_low


def test_a_source_for_each_result() -> None:
    with pytest.raises(ValueError, match="one source for each of 1 results, but got 2"):
        summarise_metrics(results([0.5]), ["a", "b"])
