"""Of what a person rated more than once the latest rating counts, in whichever file it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from annotation.labelstudio.read_ratings import read_latest_ratings
from annotation.labelstudio.results import build_annotation_json, rating_results
from annotation.records import DIMENSIONS, Place, Rating, Rejection
from editfhf.builder.options import BuildOptions
from editfhf.builder.ratings import CollectedRatings, score_corpus_ratings
from mos.cli import app
from tests.editfhf.builder import building, corpora

times = st.sampled_from(["", "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"])


def counted(ratings: list[Rating]) -> tuple[dict[tuple[str, str], float], list[Rejection]]:
    """The score that counts of every pair and rater, and what was set aside."""
    rows = CollectedRatings()
    rows.add(ratings)
    rejected: list[Rejection] = []
    found = score_corpus_ratings(rows, {"p", "q"}, BuildOptions().mos, rejected.append)
    items, raters = found.ratings.items.to_pylist(), found.ratings.raters.to_pylist()
    keys = [(items[item], raters[rater]) for item, rater in zip(found.ratings.item, found.ratings.rater, strict=True)]
    places = found.table.take(found.ratings.index)["row"].to_pylist()
    scores = dict(zip(keys, found.ratings.score.tolist(), strict=True))
    assert [ratings[row - 1].score for row in places] == list(scores.values())
    return scores, rejected


def rating(row: int, pair: str, person: str, score: float, at: str) -> Rating:
    return Rating(pair, person, "perceptual_quality", score, at, Place("ratings.json", row))


@given(
    st.lists(
        st.tuples(st.sampled_from("pq"), st.sampled_from("abc"), st.sampled_from([1.0, 2.0, 3.0]), times), max_size=12
    )
)
def test_the_latest_counts_and_every_other_is_set_aside(given_ratings: list[tuple[str, str, float, str]]) -> None:
    ratings = [rating(row, *one) for row, one in enumerate(given_ratings, start=1)]
    expected = {}
    for one in sorted(ratings, key=lambda one: (one.rated_at, one.place.row)):
        expected[one.pair_id, one.annotator_id] = one.score
    scores, rejected = counted(ratings)
    assert scores == expected
    assert len(rejected) == len(ratings) - len(expected)
    assert {one.reason for one in rejected} <= {"duplicate_rating"}


@pytest.mark.parametrize("apart", [False, True])
def test_an_export_has_one_score_whoever_reads_it(tmp_path: Path, apart: bool) -> None:
    """The newer submission, of 1.0, is listed before the older one, of 5.0: in one task, or in two of one pair."""
    made = corpora.corpus(sources=2, edits=1, raters=3)
    first = made.exports["ratings.json"][0]
    older, newer = (
        build_annotation_json(number, 0, 1, 11, rating_results(dict.fromkeys(DIMENSIONS, score), []), at, 9)
        for number, score, at in ((901, 5.0, "2026-02-01T00:00:00Z"), (902, 1.0, "2026-03-01T00:00:00Z"))
    )
    others = [one for one in first["annotations"] if one["completed_by"] != 11]
    first["annotations"] = [newer, *others] if apart else [newer, older, *others]
    if apart:
        made.exports["ratings.json"].append(first | {"id": 99, "annotations": [older]})
    corpus = made.write(tmp_path / "corpus")
    path = corpus / "annotations" / "ratings.json"

    heard, _ = read_latest_ratings(first, Place("ratings.json", 1), lambda rejection: None)
    scores = [one.score for one in heard if one.dimension == "perceptual_quality"]
    expected = sum(scores) / len(scores)
    assert len(scores) == 3 and 1.0 in scores

    building.make(corpus, tmp_path / "dataset", building.options(mos={"method": "mos"}))
    (row,) = [row for row in building.table(tmp_path / "dataset") if row["pair_id"] == "p000"]
    assert row["perceptual_quality"] == pytest.approx(25 * (expected - 1), abs=1e-4)

    words = ["score", str(path), "--scale", "1", "5", "--method", "mos", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = {(one["item"], one["dimension"]): one["mos"] for one in json.loads(done.stdout)["scores"]}
    assert found["p000", "perceptual_quality"] == pytest.approx(expected)
