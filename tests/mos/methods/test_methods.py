"""What holds of every method: the ledger accounts for all that is left out, options survive JSON, nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mos.errors import UserError
from mos.methods import METHODS, find_method, score_ratings
from mos.methods.mos import MosOptions
from mos.methods.paper import PaperOptions
from mos.scoring.estimate import RATING_KEPT, RATING_OUTLIER
from mos.scoring.options import ScoringOptions
from mos.scoring.result import ScoringResult
from mos.table import Ratings, validate_ratings

Coded = Callable[..., Ratings]
NAN = np.nan
LITERAL: dict[str, Any] = {"ddof": 0, "zero_variance": "literal", "exclusion_scope": "pooled"}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in METHODS),
    ("paper", {"exclusion_scope": "dimension", "reflag_after_exclusion": True, "outlier_sigma": "1.5"}),
    ("paper", {"remove_outliers": False, "normalise_scope": "pooled"}),
    ("paper", {"moments_from": "all", "max_passes": 9, "outlier_by": "rater"}),
    ("zscore", {"on_constant": "zero"}),
    ("bt500", LITERAL),
    ("bt500", {"ddof": 0, "denominator": "all"}),
    ("correlation", {"statistic": "min", "leave_one_out": True}),
    ("p913", {**LITERAL, "screening": "bt500", "exclusion_scope": "dimension"}),
    ("p910", {"guard": False, "standard_error": "weights"}),
]


def named(value: str | dict[str, Any]) -> str:
    return value if isinstance(value, str) else "-".join(value) or "usual"


variants = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=named)


def careless(seed: int, shape: tuple[int, int, int], fill: float = 1.0) -> np.ndarray:
    """Scores [items, raters, dimensions] in half points, of raters some of whom are careless, constant or few."""
    random = np.random.default_rng(seed)
    scores = random.normal(3, 0.8, (shape[0], 1, shape[2])) + random.normal(0, 0.5, shape)
    scores[random.random(shape) < 0.06] += 2.5
    scores[random.random(shape) < 0.06] -= 2.5
    if shape[1] > 5:
        scores[:, 2, 0] = 3.3
        scores[1:, 3] = NAN
        scores[:, 4] = random.uniform(1, 5, (shape[0], shape[2]))
    scores[random.random(shape) > fill] = NAN
    return np.round(scores * 2) / 2


def apart(by: float) -> np.ndarray:
    """Scores [60, 20, 3] of raters with a deviation of 0.4, of whom 4, 5 and 6 rate `by` off, up or down by chance.

    Rater 4 in dimension 1, rater 5 in 0 and 2, rater 6 everywhere.
    """
    random = np.random.default_rng(0)
    scores = random.normal(3, 0.4, (60, 20, 3)).round(1)
    for rater, dimensions in ((4, [1]), (5, [0, 2]), (6, [0, 1, 2])):
        scores[:, rater, dimensions] = 3 + by * random.choice([-1.0, 1.0], (60, len(dimensions)))
    return scores


def assert_accounts_for_everything(result: ScoringResult) -> None:
    """Every rating that does not count has a line in the ledger, and every line is of such ratings."""
    ratings, lines = result.ratings, result.ledger().to_pylist()
    rows = {
        int(index): (rater, dimension, int(status))
        for index, rater, dimension, status in zip(
            ratings.index,
            ratings.raters.take(pa.array(ratings.rater)).to_pylist(),
            ratings.dimensions.take(pa.array(ratings.dimension)).to_pylist(),
            result.status,
            strict=True,
        )
    }
    told = {line["index"] for line in lines if line["what"] == "rating"}
    assert told == {index for index, (*_, status) in rows.items() if status == RATING_OUTLIER}
    everything = set(ratings.dimensions.to_pylist())
    out = {
        (line["rater"], dimension)
        for line in lines
        if line["what"] == "rater"
        for dimension in ({line["dimension"]} if line["dimension"] else everything)
    }
    for rater, dimension, status in rows.values():
        if status not in (RATING_KEPT, RATING_OUTLIER):
            assert (rater, dimension) in out
        if status == RATING_KEPT:
            assert (rater, dimension) not in out
    for line in lines:
        assert line["margin"] == pytest.approx(abs(line["statistic"] - line["threshold"]))
        assert line["margin"] > 0 or line["rule"] in ("constant", "correlation")  # these rules take in the threshold
        assert (line["what"], line["item"] is None, line["index"] is None) in {
            ("rating", False, False),
            ("rater", True, True),
        }
    ruled = {line["rater"] for line in lines if line["rule"] not in ("outlier", "constant", "too_few")}
    assert ruled == {row["rater"] for row in result.raters.to_pylist() if row["excluded_in"]}


def assert_sound(result: ScoringResult) -> None:
    """Tables have their rows, counts add up, and everything can be written down."""
    ratings, summary = result.ratings, result.summary
    groups = len(ratings.items) * len(ratings.dimensions)
    assert (len(result.scores), len(result.raters)) == (groups, len(ratings.raters))
    assert json.loads(json.dumps([result.options, summary])) == [result.options, summary]
    assert sum(summary["ratings_by_status"].values()) == len(ratings)
    assert summary["ratings_by_status"] == dict(
        zip(summary["ratings_by_status"], np.bincount(result.status, minlength=5).tolist(), strict=True)
    )
    rows = result.scores.to_pylist()
    rated = np.bincount(ratings.groups(), minlength=groups)
    assert [row["n"] + row["n_rejected"] for row in rows] == rated.tolist()
    assert summary["scores"] == sum(row["mos"] is not None for row in rows)
    for row in rows:
        assert (row["mos"] is None) == (row["reason"] not in (None, "fallback"))
        assert row["mos"] is not None or all(row[name] is None for name in ("sd", "se", "ci_low", "ci_high"))
        assert (row["ci_low"] is None) == (row["ci_high"] is None)
        if row["ci_low"] is not None:
            assert row["ci_low"] <= row["ci_high"]
        for figure in row.values():
            assert not isinstance(figure, float) or np.isfinite(figure)
    assert all(isinstance(warning, str) and warning.endswith(".") for warning in summary["warnings"])


class TestLedger:
    @variants
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        seed=st.integers(0, 2**32 - 1),
        shape=st.tuples(st.integers(1, 20), st.integers(1, 10), st.integers(1, 3)),
        fill=st.sampled_from([1.0, 0.7, 0.3]),
    )
    def test_accounts_for_everything(
        self,
        coded: Coded,
        name: str,
        options: dict[str, Any],
        seed: int,
        shape: tuple[int, int, int],
        fill: float,
    ) -> None:
        scores = careless(seed, shape, fill)
        if not np.isnan(scores).all():
            result = score_ratings(coded(scores, (-5, 15)), name, options)
            assert_sound(result)
            assert_accounts_for_everything(result)

    def test_two_lines_say_why_bt500_rejects(self, coded: Coded) -> None:
        """Share and balance, of the dimension in which the rater is rejected, or of all."""
        ratings = coded(apart(1.25))
        for scope in ("dimension", "pooled"):
            result = score_ratings(ratings, "bt500", {"exclusion_scope": scope})
            lines = result.ledger().to_pylist()
            assert {line["rule"] for line in lines} == {"bt500_share", "bt500_balance"}
            raters = {row["rater"]: row for row in result.raters.to_pylist()}
            for line in lines:
                assert (line["dimension"] is None) == (scope == "pooled")
                if line["rule"] == "bt500_share":
                    assert line["statistic"] > line["threshold"] == 0.05
                else:
                    assert line["statistic"] < line["threshold"] == 0.3
                if scope == "pooled":
                    row = raters[line["rater"]]
                    share = (row["p"] + row["q"]) / row["n"]
                    assert line["statistic"] == pytest.approx(share if "share" in line["rule"] else row["balance"])

    def test_a_correlation_stands_beside_the_threshold_of_its_dimension(self, coded: Coded) -> None:
        result = score_ratings(coded(careless(3, (40, 12, 2))), "correlation")
        lines = [line for line in result.ledger().to_pylist() if line["rule"] == "correlation"]
        raters = {row["rater"]: row for row in result.raters.to_pylist()}
        assert len(lines) > 1
        for line in lines:
            assert line["statistic"] == raters[line["rater"]][f"pearson_{line['dimension']}"] < line["threshold"] <= 0.7
            assert line["dimension"] in (raters[line["rater"]]["excluded_in"], *result.ratings.dimensions.to_pylist())

    def test_where_a_rater_is_excluded(self, coded: Coded) -> None:
        for name, limit in (("paper", "max_outlier_share"), ("bt500", "max_share")):
            result = score_ratings(coded(apart(1.25)), name, {"exclusion_scope": "dimension", limit: 0.2})
            assert result.raters["excluded_in"].to_pylist()[4:7] == ["dimension1", "dimension0, dimension2", "all"]
            assert result.raters["excluded"].to_pylist()[4:7] == [False, False, True]
            assert result.summary["exclusions"] == 6
            assert "6 of 60 combinations of rater and dimension" in result.summary["warnings"][0]


class TestOptions:
    @variants
    def test_what_is_written_down_reads_back(self, name: str, options: dict[str, Any]) -> None:
        chosen = find_method(name).options.from_mapping(options)
        written = json.loads(json.dumps(chosen.as_dict()))
        assert written["method"] == name
        assert find_method(name).options.from_mapping(written) == chosen
        assert set(written) == set(find_method(name).options.model_fields)

    @pytest.mark.parametrize("name", METHODS)
    def test_every_option_is_described_and_every_result_has_all(self, coded: Coded, name: str) -> None:
        fields = find_method(name).options.model_fields
        assert all(field.description for option, field in fields.items() if option != "method")
        assert set(score_ratings(coded(np.eye(3)), name).options) == set(fields)

    @pytest.mark.parametrize("name", METHODS)
    @pytest.mark.parametrize(
        "wrong",
        [
            {"confidence": 1},
            {"resamples": 5},
            {"interval": "wald"},
            {"min_ratings": 0},
            {"seed": -1},
            {"on_too_few": "skip"},
            {"clip": "maybe"},
        ],
        ids=named,
    )
    def test_a_wrong_value_is_told_in_one_sentence(self, name: str, wrong: dict[str, Any]) -> None:
        with pytest.raises(UserError, match=rf"^{next(iter(wrong))}: .* got '{next(iter(wrong.values()))}'\.$"):
            find_method(name).options.from_mapping(wrong)

    def test_an_unknown_option_or_method_is_told_with_the_known_ones(self, coded: Coded) -> None:
        with pytest.raises(UserError, match="unknown option 'sigma' of the method zscore; expected one of min_ratings"):
            score_ratings(coded(np.eye(3)), "zscore", {"sigma": 3})
        with pytest.raises(UserError, match=r"Unknown method 'zscores'\. Did you mean 'zscore'\?"):
            score_ratings(coded(np.eye(3)), "zscores")

    def test_options_are_not_given_twice(self, coded: Coded) -> None:
        """Not silently: one of the two would be lost."""
        with pytest.raises(UserError, match="Options of the method mos were given twice: as a whole, and seed again"):
            score_ratings(coded(np.eye(3)), MosOptions(), {"seed": 3})
        assert score_ratings(coded(np.eye(3)), MosOptions(seed=3)).options["seed"] == 3

    def test_a_decimal_is_what_was_written(self) -> None:
        for written in (0.05, "0.05", "5e-2"):
            assert PaperOptions.from_mapping({"max_outlier_share": written}) == PaperOptions()
        assert ScoringOptions.model_fields["confidence"].default == 0.95
        assert PaperOptions(outlier_sigma=3).as_dict()["outlier_sigma"] == 3


def rows(item: list[str], rater: list[str], dimension: list[str], scores: list[float]) -> Ratings:
    table = pa.table({"item": item, "rater": rater, "dimension": dimension, "score": pa.array(scores, pa.float64())})
    return validate_ratings(table, (1, 5))[0]


EXTREMES = {
    "nothing": lambda: rows([], [], [], []),
    "one rating": lambda: rows(["a"], ["r"], ["d"], [3]),
    "one item": lambda: rows(["a"] * 4, list("rstu"), ["d"] * 4, [1, 2, 3, 5]),
    "one rater": lambda: rows(list("abcd"), ["r"] * 4, ["d"] * 4, [1, 2, 3, 5]),
    "two raters who disagree": lambda: rows(list("aabb"), list("rsrs"), ["d"] * 4, [1, 5, 5, 1]),
    "all equal": lambda: rows(list("aaabbb"), list("rstrst"), ["d"] * 6, [3.3] * 6),
    "all lowest": lambda: rows(list("aaabbb"), list("rstrst"), ["d"] * 6, [1] * 6),
    "nobody meets": lambda: rows(list("abcd"), list("rstu"), ["d"] * 4, [1, 2, 3, 5]),
    "one dimension each": lambda: rows(list("aaaa"), list("rstu"), list("ddee"), [1, 2, 3, 5]),
    "all constant": lambda: rows(list("aaabbb"), list("rstrst"), ["d"] * 6, [1, 2, 3, 1, 2, 3]),
}


@pytest.mark.parametrize("extreme", EXTREMES)
@variants
def test_extremes(name: str, options: dict[str, Any], extreme: str) -> None:
    """No warning of numpy either: those are errors here."""
    for more in (
        {"min_ratings": 1, "clip": True},
        {"min_ratings": 2, "interval": "normal"},
        {"min_ratings": 3, "on_too_few": "fallback"},
    ):
        result = score_ratings(EXTREMES[extreme](), name, options | more)
        assert_sound(result)
        assert_accounts_for_everything(result)


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("name", METHODS)
def test_extremes_resampled(name: str, extreme: str) -> None:
    options = {"interval": "bootstrap", "resamples": 100, "min_ratings": 1, "on_too_few": "fallback"}
    assert_sound(score_ratings(EXTREMES[extreme](), name, options))


def test_zeros_everywhere() -> None:
    table = pa.table({"item": list("aabb"), "rater": list("rsrs"), "dimension": ["d"] * 4, "score": [0.0] * 4})
    for name, options in VARIANTS:
        assert_sound(score_ratings(validate_ratings(table, None)[0], name, options))


ALL_OUT = {
    "paper": ({"outlier_sigma": "0.5", "max_outlier_share": 0}, np.random.default_rng(0).normal(3, 1, (20, 6))),
    "zscore": ({}, np.tile([1.0, 2, 3, 4], (5, 1))),
    "bt500": (LITERAL, np.full((6, 4), 3.0)),
    "correlation": ({}, 3.0 + np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])),
    "p913": (LITERAL | {"screening": "bt500"}, np.full((6, 4), 3.0)),
}


@pytest.mark.parametrize("name", ALL_OUT)
def test_when_nobody_is_left_every_score_says_so(coded: Coded, name: str) -> None:
    options, scores = ALL_OUT[name]
    for interval in ("t", "bootstrap"):
        result = score_ratings(coded(scores, (-5, 10)), name, options | {"interval": interval, "resamples": 100})
        assert_sound(result)
        assert_accounts_for_everything(result)
        assert set(result.scores["reason"].to_pylist()) == {"all_excluded"}
        assert result.raters["excluded"].to_pylist() == [True] * scores.shape[1]
        first = result.summary["warnings"][0]
        assert first.startswith(f"None of the {scores.size} ratings is left and there are no scores: ")
        why = "4 raters gave the same score to everything;" if name == "zscore" else "raters were excluded"
        assert why in first


@pytest.mark.parametrize("name", ["bt500", "p913"])
def test_as_in_sureal_nobody_is_rejected_where_everybody_would_be(coded: Coded, name: str) -> None:
    """In the dimension concerned: in the other the rule stands."""
    unanimous = np.full((60, 20), 3.0)
    options = LITERAL | {"keep_if_all": True, "exclusion_scope": "dimension", "max_share": 0.2}
    options |= {"screening": "bt500"} if name == "p913" else {}
    result = score_ratings(coded(np.stack([unanimous, apart(1.25)[:, :, 1]], axis=2)), name, options)
    expected = ["dimension1" if rater in (4, 6) else None for rater in range(20)]
    assert result.raters["excluded_in"].to_pylist() == expected
