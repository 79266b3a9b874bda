"""A corpus written as it is made: one pair after the other, nothing kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.records import DIMENSIONS
from editfhf.simulate import truth
from editfhf.simulate.campaign import Papers
from editfhf.simulate.raters import Rater

RATINGS = pa.schema(
    [
        ("pair_id", pa.string()),
        ("annotator_id", pa.string()),
        ("dimension", pa.string()),
        ("score", pa.float64()),
        ("rated_at", pa.string()),
    ]
)
BATCH = 500
"""Pairs per row group."""


class CorpusWriter:
    """Streams of one corpus in the making; a context manager that closes them all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "annotations").mkdir(parents=True)
        self._pairs = (root / "pairs.jsonl").open("wb")
        self._exports: dict[str, IO[bytes]] = {}
        self._flags: IO[bytes] | None = None
        self._truth: list[truth.Row] = []
        self._ratings: list[tuple[str, str, str, float, str]] = []
        self._tables: dict[str, pq.ParquetWriter] = {}
        self.counts = {"pairs": 0, "regions": 0, "ratings": 0, "flags": 0}

    def __enter__(self) -> CorpusWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        for stream in self._exports.values():
            stream.write(b"\n]\n")
            stream.close()
        for table in self._tables.values():
            table.close()
        if self._flags:
            self._flags.close()
        self._pairs.close()

    def add(self, line: bytes, papers: Papers) -> None:
        """One pair, in the order of pair ids."""
        self._pairs.write(line + b"\n")
        for name, tasks in papers.tasks.items():
            for task in tasks:
                self._export(name, task)
                self.counts["ratings"] += len(DIMENSIONS) * name.startswith("ratings")
        self._ratings += papers.ratings
        self._add_flags(papers.flags)
        self._truth.append(papers.truth)
        self.counts["pairs"] += 1
        self.counts["regions"] += len(papers.truth["regions"])
        self.counts["ratings"] += len(papers.ratings)
        self.counts["flags"] += sum(row["flags"] for key in ("regions", "unfounded") for row in papers.truth[key])
        if len(self._truth) == BATCH:
            self._flush()

    def _export(self, name: str, task: bytes) -> None:
        stream = self._exports.get(name)
        if stream is None:
            stream = self._exports[name] = (self.root / "annotations" / f"{name}.json").open("wb")
            stream.write(b"[\n" + task)
        else:
            stream.write(b",\n" + task)

    def _add_flags(self, flags: Sequence[tuple[str, str, str]]) -> None:
        if not flags:
            return
        if self._flags is None:
            self._flags = (self.root / "annotations/flags.csv").open("wb")
            self._flags.write(b"pair_id,region_id,annotator_id\n")
        self._flags.writelines(",".join(row).encode() + b"\n" for row in flags)

    def _flush(self) -> None:
        if self._truth:
            self._table("truth.parquet", truth.PAIRS).write_table(pa.Table.from_pylist(self._truth, truth.PAIRS))
        if self._ratings:
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*self._ratings, strict=True), RATINGS, strict=True)
            ]
            self._table("annotations/ratings.parquet", RATINGS).write_table(pa.table(columns, schema=RATINGS))
        self._truth, self._ratings = [], []

    def _table(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        if name not in self._tables:
            self._tables[name] = pq.ParquetWriter(self.root / name, schema, compression="zstd")
        return self._tables[name]


def write_raters(root: Path, people: Sequence[Rater]) -> None:
    """`truth_raters.parquet`: the truth about every rater of the pool."""
    rows = [
        {
            "annotator_id": str(rater.user),
            "careless": rater.careless,
            "behaviour": rater.behaviour or "honest",
            "bias": rater.bias,
            "inconsistency": rater.inconsistency,
        }
        for rater in people
    ]
    pq.write_table(pa.Table.from_pylist(rows, truth.RATERS), root / "truth_raters.parquet", compression="zstd")
