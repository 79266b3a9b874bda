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
from annotation.taxonomy import load_edit_tasks
from editfhf.features import DATASET_SPLITS, make_arrow_schema
from mos.errors import UserError
from mos.files import open_regular_file, require_regular_file
from mos.json_limits import describe_json_excess

TextArray = NDArray[np.str_]

PAIR_TABLE_COLUMNS = (
    *("pair_id", "source_id", "task", "task_group", "editor"),
    *(f"{kind}_{part}" for kind in KINDS for part in ("peak", "regions")),
    *DIMENSIONS,
    "overall",
)
RATING_TABLE_COLUMNS = ("pair_id", "annotator_id", "dimension", "score", "status")
MARK_TABLE_COLUMNS = ("pair_id", "annotator_id", "kind", "box", "status", "width", "height")


@dataclass(frozen=True, slots=True)
class DatasetTables:
    """Every table of a dataset, without image columns; the split and the task of every pair as text, [n]."""

    pairs: pa.Table
    splits: TextArray
    tasks: TextArray
    ratings: pa.Table
    annotators: pa.Table
    marks: pa.Table


def read_dataset_tables(dataset: Path) -> DatasetTables:
    """Read the four tables.  UserError when the folder holds no dataset or a file cannot be read."""
    if not dataset.is_dir():
        raise UserError(f"No dataset at {dataset}: expected a folder that `editfhf build` wrote. Check the path.")
    parts = [
        (split, _read_columns(path, PAIR_TABLE_COLUMNS))
        for split in DATASET_SPLITS
        for path in list_split_files(dataset, split)
    ]
    if not parts:
        raise UserError(
            f"{dataset} has no built dataset: expected data/<split>-*.parquet. Run: editfhf build CORPUS {dataset}"
        )
    return DatasetTables(
        pairs=pa.concat_tables([part.replace_schema_metadata(None) for _, part in parts]).combine_chunks(),
        splits=np.repeat([split for split, _ in parts], [len(part) for _, part in parts]),
        tasks=np.concatenate([_read_pair_tasks(part) for _, part in parts]),
        ratings=_read_config_table(dataset, "ratings", RATING_TABLE_COLUMNS),
        annotators=_read_config_table(dataset, "annotators", tuple(make_arrow_schema("annotators").names)),
        marks=_read_config_table(dataset, "marks", MARK_TABLE_COLUMNS),
    )


def list_split_files(dataset: Path, split: str) -> list[Path]:
    """The data files of one split, in order."""
    return sorted((dataset / "data").glob(f"{split}-*.parquet"))


def read_rejected_lines(dataset: Path) -> Iterator[dict[str, Any]]:
    """The lines of rejected.jsonl; none without such a file."""
    import orjson

    path = dataset / "rejected.jsonl"
    if not path.exists():
        return
    with open_regular_file(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = None if describe_json_excess(line) else orjson.loads(line)
            except orjson.JSONDecodeError:
                row = None
            if not isinstance(row, dict):
                raise UserError(f"{path}, line {number}: expected one JSON object. Build the dataset again.")
            yield row


def to_text_array(column: pa.ChunkedArray) -> TextArray:
    """The values of a text column, [n]; nulls read as ""."""
    return np.asarray(column.fill_null("").to_numpy(), dtype=np.str_)


def encode_texts(values: TextArray) -> tuple[NDArray[np.int64], list[str]]:
    """Integer code of every value and the sorted names that the codes stand for."""
    names, inverse = np.unique(values, return_inverse=True)
    return inverse.astype(np.int64), [str(name) for name in names]


def encode_text_column(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """`encode_texts` of a column of any length: a string is made for each distinct value, not for each row."""
    encoded = pa.chunked_array([column.fill_null("").combine_chunks()]).dictionary_encode().combine_chunks()
    values = encoded.dictionary.to_pylist()
    names = sorted(values)
    rank = {name: position for position, name in enumerate(names)}
    position = np.array([rank[name] for name in values], np.int64)
    return position[np.asarray(encoded.indices)], names


def to_float_array(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """float64 [n]; null becomes NaN."""
    return np.asarray(column.cast(pa.float64()).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def open_parquet_file(path: Path) -> pq.ParquetFile:
    """Open one file of the dataset; UserError if it is broken."""
    try:
        require_regular_file(path)
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file. Build the dataset again.") from error


def _read_columns(path: Path, columns: tuple[str, ...]) -> pa.Table:
    with open_parquet_file(path) as file:
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise UserError(
                f"{path} has no column {missing[0]!r}: expected a dataset of this version. Build the dataset again."
            )
        return file.read(columns=list(columns))


def _read_pair_tasks(pairs: pa.Table) -> TextArray:
    return np.asarray(np.array(read_task_names(pairs.schema))[pairs["task"].to_numpy()], dtype=np.str_)


def read_task_names(arrow: pa.Schema) -> list[str]:
    """Names of the task labels in the file, else those of this version."""
    try:
        features = json.loads((arrow.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features["task"]["names"]]
    except (KeyError, TypeError, ValueError):
        return list(load_edit_tasks())


def _read_config_table(dataset: Path, config: str, columns: tuple[str, ...]) -> pa.Table:
    wanted = pa.schema([make_arrow_schema(config).field(name) for name in columns])
    parts = [_read_columns(path, columns).cast(wanted) for path in sorted((dataset / config).glob("*.parquet"))]
    return pa.concat_tables(parts).combine_chunks() if parts else wanted.empty_table()
