"""Intraclass correlations of complete designs: published values and those of another package."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
import pytest

from mos.reliability.coefficient import Opinions, average_opinions
from mos.reliability.icc import (
    ALL_RATINGS_EQUAL,
    ICC_NAMES,
    ICC_TOO_FEW_ITEMS,
    ICC_TOO_FEW_RATERS,
    compute_iccs,
    compute_mean_squares,
    estimate_complete_iccs,
)

# P. E. Shrout, J. L. Fleiss, Intraclass correlations, Psychological Bulletin 86 (1979), tables 2 and 4.
SHROUT = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def complete(dense: np.ndarray) -> Opinions:
    return average_opinions(*np.nonzero(np.ones(dense.shape)), dense.ravel())


def peer(long: pd.DataFrame) -> pd.DataFrame:
    """pingouin's table by its names, not rounded."""
    rounding = pingouin.options["round.column.CI95"]
    pingouin.options["round.column.CI95"] = None
    try:
        with warnings.catch_warnings(action="ignore"):  # it calls pandas in ways that are going
            found = pingouin.intraclass_corr(long, targets="item", raters="rater", ratings="score")
    finally:
        pingouin.options["round.column.CI95"] = rounding
    return found.set_index("Type")


def frame(dense: np.ndarray) -> pd.DataFrame:
    item, rater = np.nonzero(np.ones(dense.shape))
    return pd.DataFrame({"item": item, "rater": rater, "score": dense.ravel()})


def assert_same(ours: Opinions, theirs: pd.DataFrame) -> None:
    found = estimate_complete_iccs(ours, 0.95)
    assert tuple(found) == ICC_NAMES == tuple(theirs.index)
    for name, value in found.items():
        assert value.value == pytest.approx(theirs.at[name, "ICC"], abs=1e-9)
        assert (value.ci_low, value.ci_high) == pytest.approx(tuple(theirs.at[name, "CI95"]), abs=1e-9)


def test_the_published_example() -> None:
    found = compute_iccs(compute_mean_squares(SHROUT))
    assert {name: round(value, 2) for name, value in found.items()} == {
        "ICC(1,1)": 0.17,
        "ICC(A,1)": 0.29,
        "ICC(C,1)": 0.71,
        "ICC(1,k)": 0.44,
        "ICC(A,k)": 0.62,
        "ICC(C,k)": 0.91,
    }


@pytest.mark.parametrize("shape", [(3, 2), (6, 4), (40, 3), (12, 15)])
@pytest.mark.parametrize("noise", [0.01, 0.7, 4])
def test_values_and_intervals_are_those_of_the_package(shape: tuple[int, int], noise: float) -> None:
    random = np.random.default_rng(shape[0])
    dense = random.normal(3, 1, (shape[0], 1)) + random.normal(0, 0.5, shape[1]) + random.normal(0, noise, shape)
    assert_same(complete(dense), peer(frame(dense)))


@pytest.mark.parametrize("name", ["nflx_public", "vqeg_hd3", "hdtv1", "vqeg_frtv1_525_line_high", "agh_ntia"])
def test_they_are_on_real_tables_too(real: Callable[[str], Path], name: str) -> None:
    table = pd.read_csv(real(f"{name}.csv")).rename(columns={"image_id": "item", "annotator_id": "rater"})
    item, rater = (pd.factorize(table[column], sort=True)[0] for column in ("item", "rater"))
    assert_same(average_opinions(item, rater, table["score"].to_numpy(float)), peer(table))


@pytest.mark.filterwarnings("error")
def test_perfect_agreement_is_one_with_an_interval_of_no_length() -> None:
    for value in estimate_complete_iccs(complete(np.repeat(np.arange(5.0)[:, None] / 3, 4, axis=1)), 0.95).values():
        assert (value.value, value.ci_low, value.ci_high, value.note) == (1, 1, 1, None)


@pytest.mark.filterwarnings("error")
def test_severity_alone_costs_agreement_and_not_consistency() -> None:
    found = estimate_complete_iccs(complete(np.arange(6.0)[:, None] + np.array([0, 1, 2.5])), 0.95)
    assert found["ICC(C,1)"].value == found["ICC(C,1)"].ci_low == 1
    assert found["ICC(A,1)"].value == pytest.approx(3.5 / (3.5 + 19 / 12))  # variances of items and of raters
    assert found["ICC(A,1)"].ci_low < found["ICC(A,1)"].value < found["ICC(A,1)"].ci_high < 1


@pytest.mark.filterwarnings("error")
def test_items_that_do_not_differ_leave_the_means_without_a_coefficient() -> None:
    found = estimate_complete_iccs(complete(np.array([[1.0, 5.0], [5.0, 1.0], [3.0, 3.0]])), 0.95)
    assert found["ICC(C,1)"].value == -1
    assert found["ICC(C,k)"].value is None
    assert found["ICC(C,k)"].note


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("dense", "reason"),
    [
        (np.full((4, 15), 3.3), ALL_RATINGS_EQUAL),
        (np.arange(6.0)[None], ICC_TOO_FEW_ITEMS),
        (np.arange(6.0)[:, None], ICC_TOO_FEW_RATERS),
        (np.zeros((0, 0)), ICC_TOO_FEW_ITEMS),
    ],
)
def test_where_nothing_can_be_said_the_reason_is_given(dense: np.ndarray, reason: str) -> None:
    for value in estimate_complete_iccs(complete(dense), 0.95).values():
        assert (value.value, value.ci_low, value.note) == (None, None, reason)
