"""Pairs with the density of the published data, and everything that is true about them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from annotation.corpus import Corpus
from annotation.records import DIMENSIONS, KINDS
from annotation.simulate import KnownPair, SimulationOptions, simulate_corpus, simulate_pairs
from annotation.simulate.known_pairs import simulate_source_pairs
from annotation.simulate.photos import list_folder_photos, list_packaged_photos
from annotation.simulate.pixels import difference_mask
from annotation.taxonomy import list_flaw_types
from mos.errors import UserError

stats = pytest.importorskip("scipy.stats")
pytest.importorskip("skimage")
pytest.importorskip("sklearn")

PAPER = SimulationOptions(pairs=220, height=96, profile="paper", seed=4, edits_per_source=4)

UNMARKED = {"wrong_position", "wrong_target"}
"""Types of flaws of which a second place, where something is missing, is not marked."""


@pytest.fixture(scope="module")
def pairs() -> list[KnownPair]:
    return list(simulate_pairs(PAPER, list_packaged_photos()))


def test_its_density_is_that_of_the_published_data(pairs):
    """60,318 artifact and 80,345 failure regions on 15,287 images."""
    counts = {kind: np.array([sum(flaw.kind == kind for flaw in pair.flaws) for pair in pairs]) for kind in KINDS}
    total = counts["artifact"] + counts["failure"]
    assert 7.2 < total.mean() < 11.2
    assert 0.55 < counts["artifact"].mean() / counts["failure"].mean() < 0.95
    assert 0.2 < (total == 0).mean() < 0.4
    assert total.max() >= 20


def test_every_flaw_type_but_other_occurs_and_none_is_most_of_them(pairs):
    seen = Counter((flaw.kind, flaw.flaw_type) for pair in pairs for flaw in pair.flaws)
    assert set(seen) == {(kind, name) for kind in KINDS for name in list_flaw_types(kind) if name != "other"}
    assert max(seen.values()) < 0.4 * sum(seen.values())


def test_flaws_are_well_formed_and_those_of_one_kind_hardly_overlap(pairs):
    for pair in pairs:
        height, width = pair.edited.shape[:2]
        for i, flaw in enumerate(pair.flaws):
            assert 0 <= flaw.box.x0 < flaw.box.x1 <= width
            assert 0 <= flaw.box.y0 < flaw.box.y1 <= height
            assert flaw.disks
            assert all(flaw.box.contains(disk) for disk in flaw.disks)
            assert 15 <= len(flaw.rationale.split()) <= 60, flaw.rationale
            same = [other.box for other in pair.flaws[:i] if other.kind == flaw.kind]
            assert all(flaw.box.iou(other) < 0.2 for other in same)


def test_every_flaw_is_visible_and_nothing_else_is_changed(pairs):
    local = [pair for pair in pairs if pair.edited.shape == pair.clean.shape]
    for pair in local:
        changed = difference_mask(pair.clean, pair.edited, 10)
        marked = np.zeros_like(changed)
        for flaw in pair.flaws:
            x0, y0, x1, y1 = (int(edge) for edge in flaw.box)
            if flaw.flaw_type != "not_executed":
                assert changed[y0:y1, x0:x1].mean() > 0.02, flaw
            marked[max(0, y0 - 8) : y1 + 8, max(0, x0 - 8) : x1 + 8] = True
        if not UNMARKED & {flaw.flaw_type for flaw in pair.flaws}:
            assert (changed & ~marked).mean() < 0.02, [flaw.flaw_type for flaw in pair.flaws]
        if not pair.flaws:
            assert (pair.clean == pair.edited).all()


def test_many_edits_without_a_flaw_change_nearly_everything(pairs):
    clean = [pair for pair in pairs if not pair.flaws and pair.source.shape == pair.edited.shape]
    changes = np.array([difference_mask(pair.source, pair.edited).mean() for pair in clean])
    assert (changes > 0.5).mean() > 0.25


def test_quality_follows_from_number_severity_and_kind_of_the_flaws(pairs):
    cost = {"minor": 1, "moderate": 2, "severe": 3}
    quality = {name: [pair.quality[name] for pair in pairs] for name in DIMENSIONS}
    for name, kind, least in (
        ("perceptual_quality", "artifact", 0.85),
        ("instruction_following", "failure", 0.6),
        ("visual_consistency", "failure", 0.8),
    ):
        load = [sum(cost[flaw.severity] for flaw in pair.flaws if flaw.kind == kind) for pair in pairs]
        assert stats.spearmanr(load, quality[name]).statistic < -least
    spoilt = [pair for pair in pairs if any(flaw.flaw_type == "not_executed" for flaw in pair.flaws)]
    assert np.mean([pair.quality["instruction_following"] for pair in spoilt]) < 2.6
    assert all(min(values) < 2 and max(values) > 4.5 for values in quality.values())


def test_some_instructions_name_several_things_and_fail_in_several_ways(pairs):
    several = [pair for pair in pairs if " all the " in pair.instruction or "every one" in pair.instruction]
    assert len(several) > 10
    types = {flaw.flaw_type for pair in several for flaw in pair.flaws if flaw.kind == "failure"}
    assert {"partial", "wrong_content", "wrong_target"} <= types


def test_files_of_two_workers_hold_the_pairs_that_python_gives_with_their_clean_targets(tmp_path: Path):
    settings = replace(PAPER, pairs=9, height=64, format="png", rendered=0.5, clean_images=True, exports=False)
    photos = list_packaged_photos()
    simulate_corpus(settings, photos, tmp_path / "c", 2, lambda _: None)
    truth = pq.read_table(tmp_path / "c/truth.parquet").to_pylist()
    lines = list(Corpus.open(tmp_path / "c").pairs(lambda rejection: pytest.fail(rejection.message)))
    assert {row["rendering"] is None for row in truth} == {True, False}
    for pair, row, line in zip(simulate_pairs(settings, photos), truth, lines, strict=True):
        assert pair.pair_id == row["pair_id"] == line.pair_id
        assert pair.source_id == row["source_id"] == line.source_id
        assert row["rendering"] == pair.rendering
        for pixels, name in ((pair.source, line.source), (pair.edited, line.edited), (pair.clean, row["clean"])):
            assert (np.asarray(Image.open(tmp_path / "c" / name)) == pixels).all()
        assert [tuple(flaw["box"]) for flaw in row["regions"]] == [
            tuple(np.float32(edge) for edge in flaw.box) for flaw in pair.flaws
        ]


def test_a_rendered_pair_is_its_plain_twin_rendered(pairs):
    plain = next(pair for pair in pairs if pair.flaws)
    source = plain.index // PAPER.edits_per_source
    twins = simulate_source_pairs(replace(PAPER, rendered=1.0), list_packaged_photos(), source)
    twin = next(pair for pair in twins if pair.pair_id == plain.pair_id)
    assert twin.rendering is not None
    assert (twin.edited != plain.edited).mean() > 0.8
    for flaw in twin.flaws:
        assert any(flaw.flaw_type == other.flaw_type and flaw.box.iou(other.box) > 0.3 for other in plain.flaws)
    assert len(twin.flaws) >= 0.8 * len(plain.flaws)


def test_all_crops_of_a_photo_share_a_source_id(pairs):
    names = {photo.name.removesuffix(".jpg").replace("_", "-") for photo in list_packaged_photos()}
    assert {pair.source_id for pair in pairs} == names


class TestPhotoTable:
    """Licences, authors and subjects of a folder of photos come from its table."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        pixels = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
        for name in ("a.png", "b.png"):
            Image.fromarray(pixels).save(tmp_path / name)
        return tmp_path

    def test_columns_that_are_there_are_used(self, folder: Path):
        (folder / "metadata.csv").write_text(
            "\ufefffile,licence,author,source_url,subject\na.png,CC0-1.0,Ada,https://example.org/a,the boat\n",
            encoding="utf-8",
        )
        known, unknown = list_folder_photos(folder)
        assert (known.licence, known.origin, known.subject) == (
            "CC0-1.0",
            "a.png: Ada, https://example.org/a",
            "the boat",
        )
        assert (unknown.licence, unknown.origin, unknown.subject) == ("unknown", "b.png", "the main subject")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"name,licence\na.png,CC0\n", "no column 'file'; it has name, licence"),
            (b"\xff\xfe\x00", "not a CSV table"),
        ],
    )
    def test_a_table_that_is_none_is_named(self, folder: Path, content: bytes, message: str):
        (folder / "metadata.csv").write_bytes(content)
        with pytest.raises(UserError, match=message):
            list_folder_photos(folder)


def test_a_box_moved_by_the_rendering_still_holds_its_flaw():
    """The pixels that differ from the clean target are inside the moved boxes, up to the blur of the rendering."""
    settings, compared = replace(PAPER, pairs=20, rendered=1.0, height=96), 0
    for pair in simulate_pairs(settings, list_packaged_photos()):
        wide = any(flaw.box.area > 0.2 * pair.edited[..., 0].size for flaw in pair.flaws)
        if wide or pair.edited.shape != pair.clean.shape or UNMARKED & {flaw.flaw_type for flaw in pair.flaws}:
            continue
        compared += 1
        changed = difference_mask(pair.clean, pair.edited, 10)
        elsewhere = changed.copy()
        for flaw in pair.flaws:
            x0, y0, x1, y1 = (round(edge) for edge in flaw.box)
            assert changed[y0:y1, x0:x1].any()
            elsewhere[max(0, y0 - 6) : y1 + 6, max(0, x0 - 6) : x1 + 6] = False
        assert elsewhere.mean() < 0.01
    assert compared >= 3
