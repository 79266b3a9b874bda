"""A file of ratings is read whatever it is called inside, and every row keeps the line it came from."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.errors import UserError
from mos.table import delimited, read_columns


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
    table, problems = read_columns(write(tmp_path, f"{header}\na,r,d,4\n"))
    assert problems == []
    expected = {"item": "a", "rater": "r", "dimension": "d", "score": "4", "rated_at": None, "row": 2}
    assert table.to_pylist() == [expected]


def test_columns_by_name_and_optional_ones(tmp_path: Path) -> None:
    path = write(tmp_path, "clip,who,score,rated_at,repetition\nx,y,3.5,2026-01-02,1\n")
    table, _ = read_columns(path, {"item": "clip", "rater": "who"})
    expected = {"item": "x", "rater": "y", "dimension": "score", "score": "3.5", "rated_at": "2026-01-02"}
    assert table.to_pylist() == [expected | {"row": 2, "repetition": "1"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_are_lines_of_the_file_whatever_the_line_end(tmp_path: Path, end: str) -> None:
    table, problems = read_columns(write(tmp_path, end.join(["item,rater,score", "a,r,1", "b,r,2", ""])))
    assert (table["row"].to_pylist(), table["item"].to_pylist(), problems) == ([2, 3], ["a", "b"], [])


def test_lines_count_through_blank_lines_quotes_and_breaks_inside_quotes(tmp_path: Path) -> None:
    text = 'item,rater,score\n\n"a, ""b""\nc",r,1\n\nd,r,2\n,,\n\n'
    table, problems = read_columns(write(tmp_path, text))
    assert problems == []
    assert list(zip(table["row"].to_pylist(), table["item"].to_pylist(), strict=True)) == [
        (3, 'a, "b"\nc'),
        (6, "d"),
        (7, ""),
    ]


def test_rows_that_cannot_be_split_are_set_aside_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, b"item,rater,score\na,r,1\nb,r\nc,r,3,4\n\xff\xfe,r,5\ne,r,6\n")
    table, problems = read_columns(path)
    assert table["item"].to_pylist() == ["a", "e"]
    assert table["row"].to_pylist() == [2, 6]
    assert [(p.row, p.reason) for p in problems] == [
        (3, "wrong_number_of_fields"),
        (4, "wrong_number_of_fields"),
        (5, "not_utf8"),
    ]
    assert "expected 3 fields like the header, found 2" in problems[0].message


def test_an_unclosed_quote_does_not_pass_unseen(tmp_path: Path) -> None:
    lines = ["item,rater,score", "a,r,1", '"b,r,2', *(f"c{i},r,3" for i in range(30_000))]
    table, problems = read_columns(write(tmp_path, "\n".join(lines)))
    assert table["item"].to_pylist()[0] == "a"
    assert problems[0].row == 3
    assert problems[0].reason in ("unreadable_record", "wrong_number_of_fields")


def test_byte_order_mark_is_tolerated_and_told(tmp_path: Path) -> None:
    table, problems = read_columns(write(tmp_path, b"\xef\xbb\xbfitem,rater,score\na,r,1\n"))
    assert table.num_rows == 1
    assert [(p.row, p.reason) for p in problems] == [(1, "byte_order_mark")]


def test_header_without_ratings_is_an_empty_table(tmp_path: Path) -> None:
    table, problems = read_columns(write(tmp_path, "item,rater,score"))
    assert (table.num_rows, problems) == (0, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("item;rater;score\na;b;1\n", "must be separated by commas"),
        ("item,ratr,score\na,b,1\n", "did you mean 'ratr'"),
        ("a,b\n1,2\n", "no column for the item: expected 'image_id' or 'pair_id'.* found 'a', 'b'"),
        ("item,rater,score,score\na,b,1,2\n", "2 columns are called 'score'"),
        ("item,rater,score".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04\x00\x00,\x00\n", "binary"),
    ],
)
def test_what_is_not_a_table_of_ratings_is_one_sentence(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_columns(write(tmp_path, content))


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_columns(tmp_path / "ratings.csv")
    with pytest.raises(UserError, match=r"ending in \.csv or \.parquet"):
        read_columns(tmp_path / "ratings.xlsx")
    with pytest.raises(UserError, match="Parquet"):
        read_columns(write(tmp_path, "item,rater,score\n", "ratings.parquet"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read_columns(tmp_path / "folder.csv")
    with pytest.raises(UserError, match=r"Unknown column part 'itm'"):
        read_columns(write(tmp_path, "item,rater,score\n"), {"itm": "item"})
    with pytest.raises(UserError, match="expected 'clip'"):
        read_columns(write(tmp_path, "item,rater,score\n"), {"item": "clip"})


def test_parquet_keeps_types_and_counts_rows_from_one(tmp_path: Path) -> None:
    path = tmp_path / "ratings.parquet"
    pq.write_table(pa.table({"image_id": [7, 8], "rater": ["r", "s"], "score": [1.5, None]}), path)
    table, problems = read_columns(path)
    assert problems == []
    assert table["row"].to_pylist() == [1, 2]
    assert table["score"].to_pylist() == [1.5, None]
    assert table["item"].type == pa.int64()
    assert table["dimension"].to_pylist() == ["score", "score"]


def test_both_ways_of_splitting_give_the_same_table(tmp_path: Path) -> None:
    rows = [f'item {i},"r{i % 7}",d,{i / 8}' for i in range(500)]
    sound = "\n".join(["item,rater,dimension,score", *rows])
    fast, _ = read_columns(write(tmp_path, sound))
    slow, _ = read_columns(write(tmp_path, sound + "\n\n\n"))
    assert fast.combine_chunks().equals(slow.combine_chunks())


pieces = st.sampled_from(["a", ",", ",", "\n", '"', " ", "\r\n", '"x"', "\r", "c,d,e\n", "é"])


@given(st.lists(pieces, max_size=14))
def test_whenever_arrow_is_trusted_it_agrees_with_the_record_by_record_reader(body: list[str]) -> None:
    names = ["i", "r", "s"]
    data = ("i,r,s\n" + "".join(body)).encode()
    sound = delimited._parse_sound(io.BytesIO(data), names)
    if sound is not None:
        table, problems = delimited._parse_any(io.BytesIO(data), names, names)
        assert sound.to_pylist() == table.to_pylist()
        assert problems == []


@given(st.lists(st.sampled_from(["a", "\n", "\r\n", "\r"]), max_size=30), st.integers(1, 5))
def test_lines_are_counted_across_blocks(pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    watched = delimited._Watched(io.BytesIO(text.encode()))
    while watched.read(size):
        pass
    alone = "\r" in text.replace("\r\n", "")
    assert watched.lines == (None if alone else text.count("\n") + (not text.endswith("\n")))


@pytest.mark.parametrize("broken", [2, 150_000])
def test_a_large_file_is_read_again_from_its_start(tmp_path: Path, broken: int) -> None:
    """Several blocks; one bad record, early while Arrow still reads ahead, or late."""
    lines = ["item,rater,score", *(f"item{number:06d},r{number % 9},{number % 5}" for number in range(200_000))]
    lines[broken] += ",more"
    table, problems = read_columns(write(tmp_path, "\n".join(lines)))
    assert [(problem.row, problem.reason) for problem in problems] == [(broken + 1, "wrong_number_of_fields")]
    assert table.num_rows == 199_999
    assert table["row"].to_pylist()[broken - 2 : broken] == [broken, broken + 2]
    assert table["item"].to_pylist()[-1] == "item199999"
