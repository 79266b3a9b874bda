"""The methods against the package sureal, the values it publishes, and the published result of ITU-T P.910."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mos.methods import score_ratings
from mos.scoring.result import ScoringResult
from mos.table import Ratings, read_ratings_table, validate_ratings

Coded = Callable[..., Ratings]
LIKERT = (
    "agh_quality_variation_2017.csv",
    "hdtv1.csv",
    "its4s2_images.csv",
    "its4s_agh.csv",
    "nflx_public.csv",
    "nflx_public_last4outliers.csv",
    "p910_demo_sample.csv",
    "vqeg_hd3.csv",
)
CONTINUOUS = ("vqeg_frtv1_525_line_high.csv", "vqeg_frtv1_625_line_low.csv")
REPEATED = "agh_ntia.csv"
TABLES = (*LIKERT, *CONTINUOUS)
AP = "MaximumLikelihoodEstimationModelContentObliviousAlternativeProjection"
LIKE_SUREAL: dict[str, Any] = {
    "ddof": 0,
    "zero_variance": "literal",
    "denominator": "all",
    "pool_repetitions": True,
    "keep_if_all": True,
    "interval": "normal",
}


@pytest.fixture
def study(real: Callable[[str], Path]) -> Callable[[str], Ratings]:
    """A real table of ratings by name."""

    def read(name: str) -> Ratings:
        ratings, problems = validate_ratings(read_ratings_table(real(name))[0], None if name in CONTINUOUS else (1, 5))
        assert problems == []
        return ratings

    return read


def sureal(ratings: Ratings, model: str) -> dict[str, Any]:
    """What a model of sureal makes of the ratings of one dimension, silently."""
    pytest.importorskip("sureal")
    from sureal import subjective_model
    from sureal.dataset_reader import RawDatasetReader

    cube = np.full((len(ratings.items), len(ratings.raters), ratings.repetitions), np.nan)
    cube[ratings.item, ratings.rater, ratings.repetition] = ratings.score
    videos = [{"content_id": 0, "asset_id": a, "path": str(a), "os": row.tolist()} for a, row in enumerate(cube)]
    reference = [{"content_id": 0, "content_name": "c", "path": "p"}]
    reader = RawDatasetReader(SimpleNamespace(dataset_name="d", ref_videos=reference, dis_videos=videos))
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        return getattr(subjective_model, model)(reader).run_modeling()


def numbers(result: ScoringResult, name: str) -> np.ndarray:
    return result.scores[name].to_numpy()


def assert_scores(ours: ScoringResult, theirs: dict[str, Any], within: float = 1e-9) -> None:
    """Scores, standard errors, and the intervals by the 1.95996 that sureal has for the normal quantile."""
    np.testing.assert_allclose(numbers(ours, "mos"), theirs["quality_scores"], rtol=0, atol=within)
    np.testing.assert_allclose(numbers(ours, "se"), theirs["quality_scores_std"], rtol=0, atol=within)
    below, above = np.array(theirs["quality_scores_ci95"]) / 1.95996 * stats.norm.ppf(0.975)
    np.testing.assert_allclose(numbers(ours, "mos") - numbers(ours, "ci_low"), below, rtol=0, atol=within)
    np.testing.assert_allclose(numbers(ours, "ci_high") - numbers(ours, "mos"), above, rtol=0, atol=within)


def counted(theirs: dict[str, Any], ratings: Ratings) -> np.ndarray:
    """[raters] P + Q."""
    presentations = len(ratings.items) * ratings.repetitions
    return np.array(theirs["observer_rejected_1st_stats"]) * presentations


def assert_screening(ours: ScoringResult, theirs: dict[str, Any]) -> None:
    assert ours.raters["excluded"].to_pylist() == theirs["observer_rejected"]
    p, q = ours.raters["p"].to_numpy(), ours.raters["q"].to_numpy()
    np.testing.assert_allclose(p + q, counted(theirs, ours.ratings), atol=1e-9)
    balance = np.abs(p - q)[p + q > 0] / (p + q)[p + q > 0]
    np.testing.assert_allclose(balance, np.array(theirs["observer_rejected_2nd_stats"])[p + q > 0], atol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # sureal's own, of unanimous clips
class TestAgrees:
    @pytest.mark.parametrize("name", [*TABLES, REPEATED])
    def test_mean_opinion_scores(self, study: Callable[[str], Ratings], name: str) -> None:
        ratings = study(name)
        ours, theirs = score_ratings(ratings, "mos", {"interval": "normal"}), sureal(ratings, "MosModel")
        assert_scores(ours, theirs)
        np.testing.assert_allclose(numbers(ours, "sd"), theirs["quality_ambiguity"], rtol=0, atol=1e-9)

    @pytest.mark.parametrize("name", [*TABLES, REPEATED])
    def test_z_scores(self, study: Callable[[str], Ratings], name: str) -> None:
        """On 0 to 100: 100 (z + 3) / 6."""
        ratings = study(name)
        ours, theirs = score_ratings(ratings, "zscore"), sureal(ratings, "ZscoringMosModel")
        np.testing.assert_allclose(numbers(ours, "mos"), 100 * (np.array(theirs["quality_scores"]) + 3) / 6, atol=1e-9)
        se = np.array(theirs["quality_scores_std"]) * 100 / 6
        np.testing.assert_allclose(numbers(ours, "se"), se, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("name", [*TABLES, REPEATED])
    def test_screening_by_kurtosis(self, study: Callable[[str], Ratings], name: str) -> None:
        ratings = study(name)
        ours, theirs = score_ratings(ratings, "bt500", LIKE_SUREAL), sureal(ratings, "SubjrejMosModel")
        assert_scores(ours, theirs)
        assert_screening(ours, theirs)

    @pytest.mark.parametrize("name", [*TABLES, REPEATED])
    def test_bias_removal(self, study: Callable[[str], Ratings], name: str) -> None:
        ratings = study(name)
        ours, theirs = score_ratings(ratings, "p913", {"interval": "normal"}), sureal(ratings, "BiasremvMosModel")
        assert_scores(ours, theirs)
        np.testing.assert_allclose(ours.raters["bias"].to_numpy(), theirs["observer_bias"], rtol=0, atol=1e-9)

    @pytest.mark.parametrize("name", TABLES)
    def test_bias_removal_and_then_screening(self, study: Callable[[str], Ratings], name: str) -> None:
        ratings = study(name)
        ours = score_ratings(ratings, "p913", {**LIKE_SUREAL, "screening": "bt500"})
        theirs = sureal(ratings, "BiasremvSubjrejMosModel")
        assert_scores(ours, theirs)
        assert_screening(ours, theirs)

    @pytest.mark.parametrize("name", [*TABLES, REPEATED])
    @pytest.mark.parametrize(("model", "error"), [(AP, "weights"), (AP + "2", "residual")])
    def test_alternating_projection(self, study: Callable[[str], Ratings], name: str, model: str, error: str) -> None:
        ratings = study(name)
        ours = score_ratings(ratings, "p910", {"guard": False, "standard_error": error, "interval": "normal"})
        theirs = sureal(ratings, model)
        assert_scores(ours, theirs)
        for column in ("bias", "inconsistency"):
            np.testing.assert_allclose(
                ours.raters[column].to_numpy(), theirs[f"observer_{column}"], rtol=0, atol=1e-9, err_msg=column
            )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
class TestDiffers:
    """Where sureal does something else, what, and why ours does not."""

    def test_rounding_decides_ties_in_sureal(self, study: Callable[[str], Ratings]) -> None:
        """Of five ratings, one apart from four alike lies exactly 2 population deviations off: it counts.

        By fractions all of them do; sureal's floating point misses one.  All five raters are rejected in both, since
        190 images are unanimous, and so none is.
        """
        ratings = study("dsg_tifa160_likert.csv")
        ours, theirs = score_ratings(ratings, "bt500", LIKE_SUREAL), sureal(ratings, "SubjrejMosModel")
        exact = np.zeros(5, int)
        for item in range(len(ratings.items)):
            rows = np.flatnonzero(ratings.item == item)
            x = [Fraction(s) for s in ratings.score[rows].tolist()]
            off = [value - sum(x) / len(x) for value in x]
            m2, m4 = (sum(d**k for d in off) / len(x) for k in (2, 4))
            reach = 4 if m2 and 2 <= m4 / m2**2 <= 4 else 20
            for row, d in zip(rows, off, strict=True):
                exact[ratings.rater[row]] += (d * d >= reach * m2) * (1 if m2 else 2)
        assert (ours.raters["p"].to_numpy() + ours.raters["q"].to_numpy()).tolist() == exact.tolist()
        missed = exact - counted(theirs, ratings).round()
        assert sorted(missed.tolist()) == [0, 0, 0, 0, 1]
        assert_scores(ours, theirs)
        assert set(
            score_ratings(ratings, "bt500", {**LIKE_SUREAL, "keep_if_all": False}).raters["excluded"].to_pylist()
        ) == {True}
        assert score_ratings(ratings, "bt500").summary["raters_excluded"] == 0

    def test_sureal_divides_by_presentations_that_never_were(self, study: Callable[[str], Ratings]) -> None:
        """110 clips were shown 240 times; sureal pads all to the six of the most repeated ones, 660, and rejects none.

        By what was shown, its rule rejects four; P and Q are the same.
        """
        ratings = study(REPEATED)
        ours = score_ratings(ratings, "p913", {**LIKE_SUREAL, "screening": "bt500"})
        theirs = sureal(ratings, "BiasremvSubjrejMosModel")
        flagged = ours.raters["p"].to_numpy() + ours.raters["q"].to_numpy()
        np.testing.assert_allclose(flagged, counted(theirs, ratings), atol=1e-9)
        balance = np.abs(ours.raters["p"].to_numpy() - ours.raters["q"].to_numpy()) / np.maximum(flagged, 1)
        shown = Counter(zip(ratings.item.tolist(), ratings.repetition.tolist(), strict=True))
        assert (len(shown), len(ratings.items) * ratings.repetitions) == (240, 660)
        expected = (flagged > 0.05 * 240) & (balance < 0.3)
        assert ours.raters["excluded"].to_pylist() == expected.tolist()
        assert (sum(expected), sum(theirs["observer_rejected"])) == (4, 0)

    def test_unanimous_clips_make_sureal_reject_a_third_of_the_raters(self, study: Callable[[str], Ratings]) -> None:
        """hdtv1: three clips on which all agree count to P and Q of everybody; skipping them rejects nobody."""
        ratings = study("hdtv1.csv")
        assert score_ratings(ratings, "bt500").summary["raters_excluded"] == 0
        literal = score_ratings(ratings, "bt500", {"zero_variance": "literal", "ddof": 0})
        assert literal.summary["raters_excluded"] == 8 == sum(sureal(ratings, "SubjrejMosModel")["observer_rejected"])

    def test_the_deviation_of_bt500_is_the_samples(self, study: Callable[[str], Ratings]) -> None:
        """sureal takes the population's, against its own paper: one rejected in nflx_public, none by the sample's."""
        rejected = {
            name: [score_ratings(study(name), "bt500", {"ddof": ddof}).summary["raters_excluded"] for ddof in (0, 1)]
            for name in ("nflx_public.csv", "nflx_public_last4outliers.csv", "vqeg_frtv1_525_line_high.csv")
        }
        assert list(rejected.values()) == [[1, 0], [3, 2], [5, 4]]

    def test_which_method_finds_the_misaligned_subjects(self, study: Callable[[str], Ratings]) -> None:
        """The last four of nflx_public_last4outliers: BT.500 finds two, sureal's form three, correlation all four."""
        ratings = study("nflx_public_last4outliers.csv")

        def excluded(method: str, options: dict[str, Any] | None = None) -> list[str]:
            rows = score_ratings(ratings, method, options).raters.to_pylist()
            return [row["rater"] for row in rows if row["excluded"]]

        scrambled = ratings.raters.to_pylist()[-4:]
        like_sureal = excluded("bt500", LIKE_SUREAL)
        assert excluded("correlation") == scrambled
        assert [name[-3:] for name in like_sureal] == ["026", "028", "029"]
        assert set(excluded("bt500")) < set(like_sureal) < set(scrambled)
        assert set(scrambled) < set(excluded("paper"))

    def test_items_of_one_rater_have_no_interval(self, coded: Coded) -> None:
        """sureal leaves NaN in its tables; a rater without spread vanishes from its z-scores without a word."""
        scores = np.array([[1.0, 2, 4], [2, 2, 5], [3, 2, np.nan]])
        ours, theirs = score_ratings(coded(scores), "zscore"), sureal(coded(scores), "ZscoringMosModel")
        assert np.isnan(theirs["quality_scores_std"][2])
        assert ours.scores["reason"].to_pylist() == [None, None, "too_few"]
        assert ours.raters["reason"].to_pylist() == [None, "constant", None]


class TestPublished:
    """Figures of sureal's own tests, to as many places as it has them."""

    def test_mean_opinion_scores(self, study: Callable[[str], Ratings]) -> None:
        result = score_ratings(study("nflx_public.csv"), "mos")
        mos = numbers(result, "mos")
        assert mos[0] == pytest.approx(4.884615384615385, abs=1e-14)
        assert mos[10] == pytest.approx(2.0769230769230771, abs=1e-14)
        assert mos.mean() == pytest.approx(3.544790652385589, abs=1e-13)
        assert numbers(result, "se").mean() == pytest.approx(0.12986637295658307, abs=1e-13)
        assert numbers(result, "sd").mean() == pytest.approx(0.6621911698651353, abs=1e-13)

    def test_maximum_likelihood(self, study: Callable[[str], Ratings]) -> None:
        """Centred biases; sureal's Newton solver stops a little before."""
        result = score_ratings(study("nflx_public.csv"), "p910", {"guard": False})
        assert numbers(result, "mos").sum() == pytest.approx(280.0384615384633, abs=1e-9)
        assert result.raters["bias"].to_numpy().var() == pytest.approx(0.0890325856211, abs=1e-9)
        assert result.raters["inconsistency"].to_numpy().sum() == pytest.approx(15.681766163430936, abs=1e-5)

    @pytest.fixture
    def corrupted(self, study: Callable[[str], Ratings], coded: Coded) -> Ratings:
        """nflx_public with the ratings of the first five subjects shuffled as numpy's seed 0 has it."""
        ratings = study("nflx_public.csv")
        matrix = np.empty((len(ratings.items), len(ratings.raters), 1))
        matrix[ratings.item, ratings.rater, 0] = ratings.score
        random = np.random.RandomState(0)
        for who in range(5):
            random.shuffle(matrix[:, who, :])
        return coded(matrix[:, :, 0], (1, 5))

    @pytest.mark.parametrize(
        ("method", "options", "mean", "variance"),
        [
            ("mos", {}, 3.5447906523855899, 0.95893305294535369),
            ("bt500", LIKE_SUREAL, 3.5611814345991566, 1.1049505732699529),
            ("correlation", {}, 3.5322483423749245, 1.403470793861528),
            ("correlation", {"statistic": "spearman"}, 3.5322483423749245, 1.403470793861528),
            ("correlation", {"statistic": "min"}, 3.5322483423749245, 1.403470793861528),
            ("p913", {}, 3.5447906523855885, 0.9589330529453537),
            ("p913", {**LIKE_SUREAL, "screening": "bt500"}, 3.5447906523855885, 1.09500013352561),
            ("p910", {"guard": False}, 3.5447906523855877, 1.3559834679453553),
        ],
    )
    def test_five_shuffled_subjects(
        self, corrupted: Ratings, method: str, options: dict[str, Any], mean: float, variance: float
    ) -> None:
        mos = numbers(score_ratings(corrupted, method, options), "mos")
        assert mos.mean() == pytest.approx(mean, abs=1e-8)
        assert mos.var() == pytest.approx(variance, abs=1e-8)

    def test_five_shuffled_subjects_in_z(self, corrupted: Ratings) -> None:
        z = numbers(score_ratings(corrupted, "zscore"), "mos") * 6 / 100 - 3
        assert z.mean() == pytest.approx(0, abs=1e-9)
        assert z.var() == pytest.approx(0.5405866214633748, abs=1e-9)

    def test_three_raters_of_three_items(self, coded: Coded) -> None:
        """Its table with ratings as a dictionary; the projection collapses onto one rater, here as there."""
        ratings = coded([[4.0, 1, 3], [1, 3, 2], [1, 3, 4]])
        plain = score_ratings(ratings, "mos")
        assert numbers(plain, "mos").sum() == pytest.approx(7.333333333333332, abs=1e-12)
        assert numbers(plain, "mos").var() == pytest.approx(0.09876543209876538, abs=1e-12)
        assert numbers(plain, "se")[0] == pytest.approx(0.881917103688197, abs=1e-12)
        result = score_ratings(ratings, "p910", {"guard": False})
        assert numbers(result, "mos").sum() == pytest.approx(7.333333333333334, abs=1e-6)
        assert numbers(result, "mos").var() == pytest.approx(0.6666666530952383, abs=1e-6)
        assert result.raters["bias"].to_numpy().var() == pytest.approx(0.17283950617283952, abs=1e-6)
        assert result.raters["inconsistency"].to_numpy().sum() == pytest.approx(2.8802122896041467, abs=1e-6)
        guarded = score_ratings(ratings, "p910").summary["warnings"]
        assert any(
            "was raised to a floor, because they would otherwise dominate the scores" in warning for warning in guarded
        )


@pytest.mark.parametrize("guard", [True, False])
def test_the_published_result_of_p910_with_its_intervals(
    study: Callable[[str], Ratings], real: Callable[[str], Path], guard: bool
) -> None:
    published = json.loads(real("p910_demo_published.json").read_text())
    result = score_ratings(study("p910_demo_sample.csv"), "p910", {"interval": "normal", "guard": guard})
    half = stats.norm.ppf(0.975) * np.array(published["sos_j"])
    for name, expected in {
        "mos": published["mos_j"],
        "se": published["sos_j"],
        "ci_low": published["mos_j"] - half,
        "ci_high": published["mos_j"] + half,
    }.items():
        np.testing.assert_allclose(numbers(result, name), expected, rtol=0, atol=1e-9, err_msg=name)
    raters = {name: result.raters[name].to_numpy() for name in result.raters.column_names if "_" in name or name == "n"}
    np.testing.assert_allclose(result.raters["bias"].to_numpy(), published["bias_i"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.raters["inconsistency"].to_numpy(), published["inconsistency_i"], atol=1e-9)
    # Of the rater's figures sureal has 1.96 upsilon / sqrt(k), and chi-squared with k degrees of freedom.
    spread = stats.norm.ppf(0.975) * np.array(published["inconsistency_i"]) / np.sqrt(raters["n"])
    np.testing.assert_allclose(raters["bias_high"] - raters["bias_low"], 2 * spread, atol=1e-9)
    for name, tail in (("inconsistency_low", 0.975), ("inconsistency_high", 0.025)):
        expected = np.sqrt(raters["n"] / stats.chi2.ppf(tail, raters["n"])) * published["inconsistency_i"]
        np.testing.assert_allclose(raters[name], expected, atol=1e-9)
