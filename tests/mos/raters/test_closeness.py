"""Bias, inconsistency and correlation: a loop over exact fractions and scipy agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mos.raters import report_raters


def residuals(own: list[Any]) -> list[float]:
    return [float(row.exact - row.others) for row in own if row.others is not None]


@pytest.mark.parametrize("seed", range(8))
def test_bias_has_the_t_interval_of_the_residuals(seed: int, study: Any, rows: Any, same: Any) -> None:
    ratings = study(seed, fill=0.6)
    table = report_raters(ratings)
    expected: list[list[Any]] = [[], [], []]
    for own in rows(ratings):
        found = residuals(own)
        interval = stats.ttest_1samp(found, 0).confidence_interval(0.95)
        for column, value in zip(expected, (np.mean(found), interval.low, interval.high), strict=True):
            column.append(float(value))
    for name, values in zip(("bias", "bias_low", "bias_high"), expected, strict=True):
        same(table[name].to_pylist(), values)


@pytest.mark.parametrize("seed", range(8))
def test_inconsistency_has_the_chi_square_interval_of_their_deviation(
    seed: int, study: Any, rows: Any, same: Any
) -> None:
    ratings = study(seed, fill=0.6, decimals=1)
    table = report_raters(ratings)
    sd = [float(np.std(residuals(own), ddof=1)) for own in rows(ratings)]
    freedom = [len(residuals(own)) - 1 for own in rows(ratings)]
    same(table["inconsistency"].to_pylist(), sd)
    for name, level in (("inconsistency_low", 0.975), ("inconsistency_high", 0.025)):
        same(
            table[name].to_pylist(),
            [s * np.sqrt(df / stats.chi2.ppf(level, df)) for s, df in zip(sd, freedom, strict=True)],
        )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("decimals", [0, 1])
def test_correlations_are_scipys(seed: int, decimals: int, study: Any, rows: Any, same: Any) -> None:
    """Also where means tie: 10/3 as 3.33... from two sums must not have two ranks."""
    ratings = study(seed, items=15, fill=0.7, decimals=decimals)
    table = report_raters(ratings)
    pairs = [[(row.score, float(row.others)) for row in own if row.others is not None] for own in rows(ratings)]
    for name, function in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        same(table[name].to_pylist(), [float(function(*zip(*own, strict=True)).statistic) for own in pairs])


def test_with_repetitions_the_raters_own_ratings_are_not_those_of_others(study: Any, rows: Any, same: Any) -> None:
    ratings = study(3, repetitions=3, fill=0.5)
    table = report_raters(ratings)
    same(table["bias"].to_pylist(), [float(np.mean(residuals(own))) for own in rows(ratings)])
    same(table["n"].to_pylist(), [len(own) for own in rows(ratings)])
    same(table["items"].to_pylist(), [len({row.item for row in own}) for own in rows(ratings)])


def test_with_all_dimensions_the_bias_interval_is_that_of_item_means(study: Any, rows: Any, same: Any) -> None:
    """Items are the unit of sampling: three dimensions of an item are not three independent looks at it."""
    ratings = study(5, items=20, dimensions=3, fill=1)
    table = report_raters(ratings)
    low, high = [], []
    for own in rows(ratings):
        by_item = defaultdict(list)
        for row in own:
            by_item[row.item].append(float(row.exact - row.others))
        interval = stats.ttest_1samp([np.mean(values) for values in by_item.values()], 0).confidence_interval(0.95)
        low.append(float(interval.low))
        high.append(float(interval.high))
    same(table["bias_low"].to_pylist(), low)
    same(table["bias_high"].to_pylist(), high)


def test_spreads_and_correlations_are_taken_within_dimensions(study: Any, rows: Any, same: Any) -> None:
    ratings = study(6, items=15, dimensions=2, fill=0.8)
    table = report_raters(ratings)
    sd, r = [], []
    for own in rows(ratings):
        x, y, d = [], [], []
        for dimension in (0, 1):
            part = [row for row in own if row.dimension == dimension and row.others is not None]
            one, two = np.array([row.score for row in part]), np.array([float(row.others) for row in part])
            x.extend(one - one.mean())
            y.extend(two - two.mean())
            d.extend((one - two) - (one - two).mean())
        sd.append(float(np.sqrt(np.square(d).sum() / (len(d) - 2))))
        r.append(float(np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y)))
    same(table["inconsistency"].to_pylist(), sd)
    same(table["pearson"].to_pylist(), r)


def test_a_difference_between_dimensions_that_all_make_is_no_agreement(coded: Callable[..., Any]) -> None:
    random = np.random.default_rng(1)
    scores = random.integers(1, 4, (60, 6, 2)) + np.array([0, 6])
    assert max(np.abs(report_raters(coded(scores))["pearson"].to_pylist())) < 0.5


def test_one_dimension_may_be_looked_at_alone(study: Any, same: Any) -> None:
    ratings = study(7, dimensions=3)
    alone = ratings.select(ratings.dimension == 1)
    one, other = report_raters(ratings, dimension="d1"), report_raters(alone)
    assert one.equals(other)
    assert sum(one["n"].to_pylist()) == len(alone)


def test_raters_who_agree_exactly_have_no_bias_and_no_inconsistency(coded: Callable[..., Any]) -> None:
    """3.3 added up and divided again is not 3.3 in floating point; no one is to differ by 4e-16."""
    table = report_raters(coded(np.repeat([[3.3], [1.1], [2.7], [4.9]], 7, axis=1)))
    assert set(table["bias"].to_pylist()) == {0.0}
    assert set(table["inconsistency"].to_pylist()) == {0.0}
    assert table["pearson"].to_pylist() == pytest.approx([1] * 7)
    assert table["spearman"].to_pylist() == pytest.approx([1] * 7)


def test_a_constant_rater_has_no_correlation(coded: Callable[..., Any]) -> None:
    scores = np.random.default_rng(0).integers(1, 6, (20, 4)).astype(float)
    scores[:, 2] = 3.3
    table = report_raters(coded(scores))
    for name in ("pearson", "spearman"):
        assert [value is None for value in table[name].to_pylist()] == [False, False, True, False]


def test_items_that_no_one_else_rated_are_counted_and_not_compared(coded: Callable[..., Any]) -> None:
    nan = np.nan
    table = report_raters(coded([[1, 2, nan], [2, 3, nan], [3, 5, nan], [5, nan, nan], [nan, nan, 4], [nan, nan, 5]]))
    assert table["alone"].to_pylist() == [1, 0, 2]
    assert table["bias"].to_pylist() == pytest.approx([-4 / 3, 4 / 3, None])


@pytest.mark.parametrize("dimensions", [1, 3])
def test_the_bias_interval_covers_no_bias(dimensions: int, coded: Callable[..., Any]) -> None:
    """Also where a rater's liking of an item shows in all its dimensions."""
    random = np.random.default_rng(2)
    covered, trials, raters = 0, 40, 20
    for _ in range(trials):
        scores = 3 + random.normal(0, 0.6, (25, raters, 1)) + random.normal(0, 0.3, (25, raters, dimensions))
        table = report_raters(coded(scores))
        low, high = np.array(table["bias_low"].to_pylist()), np.array(table["bias_high"].to_pylist())
        covered += int(((low < 0) & (high > 0)).sum())
    assert covered / (trials * raters) == pytest.approx(0.95, abs=0.03)
