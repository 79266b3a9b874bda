"""What every command of `editfhf mos` gives for a sound table."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mos.methods import METHODS, score_ratings
from mos.table import read_ratings_table, validate_ratings

Run = Callable[..., Any]

SCORES = ["item", "dimension", "mos", "sd", "se", "ci_low", "ci_high", "n", "n_rejected", "reason"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("method", METHODS)
def test_score_writes_what_the_method_gives(run: Run, study: Path, tmp_path: Path, method: str) -> None:
    done = run("score", study, "--method", method, "--scale", 1, 5, "--out", tmp_path / "scores.csv")
    assert done.status == 0, done.error
    expected = score_ratings(validate_ratings(read_ratings_table(study)[0], (1, 5))[0], method).scores
    found = rows(tmp_path / "scores.csv")
    assert list(found[0]) == SCORES == expected.column_names
    assert len(found) == 80
    for name in ("mos", "se", "ci_low", "ci_high"):
        np.testing.assert_array_equal([float(row[name]) for row in found], expected[name].to_numpy())
    assert [int(row["n"]) for row in found] == expected["n"].to_pylist()
    made = json.loads((tmp_path / "scores.provenance.json").read_text())
    assert made["options"] == score_ratings(validate_ratings(read_ratings_table(study)[0], (1, 5))[0], method).options
    assert (made["scale"], made["input"]["name"], made["input"]["ratings"]) == ([1.0, 5.0], "ratings.csv", 960)
    assert made["input"]["sha256"] == {"ratings.csv": hashlib.sha256(study.read_bytes()).hexdigest()}


def test_score_writes_ledger_and_raters_beside_it(run: Run, study: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("scores.parquet", "ledger.csv", "raters.parquet")]
    done = run("score", study, "--out", outputs[0], "--ledger", outputs[1], "--raters", outputs[2])
    assert done.status == 0, done.error
    assert "taken from the data, 1 to 5" in done.err
    scores = pq.read_table(outputs[0])
    assert scores.column_names == SCORES
    assert json.loads(scores.schema.metadata[b"mos"])["options"]["method"] == "paper"
    excluded = [row["rater"] for row in rows(outputs[1]) if row["what"] == "rater"]
    assert excluded == ["anna11"]
    raters = pq.read_table(outputs[2]).to_pylist()
    assert [row["rater"] for row in raters if row["excluded"]] == ["anna11"]
    assert all(row["expected_share"] == pytest.approx(0.0263, abs=2e-3) for row in raters)


def test_the_same_command_gives_the_same_bytes_whatever_the_order_of_rows(
    run: Run, study: Path, tmp_path: Path
) -> None:
    header, *lines = study.read_text().splitlines()
    np.random.default_rng(0).shuffle(lines)
    (tmp_path / "shuffled").mkdir()
    other = tmp_path / "shuffled" / "ratings.csv"
    other.write_text("\n".join([header, *lines]) + "\n")
    for path in (study, other):
        assert run("score", path, "--out", path.with_name("scores.csv")).status == 0
    assert (tmp_path / "scores.csv").read_bytes() == (tmp_path / "shuffled" / "scores.csv").read_bytes()


def test_options_of_the_method(run: Run, study: Path) -> None:
    arguments = ("score", study, "--json", "--set", "outlier_sigma=2.5", "--set", "interval=normal")
    found = json.loads(run(*arguments, "--set", "on_too_few=null").out)
    assert found["options"]["outlier_sigma"] == 2.5
    assert found["options"]["interval"] == "normal"
    assert found["unit"] == "points"
    assert len(found["scores"]) == 80
    assert found["summary"]["ratings"] == 960


def test_a_bootstrap_from_the_command_line(run: Run, study: Path) -> None:
    given = ("score", study, "--json", "--method", "mos", "--set", "interval=bootstrap", "--set", "resamples=100")
    first, again = (json.loads(run(*given).out)["scores"] for _ in range(2))
    assert first == again
    assert all(row["ci_low"] < row["mos"] < row["ci_high"] for row in first)


def test_screen_lists_raters_and_ledger(run: Run, study: Path) -> None:
    shown = run("screen", study)
    assert shown.status == 0
    assert "anna11" in shown.out
    assert "outlier_share" in shown.out
    found = json.loads(run("screen", study, "--method", "correlation", "--json").out)
    assert [(line["rater"], line["rule"], line["dimension"]) for line in found["ledger"]] == [
        ("anna11", "correlation", "consistency"),
        ("anna11", "correlation", "quality"),
    ]


def test_raters_goes_by_the_times(run: Run, study: Path) -> None:
    shown = run("raters", study, "--scale", 1, 5, "--explain")
    assert shown.status == 0, shown.error
    assert "by the times in rated_at" in shown.err
    assert "anna11" in shown.err
    assert "rank_influence:" in shown.out
    found = json.loads(run("raters", study, "--json", "--only", "quality").out)
    assert {row["rater"]: row["n"] for row in found["raters"]} == {f"anna{number:02d}": 40 for number in range(12)}


def test_agreement_explains_its_coefficients(run: Run, study: Path) -> None:
    shown = run("agreement", study)
    assert shown.status == 0, shown.error
    assert "ICC(A,1): Absolute agreement" in shown.out
    found = json.loads(run("agreement", study, "--json").out)["agreement"]
    alphas = [row["value"] for row in found if row["coefficient"] == "krippendorff_interval"]
    assert len(alphas) == 2
    assert all(0.4 < alpha < 0.9 for alpha in alphas)


def test_compare_puts_methods_side_by_side(run: Run, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "side.csv"
    done = run("compare", study, "--methods", "paper,mos,p910", "--set", "paper.max_passes=2", "--out", out, "--json")
    assert done.status == 0, done.error
    found = json.loads(done.out)
    assert [(pair["method"], pair["other"]) for pair in found["pairs"]] == 2 * [
        ("paper", "mos"),
        ("paper", "p910"),
        ("mos", "p910"),
    ]
    assert found["options"]["paper"]["max_passes"] == 2
    side = rows(out)
    assert list(side[0]) == ["item", "dimension", "paper", "paper_rank", "mos", "mos_rank", "p910", "p910_rank"]
    ranks = sorted(float(row["mos_rank"]) for row in side if row["dimension"] == "quality")
    assert sum(ranks) == sum(range(1, 41))


def test_plan_from_figures_and_from_a_pilot(run: Run, study: Path) -> None:
    assert "30 raters for each item" in run("plan", "--sd", "0.8", "--half-width", "0.3").out
    assert "15 raters for each item" in run("plan", "--icc", "0.57", "--reliability", "0.95").out
    found = json.loads(run("plan", study, "--half-width", "0.3", "--json").out)["plans"]
    assert [plan["dimension"] for plan in found] == ["consistency", "quality"]
    assert all(plan["needs"][0]["raters"] > 10 and 0 < plan["icc"] < 1 for plan in found)


def test_report_is_one_page_on_its_own(run: Run, study: Path, tmp_path: Path) -> None:
    pages = [tmp_path / name for name in ("one.html", "two.html")]
    for page in pages:
        assert run("report", study, "--scale", 1, 5, "--out", page).status == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()
    text = pages[0].read_text()
    assert text.count("<svg") == 4 + 2 * 6
    assert "anna11" in text
    assert not any(word in text for word in ('src="http', 'href="http', "<script"))


def test_methods_are_listed_with_their_options(run: Run) -> None:
    assert [row["method"] for row in json.loads(run("methods", "--json").out)] == list(METHODS)
    options = {row["option"]: row for row in json.loads(run("methods", "bt500", "--json").out)}
    assert options["max_share"]["default"] == "0.05"
    assert options["zero_variance"]["values"] == "skip | literal"
    assert all(row["what it does"] for row in options.values())


@pytest.mark.parametrize(
    "command", ["score", "update", "screen", "raters", "agreement", "compare", "plan", "report", "methods"]
)
def test_help_has_examples(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.status == 0
    assert f"     editfhf mos {command}" in shown.out, "examples are indented in every help text"
    assert not any(mark in shown.out for mark in ("<bool>", "{", "}"))


def test_several_files_are_one_study(run: Run, study: Path, tmp_path: Path) -> None:
    header, *lines = study.read_text().splitlines()
    parts = [tmp_path / name for name in ("one.csv", "two.csv")]
    for path, rows in zip(parts, (lines[:300], lines[300:]), strict=True):
        path.write_text("\n".join([header, *rows]) + "\n")
    whole, pieces = (json.loads(run("score", *tables, "--json").out) for tables in ([study], parts))
    assert pieces["scores"] == whole["scores"]
    assert list(pieces["input"]["sha256"]) == ["one.csv", "two.csv"]
    twice = run("score", *parts, parts[0]).error
    assert "300 rows are invalid" in twice
    assert "(one.csv, row 2)" in twice
