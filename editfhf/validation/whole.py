"""The checks in order, from the files to the pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.images import MAX_PIXELS
from editfhf import saliency
from editfhf.manifest import MANIFEST, Shards, read_manifest, shards
from editfhf.validation import files, tables
from editfhf.validation.issues import Issue, error
from editfhf.validation.pictures import Pictures, check_maps
from editfhf.validation.rows import check_geometry, check_row
from mos.errors import UserError

ROWS = 25  # read at once, with their images


def check_files(root: Path) -> list[Issue]:
    """The fast part: the files against the manifest and the card, without looking at a row."""
    manifest, issues = _manifest(root)
    if manifest is None:
        return issues
    return [
        *files.check_outputs(root, manifest),
        *files.check_card(root, manifest),
        *files.check_tables(root, manifest),
        *files.check_rejected(root, manifest)[0],
    ]


def check_dataset(
    root: Path, *, deep: bool = False, progress: Callable[[int], None] = lambda rows: None
) -> list[Issue]:
    """Everything that is wrong with the dataset in `root`; an empty list when it is what it says.

    Every row is held against the other rows and tables, and both its maps are drawn again from the marks and compared
    with the stored ones.  With `deep` every image is decoded as well.  Rows are looked at only when the files are
    sound.  `progress` is told of rows as they are done.
    """
    issues = check_files(root)
    if any(issue.severity == "error" for issue in issues):
        return issues
    manifest = read_manifest(root)
    _, without_score = files.check_rejected(root, manifest)
    found = shards(manifest)
    around = tables.read_around(root, found, without_score, manifest["options"].get("mos", {}))
    pictures = _pictures(manifest, deep)
    for split, listed in found["default"].items():
        issues += _check_split(root, split, listed, around, pictures, progress)
    return [
        *issues,
        *tables.check_marks_table(around),
        *tables.check_people(around),
        *tables.check_splits(around),
    ]


def _manifest(root: Path) -> tuple[dict[str, Any] | None, list[Issue]]:
    try:
        manifest = read_manifest(root)
    except UserError as found:
        return None, [error(MANIFEST, str(found))]
    for key, is_right in _SHAPES.items():
        if not is_right(manifest.get(key)):
            return None, [error(MANIFEST, f"has no {key!r} that could be read: build the dataset again")]
    return manifest, []


def _is_output(output: Any) -> bool:
    if not isinstance(output, dict) or isinstance(output.get("bytes"), bool):
        return False
    return isinstance(output.get("bytes"), int) and isinstance(output.get("rows"), int | None)


_SECTIONS = ("saliency", "images", "mos")
_SHAPES: dict[str, Callable[[Any], bool]] = {
    "corpus": lambda found: isinstance(found, dict) and all(isinstance(text, str | None) for text in found.values()),
    "options": lambda found: isinstance(found, dict) and all(isinstance(found.get(key, {}), dict) for key in _SECTIONS),
    "outputs": lambda found: isinstance(found, list) and all(map(_is_output, found)),
    "splits": lambda found: isinstance(found, dict) and all(isinstance(split, dict) for split in found.values()),
    "rejected": lambda found: isinstance(found, dict),
}


def _pictures(manifest: Mapping[str, Any], deep: bool) -> Pictures:
    options = manifest["options"]
    drawn = options.get("saliency", {})
    return Pictures(
        deep=deep,
        max_pixels=options.get("images", {}).get("max_pixels", MAX_PIXELS),
        sigma=saliency.parse_sigma(drawn.get("sigma", "H/40")),
        profile=drawn.get("profile", "gaussian"),
    )


def _check_split(
    root: Path, split: str, listed: Shards, around: tables.Around, pictures: Pictures, progress: Callable[[int], None]
) -> Iterator[Issue]:
    for path in listed.files:
        number = 0
        try:
            for batch in pq.ParquetFile(root / path).iter_batches(ROWS):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path} row {number} (pair {row['pair_id']})"
                    yield from (error(where, message) for message in _check_one(row, split, around, pictures))
                progress(batch.num_rows)
        except (OSError, pa.ArrowException) as found:
            yield error(path, f"cannot be read after row {number} ({found.__class__.__name__})")


def _check_one(row: dict[str, Any], split: str, around: tables.Around, pictures: Pictures) -> Iterator[str]:
    marks = around.marks_of(row["pair_id"])
    yield from check_row(row)
    yield from tables.check_between(row, split, around, marks)
    source = pictures.look("source_image", row["source_image"])
    if isinstance(source, str):
        yield source
    edited = pictures.look("edited_image", row["edited_image"])
    if isinstance(edited, str):
        yield edited
        return
    if any((mark["width"], mark["height"]) != (edited.width, edited.height) for mark in marks):
        yield f"the marks of the pair are not of a {edited.width} x {edited.height} picture, as the edited image is"
    yield from check_geometry(row, edited.width, edited.height)
    yield from check_maps(row, marks, edited, pictures)
