"""The shipped example corpus of real edits: complete, readable without loss, and small."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from annotation import images
from annotation.consensus import resolve_regions
from annotation.corpus import Corpus
from annotation.labelstudio.read_export import read_export_tasks
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.read_ratings import read_export_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.labelstudio.submissions import read_pair_id
from annotation.records import (
    DIMENSIONS,
    Box,
    Flag,
    Mark,
    Pair,
    PairSubmissions,
    Place,
    Rating,
    Rationale,
    Region,
    RegionalAnnotation,
    Rejection,
)
from annotation.rules import AnnotationRules
from annotation.taxonomy import list_flaw_types

ROOT = Path(__file__).parents[2] / "examples" / "real"
MAX_BYTES = 12_000_000
PASSES = {"1", "2", "3"}

NOT_FINAL = {("sdcpp-flux_kontext1_dev_output", "unintended_change"), ("gemcook-cat_restaurant169", "object_structure")}
"""Regions on whose text the passes did not agree (README of the corpus)."""

CLEAN = {"editeval-6_null_text", "sdcpp-qwen_qwen_image_edit_2511", "nafnet-denoise_img", "gemcook-fox_beach"}
"""Pairs in which no two passes saw the same flaw."""

Said = TypeVar("Said")


class Everything(NamedTuple):
    """All that the corpus holds, by pair, and what was set aside while it was read."""

    pairs: dict[str, Pair]
    sizes: dict[str, tuple[int, int]]
    annotations: dict[str, list[RegionalAnnotation]]
    rationales: dict[str, list[Rationale]]
    ratings: dict[str, list[Rating]]
    flags: dict[str, list[Flag]]
    regions: dict[str, tuple[Region, ...]]
    rejections: list[Rejection]


@pytest.fixture(scope="module")
def real() -> Everything:
    rejections: list[Rejection] = []
    corpus = Corpus.open(ROOT)
    pairs = {pair.pair_id: pair for pair in corpus.pairs(rejections.append)}
    sizes = {name: _size(ROOT, pair.edited) for name, pair in pairs.items()}
    files = corpus.files(rejections.append)

    def read(content: str, parse: Callable[[dict[str, Any], Place, str], list[Said]]) -> dict[str, list[Said]]:
        return _by_pair(_tasks(files[content], rejections), parse)

    report = rejections.append
    annotations = read("regions", lambda task, place, name: read_regional_annotations(task, place, sizes[name], report))
    rationales = read("rationales", lambda task, place, name: read_rationales(task, place, sizes[name], report))
    ratings = read("ratings", lambda task, place, name: read_export_ratings(task, place, report)[0])
    flags = read("ratings", lambda task, place, name: read_export_ratings(task, place, report)[1])
    regions = {
        name: resolve_regions(
            name,
            PairSubmissions(annotations[name], [], rationales[name], flags[name]),
            AnnotationRules(),
            rejections.append,
        ).regions
        for name in pairs
    }
    return Everything(pairs, sizes, annotations, rationales, ratings, flags, regions, rejections)


def _tasks(files: list[str], rejections: list[Rejection]) -> Iterator[tuple[Place, dict[str, Any]]]:
    for file in files:
        for row, task in read_export_tasks(ROOT / file, file, rejections.append):
            yield Place(file, row), task


def _by_pair(
    tasks: Iterator[tuple[Place, dict[str, Any]]], parse: Callable[[dict[str, Any], Place, str], list[Said]]
) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = defaultdict(list)
    for place, task in tasks:
        name = read_pair_id(task)
        assert name is not None
        found[name] += parse(task, place, name)
    return found


def _marks(real: Everything) -> Iterator[tuple[str, Mark]]:
    return ((name, mark) for name, found in real.annotations.items() for one in found for mark in one.marks)


def _size(root: Path, name: str) -> tuple[int, int]:
    info = images.verify_image(images.read_image_bytes(root, name))
    return info.width, info.height


def test_it_is_small_and_holds_nothing_but_what_it_uses(real: Everything) -> None:
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < MAX_BYTES
    used = {name for pair in real.pairs.values() for name in (pair.source, pair.edited)}
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "images").iterdir()} == used


def test_every_image_decodes_whole(real: Everything) -> None:
    assert len(real.pairs) >= 24
    formats = set()
    for pair in real.pairs.values():
        images.verify_image(images.read_image_bytes(ROOT, pair.source))
        formats.add(images.verify_image(images.read_image_bytes(ROOT, pair.edited)).format)
    assert formats == {"PNG", "JPEG"}


def test_every_pair_names_its_origin_and_licence(real: Everything) -> None:
    for pair in real.pairs.values():
        assert pair.licence in {"MIT", "Apache-2.0"}
        assert pair.origin.startswith("https://github.com/")


def test_nothing_is_rejected_but_the_texts_left_open(real: Everything) -> None:
    assert {rejection.reason for rejection in real.rejections} == {"not_final"}
    assert {rejection.pair_id for rejection in real.rejections} == {name for name, _ in NOT_FINAL}


def test_three_passes_annotated_every_pair(real: Everything) -> None:
    for name in real.pairs:
        assert sorted(annotation.annotator_id for annotation in real.annotations[name]) == sorted(PASSES)


def test_every_mark_is_inside_the_picture_and_typed(real: Everything) -> None:
    for name, mark in _marks(real):
        assert _inside(mark.box, real.sizes[name]), (name, mark.mark_id)
        assert mark.flaw_type in list_flaw_types(mark.kind), (name, mark.mark_id)
        assert 1 <= len(mark.disks) <= 5, (name, mark.mark_id)
        assert mark.severity is not None


def test_every_disk_marks_its_own_box(real: Everything) -> None:
    for name, mark in _marks(real):
        radius = real.sizes[name][1] / 20
        assert all(mark.box.distance(disk) < radius for disk in mark.disks), (name, mark.mark_id)


def test_accepted_regions_have_a_final_rationale_of_their_own(real: Everything) -> None:
    regions = [(name, region) for name, found in real.regions.items() for region in found]
    open_ones = {(name, region.flaw_type) for name, region in regions if region.rationale is None}
    texts = [region.rationale for _, region in regions if region.rationale is not None]
    assert open_ones == NOT_FINAL
    assert len(set(texts)) == len(texts)
    assert all(20 <= len(text.split()) <= 45 for text in texts)
    for name, region in regions:
        assert region.flaw_type in list_flaw_types(region.kind)
        assert _inside(region.box, real.sizes[name])


def test_main_flaws_are_seen_by_all_and_doubtful_ones_by_one(real: Everything) -> None:
    support = [len(region.annotators) for found in real.regions.values() for region in found]
    assert support.count(3) > support.count(2) > 0
    assert len(list(_marks(real))) > sum(support)  # some marks stand alone
    assert {name for name, found in real.regions.items() if not found} == CLEAN


def test_three_raters_scored_every_pair_in_every_dimension(real: Everything) -> None:
    for name in real.pairs:
        scored = sorted((rating.annotator_id, rating.dimension) for rating in real.ratings[name])
        assert scored == sorted((rater, dimension) for rater in PASSES for dimension in DIMENSIONS)
        assert all(1 <= rating.score <= 5 for rating in real.ratings[name])


def test_flags_point_at_accepted_regions(real: Everything) -> None:
    flags = [(name, flag.region_id) for name, found in real.flags.items() for flag in found]
    known = {(name, region.region_id) for name, found in real.regions.items() for region in found}
    assert flags
    assert set(flags) <= known


def test_rationales_show_a_round_of_revision(real: Everything) -> None:
    said: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    for name, statements in real.rationales.items():
        for statement in statements:
            said[name, statement.region_id].add(statement.text)
    final = {(name, region.region_id) for name, found in real.regions.items() for region in found if region.rationale}
    assert any(len(said[key]) > 1 for key in final)


def _inside(box: Box, size: tuple[int, int]) -> bool:
    slack = 1e-3  # per cent with six decimals and back
    return (
        -slack <= box.x0 < box.x1 <= size[0] + slack and -slack <= box.y0 < box.y1 <= size[1] + slack and box.area > 0
    )
