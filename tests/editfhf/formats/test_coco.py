"""COCO: pycocotools reads it, its boxes are the dataset's, its images the dataset's bytes, its ids fixed."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotation.records import KINDS
from annotation.taxonomy import list_flaw_types
from editfhf.formats import coco
from editfhf.formats.folders import open_built_dataset
from mos.errors import UserError
from tests.editfhf import sample_dataset
from tests.editfhf.formats import hostile_rows

Row = dict[str, Any]


def export(dataset: Path, folder: Path, *splits: str) -> Path:
    folder.mkdir()
    coco.write_coco(coco.plan_coco(open_built_dataset(dataset), splits), folder)
    return folder


def opened(folder: Path, split: str) -> COCO:
    return COCO(str(folder / "annotations" / f"instances_{split}.json"))


def rows(dataset: Path, split: str) -> list[Row]:
    return [row for path in sorted((dataset / "data").glob(f"{split}-*")) for row in pq.read_table(path).to_pylist()]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_rows.write(tmp_path_factory.mktemp("coco") / "dataset")


@pytest.fixture(scope="module")
def exported(dataset: Path) -> Path:
    return export(dataset, dataset.parent / "coco")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_region_comes_back_as_it_was(dataset: Path, exported: Path, split: str) -> None:
    read = opened(exported, split)
    images = read.loadImgs(read.getImgIds())
    assert [image["pair_id"] for image in images] == [row["pair_id"] for row in rows(dataset, split)]
    for image, row in zip(images, rows(dataset, split), strict=True):
        found = read.loadAnns(read.getAnnIds(imgIds=image["id"]))
        regions = [(kind, region) for kind in KINDS for region in row[f"{kind}_regions"]]
        for made, (kind, region) in zip(found, regions, strict=True):
            x, y, width, height = made["bbox"]
            assert np.float32([x, y, x + width, y + height]).tolist() == region["box"]
            assert made["area"] == width * height
            assert np.reshape(made["disks"], (-1, 3))[:, :2].tolist() == region["disks"]
            for name in ("region_id", "flaw_type", "severity", "rationale", "annotators"):
                assert made[name] == region[name]
            (category,) = read.loadCats(made["category_id"])
            assert category == {
                "id": made["category_id"],
                "name": f"{kind}/{region['flaw_type']}",
                "supercategory": kind,
            }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools 2.0.11
def test_a_box_is_the_mask_that_pycocotools_draws(exported: Path) -> None:
    read = opened(exported, "train")
    made = read.loadAnns(read.getAnnIds())[0]
    x, y, width, height = (int(value) for value in made["bbox"])
    expected = np.zeros((sample_dataset.HEIGHT, sample_dataset.WIDTH), np.uint8)
    expected[y : y + height, x : x + width] = 1
    assert (read.annToMask(made) == expected).all()


def test_detections_can_be_evaluated_against_it(exported: Path) -> None:
    """The regions themselves as detections: pycocotools' own evaluation calls them perfect."""
    truth = opened(exported, "train")
    detections = [{**made, "score": 0.9} for made in json.loads(json.dumps(truth.dataset["annotations"]))]
    judged = COCOeval(truth, truth.loadRes(detections), "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    assert judged.stats[0] == pytest.approx(1.0)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_images_are_the_bytes_of_the_dataset(dataset: Path, exported: Path, split: str) -> None:
    read = opened(exported, split)
    for image, row in zip(read.loadImgs(read.getImgIds()), rows(dataset, split), strict=True):
        edited = (exported / "images" / split / image["file_name"]).read_bytes()
        source = (exported / "sources" / split / image["source_file_name"]).read_bytes()
        assert edited == row["edited_image"]["bytes"]
        assert source == row["source_image"]["bytes"]
        assert (image["width"], image["height"]) == Image.open(io.BytesIO(edited)).size
        assert image["disk_radius"] == pytest.approx(image["height"] / 20)


def test_a_source_of_several_edits_is_written_once(exported: Path) -> None:
    assert sorted(path.name for path in (exported / "sources" / "train").iterdir()) == [
        "000000000001.jpg",
        "000000000004.jpg",
    ]


def test_names_come_from_numbers_and_texts_stay_texts(exported: Path) -> None:
    assert sorted(path.name for path in (exported / "images" / "train").iterdir()) == [
        f"{number:012d}.png" for number in (1, 2, 3, 4)
    ]
    image = opened(exported, "train").loadImgs(2)[0]
    assert (image["pair_id"], image["instruction"]) == (hostile_rows.PAIR_ID, hostile_rows.INSTRUCTION)
    licences = {row["id"]: row["name"] for row in opened(exported, "train").dataset["licenses"]}
    assert licences[image["license"]] == hostile_rows.LICENCE


def test_ids_run_on_from_split_to_split(exported: Path) -> None:
    splits = [opened(exported, split) for split in ("train", "validation", "test")]
    assert [number for read in splits for number in read.getImgIds()] == list(range(1, 7))
    counts = sum(len(read.getAnnIds()) for read in splits)
    assert [number for read in splits for number in read.getAnnIds()] == list(range(1, counts + 1))


def test_a_split_alone_has_the_same_bytes(dataset: Path, exported: Path, tmp_path: Path) -> None:
    alone = files(export(dataset, tmp_path / "alone", "validation"))
    assert alone == {name: data for name, data in files(exported).items() if "validation" in name}


def test_row_groups_decide_nothing(dataset: Path, exported: Path, tmp_path: Path) -> None:
    one = hostile_rows.write(tmp_path / "dataset")
    for path in (one / "data").iterdir():
        pq.write_table(pq.read_table(path), path, row_group_size=1)
    manifest = json.loads((one / "manifest.json").read_bytes())
    assert pq.read_metadata(one / "data" / "train-00000-of-00001.parquet").num_row_groups == 4
    assert manifest == json.loads((dataset / "manifest.json").read_bytes())
    assert files(export(one, tmp_path / "coco")) == files(exported)


def test_a_turned_image_has_the_size_in_which_it_is_shown(tmp_path: Path) -> None:
    made = sample_dataset.tables()
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new("RGB", (sample_dataset.HEIGHT, sample_dataset.WIDTH)).save(stream, "JPEG", exif=exif)
    made["default"]["test"][0]["edited_image"] = {"bytes": stream.getvalue(), "path": None}
    out = export(sample_dataset.write(tmp_path / "dataset", made), tmp_path / "coco")
    (image,) = opened(out, "test").loadImgs(6)
    assert (image["width"], image["height"]) == (sample_dataset.WIDTH, sample_dataset.HEIGHT)
    assert (out / "images" / "test" / image["file_name"]).read_bytes() == stream.getvalue()


ends = st.lists(st.floats(0, 2**16, width=32), min_size=2, max_size=2, unique=True).map(sorted)


@given(ends, ends)
def test_any_box_comes_back_to_the_last_bit(horizontal: list[float], vertical: list[float]) -> None:
    (x0, x1), (y0, y1) = horizontal, vertical
    region = dict.fromkeys(("region_id", "flaw_type", "severity", "rationale", "annotators"))
    made = json.loads(
        json.dumps(coco.make_coco_annotation(region | {"box": [x0, y0, x1, y1], "disks": None}, "artifact", 1))
    )
    x, y, width, height = made["bbox"]
    assert np.float32([x, y, x + width, y + height]).tolist() == [x0, y0, x1, y1]


def test_every_flaw_type_has_a_category(exported: Path) -> None:
    names = [category["name"] for category in opened(exported, "test").dataset["categories"]]
    expected = [f"{kind}/{flaw}" for kind in KINDS for flaw in (*list_flaw_types(kind), "unspecified")]
    assert names == expected
    assert len(set(names)) == len(names)


def test_info_says_which_build_it_is(dataset: Path, exported: Path) -> None:
    info = opened(exported, "train").dataset["info"]
    assert info["manifest_sha256"] == hashlib.sha256((dataset / "manifest.json").read_bytes()).hexdigest()
    assert info["dataset"]["name"] == "Six edits"


def test_a_region_without_flaw_type_or_licence_is_kept(tmp_path: Path) -> None:
    made = sample_dataset.tables()
    row = made["default"]["test"][0]
    row["licence"] = None
    row["failure_regions"][0]["flaw_type"] = None
    read = opened(export(sample_dataset.write(tmp_path / "dataset", made), tmp_path / "coco"), "test")
    (image,) = read.loadImgs(read.getImgIds())
    assert "license" not in image
    kinds = [made["category_id"] for made in read.loadAnns(read.getAnnIds()) if made["kind"] == "failure"]
    assert [category["name"] for category in read.loadCats(kinds)] == ["failure/unspecified"]


def spoilt(what: str) -> sample_dataset.Tables:
    made = sample_dataset.tables()
    row = made["default"]["test"][0]
    region = row["failure_regions"][0]
    match what:
        case "flaw":
            region["flaw_type"] = "../../flaw"
        case "box":
            region["box"] = [5.0, 5.0, 5.0, 9.0]
        case "nan":
            region["box"] = [float("nan"), 5.0, 5.0, 9.0]
        case "task":
            row["task"] = 4000
        case "image":
            row["edited_image"] = {"bytes": b"GIF89a", "path": "/etc/passwd"}
        case "nothing":
            row["source_image"] = {"bytes": None, "path": "/etc/passwd"}
    return made


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("flaw", "'../../flaw' is not a flaw type"),
        ("box", "expected x0 < x1 and y0 < y1"),
        ("nan", "expected four finite numbers"),
        ("task", "task 4000"),
        ("image", "edited_image cannot be used: .*GIF"),
        ("nothing", "source_image cannot be used"),
    ],
)
def test_what_no_build_writes_is_named_with_its_row(what: str, sentence: str, tmp_path: Path) -> None:
    dataset = sample_dataset.write(tmp_path / "dataset", spoilt(what))
    with pytest.raises(UserError, match=sentence) as raised:
        export(dataset, tmp_path / "coco")
    assert "data/test-00000-of-00001.parquet, row 1" in str(raised.value)


def test_an_unknown_split_is_named(dataset: Path) -> None:
    with pytest.raises(UserError, match=r"no split .dev.*train, validation, test"):
        coco.plan_coco(open_built_dataset(dataset), ["dev"])
