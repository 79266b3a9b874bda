"""Check what must hold between rows: ids, splits, and the rows of the other tables behind a row of "default"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, KINDS
from editfhf.dataset import ACCEPTED_STATUS
from editfhf.manifest import ShardFiles
from editfhf.validation.files import ValidationFinding, report_error
from editfhf.validation.rows import PairRow, check_places

KEPT_STATUS = "kept"


@dataclass
class SurroundingTables:
    """The tables around "default", and what was read of "default" so far.

    Attributes
    ----------
    marks, ratings, annotators : pa.Table
    without_score : set
        (pair_id, dimension) of scores whose absence `rejected.jsonl` explains.
    few : int
        With fewer kept ratings than this, a score may be the mean of all ratings.
    pairs, sources : dict
        Split by pair_id and by source_id, of the rows so far.
    """

    marks: pa.Table
    ratings: pa.Table
    annotators: pa.Table
    without_score: set[tuple[str, str]]
    few: int
    pairs: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    @cached_property
    def people(self) -> set[str]:
        """All ids of the table "annotators"."""
        return set(self.annotators["annotator_id"].to_pylist())

    @cached_property
    def kept(self) -> dict[tuple[str, str], int]:
        """Ratings that count, by (pair_id, dimension)."""
        return _count_ratings(self.ratings.filter(pc.equal(self.ratings["status"], KEPT_STATUS)))

    @cached_property
    def given(self) -> dict[tuple[str, str], int]:
        """All ratings, by (pair_id, dimension)."""
        return _count_ratings(self.ratings)

    def explains(self, pair_id: str, dimension: str) -> bool:
        """Whether the absence of a score has a reason; a dataset without ratings needs none."""
        return not len(self.ratings) or (pair_id, dimension) in self.without_score

    def allows(self, pair_id: str, dimension: str, n: int) -> bool:
        """Whether a score can be the mean of n ratings."""
        kept, given = (counts.get((pair_id, dimension), 0) for counts in (self.kept, self.given))
        return n == kept or (kept < self.few and kept <= n <= given)

    @cached_property
    def _places(self) -> dict[str, NDArray[Any]]:
        codes = self.marks["pair_id"].combine_chunks().dictionary_encode()
        indices = codes.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(indices, kind="stable")
        cuts = np.searchsorted(indices[order], np.arange(len(codes.dictionary)))
        return dict(zip(codes.dictionary.to_pylist(), np.split(order, cuts)[1:], strict=True))

    def marks_of(self, pair_id: str) -> list[dict[str, Any]]:
        """Rows of "marks" of one pair, in their order."""
        places = self._places.get(pair_id)
        rows: list[dict[str, Any]] = [] if places is None else self.marks.take(pa.array(places)).to_pylist()
        return rows


def _count_ratings(ratings: pa.Table) -> dict[tuple[str, str], int]:
    columns = ratings.group_by(["pair_id", "dimension"]).aggregate([([], "count_all")]).to_pydict()
    return dict(zip(zip(columns["pair_id"], columns["dimension"], strict=True), columns["count_all"], strict=True))


def read_surrounding_tables(
    root: Path,
    tables: Mapping[str, Mapping[str, ShardFiles]],
    without_score: set[tuple[str, str]],
    scoring: Mapping[str, Any],
) -> SurroundingTables:
    """Read the three small tables.

    Parameters
    ----------
    root
        Folder of the dataset.
    tables
        Its files by config and split.
    without_score
        (pair_id, dimension) of scores whose absence `rejected.jsonl` explains.
    scoring
        Options of the method that made the scores.
    """
    few = scoring.get("min_ratings") if scoring.get("on_too_few") == "fallback" else 0
    whole = {
        config: pa.concat_tables(
            [pq.read_table(root / path, partitioning=None) for files in tables[config].values() for path in files.files]
        )
        for config in ("marks", "ratings", "annotators")
    }
    return SurroundingTables(**whole, without_score=without_score, few=few if isinstance(few, int) else 0)


def check_row_relations(
    row: PairRow, split: str, around: SurroundingTables, marks: list[dict[str, Any]]
) -> Iterator[str]:
    """One sentence for everything that is wrong between a row of "default" and other rows; remembers the row."""
    pair_id, source_id = row["pair_id"], row["source_id"]
    if pair_id in around.pairs:
        yield "pair_id is not unique"
    around.pairs[pair_id] = split
    if around.sources.setdefault(source_id, split) != split:
        yield f"source {source_id!r} is in two splits, {around.sources[source_id]} and {split}"
    for dimension in DIMENSIONS:
        n = row[f"{dimension}_n"]
        if row[dimension] is None:
            if not around.explains(pair_id, dimension):
                yield f"{dimension} is null, but rejected.jsonl has no reason for it"
        elif not around.allows(pair_id, dimension, n):
            yield f"{dimension}_n is {n}, but {around.kept.get((pair_id, dimension), 0)} ratings were kept"
    yield from _check_marks(row, split, around, marks)


def _check_marks(row: PairRow, split: str, around: SurroundingTables, marks: list[dict[str, Any]]) -> Iterator[str]:
    accepted = [mark for mark in marks if mark["status"] == ACCEPTED_STATUS]
    if any(mark["split"] != split for mark in marks):
        yield "the marks of the pair name another split"
    for kind in KINDS:
        regions = row[f"{kind}_regions"] or ()
        for region in regions:
            supporting = [
                mark for mark in accepted if mark["kind"] == kind and mark["region_id"] == region["region_id"]
            ]
            placed = Counter(tuple(disk) for mark in supporting for disk in mark["disks"])
            if placed != Counter(tuple(disk) for disk in region["disks"]):
                yield f"{kind} region {region['region_id']!r} has other disks than the accepted marks that support it"
            unknown = set(region["annotators"] or ()) - around.people
            if unknown:
                yield f"{kind} region {region['region_id']!r} names {len(unknown)} annotators who are in no table"
    known = {(kind, region["region_id"]) for kind in KINDS for region in row[f"{kind}_regions"] or ()}
    lost = {mark["region_id"] for mark in accepted if (mark["kind"], mark["region_id"]) not in known}
    if lost:
        yield f"{len(lost)} accepted marks support a region that the row does not have"


def check_marks_table(around: SurroundingTables) -> Iterator[ValidationFinding]:
    """The kind, box and disks of every mark, accepted or not."""
    for number, mark in enumerate(_iterate_table_rows(around.marks), start=1):
        name = f"marks row {number}"
        if mark["kind"] not in KINDS:
            yield report_error(name, f"kind is {mark['kind']!r}: expected one of {', '.join(KINDS)}")
        for message in check_places("it", mark, mark["width"], mark["height"]):
            yield report_error(name, message)


def check_annotators(around: SurroundingTables) -> Iterator[ValidationFinding]:
    """Every participant of "ratings" and "marks" is in the table "annotators", once."""
    if len(around.people) != len(around.annotators):
        yield report_error("annotators", "names an annotator twice")
    for name in ("ratings", "marks"):
        unknown = set(pc.unique(getattr(around, name)["annotator_id"]).to_pylist()) - around.people
        if unknown:
            yield report_error(name, f"names {len(unknown)} annotators who are not in the table of annotators")


def check_rating_splits(around: SurroundingTables) -> Iterator[ValidationFinding]:
    """Ratings have the split of their pair (null for a rejected pair)."""
    pairs, splits = around.ratings["pair_id"], around.ratings["split"]
    named = set(zip(pairs.to_pylist(), splits.to_pylist(), strict=True))
    wrong = sum(around.pairs.get(pair_id) != split for pair_id, split in named)
    if wrong:
        yield report_error("ratings", f"names another split than the pair has, for {wrong} pairs")


def _iterate_table_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()
