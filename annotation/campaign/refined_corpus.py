"""Make a new corpus of refined images, for the next campaign of the loop.

The input is a corpus, a table of refined images or a built dataset.  Images are copied byte for byte and named by their
digest, so that no name in a table is ever used as a path.  A pair gets a new id; its `origin` names the pair from which
it comes, and the turn of the loop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import yaml

from annotation import images
from annotation.campaign.options import CAMPAIGN_FILE, CAMPAIGN_FOLDER, read_campaign_options
from annotation.corpus import META_FILE, PAIRS_FILE, Corpus, CorpusMeta, build_pair, diagnose_pair
from annotation.images import MAX_IMAGE_BYTES, ImageError
from annotation.json_lines import MAX_LINE_BYTES, RejectCallback, read_json_lines, write_json_lines
from annotation.labelstudio.image_urls import IMAGES_FOLDER
from annotation.records import Pair, Place, Rejection
from annotation.taxonomy import load_edit_tasks
from annotation.text import MAX_ID_LENGTH, describe_bad_id
from mos.errors import UserError
from mos.rejections import rejection_as_dict

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


REFINED_SHARDS = "data/*.parquet"
"""Pattern of the files of a dataset that hold pairs, of any split."""


REQUIRED_COLUMNS = ("pair_id", "source_id", "instruction", "task", "editor")


IMAGE_COLUMNS = {"source": "source_image", "edited": "edited_image"}


ROWS_PER_BATCH = 4
"""Rows of a dataset in memory at a time, with their images."""


class RefinedRow(NamedTuple):
    """An unchecked line as in `pairs.jsonl`.

    read_image: returns the encoded bytes of the line's "source" or "edited" image; raises ImageError
    """

    place: Place
    line: dict[str, Any]
    read_image: Callable[[str], bytes]


@dataclass(frozen=True)
class RefinedImages:
    """Refined images for a new campaign.

    Parameters
    ----------
    root
        Folder to which the paths of the rows are relative.
    meta
        Metadata of the corpus they come from, or the default.
    rows
        The lines; can be read once.
    campaign_id
        Id of the campaign in the same folder; None without one.
    """

    root: Path
    meta: CorpusMeta
    rows: Iterator[RefinedRow]
    campaign_id: str | None = None


def open_refined_images(path: Path, reject: RejectCallback) -> RefinedImages:
    """Open refined images.

    Parameters
    ----------
    path
        A corpus, a `pairs.jsonl` or a folder with one, or a built dataset.
    reject
        Called with lines that are no JSON objects, while the rows are read.

    Raises
    ------
    UserError
        The path is none of these, or a file is a link that leaves its folder.
    """
    if path.is_dir() and (path / META_FILE).exists():
        corpus = Corpus.open(path)
        parent = read_campaign_options(path).campaign_id if (path / CAMPAIGN_FOLDER / CAMPAIGN_FILE).is_file() else None
        return RefinedImages(path, corpus.meta, _iter_table_rows(path, path / PAIRS_FILE, reject), parent)
    table = path / PAIRS_FILE if path.is_dir() else path
    if table.is_file():
        _refuse_link(path, table)
        if table.suffix != ".jsonl":
            raise UserError(f"{path} is not a table of refined images: expected a .jsonl file or a folder.")
        return RefinedImages(table.parent, _default_meta(table.parent), _iter_table_rows(table.parent, table, reject))
    shards = sorted(path.glob(REFINED_SHARDS))
    if not shards:
        raise UserError(
            f"No refined images in {path}: expected a {PAIRS_FILE}, a folder with one, or a dataset with "
            f"{REFINED_SHARDS}."
        )
    for shard in shards:
        _refuse_link(path, shard)
    return RefinedImages(
        path, _default_meta(path), chain.from_iterable(_iter_shard_rows(path, shard) for shard in shards)
    )


def _default_meta(folder: Path) -> CorpusMeta:
    return CorpusMeta(name=folder.resolve().name[:200] or "refined")


def _refuse_link(folder: Path, file: Path) -> None:
    if folder.is_dir() and not file.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{file} is a link to a file outside its folder. Replace the link with the file.")


def _iter_table_rows(root: Path, table: Path, reject: RejectCallback) -> Iterator[RefinedRow]:
    for row, line in read_json_lines(table, table.name, reject, unique_keys=True):

        def read_image(key: str, line: dict[str, Any] = line) -> bytes:
            return images.read_image_bytes(root, line[key])

        yield RefinedRow(Place(table.name, row), line, read_image)


def _iter_shard_rows(root: Path, shard: Path) -> Iterator[RefinedRow]:
    """Yield the rows of one file of a dataset, a few in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = shard.relative_to(root).as_posix()
    try:
        with pq.ParquetFile(shard) as stream:
            columns = _check_columns(stream, file)
            names = _read_task_names(stream.schema_arrow)
            number = 0
            for batch in stream.iter_batches(ROWS_PER_BATCH, columns=columns):
                for index in range(batch.num_rows):
                    number += 1
                    yield _make_dataset_row(batch, index, names, Place(file, number))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{shard} cannot be read ({error.__class__.__name__}). Build the dataset again.") from None


def _check_columns(stream: pq.ParquetFile, file: str) -> list[str]:
    import pyarrow as pa

    known = stream.schema_arrow
    wanted = [*REQUIRED_COLUMNS, *IMAGE_COLUMNS.values()]
    for name in wanted:
        if name not in known.names:
            raise UserError(f"{file} has no column {name!r}: expected a dataset as `editfhf build` writes it.")
    for name in IMAGE_COLUMNS.values():
        kind = known.field(name).type
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            raise UserError(f"{file}: the column {name!r} holds no images. Expected encoded images with their bytes.")
    return wanted + [name for name in ("licence",) if name in known.names]


def _make_dataset_row(batch: pa.RecordBatch, index: int, names: list[str], place: Place) -> RefinedRow:
    line = {name: _read_cell(batch, name, index) for name in batch.schema.names if name not in IMAGE_COLUMNS.values()}
    number = line["task"]
    if type(number) is int:
        line["task"] = names[number] if 0 <= number < len(names) else None
    # In place of paths: names of the columns that hold the bytes.
    line |= IMAGE_COLUMNS

    def read_image(key: str) -> bytes:
        data = (_read_cell(batch, IMAGE_COLUMNS[key], index) or {}).get("bytes")
        if not isinstance(data, bytes) or not data:
            raise ImageError("empty_file", f"{IMAGE_COLUMNS[key]} holds no bytes: expected an encoded image.")
        if len(data) > MAX_IMAGE_BYTES:
            raise ImageError(
                "file_too_big", f"{IMAGE_COLUMNS[key]} is larger than {MAX_IMAGE_BYTES} bytes: expected a smaller one."
            )
        return data

    return RefinedRow(place, line, read_image)


def _read_cell(batch: pa.RecordBatch, name: str, index: int) -> Any:
    """One value; None for a text that is not UTF-8, which Arrow does not check."""
    try:
        return batch.column(name)[index].as_py()
    except UnicodeDecodeError:
        return None


def _read_task_names(schema: pa.Schema) -> list[str]:
    """Names of the task labels: those in the file, else those of this version."""
    try:
        features = orjson.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features["task"]["names"]]
    except (KeyError, TypeError, ValueError, RecursionError):
        return list(load_edit_tasks())


REFINED_REJECTIONS_FILE = "rejected.jsonl"


REFINED_IMAGE_SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


ID_DIGEST_DIGITS = 10
"""Hexadecimal digits of a digest in a pair's id, which make it differ from its parent's."""


SaveImage = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class RefinedCorpus:
    """The content of a new corpus: its lines, the same as pairs, and the rejected refined images."""

    meta: CorpusMeta
    lines: list[dict[str, Any]]
    pairs: list[Pair]
    rejected: list[Rejection]


def require_empty_folder(corpus: Path) -> None:
    """`UserError` unless the path does not exist or is an empty folder."""
    if corpus.is_symlink() or (corpus.exists() and not corpus.is_dir()):
        raise UserError(f"{corpus} is a file or a link: expected a new or empty folder. Choose another path.")
    if corpus.exists() and any(corpus.iterdir()):
        raise UserError(f"{corpus} is not empty, and its files are not overwritten. Choose a new folder.")
    if not corpus.absolute().parent.is_dir():
        raise UserError(f"The folder {corpus.parent} does not exist. Create it first.")


def collect_refined_corpus(
    refined: RefinedImages, name: str, rejected: list[Rejection], save: SaveImage
) -> RefinedCorpus:
    """Collect the pairs of the new corpus.

    Parameters
    ----------
    refined
        The refined images; their rows are read.
    name
        Name of the new corpus.
    rejected
        Rejections so far; rows that cannot be used are appended.
    save
        Called once for each image, with its path in the corpus and its bytes.

    Raises
    ------
    UserError
        No row can be used.
    """
    collector = _CorpusCollector(refined.meta.licence, save)
    for row in refined.rows:
        reason = collector.take(row)
        if reason is not None:
            pair_id = row.line.get("pair_id")
            known = pair_id if isinstance(pair_id, str) and describe_bad_id(pair_id) is None else None
            rejected.append(Rejection("pair", *row.place, *reason, pair_id=known))
    if not collector.lines:
        why = f" The first reason: {rejected[0].message}" if rejected else ""
        raise UserError(f"No pair in {refined.root} can be used, so no corpus was created.{why}")
    meta = refined.meta.model_copy(
        update={"name": name, "version": "1.0.0", "description": f"Refined images, from {refined.meta.name}."}
    )
    return RefinedCorpus(meta, collector.lines, collector.pairs, rejected)


def write_refined_corpus(corpus: RefinedCorpus, root: Path) -> None:
    """Write everything except the images into the folder of the new corpus."""
    (root / META_FILE).write_text(
        yaml.safe_dump(corpus.meta.model_dump(), sort_keys=False, allow_unicode=True), "utf-8"
    )
    write_json_lines(root / PAIRS_FILE, corpus.lines)
    if corpus.rejected:
        write_json_lines(root / REFINED_REJECTIONS_FILE, map(rejection_as_dict, corpus.rejected))


def make_image_saver(root: Path) -> SaveImage:
    """Return a function that writes images into the folder of a corpus."""

    def save(path: str, data: bytes) -> None:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(data)

    return save


class _CorpusCollector:
    """Collects the lines of the new corpus."""

    def __init__(self, licence: str, save: SaveImage) -> None:
        self.lines: list[dict[str, Any]] = []
        self.pairs: list[Pair] = []
        self._licence = licence
        self._save = save
        self._paths: dict[str, str] = {}
        self._saved: set[str] = set()
        self._ids: dict[str, Place] = {}
        self._content: dict[tuple[str, str, str], Place] = {}

    def take(self, row: RefinedRow) -> tuple[str, str] | None:
        """Make a pair of a row; if that is impossible, return the reason and a sentence."""
        line = row.line
        fault = diagnose_pair(line)
        if fault is not None:
            return fault
        if line["pair_id"] in self._ids:
            return (
                "duplicate_pair",
                f"This pair_id is already in {_describe_place(self._ids[line['pair_id']])}, which is kept.",
            )
        try:
            image_bytes = {self._path(data): data for data in (row.read_image("source"), row.read_image("edited"))}
        except ImageError as error:
            return error.reason, str(error)
        # There is one path when both images are the same.
        content = next(iter(image_bytes)), [*image_bytes][-1], line["instruction"]
        if content in self._content:
            message = f"Images and instruction are those of {_describe_place(self._content[content])}, which is kept."
            return "duplicate_content", message
        fault = self._add(row, content)
        for path, data in image_bytes.items() if fault is None else ():
            if path not in self._saved:
                self._save(path, data)
                self._saved.add(path)
        return fault

    def _add(self, row: RefinedRow, content: tuple[str, str, str]) -> tuple[str, str] | None:
        line, (source, edited, _) = row.line, content
        new = line | {"pair_id": _derive_pair_id(line["pair_id"], content), "source": source, "edited": edited}
        new["origin"] = _pair_origin(line)
        try:
            size = len(orjson.dumps(new))
        except TypeError:
            return "bad_field", "The values of the line are nested too deeply to be written as JSON."
        if size > MAX_LINE_BYTES:
            return "line_too_long", f"With its origin the line would be longer than {MAX_LINE_BYTES:,} bytes."
        self._ids[line["pair_id"]] = self._content[content] = row.place
        self.lines.append(new)
        self.pairs.append(build_pair(new, self._licence, Place(PAIRS_FILE, len(self.lines))))
        return None

    def _path(self, data: bytes) -> str:
        """The path of an image in the new corpus; ImageError when the bytes are no image."""
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._paths:
            self._paths[digest] = f"{IMAGES_FOLDER}/{digest}.{REFINED_IMAGE_SUFFIXES[images.verify_image(data).format]}"
        return self._paths[digest]


def _derive_pair_id(pair_id: str, content: tuple[str, str, str]) -> str:
    """An id that begins like its parent's and differs from it; the same images and instruction give the same id."""
    digest = hashlib.sha256(orjson.dumps([pair_id, *content])).hexdigest()[:ID_DIGEST_DIGITS]
    return f"{pair_id[: MAX_ID_LENGTH - ID_DIGEST_DIGITS - 1].strip()}-{digest}"


def _pair_origin(line: dict[str, Any]) -> dict[str, Any]:
    """Where a new pair comes from.

    parent: the pair that was refined, from the line's `origin`, else the line's pair_id; turn: turn of the loop, None
    when unknown; pair_id: the line's; origin: the line's, if it has one
    """
    origin = line.get("origin")
    values = origin if isinstance(origin, dict) else {}
    parent, turn = values.get("parent"), values.get("turn")
    new_origin = {
        "parent": parent if isinstance(parent, str) and describe_bad_id(parent) is None else line["pair_id"],
        "turn": turn if type(turn) is int else None,
        "pair_id": line["pair_id"],
    }
    return new_origin | ({"origin": origin} if origin else {})


def _describe_place(place: Place) -> str:
    return f"row {place.row} of {place.file}"
