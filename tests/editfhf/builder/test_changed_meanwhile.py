"""Files that change while a build reads them: noticed, named, and nothing is published."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from annotation.corpus import Corpus
from editfhf.builder import corpus_state, pipeline
from editfhf.builder.corpus_state import read_corpus_state
from mos.errors import UserError
from tests.editfhf.builder import building, corpora


def _append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"\n")


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _replace(path: Path) -> None:
    path.with_name("new").write_bytes(path.read_bytes().replace(b"1", b"2"))
    path.with_name("new").replace(path)


def _remove(path: Path) -> None:
    path.unlink()


def _replace_and_put_back(path: Path) -> None:
    """Between the two digests the file had other content."""
    kept = path.rename(path.with_name("kept"))
    path.write_bytes(b"")
    kept.replace(path)


def _rewrite_with_old_time(path: Path) -> None:
    status = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = [_append, _truncate, _replace, _remove, _replace_and_put_back, _rewrite_with_old_time]
FILES = ["pairs.jsonl", "corpus.yaml", "annotations/regions-1.json", "annotations/ratings.json"]


@pytest.fixture
def disturbed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], None]], None]:
    """Let something happen before a function of the pipeline is called."""

    def disturb(name: str, change: Callable[[], None]) -> None:
        function = getattr(pipeline, name)

        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            change()
            return function(*args, **kwargs)

        monkeypatch.setattr(pipeline, name, call)

    return disturb


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("file", FILES)
def test_a_file_that_changes_after_it_was_digested_is_named(
    tiny: Path,
    tmp_path: Path,
    disturbed: Callable[[str, Callable[[], None]], None],
    file: str,
    change: Callable[[Path], None],
) -> None:
    path = tiny / file
    if not path.exists():
        path = next((tiny / "annotations").glob(f"{Path(file).stem.split('-')[0]}*"))
    disturbed("scan_corpus", lambda: change(path))
    with pytest.raises(UserError, match="changed while the build was running") as refused:
        building.make(tiny, tmp_path / "dataset")
    assert str(path) in str(refused.value)
    assert not (tmp_path / "dataset/manifest.json").exists()


@pytest.mark.parametrize("step", ["prepare_build", "make_shards", "finish_build"])
def test_a_file_that_changes_later_is_named_too(
    tiny: Path, tmp_path: Path, disturbed: Callable[[str, Callable[[], None]], None], step: str
) -> None:
    disturbed(step, lambda: _append(tiny / "pairs.jsonl"))
    with pytest.raises(UserError, match=r"pairs\.jsonl changed while"):
        building.make(tiny, tmp_path / "dataset")
    assert not (tmp_path / "dataset/manifest.json").exists()


def test_a_new_file_is_named(tiny: Path, tmp_path: Path, disturbed: Callable[[str, Callable[[], None]], None]) -> None:
    disturbed("prepare_build", lambda: (tiny / "annotations/regions-new.json").write_bytes(b"[]") and None)
    with pytest.raises(UserError, match=r"regions-new\.json changed while"):
        building.make(tiny, tmp_path / "dataset")


@pytest.mark.parametrize("change", [_append, _truncate, _remove])
def test_an_image_that_changes_between_check_and_shard_is_named(
    tiny: Path, tmp_path: Path, disturbed: Callable[[str, Callable[[], None]], None], change: Callable[[Path], None]
) -> None:
    disturbed("prepare_build", lambda: change(tiny / "images/e000.png"))
    with pytest.raises(UserError, match=r"e000\.png"):
        building.make(tiny, tmp_path / "dataset")
    assert not (tmp_path / "dataset/manifest.json").exists()


def test_a_corpus_that_goes_is_the_reason(
    tiny: Path, tmp_path: Path, disturbed: Callable[[str, Callable[[], None]], None]
) -> None:
    disturbed("scan_corpus", lambda: shutil.rmtree(tiny))
    with pytest.raises(UserError, match="changed while the build was running"):
        building.make(tiny, tmp_path / "dataset")


def test_what_was_made_before_the_change_is_used_by_the_next_run(
    tmp_path: Path, disturbed: Callable[[str, Callable[[], None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = corpora.corpus(sources=3, edits=1, raters=3).write(tmp_path / "corpus")
    with monkeypatch.context() as patch:
        finish = pipeline.finish_build

        def disturb(*args):  # type: ignore[no-untyped-def]
            _append(root / "pairs.jsonl")
            return finish(*args)

        patch.setattr(pipeline, "finish_build", disturb)
        with pytest.raises(UserError, match="changed while"):
            building.make(root, tmp_path / "dataset")
    assert building.make(root, tmp_path / "dataset").shards_made == 0
    building.make(root, tmp_path / "fresh")
    assert building.differences(building.tree(tmp_path / "dataset"), building.tree(tmp_path / "fresh")) == []


def test_an_untouched_corpus_did_not_change(tiny: Path) -> None:
    corpus = Corpus.open(tiny)
    state = read_corpus_state(corpus)
    assert state.find_change(corpus) is None
    assert corpus_state.read_corpus_state(corpus) == state
