"""The whole of the paper's method, against a reference written from its formulas and against real studies."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mos.errors import UserError
from mos.methods import score_ratings
from mos.methods.paper import PaperOptions
from mos.scoring.estimate import RATING_STATUSES
from mos.scoring.result import ScoringResult
from mos.table import Ratings, read_ratings_table, validate_ratings

Key = tuple[int, int]
Coded = Callable[..., Ratings]
NAN = math.nan


def reference(ratings: Ratings) -> tuple[list[str], dict[Key, float]]:
    """Status of every rating and score of every (item, dimension), one rating at a time, outliers in fractions."""
    rows = list(zip(*(a.tolist() for a in (ratings.item, ratings.rater, ratings.dimension)), strict=True))
    value = [Fraction(repr(s)) for s in ratings.score.tolist()]
    rated: dict[Key, list[int]] = {}
    for at, (item, _, dimension) in enumerate(rows):
        rated.setdefault((item, dimension), []).append(at)
    outliers: set[int] = set()
    for members in rated.values():
        if len(members) < 2:
            continue
        mean = sum(value[m] for m in members) / len(members)
        variance = sum((value[m] - mean) ** 2 for m in members) / (len(members) - 1)
        outliers |= {m for m in members if (value[m] - mean) ** 2 > 4 * variance}
    own: dict[int, list[int]] = {}
    for at, (_, rater, _) in enumerate(rows):
        own.setdefault(rater, []).append(at)
    excluded = {rater for rater, ats in own.items() if 20 * len(outliers.intersection(ats)) > len(ats)}
    scale: dict[Key, tuple[float, float] | str] = {}
    for key in {(rater, dimension) for _, rater, dimension in rows}:
        kept = [float(value[a]) for a, row in enumerate(rows) if (row[1], row[2]) == key and a not in outliers]
        if len(kept) < 2:
            scale[key] = "rater_too_few"
        else:
            spread = statistics.stdev(kept)
            scale[key] = (statistics.fmean(kept), spread) if spread > 1e-12 * 5 else "rater_constant"
    status, z = [], {}
    for at, (_, rater, dimension) in enumerate(rows):
        moments = scale[rater, dimension]
        if at in outliers:
            status.append("outlier")
        elif rater in excluded:
            status.append("rater_excluded")
        elif isinstance(moments, str):
            status.append(moments)
        else:
            status.append("kept")
            z[at] = (float(value[at]) - moments[0]) / moments[1]
    means = {}
    for key, members in rated.items():
        left = [z[m] for m in members if m in z]
        if len(left) >= 2:
            means[key] = 100 * (statistics.fmean(left) + 3) / 6
    return status, means


def statuses(result: ScoringResult) -> list[str]:
    return [RATING_STATUSES[s] for s in result.status]


def assert_as_reference(ratings: Ratings) -> ScoringResult:
    result = score_ratings(ratings)
    status, means = reference(ratings)
    assert statuses(result) == status
    dimensions = len(ratings.dimensions)
    mos = result.scores["mos"].to_pylist()
    assert len(mos) == len(ratings.items) * dimensions
    for at, found in enumerate(mos):
        expected = means.get((at // dimensions, at % dimensions))
        assert found == (expected if expected is None else pytest.approx(expected, abs=1e-9))
    return result


def study(seed: int, items: int = 60, raters: int = 15, fill: float = 1.0) -> np.ndarray:
    """Scores [items, raters, 3] on 1 to 5 to one decimal: careful raters, one careless, one who never moves."""
    random = np.random.default_rng(seed)
    truth = random.normal(3, 0.8, (items, 1, 3))
    scores = truth + random.normal(0, 0.3, (1, raters, 1)) + random.normal(0, 0.5, (items, raters, 3))
    scores[:, 0] = random.uniform(1, 5, (items, 3))
    scores[:, 1, 2] = 3.3
    scores = np.clip(np.round(scores, 1), 1, 5)
    scores[random.random(scores.shape) > fill] = np.nan
    return scores


@pytest.mark.parametrize(("seed", "fill"), [(0, 1.0), (1, 0.6), (2, 0.15)])
def test_simulated_studies_as_the_reference(coded: Coded, seed: int, fill: float) -> None:
    result = assert_as_reference(coded(study(seed, fill=fill), (1, 5)))
    assert len(set(statuses(result))) >= 3


@pytest.mark.parametrize("name", ["nflx_public_last4outliers.csv", "vqeg_hd3.csv", "dsg_tifa160_likert.csv"])
def test_real_studies_as_the_reference(real: Callable[[str], Path], name: str) -> None:
    assert_as_reference(validate_ratings(read_ratings_table(real(name))[0], (1, 5))[0])


@pytest.mark.parametrize(
    ("name", "excluded", "raters", "ddof"),
    [
        ("its4s2_images.csv", 3, 16, 0),
        ("its4s2_images.csv", 3, 16, 1),
        ("vqeg_hd3.csv", 6, 24, 0),
        ("hdtv1.csv", 6, 24, 0),
        ("agh_quality_variation_2017.csv", 24, 99, 0),
        ("nflx_public_last4outliers.csv", 7, 30, 0),
    ],
)
def test_raters_excluded_in_real_studies(
    real: Callable[[str], Path], name: str, excluded: int, raters: int, ddof: int
) -> None:
    """Counts found independently with the population's deviation; the sample's changes none in its4s2."""
    ratings, _ = validate_ratings(read_ratings_table(real(name))[0], (1, 5))
    found = score_ratings(ratings, PaperOptions(outlier_ddof=ddof)).summary
    assert (found["raters_excluded"], found["raters"]) == (excluded, raters)


def test_its4s2_consequences_of_the_deviation_used(real: Callable[[str], Path]) -> None:
    """Between the two deviations: at most 4.22 points, RMSE 0.347; 4.07 % flagged with the population's."""
    ratings, _ = validate_ratings(read_ratings_table(real("its4s2_images.csv"))[0], (1, 5))
    sample, population = (score_ratings(ratings, PaperOptions(outlier_ddof=ddof)) for ddof in (1, 0))
    apart = sample.scores["mos"].to_numpy() - population.scores["mos"].to_numpy()
    assert np.abs(apart).max() == pytest.approx(4.22, abs=0.005)
    assert np.sqrt((apart**2).mean()) == pytest.approx(0.347, abs=0.0005)
    assert population.summary["outlier_share"] == pytest.approx(0.0407, abs=5e-5)
    mos = population.scores["mos"].to_numpy()
    assert (mos.min() > 0, mos.max() < 100) == (True, True)


def test_order_of_rows_and_names_of_raters_change_nothing() -> None:
    scores = study(3)
    item, rater, dimension = (a.ravel() for a in np.indices(scores.shape))
    random = np.random.default_rng(4)

    def run(order: np.ndarray, names: np.ndarray) -> tuple[pa.Table, list[str], dict[str, Any]]:
        columns = {
            "item": [f"i{v:03d}" for v in item[order]],
            "rater": [f"r{names[v]:02d}" for v in rater[order]],
            "dimension": [f"d{v}" for v in dimension[order]],
            "score": scores.ravel()[order],
        }
        result = score_ratings(validate_ratings(pa.table(columns), (1, 5))[0])
        back = np.empty(len(order), int)
        back[order[result.ratings.index]] = result.status
        return result.scores, back.tolist(), result.summary

    straight, status, summary = run(np.arange(scores.size), np.arange(15))
    shuffled, same, same_summary = run(random.permutation(scores.size), np.arange(15))
    assert shuffled.equals(straight)  # to the last bit
    assert (same, same_summary) == (status, summary)
    renamed, same, _ = run(random.permutation(scores.size), random.permutation(15))
    assert same == status
    np.testing.assert_allclose(renamed["mos"].to_numpy(), straight["mos"].to_numpy(), atol=1e-10)


def test_every_item_and_dimension_has_a_row_and_a_reason(coded: Coded) -> None:
    scores = np.full((4, 4, 2), NAN)
    scores[0] = [[1, 1], [2, 2], [1, 1], [2, 2]]
    scores[1] = [[5, 5], [4, 4], [3, 3], [4, 5]]
    scores[2, 0, 0] = 3
    scores[3, 3, 1] = 3
    result = score_ratings(coded(scores))
    expected = [None, None, None, None, "too_few", "no_ratings", "no_ratings", "too_few"]
    assert result.scores["reason"].to_pylist() == expected
    assert result.scores["n"].to_pylist() == [4, 4, 4, 4, 1, 0, 0, 1]
    assert [m is None for m in result.scores["mos"].to_pylist()] == [False] * 4 + [True] * 4
    assert result.summary["no_score_by_reason"] == {"no_ratings": 2, "too_few": 2}
    alone = score_ratings(coded(scores), PaperOptions(min_ratings=1)).scores.to_pylist()[4]
    assert (alone["mos"] is not None, alone["ci_low"], alone["sd"], alone["se"]) == (True, None, None, None)


def test_a_constant_rater_and_one_with_a_single_rating_do_not_count(coded: Coded) -> None:
    scores = np.array([[3.3, 1, 2, NAN], [3.3, 2, 3, 2], [3.3, 4, 5, NAN]])
    result = score_ratings(coded(scores))
    assert result.raters["reason"].to_pylist() == ["constant", None, None, "too_few"]
    assert result.raters["excluded"].to_pylist() == [True, False, False, True]
    assert result.scores["n"].to_pylist() == [2, 2, 2]
    assert result.scores["n_rejected"].to_pylist() == [1, 2, 1]
    assert np.isnan(result.value[result.ratings.rater == 0]).all()
    rules = result.ledger().select(["what", "rater", "dimension", "rule", "statistic"]).to_pylist()
    assert [tuple(line.values()) for line in rules] == [
        ("rater", "rater0003", "dimension0", "too_few", 1.0),
        ("rater", "rater0000", "dimension0", "constant", 0.0),
    ]


def test_when_everyone_is_excluded_there_are_reasons_and_a_warning(coded: Coded) -> None:
    ratings = coded(study(5, raters=12), (1, 5))
    result = score_ratings(ratings, PaperOptions(max_outlier_share="0", outlier_sigma=1.0))
    assert result.raters["excluded"].to_pylist() == [True] * 12
    assert set(result.scores["reason"].to_pylist()) == {"all_excluded"}
    assert result.scores["mos"].null_count == len(result.scores)
    assert result.summary["warnings"][0].startswith(f"None of the {len(ratings)} ratings is left")
    assert set(result.summary["components"].values()) == {0}


def test_no_ratings_at_all() -> None:
    empty = pa.table({name: pa.array([], pa.string()) for name in ("item", "rater", "dimension", "score")})
    result = score_ratings(validate_ratings(empty, (1, 5))[0])
    assert (len(result.scores), len(result.raters), len(result.ledger())) == (0, 0, 0)
    assert result.summary["warnings"] == []


def test_ledger_says_what_decided(coded: Coded) -> None:
    ratings = coded(study(0), (1, 5))
    result = score_ratings(ratings)
    ledger = result.ledger().to_pylist()
    outliers = {line["index"]: line for line in ledger if line["rule"] == "outlier"}
    assert sorted(outliers) == sorted(ratings.index[result.status == RATING_STATUSES.index("outlier")].tolist())
    at = int(np.flatnonzero(result.status == RATING_STATUSES.index("outlier"))[0])
    line = outliers[int(ratings.index[at])]
    same = (ratings.item == ratings.item[at]) & (ratings.dimension == ratings.dimension[at])
    others = ratings.score[same]
    assert line["statistic"] == pytest.approx(abs(ratings.score[at] - others.mean()) / others.std(ddof=1))
    assert line["margin"] == pytest.approx(line["statistic"] - 2)
    assert line["item"] == ratings.items[int(ratings.item[at])].as_py()
    assert all(line["margin"] >= 0 for line in ledger)
    raters = {row["rater"]: row for row in result.raters.to_pylist()}
    shares = [line for line in ledger if line["rule"] == "outlier_share"]
    assert {line["rater"] for line in shares} == {r for r, row in raters.items() if row["reason"] == "outlier_share"}
    assert all(line["statistic"] == raters[line["rater"]]["share"] > line["threshold"] == 0.05 for line in shares)
    assert sum(row["outliers"] for row in raters.values()) == len(outliers)


def test_an_excluded_rater_has_one_line_in_the_ledger(coded: Coded) -> None:
    scores = study(0)
    scores[:, 0, 2] = 3.3
    lines = score_ratings(coded(scores, (1, 5))).ledger().to_pylist()
    assert [line["rule"] for line in lines if line["what"] == "rater" and line["rater"] == "rater0000"] == [
        "outlier_share"
    ]


def test_raters_table_shows_the_share_that_chance_alone_would_give(coded: Coded) -> None:
    complete = score_ratings(coded(study(0), (1, 5)))
    assert complete.raters["expected_share"].to_numpy() == pytest.approx(np.full(15, 0.0324), abs=5e-5)
    assert complete.summary["expected_outlier_share"] == pytest.approx(0.0324, abs=5e-5)
    assert complete.raters["reason"].to_pylist()[0] == "outlier_share"
    few = np.full((3, 20, 1), NAN)
    few[0], few[1, :5], few[2, 0] = 3, 3, 3
    shares = score_ratings(coded(few)).raters["expected_share"].to_pylist()
    assert shares[0] < shares[1] < shares[19]


def test_warnings_are_sentences_about_what_a_score_cannot_show(coded: Coded) -> None:
    random = np.random.default_rng(0)
    apart = np.full((40, 8), NAN)
    apart[:20, :4] = random.normal(2, 0.5, (20, 4))
    apart[20:, 4:] = random.normal(4, 0.5, (20, 4))
    result = score_ratings(coded(apart))
    assert result.summary["components"] == {"dimension0": 2}
    assert any("fall into 2 groups that rated no item in common" in w for w in result.summary["warnings"])
    assert any(w.startswith("40 of 40 combinations") for w in result.summary["warnings"])
    apart[20, 0] = 3
    assert score_ratings(coded(apart)).summary["components"] == {"dimension0": 1}

    strict = score_ratings(coded(random.normal(3, 1, (100, 10))), PaperOptions(max_outlier_share="0.01"))
    assert "by chance alone" in strict.summary["warnings"][0]
    assert "rater0" not in "".join(strict.summary["warnings"])

    extreme = np.tile(np.array([3.0] * 60)[:, None], (1, 6)) + random.normal(0, 0.001, (60, 6))
    extreme[0] += 100
    outside = score_ratings(coded(extreme)).summary
    assert outside["scores_out_of_range"] == 1
    assert any("1 of 60 scores lie outside 0 to 100" in w for w in outside["warnings"])


def test_ids_that_differ_only_in_capital_letters_are_pointed_out() -> None:
    columns = {"item": ["a", "A", "b"], "rater": ["r"] * 3, "dimension": ["x"] * 3, "score": [1, 2, 3]}
    warnings = score_ratings(validate_ratings(pa.table(columns), None)[0]).summary["warnings"]
    assert any("1 ids of items differ" in w for w in warnings)


def test_a_rater_at_exactly_five_percent_stays(coded: Coded) -> None:
    scores = np.random.default_rng(8).uniform(2.9, 3.1, (20, 12)).round(2)
    scores[0, 0] = 5
    flagged = score_ratings(coded(scores), PaperOptions(outlier_sigma=3.0))
    assert flagged.raters.to_pylist()[0]["share"] == 0.05
    assert not flagged.raters.to_pylist()[0]["excluded"]
    assert score_ratings(coded(scores[:19]), PaperOptions(outlier_sigma=3.0)).raters.to_pylist()[0]["excluded"]


def test_options_are_checked_and_written_down() -> None:
    assert json.loads(json.dumps(PaperOptions().as_dict()))["max_outlier_share"] == 0.05
    assert Fraction(PaperOptions(max_outlier_share=0.05).max_outlier_share) == Fraction(1, 20)
    assert Fraction(PaperOptions().max_outlier_share) == Fraction(1, 20)
    for wrong in (
        {"outlier_sigma": 0.0},
        {"outlier_sigma": NAN},
        {"outlier_ddof": 2},
        {"z_ddof": -1},
        {"min_ratings": 0},
        {"confidence": 95.0},
        {"max_outlier_share": "5"},
        {"max_outlier_share": "5 %"},
    ):
        with pytest.raises(UserError, match=f"^{next(iter(wrong))}: .* got"):
            PaperOptions.from_mapping(wrong)
    with pytest.raises(UserError, match=r"unknown option 'sigma' of the method paper; expected one of min_ratings, "):
        PaperOptions.from_mapping({"sigma": 2})


def test_the_summary_is_json(coded: Coded) -> None:
    result = score_ratings(coded(study(0), (1, 5)))
    assert json.loads(json.dumps(result.summary)) == result.summary
    assert sum(result.summary["ratings_by_status"].values()) == len(result.ratings)


@pytest.mark.parametrize(("items", "raters", "dimensions"), [(60, 15, 1), (25, 10, 3)])
def test_raters_that_chance_alone_excludes_are_as_many_as_expected(
    coded: Coded, items: int, raters: int, dimensions: int
) -> None:
    random = np.random.default_rng(items)
    excluded, expected = [], []
    for _ in range(60):
        summary = score_ratings(coded(random.normal(3, 1, (items, raters, dimensions)))).summary
        excluded.append(summary["raters_excluded"])
        expected.append(summary["expected_false_exclusions"])
    assert expected == [expected[0]] * 60
    assert 0.5 < expected[0] < raters / 3
    # Four standard errors of the mean that was simulated.
    assert np.mean(excluded) == pytest.approx(expected[0], abs=4 * np.std(excluded, ddof=1) / math.sqrt(60))


def test_excluded_raters_are_told_beside_what_chance_would_exclude(coded: Coded) -> None:
    scores = np.random.default_rng(1).normal(3, 0.5, (2000, 15))
    assert score_ratings(coded(scores)).summary["warnings"] == []
    scores[:, 3] = np.random.default_rng(2).uniform(-2, 8, 2000)
    summary = score_ratings(coded(scores)).summary
    (warning,) = summary["warnings"]
    assert warning.startswith("1 of 15 raters were excluded")
    assert f"{summary['expected_false_exclusions']:.1f} of them would be excluded;" in warning
    assert "careful raters" not in warning


def connected_parts(ratings: Ratings, kept: np.ndarray) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rater, item = ratings.rater[kept], len(ratings.raters) + ratings.item[kept]
    size = len(ratings.raters) + len(ratings.items)
    graph = coo_array((np.ones(len(rater)), (rater, item)), shape=(size, size))
    return int(connected_components(graph, directed=False)[0]) - (size - len(np.union1d(rater, item)))


@pytest.mark.parametrize("seed", range(8))
def test_parts_of_a_sparse_study_are_those_of_its_graph(coded: Coded, seed: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("mos.connectivity._FIRST_ROWS", 16)  # so that items fall across the steps
    random = np.random.default_rng(seed)
    scores = random.normal(3, 1, (70, 60))
    scores[random.random(scores.shape) > 0.02 + 0.004 * seed] = NAN
    ratings = coded(scores)
    result = score_ratings(ratings, PaperOptions(max_outlier_share="1"))
    assert result.summary["components"] == {"dimension0": connected_parts(ratings, result.status == 0)}
