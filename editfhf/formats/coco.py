"""COCO export: one `instances_<split>.json` per split, and the images as they are stored.

An edited image is a COCO image and each region an annotation. A box becomes the `bbox` and the polygon of its four
corners (as pycocotools makes one of a detection); disks become `disks`, flat triples x, y, 2 like keypoints. The format
is the one of cocodataset.org, "Data format", object detection. Other fields are extra keys, which readers of COCO
ignore.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow.compute as pc

from annotation.records import DISK_RADIUS_PER_HEIGHT, KINDS, Kind
from annotation.taxonomy import list_flaw_types
from editfhf.formats.folders import IMAGE_SUFFIXES, BuiltDataset, DatasetRow, RowGroup

UNSPECIFIED_FLAW = "unspecified"
COCO_TEXT_COLUMNS = ("pair_id", "source_id", "instruction", "task", "editor", "licence")
COCO_REGION_COLUMNS = tuple(f"{kind}_regions" for kind in KINDS)
COCO_IMAGE_COLUMNS = ("source_image", "edited_image")
KEYPOINT_VISIBLE = 2  # COCO: the keypoint is labelled and visible


@dataclass(frozen=True, slots=True)
class CocoCounts:
    """Number of images and annotations of one split."""

    images: int
    annotations: int


@dataclass(frozen=True, slots=True)
class CocoPlan:
    """Content of a COCO export.

    Attributes
    ----------
    built : BuiltDataset
        Dataset to export.
    chosen : tuple of str
        Splits to write.
    counts : dict
        Counts of every split of the dataset, because ids continue from split to split even if some are not written.
    licences : tuple of str
        Licences in sorted order; the first has id 1.
    """

    built: BuiltDataset
    chosen: tuple[str, ...]
    counts: dict[str, CocoCounts]
    licences: tuple[str, ...]

    @property
    def steps(self) -> int:
        """Number of images to write, for a progress bar."""
        return sum(self.counts[split].images for split in self.chosen)

    def summary(self) -> dict[str, Any]:
        """Counts of the written splits, as JSON values."""
        counts = {split: self.counts[split] for split in self.chosen}
        return {
            "format": "coco",
            "splits": {
                split: {"images": count.images, "annotations": count.annotations} for split, count in counts.items()
            },
        }


def plan_coco(built: BuiltDataset, splits: Collection[str] = ()) -> CocoPlan:
    """Count images, regions and licences without reading an image.

    Parameters
    ----------
    built : BuiltDataset
        Dataset to export.
    splits : collection of str
        Splits to write; all if empty.

    Returns
    -------
    CocoPlan

    Raises
    ------
    UserError
        The dataset does not have a split, or has an invalid row.
    """
    chosen = built.choose_splits(splits)
    counts: dict[str, CocoCounts] = {}
    licences: set[str] = set()
    for split in built.splits:
        images = annotations = 0
        for group in built.iterate_row_groups(split):
            table = built.read_columns(group, ("licence", *COCO_REGION_COLUMNS))
            images += len(table)
            annotations += sum(pc.sum(pc.list_value_length(table[name])).as_py() or 0 for name in COCO_REGION_COLUMNS)
            licences.update(
                row["licence"] for row in built.decode_rows(group, table.select(["licence"])) if row["licence"]
            )
        counts[split] = CocoCounts(images, annotations)
    return CocoPlan(built, chosen, counts, tuple(sorted(licences)))


def list_coco_categories() -> list[DatasetRow]:
    """One category per kind and flaw type, plus unspecified; the ids are the same for every dataset of this version."""
    flaws = [(kind, flaw) for kind in KINDS for flaw in (*list_flaw_types(kind), UNSPECIFIED_FLAW)]
    return [{"id": at, "name": f"{kind}/{flaw}", "supercategory": kind} for at, (kind, flaw) in enumerate(flaws, 1)]


def make_coco_annotation(region: DatasetRow, kind: Kind, category: int) -> DatasetRow:
    """Convert one region to a COCO annotation without ids.

    Parameters
    ----------
    region : dict
        Region of the dataset; `box` is x0, y0, x1, y1 in pixels.
    kind : str
        "artifact" or "failure".
    category : int
        Category id.

    Returns
    -------
    dict
        The annotation; `area` is the area of the box in square pixels.

    Raises
    ------
    ValueError
        The box is missing, empty or not finite.
    """
    box = region["box"]
    if box is None or not all(value is not None and math.isfinite(value) for value in box):
        raise ValueError(f"box {box}: expected four finite numbers")
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if width <= 0 or height <= 0:
        raise ValueError(f"box {box}: expected x0 < x1 and y0 < y1")
    disks = region["disks"] or []
    return {
        "category_id": category,
        "bbox": [x0, y0, width, height],
        "area": width * height,
        "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
        "iscrowd": 0,
        "disks": [value for x, y in disks for value in (x, y, KEYPOINT_VISIBLE)],
        "num_disks": len(disks),
        "kind": kind,
        **{name: region[name] for name in ("region_id", "flaw_type", "severity", "rationale", "annotators")},
    }


def write_coco(plan: CocoPlan, folder: Path, advance: Callable[[int], None] = lambda count: None) -> None:
    """Write the chosen splits; at most one row group is in memory.

    Parameters
    ----------
    plan : CocoPlan
        Plan from `plan_coco`.
    folder : Path
        Empty folder to write to.
    advance : callable
        Called with the number of images written since the last call.

    Raises
    ------
    UserError
        The dataset has an invalid row.
    """
    (folder / "annotations").mkdir()
    head = _make_coco_header(plan)
    image_id = annotation_id = 1
    for split, counts in plan.counts.items():
        if split in plan.chosen:
            with _open_instances(folder / "annotations" / f"instances_{split}.json", head) as instances:
                split_writer = _SplitWriter(plan, folder, split, instances, image_id, annotation_id)
                for group in plan.built.iterate_row_groups(split):
                    for _ in split_writer.write_row_group(group):
                        advance(1)
        image_id += counts.images
        annotation_id += counts.annotations


def _make_coco_header(plan: CocoPlan) -> DatasetRow:
    manifest = plan.built.manifest
    corpus = manifest.get("corpus") or {}
    about = {name: corpus.get(name) for name in ("name", "version", "licence", "homepage", "citation")}
    return {
        "info": {
            "description": f"Regions of {about['name'] or 'an editfhf dataset'}. Boxes and disks are pixels of the "
            "image as displayed: apply its EXIF orientation first.",
            "url": about["homepage"] or "",
            "version": about["version"] or "",
            "dataset": about,
            "manifest_sha256": plan.built.manifest_sha256,
            "versions": manifest.get("versions") or {},
        },
        "licenses": [
            {"id": at, "name": name, "url": name if name.startswith(("https://", "http://")) else ""}
            for at, name in enumerate(plan.licences, 1)
        ],
        "categories": list_coco_categories(),
    }


class _InstancesFile:
    """The two lists of an instances file: images are written at once, annotations to a file that is appended later."""

    def __init__(self, images: IO[bytes], annotations: IO[bytes]) -> None:
        self._files = {"images": images, "annotations": annotations}
        self._begun: set[str] = set()

    def add_entries(self, name: str, entries: Iterable[DatasetRow]) -> None:
        for entry in entries:
            self._files[name].write((b",\n" if name in self._begun else b"\n") + orjson.dumps(entry))
            self._begun.add(name)


@contextmanager
def _open_instances(path: Path, head: DatasetRow) -> Iterator[_InstancesFile]:
    """Write the header and the ends of both lists around the entries of the block."""
    with ExitStack() as open_files:
        whole = open_files.enter_context(path.open("wb"))
        later = open_files.enter_context(tempfile.TemporaryFile(dir=path.parent))
        whole.write(orjson.dumps(head)[:-1] + b',\n"images": [')
        yield _InstancesFile(whole, later)
        whole.write(b'],\n"annotations": [')
        later.seek(0)
        shutil.copyfileobj(later, whole)
        whole.write(b"]}\n")


class _SplitWriter:
    """Writes one split, row group by row group. File names are numbers, never texts of the dataset."""

    def __init__(
        self, plan: CocoPlan, folder: Path, split: str, instances: _InstancesFile, image_id: int, annotation_id: int
    ) -> None:
        self._built, self._instances = plan.built, instances
        self._image_id, self._annotation_id = image_id, annotation_id
        self._images, self._sources = folder / "images" / split, folder / "sources" / split
        self._licences = {name: at for at, name in enumerate(plan.licences, 1)}
        self._categories = {category["name"]: category["id"] for category in list_coco_categories()}
        self._known_sources: dict[str, str] = {}
        for place in (self._images, self._sources):
            place.mkdir(parents=True)

    def write_row_group(self, group: RowGroup) -> Iterator[None]:
        """Write a row group; yields after each image."""
        table = self._built.read_columns(group, (*COCO_TEXT_COLUMNS, *COCO_REGION_COLUMNS, *COCO_IMAGE_COLUMNS))
        for number, row in enumerate(
            self._built.decode_rows(group, table.select([*COCO_TEXT_COLUMNS, *COCO_REGION_COLUMNS]))
        ):
            data, info = self._built.read_image(group, table, "edited_image", number)
            name = f"{self._image_id:012d}{IMAGE_SUFFIXES[info.format]}"
            (self._images / name).write_bytes(data)
            image = {
                "id": self._image_id,
                "file_name": name,
                "width": info.width,
                "height": info.height,
                **({"license": self._licences[row["licence"]]} if row["licence"] else {}),
                "source_file_name": self._write_source(*self._built.read_image(group, table, "source_image", number)),
                "disk_radius": info.height * DISK_RADIUS_PER_HEIGHT,
                **{text: row[text] for text in COCO_TEXT_COLUMNS},
            }
            self._instances.add_entries("images", [image])
            self._instances.add_entries("annotations", self._make_annotations(group, number, row))
            self._image_id += 1
            yield

    def _write_source(self, data: bytes, info: Any) -> str:
        """Write a source once and return its file name; sources with the same bytes share a file."""
        name = self._known_sources.get(info.sha256)
        if name is None:
            name = self._known_sources[info.sha256] = f"{self._image_id:012d}{IMAGE_SUFFIXES[info.format]}"
            (self._sources / name).write_bytes(data)
        return name

    def _make_annotations(self, group: RowGroup, number: int, row: DatasetRow) -> Iterator[DatasetRow]:
        for kind in KINDS:
            for region in row[f"{kind}_regions"] or ():
                category = self._categories.get(f"{kind}/{region['flaw_type'] or UNSPECIFIED_FLAW}")
                if category is None:
                    raise self._built.make_row_error(
                        group, number, f"{region['flaw_type']!r} is not a flaw type of {kind} regions"
                    )
                try:
                    annotation = make_coco_annotation(region, kind, category)
                except ValueError as error:
                    raise self._built.make_row_error(
                        group, number, f"{kind} region {region['region_id']!r}: {error}"
                    ) from None
                yield {"id": self._annotation_id, "image_id": self._image_id, **annotation}
                self._annotation_id += 1
