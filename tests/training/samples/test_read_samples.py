"""Samples against the pixels that were stored, and for any number of workers and threads."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image, ImageOps

import editfhf
from annotation.records import DIMENSIONS, KINDS
from annotation.taxonomy import load_edit_tasks
from mos.errors import UserError
from mos.rejections import Rejection
from tests.editfhf import sample_dataset
from training.samples.pair_sample import IMAGE_COLUMNS, PairSample, decode_row
from training.samples.read_samples import SampleSize, read_samples
from training.samples.transforms import SampleVariation

STRONG = SampleVariation(flip=0.5, least_area=0.3, brightness=0.3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_dataset.write(tmp_path_factory.mktemp("samples") / "six")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.getbasetemp() / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def rows() -> list[dict[str, Any]]:
    """All rows of the dataset of six pairs, images as bytes."""
    return [row for split in sample_dataset.tables()["default"].values() for row in split]


def fingerprint(sample: PairSample) -> tuple[Any, ...]:
    arrays = (sample.source, sample.edited, *sample.maps.values())
    return (sample.pair_id, sample.regions, sample.shown, sample.flipped, *(each.tobytes() for each in arrays))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_dataset_gives_what_was_stored(root: Path, streaming: bool) -> None:
    found = list(read_samples(editfhf.load(root, split="train", streaming=streaming)))
    stored = sample_dataset.tables()["default"]["train"]
    assert [sample.pair_id for sample in found] == [row["pair_id"] for row in stored]
    for sample, row in zip(found, stored, strict=True):
        for array, column in ((sample.source, "source_image"), (sample.edited, "edited_image")):
            assert np.array_equal(array, np.asarray(Image.open(io.BytesIO(row[column]["bytes"])).convert("RGB")))
        for kind in KINDS:
            grey = np.asarray(Image.open(io.BytesIO(row[f"{kind}_saliency"]["bytes"])))
            assert sample.maps[kind] == pytest.approx(grey / 255)
            assert sample.maps[kind].dtype == np.float32
            assert sample.boxes_of_kind(kind).tolist() == [region["box"] for region in row[f"{kind}_regions"]]
        assert sample.scores == {name: row[name] for name in DIMENSIONS}
        assert sample.task == list(sample_dataset.load_edit_tasks())[row["task"]]


def test_rows_with_decoded_images_are_the_same() -> None:
    for row in rows():
        decoded = row | {name: datasets.Image().decode_example(row[name]) for name in IMAGE_COLUMNS}
        assert fingerprint(decode_row(decoded)) == fingerprint(decode_row(row))


def turned_jpeg(pixels: np.ndarray, orientation: int) -> dict[str, Any]:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(stream, "JPEG", exif=exif, quality=95)
    return {"bytes": stream.getvalue(), "path": None}


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_images_are_as_displayed(orientation: int) -> None:
    row = rows()[0]
    size = (sample_dataset.HEIGHT, sample_dataset.WIDTH)
    stored = size if orientation < 5 else size[::-1]
    pixels = np.random.default_rng(0).integers(0, 256, (*stored, 3), np.uint8)
    row["edited_image"] = turned_jpeg(pixels, orientation)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(row["edited_image"]["bytes"])))
    assert np.array_equal(decode_row(row).edited, np.asarray(shown))


def test_a_source_of_another_size_is_scaled_to_the_edited_image() -> None:
    row = rows()[0]
    row["source_image"] = sample_dataset.encoded(np.full((30, 20, 3), 77, np.uint8))
    sample = decode_row(row)
    assert sample.source.shape == sample.edited.shape
    assert (sample.source == 77).all()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("edited_image", {"bytes": b"no image", "path": None}, "expected PNG, JPEG or WebP"),
        ("source_image", {"bytes": None, "path": None}, "an image in the column source_image, but there is none"),
        ("artifact_saliency", None, "an image in the column artifact_saliency"),
        ("failure_saliency", sample_dataset.encoded(np.zeros((4, 4), np.uint8)), r"the edited image \(48, 64\)"),
    ],
)
def test_a_row_that_cannot_be_used_has_a_reason_and_the_others_stay(column: str, value: Any, words: str) -> None:
    broken = rows()
    broken[2][column] = value
    rejected: list[Rejection] = []
    found = list(read_samples(broken, reject=rejected.append, threads=2))
    assert [sample.pair_id for sample in found] == [row["pair_id"] for row in broken if row is not broken[2]]
    assert [(each.pair_id, each.row) for each in rejected] == [(broken[2]["pair_id"], 2)]
    with pytest.raises(UserError, match=f"Row 2, pair .*{words}"):
        list(read_samples(broken))


def test_sizes_of_samples() -> None:
    assert {sample.size for sample in read_samples(rows(), size=SampleSize(32, 40))} == {(32, 40)}
    assert next(read_samples(rows(), size=SampleSize(most_pixels=1024, multiple=8))).size == (24, 32)
    wrong_sizes: list[dict[str, int]] = [{"height": 5}, {"height": 5, "width": 5, "multiple": 2}, {"most_pixels": 0}]
    for wrong in wrong_sizes:
        with pytest.raises(ValueError, match=r"together|either|at least 1"):
            SampleSize(**wrong)


def collect(**options: Any) -> list[tuple[Any, ...]]:
    return [fingerprint(sample) for sample in read_samples(rows(), variation=STRONG, **options)]


@pytest.mark.parametrize("threads", [2, 5])
def test_samples_do_not_depend_on_threads(threads: int) -> None:
    assert collect(threads=threads, shuffle=True, seed=3) == collect(shuffle=True, seed=3)


@pytest.mark.parametrize("workers", [2, 3, 7])
@pytest.mark.parametrize("shuffle", [False, True])
def test_samples_of_all_workers_in_turn_are_those_of_one(workers: int, shuffle: bool) -> None:
    parts = [collect(worker=worker, workers=workers, shuffle=shuffle) for worker in range(workers)]
    whole = collect(shuffle=shuffle)
    assert [parts[place % workers][place // workers] for place in range(len(whole))] == whole


@pytest.mark.parametrize("worker", [0, 1])
def test_workers_share_a_stream_as_they_share_a_table(root: Path, worker: int) -> None:
    options: dict[str, Any] = {"variation": STRONG, "worker": worker, "workers": 2}
    table, stream = (
        [
            fingerprint(sample)
            for sample in read_samples(editfhf.load(root, split="train", streaming=streaming), **options)
        ]
        for streaming in (False, True)
    )
    assert table == stream


def test_seed_and_epoch_decide() -> None:
    assert collect(seed=1) == collect(seed=1)
    assert collect(seed=1) != collect(seed=2)
    assert collect(seed=1) != collect(seed=1, epoch=1)
    orders = {tuple(row[0] for row in collect(shuffle=True, epoch=epoch)) for epoch in range(6)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset(row["pair_id"] for row in rows())}


@pytest.mark.parametrize("threads", [1, 3])
def test_only_a_few_rows_are_read_ahead(threads: int) -> None:
    pulled = 0

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal pulled
        row = rows()[0]
        while True:
            pulled += 1
            yield row

    before = threading.active_count()
    reader = read_samples(endless(), threads=threads)
    for taken in range(1, 20):
        next(reader)
        assert pulled <= taken + 2 * threads
    reader.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_what_cannot_be_read_is_one_sentence(root: Path) -> None:
    with pytest.raises(UserError, match="one split of a dataset, but got all of train, validation, test"):
        next(read_samples(editfhf.load(root)))
    with pytest.raises(UserError, match="stream cannot be read in a random order"):
        next(read_samples(iter(rows()), shuffle=True))
    with pytest.raises(ValueError, match="worker < workers"):
        next(read_samples(rows(), worker=2, workers=2))
    wrong_variations: list[dict[str, float]] = [{"flip": 2}, {"least_area": 0}, {"brightness": math.nan}]
    for wrong in wrong_variations:
        with pytest.raises(ValueError, match="flip must lie"):
            SampleVariation(**wrong)


@pytest.mark.parametrize("streaming", [False, True])
def test_another_table_is_named_as_such(root: Path, streaming: bool) -> None:
    ratings = datasets.load_dataset(str(root), "ratings", split="train", streaming=streaming)
    with pytest.raises(UserError, match=r"table 'default', but .*edited_image.* are missing"):
        next(read_samples(ratings))


@pytest.mark.parametrize("column", ["pair_id", "task", "edited_image", "failure_saliency", "artifact_regions"])
def test_a_missing_column_is_named(column: str) -> None:
    [row, *_] = rows()
    del row[column]
    with pytest.raises(UserError, match=f"but {column} are missing"):
        next(read_samples([row]))


@pytest.mark.parametrize(("number", "task"), [(-1, ""), (None, ""), (0, next(iter(load_edit_tasks())))])
def test_a_task_is_read_by_its_number(number: int | None, task: str) -> None:
    [row, *_] = rows()
    assert next(read_samples([row | {"task": number}])).task == task


@pytest.mark.parametrize("number", [43, -2])
def test_a_number_that_is_no_task_is_told(number: int) -> None:
    [row, *_] = rows()
    with pytest.raises(UserError, match=f"from 0 to 42, but got {number}"):
        next(read_samples([row | {"task": number}]))
