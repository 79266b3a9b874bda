"""Ratings as columns: collected from exports and tables, scored by `mos`, and written with their status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, Rating, Rejection
from annotation.regions import describe_unknown_pair
from editfhf import features
from editfhf.builder.options import ScoringSection
from mos.errors import UserError
from mos.methods import score_ratings
from mos.scoring.estimate import RATING_STATUSES
from mos.scoring.result import ScoringResult, scores_in_points
from mos.spellings import KnownSpellings, describe_difference, find_other_spellings
from mos.table import Ratings, read_ratings_table, validate_ratings
from mos.table.encode import ids_as_text
from mos.table.read import REQUIRED_ROLES

_RejectRating = Callable[[Rejection], None]

COLLECTED_COLUMNS = ("item", "rater", "dimension", "score", "rated_at", "file", "row")
COLLECTED_TEXT_COLUMNS = ("item", "rater", "dimension", "rated_at")
PREFERRED_COLUMNS = ("pair_id", "annotator_id", "score")
"""Columns of a table that count in a corpus, where it has others for the same thing as well."""
CHUNK_RATINGS = 30_000


@dataclass
class CollectedRatings:
    """Ratings in reading order, from exports (`add`) and from long tables (`add_table`)."""

    _chunks: list[pa.Table] = field(default_factory=list)
    _waiting: list[Rating] = field(default_factory=list)

    def add(self, ratings: list[Rating]) -> None:
        """Add the ratings of one studio task."""
        self._waiting.extend(ratings)
        if len(self._waiting) >= CHUNK_RATINGS:
            self._close_chunk()

    def add_table(self, path: Path, file: str, known: Mapping[str, int], reject: _RejectRating) -> None:
        """Add a long table; rows of unknown pairs and unreadable rows are rejected."""
        try:
            table, rejections = read_ratings_table(
                path, preferred=PREFERRED_COLUMNS, required=(*REQUIRED_ROLES, "dimension")
            )
            table = _cast_text_columns(table)
        except UserError as error:
            reject(Rejection("file", file, 1, "broken_table", str(error).replace(f"{path.parent}/", "")))
            return
        except pa.ArrowException as error:
            message = f"expected columns of UTF-8 text and a column of numbers: {str(error).splitlines()[0][:200]}"
            reject(Rejection("file", file, 1, "broken_table", message))
            return
        for rejection in rejections:
            repaired = rejection.reason == "byte_order_mark"
            what = "file" if repaired else "rating"
            reject(Rejection(what, file, rejection.row, rejection.reason, rejection.message, repaired=repaired))
        item = table["item"]
        has_item = pc.not_equal(pc.fill_null(item, ""), "")
        unknown = pc.and_(has_item, pc.invert(pc.is_in(item, value_set=pa.array(list(known), pa.string()))))
        spellings = KnownSpellings(known)
        for row, pair_id in zip(
            table["row"].filter(unknown).to_pylist(), item.filter(unknown).to_pylist(), strict=True
        ):
            message = describe_unknown_pair(pair_id, spellings, "rating")
            reject(Rejection("rating", file, row, "unknown_pair", message, pair_id=pair_id))
        if not len(table) and not any(rejection.reason != "byte_order_mark" for rejection in rejections):
            message = "The table has a header and no rows: nothing was read. Delete it or write it again."
            reject(Rejection("file", file, 1, "empty_file", message))
        kept = table.filter(pc.invert(unknown))
        files = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(kept), np.int32)), [file])
        self._close_chunk()  # of two ratings with the same time the later one in reading order counts
        self._chunks.append(_encode_text_columns(kept.append_column("file", files).select(COLLECTED_COLUMNS)))

    def table(self) -> pa.Table:
        """All ratings with `COLLECTED_COLUMNS`; texts are dictionary-encoded."""
        self._close_chunk()
        if any(not pa.types.is_float64(chunk["score"].type) for chunk in self._chunks):
            self._chunks = [_cast_scores_to_text(chunk) for chunk in self._chunks]
        plain = [_encode_text_columns(chunk) for chunk in self._chunks]
        self._chunks.clear()
        return pa.concat_tables(plain).unify_dictionaries() if plain else _collected_schema(pa.float64()).empty_table()

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
        self._chunks.append(_encode_text_columns(pa.table(columns)))
        self._waiting.clear()


def _cast_text_columns(table: pa.Table) -> pa.Table:
    """The table with `COLLECTED_TEXT_COLUMNS` as text; `pa.ArrowException` if a column cannot be text."""
    for name in COLLECTED_TEXT_COLUMNS:
        text = _column_as_text(table[name])
        text.validate(full=True)
        text = pc.utf8_trim_whitespace(text) if name == "item" else text
        table = table.set_column(table.column_names.index(name), name, text)
    if not pa.types.is_float64(table["score"].type):
        table = _cast_scores_to_text(table)
        table["score"].validate(full=True)
    return table


def _column_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as text: whole numbers without a point, as their ids are written."""
    if pa.types.is_floating(column.type):
        return pa.chunked_array([ids_as_text(column.combine_chunks())])
    return pc.cast(column, pa.string())


CODED_TEXT = pa.dictionary(pa.int32(), pa.string())


def _collected_schema(score: pa.DataType) -> pa.Schema:
    kinds = {"score": score, "row": pa.int64()}
    return pa.schema([(name, kinds.get(name, CODED_TEXT)) for name in COLLECTED_COLUMNS])


def _encode_text_columns(chunk: pa.Table) -> pa.Table:
    """The chunk with dictionary-encoded texts: few raters and pairs repeat in many ratings."""
    for position, name in enumerate(COLLECTED_COLUMNS):
        column = chunk[name]
        if name not in ("score", "row") and column.type != CODED_TEXT:
            chunk = chunk.set_column(position, name, pc.cast(column, pa.string()).dictionary_encode())
    return chunk.cast(_collected_schema(chunk["score"].type))


def _cast_scores_to_text(chunk: pa.Table) -> pa.Table:
    position = chunk.column_names.index("score")
    return chunk.set_column(position, "score", pc.cast(chunk["score"], pa.string()))


@dataclass(frozen=True)
class ScoredRatings:
    """The valid ratings and the scores of usable pairs.

    Attributes
    ----------
    table : pa.Table
        All ratings as collected.
    ratings : Ratings
        The valid ones; `ratings.index` is the row in `table`.
    usable : NDArray
        bool [len(ratings)]: whether the pair is usable.
    result : ScoringResult
        Of the usable ratings.
    """

    table: pa.Table
    ratings: Ratings
    usable: NDArray[Any]
    result: ScoringResult

    @property
    def scores(self) -> pa.Table:
        """The scores in points from 0 to 100, whatever the method."""
        return scores_in_points(self.result)

    def by_pair(self) -> dict[str, dict[str, tuple[float | None, float | None, int, str | None]]]:
        """(score, half-width of its interval, number of ratings, reason if it is None) by pair and dimension."""
        found: dict[str, dict[str, tuple[float | None, float | None, int, str | None]]] = {}
        columns = self.scores.select(["item", "dimension", "mos", "ci_low", "ci_high", "n", "reason"]).to_pydict()
        for item, dimension, mos, low, high, n, reason in zip(*columns.values(), strict=True):
            half = None if low is None else (high - low) / 2
            found.setdefault(item, {})[dimension] = (mos, half, n, reason)
        return found


def score_corpus_ratings(
    rows: CollectedRatings, usable: set[str], options: ScoringSection, reject: _RejectRating
) -> ScoredRatings:
    """Validate all ratings and score those of usable pairs.

    Of several ratings of one rater, pair and dimension the latest counts.
    """
    table = rows.table()
    ratings, rejections = validate_ratings(table, scale=options.scale, dimensions=DIMENSIONS, duplicates="last")
    _report_rejections(table, rejections, reject)
    _report_rater_spellings(table, ratings, reject)
    labels = ratings.items.to_pylist()
    is_usable = np.array([label in usable for label in labels], bool)
    mask = is_usable[ratings.item] if len(ratings) else np.zeros(0, bool)
    result = score_ratings(ratings.select(mask), options)
    return ScoredRatings(table, ratings, mask, result)


def _report_rater_spellings(table: pa.Table, ratings: Ratings, reject: _RejectRating) -> None:
    """Tell of raters whose id is another spelling of another rater's; they stay two people."""
    names = ratings.raters.to_pylist()
    found = {other: one for one, other in find_other_spellings(names)}
    if not found:
        return
    codes, first = np.unique(ratings.rater, return_index=True)
    for code, position in zip(codes.tolist(), first.tolist(), strict=True):
        if (one := found.get(names[code])) is not None:
            place = table.slice(int(ratings.index[position]), 1).to_pylist()[0]
            message = (
                f"the id of another rater is the same in another spelling ({describe_difference(one, names[code])}); "
                "they count as two people: write it one way"
            )
            reject(
                Rejection(
                    "rater", place["file"], place["row"], "similar_id", message, annotator_id=names[code], repaired=True
                )
            )


def _report_rejections(table: pa.Table, rejections: list[Rejection], reject: _RejectRating) -> None:
    if not rejections:
        return
    rows = table.take(pa.array([rejection.row for rejection in rejections])).to_pylist()
    for rejection, row in zip(rejections, rows, strict=True):
        names = {"pair_id": row["item"], "item_id": row["dimension"], "annotator_id": row["rater"]}
        reject(replace(rejection, file=row["file"], row=row["row"], **names))


def iterate_ratings_table(
    scored: ScoredRatings, people: Mapping[str, str], split: Mapping[str, str], size: int
) -> Iterator[pa.Table]:
    """The table "ratings" in pieces of `size` rows: every valid rating with its status and split."""
    ratings, result = scored.ratings, scored.result
    count = len(ratings)
    status = np.full(count, len(RATING_STATUSES), np.int32)
    status[scored.usable] = result.status
    z = np.full(count, np.nan)
    if result.unit == "points":
        z[scored.usable] = result.value
    names = pa.array([people[rater] for rater in ratings.raters.to_pylist()], pa.string())
    splits = pa.array([split.get(pair) for pair in ratings.items.to_pylist()], pa.string())
    statuses = pa.array([*RATING_STATUSES, "pair_rejected"])
    ledger = _make_decision_columns(scored)
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
        yield pa.table(columns, schema=features.make_arrow_schema("ratings"))


def _make_decision_columns(scored: ScoredRatings) -> dict[str, pa.Array]:
    """Rule, statistic and threshold of every rating that was excluded as an outlier; null for all others."""
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
