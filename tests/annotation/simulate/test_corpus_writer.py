"""Same options, same bytes; a corpus is whole or not there."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from annotation.corpus import Corpus
from annotation.simulate import SimulationOptions, simulate_corpus
from annotation.simulate.photos import list_folder_photos, list_packaged_photos
from mos.errors import UserError

SMALL = SimulationOptions(pairs=14, height=64, format="mixed", seed=3)


def _run(settings: SimulationOptions, root: Path, workers: int = 1) -> dict[str, str]:
    simulate_corpus(settings, list_packaged_photos(), root, workers, lambda _: None)
    return _digests(root)


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    assert _run(SMALL, tmp_path / "one") == _run(SMALL, tmp_path / "three", workers=3)


def test_another_seed_writes_other_pictures(tmp_path: Path) -> None:
    one, other = _run(SMALL, tmp_path / "one"), _run(replace(SMALL, seed=4), tmp_path / "other")
    assert not {one[name] for name in one if name.startswith("images/")} & set(other.values())


def test_more_pairs_begin_with_the_same_pairs(tmp_path: Path) -> None:
    few, many = _run(SMALL, tmp_path / "few"), _run(replace(SMALL, pairs=20), tmp_path / "many")
    assert all(many[name] == few[name] for name in few if name.startswith("images/"))


def test_mixed_pictures_come_in_three_encodings(tmp_path: Path) -> None:
    names = _run(SMALL, tmp_path / "corpus")
    assert {Path(name).suffix for name in names if name.startswith("images/")} == {".jpg", ".png", ".webp"}


def test_many_ratings_go_to_a_table_and_their_flags_to_a_file(tmp_path: Path) -> None:
    simulate_corpus(replace(SMALL, exports=False, pairs=30), list_packaged_photos(), tmp_path / "c", 1, lambda _: None)
    found = Corpus.open(tmp_path / "c").files(lambda rejection: pytest.fail(rejection.message))
    assert found["ratings"] == ["annotations/ratings.parquet"]
    assert found["flags"] == ["annotations/flags.csv"]
    table = pq.read_table(tmp_path / "c/annotations/ratings.parquet")
    assert table.column_names == ["pair_id", "annotator_id", "dimension", "score", "rated_at"]
    truth = pq.read_table(tmp_path / "c/truth.parquet").to_pylist()
    flags = sum(region["flags"] for row in truth for region in row["regions"] + row["unfounded"])
    assert len((tmp_path / "c/annotations/flags.csv").read_text().splitlines()) == flags + 1


def test_a_pool_larger_than_the_panel_is_used_about_evenly(tmp_path: Path) -> None:
    settings = replace(SMALL, exports=False, pairs=24, raters=5, pool=12, missing=0.0)
    simulate_corpus(settings, list_packaged_photos(), tmp_path / "c", 1, lambda _: None)
    table = pq.read_table(tmp_path / "c/annotations/ratings.parquet").to_pandas()
    assert set(table.groupby("pair_id").annotator_id.nunique()) == {5}
    work = table.groupby("annotator_id").size()
    assert len(work) == 12
    assert work.between(0.75 * work.mean(), 1.25 * work.mean()).all()


def test_a_corpus_in_the_way_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/mine.txt").write_text("keep")
    with pytest.raises(UserError, match="is not empty"):
        _run(SMALL, tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert (tmp_path / "c/mine.txt").read_text() == "keep"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    assert "pairs.jsonl" in _run(SMALL, tmp_path / "c")


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_corpus(SMALL, list_packaged_photos(), tmp_path / "c", 1, stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("behaviour", ["straight", "inverted"])
def test_careless_raters_can_behave_in_other_ways(tmp_path: Path, behaviour: str) -> None:
    settings = replace(SMALL, careless=2, careless_behaviour=behaviour, exports=False, missing=0.0)
    simulate_corpus(settings, list_packaged_photos(), tmp_path / "c", 1, lambda _: None)
    raters = pq.read_table(tmp_path / "c/truth_raters.parquet").to_pylist()
    careless = [row["annotator_id"] for row in raters if row["behaviour"] == behaviour]
    assert len(careless) == 2
    table = pq.read_table(tmp_path / "c/annotations/ratings.parquet").to_pandas()
    truth = pq.read_table(tmp_path / "c/truth.parquet").to_pandas().set_index("pair_id")
    own = table[table.annotator_id.isin(careless)]
    if behaviour == "straight":
        assert own.score.between(2.5, 3.5).all()
    else:
        true = [truth.loc[row.pair_id, row.dimension] for row in own.itertuples()]
        assert np.corrcoef(own.score, true)[0, 1] < -0.5


def test_noisier_annotators_lose_flaws(tmp_path: Path) -> None:
    settings = replace(SMALL, pairs=36, annotator_error=4.0)
    simulate_corpus(settings, list_packaged_photos(), tmp_path / "c", 1, lambda _: None)
    truth = pq.read_table(tmp_path / "c/truth.parquet").to_pylist()
    assert any(flaw["found_by"] < 2 for row in truth for flaw in row["regions"])


def test_a_folder_of_photos_is_used_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "photos/deep").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).resize((300, 200)).save(tmp_path / "photos/deep/a.png")
    simulate_corpus(replace(SMALL, pairs=6), list_folder_photos(tmp_path / "photos"), tmp_path / "c", 1, lambda _: None)
    pairs = list(Corpus.open(tmp_path / "c").pairs(lambda rejection: pytest.fail(rejection.message)))
    assert {(pair.licence, pair.origin) for pair in pairs} == {("unknown", "deep/a.png; simulated edit")}


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/bad.jpg").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"bad\.jpg is not a usable image"):
        simulate_corpus(SMALL, list_folder_photos(tmp_path / "photos"), tmp_path / "c", 1, lambda _: None)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No photo found"):
        list_folder_photos(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        list_folder_photos(tmp_path / "nowhere")
