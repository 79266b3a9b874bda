"""What chance alone would do stands beside what was found: against simulations of raters who are all alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from mos.methods import METHODS, score_ratings
from mos.methods.bt500_chance import expected_rejections, flag_probability
from mos.table import Ratings, validate_ratings

Coded = Callable[..., Ratings]
NAN = np.nan


def flagged(x: np.ndarray, ddof: int) -> np.ndarray:
    """[items, raters] bool of complete scores, by BT.500's rule as scipy has its moments."""
    kurtosis = stats.kurtosis(x, axis=1, fisher=False)
    reach = np.where((kurtosis >= 2) & (kurtosis <= 4), 2, math.sqrt(20)) * x.std(axis=1, ddof=ddof)
    return np.abs(x - x.mean(axis=1, keepdims=True)) >= reach[:, None]


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("raters", [6, 8, 15, 24, 40])
def test_chance_of_a_flag_is_that_of_gaussian_ratings(raters: int, ddof: int) -> None:
    found = flagged(np.random.default_rng(raters + 100).normal(size=(600_000 // raters, raters)), ddof)
    spread = found.mean(axis=1).std() / math.sqrt(len(found))
    chance = flag_probability(np.array([raters]), ddof)[0]
    # Both are simulated: ours of 131,072 ratings.
    assert chance == pytest.approx(found.mean(), abs=4 * spread * math.sqrt(1 + 600_000 / 131_072))


def test_few_ratings_are_never_flagged() -> None:
    """Up to five, none lies two sample deviations off; the population's are reached exactly at five, by no Gaussian."""
    np.testing.assert_array_equal(flag_probability(np.arange(6), 1), 0)
    np.testing.assert_array_equal(flag_probability(np.arange(5), 0), 0)
    assert flag_probability(np.array([[15, 2], [0, 15]]), 1).shape == (2, 2)


def test_expected_rejections_are_sums_of_binomials() -> None:
    """Against the double sum over P and Q, for a strict share and a strict balance."""
    n, chance = np.array([40, 40, 100, 0]), np.array([0.04, 0.1, 0.04, NAN])

    def rejection(size: int, p: float, allowed: float) -> float:
        return sum(
            stats.multinomial.pmf([high, low, size - high - low], size, [p / 2, p / 2, 1 - p])
            for high in range(size + 1)
            for low in range(size + 1 - high)
            if high + low > allowed and 10 * abs(high - low) < 3 * (high + low)
        )

    limits = Fraction(1, 20), Fraction(3, 10)
    own = [rejection(size, p, 0.05 * size + 1e-9) for size, p in zip(n[:3].tolist(), chance.tolist(), strict=False)]
    assert expected_rejections(n, chance, *limits) == pytest.approx(sum(own), abs=1e-9)
    shown = np.array([80, 40, 120, 120])
    of_all = [
        rejection(size, p, 0.05 * all_of_them + 1e-9)
        for size, p, all_of_them in zip(n[:3].tolist(), chance.tolist(), shown.tolist(), strict=False)
    ]
    assert expected_rejections(n, chance, *limits, shown) == pytest.approx(sum(of_all), abs=1e-9)
    assert sum(of_all) < sum(own)


def simulated(
    coded: Coded, method: str, options: dict[str, Any], shape: tuple[int, ...], fill: float
) -> tuple[np.ndarray, np.ndarray]:
    """[2, 80] exclusions and share of flagged ratings in studies of raters who are all alike; [2] what is expected."""
    random = np.random.default_rng(1)
    there = np.random.default_rng(2).random(shape) < fill
    excluded, shares, expected = [], [], []
    for _ in range(80):
        result = score_ratings(coded(np.where(there, random.normal(3, 1, shape), NAN)), method, options)
        excluded.append(result.summary["exclusions"])
        shares.append(result.summary["outlier_share"])
        expected.append((result.summary["expected_false_exclusions"], result.summary["expected_outlier_share"]))
    assert len(set(expected)) == 1
    return np.array([excluded, shares]), np.array(expected[0])


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("bt500", {}),
        ("bt500", {"exclusion_scope": "pooled", "ddof": 0}),
        ("bt500", {"denominator": "all"}),
        ("p913", {"screening": "bt500"}),
        ("paper", {}),
        ("paper", {"exclusion_scope": "dimension", "outlier_sigma": "1.8"}),
    ],
)
@pytest.mark.parametrize("fill", [1.0, 0.6])
def test_raters_who_are_alike_are_excluded_as_often_as_expected(
    coded: Coded, method: str, options: dict[str, Any], fill: float
) -> None:
    found, expected = simulated(coded, method, options, (60, 15, 2), fill)
    error = found.std(axis=1, ddof=1) / math.sqrt(found.shape[1])
    assert found[1].mean() == pytest.approx(expected[1], abs=4 * error[1] + 3e-4)
    assert found[0].mean() == pytest.approx(expected[0], abs=4 * error[0] + 0.1 * expected[0])
    assert expected[0] > 0 or options.get("denominator") == "all"


def test_repetitions_are_presentations_of_their_own() -> None:
    """Twelve raters twice are flagged as often as twelve, not as twenty-four; and as these where they are pooled."""
    item, rater, repetition = (axis.ravel() for axis in np.indices((30, 12, 2)))
    table = pa.table(
        {
            "item": [f"i{v:02d}" for v in item],
            "rater": [f"r{v:02d}" for v in rater],
            "dimension": ["d"] * len(item),
            "repetition": repetition,
            "score": np.random.default_rng(0).normal(3, 1, len(item)),
        }
    )
    ratings = validate_ratings(table, None)[0]
    for pooled, presented in ((False, 12), (True, 24)):
        result = score_ratings(ratings, "bt500", {"pool_repetitions": pooled})
        chance = flag_probability(np.array([presented]), 1)[0]
        np.testing.assert_allclose(result.raters["expected_share"].to_numpy(), chance)
        assert result.summary["expected_outlier_share"] == pytest.approx(chance)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_known_is_null(coded: Coded, method: str) -> None:
    """A method that counts nothing has no share; one that does, no expected share where its rule has no null here."""
    ratings = coded(np.random.default_rng(0).normal(3, 1, (30, 8)))
    result = score_ratings(ratings, method)
    counts = method in ("paper", "bt500")
    names = ("outlier_share", "expected_outlier_share", "expected_false_exclusions", "groups_without_screening_power")
    assert [result.summary[name] is not None for name in names] == [counts] * 4
    assert (result.raters["expected_share"].null_count, result.raters["share"].null_count) == (0 if counts else 8,) * 2
    for options in ({"outlier_by": "rater"}, {"max_passes": 2}) if method == "paper" else ():
        unknown = score_ratings(ratings, method, options)
        assert unknown.summary["outlier_share"] is not None
        assert unknown.summary["expected_outlier_share"] is None
        assert unknown.raters["expected_share"].null_count == 8


def test_too_few_ratings_for_any_screening_are_pointed_out(coded: Coded) -> None:
    few, some, many = (coded(np.random.default_rng(0).normal(3, 1, (20, raters))) for raters in (5, 12, 24))
    for method in ("paper", "bt500"):
        assert any(
            "too few ratings for any to be an outlier" in w for w in score_ratings(few, method).summary["warnings"]
        )
    assert score_ratings(few, "mos").summary["groups_with_fewer_than_6_ratings"] == 20
    assert any("have fewer than 21 ratings" in w for w in score_ratings(some, "bt500").summary["warnings"])
    assert not any("21 ratings" in w for w in score_ratings(many, "bt500").summary["warnings"])
    assert not any("21 ratings" in w for w in score_ratings(some, "paper").summary["warnings"])
