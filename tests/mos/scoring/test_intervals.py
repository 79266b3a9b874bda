"""Intervals: quantiles against scipy, the bootstrap against a plain loop and against simulated raters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from mos.errors import UserError
from mos.methods import METHODS, score_ratings
from mos.scoring.assemble import resample_raters
from mos.table import Ratings, validate_ratings

Coded = Callable[..., Ratings]
NAN = np.nan
BOOTSTRAP: dict[str, Any] = {"interval": "bootstrap", "resamples": 200}


def ends(ratings: Ratings, method: str, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    scores = score_ratings(ratings, method, options).scores
    return scores["ci_low"].to_numpy(), scores["ci_high"].to_numpy()


def draws(raters: int, resamples: int, seed: int = 0) -> np.ndarray:
    """[resamples, raters] how often each rater is drawn, as the bootstrap draws."""
    random = np.random.default_rng(seed)
    return np.array([random.multinomial(raters, np.full(raters, 1 / raters)) for _ in range(resamples)])


class TestQuantiles:
    @pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
    def test_t_with_one_degree_of_freedom_less_than_ratings(self, coded: Coded, level: float) -> None:
        random = np.random.default_rng(1)
        scores = random.normal(3, 1, (30, 12))
        scores[random.random(scores.shape) < 0.6] = NAN
        scores[:, :2] = random.normal(3, 1, (30, 2))
        low, high = ends(coded(scores), "mos", {"confidence": level})
        for row, *found in zip(scores, low, high, strict=True):
            x = row[~np.isnan(row)]
            assert found == pytest.approx(stats.t.interval(level, len(x) - 1, x.mean(), stats.sem(x)), abs=1e-10)

    @pytest.mark.parametrize("level", [0.8, 0.95])
    def test_normal(self, coded: Coded, level: float) -> None:
        scores = np.random.default_rng(1).normal(3, 1, (30, 5))
        low, high = ends(coded(scores), "mos", {"interval": "normal", "confidence": level})
        expected = stats.norm.interval(level, scores.mean(axis=1), stats.sem(scores, axis=1))
        np.testing.assert_allclose([low, high], expected, atol=1e-10)

    def test_ratings_that_agree_have_an_interval_of_no_width(self, coded: Coded) -> None:
        assert ends(coded([[3.0, 3, 3], [3.3, 3.3, 3.3]]), "mos", {})[0].tolist() == [3.0, pytest.approx(3.3)]

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("interval", ["t", "bootstrap"])
    def test_one_rating_has_none(self, coded: Coded, method: str, interval: str) -> None:
        """Not even where P.910 has a standard error for it, from the inconsistency of its rater."""
        scores = np.random.default_rng(0).normal(3, 1, (20, 6)).round(1)
        scores[4, 1:] = NAN
        options = {"interval": interval, "min_ratings": 1, "resamples": 100}
        options |= {"standard_error": "weights"} if method == "p910" else {}
        row = score_ratings(coded(scores), method, options).scores.to_pylist()[4]
        if row["n"]:
            assert (row["mos"] is None, row["ci_low"], row["ci_high"]) == (False, None, None)

    def test_one_rating_has_a_normal_interval_where_its_standard_error_is_known(self, coded: Coded) -> None:
        scores = np.random.default_rng(0).normal(3, 1, (20, 6))
        scores[4, 1:] = NAN
        options = {"interval": "normal", "min_ratings": 1, "standard_error": "weights"}
        row = score_ratings(coded(scores), "p910", options).scores.to_pylist()[4]
        assert row["ci_high"] - row["mos"] == pytest.approx(stats.norm.ppf(0.975) * row["se"])


class TestBootstrap:
    def test_of_the_mean_of_a_complete_design_it_resamples_the_columns(self, coded: Coded) -> None:
        scores = np.random.default_rng(2).integers(1, 6, (40, 15)).astype(float)
        times = draws(15, 300, seed=7)
        means = np.array([np.repeat(scores, drawn, axis=1).mean(axis=1) for drawn in times])
        for level in (0.95, 0.6):
            options = {"interval": "bootstrap", "resamples": 300, "seed": 7, "confidence": level}
            shares = np.array([(1 - level) / 2, (1 + level) / 2])
            found = ends(coded(scores), "mos", options)
            np.testing.assert_allclose(found, np.quantile(means, shares, axis=0), rtol=1e-6)

    @pytest.mark.parametrize("method", METHODS)
    def test_of_any_method_it_scores_tables_in_which_raters_come_more_than_once(
        self, coded: Coded, method: str
    ) -> None:
        """A partial design in two dimensions: resamples in which an item has too few ratings do not count."""
        random = np.random.default_rng(3)
        scores = (random.normal(3, 0.7, (12, 1, 2)) + random.normal(0, 0.5, (12, 8, 2))).round(1)
        scores[:, 0] = random.uniform(1, 5, (12, 2)).round(1)
        scores[random.random(scores.shape) < 0.3] = NAN
        scores[0, 2:] = NAN
        found = ends(coded(scores), method, BOOTSTRAP | {"resamples": 100})
        again = np.full((100, 24), NAN)
        for row, times in zip(again, draws(8, 100), strict=True):
            drawn = coded(np.repeat(scores, times, axis=1))
            items = [int(name[4:]) for name in drawn.items.to_pylist()]
            columns = [int(name[9:]) for name in drawn.dimensions.to_pylist()]
            mos = score_ratings(drawn, method).scores["mos"].to_numpy()
            row.reshape(12, 2)[np.ix_(items, columns)] = mos.reshape(len(items), len(columns))
        known = ~np.isnan(found[0])
        half_or_more = (~np.isnan(again)).mean(axis=0) >= 0.5
        assert known.sum() > 15
        assert not (known & ~half_or_more).any()
        expected = np.nanquantile(again[:, known], [0.025, 0.975], axis=0)
        np.testing.assert_allclose(np.array(found)[:, known], expected, rtol=2e-6)

    def test_it_screens_again(self, coded: Coded) -> None:
        """Eleven raters agree and the twelfth says the opposite of everything, and is excluded.

        Drawn twice or more, the two hide each other (of twelve, no two are more than 2.14 sigma off): they stay, which
        moves every score, and the interval says so.
        """
        random = np.random.default_rng(0)
        scores = np.where(np.arange(40) % 2, 1.5, 4.5)[:, None] + random.normal(0, 0.1, (40, 12)).round(2)
        scores[:, 11] = 6 - scores[:, 11]
        ratings = coded(scores)
        options = {"outlier_sigma": "2.2", "max_outlier_share": "0.5"}
        assert score_ratings(ratings, "paper", options).raters["excluded"].to_pylist() == [False] * 11 + [True]
        for times in draws(12, 40):
            excluded = score_ratings(resample_raters(ratings, times), "paper", options).raters["excluded"].to_pylist()
            assert excluded == [False] * 11 + [bool(times[11] == 1)]
        widths = [
            np.subtract(*ends(coded(table), "paper", options | BOOTSTRAP)[::-1]) for table in (scores, scores[:, :11])
        ]
        assert (widths[0] > 3 * widths[1]).all()

    def test_the_same_seed_gives_the_same_interval_whatever_the_order_of_rows(self) -> None:
        random = np.random.default_rng(5)
        item, rater = (axis.ravel() for axis in np.indices((15, 8)))
        value = random.normal(3, 1, 120).round(1)

        def found(order: np.ndarray, seed: int) -> pa.Table:
            columns = {"item": [f"i{v:02d}" for v in item[order]], "rater": [f"r{v}" for v in rater[order]]}
            table = pa.table({**columns, "dimension": ["d"] * 120, "score": value[order]})
            return score_ratings(validate_ratings(table, (-2, 8))[0], "bt500", BOOTSTRAP | {"seed": seed}).scores

        straight = found(np.arange(120), 0)
        assert found(random.permutation(120), 0).equals(straight)
        other = found(np.arange(120), 1)
        assert not other.equals(straight)
        assert other["mos"].equals(straight["mos"])

    def test_raters_without_ratings_are_not_drawn(self, coded: Coded) -> None:
        scores = np.random.default_rng(0).normal(3, 1, (10, 6))
        ratings = coded(scores)
        silent = validate_ratings(
            pa.table(
                {
                    "item": [*ratings.items.take(pa.array(ratings.item)).to_pylist(), "item00000"],
                    "rater": [*ratings.raters.take(pa.array(ratings.rater)).to_pylist(), "a silent one"],
                    "dimension": ["dimension0"] * 61,
                    "score": [*ratings.score.tolist(), None],
                }
            ),
            None,
            missing="drop",
        )[0]
        assert len(silent.raters) == 7
        np.testing.assert_array_equal(ends(silent, "mos", BOOTSTRAP), ends(ratings, "mos", BOOTSTRAP))

    def test_one_rater_tells_nothing_of_others(self, coded: Coded) -> None:
        """No interval where one rater gave all ratings, of everything or of an item, however often."""
        alone = score_ratings(coded([[1.0], [2], [4]]), "mos", BOOTSTRAP | {"min_ratings": 1}).scores
        assert (alone["mos"].null_count, alone["ci_low"].null_count, alone["ci_high"].null_count) == (0, 3, 3)
        columns = {
            "item": ["a"] * 3 + ["b"] * 3,
            "rater": ["r", "r", "r", "r", "s", "t"],
            "dimension": ["d"] * 6,
            "repetition": [0, 1, 2, 0, 0, 0],
            "score": [1.0, 2, 3, 3, 4, 5],
        }
        repeated = score_ratings(validate_ratings(pa.table(columns), (1, 5))[0], "mos", BOOTSTRAP).scores
        assert repeated["n"].to_pylist() == [3, 3]
        assert [low is None for low in repeated["ci_low"].to_pylist()] == [True, False]

    def test_what_refuses_the_ratings_does_not_refuse_a_resample(self, coded: Coded) -> None:
        """A resample without the one outlier that keeps a rater from being constant is no reason to stop."""
        random = np.random.default_rng(0)
        scores = random.normal(3, 1, (20, 6)).round(1)
        scores[:, 5] = 3.0
        scores[0, 5] = 4.0
        scores[0, :5] = [0, 4, 4, 4.2, 4.1]
        scores[1, 2:] = NAN
        strict = {"on_constant": "error", "on_too_few": "raise", "outlier_sigma": "1.7", "max_outlier_share": 1}
        result = score_ratings(coded(scores), "paper", strict | BOOTSTRAP)
        assert result.scores["ci_low"].null_count <= 1
        scores[0, 5] = 3.0
        with pytest.raises(UserError, match="same score to everything"):
            score_ratings(coded(scores), "paper", strict | BOOTSTRAP)

    def test_a_score_that_falls_back_has_an_interval_that_does(self, coded: Coded) -> None:
        scores = np.random.default_rng(0).normal(3, 1, (10, 8)).round(1)
        scores[2, 3:] = NAN
        options = BOOTSTRAP | {"min_ratings": 5, "on_too_few": "fallback"}
        fallen = score_ratings(coded(scores), "mos", options).scores.to_pylist()[2]
        plain = score_ratings(coded(scores), "mos", BOOTSTRAP | {"min_ratings": 1}).scores.to_pylist()[2]
        assert fallen == plain | {"reason": "fallback"}

    def test_progress_is_told_once_a_resample(self, coded: Coded) -> None:
        told: list[int] = []
        score_ratings(coded(np.eye(4)), "mos", {"interval": "bootstrap", "resamples": 100}, progress=told.append)
        assert told == [1] * 100

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(times=st.lists(st.integers(0, 3), min_size=4, max_size=4), seed=st.integers(0, 1000))
    def test_resampled_ratings_are_ordered_as_any_and_each_copy_is_a_rater(self, times: list[int], seed: int) -> None:
        random = np.random.default_rng(seed)
        there = np.argwhere(random.random((3, 2, 4, 2)) < 0.6)
        if sum(times) > 4 or not len(there):
            return
        item, dimension, rater, repetition = there.T
        columns = {
            "item": [f"i{v}" for v in item],
            "rater": [f"r{v}" for v in rater],
            "dimension": [f"d{v}" for v in dimension],
            "repetition": repetition,
            "score": random.normal(3, 1, len(there)),
        }
        ratings = validate_ratings(pa.table(columns), None)[0]
        times = [*times, 0, 0, 0, 0][: len(ratings.raters)]
        drawn = resample_raters(ratings, np.array(times))
        keys = list(zip(drawn.groups().tolist(), drawn.rater.tolist(), drawn.repetition.tolist(), strict=True))
        assert keys == sorted(set(keys))
        copies = [who for who, n in enumerate(times) for _ in range(n)]
        for new, old in enumerate(copies):
            mine, theirs = drawn.select(drawn.rater == new), ratings.select(ratings.rater == old)
            for name in ("item", "dimension", "repetition", "score", "index"):
                np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))


class TestCoverage:
    """Shares of 95 % intervals that hold the truth, of 15 raters who differ only by noise."""

    def share(self, coded: Coded, method: str, options: dict[str, Any], raters: int, studies: int) -> float:
        random = np.random.default_rng(17)
        inside = []
        for _ in range(studies):
            truth = random.normal(3, 0.8, 400)
            low, high = ends(coded(truth[:, None] + random.normal(0, 0.7, (400, raters))), method, options)
            inside.append((low <= truth) & (truth <= high))
        return float(np.mean(inside))

    @pytest.mark.parametrize("raters", [3, 5, 15])
    def test_t_covers_what_it_says(self, coded: Coded, raters: int) -> None:
        assert self.share(coded, "mos", {}, raters, 10) == pytest.approx(0.95, abs=0.012)

    @pytest.mark.parametrize(("raters", "share"), [(5, 0.877), (15, 0.930)])
    def test_the_normal_quantile_covers_less(self, coded: Coded, raters: int, share: float) -> None:
        assert self.share(coded, "mos", {"interval": "normal"}, raters, 10) == pytest.approx(share, abs=0.012)

    def test_the_bootstrap_of_fifteen_raters_covers_nearly_what_it_says(self, coded: Coded) -> None:
        """Percentiles lie closer by sqrt((n - 1) / n) and know no t: by both, 92.1 % are to be expected."""
        expected = 1 - 2 * stats.t.sf(stats.norm.ppf(0.975) * np.sqrt(14 / 15), 14)
        share = self.share(coded, "mos", {"interval": "bootstrap", "resamples": 400}, 15, 6)
        assert expected == pytest.approx(0.921, abs=0.0005)
        assert share == pytest.approx(expected, abs=0.012)
