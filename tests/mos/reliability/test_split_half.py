"""Split halves: every halving is one that can be, chance decides which, and names decide nothing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mos.ranks import rank_with_ties, spearman_correlation
from mos.reliability.coefficient import Opinions, average_opinions
from mos.reliability.split_half import NO_RANKING, TOO_FEW_FOR_HALVES, estimate_split_half, spearman_brown

numbers = st.one_of(
    st.lists(st.integers(-5, 5), min_size=2, max_size=30).map(np.array),
    st.lists(st.floats(-2, 2), min_size=2, max_size=30).map(np.array),
    st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=9).map(np.array),
)


def of(matrix: np.ndarray) -> Opinions:
    item, rater = np.nonzero(~np.isnan(matrix))
    return average_opinions(item, rater, matrix[item, rater])


def simulated(items: int, raters: int, severity: float, noise: float, seed: int = 0, digits: int = 2) -> np.ndarray:
    random = np.random.default_rng(seed)
    rater = random.normal(0, severity, raters)
    return np.round(random.normal(3, 1, (items, 1)) + rater + random.normal(0, noise, (items, raters)), digits)


@given(numbers)
def test_ranks_are_those_of_scipy(values: np.ndarray) -> None:
    assert rank_with_ties(values).tolist() == stats.rankdata(values).tolist()


@given(numbers, st.randoms(use_true_random=False))
def test_the_correlation_is_that_of_scipy(values: np.ndarray, random: object) -> None:
    other = values.copy()
    random.shuffle(other)  # type: ignore[attr-defined]
    if (values == values[0]).all():
        assert np.isnan(spearman_correlation(values, other))
    else:
        assert spearman_correlation(values, other) == pytest.approx(stats.spearmanr(values, other).statistic, abs=1e-12)


def test_two_raters_can_be_halved_in_one_way() -> None:
    dense = simulated(50, 2, 0.5, 0.8)
    expected = stats.spearmanr(dense[:, 0], dense[:, 1]).statistic
    found = estimate_split_half(of(dense), splits=20)
    assert (found.srcc.value, found.srcc.ci_low, found.srcc.ci_high) == pytest.approx((expected,) * 3)
    assert found.corrected.value == pytest.approx(2 * expected / (1 + expected))
    assert found.curve.raters.tolist() == [1]
    assert found.curve.mean == pytest.approx([expected])


@pytest.mark.parametrize("digits", [0, 2, 12])
def test_the_mean_over_halvings_is_that_of_all_halvings(digits: int) -> None:
    dense = simulated(30, 6, 1, 0.8, digits=digits)
    pairs = []
    for half in combinations(range(6), 3):
        rest = [rater for rater in range(6) if rater not in half]
        one, other = (np.rint(dense[:, side].sum(axis=1) * 1e6) for side in (list(half), rest))
        pairs.append(stats.spearmanr(one, other).statistic)
    found = estimate_split_half(of(dense), splits=3000)
    assert found.srcc.value == pytest.approx(np.mean(pairs), abs=4 * np.std(pairs) / np.sqrt(3000))
    assert min(pairs) - 1e-12 <= found.srcc.ci_low <= found.srcc.ci_high <= max(pairs) + 1e-12


def test_of_an_odd_number_of_raters_one_is_left_out() -> None:
    dense = simulated(40, 3, 0.5, 0.8)
    pairs = [stats.spearmanr(dense[:, a], dense[:, b]).statistic for a, b in combinations(range(3), 2)]
    found = estimate_split_half(of(dense), splits=3000)
    assert found.srcc.value == pytest.approx(np.mean(pairs), abs=0.01)
    assert found.corrected.value == pytest.approx(spearman_brown(found.srcc.value, 3))


def test_severity_does_not_count_where_all_rated_all() -> None:
    found = estimate_split_half(of(simulated(60, 4, severity=20, noise=0, digits=12)), splits=50)
    assert found.srcc.value == pytest.approx(1)


def test_it_counts_where_items_have_raters_of_their_own() -> None:
    dense = simulated(400, 40, severity=1, noise=0)
    items, raters = dense.mean(axis=1).var(), dense.mean(axis=0).var()
    random = np.random.default_rng(1)
    for row in dense:
        row[random.permutation(40)[6:]] = np.nan
    found = estimate_split_half(of(dense), splits=50)
    reliability = items / (items + raters / 3)
    # Spearman's correlation of normal variables, by Pearson's.
    assert found.srcc.value == pytest.approx(6 / np.pi * np.arcsin(reliability / 2), abs=0.03)
    assert found.corrected.value == pytest.approx(items / (items + raters / 6), abs=0.03)
    assert found.curve.raters.tolist() == [1, 2, 3]
    assert found.curve.mean[2] == pytest.approx(found.srcc.value, abs=0.02)
    assert found.curve.items.tolist() == [400] * 3


def test_a_few_missing_ratings_change_little() -> None:
    dense = simulated(200, 10, severity=1, noise=0.7)
    whole = estimate_split_half(of(dense)).srcc.value
    dense[np.arange(40), np.arange(40) % 10] = np.nan
    assert estimate_split_half(of(dense)).srcc.value == pytest.approx(whole, abs=0.01)


def test_the_curve_rises_as_spearman_and_brown_foretell() -> None:
    curve = estimate_split_half(of(simulated(2000, 16, severity=0.5, noise=1.2)), splits=40).curve
    assert curve.raters.tolist() == list(range(1, 9))
    assert (np.diff(curve.mean) > 0).all()
    assert ((curve.low <= curve.mean) & (curve.mean <= curve.high)).all()
    foretold = [spearman_brown(curve.mean[0], m) for m in curve.raters]
    assert curve.mean == pytest.approx(foretold, abs=0.02)


def test_a_curve_of_many_raters_has_few_points() -> None:
    curve = estimate_split_half(of(simulated(20, 200, 0.5, 1)), splits=3).curve
    assert len(curve.raters) <= 12
    assert (curve.raters[0], curve.raters[-1]) == (1, 100)


@pytest.mark.parametrize("missing", [0, 0.1, 0.6])
def test_names_of_raters_change_nothing(missing: float) -> None:
    dense = simulated(50, 9, 0.5, 0.8)
    random = np.random.default_rng(4)
    dense[random.random(dense.shape) < missing] = np.nan
    one, other = (
        estimate_split_half(of(dense), splits=30),
        estimate_split_half(of(dense[:, random.permutation(9)]), splits=30),
    )
    assert one.srcc == other.srcc
    assert one.curve.mean.tolist() == other.curve.mean.tolist()


def test_a_seed_gives_the_same_and_another_seed_nearly_the_same() -> None:
    found = of(simulated(300, 8, 0.5, 0.8))
    assert estimate_split_half(found, seed=1).srcc == estimate_split_half(found, seed=1).srcc
    assert estimate_split_half(found, seed=1).srcc != estimate_split_half(found, seed=2).srcc
    assert estimate_split_half(found, seed=1).srcc.value == pytest.approx(
        estimate_split_half(found, seed=2).srcc.value, abs=0.01
    )


@given(st.floats(-1, 1), st.floats(1, 20))
def test_spearman_brown_rises_and_stays_within_one(r: float, factor: float) -> None:
    assert -1 - 1e-12 <= spearman_brown(r, factor) <= 1 + 1e-12
    assert spearman_brown(r, factor) <= spearman_brown(min(r + 0.1, 1), factor) + 1e-12
    assert spearman_brown(-r, factor) == -spearman_brown(r, factor)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("matrix", "note"),
    [
        (np.arange(6.0)[:, None], TOO_FEW_FOR_HALVES),
        (np.arange(6.0)[None], TOO_FEW_FOR_HALVES),
        (np.full((6, 4), 3.3), NO_RANKING),
        (np.zeros((0, 0)), TOO_FEW_FOR_HALVES),
        (np.tile(np.arange(4.0), (6, 1)), NO_RANKING),
    ],
)
def test_where_nothing_can_be_said_the_reason_is_given(matrix: np.ndarray, note: str) -> None:
    found = estimate_split_half(of(matrix), splits=10)
    assert (found.srcc.value, found.srcc.ci_low, found.srcc.note) == (None, None, note)
    assert found.corrected.value is None
