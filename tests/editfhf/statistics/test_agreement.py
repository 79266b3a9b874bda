"""How far raters agree, and correlations of scores: what they are where ratings are few, or all equal."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from annotation.records import DIMENSIONS
from editfhf.report.compute import compute_rater_agreement, correlate_scores
from editfhf.report.statistics import SCORE_KEYS, RaterAgreement

RATINGS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(1, 5)), min_size=2, max_size=40)
Rows = list[tuple[str, str, float]]


def agreed(rows: Rows, status: str = "kept") -> RaterAgreement:
    """The agreement after screening of (image, rater, score) on the first dimension."""
    columns = dict(zip(("pair_id", "annotator_id", "score"), zip(*rows, strict=True), strict=True)) if rows else {}
    schema = {"pair_id": pa.string(), "annotator_id": pa.string(), "score": pa.float64()}
    table = pa.table({name: pa.array(columns.get(name, ()), kind) for name, kind in schema.items()})
    for name, value in (("dimension", DIMENSIONS[0]), ("status", status)):
        table = table.append_column(name, pa.array([value] * len(rows), pa.string()))
    return next(a for a in compute_rater_agreement(table) if (a.dimension, a.ratings) == (DIMENSIONS[0], "kept"))


@given(RATINGS)
def test_alpha_equals_its_definition_over_all_couples(ratings: list[tuple[int, int, int]]) -> None:
    table = {(f"p{image}", f"r{rater}"): float(score) for image, rater, score in ratings}
    told = agreed([(*key, score) for key, score in table.items()]).alpha
    images, scores = np.array([image for image, _ in table]), np.array(list(table.values()))
    units = [scores[images == image] for image in np.unique(images)]
    units = [unit for unit in units if len(unit) > 1]
    pooled = np.concatenate(units) if units else np.empty(0)
    if len(pooled) < 2 or np.ptp(pooled) == 0:
        assert told is None
        return
    n = len(pooled)
    observed = sum(np.sum((unit[:, None] - unit) ** 2) / (len(unit) - 1) for unit in units) / n
    expected = np.sum((pooled[:, None] - pooled) ** 2) / (n * (n - 1))
    assert told == pytest.approx(1 - observed / expected)


def test_a_rater_is_compared_with_the_others_alone() -> None:
    scores = {"a": (1.0, 2.0, 4.0), "b": (2.0, 1.0, 5.0), "c": (1.0, 3.0, 3.0)}
    found = agreed([(f"p{k}", who, score) for who, own in scores.items() for k, score in enumerate(own)])
    others = {who: np.mean([own for name, own in scores.items() if name != who], axis=0) for who in scores}
    assert found.pearson == pytest.approx(np.mean([pearsonr(scores[who], others[who])[0] for who in scores]))
    assert found.spearman == pytest.approx(np.mean([spearmanr(scores[who], others[who])[0] for who in scores]))


def test_raters_of_two_shared_images_or_without_variation_have_no_correlation() -> None:
    two = agreed([(f"p{k}", who, k + 1.0) for who in "ab" for k in range(2)])
    assert (two.spearman, two.pearson) == (None, None)
    constant = agreed([(f"p{k}", who, 3.3) for who in "ab" for k in range(4)])
    assert (constant.spearman, constant.pearson, constant.alpha) == (None, None, None)


def test_perfect_agreement_is_one_and_that_of_nobody_is_none() -> None:
    assert agreed([("p", "a", 1.0), ("p", "b", 1.0), ("q", "a", 5.0), ("q", "b", 5.0)]).alpha == 1
    alone = agreed([(f"p{k}", "a", float(k)) for k in range(5)])
    assert (alone.n, alone.raters, alone.alpha, alone.pearson) == (5, 1, None, None)
    assert agreed([("p", "a", 1.0), ("p", "b", 2.0)], status="outlier").n == 0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([3.3, 3.3, 3.3], [1.0, 2.0, 3.0], None),
        ([0.1 + 0.2, 0.3, 0.3], [1.0, 2.0, 3.0], None),  # rounding is no variation
        ([1.0, 2.0], [1.0, 2.0], None),
        ([1.0, 2.0, np.nan], [1.0, 2.0, 3.0], None),
        ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], -1.0),
        ([1.0, 2.0, 3.0, np.nan], [3.0, 2.0, 1.0, 7.0], -1.0),
    ],
)
def test_scores_correlate_where_three_pairs_have_both_and_both_vary(
    first: list[float], second: list[float], expected: float | None
) -> None:
    values = {name: np.array(first if name == SCORE_KEYS[0] else second) for name in SCORE_KEYS}
    found = correlate_scores(values)[f"{SCORE_KEYS[0]}|{SCORE_KEYS[1]}"]
    assert found["pearson"] == (expected if expected is None else pytest.approx(expected))
