"""Raters for telling two items apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit
from scipy.stats import nct
from statsmodels.stats.power import TTestIndPower, TTestPower

from mos.errors import UserError
from mos.planning import ItemComparison, compute_power, find_detectable_difference, raters_for_power


@pytest.mark.parametrize(
    ("sd", "difference", "comparisons", "raters"),
    [(0.8, 1, 100, 18), (1, 1, 100, 25), (0.8, 0.5, 4950, 81), (1, 0.5, 4950, 121)],
)
def test_the_numbers_of_subjects_that_vqeg_publishes(
    sd: float, difference: float, comparisons: int, raters: int
) -> None:
    """From the README of VQEG's number-of-subjects: 100 videos, one or all pairwise comparisons, two deviations."""
    assert raters_for_power(ItemComparison(sd, comparisons=comparisons), difference) == raters


@pytest.mark.parametrize("raters", [2, 3, 5, 15, 24, 100, 1000])
@pytest.mark.parametrize("effect", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_power_is_that_of_statsmodels(raters: int, effect: float, alpha: float) -> None:
    sd = 0.7
    paired = TTestPower().power(effect, raters, alpha, alternative="two-sided")
    independent = TTestIndPower().power(effect, raters, alpha, ratio=1, alternative="two-sided")
    for expected, pairs in ((paired, True), (independent, False)):
        if math.isnan(expected):  # from scipy, for a lower tail that vanishes: the upper one is all there is
            shift, freedom = (raters, raters - 1) if pairs else (raters / 2, 2 * raters - 2)
            expected = nct.sf(-stdtrit(freedom, alpha / 2), freedom, effect * math.sqrt(shift))
        assert compute_power(ItemComparison(sd, pairs, alpha), effect * sd, raters) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("paired", "solver"), [(True, TTestPower), (False, TTestIndPower)])
@pytest.mark.parametrize("effect", [0.2, 0.5, 1.0])
def test_raters_are_those_of_statsmodels_rounded_up(paired: bool, solver: type, effect: float) -> None:
    expected = solver().solve_power(effect, power=0.8, alpha=0.05)
    assert raters_for_power(ItemComparison(1, paired), effect) == math.ceil(float(expected))


@pytest.mark.parametrize(
    ("freedom", "shift", "t"),
    [(1, 0.5, 12.7), (1, 8, 12.7), (2, 20, 141.4), (14, 8, 5.75), (30, 8, 4.73), (100, 8, 4.24), (2000, 4, 3.9)],
)
def test_tail_by_simulation(freedom: int, shift: float, t: float) -> None:
    """Against the definition, (Z + shift) / S with S^2 = chi-square / freedom, a million times."""
    from mos.planning.power import _noncentral_t_tail

    random = np.random.default_rng(freedom)
    drawn = (random.normal(shift, 1, 1_000_000)) / np.sqrt(random.chisquare(freedom, 1_000_000) / freedom)
    assert _noncentral_t_tail(t, freedom, shift) == pytest.approx(np.mean(drawn > t), abs=0.0025)


@pytest.mark.parametrize("freedom", [1, 2, 7, 14, 299, 99_999, 199_998])
@pytest.mark.parametrize("alpha", [0.05, 1e-5, 1e-9])
def test_without_a_difference_power_is_alpha(freedom: int, alpha: float) -> None:
    comparison = ItemComparison(2, paired=True, alpha=alpha)
    assert compute_power(comparison, 0, freedom + 1) == pytest.approx(alpha, rel=1e-9)


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.7), (3, 2.5), (14, 2.1), (999, 1.96)])
def test_power_of_small_shifts_is_that_of_scipy(freedom: int, t: float) -> None:
    from mos.planning.power import _noncentral_t_tail

    for shift in (-1.0, 0.1, 1.0, 2.5):
        assert _noncentral_t_tail(t, freedom, shift) == pytest.approx(float(nct.sf(t, freedom, shift)), abs=1e-10)


def test_bonferroni_divides_alpha() -> None:
    assert compute_power(ItemComparison(1, alpha=0.05, comparisons=10), 0.4, 30) == compute_power(
        ItemComparison(1, alpha=0.005), 0.4, 30
    )


def test_the_direction_of_a_difference_does_not_matter() -> None:
    assert compute_power(ItemComparison(1), -0.4, 30) == compute_power(ItemComparison(1), 0.4, 30)


@settings(max_examples=40, deadline=None)
@given(
    raters=st.integers(2, 2000),
    target=st.floats(0.1, 0.99),
    sd=st.floats(0.1, 50),
    paired=st.booleans(),
    comparisons=st.integers(1, 5000),
)
def test_raters_power_and_difference_are_each_others_inverse(
    raters: int, target: float, sd: float, paired: bool, comparisons: int
) -> None:
    comparison = ItemComparison(sd, paired, comparisons=comparisons)
    difference = find_detectable_difference(comparison, raters, target)
    assert compute_power(comparison, difference, raters) == pytest.approx(target, abs=1e-9)
    assert raters_for_power(comparison, difference, target) == raters


def test_huge_and_tiny_effects() -> None:
    assert compute_power(ItemComparison(1), 1e6, 2) == pytest.approx(1, abs=1e-4)
    assert raters_for_power(ItemComparison(1), 1e9) == 2
    assert 1e4 < raters_for_power(ItemComparison(1), 0.02) < 1e5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.8), "difference must be a positive number; got 0."),
        ((0.5, 1), "power must be more than 0.05 and less than 1; got 1."),
        ((0.5, 0.05), "power must be more than 0.05 and less than 1; got 0.05."),
        ((0.5, math.nan), "power must be more than 0.05 and less than 1; got nan."),
    ],
)
def test_impossible_targets(arguments: tuple[float, float], message: str) -> None:
    with pytest.raises(UserError) as error:
        raters_for_power(ItemComparison(1), *arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sd": 0}, "sd must be a positive number; got 0."),
        ({"sd": 1, "alpha": 1}, "alpha must be more than 0 and less than 1; got 1."),
        ({"sd": 1, "comparisons": 0}, "comparisons must be a whole number, 1 or more; got 0."),
    ],
)
def test_impossible_tests(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as error:
        ItemComparison(**arguments)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_a_target_that_no_study_reaches() -> None:
    with pytest.raises(UserError, match=r"^Finding a difference of 0.001 with probability 0.8 is out of reach"):
        raters_for_power(ItemComparison(1), 0.001)


def test_one_rater_compares_nothing() -> None:
    with pytest.raises(UserError, match="raters must be a whole number, 2 or more; got 1"):
        find_detectable_difference(ItemComparison(1), 1)
