"""The Parquet files of pairs, and the card with which `datasets.load_dataset` opens them.

Pictures lie in plain binary columns, as in Pick-a-Pic.  The card names two configs over the same files: "default"
declares them as images, which are decoded, and "bytes" as the encoded bytes that code written for Pick-a-Pic expects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from editfhf.build import parquet
from editfhf.formats.built import Built, Group
from editfhf.formats.preferences import Comparison, Edit, Plan, Prompt, compare
from editfhf.formats.preferences_card import Written, render

SCHEMA = pa.schema(
    {
        "are_different": pa.bool_(),
        "best_image_uid": pa.string(),
        "caption": pa.string(),
        "created_at": pa.timestamp("ns"),
        "has_label": pa.bool_(),
        "image_0_uid": pa.string(),
        "image_0_url": pa.string(),
        "image_1_uid": pa.string(),
        "image_1_url": pa.string(),
        "jpg_0": pa.binary(),
        "jpg_1": pa.binary(),
        "label_0": pa.float64(),
        "label_1": pa.float64(),
        "model_0": pa.string(),
        "model_1": pa.string(),
        "ranking_id": pa.int64(),
        "user_id": pa.int64(),
        "num_example_per_prompt": pa.int64(),
        "source_id": pa.string(),
        "jpg_source": pa.binary(),
        "score_0": pa.float64(),
        "score_1": pa.float64(),
        "low_0": pa.float64(),
        "low_1": pa.float64(),
        "high_0": pa.float64(),
        "high_1": pa.float64(),
        "licence_0": pa.string(),
        "licence_1": pa.string(),
    }
)
ROW_GROUP = 25
GROUP_BYTES = 64 << 20
SHARD_BYTES = 512 << 20


class Pictures(NamedTuple):
    """The encoded pictures of one edit."""

    source: bytes
    edited: bytes


def write(made: Plan, folder: Path, advance: Callable[[int], None] = lambda count: None) -> None:
    """Write the chosen splits and the card into `folder`.

    Held in memory: the edits of one prompt, a row group that is read and one that is written.

    advance: called with the number of pairs done since the last call
    """
    written = {}
    (folder / "data").mkdir()
    for split in made.chosen:
        if made.prompts[split]:
            with _Shards(folder / "data", split) as shards:
                shelf = _Shelf(made.built)
                for prompt in made.prompts[split]:
                    for row in _rows(prompt, made, shelf):
                        shards.add(row)
                        advance(1)
            written[split] = Written(shards.rows, shards.bytes)
    card = render(made, written, SCHEMA)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _rows(prompt: Prompt, made: Plan, shelf: _Shelf) -> Iterator[dict[str, Any]]:
    pictures = {edit.pair_id: shelf.pictures(edit) for edit in prompt.edits}
    digests = {pair_id: hashlib.sha256(found.edited).digest() for pair_id, found in pictures.items()}
    for number, pair in enumerate(compare(prompt.edits, made.ties)):
        first, second = pair.first, pair.second
        yield {
            **_side(first, 0, pictures),
            **_side(second, 1, pictures),
            "are_different": digests[first.pair_id] != digests[second.pair_id],
            "best_image_uid": _best(pair),
            "caption": prompt.instruction,
            "has_label": True,
            "label_0": pair.label,
            "label_1": 1 - pair.label,
            "ranking_id": prompt.first_id + number,
            "num_example_per_prompt": prompt.pairs,
            "source_id": prompt.source_id,
            "jpg_source": pictures[first.pair_id].source,
        }


def _side(edit: Edit, side: int, pictures: dict[str, Pictures]) -> dict[str, Any]:
    return {
        f"image_{side}_uid": edit.pair_id,
        f"jpg_{side}": pictures[edit.pair_id].edited,
        f"model_{side}": edit.editor,
        f"score_{side}": edit.score,
        f"low_{side}": edit.low,
        f"high_{side}": edit.high,
        f"licence_{side}": edit.licence,
    }


def _best(pair: Comparison) -> str | None:
    if pair.label == 0.5:
        return None
    return pair.first.pair_id if pair.label == 1 else pair.second.pair_id


class _Shelf:
    """The pictures of edits, one row group in memory: the edits of a prompt stand together in a build."""

    def __init__(self, built: Built) -> None:
        self._built = built
        self._group: Group | None = None
        self._table = pa.table({})

    def pictures(self, edit: Edit) -> Pictures:
        if edit.group != self._group:
            self._table = self._built.read(edit.group, ("source_image", "edited_image"))
            self._group = edit.group
        source, _ = self._built.picture(edit.group, self._table, "source_image", edit.row)
        edited, _ = self._built.picture(edit.group, self._table, "edited_image", edit.row)
        return Pictures(source, edited)


class _Shards:
    """The files of one split, a new one begun at SHARD_BYTES of pictures; named when their number is known."""

    def __init__(self, folder: Path, split: str) -> None:
        self.rows = self.bytes = 0
        self._folder, self._split = folder, split
        self._paths: list[Path] = []
        self._open = ExitStack()
        self._parquet: pq.ParquetWriter | None = None
        self._waiting: list[dict[str, Any]] = []
        self._waiting_bytes = self._shard_bytes = 0

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._open.close()
            return
        self._flush()
        self._open.close()
        for number, path in enumerate(self._paths):
            self.bytes += path.stat().st_size
            path.rename(self._folder / f"{self._split}-{number:05d}-of-{len(self._paths):05d}.parquet")

    def add(self, row: dict[str, Any]) -> None:
        self._waiting.append(row)
        self._waiting_bytes += sum(len(row[name]) for name in ("jpg_0", "jpg_1", "jpg_source"))
        if len(self._waiting) >= ROW_GROUP or self._waiting_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._parquet is None or self._shard_bytes >= SHARD_BYTES:
            self._parquet = self._begin()
        self._parquet.write_table(pa.Table.from_pylist(self._waiting, schema=SCHEMA))
        self.rows += len(self._waiting)
        self._shard_bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes = [], 0

    def _begin(self) -> pq.ParquetWriter:
        self._open.close()
        path = self._folder / f"{self._split}-{len(self._paths):05d}.part"
        self._paths.append(path)
        self._shard_bytes = 0
        return self._open.enter_context(parquet.writer(path, SCHEMA))
