"""Krippendorff's alpha: the numbers of the definition and of another package, whatever is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import krippendorff as package
import numpy as np
import pyarrow.csv as pacsv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.reliability.alpha import NO_RATED_PAIRS, NO_VARIATION, AlphaLevel, estimate_alpha, krippendorff_alpha
from mos.reliability.coefficient import ItemBootstrap, average_opinions

LEVELS: tuple[AlphaLevel, ...] = ("interval", "ordinal")
GAP = np.nan
# Four observers, twelve units: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section D.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, GAP, GAP, GAP],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, GAP, 3],
        [GAP, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, GAP],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, GAP],
    ]
)


def long(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items and scores of a matrix [raters, items]."""
    item, rater = np.nonzero(~np.isnan(matrix.T))
    return item, matrix[rater, item]


def by_definition(item: np.ndarray, score: np.ndarray, level: AlphaLevel) -> float:
    """1 - Do/De over all ordered pairs of pairable ratings; distances by Krippendorff's formulas."""
    n = np.bincount(item)[item]
    item, score, n = item[n >= 2], score[n >= 2], n[n >= 2]
    low, high = np.minimum(score[:, None], score), np.maximum(score[:, None], score)
    distance = (high - low) ** 2
    if level == "ordinal":
        between = ((score >= low[..., None]) & (score <= high[..., None])).sum(axis=2)
        ends = (score == low[..., None]).sum(axis=2) + (score == high[..., None]).sum(axis=2)
        distance = np.where(low == high, 0, between - ends / 2) ** 2
    same = (item[:, None] == item) & ~np.eye(len(item), dtype=bool)
    observed = (distance * same / (n - 1)[:, None]).sum() / len(item)
    return 1 - observed / (distance.sum() / (len(item) * (len(item) - 1)))


def test_the_published_example() -> None:
    assert round(krippendorff_alpha(*long(PUBLISHED), "interval"), 3) == 0.849
    assert round(krippendorff_alpha(*long(PUBLISHED), "ordinal"), 3) == 0.815


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([-3.0, 1.0, 1.5, 2.0, 7.0])), min_size=2, max_size=25),
    st.sampled_from(LEVELS),
)
def test_it_is_the_definition(rows: list[tuple[int, float]], level: AlphaLevel) -> None:
    item, score = np.array([i for i, _ in rows]), np.array([s for _, s in rows])
    pairable = score[np.bincount(item)[item] >= 2]
    found = krippendorff_alpha(item, score, level)
    if not len(pairable):
        assert np.isnan(found)
    elif (pairable == pairable[0]).all():
        assert found == 1
    else:
        assert found == pytest.approx(by_definition(item, score, level), abs=1e-10)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("values", [3, 5, 11, 400])
@pytest.mark.parametrize("missing", [0, 0.2, 0.7])
def test_it_is_that_of_the_package(level: AlphaLevel, values: int, missing: float) -> None:
    random = np.random.default_rng(values)
    matrix = random.integers(0, values, (7, 40)) / 4 + random.normal(0, values / 4, 40).round()
    matrix[random.random(matrix.shape) < missing] = np.nan
    expected = package.alpha(reliability_data=matrix, level_of_measurement=level)
    assert krippendorff_alpha(*long(matrix), level) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "name",
    [
        "nflx_public",
        "hdtv1",
        "dsg_tifa160_likert",
        "agh_quality_variation_2017",
        "its4s2_images",
    ],
)
def test_it_is_that_of_the_package_on_real_tables(real: Callable[[str], Path], name: str, level: AlphaLevel) -> None:
    table = pacsv.read_csv(real(f"{name}.csv"))
    (items, item), (raters, rater) = (
        np.unique(table[column].to_numpy(), return_inverse=True) for column in ("image_id", "annotator_id")
    )
    score = table["score"].to_numpy().astype(float)
    matrix = np.full((len(raters), len(items)), np.nan)
    matrix[rater, item] = score
    expected = package.alpha(reliability_data=matrix, level_of_measurement=level)
    assert krippendorff_alpha(item, score, level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_a_constant_added_or_a_factor_changes_nothing(level: AlphaLevel) -> None:
    item, score = long(PUBLISHED)
    assert krippendorff_alpha(item, 1e6 + score / 8, level) == pytest.approx(
        krippendorff_alpha(item, score, level), abs=1e-9
    )


def test_a_stretch_of_the_scale_changes_the_interval_level_alone() -> None:
    item, score = long(PUBLISHED)
    assert krippendorff_alpha(item, score**3, "ordinal") == krippendorff_alpha(item, score, "ordinal")
    assert krippendorff_alpha(item, score**3, "interval") != krippendorff_alpha(item, score, "interval")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("missing", [0, 0.4])
def test_the_interval_is_that_of_tables_of_resampled_items(level: AlphaLevel, missing: float) -> None:
    random = np.random.default_rng(5)
    matrix = (random.normal(3, 1, 12) + random.normal(0, 0.7, (6, 12))).round(1)
    matrix[random.random(matrix.shape) < missing] = np.nan
    matrix = matrix[:, (~np.isnan(matrix)).sum(axis=0) >= 2]
    item, score = long(matrix)
    resampling = ItemBootstrap(replicates=60, seed=3, level=0.9)
    alphas = []
    for weights in np.concatenate(list(resampling.weights(matrix.shape[1]))):
        drawn = matrix[:, np.repeat(np.arange(matrix.shape[1]), weights.astype(int))]
        alphas.append(package.alpha(reliability_data=drawn, level_of_measurement=level))
    rater = np.nonzero(~np.isnan(matrix.T))[1]
    found = estimate_alpha(average_opinions(item, rater, score), level, resampling)
    assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(alphas, [0.05, 0.95]), abs=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_perfect_agreement_on_different_items_is_one(level: AlphaLevel) -> None:
    found = estimate_alpha(
        average_opinions(*np.nonzero(np.ones((9, 4))), np.repeat(np.arange(9.0), 4)), level, ItemBootstrap()
    )
    assert (found.value, found.ci_low, found.ci_high, found.note) == (1, 1, 1, None)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("value", [0.0, 3.3, 1e9])
def test_without_variation_it_is_one_and_says_so(level: AlphaLevel, value: float) -> None:
    found = estimate_alpha(average_opinions(*np.nonzero(np.ones((9, 15))), np.full(135, value)), level, ItemBootstrap())
    assert (found.value, found.ci_low, found.note) == (1, None, NO_VARIATION)


@pytest.mark.parametrize("level", LEVELS)
def test_a_single_rater_or_no_rating_gives_a_reason(level: AlphaLevel) -> None:
    one = estimate_alpha(average_opinions(np.arange(5), np.zeros(5, int), np.arange(5.0)), level, ItemBootstrap())
    none = estimate_alpha(average_opinions(np.zeros(0, int), np.zeros(0, int), np.zeros(0)), level, ItemBootstrap())
    for found in (one, none):
        assert (found.value, found.note, found.items, found.ratings) == (None, NO_RATED_PAIRS, 0, 0)


def test_items_that_one_rater_rated_do_not_count() -> None:
    item, score = long(PUBLISHED)
    more = np.append(item, [20, 21]), np.append(score, [9.0, -9.0])
    assert krippendorff_alpha(*more) == krippendorff_alpha(item, score)
    found = estimate_alpha(average_opinions(more[0], np.arange(len(more[0])), more[1]), "interval", ItemBootstrap(50))
    assert (found.items, found.ratings, found.raters) == (11, 40, 40)
