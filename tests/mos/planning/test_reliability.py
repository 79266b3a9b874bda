"""Spearman and Brown, both ways."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.errors import UserError
from mos.planning import MAX_RATERS, compute_reliability, compute_single_reliability, raters_for_reliability


def test_fifteen_raters_of_an_ordinary_study() -> None:
    assert compute_reliability(0.57, 15) == pytest.approx(0.952, abs=5e-4)
    assert compute_single_reliability(0.952, 15) == pytest.approx(0.57, abs=5e-3)
    assert raters_for_reliability(0.57, 0.95) == 15


@given(single=st.floats(1e-6, 1 - 1e-6), raters=st.integers(1, 10_000))
def test_from_one_rater_to_many_and_back(single: float, raters: int) -> None:
    assert compute_single_reliability(compute_reliability(single, raters), raters) == pytest.approx(single, rel=1e-6)


@given(single=st.integers(1, 99), raters=st.integers(1, 300), other=st.integers(1, 300))
def test_reliability_of_raters_of_raters(single: int, raters: int, other: int) -> None:
    """The mean of `other` means of `raters` is the mean of them all."""
    nested = compute_reliability(compute_reliability(single / 100, raters), other)
    assert compute_reliability(single / 100, raters * other) == pytest.approx(nested, rel=1e-12)


@given(single=st.integers(10, 999), target=st.integers(1, 999))  # so that 100,000 raters are always enough
def test_fewest_raters_in_exact_arithmetic(single: int, target: int) -> None:
    one, wanted = Fraction(single, 1000), Fraction(target, 1000)
    raters = raters_for_reliability(single / 1000, target / 1000)

    def reached(n: int) -> bool:
        return n * one / (1 + (n - 1) * one) >= wanted

    assert reached(raters) and (raters == 1 or not reached(raters - 1))


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # pingouin 0.7 under pandas 3
def test_intraclass_correlations_of_one_and_of_all_raters() -> None:
    """ICC(C,k) is ICC(C,1) stepped up: Shrout and Fleiss' (1979) judges, as pingouin computes them."""
    import pandas as pd
    import pingouin

    scores = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    rows = [(i, r, s) for i, row in enumerate(scores) for r, s in enumerate(row)]
    table = pingouin.intraclass_corr(pd.DataFrame(rows, columns=["i", "r", "s"]), "i", "r", "s").set_index("Type")
    for single, mean in (("ICC(C,1)", "ICC(C,k)"), ("ICC(A,1)", "ICC(A,k)")):
        assert compute_reliability(float(table["ICC"][single]), 4) == pytest.approx(float(table["ICC"][mean]), rel=1e-9)


@pytest.mark.parametrize("single", [0, -0.2, 1, math.nan])
def test_raters_who_do_not_agree_or_always_do(single: float) -> None:
    message = f"single-rater reliability must be more than 0 and less than 1; got {single}."
    for call in (lambda: compute_reliability(single, 3), lambda: raters_for_reliability(single, 0.9)):
        with pytest.raises(UserError) as error:
            call()
        assert str(error.value) == message


@pytest.mark.parametrize("target", [1, 0, 1.5])
def test_no_number_of_raters_is_perfectly_reliable(target: float) -> None:
    with pytest.raises(UserError, match=f"^reliability must be more than 0 and less than 1; got {target}.$"):
        raters_for_reliability(0.5, target)
    with pytest.raises(UserError, match=r"^reliability must be"):
        compute_single_reliability(target, 3)


def test_a_target_that_no_study_reaches() -> None:
    assert raters_for_reliability(0.00001, 0.4) < MAX_RATERS
    with pytest.raises(UserError, match=r"^A reliability of 0.9 with a .* of 1e-05 is out of reach: 100,000 raters"):
        raters_for_reliability(0.00001, 0.9)
