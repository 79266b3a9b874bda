"""A rater who rated the same thing again: each policy keeps what it says, and tells of all the rest."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.errors import UserError
from mos.table import Ratings, Rejection, validate_ratings
from mos.table.duplicates import DuplicateHandling

Row = tuple[str, str, str, float]
ROWS: list[Row] = [
    ("b", "r", "x", 1.0),
    ("a", "r", "x", 2.0),
    ("a", "r", "x", 4.0),
    ("b", "r", "x", 5.0),
    ("a", " r", "x", 3.0),
    ("a", "s", "x", 5.0),
]


def table(rows: list[Row], **more: list[object]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    return pa.table(dict(zip(("item", "rater", "dimension", "score"), map(list, columns), strict=True)) | more)


def coded(policy: DuplicateHandling, rows: list[Row] = ROWS, **more: list[object]) -> tuple[Ratings, list[Rejection]]:
    return validate_ratings(table(rows, **more), None, duplicates=policy)


@pytest.mark.parametrize(
    ("policy", "index", "score", "problems"),
    [
        ("first", [1, 5, 0], [2, 5, 1], [2, 3, 4]),
        ("last", [4, 5, 3], [3, 5, 5], [0, 1, 2]),
        ("mean", [1, 5, 0], [3, 5, 3], [2, 3, 4]),
        ("repetition", [1, 2, 4, 5, 0, 3], [2, 4, 3, 5, 1, 5], []),
    ],
)
def test_what_counts(policy: DuplicateHandling, index: list[int], score: list[float], problems: list[int]) -> None:
    ratings, found = coded(policy)
    assert ratings.index.tolist() == index
    assert ratings.score.tolist() == score
    assert [problem.row for problem in found] == problems


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize(
    ("times", "kept"),
    [
        (["2026-03", "2026-02", "2026-01", "2026-02", "2026-01", None], [1, 5, 0]),
        (["2026-01", "2026-02", "2026-02", "2026-02", "2026-02", None], [4, 5, 3]),
        (["2026-01", None, "2026-01", None, "", None], [2, 5, 0]),
        ([None] * 6, [4, 5, 3]),
    ],
)
def test_the_last_is_the_latest_where_there_are_times(
    kind: pa.DataType, times: list[str | None], kept: list[int]
) -> None:
    rated_at = pa.array(times, pa.string()).cast(kind)
    ratings, problems = validate_ratings(table(ROWS).append_column("rated_at", rated_at), None, duplicates="last")
    assert ratings.index.tolist() == kept
    assert ratings.score.tolist() == [ROWS[row][3] for row in kept]
    assert sorted([*kept, *(problem.row for problem in problems)]) == list(range(6))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2026-01-09T11:05:00+02:00", "2026-01-09T10:05:00+00:00"),
        ("2026-01-09T10:05:00Z", "2026-01-09 10:06:00Z"),
        ("2026-01-09T10:05:00Z", "2026-01-09T10:05:00.5Z"),
        ("999999999", "1000000000"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_last_goes_by_times_that_do_not_sort_as_text(older: str, newer: str, turned: bool) -> None:
    rows: list[Row] = [("a", "r", "x", 5.0), ("a", "r", "x", 1.0)]
    times: list[object] = [older, newer]
    step = -1 if turned else 1
    ratings, problems = coded("last", rows[::step], rated_at=times[::step])
    assert (ratings.score.tolist(), [problem.reason for problem in problems]) == ([1.0], ["duplicate_rating"])


@pytest.mark.parametrize(
    "times",
    [
        ["1/9/2026 10:05", "1/9/2026 9:05"],
        ["10.01.2026", "02.02.2026"],
        ["2026-01-09 09:00 AM", "2026-01-09 01:00 PM"],
        ["2026-01-09", "1767953100"],
    ],
)
def test_where_times_have_no_order_the_last_row_counts_and_that_is_told(times: list[object]) -> None:
    rows: list[Row] = [("a", "r", "x", 5.0), ("b", "r", "x", 2.0), ("a", "r", "x", 1.0)]
    ratings, problems = coded("last", rows, rated_at=[times[0], None, times[1]])
    assert ratings.score.tolist() == [1.0, 2.0]
    assert [(problem.row, problem.reason) for problem in problems] == [(0, "duplicate_unordered")]
    assert f"The last row counts, since their times have no order ({times[0]!r})" in problems[0].message


def test_repetitions_are_numbered_in_table_order() -> None:
    ratings, _ = coded("repetition")
    assert (ratings.repetition.tolist(), ratings.repetition.dtype) == ([0, 1, 2, 0, 0, 1], np.int32)
    assert ratings.repetitions == 3
    with pytest.raises(UserError, match="already has a column 'repetition'"):
        coded("repetition", repetition=[1, 1, 2, 2, 3, 3])


def test_messages_name_the_rating_that_counts() -> None:
    lines: dict[str, list[object]] = {"file": ["f.csv"] * 6, "row": [2, 3, 4, 5, 6, 7]}
    _, first = coded("first", **lines)
    assert first[0].message.endswith("before (f.csv, row 3); only that rating counts: keep one")
    _, last = coded("last", **lines)
    assert [problem.message.split("(")[1] for problem in last] == [
        f"f.csv, row {row}); only that rating counts: keep one" for row in (5, 6, 6)
    ]
    _, mean = coded("mean", **lines)
    assert {problem.reason for problem in mean} == {"averaged_rating"}
    assert mean[0].message.endswith("before (f.csv, row 3); the mean of these ratings counts")


def test_an_error_names_the_first_five_and_says_how_many_more() -> None:
    with pytest.raises(UserError) as caught:
        coded("error", [("a", "r", "x", 1.0)] * 8, row=list(range(2, 10)))
    told = str(caught.value)
    assert told.startswith("Expected one rating of an item by a rater in a dimension, but 7 repeat another: row 3 ")
    assert "row 7 rates the same as row 2; and 2 more." in told
    assert "row 8" not in told
    with pytest.raises(UserError, match=r"2 repeat another: row 3 rates .* row 2; row 4 .* row 1\. Keep one"):
        coded("error", [("b", "r", "x", 1.0), ("a", "r", "x", 2.0), ("a", "r", "x", 3.0), ("b", "r", "x", 4.0)])
    assert len(coded("error", ROWS[:2])[0]) == 2


rows_of_ratings = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("rs"), st.just("x"), st.sampled_from([1.0, 3.3, 3.7, 5.0])),
    max_size=14,
)


@given(rows_of_ratings, st.randoms(use_true_random=False))
def test_means_are_those_of_exact_arithmetic_in_any_order(rows: list[Row], random: np.random.Generator) -> None:
    ratings, problems = coded("mean", rows)
    given_to: dict[tuple[str, str], list[float]] = {}
    for item, rater, _, score in rows:
        given_to.setdefault((item, rater), []).append(score)
    exact = [float(sum(map(Fraction, given_to[key])) / len(given_to[key])) for key in sorted(given_to)]
    assert ratings.score.tolist() == pytest.approx(exact, rel=1e-15)
    assert len(problems) == len(rows) - len(given_to)
    random.shuffle(rows)
    assert coded("mean", rows)[0].score.tolist() == ratings.score.tolist()


def test_the_mean_of_equal_ratings_is_that_rating() -> None:
    for value in (0.1, 3.3, 4.7):
        for count in range(2, 12):
            assert coded("mean", [("a", "r", "x", value)] * count)[0].score.tolist() == [value]
