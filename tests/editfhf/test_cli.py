"""The command line itself: quick help, kind mistakes, and the exit statuses that scripts rely on."""

from __future__ import annotations

import configparser
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from editfhf import __version__, cli
from mos.errors import UserError
from mos.words import did_you_mean

HEAVY = ("numpy", "pyarrow", "scipy", "cv2", "PIL", "pandas", "datasets", "torch", "transformers", "matplotlib")


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "editfhf.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **environment},
    )


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["-h"], ["--version"], ["biuld"]], ids=" ".join)
def test_an_answer_about_the_command_imports_nothing_heavy(words: list[str]) -> None:
    script = (
        "import sys\nfrom editfhf.cli import app\n"
        f"try:\n    app({words!r})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_lists_the_commands_and_how_to_begin() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in ("build", "simulate", "stats", "validate", "push"):
        assert name in done.stdout


def test_help_of_build_shows_every_option_and_examples() -> None:
    done = run("build", "--help")
    assert done.returncode == 0
    for word in ("CORPUS", "DATASET", "--config", "--workers", "--strict", "--max-rejected", "--update", "--dry-run"):
        assert word in done.stdout
    assert "editfhf build corpus out --update" in done.stdout


def test_version_is_the_packages() -> None:
    assert run("--version").stdout == f"editfhf {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["biuld", "corpus", "out"], "Did you mean 'build'?"),
        (["zebra"], "Available: annotate, app, benchmark,"),
        (["build"], "CORPUS"),
        (["build", "corpus"], "DATASET"),
        (["build", "corpus", "out", "--wrokers", "2"], "--workers"),
        (["build", "corpus", "out", "--workers", "0"], "--workers"),
        (["build", "corpus", "out", "--workers", "many"], "--workers"),
        (["build", "corpus", "out", "--executor", "ray"], "--executor"),
        (["build", "corpus", "out", "more"], "more"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_mistake_of_usage_is_status_2_with_a_hint(words: list[str], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_mistake_in_the_data_is_status_1_with_one_sentence(tmp_path: Path) -> None:
    done = run("build", str(tmp_path / "nowhere"), str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip() == (
        f"editfhf: No corpus at {tmp_path}/nowhere: expected a folder with corpus.yaml and pairs.jsonl. Check the path."
    )


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the command raise, whichever it is."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (UserError("The corpus has no pairs."), 1, "editfhf: The corpus has no pairs.\n"),
        (KeyboardInterrupt(), 130, f"editfhf: {cli.INTERRUPTED_MESSAGE}\n"),
        (SystemExit(130), 130, f"editfhf: {cli.INTERRUPTED_MESSAGE}\n"),
        (SystemExit(0), 0, ""),
        (SystemExit(2), 2, ""),
        (
            ModuleNotFoundError("No module named 'distributed'", name="distributed"),
            1,
            "editfhf: This command needs the package 'distributed', which is not installed. "
            "Run: pip install 'editfhf[cluster]'\n",
        ),
        (
            ModuleNotFoundError("No module named 'skimage.transform'", name="skimage.transform"),
            1,
            "editfhf: This command needs the package 'skimage', which is not installed. "
            "Run: pip install 'editfhf[simulate]'\n",
        ),
        (
            ModuleNotFoundError("No module named 'zstandard'", name="zstandard"),
            1,
            "editfhf: This command needs the package 'zstandard', which is not installed. Run: pip install zstandard\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            1,
            "editfhf: No space left on the disk while writing /data/x. "
            "Free some space and run the same command again.\n",
        ),
        (
            OSError(errno.EACCES, "Permission denied", "/data/x"),
            1,
            "editfhf: No permission for /data/x. Choose another path or change its mode.\n",
        ),
        (
            OSError(errno.EIO, "Input/output error", "/data/x"),
            1,
            "editfhf: /data/x cannot be used (Input/output error). Choose another path or check the disk.\n",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_end_has_its_status_and_its_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    sentence: str,
) -> None:
    failing(monkeypatch, error)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == status
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("ours"),
        OSError(errno.EBADF, "Bad file descriptor"),
        ModuleNotFoundError("No module named 'editfhf.nothing'", name="editfhf.nothing"),
    ],
)
def test_a_mistake_of_ours_is_not_passed_off_as_the_users(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    failing(monkeypatch, error)
    with pytest.raises(type(error)):
        cli.main()


def test_every_extra_that_a_message_names_exists() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    assert set(cli.EXTRA_OF_PACKAGE.values()) <= set(setup["options.extras_require"])


def test_a_closed_pipe_ends_quietly() -> None:
    done = subprocess.run(
        f"{sys.executable} -m editfhf.cli --help | head -c 1", shell=True, capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("word", "hint"),
    [("bild", " Did you mean 'build'?"), ("xyzzy", ""), ("", ""), ("validat", " Did you mean 'validate'?")],
)
def test_a_suggestion_is_the_nearest_known_word_or_none(word: str, hint: str) -> None:
    assert did_you_mean(word, ["build", "stats", "validate"]) == hint
