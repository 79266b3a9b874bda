"""Where an export may be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from editfhf.formats.folders import check_export_folder
from mos.errors import UserError


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
        check_export_folder(tmp_path / name, tmp_path / "dataset")
    check_export_folder(tmp_path / "new", tmp_path / "dataset")
    check_export_folder(tmp_path / "empty", tmp_path / "dataset")
