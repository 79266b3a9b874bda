"""The pairs of a batch: from a JSON-lines file, or from a dataset; images are read when a pair has its turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation.images import ImageError, RgbImage, decode_image, read_image_bytes
from annotation.json_lines import RejectCallback, read_json_lines
from annotation.text import describe_bad_id
from mos.errors import UserError
from mos.rejections import Rejection
from training.samples.read_samples import read_samples

PAIR_KEYS = ("pair_id", "source", "edited", "instruction")
"""Keys that a line needs; those of `pairs.jsonl` of a corpus that are not listed here are ignored."""

PairImages = tuple[RgbImage, RgbImage]


@dataclass(frozen=True, slots=True)
class ListedPair:
    """One pair of a batch.

    Attributes
    ----------
    pair_id, instruction : str
    file : str
        Name of the file that lists it; "" for a dataset.
    row : int
        Line of the file, from 1, or row of the dataset, from 0.
    read_images : callable
        Gives source and edited image; raises `UserError`.
    """

    pair_id: str
    instruction: str
    file: str
    row: int
    read_images: Callable[[], PairImages]


def list_pairs_of_file(path: Path, reject: RejectCallback) -> Iterator[ListedPair]:
    """Read a JSON-lines file of pairs: pair_id, source, edited, instruction; paths are relative to the file.

    Raises
    ------
    UserError
        There is no such file.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}: expected JSON lines with {', '.join(PAIR_KEYS)}.")
    folder = path.absolute().parent
    for row, line in read_json_lines(path, path.name, reject, unique_keys=True):
        problem = _diagnose_line(line)
        if problem is not None:
            reject(Rejection("pair", path.name, row, *problem))
            continue
        pair_id, source, edited, instruction = (line[key] for key in PAIR_KEYS)
        yield ListedPair(pair_id, instruction, path.name, row, _make_reader(folder, source, edited))


def count_pairs_of_file(path: Path) -> int:
    """The number of lines of a file that hold a pair or another object."""
    return sum(1 for _ in read_json_lines(path, path.name, lambda rejection: None)) if path.is_file() else 0


def list_pairs_of_dataset(dataset: Any, reject: RejectCallback) -> Iterator[ListedPair]:
    """Read the pairs of one split of a dataset; see `training.read_samples`."""
    for row, sample in enumerate(read_samples(dataset, reject=reject)):
        images = sample.source, sample.edited
        yield ListedPair(sample.pair_id, sample.instruction, "", row, lambda images=images: images)  # type: ignore[misc]


def _make_reader(folder: Path, source: str, edited: str) -> Callable[[], PairImages]:
    return lambda: (_decode_listed(folder, source, "source"), _decode_listed(folder, edited, "edited"))


def _decode_listed(folder: Path, relative: str, name: str) -> RgbImage:
    try:
        return decode_image(read_image_bytes(folder, relative))
    except ImageError as error:
        raise ImageError(error.reason, f"The {name} image: {error}") from None


def _diagnose_line(line: dict[str, Any]) -> tuple[str, str] | None:
    for key in PAIR_KEYS:
        value = line.get(key)
        if not isinstance(value, str) or not value.strip():
            return "bad_field", f"Expected text in {key!r}, got {'nothing' if value is None else repr(value)[:60]}."
    problem = describe_bad_id(line["pair_id"])
    return None if problem is None else ("bad_id", f"'pair_id' {problem}.")
