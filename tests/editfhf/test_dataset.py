"""Opening a dataset: every table, with the right features, from a folder; and the maps again from the points."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest

import editfhf
from editfhf.dataset import make_dataset_features, render_maps
from editfhf.features import DATASET_CONFIGS
from mos.errors import UserError
from tests.editfhf import sample_dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_dataset.write(tmp_path_factory.mktemp("dataset") / "six")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


@pytest.mark.parametrize("config", DATASET_CONFIGS)
def test_every_table_has_exactly_our_features(root: Path, config: str) -> None:
    tables = editfhf.load(root, config)
    rows = sample_dataset.tables()[config]
    assert {name: len(table) for name, table in tables.items()} == {name: len(made) for name, made in rows.items()}
    for table in tables.values():
        assert table.features == make_dataset_features(config)
        assert table.features.arrow_schema == table.data.schema


@pytest.mark.parametrize("config", DATASET_CONFIGS)
def test_streaming_gives_the_same_rows(root: Path, config: str) -> None:
    whole = editfhf.load(str(root), config, split="train")
    streamed = editfhf.load(str(root), config, split="train", streaming=True)
    assert streamed.features == make_dataset_features(config)
    plain = {
        name: feature
        for name, feature in make_dataset_features(config).items()
        if not isinstance(feature, datasets.Image)
    }
    assert list(streamed.select_columns(list(plain))) == list(whole.select_columns(list(plain)))


def test_a_row_comes_as_images_and_lists(root: Path) -> None:
    row = editfhf.load(root, split="train[:3]")[2]
    expected = sample_dataset.tables()["default"]["train"][2]
    assert row["source_image"].format == "JPEG"
    assert row["failure_saliency"].mode == "L"
    assert row["failure_saliency"].size == row["edited_image"].size
    assert row["artifact_regions"] == expected["artifact_regions"]
    assert row["task_group"] == expected["task_group"]


def test_without_a_card_the_features_are_in_the_shards(root: Path) -> None:
    alone = datasets.load_dataset(str(root / "data"))
    assert alone["train"].features == make_dataset_features()


def test_import_does_not_load_the_library() -> None:
    code = "import sys, editfhf, editfhf.dataset; sys.exit('datasets' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="lode"):
        _ = editfhf.lode


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"config": "rating"}, "Unknown config 'rating'. Did you mean 'ratings'?"),
        ({"split": "validate"}, "Unknown split of config 'default' 'validate'. Did you mean 'validation'?"),
        ({"config": "marks", "split": "test"}, "Available: train"),
        ({"revision": "v1"}, "Leave it out"),
    ],
)
def test_a_mistake_is_one_sentence(root: Path, arguments: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        editfhf.load(root, **arguments)


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected manifest.json in it"):
        editfhf.load(tmp_path)
    with pytest.raises(UserError, match="There is no folder"):
        editfhf.load(tmp_path / "absent")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format": "editfhf-dataset/99"}'])
def test_a_foreign_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=r"manifest\.json"):
        editfhf.load(tmp_path)


def test_the_maps_are_drawn_again_from_the_marks(root: Path) -> None:
    marks = list(editfhf.load(root, "marks", split="train"))
    for pair in editfhf.load(root, split="train"):
        own = [mark for mark in marks if mark["pair_id"] == pair["pair_id"]]
        width, height = pair["edited_image"].size
        maps = render_maps(own, height, width, sigma=height / 40)
        for kind, drawn in maps.items():
            stored = np.asarray(pair[f"{kind}_saliency"], np.float64)
            assert drawn.dtype == np.float32
            assert np.abs(drawn * 255.0 - stored).max() <= 1


def test_only_accepted_marks_of_the_wanted_regions_are_drawn(root: Path) -> None:
    marks = [mark for mark in sample_dataset.tables()["marks"]["train"] if mark["pair_id"] == "p2"]
    one = render_maps(marks, 48, 64, regions={"p2-artifact-0"}, sigma=1.2)
    assert one["artifact"].max() == 1
    assert not one["failure"].any()
    unsupported = [{**mark, "status": "unsupported"} for mark in marks]
    assert not render_maps(unsupported, 48, 64)["artifact"].any()
