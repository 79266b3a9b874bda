"""`editfhf export` as a user meets it: what it says, what it refuses, and what is there afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from editfhf.cli import app
from mos.errors import UserError
from tests.built import COMMAND
from tests.editfhf import sample_dataset
from tests.editfhf.formats import hostile_rows

FORMATS = ("coco", "preferences")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, words)])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return hostile_rows.write(tmp_path / "dataset")


@pytest.mark.parametrize("form", FORMATS)
def test_a_summary_as_json(dataset: Path, tmp_path: Path, form: str) -> None:
    done = run(dataset, "--format", form, "--out", tmp_path / "out", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["format"], summary["out"], summary["dry_run"]) == (form, str(tmp_path / "out"), False)
    assert list(summary["splits"]) == ["train", "validation", "test"]
    assert (tmp_path / "out").is_dir()


@pytest.mark.parametrize("form", FORMATS)
def test_a_dry_run_says_the_same_and_writes_nothing(dataset: Path, tmp_path: Path, form: str) -> None:
    words = (dataset, "--format", form, "--out", tmp_path / "out", "--json", "--quiet")
    would = json.loads(run(*words, "--dry-run").stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset"]
    assert would == json.loads(run(*words).stdout) | {"dry_run": True}


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_again_has_the_same_bytes(dataset: Path, tmp_path: Path, form: str) -> None:
    for name in ("one", "two"):
        assert run(dataset, "--format", form, "--out", tmp_path / name, "--quiet").exit_code == 0
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert str(tmp_path) not in "".join(path.read_text("utf-8") for path in (tmp_path / "one").rglob("*.[jm][sd]*"))


@pytest.mark.parametrize("form", FORMATS)
def test_one_split_alone(dataset: Path, tmp_path: Path, form: str) -> None:
    done = run(dataset, "--format", form, "--out", tmp_path / "out", "--split", "train", "--quiet")
    assert done.exit_code == 0
    assert not [name for name in files(tmp_path / "out") if "test" in name or "validation" in name]


def test_in_words(dataset: Path, tmp_path: Path) -> None:
    done = run(dataset, "--format", "preferences", "--out", tmp_path / "out", "--quiet")
    assert done.stdout.splitlines()[0] == (
        "train: 3 pairs, 0 decided, 3 ties, 1 prompts, 3 edits, 1 edits left out (nothing to compare with)"
    )


def test_what_is_there_is_not_touched(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("mine")
    done = run(dataset, "--format", "coco", "--out", tmp_path / "out")
    assert isinstance(done.exception, UserError)
    assert "not empty" in str(done.exception)
    assert files(tmp_path / "out") == {"precious": b"mine"}


def test_an_altered_dataset_is_refused(dataset: Path, tmp_path: Path) -> None:
    shard = next((dataset / "data").glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    done = run(dataset, "--format", "coco", "--out", tmp_path / "out")
    assert isinstance(done.exception, UserError)
    assert "not as it was built" in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--by", "overall"), ("--ties", "none")])
def test_options_of_pairs_do_not_go_with_boxes(dataset: Path, tmp_path: Path, option: tuple[str, str]) -> None:
    done = run(dataset, "--format", "coco", "--out", tmp_path / "out", *option)
    assert isinstance(done.exception, UserError)


@pytest.mark.parametrize("words", [["--split", "dev"], ["--format", "coco", "--split", ""]])
def test_an_unknown_split_is_one_sentence(dataset: Path, tmp_path: Path, words: list[str]) -> None:
    done = run(dataset, "--format", "coco", "--out", tmp_path / "out", *words)
    assert isinstance(done.exception, UserError)


def test_no_dataset_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "export", tmp_path, "--format", "coco", "--out", tmp_path / "out"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is not a dataset" in done.stderr


@pytest.mark.parametrize("form", FORMATS)
def test_killed_in_the_middle_it_begins_anew(tmp_path: Path, form: str) -> None:
    made = sample_dataset.tables()
    first = made["default"]["train"][0]
    made["default"]["train"] = [
        first | {"pair_id": f"p{number:03d}", "instruction": f"Step {number // 10}"} for number in range(300)
    ]
    dataset = sample_dataset.write(tmp_path / "dataset", made)
    words = [COMMAND, "export", dataset, "--format", form, "--out", tmp_path / "out", "--split", "train", "--quiet"]
    work = tmp_path / ".out.part"
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as running:
        while not any(work.rglob("*.*")) and running.poll() is None:
            time.sleep(0.001)
        os.kill(running.pid, signal.SIGKILL)
    assert work.exists()
    assert not (tmp_path / "out").exists()
    assert run(dataset, "--format", form, "--out", tmp_path / "out", "--split", "train", "--quiet").exit_code == 0
    assert run(dataset, "--format", form, "--out", tmp_path / "whole", "--split", "train", "--quiet").exit_code == 0
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert not work.exists()
