"""The archive: append-only, nothing doubled, and whole again after a power cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from annotation.campaign.archive import AnnotationVersion, AnswerArchive
from mos.errors import UserError


def version(number: int = 1, text: str = "a", key: str = "regional/p1/ann/0", **fields: Any) -> AnnotationVersion:
    annotation = {"id": number, "completed_by": 7, "result": [{"value": {"text": [text]}}]}
    data = {"key": key, "instruction": "<b>א🦊 {{x}}"}
    return replace(
        AnnotationVersion("regional/ann", key, 3, number, "ann@x.org", None, "2026-01-01T00:00:00Z", data, annotation),
        **fields,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def test_what_is_filed_is_read_back_as_it_was(path: Path) -> None:
    with AnswerArchive(path) as archive:
        assert archive.append([version(1), version(2, "b")]) == 2
    with AnswerArchive(path) as archive:
        assert archive.known_keys() == ["regional/p1/ann/0"]
        assert archive.versions("regional/p1/ann/0") == {1: [(1, version(1))], 2: [(2, version(2, "b"))]}
        assert archive.authors == {7: "ann@x.org"}


def test_what_is_known_is_not_filed_again(path: Path) -> None:
    with AnswerArchive(path) as archive:
        archive.append([version()])
        before = path.read_bytes()
        assert archive.append([version(), replace(version(), seen_at="2027-01-01T00:00:00Z")]) == 0
    with AnswerArchive(path) as archive:
        assert archive.append([version()]) == 0
    assert path.read_bytes() == before


def test_edits_deletions_and_what_comes_back_are_all_kept(path: Path) -> None:
    states = [version(text="a"), version(text="b"), version(annotation=None), version(text="a")]
    with AnswerArchive(path) as archive:
        for state in states:
            assert archive.append([state, state]) == 1
        assert [found for _, found in archive.versions(states[0].key)[1]] == states
        assert archive.standing(states[0].key, 3) == {1}
        assert archive.standing(states[0].key, 4) == set()


def test_an_unknown_annotation_is_not_deleted(path: Path) -> None:
    with AnswerArchive(path) as archive:
        assert archive.append([version(annotation=None)]) == 0


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_torn_last_line_is_put_aside_and_can_be_filed_again(path: Path, lost: int) -> None:
    with AnswerArchive(path) as archive:
        archive.append([version(1)])
        whole = path.read_bytes()
        archive.append([version(2)])
    both = path.read_bytes()
    path.write_bytes(both[:-lost])
    with AnswerArchive(path) as archive:
        assert archive.append([version(1), version(2)]) == (0 if lost == 1 else 1)
    assert path.read_bytes() == both
    torn = path.with_name("answers.torn")
    assert torn.exists() == (lost > 1)
    if lost > 1:
        assert torn.read_bytes() == both[len(whole) : -lost] + b"\n"


def test_a_damaged_line_is_named_and_left_where_it_is(path: Path) -> None:
    with AnswerArchive(path) as archive:
        archive.append([version(1), version(2), version(3)])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{broken\n" + lines[2])
    with AnswerArchive(path) as archive:
        assert archive.damaged == [2]
        assert [line for found in archive.versions(version().key).values() for line, _ in found] == [1, 3]
        assert archive.append([version(2)]) == 1
    assert path.read_bytes() == lines[0] + b"{broken\n" + lines[2] + lines[1]


def test_a_line_of_more_values_than_an_answer_has_is_damaged(path: Path) -> None:
    with AnswerArchive(path) as archive:
        archive.append([version(1), version(2)])
    first, second = path.read_bytes().splitlines(keepends=True)
    bomb = first.replace(b'"text":["a"]', b'"text":[' + b"1," * 2_000_000 + b"1]")
    assert len(bomb) > 4_000_000
    path.write_bytes(bomb + second)
    with AnswerArchive(path) as archive:
        assert archive.damaged == [1]
        assert list(archive.versions(version().key)) == [2]


def test_a_line_longer_than_any_answer_is_damaged_and_read_in_parts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AnswerArchive(path) as archive:
        archive.append([version(1), version(2)])
    first, second = path.read_bytes().splitlines(keepends=True)
    monkeypatch.setattr("annotation.campaign.archive.MAX_JSON_LENGTH", max(len(first), len(second)))
    for endless in (b"x" * 2_000, b"x" * (len(second) + 1), b'{"key": "' + b"x" * 10_000 + b'"}'):
        path.write_bytes(first + endless + b"\n" + second)
        with AnswerArchive(path) as archive:
            assert archive.damaged == [2]
            assert archive.versions(version().key) == {1: [(1, version(1))], 2: [(3, version(2))]}


def test_a_last_line_without_an_end_is_refused_and_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with AnswerArchive(path) as archive:
        archive.append([version(1)])
    path.write_bytes(before := path.read_bytes() + b'{"key": "' + b"x" * 200_000)
    monkeypatch.setattr("mos.files.MAX_JSON_LENGTH", 100_000)
    with pytest.raises(UserError, match=r"answers.jsonl: .* its last line is longer than .* Restore a backup"):
        AnswerArchive(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("levels", [252, 300, 900])
def test_a_line_that_somebody_else_nested_too_deeply_can_be_read_and_written(path: Path, levels: int) -> None:
    with AnswerArchive(path) as archive:
        archive.append([version(1)])
    line = path.read_bytes()
    path.write_bytes(line.replace(b'"text":["a"]', b'"text":' + b"[" * levels + b"]" * levels))
    with AnswerArchive(path) as archive:
        assert archive.damaged == []
        [[(_, found)]] = archive.versions(version().key).values()
        assert found.annotation is not None and found.annotation["result"] is None
        orjson.dumps([[[[found.annotation]]]])


def test_a_file_of_which_hardly_any_line_is_an_answer_is_no_archive(path: Path) -> None:
    with AnswerArchive(path) as archive:
        archive.append([version(1)])
    line = path.read_bytes()
    path.write_bytes(line + b"1\n" * 1_500)
    with AnswerArchive(path) as archive:
        assert len(archive.damaged) == 1_500
    path.write_bytes(line + b"1\n" * 2_000)
    with pytest.raises(UserError, match="is no archive of answers"):
        AnswerArchive(path)
    assert path.read_bytes() == line + b"1\n" * 2_000
