"""The share that was flagged beside the share that chance explains: scipy and statsmodels agree."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mos.errors import UserError
from mos.methods import METHODS, score_ratings
from mos.raters import report_raters
from mos.raters.agreement import adjust_holm, binomial_quantile, binomial_tail


@given(st.integers(1, 100_000), st.floats(1e-6, 1 - 1e-6), st.sampled_from([0.025, 0.5, 0.975]))
def test_quantiles_are_the_first_to_reach_scipys_probability(n: int, p: float, q: float) -> None:
    (found,) = binomial_quantile(q, np.array([n]), np.array([p]))
    assert stats.binom.cdf(found, n, p) >= q * (1 - 1e-9)
    assert found == 0 or stats.binom.cdf(found - 1, n, p) < q * (1 + 1e-9)


def test_half_of_a_fair_coin_lies_just_below_the_middle() -> None:
    """P(X <= (n - 1) / 2) is one half exactly for every odd n; scipy's own quantile falls on either side of it."""
    n = np.arange(1, 4001, 2)
    assert binomial_quantile(0.5, n, np.full(len(n), 0.5)).tolist() == ((n - 1) / 2).tolist()


@given(st.integers(1, 5000), st.floats(0, 1), st.data())
def test_tail_probabilities_are_scipys(n: int, p: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    found = binomial_tail(np.array([k]), np.array([n]), np.array([p]))
    assert found == pytest.approx([stats.binom.sf(k - 1, n, p)], rel=1e-9, abs=1e-300)


def test_where_nothing_can_be_flagged_nothing_is_unusual() -> None:
    zero, n = np.array([0.0]), np.array([10])
    assert binomial_tail(np.array([0]), n, zero).tolist() == [1.0]
    assert binomial_quantile(0.975, n, zero).tolist() == [0.0]
    assert binomial_quantile(0.025, n, np.array([1.0])).tolist() == [10.0]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_statsmodels(p: list[float]) -> None:
    assert adjust_holm(np.array(p)) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_holm_does_not_count_raters_without_ratings() -> None:
    found = adjust_holm(np.array([0.01, np.nan, 0.04]))
    assert found[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(found[1])


def test_without_a_result_two_sample_deviations_flag(coded: Callable[..., Any]) -> None:
    """Six ratings 3, 3, 3, 3, 3, 5 have the mean 10/3 and S = 0.816: the 5 is 2.04 S away."""
    scores = np.full((10, 6), 3.0)
    scores[:4, 5] = 5
    table = report_raters(coded(scores))
    assert table["flagged"].to_pylist() == [0, 0, 0, 0, 0, 4]
    assert table["share"].to_pylist() == [0, 0, 0, 0, 0, 0.4]
    assert table["excluded"].to_pylist() == [None] * 6
    chance = table["expected_share"].to_pylist()[0]
    assert table["share_p"].to_pylist()[5] == pytest.approx(stats.binom.sf(3, 10, chance))
    assert table["share_high"].to_pylist()[0] == stats.binom.ppf(0.975, 10, chance) / 10


def result(raters: pa.Array, **columns: Any) -> Any:
    return SimpleNamespace(raters=pa.table({"rater": raters} | columns))


def test_a_result_brings_its_own_flags_and_exclusions(study: Any) -> None:
    ratings = study(raters=3)
    columns = {
        "n": pa.array([10, 20, 0]),
        "outliers": pa.array([1, 9, 0]),
        "share": pa.array([0.1, 0.45, None]),
        "expected_share": pa.array([0.05, 0.05, None]),
        "excluded": pa.array([False, True, False]),
        "reason": pa.array([None, "outlier_share", "no_ratings"]),
    }
    table = report_raters(ratings, result=result(ratings.raters, **columns))
    for name in ("share", "expected_share", "excluded", "reason"):
        assert table[name].to_pylist() == columns[name].to_pylist()
    assert table["screened"].to_pylist() == [10, 20, 0]
    assert table["share_p"].to_pylist() == pytest.approx(
        [stats.binom.sf(0, 10, 0.05), stats.binom.sf(8, 20, 0.05), None]
    )


def test_a_method_that_flags_nothing_leaves_nulls(study: Any) -> None:
    ratings = study(raters=2)
    nothing = pa.nulls(2)
    columns = {"n": pa.array([10, 20]), "outliers": nothing, "share": nothing, "expected_share": nothing}
    table = report_raters(
        ratings, result=result(ratings.raters, **columns, excluded=pa.array([False] * 2), reason=nothing)
    )
    for name in ("flagged", "share", "expected_share", "share_low", "share_high", "share_p", "share_p_holm"):
        assert table[name].to_pylist() == [None, None]


def test_a_result_of_other_raters_is_refused(study: Any) -> None:
    with pytest.raises(UserError, match=r"result has other raters \(2\) than these ratings \(3\)"):
        report_raters(study(raters=3), result=result(pa.array(["a", "b"]), n=pa.array([1, 1])))


def test_p_and_q_count_ratings_above_and_below_and_unanimous_items_to_neither(coded: Callable[..., Any]) -> None:
    """Item 0: mean 3, S = 1, kurtosis 3.25: the 5 and the 1 are at exactly 2 S, which counts."""
    scores = [[5, 1, 2, 2, 4, 4, 3, 3, 3, 3, 3, 3, 3], [2] * 13]
    table = report_raters(coded(scores))
    assert table["bt500_p"].to_pylist() == [1] + [0] * 12
    assert table["bt500_q"].to_pylist() == [0, 1] + [0] * 11


def test_p_and_q_look_at_each_repetition_by_itself(study: Any) -> None:
    ratings = study(4, raters=9, repetitions=2, fill=1)
    halves = [ratings.select(ratings.repetition == repetition) for repetition in (0, 1)]
    for name in ("bt500_p", "bt500_q"):
        parts = [np.array(report_raters(half)[name].to_pylist()) for half in halves]
        assert report_raters(ratings)[name].to_pylist() == (parts[0] + parts[1]).tolist()


@pytest.mark.parametrize("method", METHODS)
def test_the_result_of_every_method_is_taken(method: str, study: Any, same: Any) -> None:
    ratings = study(2, items=40, raters=8, dimensions=2)
    result = score_ratings(ratings, method)
    table = report_raters(ratings, result=result)
    for name, source in (("flagged", "outliers"), ("share", "share"), ("expected_share", "expected_share")):
        same(table[name].to_pylist(), result.raters[source].to_pylist())
    for name in ("excluded", "reason"):
        assert table[name].to_pylist() == result.raters[name].to_pylist()
    assert report_raters(ratings, result=result, dimension="d1")["share"].equals(table["share"])
