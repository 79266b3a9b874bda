"""First and second rating of the same: scipy and pingouin agree."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from mos.raters import report_raters


def pairs(ratings: Any, rater: int) -> np.ndarray:
    """[pairs, 2] first and second rating of every item and dimension that the rater rated again."""
    seen: dict[tuple[int, int], list[float]] = {}
    for item, dimension, who, score in zip(
        ratings.item.tolist(), ratings.dimension.tolist(), ratings.rater.tolist(), ratings.score.tolist(), strict=True
    ):
        if who == rater:
            seen.setdefault((item, dimension), []).append(score)
    return np.array([scores[:2] for scores in seen.values() if len(scores) > 1])


@pytest.mark.parametrize("seed", range(6))
def test_differences_and_correlations(seed: int, study: Any, same: Any) -> None:
    ratings = study(seed, items=20, repetitions=3, fill=0.6)
    table = report_raters(ratings)
    found = [pairs(ratings, rater) for rater in range(len(ratings.raters))]
    same(table["retests"].to_pylist(), [len(own) for own in found])
    same(table["retest_difference"].to_pylist(), [float(np.abs(own[:, 0] - own[:, 1]).mean()) for own in found])
    same(table["retest_pearson"].to_pylist(), [float(pearsonr(*own.T).statistic) for own in found])


@pytest.mark.parametrize("seed", range(3))
def test_the_icc_is_pingouins(seed: int, study: Any, same: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pingouin

        ratings = study(seed, items=20, repetitions=2, fill=0.9)
        expected = []
        for rater in range(len(ratings.raters)):
            own = pairs(ratings, rater)
            long = pd.DataFrame(own).reset_index().melt("index")
            table = pingouin.intraclass_corr(long, "index", "variable", "value").set_index("Type")
            expected.append(float(table.loc["ICC(1,1)", "ICC"]))
    same(report_raters(ratings)["retest_icc"].to_pylist(), expected)


def test_a_shift_counts_against_the_icc_and_not_against_r(coded: Any, study: Any) -> None:
    ratings = study(1, items=40, raters=2, repetitions=2, fill=1)
    ratings.score[ratings.repetition == 1] = ratings.score[ratings.repetition == 0] + 1
    row = report_raters(ratings).to_pylist()[0]
    assert row["retest_pearson"] == pytest.approx(1)
    assert row["retest_icc"] < 0.95
    assert row["retest_difference"] == pytest.approx(1)


def test_without_repetitions_there_is_nothing_to_say(study: Any) -> None:
    table = report_raters(study())
    assert set(table["retests"].to_pylist()) == {0}
    for name in ("retest_difference", "retest_pearson", "retest_icc"):
        assert set(table[name].to_pylist()) == {None}
