"""From a corpus to the rows that a researcher reads: what the builder writes passes every check."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard
from typer.testing import CliRunner

import editfhf
from editfhf.builder import BuildOptions, BuildRunOptions, build_dataset, preview_build
from editfhf.cli import app
from editfhf.dataset import make_dataset_features
from editfhf.features import DATASET_CONFIGS
from editfhf.validation import validate_dataset

ONE = BuildRunOptions(workers=1, cache=None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("built") / "corpus"
    options = ["--pairs", "12", "--size", "96", "--pool", "20", "--missing", "0.2"]
    command = [sys.executable, "-m", "editfhf.cli", "simulate", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def dataset(corpus: Path) -> Path:
    path = corpus.parent / "dataset"
    build_dataset(corpus, path, None, ONE)
    return path


def test_a_build_passes_every_check(dataset: Path) -> None:
    assert validate_dataset(dataset, deep=True) == []


@pytest.mark.parametrize(
    "options",
    [
        {"saliency": {"sigma": "12px", "profile": "disk*gaussian"}},
        {"saliency": {"sigma": "0.05H", "profile": "union+blur"}},
        {"regions": {"min_support": 1, "max_flags": 0}, "pseudonyms": False},
        {"mos": {"min_ratings": 13}, "split": {"train": 1, "validation": 0, "test": 0}},
    ],
)
def test_so_does_a_build_with_other_options(corpus: Path, tmp_path: Path, options: dict) -> None:
    build_dataset(corpus, tmp_path / "dataset", BuildOptions.model_validate(options), ONE)
    assert validate_dataset(tmp_path / "dataset", deep=True) == []


def test_a_sound_corpus_has_no_error(corpus: Path) -> None:
    said = CliRunner().invoke(app, ["validate", str(corpus), "--json"])
    assert said.exit_code == 0
    assert {issue["severity"] for issue in json.loads(said.stdout)} <= {"warning"}


def test_so_does_a_build_of_a_damaged_corpus(corpus: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    first = sorted((damaged / "images").rglob("*.*"))[0]
    first.write_bytes(first.read_bytes()[:200])
    assert any(found.what == "image" for found in preview_build(damaged).rejections)
    said = CliRunner().invoke(app, ["validate", str(damaged)])
    assert said.exit_code == 1
    assert "broken_image" in said.stdout
    summary = build_dataset(damaged, tmp_path / "dataset", None, ONE)
    assert summary.rejected["total"] > 0
    assert validate_dataset(tmp_path / "dataset", deep=True) == []


def test_a_check_finds_a_map_that_is_not_of_its_points(corpus: Path, dataset: Path, tmp_path: Path) -> None:
    """The maps of one sigma beside a manifest that says another."""
    root = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    manifest = root / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"sigma": "H/40"', '"sigma": "H/20"'))
    found = [issue.message for issue in validate_dataset(root)]
    assert found
    assert all("saliency is not the map" in message or "_peak is" in message for message in found)


@pytest.mark.parametrize("config", DATASET_CONFIGS)
def test_every_table_loads_with_our_features(
    dataset: Path, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    tables = editfhf.load(dataset, config)
    folder = dataset / ("data" if config == "default" else config)
    assert sum(len(table) for table in tables.values()) == sum(
        pq.read_metadata(path).num_rows for path in folder.glob("*.parquet")
    )
    assert all(table.features == make_dataset_features(config) for table in tables.values())
    assert next(iter(editfhf.load(dataset, config, split="train", streaming=True)))


def test_the_card_and_its_links_hold(dataset: Path) -> None:
    card = DatasetCard.load(dataset / "README.md")
    assert [config["config_name"] for config in card.data.configs] == list(DATASET_CONFIGS)
    linked = [part.split(")")[0] for part in card.text.split("](")[1:]]
    assert linked
    assert all((dataset / link).is_file() for link in linked)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlcroissant_reads_a_build(dataset: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    described = mlcroissant.Dataset(jsonld=str(dataset / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    assert len(list(described.records("default"))) == 12
