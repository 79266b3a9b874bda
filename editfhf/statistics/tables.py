"""Reading the tables of a built dataset without its images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, KINDS
from annotation.tasks import tasks
from editfhf.features import SPLITS, schema
from mos.errors import UserError

Texts = NDArray[np.str_]

PAIRS = (
    *("pair_id", "source_id", "task", "task_group", "editor"),
    *(f"{kind}_{part}" for kind in KINDS for part in ("peak", "regions")),
    *DIMENSIONS,
    "overall",
)
RATINGS = ("pair_id", "annotator_id", "dimension", "score", "status")
MARKS = ("pair_id", "annotator_id", "kind", "box", "status", "width", "height")


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table of a dataset, without image columns; the split and the task of every pair as text, [n]."""

    pairs: pa.Table
    splits: Texts
    tasks: Texts
    ratings: pa.Table
    annotators: pa.Table
    marks: pa.Table


def load(dataset: Path) -> Tables:
    """Read the four tables.  UserError when the folder holds no dataset or a file cannot be read."""
    if not dataset.is_dir():
        raise UserError(f"No dataset at {dataset}: expected a folder that `editfhf build` wrote. Check the path.")
    parts = [(split, _read(path, PAIRS)) for split in SPLITS for path in shards(dataset, split)]
    if not parts:
        raise UserError(
            f"{dataset} holds no built dataset: expected data/<split>-*.parquet. Run: editfhf build CORPUS {dataset}"
        )
    return Tables(
        pairs=pa.concat_tables([part.replace_schema_metadata(None) for _, part in parts]).combine_chunks(),
        splits=np.repeat([split for split, _ in parts], [len(part) for _, part in parts]),
        tasks=np.concatenate([_tasks(part) for _, part in parts]),
        ratings=_table(dataset, "ratings", RATINGS),
        annotators=_table(dataset, "annotators", tuple(schema("annotators").names)),
        marks=_table(dataset, "marks", MARKS),
    )


def shards(dataset: Path, split: str) -> list[Path]:
    """The files of one split in order."""
    return sorted((dataset / "data").glob(f"{split}-*.parquet"))


def rejections(dataset: Path) -> Iterator[dict[str, Any]]:
    """The lines of rejected.jsonl; none when there is no such file."""
    import orjson

    path = dataset / "rejected.jsonl"
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                row = None
            if not isinstance(row, dict):
                raise UserError(f"{path}, line {number}: expected one JSON object. Build the dataset again.")
            yield row


def texts(column: pa.ChunkedArray) -> Texts:
    """The values of a text column, [n]; nulls read as ""."""
    return np.asarray(column.fill_null("").to_numpy(), dtype=np.str_)


def codes(values: Texts) -> tuple[NDArray[np.int64], list[str]]:
    """Integer code of every value and the sorted names that the codes stand for."""
    names, inverse = np.unique(values, return_inverse=True)
    return inverse.astype(np.int64), [str(name) for name in names]


def coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """`codes` of a text column of any length: no string is made for a row, only for each distinct value."""
    encoded = pa.chunked_array([column.fill_null("").combine_chunks()]).dictionary_encode().combine_chunks()
    found = encoded.dictionary.to_pylist()
    names = sorted(found)
    rank = {name: position for position, name in enumerate(names)}
    position = np.array([rank[name] for name in found], np.int64)
    return position[np.asarray(encoded.indices)], names


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """float64 [n]; null becomes NaN."""
    return np.asarray(column.cast(pa.float64()).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open one file of the dataset, or say in one sentence that it is broken."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file. Build the dataset again.") from error


def _read(path: Path, columns: tuple[str, ...]) -> pa.Table:
    with open_parquet(path) as file:
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise UserError(f"{path} has no column {missing[0]!r}: it is not a table of a dataset of this version.")
        return file.read(columns=list(columns))


def _tasks(pairs: pa.Table) -> Texts:
    return np.array(task_names(pairs.schema), dtype=np.str_)[pairs["task"].to_numpy()]


def task_names(arrow: pa.Schema) -> list[str]:
    """Names of the task labels: those that the file carries, else those of this version."""
    try:
        features = json.loads((arrow.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features["task"]["names"]]
    except (KeyError, TypeError, ValueError):
        return list(tasks())


def _table(dataset: Path, config: str, columns: tuple[str, ...]) -> pa.Table:
    wanted = pa.schema([schema(config).field(name) for name in columns])
    parts = [_read(path, columns).cast(wanted) for path in sorted((dataset / config).glob("*.parquet"))]
    return pa.concat_tables(parts).combine_chunks() if parts else wanted.empty_table()
