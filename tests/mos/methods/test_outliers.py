"""Screening decides exactly: on the threshold is not beyond it, and rounding never tips the balance."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos._outliers import flag_outliers
from mos.methods.paper import outlier_probability

TWO = Fraction(2)


def exact(scores: list[Fraction], sigma: Fraction, ddof: int) -> list[bool]:
    """The rule itself in rational numbers."""
    n = len(scores)
    if n <= ddof:
        return [False] * n
    mean = sum(scores) / n
    variance = sum((s - mean) ** 2 for s in scores) / (n - ddof)
    return [(s - mean) ** 2 > sigma**2 * variance for s in scores]


def flags(scores: list[float], sigma: Fraction = TWO, ddof: int = 1) -> list[bool]:
    array = np.array(scores, float)
    row = flag_outliers(array, np.zeros(len(array), np.int64), 1, sigma, ddof).row
    return np.isin(np.arange(len(array)), row).tolist()


decimals = st.one_of(
    st.lists(st.integers(1, 5).map(Fraction), max_size=30),
    st.lists(st.integers(10, 50).map(lambda v: Fraction(v, 10)), max_size=30),
    st.lists(st.integers(-10_000, 10_000).map(lambda v: Fraction(v, 100)), max_size=20),
    st.lists(st.sampled_from([Fraction(33, 10), Fraction(34, 10)]), max_size=40),
)
sigmas = st.sampled_from([TWO, Fraction(3, 2), Fraction(1), Fraction(196, 100)])


@given(decimals, sigmas, st.sampled_from([0, 1]))
def test_the_decision_is_that_of_exact_arithmetic(scores: list[Fraction], sigma: Fraction, ddof: int) -> None:
    assert flags([float(s) for s in scores], sigma, ddof) == exact(scores, sigma, ddof)


@given(decimals, st.integers(-3, 3), st.integers(-15, 15))
def test_noise_in_the_last_bits_changes_nothing(scores: list[Fraction], sign: int, ulps: int) -> None:
    noisy = [float(s) * (1 + sign * (i % 3 - 1) * abs(ulps) * 2.0**-52) for i, s in enumerate(scores)]
    assert flags(noisy, ddof=0) == exact(scores, TWO, 0)


@given(decimals, st.randoms(use_true_random=False))
def test_order_changes_nothing(scores: list[Fraction], random: object) -> None:
    order = list(range(len(scores)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight, shuffled = flags([float(s) for s in scores], ddof=0), flags([float(scores[i]) for i in order], ddof=0)
    assert [straight[i] for i in order] == shuffled


@pytest.mark.parametrize("unit", [1.0, 0.1, 0.01, 1e-6, 1e6, 2.0**-400])
def test_a_rating_exactly_on_the_threshold_stays(unit: float) -> None:
    # 1, 1, 1, 1, 6: mean 2, population variance 4; the 6 lies exactly two deviations above.
    assert flags([unit * s for s in (1, 1, 1, 1, 6)], ddof=0) == [False] * 5
    # One more rating of 1 and it lies beyond: mean 11/6, (25/6)^2 = 17.4 > 4 * 3.47.
    assert flags([unit * s for s in (1, 1, 1, 1, 1, 6)], ddof=0) == [False] * 5 + [True]


@pytest.mark.parametrize("score", [3.3, 0.1, -7.7, 0.0, 1e-9, 123456.789])
@pytest.mark.parametrize("n", [1, 2, 15, 10_000])
def test_equal_ratings_have_no_outliers(score: float, n: int) -> None:
    found = flag_outliers(np.full(n, score), np.zeros(n, np.int64), 1, TWO, 1)
    assert len(found.row) == 0
    assert found.moments.ss.tolist() == [0.0]


def test_one_group_does_not_see_another() -> None:
    scores = np.array([1, 1, 1, 1, 1, 5] + [5] * 6, float)
    found = flag_outliers(scores, np.repeat([0, 2], 6), 3, TWO, 1)
    assert found.row.tolist() == [5]
    assert found.moments.n.tolist() == [6, 0, 6]


def test_large_scores_far_from_zero_do_not_cancel() -> None:
    scores = np.array([1e9 + s for s in (1, 1, 1, 1, 1, 5)])
    assert flag_outliers(scores, np.zeros(6, np.int64), 1, TWO, 1).row.tolist() == [5]


@given(decimals, decimals, st.randoms(use_true_random=False))
def test_groups_in_any_order(one: list[Fraction], other: list[Fraction], random: object) -> None:
    rows = [(0, s) for s in one] + [(2, s) for s in other]
    expected = exact(one, TWO, 0) + exact(other, TWO, 0)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    group, scores = np.array([rows[i][0] for i in order], int), np.array([float(rows[i][1]) for i in order], float)
    found = flag_outliers(scores, group, 3, TWO, 0)
    assert found.row.tolist() == [at for at, i in enumerate(order) if expected[i]]
    assert found.moments.n.tolist() == [len(one), 0, len(other)]


@pytest.mark.parametrize(("items", "raters"), [(400, 5), (400, 15), (30, 200)])
def test_flags_are_the_same_wherever_blocks_end(items: int, raters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(raters).normal(3, 1, (items, raters)).round(1)
    group = np.repeat(np.arange(items), raters)
    whole = flag_outliers(scores.ravel(), group, items, TWO, 1).row
    monkeypatch.setattr("mos._kernels._BLOCK_ROWS", 64)
    assert flag_outliers(scores.ravel(), group, items, TWO, 1).row.tolist() == whole.tolist()
    off = np.abs(scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, ddof=1, keepdims=True)
    assert np.flatnonzero(off > 2).tolist() == whole.tolist()


def test_expected_share_is_the_known_one_at_15_raters() -> None:
    """4.01 % with the population's deviation, 3.24 % with the sample's (numerical integration, done independently)."""
    assert outlier_probability(np.array([15]), TWO, 0) == pytest.approx([0.0401], abs=5e-5)
    assert outlier_probability(np.array([15]), TWO, 1) == pytest.approx([0.0324], abs=5e-5)


def test_expected_share_tends_to_the_normal_tail_and_vanishes_where_two_sigma_is_out_of_reach() -> None:
    from scipy.stats import norm

    assert outlier_probability(np.array([100_000]), TWO, 1) == pytest.approx([2 * norm.sf(2)], rel=1e-3)
    # The largest deviation that n numbers can have is (n - 1)/sqrt(n) sample deviations, sqrt(n - 1) of the population.
    assert outlier_probability(np.arange(6), TWO, 1).tolist() == [0.0] * 6
    assert outlier_probability(np.arange(6), TWO, 0).tolist() == [0.0] * 6
    assert (outlier_probability(np.arange(6, 30), TWO, 1) > 0).all()
    assert outlier_probability(np.array([2]), Fraction(1, 2), 1) == 1.0


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("n", [3, 6, 8, 15, 24])
def test_expected_share_is_what_simulation_gives(n: int, ddof: int) -> None:
    groups = 40_000
    scores = np.random.default_rng(n).normal(size=groups * n)
    sigma = Fraction(1) if n == 3 else TWO  # two sigma cannot be reached by three ratings
    row = flag_outliers(scores, np.repeat(np.arange(groups), n), groups, sigma, ddof).row
    share = len(row) / len(scores)
    expected = outlier_probability(np.array([n]), sigma, ddof)[0]
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / (groups * n) * 3))
