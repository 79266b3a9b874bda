"""COCO: one `instances_<split>.json` a split, and the pictures beside it, byte for byte.

The edited picture is the image, each region an annotation: its box as bbox and as the polygon of four corners (as
pycocotools makes one of a detection), its disks as `disks`, flat triples x, y, 2 in the manner of keypoints.  The
format as cocodataset.org describes it under "Data format", object detection.  What COCO has no name for is an extra
key, which its readers pass over.
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

from annotation.flaws import flaw_types
from annotation.records import DISK_RADIUS_PER_HEIGHT, KINDS, Kind
from editfhf.formats.built import SUFFIXES, Built, Group, Row

UNSPECIFIED = "unspecified"
TEXTS = ("pair_id", "source_id", "instruction", "task", "editor", "licence")
REGIONS = tuple(f"{kind}_regions" for kind in KINDS)
PICTURES = ("source_image", "edited_image")
VISIBLE = 2  # of a keypoint: labelled and visible


@dataclass(frozen=True, slots=True)
class Counts:
    """How much one split holds."""

    images: int
    annotations: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What an export will hold.

    counts: of every split of the dataset, because ids run on from split to split whichever are written; chosen:
    the splits that are; licences: sorted, the first has id 1.
    """

    built: Built
    chosen: tuple[str, ...]
    counts: dict[str, Counts]
    licences: tuple[str, ...]

    @property
    def steps(self) -> int:
        return sum(self.counts[split].images for split in self.chosen)

    def summary(self) -> dict[str, Any]:
        counts = {split: self.counts[split] for split in self.chosen}
        return {
            "format": "coco",
            "splits": {
                split: {"images": count.images, "annotations": count.annotations} for split, count in counts.items()
            },
        }


def plan(built: Built, splits: Collection[str] = ()) -> Plan:
    """Count images, regions and licences; no picture is read."""
    chosen = built.chosen(splits)
    counts: dict[str, Counts] = {}
    licences: set[str] = set()
    for split in built.splits:
        images = annotations = 0
        for group in built.groups(split):
            table = built.read(group, ("licence", *REGIONS))
            images += len(table)
            annotations += sum(pc.sum(pc.list_value_length(table[name])).as_py() or 0 for name in REGIONS)
            licences.update(row["licence"] for row in built.rows(group, table.select(["licence"])) if row["licence"])
        counts[split] = Counts(images, annotations)
    return Plan(built, chosen, counts, tuple(sorted(licences)))


def categories() -> list[Row]:
    """Every flaw type of either kind, and a region without one; the same ids for every dataset of this version."""
    flaws = [(kind, flaw) for kind in KINDS for flaw in (*flaw_types(kind), UNSPECIFIED)]
    return [{"id": at, "name": f"{kind}/{flaw}", "supercategory": kind} for at, (kind, flaw) in enumerate(flaws, 1)]


def annotation(region: Row, kind: Kind, category: int) -> Row:
    """One region as COCO writes it, still without ids.  ValueError for a box that is none.

    The area is that of the box, in square pixels.
    """
    box = region["box"]
    if box is None or not all(value is not None and math.isfinite(value) for value in box):
        raise ValueError(f"the box {box} is no box")
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if width <= 0 or height <= 0:
        raise ValueError(f"the box {box} is empty")
    disks = region["disks"] or []
    return {
        "category_id": category,
        "bbox": [x0, y0, width, height],
        "area": width * height,
        "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
        "iscrowd": 0,
        "disks": [value for x, y in disks for value in (x, y, VISIBLE)],
        "num_disks": len(disks),
        "kind": kind,
        **{name: region[name] for name in ("region_id", "flaw_type", "severity", "rationale", "annotators")},
    }


def write(made: Plan, folder: Path, advance: Callable[[int], None] = lambda count: None) -> None:
    """Write the chosen splits into `folder`; at most one row group is held in memory.

    advance: called with the number of pictures done since the last call
    """
    (folder / "annotations").mkdir()
    head = _head(made)
    image_id = annotation_id = 1
    for split, counts in made.counts.items():
        if split in made.chosen:
            with _instances(folder / "annotations" / f"instances_{split}.json", head) as instances:
                split_writer = _Split(made, folder, split, instances, image_id, annotation_id)
                for group in made.built.groups(split):
                    for _ in split_writer.write(group):
                        advance(1)
        image_id += counts.images
        annotation_id += counts.annotations


def _head(made: Plan) -> Row:
    manifest = made.built.manifest
    corpus = manifest.get("corpus") or {}
    about = {name: corpus.get(name) for name in ("name", "version", "licence", "homepage", "citation")}
    return {
        "info": {
            "description": f"Regions of {about['name'] or 'an editfhf dataset'}. Boxes and disks are pixels of the "
            "picture as displayed: apply its EXIF orientation first.",
            "url": about["homepage"] or "",
            "version": about["version"] or "",
            "dataset": about,
            "manifest_sha256": made.built.manifest_sha256,
            "versions": manifest.get("versions") or {},
        },
        "licenses": [
            {"id": at, "name": name, "url": name if name.startswith(("https://", "http://")) else ""}
            for at, name in enumerate(made.licences, 1)
        ],
        "categories": categories(),
    }


class _Instances:
    """The two long lists of a file: images go where they belong, annotations to a file that is appended at the end."""

    def __init__(self, images: IO[bytes], annotations: IO[bytes]) -> None:
        self._files = {"images": images, "annotations": annotations}
        self._begun: set[str] = set()

    def add(self, name: str, entries: Iterable[Row]) -> None:
        for entry in entries:
            self._files[name].write((b",\n" if name in self._begun else b"\n") + orjson.dumps(entry))
            self._begun.add(name)


@contextmanager
def _instances(path: Path, head: Row) -> Iterator[_Instances]:
    with ExitStack() as open_files:
        whole = open_files.enter_context(path.open("wb"))
        later = open_files.enter_context(tempfile.TemporaryFile(dir=path.parent))
        whole.write(orjson.dumps(head)[:-1] + b',\n"images": [')
        yield _Instances(whole, later)
        whole.write(b'],\n"annotations": [')
        later.seek(0)
        shutil.copyfileobj(later, whole)
        whole.write(b"]}\n")


class _Split:
    """Writes one split, row group by row group; file names are numbers, never a text of the dataset."""

    def __init__(
        self, made: Plan, folder: Path, split: str, instances: _Instances, image_id: int, annotation_id: int
    ) -> None:
        self._built, self._instances = made.built, instances
        self._image_id, self._annotation_id = image_id, annotation_id
        self._images, self._sources = folder / "images" / split, folder / "sources" / split
        self._licences = {name: at for at, name in enumerate(made.licences, 1)}
        self._categories = {category["name"]: category["id"] for category in categories()}
        self._known_sources: dict[str, str] = {}
        for place in (self._images, self._sources):
            place.mkdir(parents=True)

    def write(self, group: Group) -> Iterator[None]:
        """Write a row group, pausing after each picture."""
        table = self._built.read(group, (*TEXTS, *REGIONS, *PICTURES))
        for number, row in enumerate(self._built.rows(group, table.select([*TEXTS, *REGIONS]))):
            data, info = self._built.picture(group, table, "edited_image", number)
            name = f"{self._image_id:012d}{SUFFIXES[info.format]}"
            (self._images / name).write_bytes(data)
            image = {
                "id": self._image_id,
                "file_name": name,
                "width": info.width,
                "height": info.height,
                **({"license": self._licences[row["licence"]]} if row["licence"] else {}),
                "source_file_name": self._source(*self._built.picture(group, table, "source_image", number)),
                "disk_radius": info.height * DISK_RADIUS_PER_HEIGHT,
                **{text: row[text] for text in TEXTS},
            }
            self._instances.add("images", [image])
            self._instances.add("annotations", self._annotations(group, number, row))
            self._image_id += 1
            yield

    def _source(self, data: bytes, info: Any) -> str:
        """The file of a source; sources with the same bytes are one, numbered as the first of their edits."""
        name = self._known_sources.get(info.sha256)
        if name is None:
            name = self._known_sources[info.sha256] = f"{self._image_id:012d}{SUFFIXES[info.format]}"
            (self._sources / name).write_bytes(data)
        return name

    def _annotations(self, group: Group, number: int, row: Row) -> Iterator[Row]:
        for kind in KINDS:
            for region in row[f"{kind}_regions"] or ():
                category = self._categories.get(f"{kind}/{region['flaw_type'] or UNSPECIFIED}")
                if category is None:
                    raise self._built.fault(group, number, f"{region['flaw_type']!r} is no flaw type of {kind} regions")
                try:
                    made = annotation(region, kind, category)
                except ValueError as error:
                    raise self._built.fault(group, number, f"{kind} region {region['region_id']!r}: {error}") from None
                yield {"id": self._annotation_id, "image_id": self._image_id, **made}
                self._annotation_id += 1
