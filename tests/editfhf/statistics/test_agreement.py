"""Agreement in closed form against independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from editfhf.statistics.agreement import average_ranks, correlation, interval_alpha, with_others

RATINGS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(1, 5)), min_size=2, max_size=40)


@given(RATINGS)
def test_alpha_equals_its_definition_over_all_couples(ratings: list[tuple[int, int, int]]) -> None:
    table = {(picture, rater): float(score) for picture, rater, score in ratings}
    pictures = np.array([picture for picture, _ in table])
    scores = np.array(list(table.values()))
    units = [scores[pictures == picture] for picture in np.unique(pictures)]
    units = [unit for unit in units if len(unit) > 1]
    pooled = np.concatenate(units) if units else np.empty(0)
    told = interval_alpha(pictures, scores)
    if len(pooled) < 2 or np.ptp(pooled) == 0:
        assert told is None
        return
    n = len(pooled)
    observed = sum(np.sum((unit[:, None] - unit) ** 2) / (len(unit) - 1) for unit in units) / n
    expected = np.sum((pooled[:, None] - pooled) ** 2) / (n * (n - 1))
    assert told == pytest.approx(1 - observed / expected)


@given(RATINGS)
def test_ranks_within_groups_equal_those_of_scipy(ratings: list[tuple[int, int, int]]) -> None:
    groups = np.array([group for group, _, _ in ratings])
    values = np.array([float(value) for _, _, value in ratings])
    told = average_ranks(groups, values)
    for group in np.unique(groups):
        np.testing.assert_allclose(told[groups == group], rankdata(values[groups == group]))


def test_the_others_of_a_rating_leave_it_out() -> None:
    raters, own, others = with_others(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]), np.array([1.0, 2.0, 6.0, 5.0]))
    assert raters.tolist() == [0, 1, 2]
    assert own.tolist() == [1, 2, 6]
    assert others.tolist() == [4, 3.5, 1.5]


def test_there_is_no_correlation_without_variation_or_with_two_values() -> None:
    assert correlation(np.array([3.3, 3.3, 3.3]), np.array([1.0, 2.0, 3.0])) is None
    assert correlation(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert correlation(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])) == pytest.approx(-1)


def test_perfect_agreement_is_one() -> None:
    assert interval_alpha(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 5.0, 5.0])) == 1
