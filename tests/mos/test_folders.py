"""Folders that appear whole or not at all, and temporary folders that do not stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mos.errors import UserError
from mos.files import open_folder_replacement, open_scratch_folder

LEAVE_SCRATCH = """
import os, signal
from mos.files import open_scratch_folder
with open_scratch_folder() as folder:
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder of this test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_it_appears_when_everything_is_in_it(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with open_folder_replacement(out) as folder:
        (folder / "file").write_text("all")
        assert not out.exists()
    assert (out / "file").read_text() == "all"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with open_folder_replacement(tmp_path / "out") as folder:
        (folder / "file").touch()
    assert (tmp_path / "out" / "file").exists()


@pytest.mark.parametrize("fault", [UserError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_nothing(tmp_path: Path, fault: type[BaseException]) -> None:
    with pytest.raises(fault), open_folder_replacement(tmp_path / "out") as folder:
        (folder / "file").touch()
        raise fault
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_not_in_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / ".out.part"
    (left / "images").mkdir(parents=True)
    (left / "images" / "half.png").touch()
    with open_folder_replacement(tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []


def test_links_among_what_was_left_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "link").symlink_to(tmp_path / "mine")
    with open_folder_replacement(tmp_path / "out"):
        pass
    assert (tmp_path / "mine" / "letter").exists()


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with open_folder_replacement(tmp_path / "out") as first:
        (first / "file").touch()
        with pytest.raises(UserError, match="Another command is writing"), open_folder_replacement(tmp_path / "out"):
            pass
    assert (tmp_path / "out" / "file").exists()


def test_a_folder_filled_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="filled by another process"), open_folder_replacement(tmp_path / "out"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "precious").touch()
    assert (tmp_path / "out" / "precious").exists()


def test_a_folder_removed_meanwhile_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="removed or renamed"), open_folder_replacement(tmp_path / "out") as folder:
        folder.rename(tmp_path / "elsewhere")
    assert not (tmp_path / "out").exists()


def test_a_link_in_place_of_the_temporary_folder_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / ".out.part").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="directory"), open_folder_replacement(tmp_path / "out"):
        pytest.fail("the link was followed")
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_new_folder_has_the_mode_that_the_umask_asks_for(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with open_folder_replacement(tmp_path / "out"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_a_scratch_folder_is_private_and_goes(tmp_path: Path, temporary: Path) -> None:
    with open_scratch_folder() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert list(temporary.iterdir()) == []


def test_scratch_folders_that_killed_processes_left_go_and_others_stay(temporary: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", LEAVE_SCRATCH], check=False)
    assert killed.returncode == -signal.SIGKILL
    [left] = temporary.iterdir()
    assert (left / "half").exists()
    (temporary / "editfhf-data").mkdir()
    with open_scratch_folder() as used, open_scratch_folder() as other:
        assert {path.name for path in temporary.iterdir()} == {"editfhf-data", used.name, other.name}


def test_a_link_named_as_a_scratch_folder_is_not_followed(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    (temporary / ".editfhf-scratch-link").symlink_to(tmp_path / "mine")
    with open_scratch_folder():
        pass
    assert (tmp_path / "mine" / "letter").exists()


def test_without_a_temporary_folder_the_variable_to_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with pytest.raises(UserError, match="Set TMPDIR"), open_scratch_folder():
        pass
