"""An export of the scoring stage as a table of ratings, and the commands of `mos` on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from annotation.labelstudio.results import (
    build_annotation_json,
    build_task_json,
    rating_results,
    rationale_results,
    regional_results,
)
from annotation.ratings_table import read_export_table
from annotation.records import DIMENSIONS, Box, Disk, Mark
from mos.cli import app
from mos.errors import UserError

AT = "2026-01-02T03:04:05.000000Z"
PEOPLE = (11, 12, 13, 14)


def export(pairs: int = 4) -> list[dict[str, Any]]:
    """Tasks as the server writes them: each pair rated by everybody in every dimension, the better the later."""
    return [_task(number, {who: _scores(number, who) for who in PEOPLE}) for number in range(pairs)]


def _scores(number: int, who: int) -> dict[str, float]:
    return {dimension: round(1.2 + 0.8 * number + 0.1 * ((who + k) % 3), 2) for k, dimension in enumerate(DIMENSIONS)}


def _task(number: int, scores: dict[int, dict[str, float]]) -> dict[str, Any]:
    annotations = [
        build_annotation_json(100 * number + who, number, 1, who, rating_results(given, []), AT, 9.0)
        for who, given in scores.items()
    ]
    return build_task_json(number, 1, {"pair_id": f"p{number}"}, annotations, AT)


def written(tmp_path: Path, tasks: object) -> Path:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    return path


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def test_every_number_of_every_annotator_is_a_row(tmp_path: Path) -> None:
    table, problems = read_export_table(written(tmp_path, export()))
    assert problems == []
    assert table.column_names == ["item", "rater", "dimension", "score", "rated_at", "row"]
    assert table.to_pylist() == [
        {"item": f"p{n}", "rater": str(who), "dimension": name, "score": score, "rated_at": AT, "row": n + 1}
        for n in range(4)
        for who in PEOPLE
        for name, score in _scores(n, who).items()
    ]


def test_a_skipped_task_is_neither_a_rating_nor_a_problem(tmp_path: Path) -> None:
    tasks = export()
    tasks[1]["annotations"][2]["was_cancelled"] = True
    table, problems = read_export_table(written(tmp_path, tasks))
    assert problems == []
    assert len(table) == 4 * 4 * 3 - 3


def test_what_was_used_after_a_repair_and_flags_on_regions_are_no_problems(tmp_path: Path) -> None:
    tasks = export()
    tasks[0]["annotations"][0] |= {"updated_at": "yesterday", "created_at": None}
    odd = rating_results({}, ["a-1"])[0] | {"value": {"choices": "a-1"}}
    tasks[0]["annotations"][1]["result"].append(odd)
    path = written(tmp_path, tasks)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    table, problems = read_export_table(path)
    assert (len(table), problems) == (4 * 4 * 3, [])
    assert table["rated_at"].to_pylist()[:3] == ["", "", ""]


def _no_number(tasks: list[dict[str, Any]]) -> None:
    tasks[1]["annotations"][0]["result"][0]["value"] = {"number": "three"}


def _nobody(tasks: list[dict[str, Any]]) -> None:
    tasks[2]["annotations"][0]["completed_by"] = None


def _nothing_said(tasks: list[dict[str, Any]]) -> None:
    tasks[0]["annotations"][3]["result"] = []


def _no_pair(tasks: list[dict[str, Any]]) -> None:
    del tasks[3]["data"]["pair_id"]


def _other_stage(tasks: list[dict[str, Any]]) -> None:
    mark = Mark("b", "artifact", Box(1, 1, 9, 9), (Disk(5, 5),), "face", "minor", None)
    tasks[0]["annotations"][0]["result"] = rationale_results([], "agree", 96, 80)
    tasks[0]["annotations"][1]["result"] += regional_results([mark], 96, 80)


@pytest.mark.parametrize(
    ("spoil", "lost", "problems"),
    [
        (_no_number, 1, [(2, "bad_number")]),
        (_nobody, 3, [(3, "no_annotator")]),
        (_nothing_said, 3, [(1, "no_scores")]),
        (_no_pair, 12, [(4, "no_pair_id")]),
        (_other_stage, 3, [(1, "wrong_stage")]),
        (lambda tasks: tasks.insert(1, 5), 0, [(2, "not_a_task")]),
    ],
)
def test_what_cannot_be_used_is_told_with_its_task(tmp_path: Path, spoil: Any, lost: int, problems: Any) -> None:
    tasks = export()
    spoil(tasks)
    table, found = read_export_table(written(tmp_path, tasks))
    assert len(table) == 4 * 4 * 3 - lost
    assert [(problem.row, problem.reason) for problem in found] == problems
    assert all(problem.message.endswith((".", "read")) for problem in found)


def test_a_file_that_breaks_off_keeps_what_was_before_it(tmp_path: Path) -> None:
    path = written(tmp_path, export())
    path.write_text(path.read_text()[:-300])
    table, problems = read_export_table(path)
    assert set(table["item"].to_pylist()) == {"p0", "p1", "p2"}
    assert [(problem.row, problem.reason) for problem in problems] == [(4, "broken_json")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found none"),
        (b"[]", "found none"),
        (b"pair_id,annotator_id,score\np,a,3\n", "Not a JSON export"),
        (b"PAR1\x00\xff", "Expected UTF-8"),
        (b'{"item": ["p0"], "score": [3]}', "the id of the pair"),
        (json.dumps([_task(0, {})]).encode(), "found none"),
    ],
)
def test_a_file_without_a_rating_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="expected a Label Studio export with ratings") as raised:
        read_export_table(path)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_export_table(tmp_path / name)


@pytest.mark.parametrize("method", ["paper", "mos", "bt500", "p910"])
def test_the_commands_of_mos_take_an_export(tmp_path: Path, method: str) -> None:
    done = run("score", written(tmp_path, export()), "--scale", 1, 5, "--method", method, "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    scores = {(row["item"], row["dimension"]): row for row in made["scores"]}
    assert set(scores) == {(f"p{n}", dimension) for n in range(4) for dimension in DIMENSIONS}
    for dimension in DIMENSIONS:
        own = [scores[f"p{n}", dimension]["mos"] for n in range(4)]
        assert own == sorted(own)
    if method == "mos":
        plain = [_scores(2, who)["visual_consistency"] for who in PEOPLE]
        assert scores["p2", "visual_consistency"]["mos"] == pytest.approx(sum(plain) / 4)


def test_bad_rows_of_an_export_stop_a_command_unless_they_are_set_aside(tmp_path: Path) -> None:
    tasks = export()
    tasks[1]["annotations"][0]["result"][0]["value"] = {"number": 7.5}
    _no_number(tasks[1:])
    path, aside = written(tmp_path, tasks), tmp_path / "rejected.jsonl"
    done = run("score", path, "--scale", 1, 5)
    assert isinstance(done.exception, UserError)
    assert "row 2" in str(done.exception)
    assert run("score", path, "--scale", 1, 5, "--rejected", aside).exit_code == 0
    lines = [json.loads(line) for line in aside.read_text().splitlines()]
    assert [(line["row"], line["reason"]) for line in lines] == [(3, "bad_number"), (2, "out_of_scale")]


def _again(score: float, at: str) -> dict[str, Any]:
    """Another submission of the first rater about the first pair."""
    again: dict[str, Any] = _task(0, {11: dict.fromkeys(DIMENSIONS, score)})["annotations"][0]
    return again | {"id": 999, "created_at": at, "updated_at": at}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("at", "counts"),
    [("2025-01-01T00:00:00.000000Z", None), (AT, 5.0), ("2026-03-01T00:00:00.000000Z", 5.0)],
)
def test_of_two_submissions_the_latest_counts_without_an_option(
    tmp_path: Path, apart: bool, at: str, counts: float | None
) -> None:
    """In one task or in two of the same pair; at equal times the later in the file."""
    tasks = export()
    if apart:
        tasks.append(build_task_json(9, 1, {"pair_id": "p0"}, [_again(5.0, at)], at))
    else:
        tasks[0]["annotations"].append(_again(5.0, at))
    made = json.loads(run("score", written(tmp_path, tasks), "--scale", 1, 5, "--method", "mos", "--json").stdout)
    found = {(row["item"], row["dimension"]): row["mos"] for row in made["scores"]}
    first, *rest = (_scores(0, who)["perceptual_quality"] for who in PEOPLE)
    assert found["p0", "perceptual_quality"] == pytest.approx(((first if counts is None else counts) + sum(rest)) / 4)


def test_an_error_about_a_row_with_several_ratings_says_it_once(tmp_path: Path) -> None:
    tasks = export()
    tasks.append(build_task_json(9, 1, {"pair_id": "p0"}, [_again(5.0, AT)], AT))
    done = run("score", written(tmp_path, tasks), "--scale", 1, 5, "--duplicates", "error")
    assert isinstance(done.exception, UserError)
    assert "1 row is invalid: row 5: " in str(done.exception)
    assert str(done.exception).count("the same rater rated this item in this dimension before (row 1)") == 1
    assert "--duplicates" in str(done.exception)


def test_columns_of_an_export_have_their_names(tmp_path: Path) -> None:
    done = run("score", written(tmp_path, export()), "--item", "uid")
    assert isinstance(done.exception, UserError)
    assert "columns can be named for .csv and .parquet only" in str(done.exception)
