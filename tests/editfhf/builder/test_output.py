"""Where a dataset may be written, and that nothing there is ever lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from mos.errors import UserError
from tests.editfhf.builder import building, corpora

FULL = {"shards": {"megabytes": 1}}


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Time and inode of everything in a folder, itself included."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in [folder, *folder.rglob("*")]}


def refused(corpus: Path, dataset: Path, *words: str) -> str:
    """The one sentence with which the command refuses."""
    done = building.command("build", corpus, dataset, "--quiet", *words)
    assert done.returncode == 1, done.stderr
    assert building.is_one_sentence(done.stderr), done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("file/below", "cannot be"),
        ("file", "is a file"),
        ("nowhere", "is a broken link"),
        ("loop", "loop of links"),
        ("x" * 300, "File name too long"),
        ("full", "is not empty and was not made by `editfhf build`"),
        ("corpus", "lies inside the corpus"),
        ("corpus/out", "lies inside the corpus"),
        (".", "lies inside the dataset folder"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_and_left_alone(small: Path, where: str, why: str) -> None:
    folder = small.parent
    (folder / "file").write_text("mine")
    (folder / "nowhere").symlink_to("missing")
    (folder / "loop").symlink_to("loop")
    (folder / "full").mkdir()
    (folder / "full/thesis.txt").write_text("the only copy")
    before = contents(folder)
    with pytest.raises(UserError, match=why):
        building.make(small, folder / where)
    assert contents(folder) == before


@pytest.mark.parametrize("where", ["/proc/editfhf", "/sys/editfhf", "/dev/null/editfhf"])
def test_a_place_without_writing_is_refused_in_one_sentence(tiny: Path, where: str) -> None:
    assert where in refused(tiny, Path(where))


def test_a_link_into_the_corpus_does_not_hide_it(small: Path) -> None:
    (small.parent / "elsewhere").symlink_to(small)
    with pytest.raises(UserError, match="lies inside the corpus"):
        building.make(small, small.parent / "elsewhere/out")


@pytest.mark.parametrize("missing", ["corpus.yaml", "pairs.jsonl", "."])
def test_a_corpus_that_is_none_leaves_no_dataset(tiny: Path, tmp_path: Path, missing: str) -> None:
    shutil.rmtree(tiny) if missing == "." else (tiny / missing).unlink()
    refused(tiny, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


def test_an_empty_folder_or_a_link_to_one_is_used(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    building.make(tiny, tmp_path / "link")
    assert (tmp_path / "real/manifest.json").exists()
    assert (tmp_path / "link").is_symlink()


class TestAnEarlierDataset:
    @pytest.fixture
    def dataset(self, tiny: Path, tmp_path: Path) -> Path:
        building.make(tiny, tmp_path / "dataset")
        return tmp_path / "dataset"

    def test_of_the_same_corpus_is_left_as_it_is(self, tiny: Path, dataset: Path) -> None:
        before = {name: at for name, at in contents(dataset).items() if name != str(dataset)}
        done = building.command("build", tiny, dataset, "--json", "--quiet")
        assert done.returncode == 0
        summary = orjson.loads(done.stdout)
        assert summary["up_to_date"]
        assert {name: at for name, at in contents(dataset).items() if name != str(dataset)} == before

    @pytest.mark.parametrize(
        ("file", "what"),
        [
            ("pairs.jsonl", "the corpus"),
            ("annotations/ratings.json", "the corpus"),
            ("images/e000.png", "the images"),
        ],
    )
    def test_of_a_changed_corpus_is_refused_without_update(
        self, tiny: Path, dataset: Path, file: str, what: str
    ) -> None:
        before = building.tree(dataset)
        (tiny / file).write_bytes((tiny / file).read_bytes() + b"\n")
        sentence = refused(tiny, dataset)
        assert f"{what} changed" in sentence
        assert "--update" in sentence
        assert building.tree(dataset) == before

    def test_with_other_options_is_refused_without_update(self, tiny: Path, dataset: Path) -> None:
        assert "the options changed" in refused(tiny, dataset, "--seed", "4")

    @pytest.mark.parametrize("name", ["README.md", "ratings/ratings-00000-of-00001.parquet"])
    def test_that_lost_or_has_a_damaged_file_is_noticed_and_made_whole(
        self, tiny: Path, dataset: Path, name: str
    ) -> None:
        before = building.tree(dataset)
        for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-5])):
            damage(dataset / name)
            sentence = refused(tiny, dataset)
            assert name in sentence
            assert "--update" in sentence
            building.make(tiny, dataset, update=True)
            assert building.differences(building.tree(dataset), before) == []

    def test_with_a_changed_byte_is_made_whole_by_an_update(self, tiny: Path, dataset: Path) -> None:
        before = building.tree(dataset)
        for path in (dataset / "README.md", next((dataset / "data").iterdir())):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.unlink()
            path.write_bytes(data)
            building.make(tiny, dataset, update=True)
            assert building.differences(building.tree(dataset), before) == []

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "editfhf-dataset/99"}', "null"])
    def test_with_a_manifest_that_is_none_is_not_touched(self, tiny: Path, dataset: Path, text: str) -> None:
        (dataset / "manifest.json").write_text(text)
        before = contents(dataset)
        refused(tiny, dataset, "--update")
        assert contents(dataset) == before

    def test_whose_manifest_names_a_file_outside_deletes_nothing_there(self, tiny: Path, dataset: Path) -> None:
        (dataset.parent / "thesis.txt").write_text("the only copy")
        manifest = building.manifest(dataset)
        manifest["outputs"].append({"path": "../thesis.txt", "bytes": 13, "sha256": "0" * 64})
        (dataset / "manifest.json").write_bytes(orjson.dumps(manifest))
        (tiny / "pairs.jsonl").write_bytes((tiny / "pairs.jsonl").read_bytes() + b"\n")
        refused(tiny, dataset, "--update")
        assert (dataset.parent / "thesis.txt").read_text() == "the only copy"


class TestAFullDisk:
    """A disk of four megabytes for a dataset of more than that, and then a larger one."""

    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Path:
        made = corpora.corpus(sources=8)
        for pair in made.pairs:
            made.images[pair["edited"]] += os.urandom(450_000)
        return made.write(tmp_path / "corpus")

    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "disk"
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("mounting is not permitted")
        yield folder
        subprocess.run(["umount", "-l", folder], check=True)

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_is_told_and_the_build_goes_on_once_there_is_space(self, corpus: Path, disk: Path, workers: str) -> None:
        config = disk.parent / "build.yaml"
        config.write_bytes(orjson.dumps(FULL))
        words = ("--config", str(config), "--workers", workers)
        sentence = refused(corpus, disk / "dataset", *words)
        assert "No space left on the disk" in sentence
        assert not (disk / "dataset/manifest.json").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        done = building.command("build", corpus, disk / "dataset", "--quiet", "--json", *words)
        assert done.returncode == 0, done.stderr
        assert orjson.loads(done.stdout)["shards_kept"] > 0
        building.make(corpus, disk.parent / "fresh", building.options(**FULL))
        assert building.differences(building.tree(disk / "dataset"), building.tree(disk.parent / "fresh")) == []

    @pytest.mark.parametrize("kilobytes", [0, 8, 40, 120, 200])
    def test_is_told_wherever_it_is_full(self, tiny: Path, disk: Path, kilobytes: int) -> None:
        """From the very first file to the last pages."""
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        free = shutil.disk_usage(disk).free - kilobytes * 1024
        (disk / "ballast").write_bytes(b"\0" * free)
        sentence = refused(tiny, disk / "dataset", "--workers", "1")
        assert "No space left on" in sentence
        (disk / "ballast").unlink()
        building.make(tiny, disk / "dataset")
        building.make(tiny, disk.parent / "fresh")
        assert building.differences(building.tree(disk / "dataset"), building.tree(disk.parent / "fresh")) == []

    def test_leaves_an_earlier_dataset_whole(self, corpus: Path, disk: Path) -> None:
        subprocess.run(["mount", "-o", "remount,size=11m", disk], check=True)
        building.make(corpus, disk / "dataset", building.options(**FULL))
        before = building.tree(disk / "dataset")
        config = disk.parent / "build.yaml"
        config.write_bytes(orjson.dumps(FULL | {"saliency": {"sigma": "3px"}}))
        refused(corpus, disk / "dataset", "--config", str(config), "--update", "--workers", "1")
        after = {
            name: what for name, what in building.tree(disk / "dataset").items() if not name.startswith(".editfhf")
        }
        assert after == before


@pytest.mark.parametrize("limit", [1_000, 60_000])
def test_a_limit_on_the_size_of_files_is_told_in_one_sentence(tiny: Path, tmp_path: Path, limit: int) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = building.arguments("build", tiny, tmp_path / "dataset", "--quiet", "--workers", "1")
    done = subprocess.run(words, preexec_fn=limited, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert building.is_one_sentence(done.stderr), done.stderr
    assert not (tmp_path / "dataset/manifest.json").exists()


class TestAReadOnlyDisk:
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "disk"
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("mounting is not permitted")
        yield folder
        subprocess.run(["umount", "-l", folder], check=True)

    def test_is_refused_in_one_sentence(self, tiny: Path, disk: Path) -> None:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert "Read-only file system" in refused(tiny, disk / "dataset")

    def test_may_hold_the_corpus(self, tiny: Path, disk: Path, tmp_path: Path) -> None:
        shutil.copytree(tiny, disk / "corpus")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        building.make(disk / "corpus", tmp_path / "dataset")


def test_a_folder_of_somebody_else_is_refused_in_one_sentence() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    script = (
        "import os, sys; from pathlib import Path\n"
        "from editfhf.builder.workspace import claim_workspace\n"
        "from mos.errors import UserError\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    claim_workspace(Path(sys.argv[1]), Path('/nonexistent')).__enter__()\n"
        "except UserError as error:\n    print(error); sys.exit(1)\n"
    )
    locked = Path("/editfhf-test-dataset")
    done = subprocess.run([sys.executable, "-c", script, locked], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert done.stdout == (
        "/editfhf-test-dataset cannot be written (Permission denied). Choose a folder that you may write.\n"
    )
