"""What a build makes of a small campaign: every row, region, mark and score, worked out by hand or by other means."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from annotation.records import DIMENSIONS, KINDS
from annotation.taxonomy import load_edit_tasks
from editfhf.dataset import load, make_dataset_features, render_maps
from editfhf.features import DATASET_CONFIGS
from tests.editfhf.builder import building, corpora
from tests.editfhf.builder.campaign import (
    AGAIN,
    ALONE,
    CARELESS_RATER,
    CLEAN,
    DISCARDED,
    DISPUTED,
    EXPLAINED,
    OUTLYING_PAIR,
    OUTLYING_RATER,
    REVIEWED,
    TEXT,
    campaign,
)
from tests.editfhf.builder.corpora import Made

Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def made() -> Made:
    return campaign()


@pytest.fixture(scope="module")
def dataset(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign, built without pseudonyms so that people can be told apart here."""
    folder = tmp_path_factory.mktemp("campaign")
    made.write(folder / "corpus")
    building.make(folder / "corpus", folder / "dataset", building.options(pseudonyms=False))
    return folder / "dataset"


@pytest.fixture(scope="module")
def rows(dataset: Path) -> Rows:
    return {row["pair_id"]: row for row in building.table(dataset)}


@pytest.fixture(scope="module")
def marks(dataset: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for mark in building.table(dataset, "marks"):
        found.setdefault(mark["pair_id"], []).append(mark)
    return found


def test_every_pair_is_one_row_with_what_the_corpus_says_of_it(made: Made, rows: Rows) -> None:
    assert len(rows) == len(made.pairs)
    for pair in made.pairs:
        row = rows[pair["pair_id"]]
        for name in ("source_id", "instruction", "editor", "licence"):
            assert row[name] == pair[name]
        assert list(load_edit_tasks())[row["task"]] == pair["task"]
        assert row["task_group"] == load_edit_tasks()[pair["task"]].group


def test_pictures_are_the_bytes_of_the_corpus(made: Made, rows: Rows) -> None:
    for pair in made.pairs:
        for column, path in (("source_image", pair["source"]), ("edited_image", pair["edited"])):
            assert rows[pair["pair_id"]][column] == {"bytes": made.images[path], "path": Path(path).name}


def test_rows_of_a_split_are_sorted_by_source_and_no_source_is_in_two(dataset: Path) -> None:
    seen: dict[str, str] = {}
    for split in ("train", "validation", "test"):
        sources = [row["source_id"] for row in load_rows(dataset, split)]
        assert sources == sorted(sources)
        for source in sources:
            assert seen.setdefault(source, split) == split
    assert Counter(seen.values()) == {"train": 4, "validation": 1, "test": 1}


def load_rows(dataset: Path, split: str) -> list[dict[str, Any]]:
    found = []
    for path in sorted((dataset / "data").glob(f"{split}-*.parquet")):
        found += pq.read_table(path, columns=["pair_id", "source_id"]).to_pylist()
    return found


def test_an_agreed_region_is_the_median_of_its_boxes_with_everybodys_disks(rows: Rows) -> None:
    middle, _ = corpora.flaw(1)
    (region,) = rows["p001"]["artifact_regions"]
    assert region["box"] == pytest.approx(list(middle.box))
    expected = sorted([disk.x + shift, disk.y] for disk in middle.disks for shift in (-1, 0, 1))
    assert np.allclose(region["disks"], expected)
    assert region["annotators"] == ["1", "2", "3"]


def test_clean_pairs_have_no_region_and_black_maps(rows: Rows) -> None:
    for pair_id in CLEAN:
        for kind in KINDS:
            assert rows[pair_id][f"{kind}_regions"] == []
            assert rows[pair_id][f"{kind}_peak"] == 0
            assert not grey(rows[pair_id][f"{kind}_saliency"]).any()


def test_the_experts_word_stands(rows: Rows, marks: dict[str, list[dict[str, Any]]]) -> None:
    (region,) = rows[REVIEWED]["artifact_regions"]
    drawn, _ = corpora.flaw(2)
    assert region["region_id"] == "e2"
    assert region["box"] == pytest.approx([*drawn.box[:2], drawn.box.x1 + 5, drawn.box.y1])
    assert (region["flaw_type"], region["severity"], region["rationale"]) == ("hand_foot", "severe", "Two left hands.")
    assert rows[REVIEWED]["failure_regions"] == []
    status = Counter((mark["kind"], mark["status"]) for mark in marks[REVIEWED])
    assert status == {("artifact", "accepted"): 4, ("failure", "overruled"): 3}


def test_a_rationale_is_final_when_three_agree_and_only_then(dataset: Path, rows: Rows) -> None:
    (artifact,), (failure,) = (rows[EXPLAINED][f"{kind}_regions"] for kind in KINDS)
    assert (artifact["rationale"], artifact["flaw_type"], artifact["severity"]) == (TEXT, "hand_foot", "moderate")
    assert failure["rationale"] is None
    (line,) = [line for line in building.rejected(dataset) if line["reason"] == "not_final"]
    assert (line["pair_id"], line["item_id"]) == (EXPLAINED, failure["region_id"])


def test_more_than_three_flags_discard_a_region_and_three_do_not(
    dataset: Path, rows: Rows, marks: dict[str, list[dict[str, Any]]]
) -> None:
    assert rows[DISCARDED]["failure_regions"] == []
    assert rows[DISCARDED]["failure_peak"] == 0
    assert {mark["status"] for mark in marks[DISCARDED] if mark["kind"] == "failure"} == {"flagged"}
    assert len(rows[DISPUTED]["failure_regions"]) == 1
    (line,) = [line for line in building.rejected(dataset) if line["reason"] == "flagged"]
    assert line["pair_id"] == DISCARDED
    flags = {row["annotator_id"]: row["flags"] for row in building.table(dataset, "annotators")}
    assert sum(flags.values()) == 7


def test_what_one_person_alone_saw_is_kept_as_a_mark_only(rows: Rows, marks: dict[str, list[dict[str, Any]]]) -> None:
    assert [rows[ALONE][f"{kind}_regions"] for kind in KINDS] == [[], []]
    assert Counter(mark["status"] for mark in marks[ALONE]) == {"unsupported": 2}


def test_of_two_submissions_of_a_person_the_later_counts_and_both_are_kept(
    dataset: Path, rows: Rows, marks: dict[str, list[dict[str, Any]]]
) -> None:
    (artifact,), (failure,) = (rows[AGAIN][f"{kind}_regions"] for kind in KINDS)
    assert artifact["annotators"] == ["1", "2", "3"]
    assert failure["annotators"] == ["2", "3"]
    assert Counter(mark["status"] for mark in marks[AGAIN]) == {"accepted": 5, "superseded": 2}
    marked = {row["annotator_id"]: row["regional_annotations"] for row in building.table(dataset, "annotators")}
    assert marked["1"] == marked["2"] == len(rows)


def test_accepted_marks_name_their_region_and_no_other_does(rows: Rows, marks: dict[str, list[dict[str, Any]]]) -> None:
    for pair_id, row in rows.items():
        for kind in KINDS:
            regions = {region["region_id"]: region["disks"] for region in row[f"{kind}_regions"]}
            points: dict[str, list[list[float]]] = {region_id: [] for region_id in regions}
            for mark in marks.get(pair_id, []):
                if mark["kind"] == kind and mark["status"] == "accepted":
                    points[mark["region_id"]] += mark["disks"]
            assert {name: sorted(disks) for name, disks in points.items()} == regions


def test_maps_drawn_again_from_the_marks_are_the_stored_maps(
    rows: Rows, marks: dict[str, list[dict[str, Any]]]
) -> None:
    for pair_id, row in rows.items():
        regions = {region["region_id"] for kind in KINDS for region in row[f"{kind}_regions"]}
        again = render_maps(marks.get(pair_id, []), corpora.HEIGHT, corpora.WIDTH, regions=regions)
        for kind in KINDS:
            stored = grey(row[f"{kind}_saliency"])
            assert stored.shape == (corpora.HEIGHT, corpora.WIDTH)
            assert np.abs(stored - 255.0 * again[kind]).max() <= 1


def test_maps_are_the_formula_of_the_paper(rows: Rows) -> None:
    y, x = np.mgrid[: corpora.HEIGHT, : corpora.WIDTH] + 0.5
    sigma = corpora.HEIGHT / 40
    for kind in KINDS:
        disks = [disk for region in rows["p001"][f"{kind}_regions"] for disk in region["disks"]]
        total = sum(np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / (2 * sigma**2)) for dx, dy in disks)
        assert rows["p001"][f"{kind}_peak"] == pytest.approx(total.max(), rel=1e-4)
        assert np.abs(grey(rows["p001"][f"{kind}_saliency"]) - 255 * total / total.max()).max() <= 1


def grey(image: dict[str, Any]) -> np.ndarray:
    with Image.open(BytesIO(image["bytes"])) as opened:
        assert opened.mode == "L"
        return np.asarray(opened).astype(float)


def given(made: Made) -> dict[tuple[str, int, str], float]:
    """Every score of the export by pair, rater and dimension."""
    return {
        (item["data"]["pair_id"], annotation["completed_by"], result["from_name"]): result["value"]["number"]
        for item in made.exports["ratings.json"]
        for annotation in item["annotations"]
        for result in annotation["result"]
        if result["from_name"] in DIMENSIONS
    }


def test_ratings_are_kept_outlying_or_of_an_excluded_rater(made: Made, dataset: Path) -> None:
    found = building.table(dataset, "ratings")
    assert len(found) == len(given(made))
    status = {(row["pair_id"], int(row["annotator_id"]), row["dimension"]): row["status"] for row in found}
    assert status[OUTLYING_PAIR, OUTLYING_RATER, "perceptual_quality"] == "outlier"
    assert {status[key] for key in status if key[1] == CARELESS_RATER} <= {"outlier", "rater_excluded"}
    rest = [key for key in status if key[1] != CARELESS_RATER]
    assert Counter(status[key] for key in rest) == {"outlier": 1, "kept": len(rest) - 1}
    people = {row["annotator_id"]: row for row in building.table(dataset, "annotators")}
    assert [name for name, row in people.items() if row["excluded"]] == [str(CARELESS_RATER)]
    assert people[str(OUTLYING_RATER)]["outlier_share"] == pytest.approx(1 / 36)


def test_everybody_comes_with_the_line_of_the_ledger_about_them(dataset: Path) -> None:
    people = {row["annotator_id"]: row for row in building.table(dataset, "annotators")}
    careless = people.pop(str(CARELESS_RATER))
    assert (careless["rule"], careless["threshold"], careless["excluded_in"]) == ("outlier_share", 0.05, "all")
    assert careless["statistic"] == careless["outlier_share"] > careless["threshold"]
    assert {row[name] for row in people.values() for name in ("rule", "statistic", "threshold", "excluded_in")} == {
        None
    }
    rated = {name for name, row in people.items() if row["ratings"]}
    assert {name for name, row in people.items() if row["outlier_share"] is None} == people.keys() - rated
    assert all(row["outliers"] is not None for row in people.values())


def test_scores_are_equation_1_worked_out_plainly(made: Made, dataset: Path, rows: Rows) -> None:
    """Two sigma on raw scores, raters above 5 % out, z by rater and dimension, 100 (z + 3) / 6."""
    scores = given(made)
    outliers = set()
    for pair_id in rows:
        for dimension in DIMENSIONS:
            own = {key: score for key, score in scores.items() if (key[0], key[2]) == (pair_id, dimension)}
            mean, sd = np.mean(list(own.values())), np.std(list(own.values()), ddof=1)
            outliers |= {key for key, score in own.items() if abs(score - mean) > 2 * sd}
    share = Counter(rater for _, rater, _ in outliers)
    kept = {key: score for key, score in scores.items() if key not in outliers and 20 * share[key[1]] <= 36}
    for pair_id, row in rows.items():
        for dimension in DIMENSIONS:
            z = []
            for key in kept:
                if (key[0], key[2]) == (pair_id, dimension):
                    own = [score for other, score in kept.items() if other[1:] == key[1:]]
                    z.append((kept[key] - np.mean(own)) / np.std(own, ddof=1))
            assert row[dimension] == pytest.approx(100 * (np.mean(z) + 3) / 6, rel=1e-5)
            assert row[f"{dimension}_n"] == len(z)
            assert 0 < row[f"{dimension}_ci95"] < 50


def test_overall_is_equation_5(rows: Rows) -> None:
    for row in rows.values():
        perceptual, instruction, consistency = (max(row[dimension], 0.0) for dimension in DIMENSIONS)
        assert row["overall"] == pytest.approx(perceptual**0.3 * instruction**0.4 * consistency**0.3, rel=1e-5)


def test_the_manifest_counts_what_went_in_and_came_out(made: Made, dataset: Path) -> None:
    stages = {stage["stage"]: (stage["in"], stage["out"]) for stage in building.manifest(dataset)["stages"]}
    assert stages["files"] == (8, 8)
    assert stages["pairs"] == (12, 12)
    assert stages["images"] == (18, 18)
    assert stages["annotations"] == (3 * 12 + 1 + 1, 3 * 12 + 1 + 1)
    marks = building.table(dataset, "marks")
    assert stages["boxes"] == (len(marks), sum(mark["status"] == "accepted" for mark in marks))
    assert stages["ratings"] == (12 * 15 * 3, 12 * 15 * 3)
    assert stages["scores"] == (36, 36)
    outputs = {entry["path"]: entry for entry in building.manifest(dataset)["outputs"]}
    files = {name for name, digest in building.tree(dataset).items() if digest != "folder"}
    assert set(outputs) == files - {"manifest.json"}
    assert all(outputs[name]["sha256"] == building.tree(dataset)[name] for name in outputs)


class TestThroughDatasets:
    @pytest.fixture(autouse=True)
    def _offline(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        datasets.disable_progress_bars()

    @pytest.mark.parametrize("config", DATASET_CONFIGS)
    def test_each_config_opens_with_our_features(self, dataset: Path, config: str, tmp_path: Path) -> None:
        opened = datasets.load_dataset(str(dataset), config, cache_dir=str(tmp_path / "cache"))
        for table in opened.values():
            assert table.features == make_dataset_features(config)
        assert sum(len(table) for table in opened.values()) == len(building.table(dataset, config))

    def test_rows_stream_with_their_pictures(self, made: Made, dataset: Path) -> None:
        row = next(iter(load(dataset, split="train", streaming=True)))
        pair = next(pair for pair in made.pairs if pair["pair_id"] == row["pair_id"])
        with Image.open(BytesIO(made.images[pair["edited"]])) as image:
            assert np.array_equal(np.asarray(row["edited_image"]), np.asarray(image))
        assert row["artifact_saliency"].size == (corpora.WIDTH, corpora.HEIGHT)


PEOPLE = {number: f"person.{number}.x7q@example.org" for number in range(40)}


def test_no_annotators_id_is_anywhere_in_the_dataset(tmp_path: Path) -> None:
    made = campaign()
    for export in made.exports.values():
        for item in export:
            for annotation in item["annotations"]:
                annotation["completed_by"] = {"email": PEOPLE[annotation["completed_by"]]}
    # Things that are set aside name people too.
    spoilt = made.exports["regions-0.json"][1]["annotations"][0]["result"]
    spoilt[0]["value"]["rectanglelabels"] = ["nothing"]
    made.exports["ratings.json"][0]["annotations"][0]["result"][0]["value"]["number"] = 9.0
    made.exports["ratings.json"][0]["annotations"][1]["was_cancelled"] = True
    made.write(tmp_path / "corpus")
    table = f"pair_id,annotator_id,dimension,score\np000,{PEOPLE[39]},perceptual_quality,77\n,{PEOPLE[38]},x,1\n"
    (tmp_path / "corpus/annotations/ratings-more.csv").write_text(table)

    building.make(tmp_path / "corpus", tmp_path / "dataset")
    for path in (tmp_path / "dataset").rglob("*"):
        assert path.is_dir() or b"x7q@" not in path.read_bytes(), path
    # Parquet may hide a text behind its compression, so its values are looked at too.
    for config in DATASET_CONFIGS:
        assert "x7q@" not in str(building.table(tmp_path / "dataset", config))
    people = [row["annotator_id"] for row in building.table(tmp_path / "dataset", "annotators")]
    assert people == sorted(set(people))
    assert all(name.startswith("A") for name in people)
    assert {line["annotator_id"] for line in building.rejected(tmp_path / "dataset")} <= {None, *people}
    refused = [line for line in building.rejected(tmp_path / "dataset") if line["reason"] == "out_of_scale"]
    assert all(line["annotator_id"] in people for line in refused)
