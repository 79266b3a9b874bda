"""Write Parquet with the settings of `datasets`, except that a source image shared by several edits is stored once.

Encoded images are plain and uncompressed (they do not compress further), all other columns have dictionaries and
snappy; content-defined chunks let the Hub store only what changed. A test compares these settings with the library's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from mos.files import open_regular_file

CHUNKING_OPTIONS = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
# Large enough for the distinct sources of one row group, or Parquet gives up the dictionary.
DICTIONARY_BYTES = 256 << 20
SHARED_SOURCE = "source_image.bytes"
FOOTER_KEY = "editfhf"


def list_leaf_columns(path: str, kind: pa.DataType) -> list[str]:
    """Paths of the leaf columns under `path`, as Parquet names them."""
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in list_leaf_columns(f"{path}.{field.name}", field.type)]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return list_leaf_columns(f"{path}.list.element", kind.value_type)
    return [path]


def is_image_type(kind: pa.DataType) -> bool:
    """Whether a column holds encoded images."""
    return bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def make_column_options(schema: pa.Schema) -> dict[str, Any]:
    """`ParquetWriter` options by leaf column."""
    compression: dict[str, str] = {}
    dictionary: list[str] = []
    encoding: dict[str, str] = {}
    for field in schema:
        is_image = is_image_type(field.type)
        for leaf in list_leaf_columns(field.name, field.type):
            compression[leaf] = "none" if is_image else "snappy"
            if is_image and leaf != SHARED_SOURCE:
                encoding[leaf] = "PLAIN"
            else:
                dictionary.append(leaf)
    return {"compression": compression, "use_dictionary": dictionary, "column_encoding": encoding}


@contextmanager
def open_parquet_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer whose file appears under `path` when it is complete and on the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with (
            pa.OSFile(str(temporary), "wb") as sink,
            pq.ParquetWriter(
                sink,
                schema,
                use_content_defined_chunking=CHUNKING_OPTIONS,
                write_page_index=True,
                dictionary_pagesize_limit=DICTIONARY_BYTES,
                **make_column_options(schema),
            ) as parquet,
        ):
            yield parquet
        publish_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_parquet_table(
    path: Path, batches: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema, row_group: int
) -> None:
    """Write batches of one table to one file; without rows the file has no row group."""
    with open_parquet_writer(path, schema) as parquet:
        for batch in batches:
            table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
            # `datasets` takes the rows of the first row group for its batch size, and fails at 0.
            if len(table):
                parquet.write_table(table, row_group_size=row_group)


def write_footer_note(parquet: pq.ParquetWriter, value: Any) -> None:
    """Keep a JSON value in the footer, where readers of the table ignore it."""
    parquet.add_key_value_metadata({FOOTER_KEY: orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()})


def read_footer_note(path: Path) -> Any:
    """The value that `write_footer_note` kept in a file, or None."""
    text = (pq.read_metadata(path).metadata or {}).get(FOOTER_KEY.encode())
    return None if text is None else orjson.loads(text)


def count_parquet_rows(path: Path) -> int:
    """Rows of a file, from its footer."""
    return int(pq.read_metadata(path).num_rows)


def publish_file(temporary: Path, path: Path) -> None:
    """Write a finished temporary file to the disk and give it its name."""
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(path)


def compute_file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with open_regular_file(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
