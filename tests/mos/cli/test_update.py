"""A study kept in a file: added to, corrected, withdrawn from; always as if scored at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def days(study: Path, tmp_path: Path) -> list[Path]:
    """The study in three parts."""
    header, *lines = study.read_text().splitlines()
    parts = [lines[:500], lines[500:700], lines[700:]]
    paths = [tmp_path / f"day{number}.csv" for number in range(3)]
    for path, rows in zip(paths, parts, strict=True):
        path.write_text("\n".join([header, *rows]) + "\n")
    return paths


def test_batches_give_what_all_at_once_gives(run: Run, study: Path, days: list[Path], tmp_path: Path) -> None:
    state = tmp_path / "state.parquet"
    assert run("update", days[1], "--state", state, "--scale", 1, 5, "--method", "bt500").status == 0
    for day in (days[2], days[0], days[0]):  # in any order, and one twice
        done = run("update", day, "--state", state, "--json")
        assert done.status == 0, done.error
    whole = json.loads(run("score", study, "--scale", 1, 5, "--method", "bt500", "--json").out)
    found = json.loads(done.out)
    assert (found["scores"], found["summary"]) == (whole["scores"], whole["summary"])
    assert found["state"] == {"name": "state.parquet", "ratings": 960}


def test_corrections_and_withdrawals(run: Run, days: list[Path], tmp_path: Path) -> None:
    state, corrected = tmp_path / "state.parquet", tmp_path / "corrected.csv"
    run("update", days[0], "--state", state, "--scale", 1, 5, "--method", "mos")
    header, first, *_ = days[0].read_text().splitlines()
    item, rater, dimension, score, at = first.split(",")
    corrected.write_text(f"{header}\n{item},{rater},{dimension},{5 if float(score) < 3 else 1},{at}\n")
    kept = state.read_bytes()
    assert "1 rate what the same rater rated before" in run("update", corrected, "--state", state).error
    assert state.read_bytes() == kept
    assert run("update", corrected, "--state", state, "--known", "replace").status == 0
    assert state.read_bytes() != kept
    gone = json.loads(run("update", corrected, "--state", state, "--withdraw", "--json").out)
    assert gone["state"]["ratings"] == 499
    assert "is as it was" in run("update", corrected, "--state", state, "--withdraw").error


def test_a_study_goes_on_as_it_began(run: Run, days: list[Path], tmp_path: Path) -> None:
    state = tmp_path / "state.parquet"
    run("update", days[0], "--state", state, "--scale", 1, 5)
    assert "began with the method paper" in run("update", days[1], "--state", state, "--method", "mos").error
    assert "began with the scale 1 to 5" in run("update", days[1], "--state", state, "--scale", 0, 5).error
    (tmp_path / "other.parquet").write_bytes(b"mine")
    assert run("update", days[1], "--state", tmp_path / "other.parquet").status == 1
    assert (tmp_path / "other.parquet").read_bytes() == b"mine"


def test_the_scale_that_is_told_is_that_of_the_study(run: Run, days: list[Path], tmp_path: Path) -> None:
    state = tmp_path / "state.parquet"
    run("update", days[0], "--state", state, "--scale", 1, 5, "--method", "mos")
    done = run("update", days[1], "--state", state, "--json")
    assert "No scale was given" not in done.err
    assert json.loads(done.out)["scale"] == [1, 5]


def test_without_a_scale_the_extremes_of_the_whole_study_are_told(run: Run, tmp_path: Path) -> None:
    state, table = tmp_path / "state.parquet", tmp_path / "table.csv"
    for row, told in (("1\nb,r,4", "1 to 4"), ("2\nd,r,3", "1 to 4"), ("5\nd,s,3", "1 to 5")):
        table.write_text(f"item,rater,score\n{told}{row[0]},r,{row}\n{told}{row[0]},s,3\n")
        done = run("update", table, "--state", state, "--method", "mos", "--json")
        assert f"No scale was given: taken from the data, {told}." in done.err, done.error
        assert json.loads(done.out)["scale"] == [int(told[0]), int(told[-1])]
