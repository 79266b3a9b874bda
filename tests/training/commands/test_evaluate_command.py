"""`editfhf evaluate`: JSON on stdout, sentences and progress on stderr, files in the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mos.errors import UserError
from tests.editfhf import sample_dataset
from training.commands.evaluate import evaluate_app, split_names


def test_names_stand_with_commas_between() -> None:
    assert split_names(" a, b,,c") == ["a", "b", "c"]
    assert split_names("") == []
    with pytest.raises(UserError, match="at least one name"):
        split_names(" , ")


def test_a_table_is_printed_and_its_files_are_written(tmp_path: Path) -> None:
    dataset = sample_dataset.write(tmp_path / "dataset")
    out = tmp_path / "out"
    words = [
        "evaluation",
        str(dataset),
        "--agents",
        "psnr,lpips",
        "--split",
        "train",
        "--out",
        str(out),
        "--json",
        "-q",
    ]
    done = CliRunner().invoke(evaluate_app, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["psnr"]["coverage"] == 1
    assert rows["psnr"]["values"]["perceptual_quality.srcc"]["value"] is None  # all true scores are equal
    assert rows["lpips"]["origin"] == "unavailable"
    assert found["provenance"]["pairs"] == 4
    assert {path.name for path in out.iterdir()} == {
        "records", *(f"evaluation.{suffix}" for suffix in ("md", "tex", "csv", "json", "html"))
    }  # fmt: skip
