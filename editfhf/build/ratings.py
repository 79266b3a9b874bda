"""Ratings as columns: gathered from exports and tables, scored by `mos`, and told apart by what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.records import DIMENSIONS, Rating, Rejection
from editfhf import features
from editfhf.build.scoring import Scoring
from mos.errors import UserError
from mos.methods import score
from mos.scoring.estimate import STATUSES
from mos.scoring.points import in_points
from mos.scoring.result import Result
from mos.table import Problem, Ratings, code, read_columns

Reject = Callable[[Rejection], None]

COLUMNS = ("item", "rater", "dimension", "score", "rated_at", "file", "row")
TEXTS = ("item", "rater", "dimension", "rated_at")
CHUNK = 30_000


@dataclass
class RatingRows:
    """Ratings in reading order; exports arrive rating by rating, tables whole."""

    _chunks: list[pa.Table] = field(default_factory=list)
    _waiting: list[Rating] = field(default_factory=list)

    def add(self, ratings: list[Rating]) -> None:
        self._waiting.extend(ratings)
        if len(self._waiting) >= CHUNK:
            self._close_chunk()

    def add_table(self, path: Path, file: str, known: Mapping[str, int], reject: Reject) -> None:
        """Add a long table; rows of unknown pairs and rows that cannot be read are set aside."""
        try:
            table, problems = read_columns(path)
            table = _readable(table)
        except UserError as error:
            reject(Rejection("file", file, 1, "broken_table", str(error).replace(f"{path.parent}/", "")))
            return
        except pa.ArrowException as error:
            message = f"expected columns of UTF-8 text and a column of numbers: {str(error).splitlines()[0][:200]}"
            reject(Rejection("file", file, 1, "broken_table", message))
            return
        for problem in problems:
            repaired = problem.reason == "byte_order_mark"
            what = "file" if repaired else "rating"
            reject(Rejection(what, file, problem.row, problem.reason, problem.message, repaired=repaired))
        item = table["item"]
        named = pc.not_equal(pc.fill_null(item, ""), "")
        unknown = pc.and_(named, pc.invert(pc.is_in(item, value_set=pa.array(list(known), pa.string()))))
        for row, pair_id in zip(
            table["row"].filter(unknown).to_pylist(), item.filter(unknown).to_pylist(), strict=True
        ):
            message = f"expected a pair of pairs.jsonl, but got {pair_id[:80]!r}: add the pair or remove the rating"
            reject(Rejection("rating", file, row, "unknown_pair", message, pair_id=pair_id))
        kept = table.filter(pc.invert(unknown))
        files = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(kept), np.int32)), [file])
        self._close_chunk()  # of two ratings at the same time the last counts, in the order of files
        self._chunks.append(_compact(kept.append_column("file", files).select(COLUMNS)))

    def table(self) -> pa.Table:
        """Every rating as item, rater, dimension, score, rated_at, file, row; texts as dictionaries."""
        self._close_chunk()
        if any(not pa.types.is_float64(chunk["score"].type) for chunk in self._chunks):
            self._chunks = [_with_text_scores(chunk) for chunk in self._chunks]
        plain = [_compact(chunk) for chunk in self._chunks]
        self._chunks.clear()
        return pa.concat_tables(plain).unify_dictionaries() if plain else _schema(pa.float64()).empty_table()

    def _close_chunk(self) -> None:
        if not self._waiting:
            return
        columns: dict[str, Any] = {
            "item": [rating.pair_id for rating in self._waiting],
            "rater": [rating.annotator_id for rating in self._waiting],
            "dimension": [rating.dimension for rating in self._waiting],
            "score": pa.array([rating.score for rating in self._waiting], pa.float64()),
            "rated_at": [rating.rated_at for rating in self._waiting],
            "file": [rating.place.file for rating in self._waiting],
            "row": [rating.place.row for rating in self._waiting],
        }
        self._chunks.append(_compact(pa.table(columns)))
        self._waiting.clear()


def _readable(table: pa.Table) -> pa.Table:
    """The table with names as text, whatever they were; `pa.ArrowException` when a column holds anything else."""
    for name in TEXTS:
        text = pc.cast(table[name], pa.string())
        text.validate(full=True)
        text = pc.utf8_trim_whitespace(text) if name == "item" else text
        table = table.set_column(table.column_names.index(name), name, text)
    if not pa.types.is_float64(table["score"].type):
        table = _with_text_scores(table)
        table["score"].validate(full=True)
    return table


CODED = pa.dictionary(pa.int32(), pa.string())


def _schema(score: pa.DataType) -> pa.Schema:
    kinds = {"score": score, "row": pa.int64()}
    return pa.schema([(name, kinds.get(name, CODED)) for name in COLUMNS])


def _compact(chunk: pa.Table) -> pa.Table:
    """The columns with every text once: half a million ratings are by a few raters, of a few thousand pairs."""
    for position, name in enumerate(COLUMNS):
        column = chunk[name]
        if name not in ("score", "row") and column.type != CODED:
            chunk = chunk.set_column(position, name, pc.cast(column, pa.string()).dictionary_encode())
    return chunk.cast(_schema(chunk["score"].type))


def _with_text_scores(chunk: pa.Table) -> pa.Table:
    position = chunk.column_names.index("score")
    return chunk.set_column(position, "score", pc.cast(chunk["score"], pa.string()))


@dataclass(frozen=True)
class Scored:
    """Valid ratings, what the method made of those of usable pairs, and the rows that they came from."""

    table: pa.Table
    ratings: Ratings
    usable: np.ndarray
    result: Result

    @property
    def scores(self) -> pa.Table:
        """`Result.scores` on 0 to 100, whatever the method."""
        return in_points(self.result)

    def by_pair(self) -> dict[str, dict[str, tuple[float | None, float | None, int, str | None]]]:
        """(score, half-width of its interval, ratings behind it, reason when null) by pair and dimension."""
        found: dict[str, dict[str, tuple[float | None, float | None, int, str | None]]] = {}
        columns = self.scores.select(["item", "dimension", "mos", "ci_low", "ci_high", "n", "reason"]).to_pydict()
        for item, dimension, mos, low, high, n, reason in zip(*columns.values(), strict=True):
            half = None if low is None else (high - low) / 2
            found.setdefault(item, {})[dimension] = (mos, half, n, reason)
        return found


def score_ratings(rows: RatingRows, usable: set[str], options: Scoring, reject: Reject) -> Scored:
    """Check every rating and score those of usable pairs; of what a person rated more than once the latest counts."""
    table = rows.table()
    ratings, problems = code(table, scale=options.scale, dimensions=DIMENSIONS, duplicates="last")
    if any(problem.reason == "duplicate_rating" for problem in problems):
        table = _in_time(table)
        ratings, problems = code(table, scale=options.scale, dimensions=DIMENSIONS, duplicates="last")
    _report(table, problems, reject)
    labels = ratings.items.to_pylist()
    is_usable = np.array([label in usable for label in labels], bool)
    mask = is_usable[ratings.item] if len(ratings) else np.zeros(0, bool)
    result = score(ratings.select(mask), options)
    return Scored(table, ratings, mask, result)


def _in_time(table: pa.Table) -> pa.Table:
    """The rows by time, compared as text, those without one first; at equal times as they came."""
    column = table["rated_at"].combine_chunks()
    words = pc.fill_null(pc.cast(column.dictionary, pa.string()), "").to_pylist()
    place = {word: number for number, word in enumerate(sorted({"", *words}))}
    # The last is that of a missing time.
    rank = np.array([*(place[word] for word in words), 0])[pc.fill_null(column.indices, -1).to_numpy()]
    return table.take(pa.array(np.argsort(rank, kind="stable")))


def _report(table: pa.Table, problems: list[Problem], reject: Reject) -> None:
    if not problems:
        return
    rows = table.take(pa.array([problem.row for problem in problems])).to_pylist()
    for problem, row in zip(problems, rows, strict=True):
        reject(
            Rejection(
                "rating",
                row["file"],
                row["row"],
                problem.reason,
                problem.message,
                pair_id=row["item"],
                item_id=row["dimension"],
                annotator_id=row["rater"],
            )
        )


def ratings_table(scored: Scored, people: Mapping[str, str], split: Mapping[str, str], size: int) -> Iterator[pa.Table]:
    """The config "ratings" in pieces of `size` rows: every valid rating by pair, dimension and rater, and its fate."""
    ratings, result = scored.ratings, scored.result
    count = len(ratings)
    status = np.full(count, len(STATUSES), np.int32)
    status[scored.usable] = result.status
    z = np.full(count, np.nan)
    if result.unit == "points":
        z[scored.usable] = result.value
    names = pa.array([people[rater] for rater in ratings.raters.to_pylist()], pa.string())
    splits = pa.array([split.get(pair) for pair in ratings.items.to_pylist()], pa.string())
    statuses = pa.array([*STATUSES, "pair_rejected"])
    ledger = _ledger(scored)
    for start in range(0, count, size):
        here = slice(start, start + size)
        source = scored.table.take(pa.array(ratings.index[here]))
        item = pa.array(ratings.item[here])
        columns = {
            "pair_id": ratings.items.take(item),
            "annotator_id": names.take(pa.array(ratings.rater[here])),
            "dimension": ratings.dimensions.take(pa.array(ratings.dimension[here])),
            "score": pa.array(ratings.score[here]),
            "rated_at": pc.cast(source["rated_at"], pa.string()),
            "status": statuses.take(pa.array(status[here])),
            **{name: column.slice(start, size) for name, column in ledger.items()},
            "z": pa.array(z[here], from_pandas=True),
            "split": splits.take(item),
            "file": pc.cast(source["file"], pa.string()),
            "row": pc.cast(source["row"], pa.int32()),
        }
        yield pa.table(columns, schema=features.schema("ratings"))


def _ledger(scored: Scored) -> dict[str, pa.Array]:
    """Rule, statistic and threshold of every rating that was set aside for its own sake."""
    entries = scored.result.ledger()
    entries = entries.filter(pc.equal(entries["what"], "rating"))
    position = np.zeros(len(scored.table), np.int64)
    position[scored.ratings.index] = np.arange(len(scored.ratings))
    rows = position[entries["index"].to_numpy()]
    statistic, threshold = np.full(len(scored.ratings), np.nan), np.full(len(scored.ratings), np.nan)
    statistic[rows], threshold[rows] = entries["statistic"].to_numpy(), entries["threshold"].to_numpy()
    rules = pc.unique(entries["rule"]).to_pylist()
    rule = np.full(len(scored.ratings), -1)
    rule[rows] = pc.index_in(entries["rule"], value_set=pa.array(rules, pa.string())).to_numpy()
    return {
        "rule": pa.array(rules, pa.string()).take(pa.array(rule, mask=rule < 0)),
        "statistic": pa.array(statistic, from_pandas=True),
        "threshold": pa.array(threshold, from_pandas=True),
    }
