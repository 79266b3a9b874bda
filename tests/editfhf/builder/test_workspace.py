"""The working folder inside an unfinished dataset: who may hold it, and what publishing does and does not touch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from editfhf.builder.workspace import BuildWorkspace, claim_workspace, read_built_manifest
from editfhf.manifest import MANIFEST_FORMAT
from mos.errors import UserError
from tests.editfhf.builder import building


def entry(name: str) -> dict[str, Any]:
    return {"path": name, "sha256": "", "bytes": 1}


def manifest(*names: str) -> bytes:
    listed = [entry(name) for name in names]
    return orjson.dumps({"format": MANIFEST_FORMAT, "outputs": listed, "stages": [], "splits": {}, "rejected": {}})


def staged(space: BuildWorkspace, **files: str) -> dict[str, Path]:
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
        with claim_workspace(*folders) as space:
            space.publish(staged(space, **files), manifest(*files))
        assert {path.name: path.read_text() for path in dataset.iterdir() if path.name != "manifest.json"} == files
        built = read_built_manifest(dataset)
        assert built is not None
        assert built.as_dict() == orjson.loads(manifest(*files))


def test_publishing_leaves_alone_what_is_not_of_the_dataset(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    with claim_workspace(*folders) as space:
        space.publish(staged(space, a="1"), manifest("a"))
    (dataset / ".git").mkdir()
    (dataset / "notes.txt").write_text("mine")
    with claim_workspace(*folders) as space:
        space.publish(staged(space, b="2"), manifest("b"))
    assert sorted(path.name for path in dataset.iterdir()) == [".git", "b", "manifest.json", "notes.txt"]


def test_a_manifest_that_names_a_file_outside_deletes_nothing(folders: tuple[Path, Path]) -> None:
    dataset, corpus = folders
    (corpus / "thesis").write_text("the only copy")
    dataset.mkdir()
    (dataset / "manifest.json").write_bytes(manifest("../corpus/thesis"))
    with claim_workspace(*folders) as space, pytest.raises(UserError, match="the manifest was altered"):
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
    with pytest.raises(UserError, match="not what a build writes"), claim_workspace(*folders):
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
    with pytest.raises(UserError, match="link"), claim_workspace(*folders) as space:
        space.publish(staged(space, b="1"), manifest("b"))
    assert (outside / "a").read_text() == "mine"
    assert [path.name for path in outside.iterdir()] == ["a"]


@pytest.mark.parametrize("content", [{}, {"outputs": 3}, {"outputs": [{"path": "a"}]}, {"outputs": ["a"]}])
def test_a_manifest_of_another_shape_is_none_of_ours(folders: tuple[Path, Path], content: dict[str, Any]) -> None:
    dataset, _ = folders
    dataset.mkdir()
    (dataset / "manifest.json").write_bytes(orjson.dumps({"format": MANIFEST_FORMAT} | content))
    assert read_built_manifest(dataset) is None
    with pytest.raises(UserError, match="not made by"), claim_workspace(*folders):
        pytest.fail("the folder was claimed")


def test_two_cannot_hold_one_folder(folders: tuple[Path, Path]) -> None:
    with (
        claim_workspace(*folders),
        pytest.raises(UserError, match="Another build is at work"),
        claim_workspace(*folders),
    ):
        pass
    with claim_workspace(*folders):
        pass


def test_a_lock_file_that_was_replaced_keeps_out_whoever_comes(folders: tuple[Path, Path]) -> None:
    """The lock belongs to the file that is there, not to one that a finished build removed."""
    dataset, _ = folders
    with claim_workspace(*folders) as space:
        os.unlink(space.area / "lock")  # noqa: PTH108
        with claim_workspace(*folders), pytest.raises(UserError, match="Another build"), claim_workspace(*folders):
            pass
    assert not dataset.exists()


def test_a_claim_that_did_nothing_leaves_nothing(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    with pytest.raises(RuntimeError), claim_workspace(*folders):
        raise RuntimeError
    assert not dataset.exists()


def test_a_claim_that_was_broken_off_keeps_its_work(folders: tuple[Path, Path]) -> None:
    with pytest.raises(RuntimeError), claim_workspace(*folders) as space:
        space.prepare()
        (space.shards / "finished.json").write_text("{}")
        (space.shards / ".half.tmp").write_text("")
        (space.staged / "page").write_text("")
        raise RuntimeError
    with claim_workspace(*folders) as space:
        space.prepare()
        assert [path.name for path in space.shards.iterdir()] == ["finished.json"]
        assert list(space.staged.iterdir()) == []


def test_an_interrupted_publication_is_carried_on_by_whoever_comes_next(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    with claim_workspace(*folders) as space:
        space.publish(staged(space, a="1", b="1"), manifest("a", "b"))
    with claim_workspace(*folders) as space:
        files = staged(space, a="2", c="2")
        (space.staged / "manifest.json").write_bytes(manifest("a", "c"))
        moves = {name: f"staged/{name}" for name in files}
        (space.area / "publish.json").write_bytes(orjson.dumps({"moves": moves, "remove": ["b"]}))
        (dataset / "manifest.json").unlink()
        (space.staged / "a").replace(dataset / "a")
    with claim_workspace(*folders):
        pass
    found = {path.name: path.read_text() for path in dataset.iterdir() if path.name != "manifest.json"}
    assert found == {"a": "2", "c": "2"}
    assert building.manifest(dataset)["outputs"] == [entry("a"), entry("c")]


ENTRIES = [
    "",
    "lock",
    "staged",
    "orders",
    "shards",
    "publish.json",
    "spool.sqlite",
    "rejections.sqlite",
    "shards/x.json",
]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("leads", ["out", "nowhere", "into the dataset"])
def test_no_entry_of_the_working_area_may_be_a_link(folders: tuple[Path, Path], entry: str, leads: str) -> None:
    dataset, _ = folders
    outside = dataset.parent / "outside"
    outside.mkdir()
    (outside / "letter").write_text("mine")
    link = dataset / ".editfhf" / entry if entry else dataset / ".editfhf"
    link.parent.mkdir(parents=True)
    (dataset / "other").mkdir()
    target = {"out": outside, "nowhere": dataset.parent / "missing", "into the dataset": dataset / "other"}[leads]
    link.symlink_to(target)
    with pytest.raises(UserError, match="is a link") as refused, claim_workspace(*folders):
        pytest.fail("the folder was claimed")
    assert str(link) in str(refused.value)
    assert [path.name for path in outside.iterdir()] == ["letter"]
    assert list((dataset / "other").iterdir()) == []
    assert not (dataset.parent / "missing").exists()


@pytest.mark.parametrize("entry", ["lock", "staged", "publish.json", "shards/x.json"])
def test_nobody_waits_for_a_pipe_in_the_working_area(folders: tuple[Path, Path], entry: str) -> None:
    dataset, _ = folders
    pipe = dataset / ".editfhf" / entry
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="not a regular file"), claim_workspace(*folders):
        pytest.fail("the folder was claimed")


@pytest.mark.parametrize("name", ["staged", "shards", "orders"])
def test_a_link_that_is_put_there_while_a_build_runs_is_noticed_before_it_publishes(
    folders: tuple[Path, Path], name: str
) -> None:
    dataset, _ = folders
    outside = dataset.parent / "outside"
    outside.mkdir()
    with pytest.raises(UserError, match="is a link"), claim_workspace(*folders) as space:
        files = staged(space, a="1")
        (space.area / name).rename(outside / name)
        (space.area / name).symlink_to(outside / name)
        space.publish(files, manifest("a"))
    assert not (dataset / "manifest.json").exists()
    assert not (dataset / "a").exists()


def test_a_dataset_that_is_itself_a_link_is_fine(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    (dataset.parent / "elsewhere").mkdir()
    dataset.symlink_to(dataset.parent / "elsewhere")
    with claim_workspace(*folders) as space:
        space.publish(staged(space, a="1"), manifest("a"))
    assert dataset.is_symlink()
    assert {path.name for path in (dataset.parent / "elsewhere").iterdir()} == {"a", "manifest.json"}


@pytest.mark.parametrize("name", ["data", "marks", "ratings", "annotators", "figures"])
@pytest.mark.parametrize("leads", ["out", "into the dataset"])
def test_a_folder_of_the_dataset_that_is_a_link_is_refused_before_any_work(
    folders: tuple[Path, Path], name: str, leads: str
) -> None:
    dataset, _ = folders
    dataset.mkdir()
    (dataset / "manifest.json").write_bytes(manifest("README.md"))
    target = dataset.parent / "outside" if leads == "out" else dataset / "inside"
    target.mkdir()
    (dataset / name).symlink_to(target)
    with pytest.raises(UserError, match=f"{name} is a link"), claim_workspace(*folders):
        pytest.fail("the folder was claimed")


@pytest.mark.parametrize("name", ["README.md", "manifest.json"])
def test_a_file_of_the_dataset_that_is_a_link_is_replaced_and_not_written_through(
    folders: tuple[Path, Path], name: str
) -> None:
    dataset, _ = folders
    with claim_workspace(*folders) as space:
        space.publish(staged(space, **{"README.md": "1"}), manifest("README.md"))
    outside = dataset.parent / "outside"
    (dataset / name).rename(outside)
    (dataset / name).symlink_to(outside)
    before = outside.read_bytes()
    with claim_workspace(*folders) as space:
        space.publish(staged(space, **{"README.md": "2"}), manifest("README.md"))
    assert outside.read_bytes() == before
    assert not (dataset / name).is_symlink()


def _remove(space: BuildWorkspace) -> None:
    shutil.rmtree(space.dataset)


def _rename(space: BuildWorkspace) -> None:
    space.dataset.rename(space.dataset.parent / "renamed")


def _replace(space: BuildWorkspace) -> None:
    space.dataset.rename(space.dataset.parent / "renamed")
    shutil.copytree(space.dataset.parent / "renamed", space.dataset)


def _remove_area(space: BuildWorkspace) -> None:
    shutil.rmtree(space.area)


def _rename_area(space: BuildWorkspace) -> None:
    space.area.rename(space.dataset / "renamed")


@pytest.mark.parametrize("disturb", [_remove, _rename, _replace, _remove_area, _rename_area])
@pytest.mark.parametrize("error", [FileNotFoundError("x"), RuntimeError("x"), UserError("x")])
def test_whatever_fails_after_the_folder_went_the_reason_is_that(
    folders: tuple[Path, Path], disturb: Any, error: Exception
) -> None:
    with pytest.raises(UserError, match="removed, renamed or replaced"), claim_workspace(*folders) as space:
        space.prepare()
        disturb(space)
        raise error


def test_a_failure_in_a_folder_that_is_still_there_keeps_its_reason(folders: tuple[Path, Path]) -> None:
    for discarded in (False, True):
        with pytest.raises(UserError, match=r"^its own$"), claim_workspace(*folders) as space:
            space.prepare()
            if discarded:
                space.discard()
            raise UserError("its own")
