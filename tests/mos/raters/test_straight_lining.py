"""Repeated scores and runs, beside what random order gives: enumerated, permuted, looped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby, pairwise, permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mos.raters import report_raters
from mos.ratings import Ratings
from mos.table import validate_ratings


def sequence(scores: list[int]) -> Ratings:
    """One rater who gave these scores one after the other."""
    size = len(scores)
    table = {"item": [f"i{i}" for i in range(size)], "rater": ["r"] * size, "dimension": ["d"] * size, "score": scores}
    return validate_ratings(pa.table(table), (1, 9))[0]


def longest(scores: Any) -> int:
    return max(len(list(run)) for _, run in groupby(scores))


def runs_from(scores: Any, length: int) -> int:
    return sum(len(list(run)) >= length for _, run in groupby(scores))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 3), min_size=2, max_size=7))
def test_expectations_are_those_of_all_orders(scores: list[int]) -> None:
    row = report_raters(sequence(scores)).to_pylist()[0]
    orders = list(permutations(scores))
    equal = [sum(a == b for a, b in pairwise(order)) for order in orders]
    assert row["repeats"] == pytest.approx(equal[0] / (len(scores) - 1))
    assert row["repeats_expected"] == pytest.approx(np.mean(equal) / (len(scores) - 1))
    assert row["repeats_excess"] == pytest.approx(row["repeats"] - row["repeats_expected"])
    assert row["longest_run"] == longest(scores)
    number = [runs_from(order, longest(scores)) for order in orders]
    assert row["longest_run_p"] == pytest.approx(min(1, np.mean(number)))
    assert row["longest_run_p"] >= np.mean(np.array(number) > 0) - 1e-12


def test_the_bound_of_a_long_run_is_close_to_its_probability() -> None:
    random = np.random.default_rng(0)
    scores = [3] * 7 + random.permutation([1, 2, 3, 4, 5] * 8).tolist()
    row = report_raters(sequence(scores)).to_pylist()[0]
    simulated = np.mean([longest(random.permutation(scores)) >= row["longest_run"] for _ in range(20_000)])
    assert row["longest_run_p"] == pytest.approx(simulated, rel=0.2)


@pytest.mark.parametrize("seed", range(6))
def test_each_dimension_is_a_sequence_of_its_own(seed: int, study: Any, rows: Any, same: Any) -> None:
    ratings = study(seed, items=20, dimensions=3, fill=0.7)
    table = report_raters(ratings)
    seen, expected, runs = [], [], []
    for own in rows(ratings):
        parts = [[row.score for row in own if row.dimension == dimension] for dimension in range(3)]
        pairs = sum(len(part) - 1 for part in parts)
        seen.append(sum(a == b for part in parts for a, b in pairwise(part)) / pairs)
        chance = [sum(c * (c - 1) for c in Counter(part).values()) / len(part) for part in parts]
        expected.append(sum(chance) / pairs)
        runs.append(max(longest(part) for part in parts))
    same(table["repeats"].to_pylist(), seen)
    same(table["repeats_expected"].to_pylist(), expected)
    same(table["longest_run"].to_pylist(), runs)


@pytest.mark.parametrize("seed", range(6))
def test_alike_counts_items_with_one_score_in_all_dimensions(seed: int, study: Any, same: Any) -> None:
    ratings = study(seed, items=25, dimensions=2, fill=0.9)
    table = report_raters(ratings)
    found, expected = [], []
    for rater in range(len(ratings.raters)):
        given_scores: dict[int, dict[int, float]] = {}
        own = ratings.rater == rater
        for item, dimension, score in zip(ratings.item[own], ratings.dimension[own], ratings.score[own], strict=True):
            given_scores.setdefault(item, {})[dimension] = score
        pairs = [(scores[0], scores[1]) for scores in given_scores.values() if len(scores) == 2]
        found.append(np.mean([a == b for a, b in pairs]))
        # Every score of one dimension beside every score of the other: all ways to deal them out.
        expected.append(np.mean([a == b for a, _ in pairs for _, b in pairs]))
    same(table["alike"].to_pylist(), found)
    same(table["alike_expected"].to_pylist(), expected)


def test_alike_takes_each_repetition_by_itself(study: Any) -> None:
    ratings = study(2, items=30, dimensions=2, fill=1, repetitions=2)
    same = ratings.score.reshape(30, 2, -1)  # item, dimension, rater and repetition
    alike = (same[:, 0] == same[:, 1]).reshape(30, len(ratings.raters), 2).mean(axis=(0, 2))
    assert report_raters(ratings)["alike"].to_pylist() == pytest.approx(alike.tolist())


def test_one_dimension_has_nothing_to_be_alike(study: Any) -> None:
    for table in (report_raters(study()), report_raters(study(dimensions=2), dimension="d1")):
        assert set(table["alike"].to_pylist()) == {None}
        assert set(table["alike_expected"].to_pylist()) == {None}


def test_the_sequence_is_that_of_the_times(coded: Callable[..., Any]) -> None:
    ratings = coded([[1], [2], [1], [2], [1], [2]])
    assert report_raters(ratings)["repeats"].to_pylist() == [0]
    seconds = np.array([10, 40, 20, 50, 30, 60])  # first the ones, then the twos
    assert report_raters(ratings, times=seconds)["repeats"].to_pylist() == [4 / 5]
    times = np.datetime64("2030-01-01T10:00:00") + seconds.astype("timedelta64[s]")
    assert report_raters(ratings, times=times)["repeats"].to_pylist() == [4 / 5]
