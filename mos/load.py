"""Load and check the ratings of a study from files, data frames and Arrow tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from mos.errors import UserError
from mos.files import open_regular_file, replace_file, require_path
from mos.rejections import ROW_REJECTION_KEYS, encode_rejection

if TYPE_CHECKING:
    import pyarrow as pa

    from mos.ratings import Ratings
    from mos.rejections import Rejection


READER_ENTRY_POINTS = "mos.readers"
"""Entry points of readers for other formats: file suffix without its dot -> function from path to table, rejections."""

ROLE_OF_COLUMN = {
    "item": "item",
    "rater": "rater",
    "dimension": "dimension",
    "rating": "score",
    "repetition": "repetition",
    "rated_at": "rated_at",
}
"""The column of the table of ratings that each name in `columns` stands for."""

HARMLESS_REASONS = frozenset({"byte_order_mark"})
_MAX_NAMED_ROWS = 5

RatingDuplicates = Literal["error", "first", "last", "mean", "repetition"]
RatingMissing = Literal["reject", "drop"]


@dataclass(frozen=True, slots=True)
class RatingStudy:
    """The ratings of one or more sources, and how they were read.

    paths: the files; empty for tables in memory
    table: as read, see `mos.table.read.read_ratings_table`, the sources one after another
    rejections: rejected rows; `file` is the path as given, or the class name of a table in memory; `row`
        counts the lines of a CSV file from 1, the rows of a table in memory from 0
    notes: warnings for the user, one sentence each
    scale: as given; None if it was taken from the data
    """

    paths: tuple[Path, ...]
    table: pa.Table
    ratings: Ratings
    rejections: list[Rejection]
    notes: list[str]
    scale: tuple[float, float] | None

    @property
    def name(self) -> str:
        """The name of the first file, and how many more there are."""
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return f"{self.paths[0].name}{more}" if self.paths else "table"

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by name."""
        return {path.name: _hash_file(path) for path in self.paths}


def load_study(
    sources: Sequence[Any],
    columns: Mapping[str, str] | None = None,
    *,
    scale: tuple[float, float] | None = None,
    duplicates: RatingDuplicates | None = None,
    missing: RatingMissing = "reject",
    rejected: Path | None = None,
) -> RatingStudy:
    """Read and check sources of ratings that belong to one study.

    Parameters
    ----------
    sources
        One or more of: a `Path` to a `.csv` or `.parquet` file, or to a file of another format with a reader (such as
        a Label Studio export, `.json`); a table in memory that gives its data as Arrow (`pyarrow.Table`, pandas or
        polars `DataFrame`).
    columns
        From a name in `ROLE_OF_COLUMN` (item, rater, dimension, rating, repetition, rated_at) to the name of that
        column in the source. Columns with a usual name need no entry.
    scale
        Lowest and highest possible rating; None takes the extremes of the data.
    duplicates
        Which rating counts if a rater rated the same thing more than once, as for `mos.table.validate_ratings`. None
        is "last" if every source is a file with a reader of its own, since an export holds all submissions with their
        times; otherwise "error".
    missing
        Whether a blank or NaN score is an invalid row ("reject") or no rating at all ("drop").
    rejected
        File for invalid rows, as JSON lines. None: the first invalid row is an error.

    Returns
    -------
    RatingStudy

    Raises
    ------
    UserError
        For a source that cannot be read, or invalid rows without a file for them; names the first five rows.
    """
    from mos.table import locate_rejections, validate_ratings

    names = [str(source) if isinstance(source, Path) else type(source).__name__ for source in sources]
    roles = _column_roles(columns or {})
    read = [_read_source(source, roles) for source in sources]
    table = _join_tables(names, [table for table, _ in read])
    rejections = [replace(each, file=name) for name, (_, unsplit) in zip(names, read, strict=True) for each in unsplit]
    if not len(table) and not rejections:
        raise UserError(f"{names[0]}: there are no ratings in it; expected one rating a row below the header.")
    duplicates = duplicates or ("last" if all(map(_has_reader, sources)) else "error")
    kept: Any = "first" if duplicates == "error" else duplicates
    try:
        ratings, invalid = validate_ratings(table, scale, duplicates=kept, missing=missing)
    except UserError as error:
        raise UserError(f"{names[0]}: {error}") from None
    origin = table["file"].combine_chunks().indices.to_pylist() if len(sources) > 1 else None
    places = [names[0] if origin is None else names[origin[each.row]] for each in invalid]
    rejections = [each for each in rejections if each.reason not in HARMLESS_REASONS]
    rejections += [
        replace(each, file=name) for name, each in zip(places, locate_rejections(invalid, table), strict=True)
    ]
    if rejected is not None:
        write_rejected_rows(rejected, rejections)
    else:
        _require_no_rejections([each for each in rejections if not _is_resolved(each, duplicates)])
    paths = tuple(source for source in sources if isinstance(source, Path))
    return RatingStudy(paths, table, ratings, rejections, _collect_notes(ratings, scale, rejections, rejected), scale)


def write_rejected_rows(path: Path, rejections: Sequence[Rejection]) -> None:
    """Write a JSON line for every rejected row: file, row, reason, message. Replaces only a list of an earlier run."""
    require_path(path)
    try:
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise UserError(f"{path}: expected the name of a file in a folder that exists.")
        if path.exists() and not _is_rejection_list(path):
            raise UserError(f"{path} is not a list of rejected rows and is not overwritten; choose another name.")
        named = (replace(rejection, file=Path(rejection.file).name) for rejection in rejections)
        replace_file(path, b"".join(encode_rejection(rejection, ROW_REJECTION_KEYS) for rejection in named))
    except OSError as error:
        raise UserError(
            f"{path}: the list of rejected rows cannot be written ({error.strerror or 'input/output error'}); choose "
            "another name."
        ) from None


def _is_rejection_list(path: Path) -> bool:
    with open_regular_file(path) as file:
        first = file.readline(65_536)
    try:
        return not first or {"file", "row", "reason"} <= set(orjson.loads(first))
    except (orjson.JSONDecodeError, TypeError):
        return False


def _column_roles(columns: Mapping[str, str]) -> dict[str, str]:
    """From the names of the table of ratings to those in the source."""
    if not isinstance(columns, Mapping) or not all(isinstance(column, str) for column in columns.values()):
        raise UserError(f"Expected `columns` as a mapping from name to name of a column; got {repr(columns)[:80]}.")
    for name in columns:
        if name not in ROLE_OF_COLUMN:
            raise UserError(f"Unknown column '{str(name)[:60]}'; expected one of {', '.join(ROLE_OF_COLUMN)}.")
    return {ROLE_OF_COLUMN[name]: column for name, column in columns.items()}


def _read_source(source: Any, roles: Mapping[str, str]) -> tuple[pa.Table, list[Rejection]]:
    from mos.table.read import read_arrow_table, read_ratings_table

    if not isinstance(source, Path):
        return read_arrow_table(source, roles), []
    reader = _find_readers().get(_file_suffix(source))
    if reader is None:
        return read_ratings_table(source, roles)
    if roles:
        option = next(name for name, role in ROLE_OF_COLUMN.items() if role in roles)
        raise UserError(f"{source}: columns can be named for .csv and .parquet only; leave out '{option}'.")
    read: tuple[pa.Table, list[Rejection]] = reader.load()(source)
    return read


def _has_reader(source: Any) -> bool:
    return isinstance(source, Path) and _file_suffix(source) in _find_readers()


def _file_suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _find_readers() -> dict[str, EntryPoint]:
    """Readers of formats that are not tables, by the suffix of their files."""
    return {entry.name: entry for entry in entry_points(group=READER_ENTRY_POINTS)}


def _join_tables(names: Sequence[str], tables: Sequence[pa.Table]) -> pa.Table:
    """The tables one after another, with a column `file`; columns of different types as text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from mos._arrow import number_array, text_array

    if len(tables) == 1:
        return tables[0]
    columns = tables[0].column_names
    for name, table in zip(names, tables, strict=True):
        if set(table.column_names) != set(columns):
            differs = ", ".join(sorted(set(table.column_names) ^ set(columns)))
            raise UserError(f"{name}: expected the same columns as in {names[0]}; one of them lacks {differs}.")
    for column in columns:
        if len({table.schema.field(column).type for table in tables}) > 1:
            tables = [
                table.set_column(table.column_names.index(column), column, pc.cast(table[column], pa.string()))
                for table in tables
            ]
    joined = pa.concat_tables([table.select(columns) for table in tables]).unify_dictionaries()
    origin = np.repeat(np.arange(len(tables), dtype=np.int32), [len(table) for table in tables])
    files = pa.DictionaryArray.from_arrays(number_array(origin), text_array([Path(name).name for name in names]))
    return joined.append_column("file", pa.chunked_array([files]))


def _is_resolved(rejection: Rejection, duplicates: str) -> bool:
    """Whether the row does not count because of the chosen handling of duplicates."""
    from mos.table.duplicates import RESOLVED_REASONS

    return duplicates != "error" and rejection.reason in RESOLVED_REASONS


def _require_no_rejections(rejections: Sequence[Rejection]) -> None:
    from mos.table.validate import NO_RATING_REASONS

    if not rejections:
        return
    first = rejections[0].file
    of_first = sorted((each for each in rejections if each.file == first), key=lambda each: each.row)
    # A row of an export holds several ratings, which may be rejected for the same reason.
    sentences = list(dict.fromkeys(f"row {each.row}: {each.message}" for each in of_first))
    named = "; ".join(sentences[:_MAX_NAMED_ROWS])
    more = f"; and {len(sentences) - _MAX_NAMED_ROWS} more" if len(sentences) > _MAX_NAMED_ROWS else ""
    others = f"; and {len(rejections) - len(of_first)} rows of other files" if len(rejections) > len(of_first) else ""
    count = len({each.row for each in of_first})
    rows = "1 row is invalid" if count == 1 else f"{count} rows are invalid"
    ways = ["Correct them"]
    if any(each.reason == "duplicate_rating" for each in rejections):
        ways.append("choose which of repeated ratings counts (option `duplicates`; on the command line --duplicates)")
    if any(each.reason in NO_RATING_REASONS for each in rejections):
        ways.append("drop rows without a score (option `missing`; on the command line --missing drop)")
    comma = "," if len(ways) > 1 else ""
    raise UserError(
        f"{first}: {rows}: {named}{more}{others}. {', '.join(ways)}{comma} or write them to a file and continue "
        "(option `rejected`; on the command line --rejected FILE)."
    )


def describe_ratings(ratings: Ratings, scale: tuple[float, float] | None) -> list[str]:
    """Warn of what looks wrong in ratings.

    Parameters
    ----------
    ratings : Ratings
    scale : (float, float) or None
        As given; None if it was taken from the data.

    Returns
    -------
    list of str
        Sentences on the scale, on scores that look like codes, and on ids with two spellings.
    """
    from mos.table.describe import id_warnings, score_warnings

    notes = []
    if scale is None and len(ratings):
        low, high = ratings.scale
        notes.append(f"No scale was given: taken from the data, {low:g} to {high:g}.")
        notes += score_warnings(ratings)
    return notes + id_warnings(ratings)


def _collect_notes(
    ratings: Ratings, scale: tuple[float, float] | None, rejections: Sequence[Rejection], rejected: Path | None
) -> list[str]:
    from mos.table.duplicates import UNORDERED_REASON

    notes = describe_ratings(ratings, scale)
    unordered = sum(each.reason == UNORDERED_REASON for each in rejections)
    if unordered:
        notes.append(
            f"{unordered} repeated ratings have times without an order, such as 1/9/2026 or 9:05 PM; of each the last "
            "row counts. Write times as 2026-03-01T09:30:00Z."
        )
    if ratings.dropped:
        notes.append(f"{ratings.dropped} rows without a score were dropped.")
    if rejections:
        where = f"; see {rejected}" if rejected is not None else ""
        notes.append(f"{len(rejections)} rows were rejected{where}.")
    return notes


def _hash_file(path: Path) -> str:
    with open_regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
