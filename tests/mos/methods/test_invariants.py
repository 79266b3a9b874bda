"""What no method may depend on: the order of rows, names, the unit of the scale, rounding, other dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mos.methods import METHODS, score_ratings
from mos.scoring.estimate import RATING_STATUSES
from mos.scoring.result import ScoringResult
from mos.table import validate_ratings

LITERAL = {"ddof": 0, "zero_variance": "literal", "denominator": "all", "exclusion_scope": "pooled"}
BY_DIMENSION: list[tuple[str, dict[str, Any]]] = [
    ("paper", {"exclusion_scope": "dimension", "max_passes": 3, "strict": False, "outlier_ddof": 0}),
    ("mos", {}),
    ("zscore", {}),
    ("bt500", {}),
    ("bt500", {**LITERAL, "exclusion_scope": "dimension"}),
    ("correlation", {}),
    ("correlation", {"statistic": "min", "leave_one_out": True}),
    ("p913", {}),
    ("p913", {"screening": "bt500", "ddof": 0}),
    ("p910", {}),
]
VARIANTS = [
    *BY_DIMENSION,
    ("paper", {}),
    ("paper", {"outlier_by": "rater", "normalise_scope": "pooled", "reflag_after_exclusion": True}),
    ("paper", {"outlier_sigma": "1.5", "moments_from": "all", "max_outlier_share": "0.2"}),
    ("zscore", {"normalise_scope": "pooled", "on_constant": "zero"}),
    ("bt500", LITERAL),
    ("p910", {"standard_error": "weights"}),
]


def named(value: str | dict[str, Any]) -> str:
    return value if isinstance(value, str) else "-".join(value) or "usual"


variants = pytest.mark.parametrize(("method", "options"), VARIANTS, ids=named)
FIGURES = ("mos", "sd", "se", "ci_low", "ci_high")


class Study(NamedTuple):
    """Rows of a table; score: [rows] whole numbers, tenths of a point."""

    item: np.ndarray
    rater: np.ndarray
    dimension: np.ndarray
    repetition: np.ndarray
    score: np.ndarray


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """Small partial designs with careless and constant raters, ties, and now and then repetitions."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    items, raters = draw(st.integers(1, 14)), draw(st.integers(2, 9))
    dimensions, repetitions = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2]))
    shape = items, raters, dimensions, repetitions
    step = draw(st.sampled_from([1, 5, 10]))
    scores = 30 + random.normal(0, 7, (items, 1, dimensions, 1)) + random.normal(0, 5, shape)
    scores[random.random(shape) < 0.05] += 25
    scores = np.clip(np.round(scores / step) * step, 0, 60)
    if raters > 4:
        scores[:, 2] = 33
        scores[:, 3] = np.round(random.uniform(10, 50, (items, dimensions, repetitions)) / step) * step
    there = random.random(shape) < draw(st.sampled_from([1.0, 0.9, 0.5]))
    assume(there.any())
    return Study(*np.nonzero(there), scores[there])


def run(
    study: Study, method: str, options: dict[str, Any], values: np.ndarray | None = None, **changed: Any
) -> ScoringResult:
    """values: other scores for the same rows; rows: their order; items, raters: names by number; only: a dimension."""
    values = study.score / 10 if values is None else values
    rows = changed.get("rows", np.arange(len(values)))
    if "only" in changed:
        rows = rows[study.dimension[rows] == changed["only"]]
    names = [changed.get(what, np.arange(20)) for what in ("items", "raters")]
    columns = {
        "item": [f"i{names[0][v]:03d}" for v in study.item[rows]],
        "rater": [f"r{names[1][v]:03d}" for v in study.rater[rows]],
        "dimension": [f"d{v}" for v in study.dimension[rows]],
        "repetition": study.repetition[rows],
        "score": values[rows],
    }
    return score_ratings(validate_ratings(pa.table(columns), None)[0], method, options)


def by_row(result: ScoringResult, rows: np.ndarray) -> list[str]:
    """Status of every row of the study, where row `rows[k]` was the k-th of the table."""
    back = np.empty(len(rows), int)
    back[rows[result.ratings.index]] = result.status
    return [RATING_STATUSES[s] for s in back]


def scores_by_name(result: ScoringResult) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["item"], row["dimension"]): row for row in result.scores.to_pylist()}


def assert_same(one: dict[str, Any], other: dict[str, Any], within: float, factor: float = 1, shift: float = 0) -> None:
    for name in ("n", "n_rejected", "reason"):
        assert one[name] == other[name], name
    for name in FIGURES:
        moved = one[name] if one[name] is None else one[name] * factor + (0 if name in ("sd", "se") else shift)
        assert other[name] == (moved if moved is None else pytest.approx(moved, abs=within)), name


def slack(method: str) -> float:
    """P.910 iterates until it changes by less than 1e-8."""
    return 1e-5 if method == "p910" else 1e-8


@variants
@settings(max_examples=25, deadline=None)
@given(study=studies(), seed=st.integers(0, 1000))
def test_order_of_rows(method: str, options: dict[str, Any], study: Study, seed: int) -> None:
    rows = np.random.default_rng(seed).permutation(len(study.score))
    straight, shuffled = run(study, method, options), run(study, method, options, rows=rows)
    assert shuffled.scores.equals(straight.scores)  # to the last bit
    assert shuffled.raters.equals(straight.raters)
    assert shuffled.summary == straight.summary
    assert by_row(shuffled, rows) == by_row(straight, np.arange(len(rows)))


@variants
@settings(max_examples=25, deadline=None)
@given(study=studies(), seed=st.integers(0, 1000))
def test_names_of_items_and_raters(method: str, options: dict[str, Any], study: Study, seed: int) -> None:
    random = np.random.default_rng(seed)
    items, raters = random.permutation(20), random.permutation(20)
    straight, renamed = run(study, method, options), run(study, method, options, items=items, raters=raters)
    rows = np.arange(len(study.score))
    assert by_row(renamed, rows) == by_row(straight, rows)
    again = scores_by_name(renamed)
    for (item, dimension), row in scores_by_name(straight).items():
        assert_same(row, again[f"i{items[int(item[1:])]:03d}", dimension], slack(method))
    theirs = {row["rater"]: row for row in renamed.raters.to_pylist()}
    for row in straight.raters.to_pylist():
        other = theirs[f"r{raters[int(row['rater'][1:])]:03d}"]
        for name in ("n", "outliers", "share", "excluded", "excluded_in", "reason"):
            assert row[name] == other[name]


@variants
@settings(max_examples=25, deadline=None)
@given(study=studies(), factor=st.sampled_from([0.25, 2.0, 8.0]), shift=st.sampled_from([-64.0, 0.5, 16.0]))
def test_unit_of_the_scale(method: str, options: dict[str, Any], study: Study, factor: float, shift: float) -> None:
    """Points are the same, scores on the scale move with it, and every decision is the same."""
    plain, moved = run(study, method, options), run(study, method, options, study.score / 10 * factor + shift)
    assert moved.status.tolist() == plain.status.tolist()
    change = (1.0, 0.0) if plain.unit == "points" else (factor, shift)
    others = scores_by_name(moved)
    for key, row in scores_by_name(plain).items():
        assert_same(row, others[key], slack(method) * max(1, factor), *change)


@variants
@settings(max_examples=25, deadline=None)
@given(study=studies(), seed=st.integers(0, 1000))
def test_float_noise(method: str, options: dict[str, Any], study: Study, seed: int) -> None:
    """Tenths as binary has them, each up to three units in the last place off, are decided as whole numbers are."""
    noisy = study.score / 10
    for _ in range(3):
        noisy = np.nextafter(noisy, noisy + np.random.default_rng(seed).choice([-1, 0, 1], len(noisy)))
    exact, rounded = run(study, method, options, study.score), run(study, method, options, noisy)
    assert rounded.status.tolist() == exact.status.tolist()
    change = 1.0 if exact.unit == "points" else 0.1
    others = scores_by_name(rounded)
    for key, row in scores_by_name(exact).items():
        assert_same(row, others[key], slack(method), change)


@pytest.mark.parametrize(("method", "options"), BY_DIMENSION, ids=named)
@settings(max_examples=25, deadline=None)
@given(study=studies(), only=st.integers(0, 2))
def test_other_dimensions(method: str, options: dict[str, Any], study: Study, only: int) -> None:
    assume((study.dimension == only).any())
    together, alone = run(study, method, options), run(study, method, options, only=only)
    there = together.ratings.dimensions.to_pylist().index(f"d{only}")
    assert alone.status.tolist() == together.status[together.ratings.dimension == there].tolist()
    others = scores_by_name(together)
    for key, row in scores_by_name(alone).items():
        assert_same(row, others[key], slack(method))


@pytest.mark.parametrize("method", METHODS)
def test_a_second_run_gives_the_same(method: str, coded: Callable[..., Any]) -> None:
    ratings = coded(np.random.default_rng(0).normal(3, 1, (20, 6, 2)).round(1))
    one, other = (score_ratings(ratings, method, {"interval": "bootstrap", "resamples": 100}) for _ in range(2))
    assert one.scores.equals(other.scores)
    assert (one.options, one.summary) == (other.options, other.summary)
