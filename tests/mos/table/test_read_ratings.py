"""A file of ratings is read whatever it is called inside, and every row keeps the line it came from."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.errors import UserError
from mos.table import read_csv, read_ratings_table
from mos.table.read_csv import _LineCounter, _parse_by_record, _parse_regular_csv


def write(folder: Path, text: str | bytes, name: str = "ratings.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "header",
    [
        "image_id,annotator_id,dimension,score",
        "pair_id,rater,dimension,rating",
        "item,subject,dimension,score",
        "Stimulus, Worker ,Dimension,SCORE",
    ],
)
def test_usual_column_names(tmp_path: Path, header: str) -> None:
    table, problems = read_ratings_table(write(tmp_path, f"{header}\na,r,d,4\n"))
    assert problems == []
    expected = {"item": "a", "rater": "r", "dimension": "d", "score": "4", "rated_at": None, "row": 2}
    assert table.to_pylist() == [expected]


def test_columns_by_name_and_optional_ones(tmp_path: Path) -> None:
    path = write(tmp_path, "clip,who,score,rated_at,repetition\nx,y,3.5,2026-01-02,1\n")
    table, _ = read_ratings_table(path, {"item": "clip", "rater": "who"})
    expected = {"item": "x", "rater": "y", "dimension": "score", "score": "3.5", "rated_at": "2026-01-02"}
    assert table.to_pylist() == [expected | {"row": 2, "repetition": "1"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_are_lines_of_the_file_whatever_the_line_end(tmp_path: Path, end: str) -> None:
    table, problems = read_ratings_table(write(tmp_path, end.join(["item,rater,score", "a,r,1", "b,r,2", ""])))
    assert (table["row"].to_pylist(), table["item"].to_pylist(), problems) == ([2, 3], ["a", "b"], [])


def test_lines_count_through_blank_lines_quotes_and_breaks_inside_quotes(tmp_path: Path) -> None:
    text = 'item,rater,score\n\n"a, ""b""\nc",r,1\n\nd,r,2\n,,\n\n'
    table, problems = read_ratings_table(write(tmp_path, text))
    assert problems == []
    assert list(zip(table["row"].to_pylist(), table["item"].to_pylist(), strict=True)) == [
        (3, 'a, "b"\nc'),
        (6, "d"),
        (7, ""),
    ]


def test_rows_that_cannot_be_split_are_set_aside_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, b"item,rater,score\na,r,1\nb,r\nc,r,3,4\n\xff\xfe,r,5\ne,r,6\n")
    table, problems = read_ratings_table(path)
    assert table["item"].to_pylist() == ["a", "e"]
    assert table["row"].to_pylist() == [2, 6]
    assert [(p.row, p.reason) for p in problems] == [
        (3, "wrong_number_of_fields"),
        (4, "wrong_number_of_fields"),
        (5, "not_utf8"),
    ]
    assert "expected 3 fields like the header, found 2" in problems[0].message


@pytest.mark.parametrize("more", [0, 3, 30_000])
def test_a_row_with_an_unclosed_quote_is_the_only_one_lost(tmp_path: Path, more: int) -> None:
    lines = ["item,rater,score", "a,r,1", '"b,r,2', *(f"c{i},r,3" for i in range(more))]
    table, problems = read_ratings_table(write(tmp_path, "\n".join(lines)))
    assert table["item"].to_pylist() == ["a", *(f"c{i}" for i in range(more))]
    assert table["row"].to_pylist() == [2, *range(4, 4 + more)]
    assert [(problem.row, problem.reason) for problem in problems] == [(3, "unreadable_record")]
    assert "a quotation mark is opened and not closed" in problems[0].message


def test_many_unclosed_quotes_end_the_reading_and_that_is_told(tmp_path: Path) -> None:
    """Each of these lines is open to the end of the file, also when it is read after another one of them."""
    lines = ["item,rater,score", "a,r,1", *['x"y,"z'] * 40_000]
    table, problems = read_ratings_table(write(tmp_path, "\n".join(lines)))
    assert table["item"].to_pylist() == ["a"]
    assert [problem.row for problem in problems] == list(range(3, 20))
    assert "nothing after this one was read" in problems[-1].message


def test_a_line_without_an_end_takes_little_memory(tmp_path: Path) -> None:
    path = write(tmp_path, b"item,rater,score\na,r,1\n" + b"x" * 30_000_000 + b"\nb,r,2\n")
    tracemalloc.start()
    table, problems = read_ratings_table(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table["item"].to_pylist() == ["a", "b"]
    assert [(problem.row, problem.reason) for problem in problems] == [(3, "unreadable_record")]
    assert "more than 131,072 characters" in problems[0].message
    assert peak < 20_000_000


def test_a_header_without_an_end_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="row 1: expected a header line, but a quotation mark is opened and not closed"):
        read_ratings_table(write(tmp_path, 'item,"rater,score\n' + "a,r,1\n" * 300_000))
    with pytest.raises(UserError, match="row 1: expected a header line, but a field has more than 131,072 characters"):
        read_ratings_table(write(tmp_path, "x" * 3_000_000))


def test_a_file_of_other_lines_is_no_table(tmp_path: Path) -> None:
    path = write(tmp_path, "item,rater,score\n" + "a,r\n" * 30_000)
    with pytest.raises(UserError, match=r"10,000 of the first 10,000 rows cannot be read; the first is row 2"):
        read_ratings_table(path)


@pytest.mark.parametrize("line", ["sep=,", '"sep=,"', "SEP=,", "sep=,,,", "\ufeffsep=,"])
@pytest.mark.parametrize("ending", ["", "\n\n"])
def test_the_separator_line_of_excel_is_no_header(tmp_path: Path, line: str, ending: str) -> None:
    table, problems = read_ratings_table(write(tmp_path, f"{line}\r\nitem,rater,score\r\na,r,1\r\nb,r,2\r\n{ending}"))
    assert (table["item"].to_pylist(), table["row"].to_pylist()) == (["a", "b"], [3, 4])
    assert [problem.reason for problem in problems] == ["byte_order_mark"] * line.startswith("\ufeff")


def test_a_separator_line_that_names_another_mark(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be separated by commas"):
        read_ratings_table(write(tmp_path, "sep=;\nitem;rater;score\na;r;1\n"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("image_id,pair_id,rater,score", "2 columns may hold the item: 'image_id' and 'pair_id'"),
        ("item,worker,Rater,score", "2 columns may hold the rater: 'Rater' and 'worker'"),
        ("item,rater,score,rating", "2 columns may hold the score: 'score' and 'rating'"),
        ("item,annotator_id,rater,subject,score", "3 columns may hold the rater: .* rename the others"),
    ],
)
def test_two_columns_for_one_thing_are_named(tmp_path: Path, header: str, message: str) -> None:
    path = write(tmp_path, f"{header}\n" + ",".join("1" * len(header.split(","))) + "\n")
    with pytest.raises(UserError, match=message):
        read_ratings_table(path)


def test_a_named_or_preferred_column_counts_among_several(tmp_path: Path) -> None:
    path = write(tmp_path, "image_id,pair_id,rater,score\na.png,p,r,1\n")
    assert read_ratings_table(path, {"item": "image_id"})[0]["item"].to_pylist() == ["a.png"]
    assert read_ratings_table(path, preferred=["pair_id"])[0]["item"].to_pylist() == ["p"]
    path = write(tmp_path, "item,subject,rater,score\na,s,r,1\n")
    assert read_ratings_table(path, {"item": "subject"})[0].select(["item", "rater"]).to_pylist() == [
        {"item": "s", "rater": "r"}
    ]


def test_a_parquet_file_that_claims_too_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "ratings.parquet"
    many = pa.array([1] * 1_500_000, pa.int8())
    pq.write_table(pa.table({"item": many, "rater": many, "score": many}), path)
    with pytest.raises(UserError, match="bytes claim to hold 1,500,000 rows"):
        read_ratings_table(path)


def test_byte_order_mark_is_tolerated_and_told(tmp_path: Path) -> None:
    table, problems = read_ratings_table(write(tmp_path, b"\xef\xbb\xbfitem,rater,score\na,r,1\n"))
    assert table.num_rows == 1
    assert [(p.row, p.reason) for p in problems] == [(1, "byte_order_mark")]


def test_header_without_ratings_is_an_empty_table(tmp_path: Path) -> None:
    table, problems = read_ratings_table(write(tmp_path, "item,rater,score"))
    assert (table.num_rows, problems) == (0, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("item;rater;score\na;b;1\n", "must be separated by commas"),
        ("item,ratr,score\na,b,1\n", "Did you mean 'ratr'"),
        ("a,b\n1,2\n", "no column for the item: expected 'image_id' or 'pair_id'.* found 'a', 'b'"),
        ("item,rater,score,score\na,b,1,2\n", "2 columns are called 'score'"),
        ("item,rater,score".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04\x00\x00,\x00\n", "binary"),
    ],
)
def test_what_is_not_a_table_of_ratings_is_one_sentence(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_ratings_table(write(tmp_path, content))


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_ratings_table(tmp_path / "ratings.csv")
    with pytest.raises(UserError, match=r"ending in \.csv or \.parquet"):
        read_ratings_table(tmp_path / "ratings.xlsx")
    with pytest.raises(UserError, match="Parquet"):
        read_ratings_table(write(tmp_path, "item,rater,score\n", "ratings.parquet"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read_ratings_table(tmp_path / "folder.csv")
    with pytest.raises(UserError, match=r"Unknown column part 'itm'"):
        read_ratings_table(write(tmp_path, "item,rater,score\n"), {"itm": "item"})
    with pytest.raises(UserError, match="expected 'clip'"):
        read_ratings_table(write(tmp_path, "item,rater,score\n"), {"item": "clip"})
    with pytest.raises(UserError, match="null character"):
        read_ratings_table(tmp_path / "a\0.csv")


def test_parquet_keeps_types_and_counts_rows_from_one(tmp_path: Path) -> None:
    path = tmp_path / "ratings.parquet"
    pq.write_table(pa.table({"image_id": [7, 8], "rater": ["r", "s"], "score": [1.5, None]}), path)
    table, problems = read_ratings_table(path)
    assert problems == []
    assert table["row"].to_pylist() == [1, 2]
    assert table["score"].to_pylist() == [1.5, None]
    assert table["item"].type == pa.int64()
    assert table["dimension"].to_pylist() == ["score", "score"]


def test_both_ways_of_splitting_give_the_same_table(tmp_path: Path) -> None:
    rows = [f'item {i},"r{i % 7}",d,{i / 8}' for i in range(500)]
    sound = "\n".join(["item,rater,dimension,score", *rows])
    fast, _ = read_ratings_table(write(tmp_path, sound))
    slow, _ = read_ratings_table(write(tmp_path, sound + "\n\n\n"))
    assert fast.combine_chunks().equals(slow.combine_chunks())


pieces = st.sampled_from(["a", ",", ",", "\n", '"', " ", "\r\n", '"x"', "\r", "c,d,e\n", "é"])


@given(st.lists(pieces, max_size=14))
def test_whenever_arrow_is_trusted_it_agrees_with_the_record_by_record_reader(body: list[str]) -> None:
    names = ["i", "r", "s"]
    data = ("i,r,s\n" + "".join(body)).encode()
    sound = _parse_regular_csv(io.BytesIO(data), names)
    if sound is not None:
        table, problems = _parse_by_record(io.BytesIO(data), names, names)
        assert sound.to_pylist() == table.to_pylist()
        assert problems == []


rows = st.sampled_from(
    ["a,b,c\n", 'a,"b",c\n', "a,é,\n", "\n", "a,b\n", 'a,"b\n', 'c",d,e\n', 'a,b",c\r\n', 'a"b,"c,d\n', b"\xff,b,c\n"]
)


@given(st.lists(rows, max_size=40), st.integers(0, 60))
def test_parts_of_a_file_that_arrow_splits_are_those_of_the_record_by_record_reader(
    body: list[str | bytes], size: int
) -> None:
    names = ["i", "r", "s"]
    data = b"i,r,s\n" + b"".join(line if isinstance(line, bytes) else line.encode() for line in body)
    with mock.patch.object(read_csv, "MAX_LINE", size):
        table, problems = _parse_by_record(io.BytesIO(data), names, names)
        with mock.patch.object(read_csv, "_split_regular", lambda *_: None):
            slow, expected = _parse_by_record(io.BytesIO(data), names, names)
    assert table.to_pylist() == slow.to_pylist()
    assert problems == expected


def test_what_follows_a_quote_that_never_closes_is_read_by_arrow(tmp_path: Path) -> None:
    lines = [f"item{number:06d},r{number % 9},{number % 5}" for number in range(200_000)]
    path = write(tmp_path, "\n".join(["item,rater,score", 'a,"r,1', *lines]))
    split = []

    def watched(lines: list[str], *more: Any) -> pa.Table | None:
        table = split_regular(lines, *more)
        split.append(0 if table is None else len(lines))
        return table

    split_regular = read_csv._split_regular
    with mock.patch.object(read_csv, "_split_regular", watched):
        table, problems = read_ratings_table(path)
    assert [(problem.row, problem.reason) for problem in problems] == [(2, "unreadable_record")]
    assert table["row"].to_pylist() == list(range(3, 200_003))
    assert table["item"].to_pylist() == [line.split(",")[0] for line in lines]
    assert sum(split) > 100_000


@given(st.lists(st.sampled_from(["a", "\n", "\r\n", "\r"]), max_size=30), st.integers(1, 5))
def test_lines_are_counted_across_blocks(pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    watched = _LineCounter(io.BytesIO(text.encode()))
    while watched.read(size):
        pass
    alone = "\r" in text.replace("\r\n", "")
    assert watched.lines == (None if alone else text.count("\n") + (not text.endswith("\n")))


@pytest.mark.parametrize("broken", [2, 150_000])
def test_a_large_file_is_read_again_from_its_start(tmp_path: Path, broken: int) -> None:
    """Several blocks; one bad record, early while Arrow still reads ahead, or late."""
    lines = ["item,rater,score", *(f"item{number:06d},r{number % 9},{number % 5}" for number in range(200_000))]
    lines[broken] += ",more"
    table, problems = read_ratings_table(write(tmp_path, "\n".join(lines)))
    assert [(problem.row, problem.reason) for problem in problems] == [(broken + 1, "wrong_number_of_fields")]
    assert table.num_rows == 199_999
    assert table["row"].to_pylist()[broken - 2 : broken] == [broken, broken + 2]
    assert table["item"].to_pylist()[-1] == "item199999"
