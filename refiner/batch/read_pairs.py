"""Read the pairs of a batch: a `pairs.jsonl`, a corpus, a dataset, or two folders of images."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation.campaign.refined_corpus import REFINED_SHARDS, open_refined_images
from annotation.corpus import PAIRS_FILE
from annotation.images import ImageError, read_image_bytes
from annotation.json_lines import RejectCallback
from annotation.records import Rejection
from annotation.text import MAX_TEXT_LENGTH, describe_bad_id
from mos.errors import UserError
from mos.files import open_regular_file

IMAGES_FOLDER = "images"

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TAKEN_NAMES = {IMAGES_FOLDER, "pairs.jsonl", "summary.json", "summary.html", "rejected.jsonl", "batch.json"}
_DIGEST_DIGITS = 10


@dataclass(frozen=True, slots=True)
class BatchPair:
    """One pair of a batch, as encoded bytes.

    Attributes
    ----------
    number : int
        From 0, in the order of the input.
    pair_id : str
    folder : str
        Name of its folder in the output.
    instruction : str
    source, edited : bytes
        Encoded images.
    line : mapping
        The line of `pairs.jsonl`, or what stands for it.
    """

    number: int
    pair_id: str
    folder: str
    instruction: str
    source: bytes
    edited: bytes
    line: dict[str, Any]


def read_batch_pairs(path: Path, reject: RejectCallback) -> Iterator[BatchPair]:
    """Read the pairs of a table, corpus or dataset, one in memory at a time.

    Parameters
    ----------
    path : Path
        A `pairs.jsonl`, a folder with one, a corpus or a dataset.
    reject : callable
        Receives one `Rejection` for each line that cannot be used.

    Raises
    ------
    UserError
        The path is none of these.
    """
    seen: set[str] = set()
    opened = open_refined_images(path, reject)
    number = 0
    for row in opened.rows:
        line = row.line
        problem = _diagnose_line(line, seen)
        if problem is None:
            try:
                source, edited = row.read_image("source"), row.read_image("edited")
            except ImageError as error:
                problem = error.reason, str(error)
        if problem is not None:
            pair_id = line.get("pair_id")
            known = pair_id if isinstance(pair_id, str) and describe_bad_id(pair_id) is None else None
            reject(Rejection("pair", *row.place, *problem, pair_id=known))
            continue
        pair_id = line["pair_id"]
        seen.add(pair_id)
        yield BatchPair(number, pair_id, name_pair_folder(pair_id), line["instruction"], source, edited, line)
        number += 1


def read_folder_pairs(sources: Path, edited: Path, instruction: str, reject: RejectCallback) -> Iterator[BatchPair]:
    """Read the pairs of two folders: images of the same name without its suffix.

    Raises
    ------
    UserError
        A folder is missing, or no name is in both.
    """
    before, after = _list_images(sources), _list_images(edited)
    names = sorted(before.keys() & after.keys())
    if not names:
        raise UserError(f"No image of {edited} has the name of one of {sources}: expected the same names in both.")
    for name in sorted(after.keys() - before.keys()):
        reject(Rejection("pair", after[name].name, 0, "no_source", f"{sources} has no image of this name."))
    number = 0
    for name in names:
        try:
            pixels = [read_image_bytes(path.parent, path.name) for path in (before[name], after[name])]
        except ImageError as error:
            reject(Rejection("pair", after[name].name, 0, error.reason, str(error), pair_id=None))
            continue
        line = {"pair_id": name, "source_id": name, "instruction": instruction}
        yield BatchPair(number, name, name_pair_folder(name), instruction, pixels[0], pixels[1], line)
        number += 1


def count_batch_pairs(path: Path) -> int | None:
    """Lines of a table or rows of a dataset, for the time left; None where they cannot be counted quickly."""
    table = path / PAIRS_FILE if path.is_dir() else path
    if table.is_file():
        with open_regular_file(table) as stream:
            return sum(1 for line in stream if line.strip())
    try:
        import pyarrow.parquet as pq

        return sum(int(pq.read_metadata(shard).num_rows) for shard in sorted(path.glob(REFINED_SHARDS)))
    except (OSError, ValueError):
        return None


def name_pair_folder(pair_id: str) -> str:
    """Name of a pair's folder: its id where that is a plain file name, else a plain part of it and a digest.

    Examples
    --------
    >>> name_pair_folder("pair-7"), name_pair_folder("../x")
    ('pair-7', 'x-d1ec75daf6')
    """
    if _PLAIN_NAME.fullmatch(pair_id) and pair_id not in _TAKEN_NAMES:
        return pair_id
    digest = hashlib.sha256(pair_id.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", pair_id).strip("-_")[:60]
    return f"{plain}-{digest}" if plain else digest


def _list_images(folder: Path) -> dict[str, Path]:
    """Image files of a folder by name without suffix; the first of several suffixes counts."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: expected two folders with images of the same names.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and describe_bad_id(path.stem) is None:
            found.setdefault(path.stem, path)
    return found


def _diagnose_line(line: dict[str, Any], seen: set[str]) -> tuple[str, str] | None:
    """Reason and message of the first problem of a line; task and editor may be missing."""
    for key in ("pair_id", "source", "edited", "instruction"):
        value = line.get(key)
        if not isinstance(value, str) or (key != "instruction" and not value.strip()):
            return "bad_field", f"Expected text in {key!r}, got {type(value).__name__}."
        if len(value) > MAX_TEXT_LENGTH:
            return "text_too_long", f"{key!r} has {len(value):,} characters: at most {MAX_TEXT_LENGTH:,} are read."
    problem = describe_bad_id(line["pair_id"])
    if problem is not None:
        return "bad_id", f"'pair_id' {problem}."
    if line["pair_id"] in seen:
        return "duplicate_pair", "This pair_id was read already; the first line is kept."
    return None
