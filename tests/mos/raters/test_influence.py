"""The ranking without a rater: the closed form is what taking the rater out and ranking again gives."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from mos.raters import report_raters


def means(ratings: Any, without: int | None = None) -> dict[tuple[int, int], float]:
    given: dict[tuple[int, int], list[Fraction]] = {}
    for item, dimension, rater, score in zip(
        ratings.item.tolist(), ratings.dimension.tolist(), ratings.rater.tolist(), ratings.score.tolist(), strict=True
    ):
        if rater != without:
            given.setdefault((dimension, item), []).append(Fraction(str(score)))
    return {key: float(sum(scores) / len(scores)) for key, scores in given.items()}


def brute_force(ratings: Any) -> tuple[list[float | None], list[float | None]]:
    whole = means(ratings)
    influence: list[float | None] = []
    change: list[float | None] = []
    for rater in range(len(ratings.raters)):
        rest = means(ratings, rater)
        own = set(ratings.dimension[ratings.rater == rater].tolist())
        found = []
        for dimension in own:
            common = [key for key in rest if key[0] == dimension]
            one, other = [whole[key] for key in common], [rest[key] for key in common]
            if len(set(one)) > 1 and len(set(other)) > 1:
                found.append(spearmanr(one, other).statistic)
        compared = any(whole[key] != 0 and key in rest for key in whole) and bool(own)
        moved = [abs(whole[key] - rest[key]) for key in rest if key[0] in own]
        influence.append(1 - float(np.mean(found)) if found else None)
        change.append(max(moved) if compared and moved else None)
    return influence, change


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("shape", [{"fill": 1}, {"fill": 0.5}, {"fill": 0.5, "dimensions": 3}, {"decimals": 2}])
def test_it_is_what_ranking_again_gives(seed: int, shape: dict[str, Any], study: Any, same: Any) -> None:
    ratings = study(seed, items=14, raters=5, **shape)
    table = report_raters(ratings)
    influence, change = brute_force(ratings)
    same(table["rank_influence"].to_pylist(), influence)
    same(table["largest_change"].to_pylist(), change)


@pytest.mark.parametrize("seed", range(20))
def test_items_that_no_one_else_rated_are_left_out_of_both_orders(seed: int, study: Any, same: Any) -> None:
    ratings = study(seed, items=16, raters=3, fill=0.45, repetitions=2)
    assert sum(report_raters(ratings)["alone"].to_pylist()) > 0
    influence, _ = brute_force(ratings)
    same(report_raters(ratings)["rank_influence"].to_pylist(), influence)


def test_a_rater_who_agrees_with_the_mean_changes_nothing_at_all(coded: Any) -> None:
    scores = np.array([[1.1, 1.3, 1.2], [3.3, 3.5, 3.4], [2.0, 2.6, 2.3], [4.7, 4.1, 4.4]])
    row = report_raters(coded(scores)).to_pylist()[2]
    assert row["rank_influence"] == 0
    assert row["largest_change"] == 0
