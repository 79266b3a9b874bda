"""The command line: refusals in one sentence, a summary at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "editfhf.cli", "simulate"]


def _simulate(*options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, options)], capture_output=True, text=True, timeout=300)


def test_it_says_what_it_made_and_what_to_do_next(tmp_path: Path) -> None:
    done = _simulate(tmp_path / "c", "--pairs", 4, "--size", 64, "--careless", "0.2")
    assert done.returncode == 0, done.stderr
    assert "4 pairs" in done.stdout
    assert "(3 careless)" in done.stdout
    assert "truth.parquet" in done.stdout
    assert f"editfhf build {tmp_path / 'c'}" in done.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--pool", 3), "--pool 3 is smaller than --raters 15"),
        (("--careless", "many"), "--careless 'many': expected a count from 0 to 15"),
        (("--careless", "16"), "expected a count from 0 to 15"),
        (("--careless", "1.5"), "expected a count from 0 to 15"),
        (("--careless", "nan"), "expected a count from 0 to 15"),
        (("--photos", "/nonexistent"), "expects a folder of photos"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path: Path, options: tuple[object, ...], sentence: str) -> None:
    done = _simulate(tmp_path / "c", *options)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "c").exists()


def test_an_unknown_encoding_is_a_usage_error(tmp_path: Path) -> None:
    assert _simulate(tmp_path / "c", "--format", "gif").returncode == 2


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    done = _simulate(tmp_path)
    assert done.returncode == 1
    assert "is not empty" in done.stderr


def test_an_interrupt_ends_with_130_and_leaves_no_corpus(tmp_path: Path) -> None:
    command = [*COMMAND, str(tmp_path / "c"), "--pairs", "5000", "--size", "64", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(tmp_path.glob(".c.part/images/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process.poll() is None, "it ended before it was interrupted"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_help_teaches_by_examples() -> None:
    done = _simulate("--help")
    assert done.returncode == 0
    assert "editfhf simulate demo" in done.stdout
