"""How a rater uses the scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy

from mos.raters import report_raters


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_a_loop(seed: int, study: Any, rows: Any, same: Any) -> None:
    ratings = study(seed, dimensions=2)
    table = report_raters(ratings)
    own = [[row.score for row in part] for part in rows(ratings)]
    size = len(set(ratings.score.tolist()))
    same(table["levels"].to_pylist(), [len(set(scores)) for scores in own])
    same(table["range_used"].to_pylist(), [(max(scores) - min(scores)) / 4 for scores in own])
    same(table["extremes"].to_pylist(), [np.isin(scores, (1, 5)).mean() for scores in own])
    bits = [entropy(list(Counter(scores).values()), base=2) / np.log2(size) for scores in own]
    same(table["entropy"].to_pylist(), [float(value) for value in bits])


def test_a_fine_scale_is_binned_to_tenths(coded: Callable[..., Any]) -> None:
    even = np.arange(100) + 0.5
    table = report_raters(coded(np.stack([even, np.full(100, 3.0), even / 20], axis=1), (0.0, 100.0)))
    assert table["entropy"].to_pylist() == pytest.approx([1, 0, 0])
    assert table["extremes"].to_pylist() == pytest.approx([0.2, 1, 1])
    assert table["range_used"].to_pylist() == pytest.approx([0.99, 0, 0.0495])
    assert table["levels"].to_pylist() == [100, 1, 100]


def test_without_a_scale_the_extremes_found_are_its_ends(coded: Callable[..., Any]) -> None:
    table = report_raters(coded([[2, 3], [4, 3], [2, 3]]))
    assert table["range_used"].to_pylist() == [1, 0]
    assert table["extremes"].to_pylist() == [1, 0]


def test_noise_in_the_last_bits_is_no_new_level(coded: Callable[..., Any]) -> None:
    scores = np.array([[0.1 + 0.2, 1], [0.3, 1], [0.3, 2], [0.9, 3 * 0.3]])
    table = report_raters(coded(scores))
    assert table["levels"].to_pylist() == [2, 3]


def test_one_score_everywhere_has_no_entropy_and_no_range(coded: Callable[..., Any]) -> None:
    table = report_raters(coded(np.full((4, 2), 3.0)))
    assert table["levels"].to_pylist() == [1, 1]
    assert table["entropy"].to_pylist() == [None, None]
    assert table["range_used"].to_pylist() == [None, None]
