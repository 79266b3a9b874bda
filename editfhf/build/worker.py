"""One shard from its order: the function that every executor runs.

An order is a small JSON file that says all there is to know about a shard but the pictures and what people said,
which are read from the corpus and the spool and checked against the digests in the order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from annotation import images
from editfhf import features
from editfhf.build import parquet, spool
from editfhf.build.options import BuildOptions
from editfhf.build.plan import SCORE_COLUMNS
from editfhf.build.rows import Made, make_rows
from editfhf.build.tally import Tally
from mos.errors import UserError

# At its first conversion pyarrow imports pandas, where that is installed: once here, before workers are forked.
pa.array([None])

# The Hub's viewer refuses row groups above 286 MB; this keeps one, with its maps, well below.
ROW_GROUP_BYTES = 96 << 20
MARKS_ROW_GROUP = 10_000


@dataclass(frozen=True)
class Order:
    """What one shard is made of; `key` is a digest of everything that decides its bytes."""

    key: str
    rows: list[dict[str, Any]]
    options: BuildOptions
    people: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Order:
        data = orjson.loads(path.read_bytes())
        people = orjson.loads((path.parent / "people.json").read_bytes())
        return cls(data["key"], data["rows"], BuildOptions.model_validate(data["options"]), people)


def make_shard(order_path: str, spool_path: str, corpus: str, folder: str, donor: str) -> dict[str, Any]:
    """Make the two Parquet files of a shard (rows and marks) and its marker, which is returned.

    donor: a file of rows that differs from the wanted one in the scores only, or "": its marks lie in `folder`.
    """
    order = Order.read(Path(order_path))
    shard, marks = (Path(folder) / f"{order.key}.{name}.parquet" for name in ("rows", "marks"))
    if donor:
        told = rescore(Path(donor), shard, order.rows)
    else:
        with spool.reading(Path(spool_path)) as said:
            tally = Tally()
            made = make_rows(order.rows, said, order.options, order.people, tally)
            mark_rows, told = _write_rows(shard, order, Path(corpus), made, tally)
        table = pa.Table.from_pylist(mark_rows, schema=features.schema("marks"))
        parquet.write_table(marks, [table], table.schema, row_group=MARKS_ROW_GROUP)
    marker = marker_of(order.key, shard, marks, told)
    temporary = Path(folder) / f".{order.key}.json.tmp"
    temporary.write_bytes(orjson.dumps(marker))
    parquet.publish(temporary, Path(folder) / f"{order.key}.json")
    return marker


def marker_of(key: str, shard: Path, marks: Path, told: dict[str, Any]) -> dict[str, Any]:
    """What is known of a finished shard."""
    files = {path.name: {"sha256": parquet.sha256(path), "bytes": path.stat().st_size} for path in (shard, marks)}
    rows = {"rows": parquet.rows(shard), "marks": parquet.rows(marks)}
    return {"key": key, "files": files, **rows, **told}


def rescore(donor: Path, path: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Copy a shard with other scores; everything else, pictures and maps included, is taken as it is."""
    schema = features.schema("default")
    told: dict[str, Any] = parquet.noted(donor)
    done = 0
    with pq.ParquetFile(donor) as file, parquet.writer(path, schema) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            mine = rows[done : done + len(table)]
            done += len(table)
            for name in sorted(SCORE_COLUMNS):
                field = schema.field(name)
                values = pa.array([row["row"][name] for row in mine], field.type)
                table = table.set_column(schema.get_field_index(name), field, values)
            writer.write_table(table.cast(schema), row_group_size=len(table))
        parquet.note(writer, told)
    return told


def hear_shard(order_path: str, spool_path: str) -> dict[str, Any]:
    """The tally of a shard, without making anything."""
    order = Order.read(Path(order_path))
    tally = Tally()
    with spool.reading(Path(spool_path)) as said:
        for _ in make_rows(order.rows, said, order.options, order.people, tally, render=False):
            pass
    return {"rows": len(order.rows), **tally.told(order.people)}


def _write_rows(
    path: Path, order: Order, corpus: Path, made: Iterator[Made], tally: Tally
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    schema = features.schema("default")
    marks: list[dict[str, Any]] = []
    group: list[dict[str, Any]] = []
    size = 0
    source: tuple[str, bytes] = ("", b"")
    with parquet.writer(path, schema) as writer:
        for item in made:
            wanted = item.order["source"]
            if wanted["sha256"] != source[0]:
                source = (wanted["sha256"], _bytes(corpus, wanted, order.options))
            edited = _bytes(corpus, item.order["edited"], order.options)
            row = item.row | {
                "source_image": {"bytes": source[1], "path": Path(wanted["path"]).name},
                "edited_image": {"bytes": edited, "path": Path(item.order["edited"]["path"]).name},
            }
            if group and (len(group) == order.options.shards.row_group or size > ROW_GROUP_BYTES):
                _flush(writer, group, schema)
                group, size = [], 0
            group.append(row)
            marks.extend(item.marks)
            size += len(source[1]) + len(edited)
        _flush(writer, group, schema)
        told = tally.told(order.people)
        parquet.note(writer, told)
    return marks, told


def _flush(writer: Any, group: list[dict[str, Any]], schema: pa.Schema) -> None:
    writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=len(group))


def _bytes(corpus: Path, wanted: dict[str, Any], options: BuildOptions) -> bytes:
    data = images.read(corpus, wanted["path"], max_bytes=options.images.max_bytes)
    if hashlib.sha256(data).hexdigest() != wanted["sha256"]:
        raise UserError(f"{wanted['path']} changed while the build was running. Run the same command again.")
    return data
