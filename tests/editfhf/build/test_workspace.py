"""The working folder inside an unfinished dataset: who may hold it, and what publishing does and does not touch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from editfhf.build.workspace import Workspace, built_before, claim
from editfhf.manifest import FORMAT
from mos.errors import UserError
from tests.editfhf.build import building


def entry(name: str) -> dict[str, Any]:
    return {"path": name, "sha256": "", "bytes": 1}


def manifest(*names: str) -> bytes:
    listed = [entry(name) for name in names]
    return orjson.dumps({"format": FORMAT, "outputs": listed, "stages": [], "splits": {}, "rejected": {}})


def staged(space: Workspace, **files: str) -> dict[str, Path]:
    space.prepare()
    made = {}
    for name, text in files.items():
        made[name] = space.staged / name
        made[name].write_text(text)
    return made


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "corpus").mkdir()
    return tmp_path / "dataset", tmp_path / "corpus"


def test_publishing_replaces_removes_and_leaves_no_trace(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    for files in ({"a": "1", "b": "1"}, {"b": "2", "c": "2"}):
        with claim(*folders) as space:
            space.publish(staged(space, **files), manifest(*files))
        assert {path.name: path.read_text() for path in dataset.iterdir() if path.name != "manifest.json"} == files
        assert built_before(dataset) == orjson.loads(manifest(*files))


def test_publishing_leaves_alone_what_is_not_of_the_dataset(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    with claim(*folders) as space:
        space.publish(staged(space, a="1"), manifest("a"))
    (dataset / ".git").mkdir()
    (dataset / "notes.txt").write_text("mine")
    with claim(*folders) as space:
        space.publish(staged(space, b="2"), manifest("b"))
    assert sorted(path.name for path in dataset.iterdir()) == [".git", "b", "manifest.json", "notes.txt"]


def test_a_manifest_that_names_a_file_outside_deletes_nothing(folders: tuple[Path, Path]) -> None:
    dataset, corpus = folders
    (corpus / "thesis").write_text("the only copy")
    dataset.mkdir()
    (dataset / "manifest.json").write_bytes(manifest("../corpus/thesis"))
    with claim(*folders) as space, pytest.raises(UserError, match="altered by hand"):
        space.publish(staged(space, a="1"), manifest("a"))
    assert (corpus / "thesis").read_text() == "the only copy"


@pytest.mark.parametrize(
    "journal",
    [
        b"not json",
        b"[]",
        b'{"moves": {}}',
        b'{"moves": {"stolen": "../../secret"}, "remove": []}',
        b'{"moves": {"../stolen": "staged/a"}, "remove": []}',
        b'{"moves": {}, "remove": ["../secret"]}',
        b'{"moves": {"a": 3}, "remove": []}',
    ],
)
def test_a_planted_journal_moves_and_removes_nothing(folders: tuple[Path, Path], journal: bytes) -> None:
    dataset, _ = folders
    secret = dataset.parent / "secret"
    secret.write_text("mine")
    (dataset / ".editfhf").mkdir(parents=True)
    (dataset / ".editfhf" / "publish.json").write_bytes(journal)
    with pytest.raises(UserError, match="not what a build writes"), claim(*folders):
        pytest.fail("the folder was claimed")
    assert secret.read_text() == "mine"
    assert [path.name for path in dataset.iterdir()] == [".editfhf"]


@pytest.mark.parametrize("where", ["data", ".editfhf"])
def test_nothing_is_written_or_moved_through_a_link_that_leads_out(folders: tuple[Path, Path], where: str) -> None:
    dataset, _ = folders
    outside = dataset.parent / "outside"
    outside.mkdir()
    (outside / "a").write_text("mine")
    dataset.mkdir()
    (dataset / "manifest.json").write_bytes(manifest("data/a"))
    (dataset / where).symlink_to(outside)
    with pytest.raises(UserError, match="link"), claim(*folders) as space:
        space.publish(staged(space, b="1"), manifest("b"))
    assert (outside / "a").read_text() == "mine"
    assert [path.name for path in outside.iterdir()] == ["a"]


@pytest.mark.parametrize("content", [{}, {"outputs": 3}, {"outputs": [{"path": "a"}]}, {"outputs": ["a"]}])
def test_a_manifest_of_another_shape_is_none_of_ours(folders: tuple[Path, Path], content: dict[str, Any]) -> None:
    dataset, _ = folders
    dataset.mkdir()
    (dataset / "manifest.json").write_bytes(orjson.dumps({"format": FORMAT} | content))
    assert built_before(dataset) is None
    with pytest.raises(UserError, match="not made by"), claim(*folders):
        pytest.fail("the folder was claimed")


def test_two_cannot_hold_one_folder(folders: tuple[Path, Path]) -> None:
    with claim(*folders), pytest.raises(UserError, match="Another build is at work"), claim(*folders):
        pass
    with claim(*folders):
        pass


def test_a_lock_file_that_was_replaced_keeps_out_whoever_comes(folders: tuple[Path, Path]) -> None:
    """The lock belongs to the file that is there, not to one that a finished build removed."""
    dataset, _ = folders
    with claim(*folders) as space:
        os.unlink(space.area / "lock")  # noqa: PTH108
        with claim(*folders), pytest.raises(UserError, match="Another build"), claim(*folders):
            pass
    assert not dataset.exists()


def test_a_claim_that_did_nothing_leaves_nothing(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    with pytest.raises(RuntimeError), claim(*folders):
        raise RuntimeError
    assert not dataset.exists()


def test_a_claim_that_was_broken_off_keeps_its_work(folders: tuple[Path, Path]) -> None:
    with pytest.raises(RuntimeError), claim(*folders) as space:
        space.prepare()
        (space.shards / "finished.json").write_text("{}")
        (space.shards / ".half.tmp").write_text("")
        (space.staged / "page").write_text("")
        raise RuntimeError
    with claim(*folders) as space:
        space.prepare()
        assert [path.name for path in space.shards.iterdir()] == ["finished.json"]
        assert list(space.staged.iterdir()) == []


def test_an_interrupted_publication_is_carried_on_by_whoever_comes_next(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    with claim(*folders) as space:
        space.publish(staged(space, a="1", b="1"), manifest("a", "b"))
    with claim(*folders) as space:
        files = staged(space, a="2", c="2")
        (space.staged / "manifest.json").write_bytes(manifest("a", "c"))
        moves = {name: f"staged/{name}" for name in files}
        (space.area / "publish.json").write_bytes(orjson.dumps({"moves": moves, "remove": ["b"]}))
        (dataset / "manifest.json").unlink()
        (space.staged / "a").replace(dataset / "a")
    with claim(*folders):
        pass
    found = {path.name: path.read_text() for path in dataset.iterdir() if path.name != "manifest.json"}
    assert found == {"a": "2", "c": "2"}
    assert building.manifest(dataset)["outputs"] == [entry("a"), entry("c")]
