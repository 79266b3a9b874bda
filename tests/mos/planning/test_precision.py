"""Raters for the width of an interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.errors import UserError
from mos.planning import MAX_RATERS, compute_half_width, raters_for_half_width


@pytest.mark.parametrize(("target", "raters"), [(0.5, 13), (0.4, 18), (0.3, 30), (0.2, 64)])
def test_raters_for_a_five_point_scale(target: float, raters: int) -> None:
    assert raters_for_half_width(0.8, target) == raters


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (4, 2.776), (14, 2.145), (29, 2.045)])
def test_half_width_has_the_printed_quantiles_of_t(freedom: int, quantile: float) -> None:
    assert compute_half_width(math.sqrt(freedom + 1), freedom + 1) == pytest.approx(quantile, abs=5e-4)


def test_half_width_is_that_of_statsmodels() -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    scores = np.random.default_rng(0).normal(3, 0.8, 15)
    low, high = DescrStatsW(scores).tconfint_mean(alpha=0.1)
    assert compute_half_width(float(scores.std(ddof=1)), 15, level=0.9) == pytest.approx((high - low) / 2, rel=1e-12)


@pytest.mark.parametrize("assurance", [None, 0.51, 0.8, 0.99])
@given(sd=st.floats(0.01, 100), raters=st.integers(2, 3000), level=st.floats(0.01, 0.999))
def test_raters_and_half_width_are_each_others_inverse(
    assurance: float | None, sd: float, raters: int, level: float
) -> None:
    assert raters_for_half_width(sd, compute_half_width(sd, raters, level, assurance), level, assurance) == raters


@pytest.mark.parametrize("raters", [5, 15, 40])
def test_an_assured_half_width_is_exceeded_as_rarely_as_promised(raters: int) -> None:
    sds = np.random.default_rng(raters).normal(0, 0.8, (40_000, raters)).std(axis=1, ddof=1)
    realised = compute_half_width(1, raters) * sds
    assert np.mean(realised <= compute_half_width(0.8, raters, assurance=0.9)) == pytest.approx(0.9, abs=0.006)


def test_assurance_costs_raters() -> None:
    needed = [raters_for_half_width(0.8, 0.3, assurance=assurance) for assurance in (None, 0.8, 0.9, 0.99)]
    assert needed == sorted(set(needed))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.8, 0), "half-width must be a positive number; got 0."),
        ((0.8, -0.1), "half-width must be a positive number; got -0.1."),
        ((0.8, math.nan), "half-width must be a positive number; got nan."),
        ((0, 0.3), "sd must be a positive number; got 0."),
        ((0.8, 0.3, 1), "level must be more than 0 and less than 1; got 1."),
        ((0.8, 0.3, 0.95, 1), "assurance must be more than 0.5 and less than 1; got 1."),
    ],
)
def test_impossible_targets(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(UserError) as error:
        raters_for_half_width(*arguments)
    assert str(error.value) == message


def test_a_target_that_no_study_reaches() -> None:
    assert raters_for_half_width(1, compute_half_width(1, MAX_RATERS)) == MAX_RATERS
    with pytest.raises(UserError, match=r"^A half-width of 0.001 .* is out of reach: 100,000 raters are not enough"):
        raters_for_half_width(1, 0.001)


@pytest.mark.parametrize("raters", [1, 0, 2.5])
def test_no_interval_with_fewer_than_two_raters(raters: int) -> None:
    with pytest.raises(UserError, match="raters must be a whole number, 2 or more"):
        compute_half_width(1, raters)
