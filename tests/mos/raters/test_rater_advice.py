"""Sentences that name raters: carefully, shortly, and only when someone stands out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mos.raters import advise_on_raters, report_raters
from mos.ratings import Ratings

ITEMS, RATERS, WHO = 120, 20, 7
NAME = f"'rater{WHO:04d}'"


@pytest.fixture
def scores() -> np.ndarray:
    random = np.random.default_rng(11)
    quality = random.uniform(1.5, 4.5, (ITEMS, 1))
    return np.clip(np.round(quality + random.normal(0, 0.6, (ITEMS, RATERS))), 1, 5)


def about(sentences: list[str], start: str) -> str:
    found = [sentence for sentence in sentences if sentence.startswith(start)]
    assert len(found) == 1, sentences
    return found[0]


def test_nobody_stands_out_among_raters_who_are_alike(coded: Callable[..., Ratings]) -> None:
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(20):
        scores = random.uniform(2, 4, (60, 1)) + random.normal(0, 0.6, (60, 12))
        alarms += len(advise_on_raters(report_raters(coded(scores))))
    assert alarms <= 4


def test_a_random_rater_is_named_with_the_figures(scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
    scores[:, WHO] = np.random.default_rng(6).integers(1, 6, ITEMS)
    sentences = advise_on_raters(report_raters(coded(scores, (1, 5))))
    assert NAME in about(sentences, "May be careless")
    assert f"{NAME} (r = " in about(sentences, "May rate at random")
    assert f"{NAME} (SD " in about(sentences, "May be inattentive")


def test_the_same_score_everywhere_is_named(scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
    scores[:, WHO] = 3
    assert about(advise_on_raters(report_raters(coded(scores))), "May not be looking").endswith(
        f": {NAME} (120 ratings)."
    )


def test_a_generous_rater_is_biased_and_not_careless(coded: Callable[..., Ratings]) -> None:
    random = np.random.default_rng(2)
    scores = random.uniform(2, 4, (ITEMS, 1)) + random.normal(0, 0.5, (ITEMS, RATERS))
    scores[:, WHO] += 0.7
    sentences = advise_on_raters(report_raters(coded(scores)))
    assert f"{NAME} (bias +0.69)" in about(sentences, "May use the scale differently")
    assert not any(sentence.startswith(("May rate at random", "May be inattentive")) for sentence in sentences)


def test_a_rater_of_extremes_is_named(scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
    scores[:, WHO] = np.where(scores[:, WHO] >= 3, 5, 1)
    assert f"{NAME} (100 %" in about(advise_on_raters(report_raters(coded(scores, (1, 5)))), "May have missed")


@pytest.mark.parametrize("timed", [True, False])
def test_a_straight_liner_is_named_and_the_order_stated(
    timed: bool, scores: np.ndarray, coded: Callable[..., Ratings]
) -> None:
    scores[:, WHO] = np.repeat(np.resize([3, 4, 2, 5, 1, 3], 12), 10)
    ratings = coded(scores, (1, 5))
    sentence = about(
        advise_on_raters(report_raters(ratings, times=ratings.index if timed else None)), "May be straight-lining"
    )
    assert NAME in sentence
    assert ("no times are known" in sentence) is not timed


def test_a_drifting_rater_is_named(scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
    scores[:, WHO] += np.linspace(-1.5, 1.5, ITEMS)
    ratings = coded(scores)
    assert NAME in about(
        advise_on_raters(report_raters(ratings, times=ratings.index)), "May have changed their standard"
    )


def test_a_halo_is_named(coded: Callable[..., Ratings], scores: np.ndarray) -> None:
    both = np.clip(np.round(scores[:, :, None] + np.random.default_rng(9).normal(0, 1, (ITEMS, RATERS, 3))), 1, 5)
    both[:, WHO] = both[:, WHO, :1]
    assert f"{NAME} (100 % of items" in about(
        advise_on_raters(report_raters(coded(both, (1, 5)))), "May not tell the dimensions apart"
    )


def test_a_guesser_differs_from_themselves(study: Any) -> None:
    ratings = study(4, items=40, raters=9, repetitions=2, fill=1)
    own = (ratings.rater == 3) & (ratings.repetition == 1)
    ratings.score[own] = np.random.default_rng(1).permutation(ratings.score[own])
    assert "'r003' (by " in about(advise_on_raters(report_raters(ratings)), "May be guessing")


def test_five_are_named_worst_first_and_the_others_counted(scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
    scores[:, 1:8] = 3
    scores[:5, 4] = np.nan  # who gave fewer stands out less
    sentence = about(advise_on_raters(report_raters(coded(scores))), "May not be looking")
    assert sentence.count("'rater") == 5
    assert sentence.endswith(" and 2 more.")
    assert "'rater0004'" not in sentence


def test_long_names_are_shortened(study: Any) -> None:
    table = report_raters(study(items=20, raters=1, fill=1))
    names = ["x" * 300]
    position = table.column_names.index("levels")
    table = table.set_column(0, "rater", [names]).set_column(position, "levels", [[1]])
    assert f"'{'x' * 21}...'" in about(advise_on_raters(table), "May not be looking")


def test_few_raters_are_not_compared_with_each_other(coded: Callable[..., Ratings]) -> None:
    scores = np.random.default_rng(0).normal(3, 0.5, (50, 4))
    scores[:, 0] += 2
    assert advise_on_raters(report_raters(coded(scores))) == []


def test_an_empty_study_has_no_advice(coded: Callable[..., Ratings]) -> None:
    assert advise_on_raters(report_raters(coded(np.full((0, 0), 3.0)))) == []
