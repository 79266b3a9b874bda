"""Corpora that are odd in ways that an export tool, a file system or a careless script may bring about."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.editfhf.builder import building, corpora


@pytest.mark.parametrize("annotations", [None, 3, "x", {}])
def test_a_regions_task_whose_annotations_are_none(tiny: Path, tmp_path: Path, annotations: Any) -> None:
    path = tiny / "annotations/regions-1.json"
    tasks = json.loads(path.read_text())
    tasks[0]["annotations"] = annotations
    path.write_text(json.dumps(tasks))
    building.make(tiny, tmp_path / "dataset")
    assert [line["reason"] for line in building.rejected(tmp_path / "dataset")] == ["bad_annotations"]


def test_a_regions_task_without_annotations(tiny: Path, tmp_path: Path) -> None:
    path = tiny / "annotations/regions-1.json"
    tasks = json.loads(path.read_text())
    del tasks[0]["annotations"]
    path.write_text(json.dumps(tasks))
    building.make(tiny, tmp_path / "dataset")
    assert [line["reason"] for line in building.rejected(tmp_path / "dataset")] == ["bad_annotations"]


def test_a_known_file_whose_name_is_no_utf8(tiny: Path, tmp_path: Path) -> None:
    with open(os.fsencode(tiny / "annotations") + b"/regions\xff.json", "wb") as file:  # noqa: PTH123
        file.write(b"[]")
    building.make(tiny, tmp_path / "dataset")
    assert len(building.rejected(tmp_path / "dataset")) == 1


def test_annotations_that_is_a_file_is_said(tiny: Path, tmp_path: Path) -> None:
    shutil.rmtree(tiny / "annotations")
    (tiny / "annotations").write_text("x")
    building.make(tiny, tmp_path / "dataset")
    assert [line["reason"] for line in building.rejected(tmp_path / "dataset")] == ["not_a_folder"]


def test_an_id_with_blanks_at_its_ends_is_refused(tmp_path: Path) -> None:
    made = corpora.corpus(2, 1, 3)
    made.pairs[0]["pair_id"] = "p000 "
    for export in made.exports.values():
        export[0]["data"]["pair_id"] = "p000 "
    building.make(made.write(tmp_path / "corpus"), tmp_path / "dataset")
    reasons = [line["reason"] for line in building.rejected(tmp_path / "dataset") if line["what"] != "score"]
    assert "bad_id" in reasons
    assert "p000 " not in {row["pair_id"] for row in building.table(tmp_path / "dataset")}
