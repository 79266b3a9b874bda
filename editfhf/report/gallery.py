"""Gallery of the report: choose varied pairs from few row groups, read them and make thumbnails."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation import images
from annotation.records import DIMENSIONS, KINDS
from editfhf.features import DATASET_SPLITS
from editfhf.heat import KIND_COLOURS
from editfhf.report.figures import encode_heat_uri
from editfhf.report.read_tables import list_split_files, open_parquet_file, read_task_names

PAIRS_PER_ROW_GROUP = 6


def choose_row_groups(places: int, wanted: int) -> list[int]:
    """Indices of the places (row groups) to read for `wanted` pairs, evenly over all of them.

    >>> choose_row_groups(40, 12)
    [10, 30]
    """
    count = min(places, max(1, -(-wanted // PAIRS_PER_ROW_GROUP)))
    return [(2 * k + 1) * places // (2 * count) for k in range(count)]


def choose_varied_rows(rows: Sequence[Mapping[str, Any]], wanted: int) -> list[int]:
    """Indices of up to `wanted` rows, in their order, that differ in source, editor, task, number and type of flaws.

    Greedy: the next row is the one whose traits occur least often in the rows chosen so far; ties go to the first
    pair_id. The choice does not depend on the order of the rows.
    """
    traits = [_list_row_traits(row) for row in rows]
    left = sorted(range(len(rows)), key=lambda k: str(rows[k]["pair_id"]))
    taken: Counter[tuple[str, Any]] = Counter()
    chosen: list[int] = []
    while left and len(chosen) < wanted:
        best = min(left, key=lambda k: sum(weight * taken[trait] for trait, weight in traits[k]))
        chosen.append(best)
        left.remove(best)
        taken.update(trait for trait, _ in traits[best])
    return sorted(chosen)


def _list_row_traits(row: Mapping[str, Any]) -> list[tuple[tuple[str, Any], float]]:
    """The traits of a pair that the choice balances, with their weights."""
    overall = row["overall"]
    flaws = [region["flaw_type"] for kind in KINDS for region in row[f"{kind}_regions"] or ()]
    traits: list[tuple[tuple[str, Any], float]] = [
        (("source", row["source_id"]), 4),
        (("editor", row["editor"]), 1),
        (("group", row["task_group"]), 1),
        (("task", row["task"]), 0.5),
        (("score", None if overall is None else int(overall // 20)), 0.5),
        *(((kind, min(2, len(row[f"{kind}_regions"] or ()))), 0.7) for kind in KINDS),
    ]
    return traits + [(("flaw", flaw), 0.5 / len(flaws)) for flaw in flaws]


GALLERY_IMAGE_SIDE, GALLERY_MAP_SIDE, GALLERY_JPEG_QUALITY = 512, 128, 76


GALLERY_THREADS = 2


_TEXTS = ("pair_id", "source_id", "instruction", "task", "task_group", "editor", "overall", "licence")


_SCORES = tuple(f"{dimension}{part}" for dimension in DIMENSIONS for part in ("", "_ci95", "_n"))


_REGIONS = tuple(f"{kind}_regions" for kind in KINDS)


_IMAGES = ("source_image", "edited_image", *(f"{kind}_saliency" for kind in KINDS))


@dataclass(frozen=True, slots=True)
class GalleryPair:
    """One pair of the gallery.

    row: its columns without the images, with `split` and the task as text; width, height: of the edited image in
    pixels; source, edited: small JPEGs as data URIs; heat: by kind the map as a translucent PNG, absent if the
    pair has no region of that kind.
    """

    row: Mapping[str, Any]
    width: int
    height: int
    source_width: int
    source_height: int
    source: str
    edited: str
    heat: Mapping[str, str]


def read_gallery(dataset: Path, wanted: int) -> list[GalleryPair]:
    """Up to `wanted` pairs chosen for variety, in the order of the dataset."""
    places = [(path, split, group) for path, split, groups in _list_gallery_files(dataset) for group in range(groups)]
    rows = (
        [row for k in choose_row_groups(len(places), wanted) for row in _read_gallery_rows(*places[k])]
        if wanted > 0 and places
        else []
    )
    chosen = [rows[k] for k in choose_varied_rows(rows, wanted)]
    with ThreadPoolExecutor(GALLERY_THREADS) as pool:  # decoding runs outside the interpreter's lock
        return [
            shown
            for batch in _read_gallery_images(chosen)
            for shown in pool.map(_make_gallery_pair, *zip(*batch, strict=True))
        ]


def _list_gallery_files(dataset: Path) -> Iterator[tuple[Path, str, int]]:
    for split in DATASET_SPLITS:
        for path in list_split_files(dataset, split):
            with open_parquet_file(path) as file:
                yield path, split, file.num_row_groups


def _read_gallery_rows(path: Path, split: str, group: int) -> list[dict[str, Any]]:
    """The rows of one row group without images, each with its place in the dataset."""
    with open_parquet_file(path) as file:
        names = read_task_names(file.schema_arrow)
        rows = file.read_row_group(group, columns=[*_TEXTS, *_SCORES, *_REGIONS]).to_pylist()
    return [
        {**row, "task": names[row["task"]], "split": split, "place": (path, group), "index": index}
        for index, row in enumerate(rows)
    ]


def _read_gallery_images(rows: list[dict[str, Any]]) -> Iterator[list[tuple[dict[str, Any], dict[str, bytes]]]]:
    """The rows with their encoded images; each row group is read once and gives one batch."""
    for place in dict.fromkeys(row["place"] for row in rows):
        path, group = place
        with open_parquet_file(path) as file:
            table = file.read_row_group(group, columns=list(_IMAGES))
        batch = [row for row in rows if row["place"] == place]
        yield [(row, {name: table[name][row["index"]]["bytes"].as_py() for name in _IMAGES}) for row in batch]


def _make_gallery_pair(row: dict[str, Any], encoded: Mapping[str, bytes]) -> GalleryPair:
    source, source_width, source_height = _encode_thumbnail(encoded["source_image"])
    edited, width, height = _encode_thumbnail(encoded["edited_image"])
    heat: dict[str, str] = {
        kind: encode_heat_uri(
            images.decode_thumbnail(encoded[f"{kind}_saliency"], max_side=GALLERY_MAP_SIDE)[:, :, 0] / 255.0,
            KIND_COLOURS[kind],
        )
        for kind in KINDS
        if row[f"{kind}_regions"]
    }
    return GalleryPair(row, width, height, source_width, source_height, source, edited, heat)


def _encode_thumbnail(data: bytes) -> tuple[str, int, int]:
    """A small JPEG as a data URI, with the width and height of the whole image."""
    from PIL import Image

    info = images.inspect_image(data)
    buffer = io.BytesIO()
    Image.fromarray(images.decode_thumbnail(data, max_side=GALLERY_IMAGE_SIDE)).save(
        buffer, "JPEG", quality=GALLERY_JPEG_QUALITY
    )
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return uri, info.width, info.height
