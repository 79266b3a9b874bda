"""Biases and bias-removed means agree with sureal's (ITU-T P.913, 12.4), intervals with scipy's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mos._kernels import group_moments
from mos.methods.p913 import estimate_rater_bias, remove_bias
from mos.table import Ratings, read_ratings_table, validate_ratings

COMPLETE = ("nflx_public.csv", "vqeg_hd3.csv", "hdtv1.csv", "its4s_agh.csv", "vqeg_frtv1_525_line_high.csv")
PARTIAL = ("p910_demo_sample.csv", "agh_quality_variation_2017.csv")


def sizes(ratings: Ratings) -> tuple[int, int]:
    return len(ratings.items), len(ratings.raters)


@pytest.mark.parametrize("name", COMPLETE + PARTIAL)
def test_biases_and_the_means_without_them_are_those_of_sureal(real: Callable[[str], Path], name: str) -> None:
    pytest.importorskip("sureal")
    from sureal.dataset_reader import RawDatasetReader
    from sureal.subjective_model import BiasremvMosModel

    ratings = validate_ratings(read_ratings_table(real(name))[0], None)[0]
    matrix = np.full(sizes(ratings), np.nan)
    matrix[ratings.item, ratings.rater] = ratings.score
    videos = [{"content_id": 0, "asset_id": a, "path": str(a), "os": row.tolist()} for a, row in enumerate(matrix)]
    reference = [{"content_id": 0, "content_name": "c", "path": "p"}]
    dataset = SimpleNamespace(dataset_name="d", ref_videos=reference, dis_videos=videos)
    theirs = BiasremvMosModel(RawDatasetReader(dataset)).run_modeling()

    ours = estimate_rater_bias(ratings.score, ratings.item, ratings.rater, *sizes(ratings))
    np.testing.assert_allclose(ours.bias, theirs["observer_bias"], rtol=0, atol=1e-11)
    unbiased = remove_bias(ratings.score, ratings.rater, ours.bias)
    means = group_moments(unbiased, ratings.item, len(ratings.items)).mean
    np.testing.assert_allclose(means, theirs["quality_scores"], rtol=0, atol=1e-11)


def test_the_variance_of_the_biases_that_sureal_publishes(real: Callable[[str], Path]) -> None:
    """Of its own test of bias-removed means on the public data set."""
    ratings = validate_ratings(read_ratings_table(real("nflx_public.csv"))[0], (1, 5))[0]
    ours = estimate_rater_bias(ratings.score, ratings.item, ratings.rater, *sizes(ratings))
    assert ours.bias.mean() == pytest.approx(0, abs=1e-12)
    assert ours.bias.var() == pytest.approx(0.08903258562151982, abs=1e-12)


def test_the_interval_is_that_of_a_mean_by_students_t(real: Callable[[str], Path]) -> None:
    ratings = validate_ratings(read_ratings_table(real("agh_quality_variation_2017.csv"))[0], (1, 5))[0]
    ours = estimate_rater_bias(ratings.score, ratings.item, ratings.rater, *sizes(ratings))
    width = ours.interval(0.9)
    mean = group_moments(ratings.score, ratings.item, len(ratings.items)).mean
    for rater in range(0, len(ratings.raters), 7):
        rows = ratings.rater == rater
        oracle = stats.ttest_1samp(ratings.score[rows] - mean[ratings.item[rows]], 0)
        low, high = oracle.confidence_interval(0.9)
        assert (ours.bias[rater] - width[rater], ours.bias[rater] + width[rater]) == pytest.approx((low, high))


def test_several_ratings_of_an_item_by_one_rater_all_count() -> None:
    # Item means 3 and 2; differences of rater 0: -1, 1 and 1; of rater 1: 0 and -1.
    score, item = np.array([2.0, 4, 3, 3, 1]), np.array([0, 0, 0, 1, 1])
    ours = estimate_rater_bias(score, item, np.array([0, 0, 1, 0, 1]), 2, 2)
    np.testing.assert_allclose(ours.bias, [1 / 3, -0.5])
    np.testing.assert_array_equal(ours.n, [3, 2])


def test_positions_in_products_give_each_dimension_what_it_has_alone() -> None:
    random = np.random.default_rng(1)
    item, rater, dimension = (axis.ravel() for axis in np.indices((20, 6, 3)))
    score = random.integers(1, 6, len(item)).astype(float)
    together = estimate_rater_bias(score, item * 3 + dimension, rater * 3 + dimension, 60, 18)
    for number in range(3):
        rows = dimension == number
        alone = estimate_rater_bias(score[rows], item[rows], rater[rows], 20, 6)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one.reshape(6, 3)[:, number], other, rtol=0, atol=1e-14)


@pytest.mark.filterwarnings("error")
def test_only_what_there_is_nothing_to_tell_from_is_unknown() -> None:
    """Item 1 and rater 1 have no ratings; rater 2 has one, which is the only one of item 2."""
    score, item, rater = np.array([1.0, 4, 2, 5, 3]), np.array([0, 3, 0, 3, 2]), np.array([0, 0, 3, 3, 2])
    ours = estimate_rater_bias(score, item, rater, 4, 4)
    np.testing.assert_array_equal(np.isnan(ours.bias), [False, True, False, False])
    np.testing.assert_array_equal(np.isnan(ours.se), [False, True, True, False])
    np.testing.assert_array_equal(np.isnan(ours.interval(0.95)), [False, True, True, False])
    assert ours.bias[2] == 0
    assert np.isfinite(remove_bias(score, rater, ours.bias)).all()
    assert estimate_rater_bias(score[:0], item[:0], rater[:0], 2, 3).n.tolist() == [0, 0, 0]


@given(st.integers(0, 2**32 - 1))
def test_neither_the_order_of_rows_nor_the_level_of_the_scores_matters(seed: int) -> None:
    random = np.random.default_rng(seed)
    item, rater = random.integers(0, 8, 60), random.integers(0, 5, 60)
    score = random.normal(3, 1, 60)
    ours, order = estimate_rater_bias(score, item, rater, 8, 5), random.permutation(60)
    for other in (
        estimate_rater_bias(score[order], item[order], rater[order], 8, 5),
        estimate_rater_bias(score + 7, item, rater, 8, 5),
        estimate_rater_bias(
            score + random.normal(0, 9, 8)[item], item, rater, 8, 5
        ),  # as if other items had been shown
    ):
        np.testing.assert_allclose(ours.bias, other.bias, rtol=0, atol=1e-12)
        np.testing.assert_allclose(ours.se, other.se, rtol=0, atol=1e-12)
