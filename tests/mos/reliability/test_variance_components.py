"""Variance components: the analysis of variance where it applies, unbiased where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.reliability.coefficient import ItemBootstrap, Opinions, average_opinions
from mos.reliability.icc import (
    ICC_NAMES,
    NOT_CROSSED,
    VarianceComponents,
    compute_mean_squares,
    estimate_complete_iccs,
    estimate_random_effects,
    estimate_variance_components,
)

FEW = ItemBootstrap(50)


def of(matrix: np.ndarray) -> Opinions:
    """Opinions of a matrix [items, raters]; NaN where there is none."""
    item, rater = np.nonzero(~np.isnan(matrix))
    return average_opinions(item, rater, matrix[item, rater])


def simulated(
    items: int, raters: int, missing: float, seed: int, sds: tuple[float, float, float] = (1, 0.5, 0.8)
) -> np.ndarray:
    random = np.random.default_rng(seed)
    item, rater = random.normal(3, sds[0], (items, 1)), random.normal(0, sds[1], raters)
    matrix = item + rater + random.normal(0, sds[2], (items, raters))
    matrix[random.random(matrix.shape) < missing] = np.nan
    return matrix


def by_matrices(found: Opinions) -> tuple[float, float, float]:
    """Henderson's method III with projection matrices: quadratic forms set equal to their expectations."""
    y = found.score
    z_item, z_rater = np.eye(found.items)[found.item], np.eye(found.raters)[found.rater]

    def projection(design: np.ndarray) -> np.ndarray:
        return design @ np.linalg.pinv(design)

    both = projection(np.hstack([z_item, z_rater]))
    forms = [np.eye(len(y)) - both, both - projection(z_item), both - projection(z_rater)]
    parts = (z_item @ z_item.T, z_rater @ z_rater.T, np.eye(len(y)))
    expected = [[np.trace(form @ part) for part in parts] for form in forms]
    return tuple(np.linalg.solve(expected, [y @ form @ y for form in forms]))


@pytest.mark.parametrize("shape", [(2, 2), (5, 3), (40, 15), (3, 60)])
def test_on_a_complete_design_they_are_those_of_the_analysis_of_variance(shape: tuple[int, int]) -> None:
    dense = simulated(*shape, missing=0, seed=1)
    squares = compute_mean_squares(dense)
    n, k = shape
    expected = ((squares.items - squares.error) / k, (squares.raters - squares.error) / n, squares.error)
    assert estimate_variance_components(of(dense))[:3] == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("shape", [(6, 4), (40, 15)])
def test_on_a_complete_design_the_coefficients_are_the_same(shape: tuple[int, int]) -> None:
    dense = simulated(*shape, missing=0, seed=2)
    general, special = estimate_random_effects(of(dense), FEW), estimate_complete_iccs(of(dense), 0.95)
    for name in ICC_NAMES:
        assert general[name].value == pytest.approx(special[name].value, abs=1e-12)


@pytest.mark.parametrize(("items", "raters", "missing"), [(8, 5, 0.3), (20, 6, 0.5), (9, 30, 0.6), (40, 12, 0.75)])
def test_on_a_partial_design_they_are_those_of_projection_matrices(items: int, raters: int, missing: float) -> None:
    found = of(simulated(items, raters, missing, seed=items))
    assert estimate_variance_components(found)[:3] == pytest.approx(by_matrices(found), rel=1e-9)


def test_unconnected_parts_are_judged_within() -> None:
    matrix = np.full((20, 8), np.nan)
    matrix[:12, :3], matrix[12:, 3:] = simulated(12, 3, 0, seed=3), simulated(8, 5, 0, seed=4)
    value = estimate_variance_components(of(matrix))
    assert value.parts == 2
    assert value[:3] == pytest.approx(by_matrices(of(matrix)), rel=1e-9)
    matrix[:12] += 100  # better items for the first raters, or milder raters: nobody can tell
    assert estimate_variance_components(of(matrix))[:3] == pytest.approx(value[:3], rel=1e-9)
    assert "2 unconnected parts" in estimate_random_effects(of(matrix), FEW)["ICC(A,1)"].note


def test_a_chain_of_raters_is_solved_to_the_end() -> None:
    items = 160
    matrix = np.full((items, items // 2 + 1), np.nan)
    for item, scores in enumerate(np.random.default_rng(0).normal(3, 1, (items, 2))):
        matrix[item, [item // 2, item // 2 + 1]] = scores  # two raters an item; each shares two items with the next
    found = of(matrix)
    assert estimate_variance_components(found)[:3] == pytest.approx(by_matrices(found), rel=1e-8)


def test_they_are_the_likelihood_estimates_of_a_complete_design() -> None:
    import pandas as pd
    import statsmodels.api as sm

    dense = simulated(12, 6, missing=0, seed=8)
    item, rater = np.nonzero(np.ones(dense.shape))
    frame = pd.DataFrame({"score": dense.ravel(), "item": item, "rater": rater, "all": 1})
    effects = {"item": "0 + C(item)", "rater": "0 + C(rater)"}
    model = sm.MixedLM.from_formula("score ~ 1", frame, groups="all", vc_formula=effects, re_formula="0")
    fit = model.fit(reml=True)
    named = dict(zip(model.exog_vc.names, fit.vcomp, strict=True))
    value = estimate_variance_components(of(dense))
    assert (value.item, value.rater, value.residual) == pytest.approx(
        (named["item"], named["rater"], fit.scale), rel=1e-3
    )


@pytest.mark.parametrize(("items", "raters", "missing"), [(60, 10, 0.5), (200, 40, 0.9)])
def test_on_average_they_are_the_true_ones(items: int, raters: int, missing: float) -> None:
    runs = [estimate_variance_components(of(simulated(items, raters, missing, seed)))[:3] for seed in range(300)]
    mean, error = np.mean(runs, axis=0), np.std(runs, axis=0) / np.sqrt(len(runs))
    assert (np.abs(mean - [1, 0.25, 0.64]) < 4 * error).all()


def test_raters_who_were_given_the_better_items_are_not_taken_for_mild() -> None:
    random = np.random.default_rng(9)
    quality = np.sort(random.normal(3, 1, 600))
    matrix = quality[:, None] + random.normal(0, 0.01, (600, 20))
    rank = np.arange(600)[:, None] / 30
    matrix[np.abs(rank - np.arange(20)) > 2] = np.nan  # each rater saw items of nearly the same quality
    assert np.sqrt(max(estimate_variance_components(of(matrix)).rater, 0)) < 0.02


def resampled_values(matrix: np.ndarray, resampling: ItemBootstrap) -> list[VarianceComponents]:
    weights = np.concatenate(list(resampling.weights(len(matrix)))).astype(int)
    return [estimate_variance_components(of(np.repeat(matrix, row, axis=0))) for row in weights]


@pytest.mark.parametrize("missing", [0, 0.5])
def test_the_intervals_are_those_of_resampled_tables_to_first_order(missing: float) -> None:
    matrix = simulated(300, 8, missing, seed=11)
    resampling = ItemBootstrap(400, seed=2)
    found = estimate_random_effects(of(matrix), resampling)
    drawn = np.sqrt(np.array([value[:3] for value in resampled_values(matrix, resampling)]))
    for name, values in zip(("item_sd", "rater_sd", "residual_sd"), drawn.T, strict=True):
        low, high = np.quantile(values, [0.025, 0.975])
        assert (found[name].ci_low, found[name].ci_high) == pytest.approx((low, high), abs=0.12 * (high - low))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    hits = 0
    for seed in range(200):
        # Severity 0: a resample of items says nothing of other raters.
        found = estimate_random_effects(of(simulated(500, 30, 0.8, seed, sds=(1, 0, 1))), ItemBootstrap(200))[
            "ICC(C,1)"
        ]
        hits += found.ci_low <= 0.5 <= found.ci_high
    assert 0.91 <= hits / 200 <= 0.98


def test_one_way_of_unequal_groups_is_the_analysis_of_variance_with_n0() -> None:
    groups = [np.array([1.0, 2, 4]), np.array([5.0, 5.5]), np.array([2.0, 3, 3, 1]), np.array([4.0])]
    n = np.array([len(g) for g in groups])
    every = np.concatenate(groups)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n.sum() - 4)
    between = sum(len(g) * (g.mean() - every.mean()) ** 2 for g in groups) / 3
    variance = (between - within) / ((n.sum() - (n**2).sum() / n.sum()) / 3)
    found = estimate_random_effects(average_opinions(np.repeat(np.arange(4), n), np.arange(n.sum()), every), FEW)
    assert found["ICC(1,1)"].value == pytest.approx(variance / (variance + within))
    k = 4 / (1 / n).sum()
    assert found["ICC(1,k)"].value == pytest.approx(variance / (variance + within / k))
    # Every rating is by a rater of its own: severity and noise cannot be told apart.
    assert (found["ICC(A,1)"].value, found["ICC(A,1)"].note) == (None, NOT_CROSSED)
    assert found["rater_sd"].note == NOT_CROSSED


@pytest.mark.filterwarnings("error")
def test_a_negative_variance_is_reported_as_zero_with_a_note() -> None:
    matrix = np.array([[1.0, 2], [2, 1], [1, 2], [2, 1]]) + np.arange(4)[:, None]
    found = estimate_random_effects(of(matrix), FEW)["rater_sd"]
    assert found.value == 0
    assert "negative" in found.note


@pytest.mark.filterwarnings("error")
def test_a_perfect_partial_table_is_perfect() -> None:
    matrix = np.arange(30.0)[:, None] / 3 + np.array([0, 0.1, 0.7, 0.2])
    matrix[np.arange(30), np.arange(30) % 4] = np.nan
    found = estimate_random_effects(of(matrix), FEW)
    assert found["ICC(C,1)"].value == found["ICC(C,k)"].ci_low == pytest.approx(1)
    assert found["residual_sd"].value == pytest.approx(0, abs=1e-6)


@pytest.mark.filterwarnings("error")
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)),
        unique_by=lambda row: row[:2],
        max_size=16,
    )
)
def test_no_table_makes_it_fail(rows: list[tuple[int, int, int]]) -> None:
    item, rater, score = (np.array([row[c] for row in rows], dtype=kind) for c, kind in enumerate((int, int, float)))
    for value in estimate_random_effects(average_opinions(item, rater, score), ItemBootstrap(20)).values():
        assert (value.value is None) <= (value.note is not None)
        assert value.value is None or np.isfinite(value.value)
