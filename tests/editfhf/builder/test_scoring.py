"""A build by each scoring method: whole, valid, the same twice, and its scores are those of `mos` on 0 to 100."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import orjson
import pyarrow as pa
import pytest

from annotation.records import DIMENSIONS
from editfhf.builder.options import SCORING_SECTIONS
from editfhf.dataset import make_dataset_features
from editfhf.validation import validate_dataset
from mos.methods import score_ratings
from mos.scoring.result import ScoringResult
from mos.table import validate_ratings
from tests.editfhf.builder import building, corpora
from tests.editfhf.builder.campaign import CARELESS_RATER, campaign
from tests.editfhf.builder.corpora import Made

# Each method as named alone, and with options that change what is excluded, how, and what the intervals are.
CHOSEN: dict[str, dict[str, Any]] = {name: {"method": name} for name in SCORING_SECTIONS} | {
    "paper by dimension": {"method": "paper", "exclusion_scope": "dimension", "interval": "normal", "clip": True},
    "paper with fallback": {"method": "paper", "min_ratings": 14, "on_too_few": "fallback"},
    "pooled bt500": {"method": "bt500", "zero_variance": "literal", "max_share": 0.25, "exclusion_scope": "pooled"},
    "screened p913": {"method": "p913", "screening": "bt500"},
    "bootstrapped mos": {"method": "mos", "interval": "bootstrap", "resamples": 100, "seed": 5},
}
COUNTING = {"paper", "paper by dimension", "paper with fallback", "bt500", "pooled bt500", "screened p913"}
NORMALISING = {"paper", "paper by dimension", "paper with fallback", "zscore"}

ERRATIC_RATER = 13
ERRATIC_IN = "visual_consistency"


@pytest.fixture(scope="module")
def made() -> Made:
    """The campaign, with a rater who is now far above all others and now far below, as BT.500 looks for.

    Of 15 ratings 7 lie one step below the middle and 7 above, and one three steps: 2.2 sample deviations off the mean,
    at a kurtosis of 2.4.
    """
    made = campaign()
    for number, item in enumerate(made.exports["ratings.json"]):
        for annotation in item["annotations"]:
            who = annotation["completed_by"]
            steps = (3 if who == ERRATIC_RATER else 1) * (1 if (who + (who > ERRATIC_RATER) + number) % 2 else -1)
            for result in annotation["result"]:
                if result["from_name"] == ERRATIC_IN:
                    result["value"]["number"] = round(2.5 + 0.1 * number + 0.2 * steps, 2)
    return made


@pytest.fixture(scope="module")
def corpus(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write(tmp_path_factory.mktemp("scoring") / "corpus")


@pytest.fixture(scope="module", params=CHOSEN)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def options_of(name: str) -> Any:
    return building.options(mos=CHOSEN[name], pseudonyms=False, gallery=2)


@pytest.fixture(scope="module")
def dataset(name: str, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "dataset"
    building.make(corpus, folder, options_of(name))
    return folder


@pytest.fixture(scope="module")
def result(name: str, made: Made) -> ScoringResult:
    """The method on the same ratings, without the builder."""
    given = [
        (item["data"]["pair_id"], str(annotation["completed_by"]), result["from_name"], result["value"]["number"])
        for item in made.exports["ratings.json"]
        for annotation in item["annotations"]
        for result in annotation["result"]
        if result["from_name"] in DIMENSIONS
    ]
    table = pa.table(dict(zip(("item", "rater", "dimension", "score"), zip(*given, strict=True), strict=True)))
    ratings, problems = validate_ratings(table, (1.0, 5.0), dimensions=DIMENSIONS)
    assert not problems
    return score_ratings(
        ratings, CHOSEN[name]["method"], {key: v for key, v in CHOSEN[name].items() if key != "method"}
    )


def test_scores_are_those_of_the_method_from_the_scale_to_points(
    name: str, dataset: Path, result: ScoringResult
) -> None:
    def points(value: float | None, low: float) -> float | None:
        return value if value is None or name in NORMALISING else 100 * (value - low) / (5 - 1)

    rows = {row["pair_id"]: row for row in building.table(dataset)}
    assert len(result.scores) == len(rows) * len(DIMENSIONS)
    for line in result.scores.to_pylist():
        row, dimension = rows[line["item"]], line["dimension"]
        assert row[dimension] == pytest.approx(points(line["mos"], 1.0), rel=1e-6)
        assert row[f"{dimension}_ci95"] == pytest.approx(points((line["ci_high"] - line["ci_low"]) / 2, 0.0), rel=1e-6)
        assert row[f"{dimension}_n"] == line["n"]


def test_every_rating_has_the_fate_that_the_method_gave_it(name: str, dataset: Path, result: ScoringResult) -> None:
    found = building.table(dataset, "ratings")
    ratings = result.ratings
    kept = {
        (ratings.items[i].as_py(), ratings.raters[r].as_py(), ratings.dimensions[d].as_py()): (status == 0, value)
        for i, r, d, status, value in zip(
            ratings.item, ratings.rater, ratings.dimension, result.status, result.value, strict=True
        )
    }
    assert len(found) == len(kept)
    for row in found:
        counts, value = kept[row["pair_id"], row["annotator_id"], row["dimension"]]
        assert (row["status"] == "kept") == counts
        z = value if name in NORMALISING and not np.isnan(value) else None
        assert row["z"] == (z if z is None else pytest.approx(z))
        assert (row["rule"] is None) == (row["statistic"] is None) == (row["threshold"] is None)


def test_everybody_has_the_first_line_of_the_ledger_about_them(name: str, dataset: Path, result: ScoringResult) -> None:
    lines: dict[str, dict[str, Any]] = {}
    for line in result.ledger().to_pylist():
        if line["what"] == "rater":
            lines.setdefault(line["rater"], line)
    raters = {row["rater"]: row for row in result.raters.to_pylist()}
    for row in building.table(dataset, "annotators"):
        line, rater = lines.get(row["annotator_id"], {}), raters.get(row["annotator_id"], {})
        for column in ("rule", "statistic", "threshold"):
            assert row[column] == line.get(column)
        assert row["excluded_in"] == rater.get("excluded_in")
        assert row["excluded"] == rater.get("excluded", False)
        assert (row["outliers"] is None) == (name not in COUNTING)
        assert (row["outlier_share"] is None) == (name not in COUNTING or row["ratings"] == 0)


# Who is left out of what, and by which rule; by the others nobody is.
LEFT_OUT = {
    "paper": {CARELESS_RATER: ("all", "outlier_share"), ERRATIC_RATER: ("all", "outlier_share")},
    "bt500": {ERRATIC_RATER: (ERRATIC_IN, "bt500_share")},
    "pooled bt500": {ERRATIC_RATER: ("all", "bt500_share")},
    "screened p913": {ERRATIC_RATER: (ERRATIC_IN, "bt500_share")},
    "mos": {},
    "zscore": {},
    "p913": {},
    "p910": {},
}


def test_each_rule_leaves_out_whom_it_is_made_for(name: str, dataset: Path) -> None:
    people = {int(row["annotator_id"]): row for row in building.table(dataset, "annotators")}
    found = {who: (row["excluded_in"], row["rule"]) for who, row in people.items() if row["excluded_in"]}
    if name == "correlation":
        assert found[CARELESS_RATER] == ("instruction_following, perceptual_quality", "correlation")
    elif name in LEFT_OUT:
        assert found == LEFT_OUT[name]
    assert all(row["excluded"] == (row["excluded_in"] == "all") for row in people.values())


def test_the_manifest_and_the_card_tell_the_method(name: str, dataset: Path, result: ScoringResult) -> None:
    manifest = building.manifest(dataset)
    assert {key: manifest["options"]["mos"][key] for key in CHOSEN[name]} == CHOSEN[name]
    assert manifest["scores"]["options"] == {"scale": [1.0, 5.0], **result.options}
    assert manifest["scores"]["raters_excluded"] == result.summary["raters_excluded"]
    assert f"Method `{CHOSEN[name]['method']}`: " in (dataset / "README.md").read_text(encoding="utf-8")
    assert ("figures/raters.svg" in {entry["path"] for entry in manifest["outputs"]}) == (name in COUNTING)


def test_it_is_valid_to_the_last_pixel(dataset: Path) -> None:
    assert [issue for issue in validate_dataset(dataset, deep=True) if issue.severity == "error"] == []


def test_it_is_the_same_twice(name: str, dataset: Path, corpus: Path, tmp_path: Path) -> None:
    building.make(corpus, tmp_path / "again", options_of(name))
    assert building.differences(building.tree(tmp_path / "again"), building.tree(dataset)) == []


@pytest.mark.parametrize("config", ["default", "ratings", "annotators"])
def test_the_library_opens_it(dataset: Path, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    opened = datasets.load_dataset(str(dataset), config, cache_dir=str(tmp_path / "cache"))
    assert all(table.features == make_dataset_features(config) for table in opened.values())


@pytest.mark.parametrize("method", SCORING_SECTIONS)
def test_a_corpus_without_ratings_builds_by_any_method(method: str, tmp_path: Path) -> None:
    unrated = corpora.corpus(sources=2, edits=1)
    del unrated.exports["ratings.json"]
    unrated.write(tmp_path / "corpus")
    interval = "bootstrap" if method == "paper" else "t"
    options = building.options(mos={"method": method, "interval": interval}, gallery=0)
    building.make(tmp_path / "corpus", tmp_path / "dataset", options)
    assert validate_dataset(tmp_path / "dataset", deep=True) == []
    assert {row[name] for row in building.table(tmp_path / "dataset") for name in DIMENSIONS} == {None}
    assert building.table(tmp_path / "dataset", "ratings") == []
    assert building.rejected(tmp_path / "dataset") == []


def test_an_update_with_another_method_makes_what_it_alone_would_make(corpus: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    building.make(corpus, dataset, options_of("paper"))
    before = building.tree(dataset)
    for name in ("bt500", "p910", "paper"):
        summary = building.make(corpus, dataset, options_of(name), update=True)
        assert not summary.up_to_date
        building.make(corpus, tmp_path / name, options_of(name))
        assert building.differences(building.tree(dataset), building.tree(tmp_path / name)) == []
    assert building.differences(building.tree(dataset), before) == []


def test_options_that_refuse_the_ratings_stop_the_build_in_one_sentence(tmp_path: Path) -> None:
    made = corpora.corpus(sources=2, edits=1, raters=3)
    made.exports["ratings.json"][0]["annotations"] = made.exports["ratings.json"][0]["annotations"][:1]
    made.write(tmp_path / "corpus")
    (tmp_path / "build.yaml").write_bytes(orjson.dumps({"mos": {"method": "mos", "on_too_few": "raise"}}))
    words = ("--config", tmp_path / "build.yaml", "--workers", "1", "--quiet")
    done = building.command("build", tmp_path / "corpus", tmp_path / "dataset", *words)
    assert done.returncode == 1
    assert building.is_one_sentence(done.stderr)
    assert "fewer than 2 ratings" in done.stderr
    assert not (tmp_path / "dataset/manifest.json").exists()


def test_a_fallback_gives_a_score_from_all_ratings_and_sets_nothing_aside(tmp_path: Path) -> None:
    made = corpora.corpus(sources=2, edits=1, raters=3)
    made.exports["ratings.json"][0]["annotations"] = made.exports["ratings.json"][0]["annotations"][:1]
    made.write(tmp_path / "corpus")
    options = building.options(mos={"method": "mos", "on_too_few": "fallback"}, gallery=0)
    building.make(tmp_path / "corpus", tmp_path / "dataset", options)
    rows = building.table(tmp_path / "dataset")
    assert sorted(row[f"{DIMENSIONS[0]}_n"] for row in rows) == [1, 3]
    assert all(row[DIMENSIONS[0]] is not None for row in rows)
    assert [row[f"{DIMENSIONS[0]}_ci95"] is None for row in rows].count(True) == 1
    assert building.rejected(tmp_path / "dataset") == []
    assert validate_dataset(tmp_path / "dataset") == []
