"""Moments by group are those of each group alone, whatever the order, the blocks and what does not count."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos._kernels import (
    ScatteredGroups,
    count_by_group,
    find_group_cycle,
    group_moments,
    is_ascending,
    row_blocks,
    scattered_moments,
    whole_group_blocks,
)

ORDERS = ["ascending", "scattered"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: Any) -> None:
    monkeypatch.setattr("mos._kernels._BLOCK_ROWS", 64)


def grouped(order: str, size: int, groups: int, seed: int = 0) -> np.ndarray:
    """Groups of about size / groups rows; some have none."""
    group = np.random.default_rng(seed).integers(0, groups, size)
    return np.sort(group) if order == "ascending" else group


def alone(values: np.ndarray, group: np.ndarray, groups: int) -> tuple[list[int], list[float], list[float]]:
    """n, mean and sum of squared deviations of each group, in rational numbers."""
    parts = [[Fraction(v) for v in values[group == g].tolist()] for g in range(groups)]
    means = [sum(part) / len(part) if part else Fraction(0) for part in parts]
    squares = [sum((v - mean) ** 2 for v in part) for part, mean in zip(parts, means, strict=True)]
    n = [len(part) for part in parts]
    return n, [float(m) if k else np.nan for m, k in zip(means, n, strict=True)], [float(s) for s in squares]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("groups", [1, 7, 20, 150, 900])
@pytest.mark.parametrize("share", [None, 1.0, 0.8, 0.0])
def test_as_each_group_alone(order: str, groups: int, share: float | None) -> None:
    random = np.random.default_rng(groups)
    group, values = grouped(order, 400, groups), random.normal(3, 1, 400).round(2)
    counted = None if share is None else random.random(400) < share
    rows = np.full(400, True) if counted is None else counted
    found = group_moments(np.where(rows, values, np.nan), group, groups, counted)
    n, mean, ss = alone(values[rows], group[rows], groups)
    assert found.n.tolist() == n
    np.testing.assert_allclose(found.mean, mean, rtol=1e-14)
    np.testing.assert_allclose(found.ss, ss, rtol=1e-12, atol=1e-25)
    for ddof in (0, 1):
        expected = [np.sqrt(s / (k - ddof)) if k > ddof else np.nan for s, k in zip(ss, n, strict=True)]
        np.testing.assert_allclose(found.sd(ddof), expected, rtol=1e-12, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-500, 500)), max_size=60), st.integers(0, 3))
def test_the_order_of_rows_changes_nothing(rows: list[tuple[int, int]], seed: int) -> None:
    group, values = np.array([g for g, _ in rows], np.int32), np.array([v / 100 for _, v in rows])
    order = np.random.default_rng(seed).permutation(len(rows))
    straight, shuffled = group_moments(values, group, 10), group_moments(values[order], group[order], 10)
    assert straight.n.tolist() == shuffled.n.tolist()
    np.testing.assert_allclose(shuffled.mean, straight.mean, rtol=0, atol=1e-13)
    np.testing.assert_allclose(shuffled.ss, straight.ss, rtol=1e-12, atol=1e-24)
    assert ((shuffled.ss == 0) == (straight.ss == 0)).all()


@pytest.mark.parametrize("size", [3, 9, 15, 40, 200])
def test_equal_ratings_have_equal_moments_to_the_last_bit_wherever_they_are(size: int) -> None:
    values = np.random.default_rng(size).normal(3, 1, size)
    found = group_moments(np.tile(values, 50), np.repeat(np.arange(50), size), 50)
    assert len(set(found.mean.tolist())) == 1
    assert len(set(found.ss.tolist())) == 1


@pytest.mark.parametrize("size", [1, 3, 15, 40])
def test_whether_other_groups_are_as_large_changes_no_bit(size: int) -> None:
    random = np.random.default_rng(size)
    values, group = random.normal(3, 1, 50 * size + 3), np.append(np.repeat(np.arange(50), size), [50] * 3)
    counted = random.random(len(values)) < 0.8
    equal = group_moments(values[:-3], group[:-3], 50, counted[:-3])
    unequal = group_moments(values, group, 51, counted)
    for one, other in zip(equal, unequal, strict=True):
        np.testing.assert_array_equal(one, other[:50])


@pytest.mark.parametrize("each", [[0, 1, 2], [3, 1, 0, 2], [0, 1, 1, 2], list(range(90)), list(range(45)) * 3, [0]])
@pytest.mark.parametrize("times", [1, 2, 7, 60])
def test_groups_that_recur_have_the_moments_of_groups_in_any_other_order(each: list[int], times: int) -> None:
    random = np.random.default_rng(times)
    group, groups = np.array(each * times, np.int32), max(each) + 2
    values, without = random.normal(3, 1, len(group)).round(2), np.flatnonzero(random.random(len(group)) < 0.2)
    deviations = np.empty(len(group))
    given = count_by_group(group, groups)
    found = scattered_moments(values, ScatteredGroups(group, groups), given, without, deviations)
    order = random.permutation(len(group))
    counted = np.isin(np.arange(len(group)), without, invert=True)
    expected = group_moments(values[order], group[order], groups, counted[order])
    assert given.tolist() == np.bincount(group, minlength=groups).tolist()
    assert found.n.tolist() == expected.n.tolist()
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-14)
    np.testing.assert_allclose(found.ss, expected.ss, rtol=1e-12, atol=1e-25)
    np.testing.assert_allclose(deviations, values - expected.mean[group], atol=1e-14)


@pytest.mark.parametrize(
    ("group", "rows"),
    [
        ([], 0),
        ([0], 0),
        ([0, 1, 2], 0),
        ([2, 0, 1] * 2, 3),
        ([2, 0, 1] * 100, 3),
        ([5, 5, 5], 1),
        ([0, 1, 0, 1, 0], 0),
        ([0, 1, 2] * 99 + [0, 2, 1], 0),
        ([0, 0, 1, 0, 0, 1], 0),
    ],
)
def test_after_how_many_rows_groups_recur(group: list[int], rows: int) -> None:
    """Of several rows of one group next to each other the cycle is not looked for."""
    assert find_group_cycle(np.array(group, np.int32)) == rows


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("value", [3.3, 0.1, -7.7, 0.0, 1e-9, 123456.789])
def test_equal_numbers_have_no_spread(order: str, value: float) -> None:
    group = grouped(order, 1000, 30)
    assert not group_moments(np.full(1000, value), group, 30).ss.any()


def test_deviations_are_of_every_row_from_the_mean_of_those_that_count() -> None:
    random = np.random.default_rng(3)
    group, values, without = random.integers(0, 5, 300), random.normal(0, 1, 300), np.arange(0, 300, 7)
    deviations = np.empty(300)
    found = scattered_moments(values, ScatteredGroups(group, 5), count_by_group(group, 5), without, deviations)
    counted = np.delete(np.arange(300), without)
    expected = [values[counted][group[counted] == g].mean() for g in range(5)]
    np.testing.assert_allclose(deviations, values - np.array(expected)[group], atol=1e-14)
    assert (found.n == count_by_group(group[counted], 5)).all()


def test_no_rows_and_no_groups() -> None:
    nothing = np.zeros(0)
    assert group_moments(nothing, np.zeros(0, np.int32), 0).n.tolist() == []
    found = group_moments(nothing, np.zeros(0, np.int32), 2)
    assert (found.n.tolist(), np.isnan(found.mean).tolist(), found.ss.tolist()) == ([0, 0], [True, True], [0.0, 0.0])


@pytest.mark.parametrize("groups", [1, 3, 40, 300])
def test_blocks_cover_every_row_once_and_cut_no_group(groups: int) -> None:
    group = grouped("ascending", 500, groups)
    cuts = [(rows.start, rows.stop) for rows in whole_group_blocks(group)]
    assert [start for start, _ in cuts] == [0, *(stop for _, stop in cuts[:-1])]
    assert cuts[-1][1] == 500
    assert all(group[stop - 1] < group[stop] for _, stop in cuts[:-1])
    assert [rows.start for rows in row_blocks(500, 200)] == [0, 200, 400]
    assert [rows.start for rows in row_blocks(500, 200, 150)] == [0, 300]


@given(st.lists(st.integers(0, 3), max_size=200))
def test_ascending_is_known_across_blocks(rows: list[int]) -> None:
    assert is_ascending(np.array(rows, np.int16)) == (rows == sorted(rows))
    assert is_ascending(np.array(sorted(rows), np.int16))
