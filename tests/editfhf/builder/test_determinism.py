"""Same corpus, options and version: same bytes, however the work was done and in whatever order things came."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from tests.editfhf.builder import building, corpora
from tests.editfhf.builder.campaign import campaign

MANY_SHARDS = {"shards": {"megabytes": 1, "row_group": 2}}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign with something set aside, and pictures so large that it takes several shards."""
    made = campaign()
    for number, pair in enumerate(made.pairs):
        made.images[pair["edited"]] += b"\0" * (900_000 + number)
    made.pairs.append(made.pairs[0] | {"pair_id": "p900", "edited": "images/nowhere.png"})
    made.pairs.append(made.pairs[0])
    return made.write(tmp_path_factory.mktemp("same") / "corpus")


@pytest.fixture(scope="module")
def reference(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    dataset = tmp_path_factory.mktemp("reference") / "dataset"
    summary = building.make(corpus, dataset, building.options(**MANY_SHARDS))
    assert summary.shards_made > 5
    return building.tree(dataset)


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_worker_processes_writes_the_same_bytes(
    corpus: Path, reference: dict[str, str], tmp_path: Path, workers: int
) -> None:
    building.make(corpus, tmp_path / "dataset", building.options(**MANY_SHARDS), workers=workers)
    assert building.differences(building.tree(tmp_path / "dataset"), reference) == []


def test_a_known_picture_changes_nothing(corpus: Path, reference: dict[str, str], tmp_path: Path) -> None:
    for name in ("first", "second"):
        cache = tmp_path / "cache.tsv"
        building.make(corpus, tmp_path / name, building.options(**MANY_SHARDS), cache=cache)
        assert cache.stat().st_size > 0
        assert building.differences(building.tree(tmp_path / name), reference) == []


def test_the_order_in_which_files_were_made_changes_nothing(
    corpus: Path, reference: dict[str, str], tmp_path: Path
) -> None:
    moved = tmp_path / "corpus"
    files = sorted((path for path in corpus.rglob("*") if path.is_file()), reverse=True)
    for path in files:
        target = moved / path.relative_to(corpus)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    building.make(moved, tmp_path / "dataset", building.options(**MANY_SHARDS))
    assert building.differences(building.tree(tmp_path / "dataset"), reference) == []


def test_neither_the_seed_of_hashes_nor_locale_zone_or_folder_changes_anything(
    corpus: Path, reference: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "build.yaml"
    config.write_bytes(orjson.dumps(MANY_SHARDS))
    places = {"1": ("C", "UTC"), "4242": ("C.UTF-8", "Asia/Tokyo")}
    for seed, (locale, zone) in places.items():
        dataset = tmp_path / f"dataset-{seed}"
        environment = {"PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": zone, "COLUMNS": "40"}
        done = building.command("build", corpus, dataset, "--workers", 2, "--config", config, "--quiet", **environment)
        assert done.returncode == 0, done.stderr
        assert building.differences(building.tree(dataset), reference) == []


class TestUpdate:
    """`--update` after a change gives what a first build of the changed corpus gives, and makes only what changed."""

    @pytest.fixture
    def built(self, corpus: Path, tmp_path: Path) -> tuple[Path, Path]:
        shutil.copytree(corpus, tmp_path / "corpus")
        building.make(tmp_path / "corpus", tmp_path / "dataset", building.options(**MANY_SHARDS))
        return tmp_path / "corpus", tmp_path / "dataset"

    def updated(self, corpus: Path, dataset: Path) -> tuple[int, int]:
        """Shards made and kept by an update, after a check against a fresh build."""
        summary = building.make(corpus, dataset, building.options(**MANY_SHARDS), update=True)
        building.make(corpus, dataset.parent / "fresh", building.options(**MANY_SHARDS))
        assert building.differences(building.tree(dataset), building.tree(dataset.parent / "fresh")) == []
        return summary.shards_made, summary.shards_kept

    def test_of_a_picture_makes_its_shard_alone(self, built: tuple[Path, Path]) -> None:
        corpus, dataset = built
        shards = len(list((dataset / "data").iterdir()))
        (corpus / "images/e004.png").write_bytes(corpora.picture(77) + b"\0" * 900_000)
        assert self.updated(corpus, dataset) == (1, shards - 1)

    def test_of_a_text_of_one_pair_makes_its_shard_alone(self, built: tuple[Path, Path]) -> None:
        corpus, dataset = built
        shards = len(list((dataset / "data").iterdir()))
        lines = (corpus / "pairs.jsonl").read_bytes().replace(b"number 7", b"number seven")
        (corpus / "pairs.jsonl").write_bytes(lines)
        assert self.updated(corpus, dataset) == (1, shards - 1)

    def test_of_one_rating_makes_all_it_touches(self, built: tuple[Path, Path]) -> None:
        corpus, dataset = built
        path = corpus / "annotations/ratings.json"
        tasks = orjson.loads(path.read_bytes())
        tasks[3]["annotations"][5]["result"][0]["value"]["number"] = 4.5
        path.write_bytes(orjson.dumps(tasks))
        made, _ = self.updated(corpus, dataset)
        assert made > 0

    def test_with_fewer_pairs_leaves_no_shard_behind(self, built: tuple[Path, Path]) -> None:
        corpus, dataset = built
        lines = (corpus / "pairs.jsonl").read_bytes().splitlines(keepends=True)
        (corpus / "pairs.jsonl").write_bytes(b"".join(lines[:5]))
        self.updated(corpus, dataset)

    def test_without_a_change_touches_nothing(self, built: tuple[Path, Path]) -> None:
        corpus, dataset = built
        before = {path: path.stat().st_mtime_ns for path in dataset.rglob("*")}
        assert building.make(corpus, dataset, building.options(**MANY_SHARDS), update=True).up_to_date
        assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*")} == before

    def test_with_other_options_is_what_they_alone_would_make(self, built: tuple[Path, Path]) -> None:
        corpus, dataset = built
        chosen = building.options(**MANY_SHARDS, split={"seed": 5}, saliency={"sigma": "3px"}, pseudonyms=False)
        building.make(corpus, dataset, chosen, update=True)
        building.make(corpus, dataset.parent / "fresh", chosen)
        assert building.differences(building.tree(dataset), building.tree(dataset.parent / "fresh")) == []
