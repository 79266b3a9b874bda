"""Correlation screening agrees with scipy's correlations and with the published result of sureal's rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mos.methods.correlation import (
    CORRELATION_REASONS,
    CorrelationStatistic,
    RaterCorrelations,
    correlate_with_means,
    screen_by_correlation,
)
from mos.ratings import Ratings
from mos.table import read_ratings_table, validate_ratings


def rows_of(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, np.ndarray, int]:
    """Ratings of a matrix [items, raters], NaN where there is none, as `correlate` takes them."""
    item, rater = np.nonzero(~np.isnan(scores))
    return scores[item, rater], item, scores.shape[0], rater, scores.shape[1]


def by_scipy(scores: np.ndarray, leave_one_out: bool) -> list[tuple[float, float]]:
    """Pearson's and Spearman's correlation of every rater; NaN where scipy has none."""
    found = []
    for own, x in enumerate(scores.T):
        others = np.delete(scores, own, axis=1) if leave_one_out else scores
        n = (~np.isnan(others)).sum(axis=1)
        # Rounded, so that scipy too takes means of the same scores as tied.
        mean = np.round(np.nansum(others, axis=1) / np.maximum(n, 1), 10)
        both = ~np.isnan(x) & (n > 0)
        x, mean = x[both], mean[both]
        if both.sum() < 2 or np.ptp(x) == 0 or np.ptp(mean) == 0:
            found.append((np.nan, np.nan))
        else:
            found.append((stats.pearsonr(x, mean)[0], stats.spearmanr(x, mean)[0]))
    return found


matrices = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 6), st.sampled_from([0, 1, 3])).map(
    lambda t: np.round(
        np.where(
            np.random.default_rng(t[0]).random((t[1], t[2])) < t[0] % 3 * 0.2,
            np.nan,
            np.random.default_rng(t[0] + 1).normal(3, 1, (t[1], t[2])),
        ),
        t[3],
    )
)


@given(matrices, st.booleans())
def test_correlations_are_scipys(scores: np.ndarray, leave_one_out: bool) -> None:
    found = correlate_with_means(*rows_of(scores), leave_one_out=leave_one_out)
    pearson, spearman = np.array(by_scipy(scores, leave_one_out)).T
    assert found.pearson == pytest.approx(pearson, abs=1e-6, nan_ok=True)
    assert found.spearman == pytest.approx(spearman, abs=1e-9, nan_ok=True)


@given(matrices, st.booleans(), st.randoms(use_true_random=False))
def test_order_of_rows_and_raters_changes_nothing(scores: np.ndarray, leave_one_out: bool, random: object) -> None:
    score, item, items, rater, raters = rows_of(scores)
    rows, names = list(range(len(score))), list(range(raters))
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(names)  # type: ignore[attr-defined]
    name = np.array(names)
    one = correlate_with_means(score, item, items, rater, raters, leave_one_out=leave_one_out)
    other = correlate_with_means(score[rows], item[rows], items, name[rater][rows], raters, leave_one_out=leave_one_out)
    everyone = np.zeros(raters, np.int64)
    for statistic in ("pearson", "spearman", "min"):
        reasons = [screen_by_correlation(c, everyone, 1, statistic=statistic).reason for c in (one, other)]
        assert reasons[0].tolist() == reasons[1][name].tolist()
    for mine, theirs in zip(one, other, strict=True):
        assert mine == pytest.approx(theirs[name], abs=1e-12, nan_ok=True)


def test_means_of_the_same_scores_in_another_order_are_tied() -> None:
    """0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 in floating point; the items rank alike all the same."""
    scores = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.1, 0.3], [0.9, 0.8, 0.7]])
    found = correlate_with_means(*rows_of(scores))
    assert found.spearman[0] == pytest.approx(stats.spearmanr(scores[:, 0], [0, 0, 0, 1])[0], abs=1e-12)
    alike = correlate_with_means(*rows_of(scores[:3]))
    assert alike.alike.all()
    assert np.isnan(alike.pearson).all()


def judged(r: list[float], panel: list[int] | None = None, **options: object) -> tuple[list[str], list[float]]:
    """Reasons and thresholds for raters with these correlations over ten items."""
    size = len(r)
    values, no = np.array(r, float), np.zeros(size, bool)
    correlations = RaterCorrelations(np.full(size, 10), values, values, no, no)
    own = np.array(panel or [0] * size)
    found = screen_by_correlation(correlations, own, int(own.max()) + 1, **options)  # type: ignore[arg-type]
    assert found.rejected.tolist() == [reason in (1, 2) for reason in found.reason.tolist()]
    return [CORRELATION_REASONS[reason] for reason in found.reason], found.threshold.tolist()


def test_threshold_is_one_sd_below_the_mean_and_at_most_0_7() -> None:
    reasons, (threshold,) = judged([0.9, 0.9, 0.9, 0.5])
    assert threshold == pytest.approx(np.mean([0.9, 0.9, 0.9, 0.5]) - np.std([0.9, 0.9, 0.9, 0.5]))
    assert reasons == ["", "", "", "low_correlation"]
    # All correlate well: nobody is rejected for being the least of them, save at 0.7 or below.
    assert judged([0.95] * 40 + [0.75]) == ([""] * 41, [0.7])
    assert judged([0.95] * 40 + [0.7])[0][-1] == "low_correlation"
    assert judged([0.95] * 40 + [0.7], max_threshold=0.6) == ([""] * 41, [0.6])


@pytest.mark.parametrize("noise", [-3e-16, 0, 3e-16, 4e-10, -4e-10])
def test_on_the_threshold_is_rejected_and_rounding_does_not_matter(noise: float) -> None:
    assert judged([0.95] * 40 + [0.7 + noise])[0][-1] == "low_correlation"
    # Of two raters the lower one lies on mean - sd.
    assert judged([0.3 + noise, 0.1])[0] == ["", "low_correlation"]


def test_each_panel_has_its_own_threshold() -> None:
    reasons, thresholds = judged([0.9, 0.3, 0.9, 0.25, 0.9, 0.3], [0, 1, 0, 1, 0, 1])
    assert reasons == ["", "", "", "low_correlation", "", ""]
    assert thresholds == pytest.approx([0.7, np.mean([0.3, 0.25, 0.3]) - np.std([0.3, 0.25, 0.3])])


@pytest.mark.parametrize("statistic", ["pearson", "spearman", "min"])
def test_a_constant_rater_is_rejected_and_has_no_part_in_the_threshold(statistic: CorrelationStatistic) -> None:
    random = np.random.default_rng(1)
    scores = np.round(random.normal(3, 1, (40, 1)) + random.normal(0, 0.3, (40, 6)), 1)
    without = screen_by_correlation(
        correlate_with_means(*rows_of(scores)), np.zeros(6, np.int64), 1, statistic=statistic
    )
    scores = np.column_stack([scores, np.full(40, 3.3)])
    found = screen_by_correlation(correlate_with_means(*rows_of(scores)), np.zeros(7, np.int64), 1, statistic=statistic)
    assert [CORRELATION_REASONS[reason] for reason in found.reason[[0, 6]]] == ["", "constant"]
    assert found.rejected.tolist() == [*without.rejected.tolist(), True]
    assert np.isnan(found.r[6])
    assert found.threshold == pytest.approx(without.threshold)


def test_who_cannot_be_judged_stays() -> None:
    nan = np.nan
    scores = np.array(
        [[1, 1, 2, nan, 4], [2, 2, 3, nan, 4], [4, 3, nan, nan, nan], [5, 5, nan, nan, nan], [4, 5, nan, 3, nan]]
    )
    found = screen_by_correlation(correlate_with_means(*rows_of(scores)), np.zeros(5, np.int64), 1)
    assert [CORRELATION_REASONS[reason] for reason in found.reason[2:]] == ["too_few_items"] * 3
    assert not found.rejected[2:].any()
    assert found.correlations.n.tolist() == [5, 5, 2, 1, 2]
    # Three items of the same mean tell nothing about a rater.
    alike = np.array([[1, 3, nan], [2, 2, nan], [3, 1, nan], [5, nan, 5], [1, nan, 1]])
    found = screen_by_correlation(correlate_with_means(*rows_of(alike)), np.zeros(3, np.int64), 1, min_items=2)
    assert [CORRELATION_REASONS[reason] for reason in found.reason] == ["", "items_alike", ""]


def test_no_ratings_at_all() -> None:
    found = screen_by_correlation(
        correlate_with_means(np.zeros(0), np.zeros(0, np.int64), 0, np.zeros(0, np.int32), 2), np.zeros(2, np.int64), 1
    )
    assert [CORRELATION_REASONS[reason] for reason in found.reason] == ["too_few_items"] * 2
    assert np.isnan(found.threshold).all()


def test_a_large_table_is_judged_as_scipy_would() -> None:
    random = np.random.default_rng(5)
    scores = np.round(random.normal(3, 0.8, (3000, 1)) + random.normal(0, 0.7, (3000, 40)), 2)
    scores[random.random(scores.shape) < 0.5] = np.nan
    found = correlate_with_means(*rows_of(scores))
    pearson, spearman = np.array(by_scipy(scores, leave_one_out=False)).T
    assert found.pearson == pytest.approx(pearson, abs=1e-9)
    assert found.spearman == pytest.approx(spearman, abs=1e-9)


# --- real studies ---------------------------------------------------------------------------------------------------


def table(path: Path) -> Ratings:
    ratings, problems = validate_ratings(read_ratings_table(path)[0], None)
    assert not problems
    return ratings


def rejected(ratings: Ratings, statistic: CorrelationStatistic, leave_one_out: bool = False) -> set[str]:
    dimensions, raters = len(ratings.dimensions), len(ratings.raters)
    assert dimensions == 1
    correlations = correlate_with_means(
        ratings.score, ratings.groups(), len(ratings.items), ratings.rater, raters, leave_one_out=leave_one_out
    )
    found = screen_by_correlation(correlations, np.zeros(raters, np.int64), 1, statistic=statistic)
    return {ratings.raters[int(rater)].as_py() for rater in np.flatnonzero(found.rejected)}


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("statistic", ["pearson", "spearman", "min"])
def test_all_four_scrambled_subjects_are_found(
    real: Callable[[str], Path], statistic: CorrelationStatistic, leave_one_out: bool
) -> None:
    """BT.500's kurtosis rule finds two or three of them."""
    ratings = table(real("nflx_public_last4outliers.csv"))
    assert rejected(ratings, statistic, leave_one_out) == {"s026", "s027", "s028", "s029"}


@pytest.mark.parametrize("statistic", ["pearson", "spearman"])
def test_published_scores_after_shuffling_five_subjects(
    real: Callable[[str], Path], statistic: CorrelationStatistic
) -> None:
    """sureal's tests of its models SR_MOS_PCC and Spearman: mean 3.5322483423749245, variance 1.403470793861528."""
    ratings = table(real("nflx_public.csv"))
    scores = ratings.score.reshape(len(ratings.items), len(ratings.raters)).copy()
    random = np.random.RandomState(0)
    for subject in range(5):
        random.shuffle(scores[:, subject])
    found = screen_by_correlation(
        correlate_with_means(*rows_of(scores)), np.zeros(26, np.int64), 1, statistic=statistic
    )
    mos = scores[:, ~found.rejected].mean(axis=1)
    assert (mos.mean(), mos.var()) == pytest.approx((3.5322483423749245, 1.403470793861528), abs=5e-5)
