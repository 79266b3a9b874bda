"""The folder of an export: there whole or not at all, nothing overwritten, one writer at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from editfhf.formats.folder import refuse_taken, whole
from mos.errors import UserError


def test_it_appears_when_everything_is_in_it(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with whole(out) as folder:
        (folder / "file").write_text("all")
        assert not out.exists()
    assert (out / "file").read_text() == "all"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with whole(tmp_path / "out") as folder:
        (folder / "file").touch()
    assert (tmp_path / "out" / "file").exists()


@pytest.mark.parametrize("fault", [UserError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_nothing(tmp_path: Path, fault: type[BaseException]) -> None:
    with pytest.raises(fault), whole(tmp_path / "out") as folder:
        (folder / "file").touch()
        raise fault
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_not_in_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / ".out.editfhf-export"
    (left / "images").mkdir(parents=True)
    (left / "images" / "half.png").touch()
    with whole(tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []


def test_links_among_what_was_left_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    (tmp_path / ".out.editfhf-export").mkdir()
    (tmp_path / ".out.editfhf-export" / "link").symlink_to(tmp_path / "mine")
    with whole(tmp_path / "out"):
        pass
    assert (tmp_path / "mine" / "letter").exists()


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with whole(tmp_path / "out") as first:
        (first / "file").touch()
        with pytest.raises(UserError, match="Another export"), whole(tmp_path / "out"):
            pass
    assert (tmp_path / "out" / "file").exists()


def test_a_folder_filled_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="filled by somebody else"), whole(tmp_path / "out"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "precious").touch()
    assert (tmp_path / "out" / "precious").exists()


@pytest.mark.parametrize("name", ["dataset", "dataset/inside", ".", "full", "file", "link", "nowhere"])
def test_places_that_are_taken_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(UserError):
        refuse_taken(tmp_path / name, tmp_path / "dataset")
    refuse_taken(tmp_path / "new", tmp_path / "dataset")
    refuse_taken(tmp_path / "empty", tmp_path / "dataset")
