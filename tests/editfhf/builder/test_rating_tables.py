"""Tables of ratings in a corpus: every rating is a rating, or a line that says why it is none."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.labelstudio.read_ratings import read_latest_ratings
from annotation.records import DIMENSIONS, Place, Rejection
from tests.editfhf.builder import building, corpora

NAMES = ["Caf\u00e9", "\ud55c\uad6d", "\u30d0\u30b9", "Vi\u1ec7t Nam"]
SINGLE = ["\u2126", "\u212b", "\uf900", "\u1f71"]


def corpus_with(root: Path, ids: list[str], header: str, rows: list[str]) -> Path:
    """A corpus of pairs with these ids and one table of ratings."""
    made = corpora.corpus(sources=len(ids), edits=1, raters=3)
    for pair, pair_id in zip(made.pairs, ids, strict=True):
        pair["pair_id"] = pair_id
    made.exports = {}
    corpus = made.write(root)
    (corpus / "annotations/ratings.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return corpus


def rows_of(ids: list[str], raters: int = 3) -> list[str]:
    return [
        f"{pair_id},r{rater},{dimension},{1 + (rater + place) % 5}"
        for place, pair_id in enumerate(ids)
        for rater in range(raters)
        for dimension in DIMENSIONS
    ]


def build(corpus: Path, dataset: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Score in one dimension by pair, and what was set aside."""
    building.make(corpus, dataset, building.options(mos={"method": "mos"}, gallery=0))
    return {row["pair_id"]: row[DIMENSIONS[0]] for row in building.table(dataset)}, building.rejected(dataset)


@pytest.mark.parametrize("form", ["csv", "parquet", "export"])
def test_ids_in_any_unicode_form_have_their_scores(tmp_path: Path, form: str) -> None:
    ids = [unicodedata.normalize("NFD", name) for name in NAMES] + SINGLE
    corpus = corpus_with(tmp_path / "corpus", ids, "pair_id,annotator_id,dimension,score", rows_of(ids))
    path = corpus / "annotations/ratings.csv"
    if form == "parquet":
        fields = [row.split(",") for row in rows_of(ids)]
        names = ("pair_id", "annotator_id", "dimension", "score")
        table = pa.table({name: list(column) for name, column in zip(names, zip(*fields, strict=True), strict=True)})
        path.unlink()
        pq.write_table(table.set_column(3, "score", table["score"].cast(pa.float64())), path.with_suffix(".parquet"))
    if form == "export":
        tasks = corpora.corpus(sources=len(ids), edits=1, raters=3).exports["ratings.json"]
        for task, pair_id in zip(tasks, ids, strict=True):
            task["data"]["pair_id"] = pair_id
        path.unlink()
        path.with_suffix(".json").write_text(json.dumps(tasks))
    scores, rejected = build(corpus, tmp_path / "dataset")
    assert set(scores) == set(ids)
    assert None not in scores.values()
    assert rejected == []


@pytest.mark.parametrize("turned", [False, True])
def test_another_unicode_form_is_told_with_its_code_points(tmp_path: Path, turned: bool) -> None:
    ids = ["Caf\u00e9", "Cafe\u0301"][:: -1 if turned else 1]
    corpus = corpus_with(tmp_path / "corpus", ids[:1], "pair_id,annotator_id,dimension,score", rows_of(ids[1:]))
    _, rejected = build(corpus, tmp_path / "dataset")
    told = [line for line in rejected if line["reason"] == "unknown_pair"]
    assert len(told) == 9
    points = ["U+00E9", "U+0065 U+0301"][:: -1 if turned else 1]
    assert (
        f"it is there in another spelling ({points[0]} and {points[1]}): write the id in one way" in told[0]["message"]
    )


def test_pairs_whose_ids_differ_in_form_keep_their_ratings_apart(tmp_path: Path) -> None:
    ids = ["Caf\u00e9", "Cafe\u0301"]
    rows = [
        f"{pair_id},r{rater},{DIMENSIONS[0]},{score}"
        for pair_id, score in zip(ids, (1, 5), strict=True)
        for rater in range(3)
    ]
    corpus = corpus_with(tmp_path / "corpus", ids, "pair_id,annotator_id,dimension,score", rows)
    scores, rejected = build(corpus, tmp_path / "dataset")
    assert scores == {ids[0]: 0, ids[1]: 100}
    told = [line for line in rejected if line["reason"] == "similar_id"]
    assert [(line["what"], line["row"], line["repaired"]) for line in told] == [("pair", 2, True)]


def test_raters_whose_ids_differ_in_spelling_are_told(tmp_path: Path) -> None:
    rows = [f"p,{rater},{DIMENSIONS[0]},3" for rater in ("7", "007", "Zo\u00eb", "Zoe\u0308", "ann")]
    corpus = corpus_with(tmp_path / "corpus", ["p"], "pair_id,annotator_id,dimension,score", rows)
    _, rejected = build(corpus, tmp_path / "dataset")
    told = [line for line in rejected if line["reason"] == "similar_id"]
    assert [(line["what"], line["row"]) for line in told] == [("rater", 2), ("rater", 4)]
    assert "Zo" not in told[1]["message"]


@pytest.mark.parametrize("value", [7, 7.0])
def test_whole_numbers_in_an_export_are_ids(tmp_path: Path, value: float) -> None:
    made = corpora.corpus(sources=2, edits=1, raters=3)
    numbers = {pair["pair_id"]: value + place for place, pair in enumerate(made.pairs)}
    for pair, pair_id in zip(made.pairs, ("7", "8"), strict=True):
        pair["pair_id"] = pair_id
    for tasks in made.exports.values():
        for task in tasks:
            task["data"]["pair_id"] = numbers[task["data"]["pair_id"]]
    scores, rejected = build(made.write(tmp_path / "corpus"), tmp_path / "dataset")
    assert [line["reason"] for line in rejected] == []
    assert set(scores) == {"7", "8"} and None not in scores.values()
    assert any(row["artifact_regions"] for row in building.table(tmp_path / "dataset"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7.5, "but got 7.5"),
        (1e300, "but got 1e+300"),
        (True, "but got True"),
        ([7], "but got [7]"),
        (None, "but it names none"),
        (" 7", "but the text there has blanks at its ends"),
    ],
)
def test_what_is_no_id_in_an_export_is_shown(value: Any, said: str) -> None:
    told: list[Rejection] = []
    task = {"data": {"pair_id": value}, "annotations": []}
    assert read_latest_ratings(task, Place("ratings.json", 1), told.append) == ([], [])
    assert [line.reason for line in told] == ["no_pair_id"]
    assert said in told[0].message


def test_a_number_that_lost_its_zeros_names_the_pair(tmp_path: Path) -> None:
    corpus = corpus_with(
        tmp_path / "corpus", ["007", "100000"], "pair_id,annotator_id,dimension,score", rows_of(["7", "1E+05"])
    )
    _, rejected = build(corpus, tmp_path / "dataset")
    told = {line["message"] for line in rejected if line["reason"] == "unknown_pair"}
    assert {message.partition("; ")[2] for message in told} == {
        "it is there as '007' (the same number): write the id in one way",
        "it is there as '100000' (the same number): write the id in one way",
    }


@pytest.mark.parametrize(
    "header", ["image_id,pair_id,annotator_id,dimension,score", "item,pair_id,annotator_id,dimension,score"]
)
def test_pair_id_counts_beside_another_column(tmp_path: Path, header: str) -> None:
    rows = [f"img_{row}" for row in rows_of(["p", "q"])]
    rows = [f"img.png,{row.removeprefix('img_')}" for row in rows]
    scores, rejected = build(corpus_with(tmp_path / "corpus", ["p", "q"], header, rows), tmp_path / "dataset")
    assert None not in scores.values()
    assert rejected == []


@pytest.mark.parametrize(
    ("header", "rows", "reason", "said"),
    [
        ("image_id,item,annotator_id,dimension,score", ["a,p,r,overall,3"], "broken_table", "'image_id' and 'item'"),
        ("pair_id,rater,worker,dimension,score", ["p,r,w,overall,3"], "broken_table", "'rater' and 'worker'"),
        ("pair_id,annotator_id,score", ["p,r,3", "p,s,4"], "broken_table", "no column for the dimension"),
        ("pair_id,annotator_id,dimensions,score", ["p,r,x,3"], "broken_table", "Did you mean 'dimensions'"),
        ("pair_id,annotator_id,dimension,score", [], "empty_file", "a header and no rows"),
        ("", [], "broken_table", "the file is empty"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(
    tmp_path: Path, header: str, rows: list[str], reason: str, said: str
) -> None:
    _, rejected = build(corpus_with(tmp_path / "corpus", ["p"], header, rows), tmp_path / "dataset")
    told = [line for line in rejected if line["what"] == "file"]
    assert [line["reason"] for line in told] == [reason]
    assert said in told[0]["message"]


def test_times_that_do_not_sort_as_text(tmp_path: Path) -> None:
    name = DIMENSIONS[0]
    rows = [
        f"p,r,{name},1,2026-01-09T10:05:00+00:00",
        f"p,r,{name},5,2026-01-09T11:04:00+02:00",
        f"p,s,{name},5,1/9/2026 9:05",
        f"p,s,{name},1,1/9/2026 10:05",
        f"p,t,{name},NA,2026-01-09",
    ]
    corpus = corpus_with(tmp_path / "corpus", ["p"], "pair_id,annotator_id,dimension,score,rated_at", rows)
    scores, rejected = build(corpus, tmp_path / "dataset")
    assert scores == {"p": 0}
    told = {line["row"]: line["reason"] for line in rejected if line["what"] == "rating"}
    assert told == {3: "duplicate_rating", 4: "duplicate_unordered", 6: "missing_score"}


@pytest.mark.parametrize(
    ("value", "read"), [(7, True), (7.0, True), ("7", True), (True, False), (7.5, False), (None, False)]
)
def test_flags_name_pairs_as_exports_do(tmp_path: Path, value: Any, read: bool) -> None:
    corpus = corpus_with(tmp_path / "corpus", ["7"], "pair_id,annotator_id,dimension,score", rows_of(["7"]))
    flag = {"pair_id": value, "region_id": "r1", "annotator_id": "ann"}
    (corpus / "annotations/flags.json").write_text(json.dumps([flag]))
    _, rejected = build(corpus, tmp_path / "dataset")
    assert [line["reason"] for line in rejected if line["what"] == "flag" and line["reason"] != "unknown_region"] == (
        [] if read else ["missing_value"]
    )
