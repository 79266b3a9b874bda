"""One clear sentence for everything that can be wrong, and nothing written or lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

HEADER = "item,rater,score\n"
SOUND = "a,r1,3\na,r2,4\nb,r1,2\nb,r2,5\n"


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,r3,9", "row 6: the score 9 is outside the scale from 1 to 5"),
        ("a,r3,-1", "it looks like a mark for a missing answer"),
        ("a,r3,99", "row 6: the score 99 is outside the scale"),
        ("a,r3,inf", "row 6: the score is infinite"),
        ("a,r3,nan", "row 6: the score is not a number (NaN)"),
        ("a,r3,", "row 6: the score is blank"),
        ("a,r3,good", "row 6: the score 'good' is not a number"),
        ('a,r3,"3,5"', "write decimals with a point"),
        (",r3,3", "row 6: the item is blank"),
        ("a, ,3", "row 6: the rater is blank"),
        ("a,r2,3", "row 6: the same rater rated this item in this dimension before (row 3)"),
        ("a,r3", "row 6: expected 3 fields like the header, found 2"),
    ],
)
def test_a_bad_row_is_named_and_stops_the_command(run: Run, table: Any, tmp_path: Path, row: str, said: str) -> None:
    path = table(f"{HEADER}{SOUND}{row}\n")
    done = run("score", path, "--method", "mos", "--scale", 1, 5, "--out", tmp_path / "scores.csv")
    assert done.status == 1
    assert done.error.startswith(f"{path}: 1 row is invalid: ")
    assert said in done.error
    assert "--rejected FILE" in done.error
    assert not (tmp_path / "scores.csv").exists()


def test_the_first_five_bad_rows_are_named(run: Run, table: Any) -> None:
    bad = "".join(f"a,x{number},7\n" for number in range(8))
    error = run("score", table(HEADER + SOUND + bad), "--scale", 1, 5).error
    assert "8 rows are invalid" in error
    assert "row 10" in error
    assert "row 11" not in error
    assert "and 3 more" in error


def test_bad_rows_are_set_aside_with_their_reasons(run: Run, table: Any, tmp_path: Path) -> None:
    path, aside = table(f"{HEADER}{SOUND}a,r3,9\na,r2,1\nb,r3\n"), tmp_path / "rejected.jsonl"
    done = run("score", path, "--method", "mos", "--scale", 1, 5, "--rejected", aside, "--json")
    assert done.status == 0
    assert "3 rows were rejected" in done.err
    lines = [json.loads(line) for line in aside.read_text().splitlines()]
    assert {(line["row"], line["reason"]) for line in lines} == {
        (6, "out_of_scale"),
        (7, "duplicate_rating"),
        (8, "wrong_number_of_fields"),
    }
    assert all(line["file"] == "table.csv" and line["message"] for line in lines)
    assert [row["mos"] for row in json.loads(done.out)["scores"]] == [3.5, 3.5]


@pytest.mark.parametrize(
    ("policy", "expected"), [("first", 3.5), ("last", 4.0), ("mean", 3.75), ("repetition", 11 / 3)]
)
def test_what_counts_of_repeated_ratings(run: Run, table: Any, policy: str, expected: float) -> None:
    path = table(f"{HEADER}{SOUND}a,r1,4\n")
    found = json.loads(run("score", path, "--method", "mos", "--duplicates", policy, "--json").out)
    assert found["scores"][0]["mos"] == pytest.approx(expected)


def test_an_item_without_ratings_keeps_its_row(run: Run, table: Any) -> None:
    path = table(f"{HEADER}{SOUND}c,r1,\nc,r2,nan\n")
    done = run("score", path, "--method", "mos", "--missing", "drop", "--json")
    last = json.loads(done.out)["scores"][-1]
    assert (last["item"], last["mos"], last["n"], last["reason"]) == ("c", None, 0, "no_ratings")
    assert "2 rows without a score were dropped" in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (HEADER, "there are no ratings in it"),
        ("clip,person,value\na,b,3\n", "no column for the item: expected 'image_id' or"),
        ("item;rater;score\na;b;3\n", "must be separated by commas"),
        (f"{HEADER}a,r1,3\nb,r1,3\nc,r1,3\n", "1 raters gave the same score to everything"),
        (f"{HEADER}a,r1,3\nb,r2,4\n", "`editfhf mos screen` lists what was excluded"),
    ],
)
def test_tables_without_scores(run: Run, table: Any, text: str, said: str) -> None:
    done = run("score", table(text))
    assert done.status == 1
    assert said in done.error


def test_columns_can_be_named(run: Run, table: Any) -> None:
    path = table("clip,person,value\n" + SOUND)
    found = run("score", path, "--item", "clip", "--rater", "person", "--rating", "value", "--method", "mos", "--json")
    assert [row["item"] for row in json.loads(found.out)["scores"]] == ["a", "b"]
    assert "expected 'votes'" in run("score", path, "--item", "clip", "--rater", "person", "--rating", "votes").error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "papre"), "Did you mean 'paper'?"),
        (("--set", "sigma=3"), "unknown option 'sigma' of the method paper; expected one of"),
        (("--set", "max_passes=x"), "max_passes: input should be a valid integer"),
        (("--set", "max_passes"), "expected NAME=VALUE"),
        (("--scale", "5", "1"), "must go from a lower to a higher number"),
        (("--out", "scores.txt"), "expected a name that ends in .csv or .parquet"),
        (("--out", "nowhere/scores.csv"), "there is no folder nowhere"),
    ],
)
def test_mistakes_on_the_command_line(run: Run, table: Any, arguments: tuple[str, ...], said: str) -> None:
    done = run("score", table(HEADER + SOUND), *arguments)
    assert done.status == 1
    assert said in done.error


def test_nothing_is_overwritten_unasked(run: Run, table: Any, tmp_path: Path) -> None:
    path, out = table(HEADER + SOUND), tmp_path / "scores.csv"
    out.write_text("mine")
    assert "is not overwritten" in run("score", path, "--out", out).error
    assert out.read_text() == "mine"
    assert run("score", path, "--out", out, "--force").status == 0
    assert "is not a list of rejected rows" in run("score", path, "--rejected", path).error
    assert "Two outputs have the same name" in run("score", path, "--out", out, "--ledger", out, "--force").error
    page = tmp_path / "page.html"
    page.write_text("mine")
    assert "is not overwritten" in run("report", path, "--out", page).error


def test_names_are_never_markup_or_control_codes(run: Run, table: Any, tmp_path: Path) -> None:
    hostile = "[bold red]x[/]<script>alert(1)</script>\x1b[2J"
    rows = "".join(f"{hostile},r{number},{1 + number % 5}\n" for number in range(6))
    path = table(HEADER + SOUND + rows)
    shown = run("score", path, "--method", "mos")
    assert "[bold red]x[/]<script>" in shown.out.replace("\n", "")
    assert "\x1b[2J" not in shown.out
    page = tmp_path / "page.html"
    assert run("report", path, "--method", "mos", "--out", page).status == 0
    text = page.read_text()
    assert "<script>" not in text
    assert "\x1b" not in text


def test_doubtful_ids_and_scores_are_pointed_out(run: Run, table: Any) -> None:
    rows = "".join(f"{number},r{rater},{score}\n" for number in (7, 8, 9) for rater, score in enumerate((3, 4, 5, 2)))
    said = run("score", table(f"{HEADER}{rows}7.0,r1,-1\n"), "--method", "mos").err
    assert "1 ids of items are the same number as another one" in said
    assert "1 ratings are -1 and no other is near" in said


def test_plan_says_what_it_needs(run: Run) -> None:
    assert "Expected the ratings of a pilot study" in run("plan", "--half-width", "0.3").error
    assert "The target reliability needs icc" in run("plan", "--sd", "1", "--reliability", "0.9").error
    assert run("plan", "--sd", "1", "--half-width", "0").status == 1


@pytest.mark.parametrize("mark", ["NA", "#N/A", "NULL", ".", ""])
def test_a_mark_for_a_missing_score_is_dropped_or_the_option_is_named(run: Run, table: Any, mark: str) -> None:
    path = table(f"{HEADER}{SOUND}a,r3,{mark}\n")
    assert (
        "drop rows without a score (option `missing`; on the command line --missing drop)" in run("score", path).error
    )
    done = run("score", path, "--missing", "drop", "--method", "mos", "--scale", 1, 5)
    assert done.status == 0
    assert "1 rows without a score were dropped." in done.err


def test_times_without_an_order_are_told(run: Run, table: Any) -> None:
    rows = "a,r1,5,1/9/2026 10:05\na,r1,1,1/9/2026 9:05\na,r2,3,1/9/2026 9:05\n"
    done = run(
        "score", table(f"item,rater,score,rated_at\n{rows}"), "--duplicates", "last", "--method", "mos", "--json"
    )
    assert json.loads(done.out)["scores"][0]["mos"] == 2
    assert "1 repeated ratings have times without an order" in done.err


def test_whole_notes_of_agreement_are_printed(run: Run, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = table(HEADER + SOUND)
    notes = [row["note"] for row in json.loads(run("agreement", path, "--json").out)["agreement"] if row["note"]]
    assert max(map(len, notes)) > 60
    printed = " ".join(run("agreement", path).out.split())
    assert "…" not in printed
    for word in {word for note in notes for word in note.split()}:
        assert word in printed


def test_what_is_cut_has_a_sign(run: Run, table: Any) -> None:
    long = "x" * 80
    assert f"{long[:59]}…" in run("score", table(f"{HEADER}{long},r1,3\n{long},r2,4\n"), "--method", "mos").out
