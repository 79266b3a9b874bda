"""JSON lines: what is read, what is refused, and that writing and reading agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation import jsonlines
from annotation.records import Rejection


def read(path: Path) -> tuple[list[tuple[int, dict]], list[Rejection]]:
    rejected: list[Rejection] = []
    return list(jsonlines.read(path, "rows.jsonl", rejected.append)), rejected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_objects_come_with_their_line_numbers_and_blank_lines_count_but_give_nothing(path: Path) -> None:
    path.write_bytes(b'{"a": 1}\n\n  \r\n{"a": 2}\r\n{"a": 3}')
    rows, rejected = read(path)
    assert rows == [(1, {"a": 1}), (4, {"a": 2}), (5, {"a": 3})]
    assert rejected == []


def test_a_byte_order_mark_is_skipped_and_noted(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    rows, [mark] = read(path)
    assert rows == [(1, {"a": 1})]
    assert (mark.what, mark.reason, mark.repaired) == ("file", "byte_order_mark", True)


def test_an_empty_file_is_noted(path: Path) -> None:
    path.write_bytes(b"")
    rows, [empty] = read(path)
    assert rows == []
    assert (empty.what, empty.file, empty.reason) == ("file", "rows.jsonl", "empty_file")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": ', "broken_json"),
        (b'{"a": NaN}', "broken_json"),
        (b'{"a": -Infinity}', "broken_json"),
        (b'{"a": 1} {"b": 2}', "broken_json"),
        (b"[" * 5_000, "broken_json"),
        (b"[1, 2]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"3", "not_an_object"),
        (b'{"a": "\xff"}', "not_utf8"),
        ('{"a": "é"}'.encode("latin-1"), "not_utf8"),
        (b'{"a": "' + b"x" * jsonlines.MAX_LINE + b'"}', "line_too_long"),
        (b"x" * (3 * jsonlines.MAX_LINE), "line_too_long"),
    ],
)
def test_a_bad_line_is_one_rejection_and_reading_goes_on(path: Path, line: bytes, reason: str) -> None:
    path.write_bytes(b'{"first": 1}\n' + line + b'\n{"last": 1}\n')
    rows, rejected = read(path)
    assert [row for row, _ in rows] == [1, 3]
    assert [(one.row, one.reason, one.repaired) for one in rejected] == [(2, reason, False)]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_a_line_of_just_the_largest_size_is_read(path: Path, ending: bytes) -> None:
    line = b'{"a": "' + b"x" * (jsonlines.MAX_LINE - 9) + b'"}'
    assert len(line) == jsonlines.MAX_LINE
    path.write_bytes(line + ending)
    rows, rejected = read(path)
    assert len(rows) == 1
    assert rejected == []


@given(
    st.lists(
        st.dictionaries(
            st.text(st.characters(codec="utf-8")),
            st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        )
    )
)
def test_what_is_written_is_read_again_by_us_and_by_the_standard_library(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    jsonlines.write(path, rows)
    read_again, rejected = read(path)
    assert [row for _, row in read_again] == rows
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] == rows
    assert rejected == [] or [one.reason for one in rejected] == ["empty_file"] * (not rows)
