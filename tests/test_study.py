"""The simulation study of docs/methods.md: its raters, its measures, and that the page says what it found."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from mos.methods import METHODS, score_ratings
from mos.table import validate_ratings

ROOT = Path(__file__).parents[1]
DOCS, STUDY = ROOT / "docs", ROOT / "examples/study"
PAGE = (DOCS / "methods.md").read_text(encoding="utf-8")
FOUND: dict[str, Any] = json.loads((STUDY / "study.json").read_text(encoding="utf-8"))
PLOTS = ("coverage", "screening", "recovery")
SOUND = ("mos", "bt500", "zscore", "paper")


def module(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(STUDY))
        return importlib.import_module(name)


study, page = module("study"), module("study_page")
TINY = study.Size(items=8, item_sets=2, large=60, studies=2, pool_studies=2, bootstrap_studies=2, resamples=100)


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    return study.study(TINY, lambda part: None)


@pytest.fixture
def panel() -> Any:
    return study.latent(study.qualities(40, 0), 12, np.random.default_rng(0))


@pytest.mark.parametrize("careless", list(dict(study.CARELESS)))
@pytest.mark.parametrize(("world", "steps"), [("likert", 1), ("slider", 100)])
def test_answers_are_on_the_scale_and_only_the_careless_differ(
    panel: Any, world: str, steps: int, careless: str
) -> None:
    found, honest = (study.answers(panel, world, kind, 3) for kind in (careless, "none"))
    assert found.min() >= 1
    assert found.max() <= 5
    np.testing.assert_allclose(found * steps, np.rint(found * steps), atol=1e-9)
    np.testing.assert_array_equal(found[:, 3:], honest[:, 3:])
    assert (careless == "none") == np.array_equal(found, honest)


def test_shuffled_raters_give_the_scores_that_they_would_have_given_to_other_items(panel: Any) -> None:
    shuffled, honest = (study.answers(panel, "likert", kind, 12) for kind in ("shuffled10", "none"))
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(honest, axis=0))


def test_random_answers_use_every_score_alike() -> None:
    panel = study.latent(study.qualities(1000, 0), 20, np.random.default_rng(1))
    found = study.answers(panel, "likert", "random10", 20)
    assert stats.chisquare(np.bincount(found.astype(int).ravel())[1:]).pvalue > 0.001


def test_raters_differ_as_described() -> None:
    quality = np.repeat([1.5, 4.5], 200)
    panel = study.latent(quality, 400, np.random.default_rng(2))
    low, high = panel.honest[:200].mean(axis=0), panel.honest[200:].mean(axis=0)
    use, bias = (high - low) / 3, (high + low) / 2 - 3
    inconsistency = panel.honest[:200].std(axis=0, ddof=1)
    assert use.mean() == pytest.approx(0.95, abs=0.02)
    assert bias.std() == pytest.approx(0.3, abs=0.04)
    np.testing.assert_allclose(np.quantile(inconsistency, [0.025, 0.5, 0.975]), [0.36, 0.65, 1.17], rtol=0.15)


def test_the_share_of_careless_raters_is_right_on_average() -> None:
    random = np.random.default_rng(3)
    drawn = [study.number_of_careless(0.3, 3, random) for _ in range(4000)]
    assert set(drawn) == {0, 1}
    assert np.mean(drawn) == pytest.approx(0.9, abs=0.02)
    assert {study.number_of_careless(0.2, 15, random) for _ in range(50)} == {3}
    assert {study.number_of_careless(0.3, 30, random) for _ in range(50)} == {9}


def test_ratings_are_coded_as_a_table_would_be() -> None:
    matrix = np.array([[1.0, np.nan, 5.0], [2.0, 4.0, np.nan]])
    item, rater = np.nonzero(~np.isnan(matrix))
    table = pa.table(
        {
            "item": [f"item{i:04d}" for i in item],
            "rater": [f"rater{r:04d}" for r in rater],
            "dimension": ["quality"] * len(item),
            "score": matrix[item, rater],
        }
    )
    expected, problems = validate_ratings(table, (1.0, 5.0))
    found = study.ratings(matrix)
    assert not problems
    assert found.items.equals(expected.items)
    assert found.raters.equals(expected.raters)
    assert found.scale == expected.scale
    for name in ("item", "rater", "dimension", "score", "index", "repetition"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_recovery_is_what_scipy_finds() -> None:
    random = np.random.default_rng(4)
    quality = random.uniform(1, 5, 30)
    scores = 10 * quality + random.normal(0, 8, 30)
    rmse, srcc, slope = study.recovery(np.append(scores, np.nan), np.append(quality, 3.0))
    line = stats.linregress(scores, quality)
    assert srcc == pytest.approx(stats.spearmanr(scores, quality).statistic)
    assert slope == pytest.approx(line.slope)
    assert rmse == pytest.approx(np.sqrt(np.mean((line.intercept + line.slope * scores - quality) ** 2)))


def test_an_affine_function_of_the_quality_is_perfect_and_a_constant_is_nothing() -> None:
    quality = np.linspace(1, 5, 9)
    assert study.recovery(100 - 7 * quality, quality) == pytest.approx((0, -1, -1 / 7))
    assert np.isnan(study.recovery(np.full(9, 3.0), quality)).all()


def test_coverage_counts_intervals_that_hold_the_truth() -> None:
    result = score_ratings(study.ratings(np.array([[1.0, 2, 3], [3, 4, 5], [2, 2, 5]])), "mos")
    mean, high = study.column(result, "mos"), study.column(result, "ci_high")
    assert study.coverage(result, mean)[:2] == (1, 1)
    assert study.coverage(result, high + 0.01)[0] == 0
    assert study.coverage(result, mean + 100)[:2] == (0, 1), "but for a shift of all scores, they are right"
    assert study.coverage(result, mean)[2] == pytest.approx((high - mean).mean())


def test_excluded_raters_are_counted_by_what_they_are() -> None:
    panel = study.latent(study.qualities(60, 0), 15, np.random.default_rng(5))
    careless = np.arange(15) < 3
    result = score_ratings(study.ratings(study.answers(panel, "likert", "random20", 3)), "correlation")
    excluded = np.array(result.raters["excluded"].to_pylist())
    found = study.measure(result, study.qualities(60, 0), study.column(result, "mos"), careless)
    assert found.found == excluded[:3].mean() == 1
    assert found.honest_excluded == pytest.approx(excluded[3:].mean())
    assert np.isnan(found.expected), "the correlation rule has no expectation by chance"


def test_a_cell_is_held_against_the_plain_mean_of_the_same_studies() -> None:
    figures = study.cell("slider", 5, "random20", study.PLAIN, TINY)
    assert list(figures) == list(METHODS)
    assert figures["mos"]["rmse_ratio"] == figures["mos"]["width_ratio"] == 1
    assert figures["mos"]["srcc_gain"] == 0
    assert figures["p913"]["rmse_ratio"] == pytest.approx(1), "where all rate all, taking bias out moves all alike"
    assert study.cell("slider", 5, "random20", {"p910": ("p910", {})}, TINY)["p910"] == figures["p910"]


@pytest.mark.parametrize(("design", "items"), [("pool_60", 60), ("pool_240", 240)])
def test_in_a_pool_each_item_has_fifteen_of_sixty_raters(design: str, items: int) -> None:
    quality, rated = study.POOLS[design](np.random.default_rng(6))
    assert rated.shape == (len(quality), 60) == (items, 60)
    assert set(rated.sum(axis=1)) == {15}
    assert set(rated.sum(axis=0)) == {items // 4}


def test_groups_share_no_item_and_differ_as_told() -> None:
    draws = [study.POOLS["groups_apart"](np.random.default_rng(seed)) for seed in range(200)]
    quality, rated = np.array([draw[0] for draw in draws]), draws[0][1]
    assert rated[:30, :15].all()
    assert rated[30:, 15:].all()
    assert rated.sum() == 60 * 15
    assert quality[:, 30:].mean() - quality[:, :30].mean() == pytest.approx(1, abs=0.05)
    assert 1.5 <= quality.min() < quality.max() <= 4.5


def shape(figures: Any) -> Any:
    return {key: shape(value) for key, value in figures.items()} if isinstance(figures, dict) else None


def test_the_study_is_the_same_every_time() -> None:
    def once() -> list[Any]:
        study.truth.cache_clear()
        cell = study.cell("likert", 5, "random30", study.PLAIN, TINY)
        return [cell, study.pooled("pool_60", "random20", TINY), study.bootstrapped(5, "none", "paper", TINY)]

    assert once() == once()


def test_study_json_has_every_part_of_the_study(tiny: dict[str, Any]) -> None:
    assert shape(json.loads(json.dumps(tiny))) == shape(FOUND)
    assert FOUND["settings"] == {"seed": study.SEED, **study.Size()._asdict()}


def test_study_json_is_what_the_methods_do_today() -> None:
    methods = {name: study.PLAIN[name] for name in ("mos", "paper")}
    again = study.cell("likert", 15, "random20", methods, study.Size())
    for name in methods:
        published = FOUND["complete"]["likert"]["15"]["random20"][name]
        assert again[name] == pytest.approx(published, abs=0.002, nan_ok=True), name


def test_the_page_says_what_was_found() -> None:
    assert page.written(PAGE, FOUND) == PAGE, "The study changed: run `python examples/study/study.py --page`."


def test_a_wrong_figure_would_be_noticed() -> None:
    assert page.QUOTED.sub(lambda quote: page._quoted(quote, {"a": {"b": 0.125}}), "7.1 %<!-- =a.b -->") == (
        "12.5 %<!-- =a.b -->"
    )
    assert page.QUOTED.sub(lambda quote: page._quoted(quote, {"a": {"b": 1.0461}}), "9.00<!-- =a.b -->") == (
        "1.05<!-- =a.b -->"
    )


def test_every_figure_of_the_results_says_where_it_is_from() -> None:
    results = PAGE.partition("## The simulation")[0]
    prose = [line for line in results.splitlines() if line.count("|") < 3 or "<!-- =" in line]
    figures = re.findall(r"\d+\.\d+(?: %)?(?!<!--)(?![\d.]| %)", re.sub(page.QUOTED, "", "\n".join(prose)))
    assert figures == []
    assert len(page.QUOTED.findall(results)) > 20


def test_what_the_page_says_of_many_figures_at_once_is_so() -> None:
    cells = FOUND["complete"]["likert"]
    drawn = [cell for size in cells.values() for cell in size.values()]
    beaten = [cell for cell in drawn if min(cell, key=lambda name: cell[name]["rmse"]) != "p910"]
    assert len(drawn) == 28
    assert len(beaten) == 1
    errors = [figures["coverage_se"] for cell in drawn for figures in cell.values()]
    assert max(errors) < 0.01
    careful = [abs(cells[n]["none"][name]["coverage"] - 0.95) for n in ("15", "30") for name in SOUND]
    assert max(careful) < 0.02


@pytest.mark.parametrize("name", PLOTS)
def test_plots_can_stand_alone_in_the_light_and_in_the_dark(name: str, tiny: dict[str, Any]) -> None:
    found = json.loads(json.dumps(tiny))
    drawn = page.standing_alone(page.figure_to_svg(getattr(page, name)(found), f"study-{name}"), f"study-{name}")
    published = (DOCS / "figures" / f"study-{name}.svg").read_text(encoding="utf-8")
    for picture in (drawn, published):
        assert ElementTree.fromstring(picture).get("id") == f"study-{name}"
        assert "prefers-color-scheme:dark" in picture
        assert set(re.findall(r"var\(--([\w-]+)", picture)) <= set(page.DARK)
    assert len(published) < 150_000
