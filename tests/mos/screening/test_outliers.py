"""Screening decides exactly: on the threshold is not beyond it, and rounding never tips the balance."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.screening.chance import outlier_probability
from mos.screening.outliers import exclude_raters, flag_outliers

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
    return flag_outliers(array, np.zeros(len(array), np.int64), 1, sigma, ddof).flag.tolist()


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
    assert not found.flag.any()
    assert found.moments.ss.tolist() == [0.0]


def test_one_group_does_not_see_another() -> None:
    scores = np.array([1, 1, 1, 1, 1, 5] + [5] * 6, float)
    found = flag_outliers(scores, np.repeat([0, 2], 6), 3, TWO, 1)
    assert np.flatnonzero(found.flag).tolist() == [5]
    assert found.moments.n.tolist() == [6, 0, 6]


def test_large_scores_far_from_zero_do_not_cancel() -> None:
    scores = np.array([1e9 + s for s in (1, 1, 1, 1, 1, 5)])
    assert np.flatnonzero(flag_outliers(scores, np.zeros(6, np.int64), 1, TWO, 1).flag).tolist() == [5]


@pytest.mark.parametrize(("outliers", "n", "excluded"), [(1, 20, False), (1, 19, True), (3, 60, False), (0, 5, False)])
def test_a_rater_at_exactly_five_percent_stays(outliers: int, n: int, excluded: bool) -> None:
    flag = np.arange(n) < outliers
    shares = exclude_raters(np.zeros(n, np.int32), 2, flag, Fraction("0.05"))
    assert (shares.n.tolist(), shares.outliers.tolist()) == ([n, 0], [outliers, 0])
    assert shares.excluded.tolist() == [excluded, False]


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=200), st.fractions(0, 1, max_denominator=60))
def test_exclusion_is_exact_for_any_share(rows: list[tuple[int, bool]], share: Fraction) -> None:
    rater = np.array([r for r, _ in rows], np.int32)
    shares = exclude_raters(rater, 5, np.array([f for _, f in rows], bool), share)
    for number in range(5):
        own = [flag for r, flag in rows if r == number]
        assert shares.excluded[number] == bool(own and Fraction(sum(own), len(own)) > share)


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
    share = flag_outliers(scores, np.repeat(np.arange(groups), n), groups, sigma, ddof).flag.mean()
    expected = outlier_probability(np.array([n]), sigma, ddof)[0]
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / (groups * n) * 3))
