"""z-scores agree with sureal's, and the confidence interval covers what it claims to cover."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from mos.methods import score_ratings
from mos.methods.paper import PaperOptions
from mos.scoring.normalise import average_z_scores
from mos.table import Ratings, read_ratings_table, validate_ratings

NO_SCREENING = PaperOptions(outlier_sigma=1e6, max_outlier_share="1")


def dense(ratings: Ratings) -> np.ndarray:
    matrix = np.full((len(ratings.items), len(ratings.raters)), np.nan)
    matrix[ratings.item, ratings.rater] = ratings.score
    return matrix


def sureal_z_scores(matrix: np.ndarray) -> dict[str, list[float]]:
    """sureal's ZS_MOS of a matrix [items, raters], in z."""
    pytest.importorskip("sureal")
    from sureal.dataset_reader import RawDatasetReader
    from sureal.subjective_model import ZscoringMosModel

    dataset = SimpleNamespace(
        dataset_name="d",
        ref_videos=[{"content_id": 0, "content_name": "c", "path": "p"}],
        dis_videos=[
            {"content_id": 0, "asset_id": a, "path": str(a), "os": row.tolist()} for a, row in enumerate(matrix)
        ],
    )
    return ZscoringMosModel(RawDatasetReader(dataset)).run_modeling()


@pytest.mark.parametrize("name", ["nflx_public.csv", "vqeg_hd3.csv", "agh_quality_variation_2017.csv"])
def test_without_screening_it_is_the_z_score_mos_of_sureal(real: Callable[[str], Path], name: str) -> None:
    ratings, problems = validate_ratings(read_ratings_table(real(name))[0], (1, 5))
    assert problems == []
    theirs = sureal_z_scores(dense(ratings))
    ours = score_ratings(ratings, NO_SCREENING).scores
    expected = 100 * (np.array(theirs["quality_scores"]) + 3) / 6
    np.testing.assert_allclose(ours["mos"].to_numpy(), expected, rtol=0, atol=1e-10)
    width = np.array(theirs["quality_scores_ci95"])[0] / stats.norm.ppf(0.975) * 100 / 6
    np.testing.assert_allclose(ours["se"].to_numpy(), width, rtol=1e-5)


def simulated(
    random: np.random.Generator, coded: Callable[..., Ratings], items: int, raters: int
) -> tuple[np.ndarray, Ratings]:
    """Gaussian raters, each with an own offset and range; the true normalised quality, as a score, and the ratings.

    Were there no end of raters, an item of quality q would get the z (q - mean q) / sqrt(var q + var e).
    """
    quality = random.normal(0, 1, items)
    offset, stretch = random.normal(3, 0.5, raters), random.uniform(0.6, 1.4, raters)
    ratings = coded(offset + stretch * (quality[:, None] + random.normal(0, 0.6, (items, raters))))
    return 100 * ((quality - quality.mean()) / np.sqrt(quality.var() + 0.36) + 3) / 6, ratings


@pytest.mark.parametrize("raters", [5, 8, 15, 24])
@pytest.mark.parametrize("share", ["0.05", "1"])
def test_95_percent_intervals_cover_the_true_score(coded: Callable[..., Ratings], raters: int, share: str) -> None:
    random = np.random.default_rng(raters)
    inside, naive = [], []
    for _ in range(4):
        truth, ratings = simulated(random, coded, 1500, raters)
        scores = score_ratings(ratings, PaperOptions(max_outlier_share=share)).scores
        error = np.abs(scores["mos"].to_numpy() - truth)
        inside.append(error <= (scores["ci_high"].to_numpy() - scores["ci_low"].to_numpy()) / 2)
        naive.append(error <= 1.96 * scores["sd"].to_numpy() / np.sqrt(scores["n"].to_numpy()))
    assert 0.935 <= np.mean(inside) <= 0.965
    # The usual interval of what trimming leaves is too narrow: the reason for ours.
    assert np.mean(naive) < 0.925


def test_interval_is_the_t_interval_where_nothing_was_trimmed(coded: Callable[..., Ratings]) -> None:
    _, ratings = simulated(np.random.default_rng(0), coded, 40, 5)
    result = score_ratings(ratings, PaperOptions(confidence=0.9))
    z = result.value.reshape(40, 5)
    low, high = stats.t.interval(0.9, 4, z.mean(axis=1), stats.sem(z, axis=1))
    np.testing.assert_allclose(result.scores["ci_low"].to_numpy(), (low + 3) * 100 / 6, rtol=1e-10)
    np.testing.assert_allclose(result.scores["ci_high"].to_numpy(), (high + 3) * 100 / 6, rtol=1e-10)


def test_standard_error_is_of_the_spread_with_what_was_trimmed() -> None:
    random = np.random.default_rng(1)
    z, group = random.normal(0, 1, 400), np.sort(random.integers(0, 50, 400))
    fate = random.choice(3, 400, p=[0.8, 0.1, 0.1])  # kept, trimmed, of an excluded rater
    z[fate == 2] = np.nan
    found = average_z_scores(z, group, 51, fate == 0, np.flatnonzero(fate == 1))
    for g in range(51):
        kept, both = z[(group == g) & (fate == 0)], z[(group == g) & (fate < 2)]
        assert found.n[g] == len(kept)
        expected = [np.nan] * 3
        if len(kept) > 1:
            expected = [100 * (kept.mean() + 3) / 6, kept.std(ddof=1), both.std(ddof=1) / np.sqrt(len(kept))]
        elif len(kept):
            expected[0] = 100 * (kept[0] + 3) / 6
        sd, se = found.sd[g] * 6 / 100, found.se[g] * 6 / 100
        np.testing.assert_allclose([found.mos[g], sd, se], expected, rtol=1e-11)


def test_equation_1_by_hand() -> None:
    columns = {
        "item": ["a", "b", "c"] * 2,
        "rater": ["r"] * 3 + ["s"] * 3,
        "dimension": ["x"] * 6,
        "score": [1, 2, 3, 1, 3, 5],
    }
    scores = score_ratings(validate_ratings(pa.table(columns), (1, 5))[0]).scores
    # Both raters give z = -1, 0, 1, so the scores are 100 (z + 3) / 6 and agree entirely.
    np.testing.assert_allclose(scores["mos"].to_numpy(), [float(Fraction(100, 3)), 50, float(Fraction(200, 3))])
    assert scores["sd"].to_pylist() == [0, 0, 0]
