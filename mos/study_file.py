"""A study kept in one Parquet file: ratings are added, corrected and withdrawn, and all of them are scored again.

The file holds nothing but the ratings and how to score them. Scoring 687,915 ratings takes less time than reading
them, so no sums of earlier ratings are kept. Nothing in the file is executed, and its ratings are validated as those
of any table: truncated, modified or foreign files raise UserError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from mos._arrow import number_array, text_array
from mos._kernels import take_unchecked
from mos.errors import UserError, require_choice
from mos.files import read_regular_file, replace_file
from mos.methods import find_method, score_ratings
from mos.ratings import Ratings
from mos.rejections import Rejection
from mos.scoring.options import ScoringOptions
from mos.scoring.result import ScoringResult
from mos.table import ValidatedRows, locate_rejections, order_ratings, validate_rows
from mos.table.encode import is_number_text
from mos.table.merge import MergedRatings, merge_ratings

OnKnownRating = Literal["error", "keep", "replace"]

_KEY, _CHECKSUM = b"mos_state", b"mos_state_sha256"
_FORMAT = 1
_MAX_ROWS = 200_000_000  # more would not fit into memory, and a few bytes can claim any number
_MAX_NAMED_ROWS = 5
_COLUMNS = ("item", "rater", "dimension", "score")


@dataclass(frozen=True, eq=False, slots=True)
class StoredStudy:
    """Ratings, at most one of an item by a rater in a dimension (and repetition), and how to score them.

    Two studies of the same ratings are equal, however they came about. A study never changes: `add` and `remove`
    return another one.

    Parameters
    ----------
    options : ScoringOptions
        The method and its options.
    scale : (float, float) or None
        Lowest and highest possible score; None accepts any number.
    dimensions : tuple of str or None
        The dimensions there are; None accepts the ones found.
    ratings : Ratings
        In canonical order, with no other names than they have; `index` is the row of `table`.
    repetitions : pyarrow.StringArray
        Names of the repetitions, in order; empty where ratings have none.
    """

    options: ScoringOptions
    scale: tuple[float, float] | None
    dimensions: tuple[str, ...] | None
    ratings: Ratings
    repetitions: pa.StringArray

    @classmethod
    def empty(
        cls, options: ScoringOptions, scale: tuple[float, float] | None, dimensions: Sequence[str] | None = None
    ) -> StoredStudy:
        """A study without ratings; UserError for an empty scale."""
        judged = validate_rows(pa.table({name: pa.nulls(0, pa.string()) for name in _COLUMNS}), scale, dimensions)
        names = None if dimensions is None else tuple(judged.known)
        found = _order_anew(judged, np.zeros(0, np.int64))
        return cls(options, scale, names, found.ratings, found.repetitions)._keep(found, np.zeros(0, bool), True)

    def __len__(self) -> int:
        return len(self.ratings)

    @property
    def table(self) -> pa.Table:
        """A row for each rating: item, rater, dimension, score, and repetition where ratings have one."""
        ratings = self.ratings
        columns = {
            "item": _name_column(ratings.items, ratings.item),
            "rater": _name_column(ratings.raters, ratings.rater),
            "dimension": _name_column(ratings.dimensions, ratings.dimension),
            "score": number_array(ratings.score),
        }
        if len(self.repetitions):
            columns["repetition"] = _name_column(self.repetitions, ratings.repetition)
        return pa.table(columns)

    def add(self, table: pa.Table, on_known: OnKnownRating = "error") -> tuple[StoredStudy, list[Rejection]]:
        """Add the ratings of a table.

        Parameters
        ----------
        table : pyarrow.Table
            As `mos.table.read_ratings_table` returns it. The same rating may come twice.
        on_known : {"error", "keep", "replace"}
            What a rating means when the same rater rated the same thing before with another score, in this table or an
            earlier one: UserError, and nothing is added; the first rating counts, and the other one is rejected; the
            last one counts.

        Returns
        -------
        StoredStudy, list of Rejection
            `row` of a rejection is the row of `table`, from 0. Rejected rows leave no names in the study.

        Raises
        ------
        UserError
            For a table that `mos.table.validate_ratings` refuses, and for repetitions of another kind than before.
        """
        require_choice("on_known", on_known, get_args(OnKnownRating))
        judged = validate_rows(table, self.scale, self.dimensions)
        merged = self._unite(judged)
        score, places, first = merged.ratings.score, merged.places, merged.first
        known = []
        if on_known != "replace":
            differing = merged.rows[score[places] != score[first]]
            known = [_reject_known(row) for row in np.sort(differing).tolist()]
        if known and on_known == "error":
            raise _known_ratings_error(known, table)
        kept = np.ones(len(score), bool)
        # Ratings of the same thing are neighbours: of each, the last or the first one stays.
        kept[(places - 1 if on_known == "replace" else places)[places != first]] = False
        rejections = sorted([*judged.rejections, *known], key=lambda rejection: rejection.row)
        # A dropped rating has the names of the one that stays; only the first table may bring names of bad rows.
        return self._keep(merged, kept, unused_names=not len(self)), rejections

    def remove(self, table: pa.Table) -> tuple[StoredStudy, list[Rejection]]:
        """Withdraw the ratings that a table names: item, rater, dimension, and repetition where there are any.

        Scores in the table do not matter. A row that names no rating of the study is rejected.
        Raises UserError as `add` does.
        """
        named = table.drop_columns([name for name in table.column_names if name == "score"])
        named = named.append_column("score", number_array(np.zeros(table.num_rows)))
        judged = validate_rows(named, None, self.dimensions)
        merged = self._unite(judged)
        kept = np.ones(len(merged.ratings), bool)
        kept[merged.places] = False
        unknown = np.sort(merged.rows[~kept[merged.first]])
        kept[merged.first] = False
        rejections = [*judged.rejections, *map(_reject_unknown, unknown.tolist())]
        study = self._keep(merged, kept, unused_names=True)
        return study, sorted(rejections, key=lambda rejection: rejection.row)

    def result(self, progress: Callable[[int], None] | None = None) -> ScoringResult:
        """Score all ratings.  progress: see `mos.methods.score_ratings`."""
        return score_ratings(self.ratings, self.options, progress=progress)

    def _unite(self, judged: ValidatedRows) -> MergedRatings:
        """Our ratings and the valid rows of a table in canonical order; among duplicates ours first, then by row."""
        rows = np.arange(len(judged.dimension)) if judged.good is None else np.flatnonzero(judged.good)
        more = _clean_table(judged, rows)
        _require_one_repetition_kind(self.repetitions, more, len(self), len(rows))
        if not len(self):
            return _order_anew(judged, np.arange(len(judged.dimension)))
        merged = merge_ratings(self.ratings, self.repetitions, judged, rows, self.dimensions)
        if merged is not None:
            return merged
        united = validate_rows(pa.concat_tables([self.table, more]), None, self.dimensions)
        return _order_anew(united, np.append(np.full(len(self), -1), rows))

    def _keep(self, merged: MergedRatings, kept: NDArray[Any], unused_names: bool) -> StoredStudy:
        """The study of the ratings where `kept` [N] is True, without the names that these do not have.

        unused_names: whether there may be such names
        """
        repetitions = merged.repetitions
        left = merged.ratings if kept.all() else merged.ratings.select(kept)
        items, item = left.items, left.item
        raters, rater = left.raters, left.rater
        dimensions, dimension = left.dimensions, left.dimension
        repetition = left.repetition
        if unused_names:
            items, item = _used_names(items, item)
            raters, rater = _used_names(raters, rater)
            if self.dimensions is None:
                dimensions, dimension = _used_names(dimensions, dimension)
            if len(repetitions):
                repetitions, repetition = _used_names(repetitions, repetition)
        score = left.score + 0.0  # zero has one sign, so that equal studies make equal files
        low, high = self.scale or ((score.min(), score.max()) if len(score) else (np.nan, np.nan))
        coded = Ratings(
            items,
            raters,
            dimensions,
            item=item,
            rater=rater,
            dimension=dimension,
            score=score,
            index=np.arange(len(score)),
            scale=(float(low), float(high)),
            repetition=repetition,
        )
        return replace(self, ratings=coded, repetitions=repetitions)


def _order_anew(judged: ValidatedRows, origin: NDArray[Any]) -> MergedRatings:
    """The valid rows in canonical order; origin: [all rows] row of the table that is added, -1 of a known rating."""
    ratings, again = order_ratings(judged)
    places = np.arange(len(ratings))
    first = places if again is None else np.maximum.accumulate(np.where(again, 0, places))
    rows = take_unchecked(origin, ratings.index)
    new = np.flatnonzero(rows >= 0)
    repetition = judged.columns.repetition
    return MergedRatings(
        ratings, text_array([]) if repetition is None else repetition.labels, new, rows[new], first[new]
    )


def _used_names(names: pa.StringArray, codes: NDArray[Any]) -> tuple[pa.StringArray, NDArray[Any]]:
    """The names that occur, and the codes of the rows in them."""
    used = np.zeros(len(names), bool)
    used[codes] = True
    if used.all():
        return names, codes
    position = (np.cumsum(used) - 1).astype(codes.dtype)
    return names.take(number_array(np.flatnonzero(used))), take_unchecked(position, codes)


def _name_column(names: pa.StringArray, codes: NDArray[Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(number_array(codes), names)


def _clean_table(judged: ValidatedRows, rows: NDArray[Any]) -> pa.Table:
    """The names and scores of some rows, as they were encoded."""
    columns = judged.columns
    table = {
        "item": _name_column(*_used_names(columns.item.labels, columns.item.codes[rows])),
        "rater": _name_column(*_used_names(columns.rater.labels, columns.rater.codes[rows])),
        "dimension": _name_column(*_used_names(text_array(judged.known), judged.dimension[rows])),
        "score": number_array(columns.scores.values[rows]),
    }
    if columns.repetition is not None:
        table["repetition"] = _name_column(*_used_names(columns.repetition.labels, columns.repetition.codes[rows]))
    return pa.table(table)


def _require_one_repetition_kind(known: pa.StringArray, more: pa.Table, before: int, arriving: int) -> None:
    """Refuse a mix of numbers and other names, because it would change the order of the repetitions.

    before, arriving: how many ratings there are of each
    """
    kind = _repetition_kind(more["repetition"].chunk(0).dictionary if "repetition" in more.column_names else known[:0])
    after = f" after {_repetition_kind(known)}" if before else ""
    if arriving and (kind == "mixed" or (before and kind != _repetition_kind(known))):
        raise UserError(
            f"Expected repetitions of one kind: numbers, names, or none (no column 'repetition'); got {kind}{after}: "
            "change the column."
        )


def _repetition_kind(names: pa.StringArray) -> str:
    if not len(names):
        return "none"
    numeric = {is_number_text(name) for name in names.to_pylist()}
    return "mixed" if len(numeric) > 1 else "names" if False in numeric else "numbers"


def _reject_known(row: int) -> Rejection:
    message = "the same rater rated this before with another score; only that rating counts: keep one"
    return Rejection("rating", "", row, "known_rating", message)


def _reject_unknown(row: int) -> Rejection:
    message = "there is no such rating that could be withdrawn; check the item, the rater and the dimension"
    return Rejection("rating", "", row, "unknown_rating", message)


def _known_ratings_error(known: list[Rejection], table: pa.Table) -> UserError:
    shown = ", ".join(str(each.row) for each in locate_rejections(known[:_MAX_NAMED_ROWS], table))
    more = f", and {len(known) - _MAX_NAMED_ROWS} more" if len(known) > _MAX_NAMED_ROWS else ""
    return UserError(
        f"Expected new ratings, but {len(known)} rate what the same rater rated before, with another score: row "
        f"{shown}{more}. Nothing was added; leave them out, or choose to keep the earlier ones or to replace them."
    )


class _FileMetadata(BaseModel):
    """How the ratings of the file are scored."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: int
    rows: int
    options: dict[str, Any]
    scale: tuple[float, float] | None
    dimensions: tuple[str, ...] | None


def save_study(study: StoredStudy, path: Path) -> None:
    """Write the file of a study in one step; see `mos.files.open_replacement`.

    Parameters
    ----------
    study : StoredStudy
    path : Path
        File to write. Its folder must exist. An interrupted write leaves the earlier file unchanged.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    try:
        replace_file(path, encode_study(study))
    except OSError as error:
        raise UserError(f"{path}: the state cannot be written ({error.strerror or 'input/output error'}).") from error


def open_study(path: Path) -> StoredStudy:
    """Read the file of a study.

    Parameters
    ----------
    path : Path

    Returns
    -------
    StoredStudy

    Raises
    ------
    UserError
        When the file does not exist, cannot be read, is damaged, or is no study.
    """
    try:
        return decode_study(read_regular_file(path))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; check the path.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or 'input/output error'}).") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def encode_study(study: StoredStudy) -> bytes:
    """Encode a study as the bytes of its file; equal studies give equal bytes."""
    metadata = {
        "format": _FORMAT,
        "rows": len(study),
        "options": study.options.model_dump(),
        "scale": study.scale,
        "dimensions": study.dimensions,
    }
    encoded = orjson.dumps(metadata, _encode_decimal, orjson.OPT_SORT_KEYS)
    table = study.table.replace_schema_metadata({_KEY: encoded, _CHECKSUM: sha256(encoded).hexdigest()})
    sink = pa.BufferOutputStream()
    # Pages have checksums of their own in Parquet; its metadata have none.
    pq.write_table(table, sink, compression="snappy", write_statistics=False, write_page_checksum=True)
    return bytes(sink.getvalue())


def decode_study(data: bytes) -> StoredStudy:
    """Decode the bytes of a study's file; UserError when they are damaged or no study."""
    table = _decode_table(data)
    metadata = _decode_metadata(table.schema.metadata or {})
    options = find_method(str(metadata.options.get("method"))).options.from_mapping(metadata.options)
    study, rejections = StoredStudy.empty(options, metadata.scale, metadata.dimensions).add(
        table.replace_schema_metadata(None), "keep"
    )
    if rejections or not len(study) == table.num_rows == metadata.rows:
        raise UserError("the ratings are not as they were saved; load a copy of the file.")
    return study


def _decode_table(data: bytes) -> pa.Table:
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            if file.metadata.num_rows > _MAX_ROWS:
                raise UserError(f"expected at most {_MAX_ROWS} ratings, but the file claims {file.metadata.num_rows}.")
            table = file.read()
        table.validate(full=True)
        return table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError("expected a saved state, but the file is cut off or something else; load a copy.") from error


def _decode_metadata(metadata: Mapping[bytes, bytes]) -> _FileMetadata:
    if _KEY not in metadata:
        raise UserError("expected a saved state, but this is another table; add it to a state as ratings.")
    encoded = metadata[_KEY]
    try:
        if metadata.get(_CHECKSUM) != sha256(encoded).hexdigest().encode():
            raise UserError("the saved state was altered; load a copy of the file.")
        value = orjson.loads(encoded)
        if isinstance(value, dict) and value.get("format") != _FORMAT:
            raise UserError("the state was saved by another version; load it with that one, or score the ratings anew.")
        return _FileMetadata.model_validate_json(encoded)
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise UserError("the file does not say how its ratings are scored; load a copy.") from error


def _encode_decimal(value: Any) -> str:
    """A decimal as text, without zeros at its end."""
    if not isinstance(value, Decimal):
        raise TypeError
    return str(value.normalize(Context(prec=max(len(value.as_tuple().digits), 1))))
