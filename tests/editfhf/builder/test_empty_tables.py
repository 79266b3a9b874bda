"""Every table of every dataset loads, whatever is empty in it, and `validate` knows what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import editfhf
from editfhf.builder.parquet import write_parquet_table
from editfhf.features import make_arrow_schema
from editfhf.manifest import DATASET_CONFIGS
from editfhf.validation import validate_dataset
from mos.errors import UserError
from tests.editfhf.builder import building, corpora


def keep_marks_of(*pair_ids: str) -> Callable[[corpora.Made], None]:
    def change(made: corpora.Made) -> None:
        for name, tasks in made.exports.items():
            if name.startswith("regions"):
                made.exports[name] = [task for task in tasks if task["data"]["pair_id"] in pair_ids]

    return change


def leave_out(*names: str) -> Callable[[corpora.Made], None]:
    def change(made: corpora.Made) -> None:
        made.exports = {name: tasks for name, tasks in made.exports.items() if not name.startswith(names)}

    return change


def empty_export(made: corpora.Made) -> None:
    made.exports = {"regions-1.json": []}


def nobody_saw_a_flaw(made: corpora.Made) -> None:
    for name, tasks in made.exports.items():
        for task in tasks if name.startswith("regions") else ():
            for annotation in task["annotations"]:
                annotation["result"] = []


def one_pair(made: corpora.Made) -> None:
    made.pairs = made.pairs[:1]


CHANGES: dict[str, Callable[[corpora.Made], None]] = {
    "nothing": lambda made: None,
    "marks on one pair": keep_marks_of("p001"),
    "no marks": keep_marks_of(),
    "no flaws": nobody_saw_a_flaw,
    "no regional export": leave_out("regions"),
    "no ratings": leave_out("ratings"),
    "no annotations": leave_out("regions", "ratings"),
    "empty export": empty_export,
    "one pair": one_pair,
}


@pytest.fixture(autouse=True)
def _own_library_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "library-cache")


@pytest.mark.parametrize("name", CHANGES)
def test_every_table_loads_or_is_not_named(name: str, tmp_path: Path) -> None:
    made = corpora.corpus(sources=4, edits=1, raters=3)
    CHANGES[name](made)
    building.make(made.write(tmp_path / "corpus"), tmp_path / "dataset")
    dataset = tmp_path / "dataset"
    assert [finding for finding in validate_dataset(dataset) if finding.severity == "error"] == []
    front = yaml.safe_load((dataset / "README.md").read_text().split("---\n")[1])
    named = {config["config_name"] for config in front["configs"]}
    for config in DATASET_CONFIGS:
        rows = sum(pq.read_metadata(path).num_rows for path in list_files(dataset, config))
        assert (config in named) == (rows > 0), config
        if rows:
            loaded = datasets.load_dataset(str(dataset), config)
            assert sum(len(split) for split in loaded.values()) == rows
            for split in loaded:
                streamed = datasets.load_dataset(str(dataset), config, split=split, streaming=True)
                assert [list(row) for row in streamed] == [list(row) for row in loaded[split]]
        else:
            with pytest.raises(UserError, match=f"no rows in its table '{config}'"):
                editfhf.load(dataset, config)
        # Other readers read the files all the same.
        assert len(pa.concat_tables(map(pq.read_table, list_files(dataset, config)))) == rows


def list_files(dataset: Path, config: str) -> list[Path]:
    return sorted((dataset / ("data" if config == "default" else config)).glob("*.parquet"))


@pytest.mark.parametrize("config", ["marks", "default"])
def test_a_row_group_without_rows_is_found(small: Path, tmp_path: Path, config: str) -> None:
    dataset = tmp_path / "dataset"
    building.make(small, dataset)
    path = list_files(dataset, config)[0]
    table = pq.read_table(path)
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table.slice(0, 0))
        writer.write_table(table)
    manifest = json.loads((dataset / "manifest.json").read_bytes())
    for output in manifest["outputs"]:
        if output["path"] == path.relative_to(dataset).as_posix():
            output |= {"bytes": path.stat().st_size, "sha256": building.tree(dataset)[output["path"]]}
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    assert any("row group without rows" in finding.message for finding in validate_dataset(dataset))


def test_a_table_without_rows_is_written_without_a_row_group(tmp_path: Path) -> None:
    schema = make_arrow_schema("marks")
    write_parquet_table(tmp_path / "marks.parquet", [schema.empty_table()], schema, 10)
    assert pq.read_metadata(tmp_path / "marks.parquet").num_row_groups == 0
    assert pq.read_table(tmp_path / "marks.parquet").schema == schema


def test_a_box_that_float32_makes_empty_is_set_aside(tmp_path: Path) -> None:
    made = corpora.corpus(sources=2, edits=1, raters=3)
    for name, tasks in made.exports.items():
        if name.startswith("regions"):
            for result in tasks[1]["annotations"][0]["result"]:
                if result["type"] == "rectanglelabels":
                    result["value"] |= {"width": 1e-6, "x": 50.0}
    building.make(made.write(tmp_path / "corpus"), tmp_path / "dataset")
    assert {line["reason"] for line in building.rejected(tmp_path / "dataset") if line["what"] == "box"} >= {
        "empty_box"
    }
    assert [finding for finding in validate_dataset(tmp_path / "dataset") if finding.severity == "error"] == []


def test_no_advice_that_fails_for_a_folder_with_brackets(small: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "study [v1]" / "dataset"
    dataset.parent.mkdir()
    done = building.command("build", small, dataset, "--workers", "1", "--quiet")
    assert done.returncode == 0, done.stderr
    advice = done.stdout.split("Load it:")[1]
    assert "load_dataset(" not in advice and "rename or move" in advice
    with pytest.raises(datasets.exceptions.DataFilesNotFoundError):  # no longer raised: give the call again
        datasets.load_dataset(str(dataset))
    with pytest.raises(UserError, match="rename or move"):
        editfhf.load(dataset)
    moved = dataset.rename(tmp_path / "dataset (v1)")
    assert sum(editfhf.load(moved).num_rows.values()) == 12
