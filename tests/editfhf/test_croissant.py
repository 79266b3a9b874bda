"""What a search engine reads: `mlcroissant` must find no fault, and must read the rows through it."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import pytest

from editfhf.card.metadata import render_croissant
from editfhf.features import DATASET_CONFIGS, list_config_columns
from editfhf.manifest import parse_manifest
from tests.editfhf import sample_dataset

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mlcroissant = pytest.importorskip("mlcroissant")

# Of its own libraries, not of ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_dataset.write(tmp_path_factory.mktemp("croissant") / "six")


def described(root: Path, **corpus: str | None) -> dict:
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["corpus"] |= corpus
    return render_croissant(parse_manifest(manifest))


def test_mlcroissant_finds_no_fault_but_the_missing_date(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    issues = mlcroissant.Dataset(jsonld=described(root)).metadata.ctx.issues
    assert not issues.errors
    # A date would make two builds of one corpus differ.
    assert all("datePublished" in warning for warning in issues.warnings)


def test_a_reader_that_writes_into_the_description_does_not_change_the_next_one(root: Path) -> None:
    before = json.dumps(described(root))
    changed = described(root)
    mlcroissant.Dataset(jsonld=changed)
    changed["@context"].clear()
    changed["keywords"].clear()
    assert json.dumps(described(root)) == before


@pytest.mark.parametrize("licence", [None, "", "Our own terms", "https://example.org/terms", "ODbL"])
def test_any_corpus_gives_a_valid_description(root: Path, licence: str | None) -> None:
    described_so = described(root, licence=licence, version="first", homepage=None, citation=None, description=None)
    assert not mlcroissant.Dataset(jsonld=described_so).metadata.ctx.issues.errors


def test_mlcroissant_reads_the_rows_of_every_table(root: Path) -> None:
    described_here = mlcroissant.Dataset(jsonld=str(root / "croissant.json"))
    tables = sample_dataset.tables()
    for config in DATASET_CONFIGS:
        records = list(described_here.records(config))
        assert len(records) == sum(len(rows) for rows in tables[config].values())
    pair = next(iter(described_here.records("default")))
    name = pair["default/pair_id"].decode()
    row = next(row for rows in tables["default"].values() for row in rows if row["pair_id"] == name)
    assert pair["default/split"].decode() == sample_dataset.SPLIT_OF[row["source_id"]]
    assert pair["default/edited_image"].size == (sample_dataset.WIDTH, sample_dataset.HEIGHT)
    found = [region["default/failure_regions/box"] for region in pair["default/failure_regions"]]
    assert found == [region["box"] for region in row["failure_regions"]]


def test_every_column_is_a_field(root: Path) -> None:
    records = {record["@id"]: record for record in described(root)["recordSet"]}
    for config in DATASET_CONFIGS:
        fields = [field["@id"].partition("/")[2] for field in records[config]["field"]]
        assert [name for name in fields if name != "split" or config != "default"] == list(list_config_columns(config))


def test_licence_is_an_spdx_address(root: Path) -> None:
    assert described(root, licence="CC BY 4.0")["license"] == "https://spdx.org/licenses/CC-BY-4.0"
    assert described(root, licence="Apache 2.0")["license"] == "https://spdx.org/licenses/Apache-2.0"
