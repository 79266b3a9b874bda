"""Writing Parquet as `datasets` writes it, plus one thing: a source shared by several edits is stored once.

Encoded pictures are kept plain and uncompressed (they do not compress), everything else is snappy with dictionaries;
content-defined chunks let the Hub's storage recognise what did not change.  A test compares these settings with the
library's own.
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

CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
# Large enough for the distinct sources of one row group, or Parquet gives up the dictionary.
DICTIONARY_BYTES = 256 << 20
SHARED_SOURCE = "source_image.bytes"
NOTE = "editfhf"


def leaves(path: str, kind: pa.DataType) -> list[str]:
    """Paths of the leaf columns under `path`, as Parquet names them."""
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in leaves(f"{path}.{field.name}", field.type)]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return leaves(f"{path}.list.element", kind.value_type)
    return [path]


def is_image(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0


def column_options(schema: pa.Schema) -> dict[str, Any]:
    """`ParquetWriter` options by leaf column."""
    compression: dict[str, str] = {}
    dictionary: list[str] = []
    encoding: dict[str, str] = {}
    for field in schema:
        picture = is_image(field.type)
        for leaf in leaves(field.name, field.type):
            compression[leaf] = "none" if picture else "snappy"
            if picture and leaf != SHARED_SOURCE:
                encoding[leaf] = "PLAIN"
            else:
                dictionary.append(leaf)
    return {"compression": compression, "use_dictionary": dictionary, "column_encoding": encoding}


@contextmanager
def writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer whose file appears under `path` only when it is whole and on the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with (
            pa.OSFile(str(temporary), "wb") as sink,
            pq.ParquetWriter(
                sink,
                schema,
                use_content_defined_chunking=CHUNKING,
                write_page_index=True,
                dictionary_pagesize_limit=DICTIONARY_BYTES,
                **column_options(schema),
            ) as parquet,
        ):
            yield parquet
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(path: Path, batches: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema, row_group: int) -> None:
    with writer(path, schema) as parquet:
        for batch in batches:
            table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
            parquet.write_table(table, row_group_size=row_group)


def note(parquet: pq.ParquetWriter, value: Any) -> None:
    """Leave a JSON value in the footer, where readers of the table do not see it."""
    parquet.add_key_value_metadata({NOTE: orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()})


def noted(path: Path) -> Any:
    """The value that `note` left in a file, or None."""
    text = (pq.read_metadata(path).metadata or {}).get(NOTE.encode())
    return None if text is None else orjson.loads(text)


def rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def publish(temporary: Path, path: Path) -> None:
    """Bring a finished temporary file onto the disk and under its name, in one step."""
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(path)


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
