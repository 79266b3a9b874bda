"""Every row of a table of ratings is either coded or set aside with its reason, and order does not matter."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.errors import UserError
from mos.table import Ratings, Rejection, design_completeness, locate_rejections, rejections_error, validate_ratings


def table(rows: list[tuple[object, object, object, object]], **more: list[object]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    return pa.table(dict(zip(("item", "rater", "dimension", "score"), map(list, columns), strict=True)) | more)


def decoded(ratings: Ratings) -> list[tuple[str, str, str, float]]:
    return [
        (ratings.items[i].as_py(), ratings.raters[r].as_py(), ratings.dimensions[d].as_py(), float(s))
        for i, r, d, s in zip(ratings.item, ratings.rater, ratings.dimension, ratings.score, strict=True)
    ]


def reasons(problems: list[Rejection]) -> list[tuple[int, str]]:
    return [(problem.row, problem.reason) for problem in problems]


def test_coded_in_one_order_with_the_way_back() -> None:
    rows = [("b", "r", "y", 1.0), ("a", "s", "y", 2.0), ("a", "r", "y", 3.0), ("a", "s", "x", 4.0)]
    ratings, problems = validate_ratings(table(rows), None)
    assert problems == []
    assert decoded(ratings) == [("a", "s", "x", 4.0), ("a", "r", "y", 3.0), ("a", "s", "y", 2.0), ("b", "r", "y", 1.0)]
    assert ratings.index.tolist() == [3, 2, 1, 0]
    assert (ratings.item.dtype, ratings.rater.dtype, ratings.dimension.dtype) == (np.int32, np.int32, np.int16)
    assert ratings.scale == (1.0, 4.0)


@pytest.mark.parametrize(
    ("row", "reason", "message"),
    [
        ((None, "r", "x", "3"), "missing_item", "the item is blank"),
        (("  ", "r", "x", "3"), "missing_item", "the item is blank"),
        (("a", "\t", "x", "3"), "missing_rater", "the rater is blank"),
        (("a", "r", "", "3"), "missing_dimension", "the dimension is blank"),
        (("a", "r", "xx", "3"), "unknown_dimension", "unknown dimension 'xx'. Did you mean 'x'? Expected one of x, y"),
        (("a", "r", "x", ""), "missing_score", "the score is blank"),
        (("a", "r", "x", None), "missing_score", "the score is blank"),
        (("a", "r", "x", "good"), "not_a_number", "the score 'good' is not a number"),
        (("a", "r", "x", "3,5"), "not_a_number", "write decimals with a point"),
        (("a", "r", "x", "1_0"), "not_a_number", "the score '1_0' is not a number"),
        (("a", "r", "x", "0x3"), "not_a_number", "the score '0x3' is not a number"),
        (("a", "r", "x", "nan"), "nan_score", "NaN"),
        (("a", "r", "x", "-inf"), "infinite_score", "infinite"),
        (("a", "r", "x", "5.01"), "out_of_scale", "the score 5.01 is outside the scale from 1 to 5; correct it"),
        (("a", "r", "x", "-1"), "out_of_scale", "a mark for a missing answer"),
        (("a", "r", "x", "9" * 300), "out_of_scale", "the score 9999"),
    ],
)
def test_a_bad_row_is_set_aside_and_the_good_ones_stay(
    row: tuple[object, object, object, object], reason: str, message: str
) -> None:
    rows = [("a", "q", "x", "1"), row, ("b", "q", "y", " 5 ")]
    ratings, problems = validate_ratings(table(rows), (1, 5), dimensions=("y", "x"))
    assert reasons(problems) == [(1, reason)]
    assert message in problems[0].message
    assert len(problems[0].message) < 200
    assert decoded(ratings) == [("a", "q", "x", 1.0), ("b", "q", "y", 5.0)]


def test_the_first_rating_counts_and_the_others_name_it() -> None:
    rows = [("b", "r", "x", 1), ("a", "r", "x", 2), ("a", "r", "x", 3), ("b", "r", "x", 4), ("a", " r", "x", 5)]
    ratings, problems = validate_ratings(table(rows), None)
    assert [s for *_, s in decoded(ratings)] == [2.0, 1.0]
    assert reasons(problems) == [(2, "duplicate_rating"), (3, "duplicate_rating"), (4, "duplicate_rating")]
    assert ["row 2" in p.message for p in problems] == [True, False, True]
    _, problems = validate_ratings(table(rows, file=["f.csv"] * 5, row=[2, 3, 4, 5, 9]), None)
    assert "(f.csv, row 3)" in problems[0].message


@pytest.mark.parametrize("blank", ["", " ", None, "nan", " NaN "])
def test_a_missing_score_may_mean_that_there_is_no_rating(blank: str | None) -> None:
    rows = [("a", "r", "x", "3"), ("b", "s", "x", blank), ("a", "r", "x", blank), ("c", "r", "x", "inf")]
    ratings, problems = validate_ratings(table(rows), None, missing="drop")
    assert decoded(ratings) == [("a", "r", "x", 3.0)]
    assert (ratings.items.to_pylist(), ratings.raters.to_pylist()) == (["a", "b", "c"], ["r", "s"])
    assert (ratings.dropped, reasons(problems)) == (2, [(3, "infinite_score")])
    rejected, problems = validate_ratings(table(rows), None)
    assert (rejected.dropped, len(problems)) == (0, 3)


def test_missing_scores_of_a_column_of_numbers() -> None:
    columns = {"item": ["a", "b", "c"], "rater": ["r"] * 3, "dimension": ["x"] * 3, "score": [1.0, None, np.nan]}
    ratings, problems = validate_ratings(pa.table(columns), (1, 5), missing="drop")
    assert (len(ratings), ratings.dropped, problems) == (1, 2, [])


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        (pa.array([9001.0, None, np.nan, 9002.0]), ["9001", "9002"]),
        (pa.array([9001.0, 9001.5, None, np.nan], pa.float32()), ["9001", "9001.5"]),
        (pa.array(["e\u0301", "\u00e9", " \u00e9\u00a0", "e"]), ["e", "e\u0301", "\u00e9"]),
        (pa.array(["\u2126", "\u03a9", "7", "007"]), ["007", "7", "\u03a9", "\u2126"]),
        (pa.array(["9001.0", "9001", "A", "a"]), ["9001", "9001.0", "A", "a"]),
        (pa.array([1, 1, 10, 9], pa.int8()).dictionary_encode(), ["1", "10", "9"]),
        (pa.array([None, "", "\t", None]), []),
    ],
)
def test_ids_as_they_are_meant(ids: pa.Array, labels: list[str]) -> None:
    """Blank ids are none whatever the column's type; what differs as text stays apart."""
    columns = {"item": ids, "rater": ["r", "s", "t", "u"], "dimension": ["x"] * 4, "score": [1.0] * 4}
    ratings, problems = validate_ratings(pa.table(columns), None)
    assert ratings.items.to_pylist() == labels
    assert {problem.reason for problem in problems} <= {"missing_item"}
    assert len(ratings) + len(problems) == 4


def test_a_dimension_in_another_unicode_form_is_unknown_and_shown() -> None:
    _, problems = validate_ratings(table([("a", "r", "e\u0301", 3)]), None, dimensions=["\u00e9", "f"])
    assert [problem.reason for problem in problems] == ["unknown_dimension"]
    assert "It is there in another spelling (U+00E9 and U+0065 U+0301)" in problems[0].message


@pytest.mark.parametrize("mark", ["NA", "N/A", "#N/A", "<NA>", "null", "NULL", "None", ".", "-", "n/a"])
def test_a_mark_for_a_missing_score_is_no_score(mark: str) -> None:
    rows = table([("a", "r", "x", "4"), ("b", "r", "x", mark)])
    ratings, problems = validate_ratings(rows, (1, 5))
    assert (len(ratings), [problem.reason for problem in problems]) == (1, ["missing_score"])
    assert problems[0].message == f"'{mark}' stands for no score; leave the row out when there is no rating"
    ratings, problems = validate_ratings(rows, (1, 5), missing="drop")
    assert (len(ratings), ratings.dropped, problems) == (1, 1, [])


@pytest.mark.parametrize("scale", [(1, np.inf), (-np.inf, 5), (np.nan, 5), (5, 1)])
def test_a_scale_has_two_ends(scale: tuple[float, float]) -> None:
    with pytest.raises(UserError, match="from a lower to a higher number"):
        validate_ratings(table([("a", "r", "x", 4)]), scale)


def test_a_column_of_ids_is_no_dimension() -> None:
    """1,000 dimensions of 20,000 items would be 20 million cells for 20,000 ratings."""
    rows = [(f"i{at}", "r", f"d{at % 1000}", 3.0) for at in range(20_000)]
    with pytest.raises(UserError, match="1000 different values for 20,000 items and 20,000 ratings"):
        validate_ratings(table(rows), None)


def test_all_problems_of_a_file_are_one_sentence() -> None:
    rows = [("a", "r", "x", score) for score in ("bad", "1", "9", "", "8", "7", "1e9")]
    lines = table(rows, row=[2, 3, 4, 7, 8, 9, 10])
    _, problems = validate_ratings(lines, (1, 5))
    broken = Rejection(
        "rating", "", 5, "wrong_number_of_fields", "expected 4 fields like the header, found 3; correct the row"
    )
    told = str(rejections_error([*locate_rejections(problems, lines), broken], Path("study.csv")))
    assert told.startswith("study.csv: 7 rows cannot be used as they are: row 2: the score 'bad' is not a number;")
    assert [f"row {row}:" in told for row in (2, 4, 5, 7, 8, 9, 10)] == [True] * 5 + [False] * 2
    assert told.endswith("; and 2 more.")
    assert str(rejections_error(problems[:1], Path("s.csv"))).startswith("s.csv: 1 row cannot be used as it is: row 0:")
    assert [problem.row for problem in locate_rejections(problems, lines.drop_columns("row"))][:2] == [1, 3]


def test_how_full_the_design_is() -> None:
    rows = [("a", "r", "x", 1), ("a", "s", "x", 1), ("b", "r", "x", 1), ("c", "t", "y", 9)]
    ratings, _ = validate_ratings(table(rows), (1, 5), dimensions=("x", "y"))
    assert design_completeness(ratings).to_pylist() == [
        {"dimension": "x", "items": 3, "items_rated": 2, "raters": 2, "ratings": 3, "fill": 0.5},
        {"dimension": "y", "items": 3, "items_rated": 0, "raters": 0, "ratings": 0, "fill": None},
    ]
    again, _ = validate_ratings(table([("a", "r", "x", 1)] * 2, repetition=[1, 2]), None)
    assert design_completeness(again)["fill"].to_pylist() == [1.0]


def test_a_bad_rating_does_not_make_the_next_one_a_duplicate() -> None:
    ratings, problems = validate_ratings(table([("a", "r", "x", 9), ("a", "r", "x", 3)]), (1, 5))
    assert [s for *_, s in decoded(ratings)] == [3.0]
    assert reasons(problems) == [(0, "out_of_scale")]


def test_items_raters_and_dimensions_without_a_good_rating_stay_known() -> None:
    ratings, _ = validate_ratings(table([("a", "r", "x", 3), ("b", "s", "x", 9)]), (1, 5), dimensions=("x", "y"))
    assert ratings.items.to_pylist() == ["a", "b"]
    assert ratings.raters.to_pylist() == ["r", "s"]
    assert ratings.dimensions.to_pylist() == ["x", "y"]


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "9.0 ", "-1"], [2, 1, 1, 0]),
        (["pm", "am", "am", "after"], [2, 1, 1, 0]),
        ([10, 9, 9, 2], [2, 1, 1, 0]),
    ],
)
def test_a_rater_may_rate_an_item_once_a_repetition(labels: list[object], order: list[int]) -> None:
    rows = [("a", "r", "x", 1.0), ("a", "r", "x", 2.0), ("a", "s", "x", 3.0), ("a", "r", "x", 4.0)]
    ratings, problems = validate_ratings(table(rows, repetition=labels), None)
    assert problems == []
    assert ratings.index.tolist() == [3, 1, 0, 2]
    assert (ratings.repetition.tolist(), ratings.repetition.dtype) == ([order[at] for at in (3, 1, 0, 2)], np.int32)
    assert (ratings.repetitions, ratings.select(ratings.rater == 1).repetitions) == (3, 2)


def test_a_repetition_is_not_blank_and_comes_once() -> None:
    rows = [("a", "r", "x", 1.0), ("a", "r", "x", 2.0), ("a", "r", "x", 3.0), ("a", "r", "x", 4.0)]
    ratings, problems = validate_ratings(table(rows, repetition=["1", None, "2", "1"]), None)
    assert ratings.score.tolist() == [1.0, 3.0]
    assert reasons(problems) == [(1, "missing_repetition"), (3, "duplicate_rating")]
    assert "in this dimension and repetition before (row 1)" in problems[1].message


def test_without_repetitions_all_are_the_first() -> None:
    ratings, _ = validate_ratings(table([("a", "r", "x", 1.0), ("b", "r", "y", 2.0)]), None)
    assert (ratings.repetition.tolist(), ratings.repetitions) == ([0, 0], 1)
    assert (validate_ratings(table([]), None)[0].repetitions, ratings.repetition.dtype) == (1, np.int32)


def test_where_a_rating_stands_among_items_raters_and_dimensions() -> None:
    rows = [("a", "r", "x", 1.0), ("b", "r", "y", 2.0), ("b", "s", "x", 2.0)]
    ratings, _ = validate_ratings(table(rows), None)
    assert ratings.groups().tolist() == [0, 2, 3]
    assert ratings.rater_keys().tolist() == [0, 2, 1]
    assert ratings.select(np.array([1, 2])).groups().tolist() == [2, 3]


@pytest.mark.parametrize(
    "scores",
    [
        pa.array([1, 2], pa.int64()),
        pa.array([1, 2], pa.uint8()),
        pa.array([1.0, 2.0], pa.float32()),
        pa.array([Decimal("1.0"), Decimal("2.0")]),
        pa.array(["1", "2e0"]).dictionary_encode(),
        pa.array(["1", "+2"], pa.large_string()),
        pa.array([1.0, 2.0]).dictionary_encode(),
    ],
)
@pytest.mark.parametrize(
    "ids", [pa.array(["1", "2"]), pa.array([1, 2]), pa.array([1.0, 2.0]), pa.array(["1 ", "2"]).dictionary_encode()]
)
def test_types_do_not_matter(scores: pa.Array, ids: pa.Array) -> None:
    columns = {"item": ids, "rater": ids, "dimension": pa.array(["x", "x"]), "score": scores}
    ratings, problems = validate_ratings(pa.table(columns), None)
    assert problems == []
    assert decoded(ratings) == [("1", "1", "x", 1.0), ("2", "2", "x", 2.0)]


def test_32_bit_scores_are_the_decimals_that_were_meant() -> None:
    columns = {"item": ["a"], "rater": ["r"], "dimension": ["x"], "score": pa.array([3.7], pa.float32())}
    assert validate_ratings(pa.table(columns), None)[0].score.tolist() == [3.7]


def test_empty_table() -> None:
    ratings, problems = validate_ratings(table([]), (1, 5), dimensions=("x",))
    assert (len(ratings), problems, ratings.items.to_pylist()) == (0, [], [])


def test_whole_columns_that_cannot_be_are_one_sentence() -> None:
    good = table([("a", "r", "x", 3)])
    with pytest.raises(UserError, match=r"lacks score; it has item, rater, dimension"):
        validate_ratings(good.drop_columns("score"), None)
    with pytest.raises(UserError, match="'score' holds bool; expected numbers"):
        validate_ratings(good.set_column(3, "score", pa.array([True])), None)
    with pytest.raises(UserError, match="'rater' holds list"):
        validate_ratings(good.set_column(1, "rater", pa.array([["r"]])), None)
    with pytest.raises(UserError, match="got 5 to 1"):
        validate_ratings(good, (5, 1))
    with pytest.raises(UserError, match="duplicates must be one of error, first, last, mean, repetition; got 'all'"):
        validate_ratings(good, None, duplicates="all")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="missing must be one of reject, drop; got 'keep'"):
        validate_ratings(good, None, missing="keep")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="2000 different values"):
        validate_ratings(table([("a", "r", str(n), 3) for n in range(2000)]), None)


def test_chunks_and_nulls() -> None:
    parts = [table([("a", "r", "x", "1"), (None, "r", "x", "2")]), table([("b", "s", "x", "3"), ("a", "s", "x", None)])]
    ratings, problems = validate_ratings(pa.concat_tables(parts), None)
    assert decoded(ratings) == [("a", "r", "x", 1.0), ("b", "s", "x", 3.0)]
    assert reasons(problems) == [(1, "missing_item"), (3, "missing_score")]


texts = st.sampled_from(["1", "2.5", "5", "6", "nan", "x", "", None])
rows_of_ratings = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["r", "s", " ", None]), st.sampled_from("xy"), texts), max_size=30
)


@given(rows_of_ratings)
def test_every_row_is_coded_or_set_aside_as_a_plain_loop_would(rows: list[tuple[str, str | None, str, str]]) -> None:
    seen: dict[tuple[str, str, str], float] = {}
    bad: list[int] = []
    for number, (item, rater, dimension, score) in enumerate(rows):
        valid = rater is not None and rater.strip() and score in ("1", "2.5", "5")
        if not valid or (item, rater, dimension) in seen:
            bad.append(number)
        else:
            seen[item, rater, dimension] = float(score)
    columns = zip(*rows, strict=True) if rows else ([],) * 4
    names = ("item", "rater", "dimension", "score")
    arrays = {n: pa.array(list(c), pa.string()) for n, c in zip(names, columns, strict=True)}
    ratings, problems = validate_ratings(pa.table(arrays), (1, 5))
    assert [problem.row for problem in problems] == bad
    assert {(i, r, d): s for i, r, d, s in decoded(ratings)} == seen
    assert sorted([*ratings.index.tolist(), *bad]) == list(range(len(rows)))


def test_large_keys_are_sorted_as_numpy_sorts() -> None:
    random = np.random.default_rng(3)
    rows = 5000
    item, rater = random.integers(0, 3000, rows), random.integers(0, 2000, rows)
    columns = {"item": item, "rater": rater, "dimension": ["x"] * rows, "score": random.integers(1, 6, rows)}
    ratings, problems = validate_ratings(pa.table(columns), None)
    key = ratings.item.astype(np.int64) * len(ratings.raters) + ratings.rater
    assert (np.diff(key) > 0).all()
    pairs = list(zip(item.tolist(), rater.tolist(), strict=True))
    assert sorted(ratings.index.tolist()) == sorted(
        {pair: row for row, pair in reversed(list(enumerate(pairs)))}.values()
    )
    assert len(problems) == rows - len(set(pairs))
