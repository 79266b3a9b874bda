"""The pairs that a new campaign begins with, out of a table of refined images or a built dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from annotation import images, jsonlines
from annotation.campaign.options import FILE, FOLDER, read_options
from annotation.corpus import META, PAIRS, Corpus, CorpusMeta
from annotation.images import MAX_BYTES, ImageError
from annotation.jsonlines import Reject
from annotation.records import Place
from annotation.tasks import tasks
from mos.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SHARDS = "data/*.parquet"
"""Where a dataset has its pairs, in any split."""

NEEDED = ("pair_id", "source_id", "instruction", "task", "editor")
PICTURES = {"source": "source_image", "edited": "edited_image"}
AT_ONCE = 4
"""Rows of a dataset in memory, with their pictures."""


class Row(NamedTuple):
    """A line as `pairs.jsonl` has it, nothing of it checked.

    picture: the encoded bytes of the line's "source" or "edited"; raises ImageError
    """

    place: Place
    line: dict[str, Any]
    picture: Callable[[str], bytes]


@dataclass(frozen=True)
class Refined:
    """Refined images that a campaign is to be opened on.

    root: the folder in which their paths lie; meta: what is known of all of them; rows: to be read once
    campaign_id: of the campaign in the same folder, None without one
    """

    root: Path
    meta: CorpusMeta
    rows: Iterator[Row]
    campaign_id: str | None = None


def open_refined(path: Path, reject: Reject) -> Refined:
    """A corpus, a `pairs.jsonl` or a folder with one, or a dataset; `reject` gets lines that are none as rows are read.

    `UserError` when `path` is nothing of these.
    """
    if path.is_dir() and (path / META).exists():
        corpus = Corpus.open(path)
        parent = read_options(path).campaign_id if (path / FOLDER / FILE).is_file() else None
        return Refined(path, corpus.meta, _table(path, path / PAIRS, reject), parent)
    table = path / PAIRS if path.is_dir() else path
    if table.is_file():
        _refuse_link(path, table)
        if table.suffix != ".jsonl":
            raise UserError(f"{path} is no table of refined images: expected a .jsonl file, or a folder.")
        return Refined(table.parent, _unnamed(table.parent), _table(table.parent, table, reject))
    shards = sorted(path.glob(SHARDS))
    if not shards:
        raise UserError(f"Nothing refined in {path}: expected a {PAIRS}, a folder with it, or a dataset with {SHARDS}.")
    for shard in shards:
        _refuse_link(path, shard)
    return Refined(path, _unnamed(path), chain.from_iterable(_shard(path, shard) for shard in shards))


def _unnamed(folder: Path) -> CorpusMeta:
    return CorpusMeta(name=folder.resolve().name[:200] or "refined")


def _refuse_link(folder: Path, file: Path) -> None:
    if folder.is_dir() and not file.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{file} is a link that leaves its folder. Put the file itself there.")


def _table(root: Path, table: Path, reject: Reject) -> Iterator[Row]:
    for row, line in jsonlines.read(table, table.name, reject):

        def picture(key: str, line: dict[str, Any] = line) -> bytes:
            return images.read(root, line[key])

        yield Row(Place(table.name, row), line, picture)


def _shard(root: Path, shard: Path) -> Iterator[Row]:
    """The rows of one file of a dataset, a few in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = shard.relative_to(root).as_posix()
    try:
        with pq.ParquetFile(shard) as stream:
            columns = _columns(stream, file)
            names = _task_names(stream.schema_arrow)
            number = 0
            for batch in stream.iter_batches(AT_ONCE, columns=columns):
                for index in range(batch.num_rows):
                    number += 1
                    yield _dataset_row(batch, index, names, Place(file, number))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{shard} cannot be read ({error.__class__.__name__}). Build the dataset again.") from None


def _columns(stream: pq.ParquetFile, file: str) -> list[str]:
    import pyarrow as pa

    known = stream.schema_arrow
    wanted = [*NEEDED, *PICTURES.values()]
    for name in wanted:
        if name not in known.names:
            raise UserError(f"{file} has no column {name!r}: expected a dataset as `editfhf build` writes it.")
    for name in PICTURES.values():
        kind = known.field(name).type
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            raise UserError(f"{file}: the column {name!r} holds no pictures. Expected their bytes in it.")
    return wanted + [name for name in ("licence",) if name in known.names]


def _dataset_row(batch: pa.RecordBatch, index: int, names: list[str], place: Place) -> Row:
    line = {name: _value(batch, name, index) for name in batch.schema.names if name not in PICTURES.values()}
    number = line["task"]
    if type(number) is int:
        line["task"] = names[number] if 0 <= number < len(names) else None
    # The paths are those of the dataset's columns: what is read are the bytes in them.
    line |= PICTURES

    def picture(key: str) -> bytes:
        data = (_value(batch, PICTURES[key], index) or {}).get("bytes")
        if not isinstance(data, bytes) or not data:
            raise ImageError("empty_file", f"{PICTURES[key]} holds no bytes: expected an encoded image.")
        if len(data) > MAX_BYTES:
            raise ImageError(
                "file_too_big", f"{PICTURES[key]} is larger than {MAX_BYTES} bytes: expected a smaller one."
            )
        return data

    return Row(place, line, picture)


def _value(batch: pa.RecordBatch, name: str, index: int) -> Any:
    """One value; None for a text that is not UTF-8, which Arrow does not look at."""
    try:
        return batch.column(name)[index].as_py()
    except UnicodeDecodeError:
        return None


def _task_names(schema: pa.Schema) -> list[str]:
    """Names of the task labels: those that the file carries, else those of this version."""
    try:
        features = orjson.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features["task"]["names"]]
    except (KeyError, TypeError, ValueError, RecursionError):
        return list(tasks())
