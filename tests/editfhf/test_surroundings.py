"""Commands in odd surroundings: one sentence or the right result, never a traceback, never for ever."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mos.processes import NEEDED_BYTES
from tests.editfhf import sample_dataset
from tests.editfhf.builder import building, corpora

ROOT = Path(__file__).parents[2]
ASCII_ONLY = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def run(
    *words: str | bytes | Path, before: Callable[[], None] | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """`editfhf WORDS` in a process of its own; `before` runs in it first."""
    return subprocess.run(
        [sys.executable, "-m", "editfhf.cli", *words],
        capture_output=True,
        timeout=100,
        preexec_fn=before,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one sentence with which a command failed."""
    stderr = done.stderr.decode()
    assert done.returncode == 1, stderr
    assert stderr.startswith("editfhf: ")
    assert stderr.count("\n") == 1, stderr
    return stderr.removeprefix("editfhf: ").strip()


@pytest.mark.parametrize("limit", [resource.RLIMIT_AS, resource.RLIMIT_DATA], ids=["ulimit -v", "ulimit -d"])
@pytest.mark.parametrize("megabytes", [400, 800, 1600, 2000])
def test_too_little_memory_is_one_sentence_before_anything_is_imported(
    tmp_path: Path, limit: int, megabytes: int
) -> None:
    """The libraries do not fail but repeat for ever, or end the process: see `require_address_space`."""

    def before() -> None:
        resource.setrlimit(limit, (megabytes * 10**6, resource.getrlimit(limit)[1]))

    sentence = said(run("build", tmp_path, tmp_path / "out", before=before))
    assert f"limited to {megabytes:,} MB" in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_with_the_memory_that_is_asked_for_a_build_ends(tmp_path: Path) -> None:
    corpus = corpora.corpus(sources=2, edits=1, raters=3).write(tmp_path / "corpus")

    def before() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (NEEDED_BYTES, NEEDED_BYTES))

    done = run("build", corpus, tmp_path / "out", "--quiet", before=before)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["build", "stats", "validate"])
def test_a_path_that_is_not_utf8_is_refused_and_shown(tmp_path: Path, command: str) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    more = [tmp_path / "out"] if command == "build" else []
    assert r"caf\xe9 is not UTF-8" in said(run(command, odd, *more))


def test_a_working_directory_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    assert r"caf\xe9 is not UTF-8" in said(run("stats", "dataset", cwd=odd))


def test_a_photo_whose_name_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/photos/caf\xe9.png")).write_bytes(corpora.picture(1))
    done = run("simulate", tmp_path / "corpus", "--photos", tmp_path / "photos", "--pairs", "1")
    assert r"caf\xe9.png is not UTF-8" in said(done)


def test_a_file_whose_name_is_not_utf8_is_a_finding(tmp_path: Path) -> None:
    dataset = sample_dataset.write(tmp_path / "dataset", sample_dataset.tables())
    Path(os.fsdecode(os.fsencode(dataset) + b"/data/caf\xe9.parquet")).touch()
    done = run("validate", dataset, "--json")
    assert done.returncode == 1
    assert r"data/caf\xe9.parquet" in [finding["where"] for finding in json.loads(done.stdout)]
    assert rb"caf\xe9.parquet" in run("validate", dataset).stdout


def test_a_working_directory_that_was_removed_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()

    def before() -> None:
        os.chdir(tmp_path / "gone")
        os.rmdir(tmp_path / "gone")  # noqa: PTH106

    assert "working directory cannot be used" in said(run("build", "corpus", "out", before=before))
    (tmp_path / "gone").mkdir()
    assert run("--help", before=before).returncode == 0


@pytest.mark.parametrize("words", [["stats"], ["stats", "--json"], ["validate"], ["mos", "methods"], ["--help"]])
def test_a_terminal_with_ascii_only_is_printed_on(tmp_path: Path, words: list[str]) -> None:
    made = sample_dataset.tables()
    dataset = sample_dataset.write(tmp_path / "dataset", made)
    where = [dataset] if words[0] in ("stats", "validate") else []
    done = run(*words, *where, **ASCII_ONLY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    if "--json" in words:
        assert json.loads(done.stdout) == json.loads(run(*words, *where).stdout)


def test_names_of_files_are_utf8_whatever_the_locale_says(tmp_path: Path) -> None:
    sentence = said(run("build", "café", "out", "--quiet", cwd=tmp_path, **ASCII_ONLY))
    assert sentence.startswith(r"No corpus at caf\xe9: ")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_stream_that_the_caller_closed_harms_nothing(tmp_path: Path, number: int) -> None:
    dataset = sample_dataset.write(tmp_path / "dataset", sample_dataset.tables())
    done = run("export", dataset, "--format", "coco", "--out", tmp_path / "out", before=lambda: os.close(number))
    assert done.returncode == 0
    assert (tmp_path / "out").is_dir()


@pytest.mark.parametrize("words", [["--help"], ["mos", "methods"], ["mos", "methods", "--json"]])
def test_a_full_disk_behind_stdout_is_one_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "editfhf.cli", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=100,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert "No space left" in said(subprocess.CompletedProcess([], done.returncode, b"", done.stderr))


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["stats", "a\x1b[2Jb"], 1),
        (["build", "--no\x1b[2J"], 2),
        (["a\x1b[2Jb"], 2),
        (["build", "a", "b", "c\x9b2J"], 2),
    ],
)
def test_what_would_steer_the_terminal_is_shown(words: list[str], status: int) -> None:
    done = run(*words)
    assert done.returncode == status
    assert b"\x1b" not in done.stderr + done.stdout
    assert "\x9b" not in (done.stderr + done.stdout).decode()
    assert rb"\x1b[2J" in done.stderr or rb"\x9b2J" in done.stderr


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
@pytest.mark.parametrize(
    "place", ["pairs.jsonl", "annotations/ratings.json", "annotations/rules.yaml", "cache", "config"]
)
def test_nothing_waits_for_what_is_not_a_regular_file(tmp_path: Path, kind: str, place: str) -> None:
    corpus = corpora.corpus(sources=1, edits=1, raters=1).write(tmp_path / "corpus")
    odd = tmp_path / place if place in ("cache", "config") else corpus / place
    odd.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to("/dev/zero")

    def fail(number: int, frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    try:
        if place == "cache":
            assert building.make(corpus, tmp_path / "out", cache=odd).splits
        elif place == "config":
            from editfhf.builder import read_build_options
            from mos.errors import UserError

            with pytest.raises(UserError, match="config"):
                read_build_options(odd)
        else:
            from mos.errors import UserError

            try:
                building.make(corpus, tmp_path / "out")
            except UserError as error:
                assert place in str(error)
            else:
                assert place in {entry["file"] for entry in building.rejected(tmp_path / "out")}
    finally:
        signal.alarm(0)


def test_no_process_outlives_a_command(tmp_path: Path) -> None:
    corpus = corpora.corpus(sources=2, edits=1, raters=3).write(tmp_path / "corpus")
    for words in (["build", corpus, tmp_path / "out", "--quiet"], ["build", corpus, corpus, "--quiet"]):
        with subprocess.Popen(
            [sys.executable, "-m", "editfhf.cli", *words, "--workers", "2"],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process:
            process.wait(timeout=100)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


@pytest.mark.slow
def test_a_simulation_that_was_killed_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "editfhf.cli", "simulate", tmp_path / "corpus", "--pairs", "6", "--size", "64"]
    with subprocess.Popen(
        [*words, "--workers", "2"], start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not (tmp_path / ".corpus.part").exists():
            pass
        process.kill()
    assert [path.name for path in tmp_path.iterdir()] == [".corpus.part"]
    assert subprocess.run([*words, "--workers", "1"], capture_output=True).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    shutil.rmtree(tmp_path / "corpus")
