"""The long table of ratings, checked row by row and coded as integers."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa

from mos.arrow import numbers, texts
from mos.errors import UserError
from mos.ratings import Ratings
from mos.table.coding import Coded, Columns, code_columns
from mos.table.duplicates import Duplicates, settle
from mos.table.faults import FAULTS, NO_RATING, find_faults, tell
from mos.table.ordering import Part, gathered, order, ordered_codes
from mos.table.problem import Problem

Missing = Literal["reject", "drop"]

_COLUMNS = ("item", "rater", "dimension", "score")
MAX_DIMENSIONS = 1000


def code(
    table: pa.Table,
    scale: tuple[float, float] | None,
    dimensions: Sequence[str] | None = None,
    *,
    duplicates: Duplicates = "first",
    missing: Missing = "reject",
) -> tuple[Ratings, list[Problem]]:
    """Check every row of a table with columns item, rater, dimension and score, and code the good ones.

    scale: lowest and highest possible score; None accepts any number
    dimensions: the dimensions there are; None accepts the ones found
    duplicates: what counts when a rater rated an item in a dimension before: the "first" or the "last" of these
        ratings, or their "mean", in the place of the first; "repetition" numbers them in table order and keeps all;
        "error" raises UserError with the first five
    missing: "drop" takes a null, blank or NaN score for no rating, which is counted in `Ratings.dropped` and is no
        problem; the item and the rater stay listed

    Bad rows are set aside as problems, in table order: a null or blank field, an unknown dimension, a score that is
    not a finite number or is out of scale, and the ratings that do not count, or count in a mean only.
    Where the table has a column `repetition`, a rater may rate an item in a dimension once for each value of it;
    the values are counted from 0 in the order of numbers if all of them are numbers, else in that of text.
    Where the table has columns `file` and `row`, messages name other rows by them.
    Raises UserError for a missing column, a column of a type that cannot hold what it should, or an empty scale.

    >>> table = pa.table({"item": ["a", "b"], "rater": ["r", "r"], "dimension": ["d", "d"], "score": [3.5, 7.0]})
    >>> ratings, problems = code(table, scale=(1, 5))
    >>> len(ratings), problems[0].reason, problems[0].message
    (1, 'out_of_scale', 'the score 7.0 is outside the scale from 1 to 5; correct it')
    """
    one_of("duplicates", duplicates, get_args(Duplicates))
    if duplicates == "repetition" and "repetition" in table.column_names:
        raise UserError(
            "The table already has a column 'repetition', so repeated ratings cannot be numbered; choose what else "
            "duplicates shall mean, or leave the column out."
        )
    judged = judge(table, scale, dimensions, missing)
    problems = judged.problems
    ratings, again = _ordered(judged)
    if again is not None:
        settled = settle(duplicates, table, ratings.index, again, ratings.score)
        problems = sorted(problems + settled.problems, key=lambda problem: problem.row)
        repetition = ratings.repetition if settled.repetition is None else settled.repetition
        ratings = replace(ratings, score=settled.score, repetition=repetition).select(settled.kept)
    low, high = scale or _extremes(ratings.score)
    return replace(ratings, scale=(float(low), float(high)), dropped=judged.dropped), problems


class Judged(NamedTuple):
    """Every row of a table on its own, before rows are compared.

    columns: as they were coded; known: the dimensions that there are; dimension: [rows] int16 position in them, -1 for
    another or none; good: [rows] bool, None where all rows are; problems: in table order; dropped: see `Ratings`
    """

    columns: Columns
    known: list[str]
    dimension: np.ndarray
    good: np.ndarray | None
    problems: list[Problem]
    dropped: int


def judge(
    table: pa.Table,
    scale: tuple[float, float] | None,
    dimensions: Sequence[str] | None = None,
    missing: Missing = "reject",
) -> Judged:
    """Check every row of a table by itself; everything as in `code`."""
    _check(table, scale)
    one_of("missing", missing, get_args(Missing))
    columns = code_columns(table)
    known = _known_dimensions(columns.dimension, dimensions)
    dimension = _translation(columns.dimension.labels, known)[columns.dimension.codes]
    faults = find_faults(columns, dimension, scale)
    good = None if not faults.any() else faults == 0
    dropped = 0
    if missing == "drop":
        no_rating = np.isin(faults, [FAULTS.index(name) + 1 for name in NO_RATING])
        dropped = int(np.count_nonzero(no_rating))
        faults[no_rating] = 0
    return Judged(columns, known, dimension, good, tell(table, faults, columns.dimension, known, scale), dropped)


def complain(problems: Sequence[Problem], path: Path, limit: int = 5) -> UserError:
    """One error for all problems of a file, naming the first `limit` by their rows and saying how many more there are.

    problems: one or more, whose `row` counts as the file does; see `located`
    """
    told = "; ".join(
        f"row {problem.row}: {problem.message}" for problem in sorted(problems, key=lambda problem: problem.row)[:limit]
    )
    more = f"; and {len(problems) - limit} more" if len(problems) > limit else ""
    rows = "1 row cannot be used as it is" if len(problems) == 1 else f"{len(problems)} rows cannot be used as they are"
    return UserError(f"{path}: {rows}: {told}{more}.")


def located(problems: Sequence[Problem], table: pa.Table) -> list[Problem]:
    """Problems of `code` with the row of the file, as the column `row` of `table` has it, in place of the table's."""
    if "row" not in table.column_names:
        return [replace(problem, row=problem.row + 1) for problem in problems]
    lines = table["row"].take(numbers(np.array([problem.row for problem in problems], np.int64))).to_pylist()
    return [replace(problem, row=line) for problem, line in zip(problems, lines, strict=True)]


def completeness(ratings: Ratings) -> pa.Table:
    """How full the design is, a row a dimension: dimension, items, items_rated, raters, ratings, fill.

    items: all there are; raters: those who rated in this dimension; fill: ratings as a share of what there would be
    had each of these raters rated every item, as often as anyone repeated; null where there are none
    """
    dimensions, items = len(ratings.dimensions), len(ratings.items)
    given = np.bincount(ratings.dimension, minlength=dimensions)
    items_rated = _counted(ratings.groups(), items, dimensions)
    raters = _counted(ratings.rater_keys(), len(ratings.raters), dimensions)
    possible = items * raters * ratings.repetitions
    return pa.table(
        {
            "dimension": ratings.dimensions,
            "items": numbers(np.full(dimensions, items)),
            "items_rated": numbers(items_rated),
            "raters": numbers(raters),
            "ratings": numbers(given),
            "fill": numbers(given / np.maximum(possible, 1), possible > 0),
        }
    )


def _counted(key: np.ndarray, size: int, dimensions: int) -> np.ndarray:
    """[dimensions] how many of `size` things have a rating in a dimension; key: [N] thing * dimensions + dimension."""
    there = np.zeros(size * dimensions, bool)
    there[key] = True
    return there.reshape(size, dimensions).sum(axis=0)


def _check(table: pa.Table, scale: tuple[float, float] | None) -> None:
    lacking = [name for name in _COLUMNS if name not in table.column_names]
    if lacking:
        raise UserError(f"The table of ratings lacks {', '.join(lacking)}; it has {', '.join(table.column_names)}.")
    if scale is not None and not scale[0] < scale[1]:
        raise UserError(f"The scale must go from a lower to a higher number; got {scale[0]:g} to {scale[1]:g}.")


def one_of(name: str, value: str, known: Sequence[str]) -> None:
    """UserError where the choice `name` is not one of those `known`."""
    if value not in known:
        raise UserError(f"{name} must be one of {', '.join(known)}; got '{value}'.")


def _ordered(judged: Judged) -> tuple[Ratings, np.ndarray | None]:
    """The good rows in canonical order; and `again` of `mos.table.ordering.Order`."""
    columns, known, dimension = judged.columns, judged.known, judged.dimension
    item, rater, repetition = columns.item, columns.rater, columns.repetition
    parts = [Part(item.codes, len(item.labels)), Part(dimension, len(known)), Part(rater.codes, len(rater.labels))]
    if repetition is not None:
        parts.append(Part(repetition.codes, len(repetition.labels)))
    found = order(parts, judged.good)
    codes = ordered_codes(parts, found)
    ratings = Ratings(
        items=item.labels,
        raters=rater.labels,
        dimensions=texts(known),
        item=codes[0],
        rater=codes[2],
        dimension=codes[1],
        score=gathered(columns.scores.values, found.rows),
        index=found.rows,
        scale=(np.nan, np.nan),
        repetition=codes[3] if repetition is not None else np.zeros(len(found.rows), np.int32),
    )
    return ratings, found.again


def _extremes(score: np.ndarray) -> tuple[float, float]:
    return (float(score.min()), float(score.max())) if len(score) else (np.nan, np.nan)


def _known_dimensions(found: Coded, dimensions: Sequence[str] | None) -> list[str]:
    names = found.labels.to_pylist() if dimensions is None else dimensions
    known = sorted({unicodedata.normalize("NFC", name) for name in names})
    if len(known) > MAX_DIMENSIONS:
        raise UserError(
            f"The column 'dimension' has {len(known)} different values; expected a few, such as 'overall': "
            "check which column holds the dimension."
        )
    return known


def _translation(labels: pa.StringArray, known: Sequence[str]) -> np.ndarray:
    """From the code of a label to its position in `known`, -1 where it is not there; the last entry is for code -1."""
    position = {name: at for at, name in enumerate(known)}
    return np.array([position.get(label, -1) for label in labels.to_pylist()] + [-1], np.int16)
