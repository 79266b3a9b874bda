"""Pairs as Pick-a-Pic has them: `datasets` opens them, labels follow from the scores, texts stay texts."""

from __future__ import annotations

import io
import itertools
import math
import re
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from annotation.records import DIMENSIONS
from editfhf.formats import preference_files
from editfhf.formats.folders import RowGroup, open_built_dataset
from editfhf.formats.preferences import (
    ScoredEdit,
    compute_score_interval,
    label_preference,
    pair_edits,
    plan_preferences,
)
from mos.errors import UserError
from tests.editfhf import sample_dataset
from tests.editfhf.formats import hostile_rows

Row = dict[str, Any]

PICK_A_PIC = {
    "are_different": "bool",
    "best_image_uid": "string",
    "caption": "string",
    "created_at": "timestamp[ns]",
    "has_label": "bool",
    "image_0_uid": "string",
    "image_0_url": "string",
    "image_1_uid": "string",
    "image_1_url": "string",
    "jpg_0": "binary",
    "jpg_1": "binary",
    "label_0": "float64",
    "label_1": "float64",
    "model_0": "string",
    "model_1": "string",
    "ranking_id": "int64",
    "user_id": "int64",
    "num_example_per_prompt": "int64",
}
"""The columns that the card of yuvalkirstain/pickapic_v1 lists, in its order, but for the index of a data frame."""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def export(dataset: Path, folder: Path, *splits: str, **how: Any) -> Path:
    folder.mkdir()
    preference_files.write_preferences(plan_preferences(open_built_dataset(dataset), splits, **how), folder)
    return folder


def load(folder: Path, config: str | None = None, **how: Any) -> Any:
    return datasets.load_dataset(str(folder), config, split="train", **how)


def stored(dataset: Path) -> dict[str, Row]:
    return {row["pair_id"]: row for path in (dataset / "data").iterdir() for row in pq.read_table(path).to_pylist()}


def edit(name: str, score: float, low: float | None = None, high: float | None = None) -> ScoredEdit:
    return ScoredEdit(name, None, None, score, low, high, RowGroup(Path(), 0), 0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three edits of s1 with one instruction and scores 5 apart; `following` decides, with half-widths of 4."""
    return hostile_rows.write(tmp_path_factory.mktemp("preferences") / "dataset")


@pytest.fixture(scope="module")
def exported(dataset: Path) -> Path:
    return export(dataset, dataset.parent / "out", ties="none")


def test_it_opens_with_the_images_decoded(dataset: Path, exported: Path) -> None:
    rows = stored(dataset)
    for row in load(exported):
        assert row["jpg_0"].size == row["jpg_1"].size == (sample_dataset.WIDTH, sample_dataset.HEIGHT)
        expected = Image.open(io.BytesIO(rows[row["image_0_uid"]]["edited_image"]["bytes"]))
        assert row["jpg_0"].tobytes() == expected.tobytes()


@pytest.mark.parametrize("streaming", [False, True])
def test_as_bytes_it_has_the_columns_of_pick_a_pic(exported: Path, streaming: bool) -> None:
    found = load(exported, "bytes", streaming=streaming)
    types = {name: feature.dtype for name, feature in found.features.items()}
    assert {name: types[name] for name in list(types)[: len(PICK_A_PIC)]} == PICK_A_PIC


def test_images_are_the_bytes_of_the_dataset(dataset: Path, exported: Path) -> None:
    rows = stored(dataset)
    for row in load(exported, "bytes"):
        for side in (0, 1):
            own = rows[row[f"image_{side}_uid"]]
            assert row[f"jpg_{side}"] == own["edited_image"]["bytes"]
            assert row["jpg_source"] == own["source_image"]["bytes"]
            assert row[f"licence_{side}"] == own["licence"]
            assert row[f"model_{side}"] == own["editor"]
            assert row[f"score_{side}"] == own["overall"]
        assert row["caption"] == own["instruction"]


def test_every_two_edits_of_a_source_and_instruction_are_a_pair(exported: Path) -> None:
    found = [{row["image_0_uid"], row["image_1_uid"]} for row in load(exported, "bytes")]
    expected = [set(two) for two in itertools.combinations(["p0", hostile_rows.PAIR_ID, "p2"], 2)]
    assert len(found) == 3
    assert all(two in found for two in expected)


def test_labels_say_who_has_the_higher_score(exported: Path) -> None:
    for row in load(exported, "bytes"):
        better = 0 if row["score_0"] > row["score_1"] else 1
        assert (row["label_0"], row["label_1"]) == ((1.0, 0.0) if better == 0 else (0.0, 1.0))
        assert row["best_image_uid"] == row[f"image_{better}_uid"]
        assert row["has_label"]
        assert row["are_different"]
        assert row["num_example_per_prompt"] == 3


def test_overlapping_intervals_are_ties(dataset: Path, tmp_path: Path) -> None:
    """The overall scores of the sample differ by less than the half-widths of 4 that every score has."""
    rows = list(load(export(dataset, tmp_path / "out"), "bytes"))
    assert [(row["label_0"], row["label_1"], row["best_image_uid"]) for row in rows] == [(0.5, 0.5, None)] * 3


def test_another_score_decides_when_asked(tmp_path: Path) -> None:
    made = hostile_rows.tables()
    for row, score in zip(made["default"]["train"][:3], (10.0, 17.9, 18.5), strict=True):
        row["visual_consistency"] = score
    dataset = sample_dataset.write(tmp_path / "dataset", made)
    rows = list(load(export(dataset, tmp_path / "out", by="visual_consistency"), "bytes"))
    decided = [row for row in rows if row["label_0"] != 0.5]
    assert len(decided) == 1
    assert {round(decided[0]["score_0"], 1), round(decided[0]["score_1"], 1)} == {10.0, 18.5}


def test_edits_with_another_instruction_or_no_score_are_counted_not_paired(tmp_path: Path) -> None:
    made = hostile_rows.tables()
    made["default"]["train"][0]["overall"] = None
    made["default"]["train"][1]["perceptual_quality_ci95"] = None
    for row in made["default"]["train"][2:]:
        row["instruction"], row["source_id"] = "Do it", "s1"
    found = plan_preferences(open_built_dataset(sample_dataset.write(tmp_path / "dataset", made)))
    assert found.summary()["splits"]["train"] == {
        "pairs": 1,
        "decided": 0,
        "ties": 1,
        "prompts": 1,
        "edits": 2,
        "left_out": {"no_score": 1, "no_interval": 1, "nothing_to_compare_with": 0},
    }
    assert found.summary()["splits"]["test"]["left_out"]["nothing_to_compare_with"] == 1


def test_nothing_to_pair_is_said(tmp_path: Path) -> None:
    dataset = sample_dataset.write(tmp_path / "dataset")
    with pytest.raises(UserError, match="no two edits of one source and instruction"):
        plan_preferences(open_built_dataset(dataset))


def test_row_groups_decide_nothing(dataset: Path, exported: Path, tmp_path: Path) -> None:
    one = hostile_rows.write(tmp_path / "dataset")
    for path in (one / "data").iterdir():
        pq.write_table(pq.read_table(path), path, row_group_size=1)
    again = export(one, tmp_path / "out", ties="none")
    for path in exported.rglob("*.*"):
        assert (again / path.relative_to(exported)).read_bytes() == path.read_bytes()


def test_a_large_split_becomes_several_files(
    dataset: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preference_files, "PREFERENCE_SHARD_BYTES", 1)
    monkeypatch.setattr(preference_files, "PREFERENCE_ROW_GROUP", 1)
    out = export(dataset, tmp_path / "out", ties="none")
    assert sorted(path.name for path in (out / "data").iterdir()) == [
        f"train-{number:05d}-of-00003.parquet" for number in range(3)
    ]
    assert list(load(out, "bytes")) == list(load(exported, "bytes"))


def test_the_front_matter_is_ours_whatever_the_texts_say(tmp_path: Path) -> None:
    corpus = {"name": hostile_rows.INSTRUCTION, "licence": hostile_rows.LICENCE, "version": "](x) <b>"}
    dataset = sample_dataset.write(tmp_path / "dataset", hostile_rows.tables(), corpus)
    card = (export(dataset, tmp_path / "out") / "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    assert [config["config_name"] for config in yaml.safe_load(front)["configs"]] == ["default", "bytes"]
    assert "\\<img" in body
    assert not re.search(r"(?<!\\)(<img|<b>|<script|\]\(x|\]\(javascript)|^---", body, re.MULTILINE)


@pytest.mark.parametrize("ties", ["interval", "none"])
def test_the_card_says_how_labels_were_made(dataset: Path, tmp_path: Path, ties: str) -> None:
    card = (export(dataset, tmp_path / "out", ties=ties, by="perceptual_quality") / "README.md").read_text("utf-8")
    assert "The edit with the higher `perceptual_quality` is preferred" in card
    assert ("intervals of their scores overlap" in card) == (ties == "interval")


score = st.floats(0, 100)
edits = st.tuples(score, score, score).map(sorted).map(lambda ends: (ends[1], ends[0], ends[2]))


@given(edits, edits)
def test_a_label_is_that_of_the_intervals(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    first, second = edit("a", *one), edit("b", *other)
    apart = one[2] < other[1] or other[2] < one[1]
    assert label_preference(first, second, "interval") + label_preference(second, first, "interval") == 1
    assert (label_preference(first, second, "interval") != 0.5) == apart
    assert (label_preference(first, second, "none") == 0.5) == (one[0] == other[0])
    if apart:
        assert (
            label_preference(first, second, "interval")
            == label_preference(first, second, "none")
            == float(one[0] > other[0])
        )


@given(st.lists(st.text(max_size=4), min_size=2, max_size=6, unique=True), st.data())
def test_the_order_in_a_pair_tells_nothing_of_scores(names: list[str], data: st.DataObject) -> None:
    orders = []
    for _ in range(2):
        scores = data.draw(st.lists(score, min_size=len(names), max_size=len(names)))
        made = [edit(name, value) for name, value in zip(sorted(names), scores, strict=True)]
        orders.append([(pair.first.pair_id, pair.second.pair_id) for pair in pair_edits(made, "none")])
    assert orders[0] == orders[1]


def test_either_of_two_comes_first_about_as_often() -> None:
    made = [edit(f"pair-{number:03d}", number) for number in range(100)]
    first = sum(pair.first.pair_id < pair.second.pair_id for pair in pair_edits(made, "none"))
    # 4,950 fair coins: five standard deviations.
    assert abs(first - 2475) < 5 * math.sqrt(4950) / 2


def test_the_interval_of_overall_is_that_of_its_parts() -> None:
    """Hand calculation: all three scores s +- h give the geometric mean s +- h; a negative end counts as 0."""
    row: Row = {
        name: value for dimension in DIMENSIONS for name, value in ((dimension, 60.0), (f"{dimension}_ci95", 4.0))
    }
    assert compute_score_interval(row, "overall") == pytest.approx((56.0, 64.0))
    assert compute_score_interval(row | {"perceptual_quality": 2.0}, "overall") == pytest.approx(
        (0.0, 6**0.3 * 64**0.7)
    )
    assert compute_score_interval(row, "perceptual_quality") == (56.0, 64.0)
    assert compute_score_interval(row | {"visual_consistency_ci95": None}, "overall") is None
    assert compute_score_interval(row | {"visual_consistency_ci95": math.nan}, "visual_consistency") is None
    assert compute_score_interval(row | {"visual_consistency_ci95": None}, "perceptual_quality") == (56.0, 64.0)
