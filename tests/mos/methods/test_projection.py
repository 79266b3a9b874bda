"""The published result of ITU-T P.910, Annex E, sureal's on every table at hand, and sense where these have none."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.csv as pacsv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mos.methods.p910 import AlternatingProjection, project_dimension, project_each_dimension
from mos.methods.p910_iteration import VARIANCE_EPSILON, VarianceGuard, fit_complete_design, fit_sparse_design
from mos.methods.p913 import estimate_rater_bias

Table = tuple[np.ndarray, np.ndarray, np.ndarray, int, int]  # score, item, rater, items, raters
COMPLETE = ("hdtv1.csv", "its4s2_images.csv", "its4s_agh.csv", "nflx_public.csv", "vqeg_hd3.csv")
CONTINUOUS = ("vqeg_frtv1_525_line_high.csv", "vqeg_frtv1_625_line_low.csv")
PARTIAL = ("agh_ntia.csv", "agh_quality_variation_2017.csv", "p910_demo_sample.csv")
WELL_BEHAVED = (*COMPLETE, *CONTINUOUS, *PARTIAL, "nflx_public_last4outliers.csv")
ESTIMATES = ("quality", "se_residual", "se_weights", "bias", "inconsistency")
anyones_seed = st.integers(0, 2**32 - 1)


def read(path: Path) -> Table:
    """All ratings of a table in its first dimension, repetitions as well."""
    table = pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(column_types={"annotator_id": "string"}))
    columns = {name: np.array(table[name].to_pylist()) for name in ("image_id", "annotator_id", "dimension", "score")}
    rows = columns["dimension"] == columns["dimension"][0]
    items, item = np.unique(columns["image_id"][rows], return_inverse=True)
    raters, rater = np.unique(columns["annotator_id"][rows], return_inverse=True)
    return columns["score"][rows].astype(float), item, rater, len(items), len(raters)


def long(matrix: np.ndarray) -> Table:
    """The ratings of a matrix [items, raters], none where it is NaN."""
    item, rater = np.nonzero(~np.isnan(matrix))
    return matrix[item, rater], item, rater, *matrix.shape


def study(seed: int, items: int, raters: int, spread: float = 0.35, share: float = 1.0) -> tuple[np.ndarray, Table]:
    """The qualities, and ratings of them by raters with standard deviations around 0.5 that spread by that much.

    share: of the ratings there are, but that the first two raters rated everything
    """
    random = np.random.default_rng(seed)
    quality = random.normal(3, 0.8, items)
    error = 0.5 * np.exp(random.normal(0, spread, raters)) * random.normal(size=(items, raters))
    matrix = quality[:, None] + random.normal(0, 0.3, raters) + error
    matrix[:, 2:][random.random((items, raters - 2)) >= share] = np.nan
    return quality, long(matrix)


def sureal_result(table: Table, model: str) -> dict[str, Any]:
    pytest.importorskip("sureal")
    from sureal import subjective_model
    from sureal.dataset_reader import RawDatasetReader

    score, item, rater, items, raters = table
    ratings: list[list[list[float]]] = [[[] for _ in range(raters)] for _ in range(items)]
    for x, j, i in zip(score.tolist(), item.tolist(), rater.tolist(), strict=True):
        ratings[j][i].append(x)
    most = max(len(cell) for row in ratings for cell in row)
    padded = [[cell + [float("nan")] * (most - len(cell)) for cell in row] for row in ratings]
    videos = [{"content_id": 0, "asset_id": a, "path": str(a), "os": row} for a, row in enumerate(padded)]
    reference = [{"content_id": 0, "content_name": "c", "path": "p"}]
    reader = RawDatasetReader(SimpleNamespace(dataset_name="d", ref_videos=reference, dis_videos=videos))
    with contextlib.redirect_stdout(io.StringIO()):
        return getattr(subjective_model, model)(reader).run_modeling()


def plainly(table: Table) -> dict[str, np.ndarray]:
    """P.910's iteration, one item and one rater at a time."""
    score, item, rater, items, raters = table
    of_item = [np.flatnonzero(item == j) for j in range(items)]
    of_rater = [np.flatnonzero(rater == i) for i in range(raters)]
    psi = np.array([score[rows].mean() for rows in of_item])
    delta = np.array([np.mean(score[rows] - psi[item[rows]]) for rows in of_rater])
    for _ in range(1000):
        error = score - psi[item] - delta[rater]
        upsilon = np.array([error[rows].std() for rows in of_rater])
        weight, unbiased, before = 1 / (upsilon**2 + 1e-8), score - delta[rater], psi
        psi = np.array([np.average(unbiased[rows], weights=weight[rater[rows]]) for rows in of_item])
        delta = np.array([np.mean(score[rows] - psi[item[rows]]) for rows in of_rater])
        if np.linalg.norm(psi - before) < 1e-8:
            break
    return {
        "quality": psi + delta.mean(),
        "bias": delta - delta.mean(),
        "inconsistency": upsilon,
        "se_residual": np.array([error[rows].std() / np.sqrt(len(rows)) for rows in of_item]),
        "se_weights": np.array([np.sum(upsilon[rater[rows]] ** -2.0) ** -0.5 for rows in of_item]),
    }


def alike(one: AlternatingProjection, other: AlternatingProjection, within: float = 1e-12) -> None:
    for name in ESTIMATES:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=within, err_msg=name)
    assert one.iterations == other.iterations
    np.testing.assert_array_equal(one.floored, other.floored)


class TestPublished:
    def test_the_published_vectors_of_p910(self, real: Callable[[str], Path]) -> None:
        published = json.loads(real("p910_demo_published.json").read_text())
        ours = project_dimension(*read(real("p910_demo_sample.csv")))
        keys = {"quality": "mos_j", "se_residual": "sos_j", "bias": "bias_i", "inconsistency": "inconsistency_i"}
        for name, key in keys.items():
            np.testing.assert_allclose(getattr(ours, name), published[key], rtol=0, atol=1e-12, err_msg=key)
        assert (ours.converged, ours.degenerate) == (True, False)

    def test_what_sureal_publishes_of_a_study_with_five_shuffled_raters(self, real: Callable[[str], Path]) -> None:
        """Its own tests of alternating projection, which hold to 8 places; the shuffles are those of numpy's seed 0."""
        score, item, rater, items, raters = read(real("nflx_public.csv"))
        matrix = np.empty((items, raters, 1))
        matrix[item, rater, 0] = score
        random = np.random.RandomState(0)
        for who in range(5):
            random.shuffle(matrix[:, who, :])
        ours = project_dimension(*long(matrix[:, :, 0]))
        assert ours.quality.mean() == pytest.approx(3.5447906523855877, abs=5e-9)
        assert ours.quality.var() == pytest.approx(1.3559834679453553, abs=5e-9)
        assert ours.bias.var() == pytest.approx(0.08903258562151985, abs=5e-9)
        assert ours.inconsistency.mean() == pytest.approx(0.8091663380211014, abs=5e-9)
        assert ours.inconsistency.var() == pytest.approx(0.21269010120806528, abs=5e-9)
        assert ours.bias_se.sum() == pytest.approx(2.3669964674034123, abs=5e-9)
        assert ours.se_weights.sum() == pytest.approx(9.592833401286343, abs=5e-9)
        assert ours.se_residual.sum() == pytest.approx(13.711486766043402, abs=5e-9)

    def test_what_sureal_publishes_of_the_maximum_likelihood(self, real: Callable[[str], Path]) -> None:
        """Its Newton solver stops at the same estimates, less exactly."""
        ours = project_dimension(*read(real("nflx_public.csv")))
        assert ours.quality.sum() == pytest.approx(280.0384615384633, abs=1e-9)
        assert ours.bias.var() == pytest.approx(0.0890325856211, abs=1e-9)
        assert ours.inconsistency.sum() == pytest.approx(15.681766163430936, abs=1e-5)

    def test_three_raters_of_three_items_collapse_as_in_sureal_and_do_not_with_the_guard(self) -> None:
        """Its data set with ratings as a dictionary: the published qualities are Tom's scores less a constant."""
        matrix = np.array([[4.0, 1, 3], [1, 3, 2], [1, 3, 4]])
        unguarded = project_dimension(*long(matrix), guard=False)
        assert unguarded.quality[0] == pytest.approx(2.444444460976023, abs=1e-6)
        assert unguarded.quality.var() == pytest.approx(0.6666666530952383, abs=1e-6)
        assert unguarded.inconsistency.sum() == pytest.approx(2.8802122896041467, abs=1e-6)
        assert np.ptp(unguarded.quality - matrix[:, 2]) < 1e-6
        assert not unguarded.degenerate
        guarded = project_dimension(*long(matrix))
        assert guarded.degenerate
        assert np.ptp(guarded.quality[:, None] - matrix, axis=0).min() > 0.5


class TestAgainstOthers:
    @pytest.mark.parametrize("name", [*WELL_BEHAVED, "dsg_tifa160_likert.csv", "imagenhub.csv"])
    def test_without_the_guard_it_is_sureals_p910(self, real: Callable[[str], Path], name: str) -> None:
        table = read(real(name))
        theirs = sureal_result(table, "SubjectMLEModelProjectionSolver2")
        ours = project_dimension(*table, guard=False)
        np.testing.assert_allclose(ours.quality, theirs["quality_scores"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours.se_residual, theirs["quality_scores_std"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours.bias, theirs["observer_bias"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours.bias_se, theirs["observer_bias_std"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours.bias_interval(0.95), theirs["observer_bias_ci95"][0], rtol=3e-6)
        np.testing.assert_allclose(ours.inconsistency, theirs["observer_inconsistency"], rtol=0, atol=1e-9)
        low, high = ours.inconsistency_interval(0.95)
        below, above = theirs["observer_inconsistency_ci95"]
        np.testing.assert_allclose(ours.inconsistency - low, below, rtol=0, atol=1e-9)
        np.testing.assert_allclose(high - ours.inconsistency, above, rtol=0, atol=1e-9)
        assert ours.iterations == theirs["num_iter"]

    @pytest.mark.parametrize("name", ["agh_quality_variation_2017.csv", "agh_ntia.csv", "vqeg_hd3.csv"])
    def test_the_other_standard_error_is_that_of_its_first_form(self, real: Callable[[str], Path], name: str) -> None:
        table = read(real(name))
        theirs = sureal_result(table, "SubjectMLEModelProjectionSolver")["quality_scores_std"]
        np.testing.assert_allclose(project_dimension(*table).se_weights, theirs, rtol=0, atol=1e-9)

    @settings(max_examples=10, deadline=None)
    @given(seed=anyones_seed, share=st.sampled_from([1.0, 0.6]))
    def test_it_is_what_the_formulas_say_one_item_and_rater_at_a_time(self, seed: int, share: float) -> None:
        table = study(seed, 12, 6, share=share)[1]
        ours = project_dimension(*table, guard=False)
        for name, expected in plainly(table).items():
            np.testing.assert_allclose(getattr(ours, name), expected, rtol=0, atol=1e-10, err_msg=name)

    @settings(max_examples=30, deadline=None)
    @given(seed=anyones_seed, raters=st.integers(2, 12), guarded=st.booleans())
    def test_covariances_alone_take_the_same_steps_as_all_ratings(self, seed: int, raters: int, guarded: bool) -> None:
        score, item, rater, items, _ = study(seed, 40, raters)[1]
        x = score - score.reshape(items, raters).mean(axis=1)[item]
        guard = VarianceGuard.of(np.full(raters, items), raters) if guarded else None
        complete, sparse = (
            fit_complete_design(x.reshape(items, raters), guard),
            fit_sparse_design(x, item, rater, guard),
        )
        np.testing.assert_allclose(complete.quality, sparse.quality, rtol=0, atol=1e-7)
        np.testing.assert_allclose(complete.before, sparse.before, rtol=0, atol=1e-7)
        assert complete.converged == sparse.converged

    def test_where_everyone_rated_everything_the_bias_is_p913s(self, real: Callable[[str], Path]) -> None:
        table = read(real("hdtv1.csv"))
        np.testing.assert_allclose(project_dimension(*table).bias, estimate_rater_bias(*table).bias, rtol=0, atol=1e-12)


class TestProperties:
    @settings(max_examples=30, deadline=None)
    @given(seed=anyones_seed, share=st.sampled_from([1.0, 0.7]))
    def test_rows_items_and_raters_may_come_in_any_order(self, seed: int, share: float) -> None:
        score, item, rater, items, raters = study(seed, 60, 15, share=share)[1]
        random = np.random.default_rng(seed)
        ours, rows = project_dimension(score, item, rater, items, raters), random.permutation(len(score))
        alike(ours, project_dimension(score[rows], item[rows], rater[rows], items, raters), within=0)
        j, i = random.permutation(items), random.permutation(raters)
        other = project_dimension(score[rows], j[item[rows]], i[rater[rows]], items, raters)
        np.testing.assert_allclose(other.quality[j], ours.quality, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.inconsistency[i], ours.inconsistency, rtol=0, atol=1e-9)

    @settings(max_examples=30, deadline=None)
    @given(seed=anyones_seed, by=st.floats(-50, 50), share=st.sampled_from([1.0, 0.7]))
    def test_a_shift_of_all_scores_shifts_the_quality_and_nothing_else(
        self, seed: int, by: float, share: float
    ) -> None:
        score, *codes = study(seed, 60, 15, share=share)[1]
        ours, other = project_dimension(score, *codes), project_dimension(score + by, *codes)
        np.testing.assert_allclose(other.quality - by, ours.quality, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.bias, ours.bias, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.inconsistency, ours.inconsistency, rtol=0, atol=1e-9)

    @settings(max_examples=30, deadline=None)
    @given(seed=anyones_seed, factor=st.floats(0.5, 100))
    def test_another_unit_of_the_scores_is_another_unit_of_everything(self, seed: int, factor: float) -> None:
        """But for the constants of the method, 1e-8 in the weights and in the rule that ends it."""
        score, *codes = study(seed, 60, 15)[1]
        ours, other = project_dimension(score, *codes), project_dimension(factor * score, *codes)
        for name in ESTIMATES:
            np.testing.assert_allclose(getattr(other, name) / factor, getattr(ours, name), rtol=0, atol=1e-5)

    @settings(max_examples=20, deadline=None)
    @given(seed=anyones_seed, by=st.floats(-5, 5))
    def test_a_raters_own_bias_is_that_raters_alone(self, seed: int, by: float) -> None:
        score, item, rater, items, raters = study(seed, 60, 15)[1]
        ours, other = (project_dimension(x, item, rater, items, raters) for x in (score, score + by * (rater == 4)))
        np.testing.assert_allclose(np.diff(other.quality - ours.quality), 0, atol=1e-9)
        expected = ours.bias + by * (np.arange(raters) == 4)
        np.testing.assert_allclose(other.bias, expected - expected.mean(), rtol=0, atol=1e-9)

    def test_each_dimension_is_projected_as_if_it_were_alone(self) -> None:
        tables = [study(seed, 40, 8, share=share)[1] for seed, share in ((1, 1.0), (2, 0.6), (3, 1.0))]
        columns = [np.concatenate(column) for column in zip(*(table[:3] for table in tables), strict=True)]
        dimension = np.repeat(np.arange(3), [len(table[0]) for table in tables])
        order = np.lexsort((columns[2], dimension, columns[1]))
        score, item, rater = (column[order] for column in columns)
        together = project_each_dimension(score, item, rater, dimension[order], (40, 8, 4))
        for alone, one in zip(tables, together[:3], strict=True):
            alike(project_dimension(*alone), one, within=0)
        assert np.isnan(together[3].quality).all()


class TestGuard:
    @pytest.mark.parametrize("name", WELL_BEHAVED)
    def test_it_changes_nothing_where_nobody_takes_over(self, real: Callable[[str], Path], name: str) -> None:
        table = read(real(name))
        guarded = project_dimension(*table)
        alike(guarded, project_dimension(*table, guard=False), within=0)
        assert not guarded.degenerate

    @pytest.mark.parametrize("raters", [3, 4, 5, 8, 15])
    @pytest.mark.parametrize("spread", [0.0, 0.35])
    def test_it_comes_nearer_to_the_truth_than_the_iteration_alone(self, raters: int, spread: float) -> None:
        """And with raters who differ nearer than the plain mean; with raters alike, hardly farther off."""
        errors = {"mean": 0.0, "guarded": 0.0, "unguarded": 0.0}
        for seed in range(40):
            truth, table = study(seed, 60, raters, spread)
            estimates = {
                "mean": table[0].reshape(60, raters).mean(axis=1),
                "guarded": project_dimension(*table).quality,
                "unguarded": project_dimension(*table, guard=False).quality,
            }
            for name, estimate in estimates.items():
                errors[name] += float(np.var(estimate - truth))
        assert errors["guarded"] <= errors["unguarded"] * (1 + 1e-9)
        assert errors["guarded"] < errors["mean"] * (1 if spread else 1.2)

    @settings(max_examples=40, deadline=None)
    @given(seed=anyones_seed, raters=st.sampled_from([3, 5, 7]))
    def test_no_rater_gets_more_than_a_third_beside_raters_of_median_inconsistency(
        self, seed: int, raters: int
    ) -> None:
        table = study(seed, 30, raters)[1]
        found = project_dimension(*table)
        weight = 1 / (found.inconsistency**2 + VARIANCE_EPSILON)
        assert weight.max() * np.median(found.inconsistency) ** 2 <= (raters - 1) / 2 * (1 + 1e-9)
        assert np.std(found.quality[:, None] - table[0].reshape(30, raters), axis=0).min() > 0.02  # nobody's own scores

    def test_without_it_one_rater_of_three_becomes_the_truth(self) -> None:
        score, item, rater, items, raters = study(0, 60, 3, 0.0)[1]
        found = project_dimension(score, item, rater, items, raters, guard=False)
        taken = int(found.inconsistency.argmin())
        assert max(found.inconsistency[taken], np.std(found.quality - score[rater == taken])) < 1e-6
        held = project_dimension(score, item, rater, items, raters)
        assert (held.floored[taken], held.degenerate) == (True, True)
        assert held.inconsistency.min() > 0.2

    def test_a_rater_with_two_ratings_gets_the_inconsistency_of_the_others(self) -> None:
        matrix = study(3, 30, 9)[1][0].reshape(30, 9)
        matrix[2:, 8] = np.nan
        found = project_dimension(*long(matrix))
        np.testing.assert_array_equal(found.pooled, np.arange(9) == 8)
        assert found.inconsistency[8] == pytest.approx(np.sqrt(np.mean(found.inconsistency[:8] ** 2)))
        for end in found.inconsistency_interval(0.95):
            np.testing.assert_array_equal(np.isnan(end), found.pooled | found.floored)
        # P.910 to the letter takes a single rating for a rater without error, and the item's quality from it alone.
        matrix[1, 8] = np.nan
        assert project_dimension(*long(matrix), guard=False).inconsistency[8] == 0
        assert project_dimension(*long(matrix)).inconsistency[8] > 0.1

    @pytest.mark.parametrize(("number", "pooled"), [(2, True), (3, False)])
    def test_the_third_rating_makes_an_inconsistency_ones_own(self, number: int, pooled: bool) -> None:
        matrix = study(3, 30, 9)[1][0].reshape(30, 9)
        matrix[number:, 8] = np.nan
        assert project_dimension(*long(matrix)).pooled[8] == pooled


@pytest.mark.filterwarnings("error")
class TestEdges:
    def finite(
        self, found: AlternatingProjection, but_items: tuple[int, ...] = (), but_raters: tuple[int, ...] = ()
    ) -> None:
        for name, unknown in (("quality", but_items), ("se_weights", but_items), ("bias", but_raters)):
            assert np.flatnonzero(np.isnan(getattr(found, name))).tolist() == list(unknown), name
        assert np.flatnonzero(np.isnan(found.inconsistency)).tolist() == list(but_raters)

    @pytest.mark.parametrize("guard", [True, False])
    @pytest.mark.parametrize("raters", [4, 12])
    def test_items_and_raters_without_ratings_are_unknown_and_change_nothing(self, guard: bool, raters: int) -> None:
        score, item, rater, items, _ = study(5, 10, raters)[1]
        found = project_dimension(score, item + (item >= 3), rater + (rater >= 2), items + 1, raters + 1, guard=guard)
        self.finite(found, but_items=(3,), but_raters=(2,))
        alone = project_dimension(score, item, rater, items, raters, guard=guard)
        np.testing.assert_array_equal(np.delete(found.quality, 3), alone.quality)
        np.testing.assert_array_equal(np.delete(found.inconsistency, 2), alone.inconsistency)
        assert (found.floored[2], found.pooled[2], found.ratings[2]) == (False, False, 0)
        assert np.isnan(found.bias_se[2])
        assert np.isnan(found.inconsistency_interval(0.95)[0][2])

    @pytest.mark.parametrize("guard", [True, False])
    def test_a_constant_rater_is_inconsistent_and_the_others_are_as_without(self, guard: bool) -> None:
        matrix = study(2, 100, 15, 0.1)[1][0].reshape(100, 15)
        without = project_dimension(*long(matrix), guard=guard)
        found = project_dimension(*long(np.column_stack([matrix, np.full(100, 3.3)])), guard=guard)
        self.finite(found)
        assert found.inconsistency.argmax() == 15
        np.testing.assert_allclose(found.inconsistency[:15], without.inconsistency, rtol=0.2)
        assert np.corrcoef(found.quality, without.quality)[0, 1] > 0.99

    @pytest.mark.parametrize("value", [0.0, 3.3])
    @pytest.mark.parametrize("guard", [True, False])
    def test_all_scores_equal(self, value: float, guard: bool) -> None:
        found = project_dimension(*long(np.full((20, 7), value)), guard=guard)
        self.finite(found)
        np.testing.assert_allclose(found.quality, value, rtol=1e-15)
        np.testing.assert_allclose(found.inconsistency, 0, atol=1e-14)
        assert (found.converged, found.degenerate) == (True, False)

    def test_raters_who_differ_in_bias_only(self) -> None:
        matrix = np.arange(20.0)[:, None] / 5 + np.array([-0.3, 0.1, 0.2])
        found = project_dimension(*long(matrix))
        self.finite(found)
        np.testing.assert_allclose(found.bias, [-0.3, 0.1, 0.2], atol=1e-12)
        np.testing.assert_allclose(found.quality, np.arange(20) / 5, atol=1e-12)
        assert not found.degenerate

    @pytest.mark.parametrize("guard", [True, False])
    def test_an_item_with_one_rating_has_a_quality_but_no_spread(self, guard: bool) -> None:
        matrix = study(4, 30, 6)[1][0].reshape(30, 6)
        matrix[7, 1:] = np.nan
        found = project_dimension(*long(matrix), guard=guard)
        self.finite(found)
        assert found.quality[7] == pytest.approx(matrix[7, 0] - found.bias[0])
        assert np.flatnonzero(np.isnan(found.se_residual)).tolist() == [7]
        assert found.se_weights[7] == pytest.approx(found.inconsistency[0])

    def test_groups_without_a_common_rating_keep_the_difference_of_their_means(self) -> None:
        one, other = (study(seed, 25, 8, 0.0)[1][0].reshape(25, 8) for seed in (1, 2))
        matrix = np.full((50, 16), np.nan)
        matrix[:25, :8], matrix[25:, 8:] = one, other + 1
        found = project_dimension(*long(matrix))
        self.finite(found)
        assert found.converged
        difference = found.quality[25:].mean() - found.quality[:25].mean()
        assert difference == pytest.approx(other.mean() + 1 - one.mean(), abs=1e-6)

    @pytest.mark.parametrize("shape", [(1, 1), (5, 1), (1, 5), (2, 2), (5, 2)])
    def test_hardly_any_ratings(self, shape: tuple[int, int]) -> None:
        for guard in (True, False):
            self.finite(project_dimension(*long(np.random.default_rng(0).normal(3, 1, shape)), guard=guard))

    def test_no_ratings_at_all(self) -> None:
        found = project_dimension(*long(np.full((2, 3), np.nan)))
        self.finite(found, but_items=(0, 1), but_raters=(0, 1, 2))
        assert (found.iterations, found.converged, found.degenerate) == (0, True, False)
