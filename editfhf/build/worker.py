"""One shard from its order: the function that every executor runs.

An order is a small JSON file that says all there is to know about a shard but the pictures and what people said,
which are read from the corpus and the spool and checked against the digests in the order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from annotation import images
from editfhf import features
from editfhf.build import parquet, spool
from editfhf.build.options import BuildOptions
from editfhf.build.rows import Made, make_rows
from editfhf.build.tally import Tally
from mos.errors import UserError

# The Hub's viewer refuses row groups above 286 MB; this keeps one, with its maps, well below.
ROW_GROUP_BYTES = 96 << 20


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


def make_shard(order_path: str, spool_path: str, corpus: str, folder: str, reuse: bool) -> dict[str, Any]:
    """Make the two Parquet files of a shard (rows and marks) and its marker, which is returned.

    With `reuse` the shard's files lie in `folder` already, taken from an earlier build: only the tally is made.
    """
    order = Order.read(Path(order_path))
    shard, marks = (Path(folder) / f"{order.key}.{name}.parquet" for name in ("rows", "marks"))
    tally = Tally()
    with spool.reading(Path(spool_path)) as said:
        made = make_rows(order.rows, said, order.options, order.people, tally, render=not reuse)
        if reuse:
            mark_rows = [mark for item in made for mark in item.marks]
        else:
            mark_rows = _write_rows(shard, order, Path(corpus), made)
            table = pa.Table.from_pylist(mark_rows, schema=features.schema("marks"))
            parquet.write_table(marks, [table], table.schema, row_group=10_000)
    files = {path.name: _identity(path) for path in (shard, marks)}
    marker = {"key": order.key, "marks": len(mark_rows), "files": files} | _told(order, tally)
    temporary = Path(folder) / f".{order.key}.json.tmp"
    temporary.write_bytes(orjson.dumps(marker))
    parquet.publish(temporary, Path(folder) / f"{order.key}.json")
    return marker


def hear_shard(order_path: str, spool_path: str) -> dict[str, Any]:
    """The tally of a shard, without making anything."""
    order = Order.read(Path(order_path))
    tally = Tally()
    with spool.reading(Path(spool_path)) as said:
        for _ in make_rows(order.rows, said, order.options, order.people, tally, render=False):
            pass
    return _told(order, tally)


def _told(order: Order, tally: Tally) -> dict[str, Any]:
    return {
        "rows": len(order.rows),
        "counts": dict(tally.counts),
        "people": {person: dict(counts) for person, counts in tally.people.items()},
        "rejections": [asdict(rejection) for rejection in tally.rejections],
    }


def _identity(path: Path) -> dict[str, Any]:
    return {"sha256": parquet.sha256(path), "bytes": path.stat().st_size}


def _write_rows(path: Path, order: Order, corpus: Path, made: Iterator[Made]) -> list[dict[str, Any]]:
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
    return marks


def _flush(writer: Any, group: list[dict[str, Any]], schema: pa.Schema) -> None:
    writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=len(group))


def _bytes(corpus: Path, wanted: dict[str, Any], options: BuildOptions) -> bytes:
    data = images.read(corpus, wanted["path"], max_bytes=options.images.max_bytes)
    if hashlib.sha256(data).hexdigest() != wanted["sha256"]:
        raise UserError(f"{wanted['path']} changed while the build was running. Run the same command again.")
    return data
