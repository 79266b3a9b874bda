"""Tables of ratings from files, checked: what every command works on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mos.cli.writing import write_rejected
from mos.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

    from mos.ratings import Ratings
    from mos.table.problem import Problem

READERS = "mos.readers"  # entry points: file suffix without its dot -> function from path to table and problems
HARMLESS = frozenset({"byte_order_mark"})
_SHOWN = 5


class Aside(NamedTuple):
    """A row set aside: its file, and what is wrong; `row` counts as the file does."""

    path: Path
    problem: Problem


@dataclass(frozen=True, slots=True)
class Study:
    """The ratings of one or more files, and what is to be known of the reading.

    table: as it was read, see `mos.table.reading.read_columns`, the files one after another
    asides: rows set aside
    notes: sentences for a person
    scale: as it was given, None where it was taken from the data
    """

    paths: tuple[Path, ...]
    table: pa.Table
    ratings: Ratings
    asides: list[Aside]
    notes: list[str]
    scale: tuple[float, float] | None

    @property
    def name(self) -> str:
        """What to call it in a sentence or a title."""
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return f"{self.paths[0].name}{more}"

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by name."""
        return {path.name: _digest(path) for path in self.paths}


def load(
    paths: Sequence[Path],
    names: Mapping[str, str],
    *,
    scale: tuple[float, float] | None,
    duplicates: Literal["error", "first", "last", "mean", "repetition"],
    missing: Literal["reject", "drop"],
    rejected: Path | None,
) -> Study:
    """Read and check tables that belong together.

    names: from our name of a column to that in the files; rejected: where bad rows are written
    Raises UserError naming the first bad rows, unless there is a file to set them aside in.
    """
    from mos.table import code, located

    read = [_read(path, names) for path in paths]
    table = _joined(paths, [table for table, _ in read])
    asides = [Aside(path, each) for path, (_, unsplit) in zip(paths, read, strict=True) for each in unsplit]
    if not len(table) and not asides:
        raise UserError(f"{paths[0]}: there are no ratings in it; expected one rating a row below the header.")
    kept: Any = "first" if duplicates == "error" else duplicates
    try:
        ratings, found = code(table, scale, duplicates=kept, missing=missing)
    except UserError as error:
        raise UserError(f"{paths[0]}: {error}") from None
    origin = table["file"].combine_chunks().indices.to_pylist() if len(paths) > 1 else None
    places = [paths[0] if origin is None else paths[origin[problem.row]] for problem in found]
    asides = [aside for aside in asides if aside.problem.reason not in HARMLESS]
    asides += [Aside(path, problem) for path, problem in zip(places, located(found, table), strict=True)]
    if rejected is not None:
        write_rejected(rejected, asides)
    else:
        _demand_sound([aside for aside in asides if not _settled(aside.problem, duplicates)])
    return Study(tuple(paths), table, ratings, asides, _notes(ratings, scale, asides, rejected), scale)


def _settled(problem: Problem, duplicates: str) -> bool:
    """Whether the row does not count because the person who runs the command said so."""
    return duplicates != "error" and problem.reason in ("duplicate_rating", "averaged_rating")


def _demand_sound(asides: Sequence[Aside]) -> None:
    if not asides:
        return
    first = asides[0].path
    here = sorted((aside.problem for aside in asides if aside.path == first), key=lambda problem: problem.row)
    told = "; ".join(f"row {problem.row}: {problem.message}" for problem in here[:_SHOWN])
    more = f"; and {len(here) - _SHOWN} more" if len(here) > _SHOWN else ""
    others = f"; and {len(asides) - len(here)} rows of other files" if len(asides) > len(here) else ""
    rows = "1 row cannot be used as it is" if len(here) == 1 else f"{len(here)} rows cannot be used as they are"
    repeated = any(aside.problem.reason == "duplicate_rating" for aside in asides)
    choose = ", say which of repeated ratings counts with --duplicates," if repeated else ""
    raise UserError(
        f"{first}: {rows}: {told}{more}{others}. Correct them{choose} or set them aside with --rejected FILE."
    )


def _read(path: Path, names: Mapping[str, str]) -> tuple[pa.Table, list[Problem]]:
    from mos.table.reading import read_columns

    suffix = path.suffix.lower().removeprefix(".")
    further = {entry.name: entry for entry in entry_points(group=READERS)}
    if suffix not in further:
        return read_columns(path, names)
    if names:
        raise UserError(f"{path}: columns can be named for .csv and .parquet only; leave out --{next(iter(names))}.")
    read: tuple[pa.Table, list[Problem]] = further[suffix].load()(path)
    return read


def _joined(paths: Sequence[Path], tables: Sequence[pa.Table]) -> pa.Table:
    """The tables one after another, with a column `file`; columns of different types as text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from mos.arrow import numbers, texts

    if len(tables) == 1:
        return tables[0]
    columns = tables[0].column_names
    for path, table in zip(paths, tables, strict=True):
        if set(table.column_names) != set(columns):
            differs = ", ".join(sorted(set(table.column_names) ^ set(columns)))
            raise UserError(f"{path}: expected the same columns as in {paths[0]}; one of them lacks {differs}.")
    for name in columns:
        if len({table.schema.field(name).type for table in tables}) > 1:
            tables = [
                table.set_column(table.column_names.index(name), name, pc.cast(table[name], pa.string()))
                for table in tables
            ]
    joined = pa.concat_tables([table.select(columns) for table in tables]).unify_dictionaries()
    origin = np.repeat(np.arange(len(tables), dtype=np.int32), [len(table) for table in tables])
    files = pa.DictionaryArray.from_arrays(numbers(origin), texts([path.name for path in paths]))
    return joined.append_column("file", pa.chunked_array([files]))


def _notes(
    ratings: Ratings, scale: tuple[float, float] | None, asides: Sequence[Aside], rejected: Path | None
) -> list[str]:
    from mos.table.doubts import doubtful_extremes, doubtful_ids

    notes = []
    if scale is None and len(ratings):
        low, high = ratings.scale
        notes.append(f"No --scale was given: taken from the data, {low:g} to {high:g}.")
        notes += doubtful_extremes(ratings)
    notes += doubtful_ids(ratings)
    if ratings.dropped:
        notes.append(f"{ratings.dropped} rows without a score were dropped.")
    if asides:
        where = f"; see {rejected}" if rejected is not None else ""
        notes.append(f"{len(asides)} rows were set aside{where}.")
    return notes


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
