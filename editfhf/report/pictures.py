"""Reading the few pairs of a gallery and making small pictures of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation import images
from annotation.records import DIMENSIONS, KINDS
from editfhf.features import SPLITS
from editfhf.figures.flaws import RGB, heat_uri
from editfhf.report.choice import spread_out, varied
from editfhf.statistics.tables import open_parquet, shards, task_names

SIDE, HEAT_SIDE, QUALITY = 512, 128, 76
THREADS = 2

_TEXTS = ("pair_id", "source_id", "instruction", "task", "task_group", "editor", "overall", "licence")
_SCORES = tuple(f"{dimension}{part}" for dimension in DIMENSIONS for part in ("", "_ci95", "_n"))
_REGIONS = tuple(f"{kind}_regions" for kind in KINDS)
_IMAGES = ("source_image", "edited_image", *(f"{kind}_saliency" for kind in KINDS))


@dataclass(frozen=True, slots=True)
class Shown:
    """One pair of the gallery.

    row: its columns but for the images, with `split` and the task as text; width, height: of the edited image in
    pixels; source, edited: small JPEGs as data URIs; heat: by kind the map as a translucent PNG, absent where the
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


def read(dataset: Path, wanted: int) -> list[Shown]:
    """Up to `wanted` pairs chosen for variety, in the order of the dataset."""
    places = [(path, split, group) for path, split, groups in _files(dataset) for group in range(groups)]
    rows = [row for k in spread_out(len(places), wanted) for row in _rows(*places[k])] if wanted > 0 and places else []
    chosen = [rows[k] for k in varied(rows, wanted)]
    with ThreadPoolExecutor(THREADS) as pool:  # decoding runs outside the interpreter's lock
        return [shown for batch in _with_images(chosen) for shown in pool.map(_shown, *zip(*batch, strict=True))]


def _files(dataset: Path) -> Iterator[tuple[Path, str, int]]:
    for split in SPLITS:
        for path in shards(dataset, split):
            with open_parquet(path) as file:
                yield path, split, file.num_row_groups


def _rows(path: Path, split: str, group: int) -> list[dict[str, Any]]:
    """The rows of one row group without images, each knowing where it came from."""
    with open_parquet(path) as file:
        names = task_names(file.schema_arrow)
        rows = file.read_row_group(group, columns=[*_TEXTS, *_SCORES, *_REGIONS]).to_pylist()
    return [
        {**row, "task": names[row["task"]], "split": split, "place": (path, group), "index": index}
        for index, row in enumerate(rows)
    ]


def _with_images(rows: list[dict[str, Any]]) -> Iterator[list[tuple[dict[str, Any], dict[str, bytes]]]]:
    """The rows with their encoded images, one batch a row group, which is read once."""
    for place in dict.fromkeys(row["place"] for row in rows):
        path, group = place
        with open_parquet(path) as file:
            table = file.read_row_group(group, columns=list(_IMAGES))
        here = [row for row in rows if row["place"] == place]
        yield [(row, {name: table[name][row["index"]]["bytes"].as_py() for name in _IMAGES}) for row in here]


def _shown(row: dict[str, Any], encoded: Mapping[str, bytes]) -> Shown:
    source, source_width, source_height = _small(encoded["source_image"])
    edited, width, height = _small(encoded["edited_image"])
    heat: dict[str, str] = {
        kind: heat_uri(images.thumbnail(encoded[f"{kind}_saliency"], max_side=HEAT_SIDE)[:, :, 0] / 255.0, RGB[kind])
        for kind in KINDS
        if row[f"{kind}_regions"]
    }
    return Shown(row, width, height, source_width, source_height, source, edited, heat)


def _small(data: bytes) -> tuple[str, int, int]:
    """A small JPEG as a data URI, with the width and height of the whole image."""
    from PIL import Image

    info = images.inspect(data)
    buffer = io.BytesIO()
    Image.fromarray(images.thumbnail(data, max_side=SIDE)).save(buffer, "JPEG", quality=QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return uri, info.width, info.height
