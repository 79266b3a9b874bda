"""What numbers of raters give, side by side."""

from __future__ import annotations

import pytest

from mos.errors import UserError
from mos.planning import (
    ItemComparison,
    compute_half_width,
    compute_power,
    compute_reliability,
    find_detectable_difference,
    tabulate_plan,
)

COMPARISON = ItemComparison(0.9, comparisons=10)


def test_every_row_is_what_the_functions_say() -> None:
    plan = tabulate_plan([30, 5], 0.8, COMPARISON, difference=0.5, single=0.4, level=0.9, target=0.7)
    assert plan.to_pylist() == [
        {
            "raters": raters,
            "half_width": compute_half_width(0.8, raters, 0.9),
            "detectable_difference": find_detectable_difference(COMPARISON, raters, 0.7),
            "power": compute_power(COMPARISON, 0.5, raters),
            "reliability": compute_reliability(0.4, raters),
        }
        for raters in (30, 5)
    ]


def test_what_is_not_asked_for_is_null() -> None:
    (row,) = tabulate_plan([5], 0.8, COMPARISON).to_pylist()
    assert row["power"] is None and row["reliability"] is None
    assert row["half_width"] > 0


def test_no_rows() -> None:
    empty, some = tabulate_plan([], 0.8, COMPARISON), tabulate_plan([5], 0.8, COMPARISON)
    assert len(empty) == 0 and empty.schema == some.schema


def test_a_count_that_is_too_small() -> None:
    with pytest.raises(UserError, match="raters must be a whole number, 2 or more; got 1"):
        tabulate_plan([5, 1], 0.8, COMPARISON)
