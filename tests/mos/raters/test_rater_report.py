"""The table: its columns, its nulls, its independence of order and names, and whom it finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest

from mos.errors import UserError
from mos.raters import RATER_COLUMNS, report_raters
from mos.ratings import Ratings
from mos.table import validate_ratings

Simulated = Callable[..., tuple[Ratings, np.ndarray]]


def read(path: Path) -> Ratings:
    kinds = dict.fromkeys(["image_id", "annotator_id", "repetition"], pa.string())
    table = pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types=kinds))
    names = {"image_id": "item", "annotator_id": "rater"}
    return validate_ratings(table.rename_columns([names.get(name, name) for name in table.column_names]), None)[0]


def figures(ratings: Ratings, column: str, **how: Any) -> np.ndarray:
    return np.array(report_raters(ratings, **how)[column].to_pylist(), float)


def test_every_column_is_explained_and_nothing_else(study: Any) -> None:
    table = report_raters(study(dimensions=2))
    assert table.column_names == list(RATER_COLUMNS)
    for name, text in RATER_COLUMNS.items():
        assert text.endswith("."), name
        assert "\n" not in text


def test_counts_are_integers_and_figures_are_numbers(study: Any) -> None:
    schema = report_raters(study(repetitions=2)).schema
    for name in ("n", "items", "flagged", "bt500_p", "levels", "longest_run", "retests"):
        assert schema.field(name).type == pa.int64()
    for name in ("share", "bias", "rank_influence"):
        assert schema.field(name).type == pa.float64()
    assert schema.field("excluded").type == pa.bool_()
    assert schema.field("reason").type == pa.string()


@pytest.mark.parametrize("dimensions", [1, 2])
def test_no_figure_is_nan_or_infinite(dimensions: int, study: Any) -> None:
    for seed in range(20):
        ratings = study(seed, items=5, raters=6, fill=0.15 + 0.04 * seed, dimensions=dimensions)
        table = report_raters(ratings)
        for name in table.column_names:
            if pa.types.is_floating(table[name].type):
                assert pc.all(pc.is_finite(table[name].drop_null())).as_py() in (True, None), name


def test_a_rater_with_one_rating_or_none_has_nulls(coded: Callable[..., Ratings]) -> None:
    scores = np.random.default_rng(0).integers(1, 6, (10, 5)).astype(float)
    scores[1:, 3] = np.nan
    ratings = coded(scores)
    ratings = ratings.select(ratings.rater != 4)  # the name stays
    table = report_raters(ratings).to_pylist()
    zero = {"rater", "n", "items", "alone", "screened", "bt500_p", "bt500_q", "retests"}
    flags = {"flagged", "share", "expected_share", "share_low", "share_high", "share_p", "share_p_holm"}
    assert {name for name, value in table[4].items() if value is not None} == zero
    assert {name for name, value in table[3].items() if value is not None} == zero | flags
    assert [row["n"] for row in table] == [10, 10, 10, 1, 0]


@pytest.mark.parametrize("shape", [(0, 3, 1), (3, 0, 1), (1, 1, 1), (1, 3, 2), (4, 1, 1)])
def test_the_smallest_studies_have_a_table(shape: tuple[int, int, int], coded: Callable[..., Ratings]) -> None:
    table = report_raters(coded(np.full(shape, 3.0)))
    assert table.num_rows == (shape[1] if shape[0] else 0)


def shuffled(ratings: Ratings, times: np.ndarray, seed: int, names: dict[str, str]) -> tuple[Ratings, np.ndarray]:
    """The same ratings, rows in another order and raters under other names."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(ratings))
    table = pa.table(
        {
            "item": [ratings.items.to_pylist()[i] for i in ratings.item[order]],
            "rater": [names[ratings.raters.to_pylist()[r]] for r in ratings.rater[order]],
            "dimension": [ratings.dimensions.to_pylist()[d] for d in ratings.dimension[order]],
            "score": ratings.score[order],
        }
    )
    again, _ = validate_ratings(table, ratings.scale)
    return again, times[order][again.index]


def test_order_of_rows_and_names_of_raters_change_nothing(study: Any) -> None:
    ratings = study(8, items=30, raters=7, dimensions=2, fill=0.7)
    times = np.random.default_rng(1).permutation(len(ratings)).astype(float)
    names = ratings.raters.to_pylist()
    other = dict(zip(names, reversed([f"x{name}" for name in names]), strict=True))
    first = {row["rater"]: row for row in report_raters(ratings, times=times).to_pylist()}
    again, moved = shuffled(ratings, times, 2, other)
    second = {row["rater"]: row for row in report_raters(again, times=moved).to_pylist()}
    for name, row in first.items():
        found = second[other[name]]
        assert [value is None for value in found.values()] == [value is None for value in row.values()]
        known = [key for key, value in row.items() if value is not None and key != "rater"]
        assert [found[key] for key in known] == pytest.approx([row[key] for key in known], rel=1e-9, abs=1e-12)


def test_it_changes_no_input(study: Any) -> None:
    ratings = study(1)
    before = [array.copy() for array in (ratings.score, ratings.item, ratings.rater, ratings.index)]
    report_raters(ratings)
    for array, copy in zip((ratings.score, ratings.item, ratings.rater, ratings.index), before, strict=True):
        assert (array == copy).all()


def test_the_table_says_where_its_sequence_comes_from(study: Any) -> None:
    ratings = study()
    assert report_raters(ratings).schema.metadata == {b"sequence": b"rows"}
    assert report_raters(ratings, times=np.arange(len(ratings))).schema.metadata == {b"sequence": b"times"}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (np.zeros(3), r"one number or time for each of \d+ ratings; got float64 of shape \(3,\)"),
        (np.array(["a"]), "one number or time for each"),
    ],
)
def test_times_that_do_not_fit_are_refused(times: np.ndarray, message: str, study: Any) -> None:
    with pytest.raises(UserError, match=message):
        report_raters(study(), times=times)
    with pytest.raises(UserError, match=message):
        report_raters(study(), times=times, dimension="d0")


@pytest.mark.parametrize("missing", [np.nan, np.datetime64("NaT")])
def test_missing_times_are_refused(missing: Any, study: Any) -> None:
    ratings = study()
    times = np.arange(len(ratings)).astype("datetime64[s]" if isinstance(missing, np.datetime64) else float)
    times[[0, 4]] = missing
    with pytest.raises(UserError, match=f"2 of {len(ratings)} ratings have no time"):
        report_raters(ratings, times=times)


def test_an_unknown_dimension_is_refused(study: Any) -> None:
    with pytest.raises(UserError, match=r"Unknown dimension 'x'\. Expected one of d0, d1"):
        report_raters(study(dimensions=2), dimension="x")
    with pytest.raises(UserError, match="Did you mean 'd1'"):
        report_raters(study(dimensions=2), dimension="dd1")


class TestCarelessRaters:
    """One of twenty raters is made careless in one way; the column for it finds that one."""

    items, raters, who = 120, 20, 7

    @pytest.fixture
    def scores(self) -> np.ndarray:
        random = np.random.default_rng(5)
        quality = random.uniform(1.5, 4.5, (self.items, 1))
        return np.clip(np.round(quality + random.normal(0, 0.6, (self.items, self.raters))), 1, 5)

    def found(self, ratings: Ratings, column: str, largest: bool = True) -> int:
        values = figures(ratings, column)
        return int(np.nanargmax(values) if largest else np.nanargmin(values))

    def test_a_straight_liner_repeats(self, scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
        scores[:, self.who] = np.repeat(np.resize([3, 4, 2, 5, 1, 3], 12), 10)
        ratings = coded(scores, (1, 5))
        assert self.found(ratings, "repeats_excess") == self.who
        assert self.found(ratings, "longest_run_p", largest=False) == self.who
        assert figures(ratings, "longest_run_p")[self.who] < 1e-3

    def test_who_always_gives_the_same_score_uses_one_level(
        self, scores: np.ndarray, coded: Callable[..., Ratings]
    ) -> None:
        scores[:, self.who] = 3
        ratings = coded(scores, (1, 5))
        for column in ("levels", "entropy", "range_used"):
            assert self.found(ratings, column, largest=False) == self.who
        row = report_raters(ratings).to_pylist()[self.who]
        assert (row["repeats"], row["repeats_excess"], row["longest_run_p"]) == (1, 0, 1)  # no order is unlikely
        assert row["pearson"] is None

    def test_a_random_rater_correlates_with_nobody_and_scatters(
        self, scores: np.ndarray, coded: Callable[..., Ratings]
    ) -> None:
        scores[:, self.who] = np.random.default_rng(6).integers(1, 6, self.items)
        ratings = coded(scores, (1, 5))
        for column in ("pearson", "spearman", "share_p_holm"):
            assert self.found(ratings, column, largest=False) == self.who
        for column in ("inconsistency", "share", "rank_influence"):
            assert self.found(ratings, column) == self.who

    def test_a_drifting_rater_drifts(self, scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
        times = np.random.default_rng(7).permutation(self.items * self.raters).reshape(self.items, self.raters)
        place = np.argsort(np.argsort(times[:, self.who])) / (self.items - 1)
        scores[:, self.who] = np.clip(np.round(scores[:, self.who] + 1.5 * place - 0.75), 1, 5)
        table = report_raters(coded(scores, (1, 5)), times=times.ravel()).to_pylist()
        drifts = [row["rater"] for row in table if row["drift_low"] > 0.3]
        assert drifts == [table[self.who]["rater"]]

    def test_a_rater_of_extremes_uses_the_ends(self, scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
        scores[:, self.who] = np.where(scores[:, self.who] >= 3, 5, 1)
        ratings = coded(scores, (1, 5))
        assert self.found(ratings, "extremes") == self.who
        assert figures(ratings, "levels")[self.who] == 2

    def test_a_rater_who_gives_up_halfway_gets_inconsistent(
        self, scores: np.ndarray, coded: Callable[..., Ratings]
    ) -> None:
        scores[60:, self.who] = np.random.default_rng(8).integers(1, 6, 60)
        assert self.found(coded(scores, (1, 5)), "inconsistency_ratio") == self.who

    def test_a_halo_makes_dimensions_alike(self, scores: np.ndarray, coded: Callable[..., Ratings]) -> None:
        random = np.random.default_rng(9)
        both = np.clip(np.round(scores[:, :, None] + random.normal(0, 1, (*scores.shape, 3))), 1, 5)
        both[:, self.who] = both[:, self.who, :1]
        table = report_raters(coded(both, (1, 5)))
        excess = np.array(table["alike"].to_pylist()) - np.array(table["alike_expected"].to_pylist())
        assert np.argmax(excess) == self.who
        assert table["alike"].to_pylist()[self.who] == 1


def test_the_four_scrambled_subjects_of_nflx_stand_out(real: Callable[[str], Path]) -> None:
    """In flags, correlation, inconsistency, intervals of these, and influence; not in bias or scale use."""
    ratings = read(real("nflx_public_last4outliers.csv"))
    table = report_raters(ratings).to_pylist()
    names = {"s026", "s027", "s028", "s029"}

    def first_four(column: str, largest: bool) -> set[str]:
        return {row["rater"] for row in sorted(table, key=lambda row: row[column], reverse=largest)[:4]}

    for column in ("share", "inconsistency", "rank_influence"):
        assert first_four(column, True) == names
    for column in ("pearson", "spearman", "share_p"):
        assert first_four(column, False) == names
    scrambled, others = ([row for row in table if (row["rater"] in names) is inside] for inside in (True, False))
    assert min(row["inconsistency_low"] for row in scrambled) > max(row["inconsistency_high"] for row in others)
    assert all(row["share"] > row["share_high"] and row["share_p_holm"] < 1e-6 for row in scrambled)
    assert all(row["share_p_holm"] > 0.05 for row in others)


def test_repetitions_of_agh_ntia_are_compared(real: Callable[[str], Path]) -> None:
    ratings = read(real("agh_ntia.csv"))
    table = report_raters(ratings).to_pylist()
    assert sum(row["n"] for row in table) == 6960
    again = [row for row in table if row["retests"]]
    assert again
    for row in again:
        assert row["items"] < row["n"]
        assert 0 <= row["retest_difference"] < 1.5
        assert 0 < row["retest_icc"] <= 1


def test_a_large_real_study_has_every_figure(real: Callable[[str], Path]) -> None:
    table = report_raters(read(real("its4s2_images.csv")))
    empty = {name for name in table.column_names if table[name].null_count == table.num_rows}
    repeated = {"retest_difference", "retest_pearson", "retest_icc"}
    assert empty == {"excluded", "reason", "alike", "alike_expected"} | repeated
