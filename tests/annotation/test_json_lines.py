"""JSON lines: what is read, what is refused, and that writing and reading agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.json_lines import MAX_BAD_LINES, MAX_LINE_BYTES, read_json_lines, write_json_lines
from annotation.records import Rejection


def read(path: Path) -> tuple[list[tuple[int, dict]], list[Rejection]]:
    rejected: list[Rejection] = []
    return list(read_json_lines(path, "rows.jsonl", rejected.append)), rejected


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
        (b"[" * 5_000, "nested_too_deeply"),
        (b'{"a": ' + b"[" * 255 + b"]" * 255 + b"}", "nested_too_deeply"),
        (b'{"a": ' * 201 + b"1" + b"}" * 201, "nested_too_deeply"),
        (b'{"a": ' * 1_500 + b"1" + b"}" * 1_500, "nested_too_deeply"),
        (b"[1, 2]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"3", "not_an_object"),
        (b'{"a": "\xff"}', "not_utf8"),
        ('{"a": "é"}'.encode("latin-1"), "not_utf8"),
        (b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}', "line_too_long"),
        (b"x" * (3 * MAX_LINE_BYTES), "line_too_long"),
    ],
)
def test_a_bad_line_is_one_rejection_and_reading_goes_on(path: Path, line: bytes, reason: str) -> None:
    path.write_bytes(b'{"first": 1}\n' + line + b'\n{"last": 1}\n')
    rows, rejected = read(path)
    assert [row for row, _ in rows] == [1, 3]
    assert [(one.row, one.reason, one.repaired) for one in rejected] == [(2, reason, False)]


@pytest.mark.parametrize("line", [b'{"a": ' * 200 + b"1" + b"}" * 200, b'{"a": [' + b"[]," * 900 + b"[]]}"])
def test_a_line_of_many_brackets_within_the_levels_is_read(path: Path, line: bytes) -> None:
    path.write_bytes(line)
    assert read(path) == ([(1, json.loads(line))], [])


@pytest.mark.parametrize("line", [b"1\n", b"x\n", b"[\n", b"\xff\n"])
def test_a_file_without_any_object_is_not_read_to_its_end(path: Path, line: bytes) -> None:
    path.write_bytes(line * 3_000 + b'{"a": 1}\n')
    rows, rejected = read(path)
    assert rows == []
    assert (len(rejected), rejected[-1].row, rejected[-1].reason) == (MAX_BAD_LINES + 1, 1_001, "not_json_lines")


def test_bad_lines_after_an_object_are_all_named(path: Path) -> None:
    path.write_bytes(b'{"a": 1}\n' + b"x\n" * 1_500 + b'{"a": 2}\n')
    rows, rejected = read(path)
    assert ([row for row, _ in rows], len(rejected)) == ([1, 1_502], 1_500)


def test_very_many_bad_lines_among_few_objects_end_the_reading(path: Path) -> None:
    path.write_bytes(b'{"a": 1}\n' * 2 + b"x\n" * 5_000 + b'{"a": 2}\n')
    rows, rejected = read(path)
    assert (len(rows), len(rejected), rejected[-1].reason) == (2, 3 * MAX_BAD_LINES + 1, "not_json_lines")


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_a_line_of_just_the_largest_size_is_read(path: Path, ending: bytes) -> None:
    line = b'{"a": "' + b"x" * (MAX_LINE_BYTES - 9) + b'"}'
    assert len(line) == MAX_LINE_BYTES
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
    write_json_lines(path, rows)
    read_again, rejected = read(path)
    assert [row for _, row in read_again] == rows
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] == rows
    assert rejected == [] or [one.reason for one in rejected] == ["empty_file"] * (not rows)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"pair_id":"a","pair_id":"b"}', True),
        ('{"pair_id":"a","task":"x","pair_id":"a"}', True),
        ('{"pair_\\u0069d":"a","pair_id":"b"}', True),
        ('{"pair_id":"a","origin":{"seed":1,"seed":2}}', True),
        ('{"pair_id":"a","origin":{"pair_id":"b"}}', False),
        ('{"pair_id":"a","other":["pair_id","pair_id"]}', False),
    ],
)
def test_a_key_that_is_there_twice_is_told_where_people_write_the_file(tmp_path: Path, line: str, told: bool) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(f"{line}\n")
    rejected: list[Rejection] = []
    found = list(read_json_lines(path, "pairs.jsonl", rejected.append, unique_keys=True))
    assert (len(found), [(one.row, one.reason) for one in rejected]) == ((0, [(1, "double_key")]) if told else (1, []))
    assert len(list(read_json_lines(path, "pairs.jsonl", rejected.append))) == 1
