"""Validate a long table of ratings row by row and encode it as `Ratings`.

Invalid rows become rejections with a reason and a message. When a rater rated the same thing more than once,
a policy decides which rating counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mos._arrow import number_array, text_array
from mos._kernels import KeyPart, order_rows, reorder_codes, take_unchecked
from mos.errors import UserError, require_choice
from mos.ratings import Ratings
from mos.rejections import Rejection
from mos.spellings import KnownSpellings
from mos.table.duplicates import DuplicateHandling, resolve_duplicates
from mos.table.encode import MISSING_CODES_ABOVE, MISSING_CODES_BELOW, EncodedColumns, EncodedLabels, encode_columns
from mos.words import did_you_mean

# In the order of the checks: a row gets the first reason that holds.
ROW_REASONS = (
    "missing_item",
    "missing_rater",
    "missing_dimension",
    "missing_repetition",
    "unknown_dimension",
    "missing_score",
    "not_a_number",
    "nan_score",
    "infinite_score",
    "out_of_scale",
)


NO_RATING_REASONS = ("missing_score", "nan_score")


def find_row_reasons(
    columns: EncodedColumns, dimension: NDArray[Any], scale: tuple[float, float] | None
) -> NDArray[Any]:
    """[rows] uint8: 0 for a good row, else 1 + position in `ROW_REASONS`.

    dimension: [rows] position in the dimensions that there are, -1 for another or none
    """
    scores = columns.scores
    masks = {
        "missing_item": _blank_mask(columns.item),
        "missing_rater": _blank_mask(columns.rater),
        "missing_dimension": _blank_mask(columns.dimension),
        "missing_repetition": None if columns.repetition is None else _blank_mask(columns.repetition),
        "unknown_dimension": dimension < 0,
        "missing_score": scores.missing,
        "not_a_number": scores.unreadable,
        **_score_masks(scores.values, scale),
    }
    faults = np.zeros(len(dimension), np.uint8)
    for number, name in reversed(list(enumerate(ROW_REASONS, start=1))):
        mask = masks[name]
        if mask is not None:
            faults[mask] = number
    return faults


def _blank_mask(coded: EncodedLabels) -> NDArray[Any] | None:
    return None if coded.complete else coded.codes < 0


def _score_masks(values: NDArray[Any], scale: tuple[float, float] | None) -> dict[str, NDArray[Any] | None]:
    """Masks of the scores that are not on the scale."""
    low, high = scale or (-np.finfo(np.float64).max, np.finfo(np.float64).max)
    if not len(values) or (values.min() >= low and values.max() <= high):  # false where there is a NaN
        return {"nan_score": None, "infinite_score": None, "out_of_scale": None}
    return {
        "nan_score": np.isnan(values),
        "infinite_score": np.isinf(values),
        "out_of_scale": (values < low) | (values > high) if scale else None,
    }


def describe_rejections(
    table: pa.Table,
    faults: NDArray[Any],
    dimension: EncodedLabels,
    known: Sequence[str],
    scale: tuple[float, float] | None,
) -> list[Rejection]:
    """A rejection for every row with a reason, in table order.

    faults: see `find_row_reasons`; dimension: that column; known: the dimensions that there are
    """
    bad = np.flatnonzero(faults)
    if not len(bad):
        return []
    scores = table["score"].take(number_array(bad)).to_pylist()
    labels = [*dimension.labels.to_pylist(), None]
    rows = zip(bad.tolist(), faults[bad].tolist(), scores, dimension.codes[bad].tolist(), strict=True)
    low, high = scale or (None, None)
    spellings = KnownSpellings(known)
    explain: dict[str, Callable[[object, str | None], str]] = {
        "missing_item": lambda _s, _d: "the item is blank; write the id of what was rated",
        "missing_rater": lambda _s, _d: "the rater is blank; write who rated",
        "missing_dimension": lambda _s, _d: "the dimension is blank; write what was rated",
        "missing_repetition": lambda _s, _d: "the repetition is blank; number the ratings of the same item",
        "unknown_dimension": lambda _s, d: _unknown_dimension_message(d or "", known, spellings),
        "missing_score": lambda s, _d: _missing_score_message(s),
        "not_a_number": lambda s, _d: _not_a_number_message(s),
        "nan_score": lambda _s, _d: "the score is not a number (NaN); leave the row out when there is no rating",
        "infinite_score": lambda _s, _d: "the score is infinite; correct it",
        "out_of_scale": lambda s, _d: _out_of_scale_message(s, low, high),
    }
    return [
        Rejection("rating", "", row, name := ROW_REASONS[fault - 1], explain[name](score, labels[label]))
        for row, fault, score, label in rows
    ]


def _shorten_value(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _missing_score_message(score: object) -> str:
    text = str(score or "").strip()
    found = f"{_shorten_value(text)!r} stands for no score" if text else "the score is blank"
    return f"{found}; leave the row out when there is no rating"


def _unknown_dimension_message(dimension: str, known: Sequence[str], spellings: KnownSpellings) -> str:
    hint = did_you_mean(dimension, known)
    if other := spellings.explain(dimension):
        hint = f" {other[0].upper()}{other[1:]}."
    return f"unknown dimension '{_shorten_value(dimension)}'.{hint} Expected one of {', '.join(known)}"


def _not_a_number_message(score: object) -> str:
    hint = "write decimals with a point" if isinstance(score, str) and "," in score else "correct it"
    return f"the score '{_shorten_value(score)}' is not a number; {hint}"


def _out_of_scale_message(score: object, low: float | None, high: float | None) -> str:
    message = f"the score {_shorten_value(score)} is outside the scale from {low:g} to {high:g}"
    if float(str(score)) in (*MISSING_CODES_BELOW, *MISSING_CODES_ABOVE):
        return f"{message}; it looks like a mark for a missing answer: leave such rows out"
    return f"{message}; correct it"


MissingHandling = Literal["reject", "drop"]


_NEEDED_COLUMNS = ("item", "rater", "dimension", "score")


MAX_DIMENSIONS = 1000

_MAX_CELLS_PER_ROW, _FREE_CELLS = 50, 1_000_000
"""Items or raters times dimensions that are taken for each row of a table, and for any table."""


def validate_ratings(
    table: pa.Table,
    scale: tuple[float, float] | None,
    dimensions: Sequence[str] | None = None,
    *,
    duplicates: DuplicateHandling = "first",
    missing: MissingHandling = "reject",
) -> tuple[Ratings, list[Rejection]]:
    """Check every row of a table with columns item, rater, dimension and score, and code the good ones.

    Parameters
    ----------
    table : pyarrow.Table
        As of `read_ratings_table`. Where it has columns `file` and `row`, messages name other rows by them.
    scale : (float, float) or None
        Lowest and highest possible score; None accepts any number.
    dimensions : sequence of str, optional
        Names of the dimensions; by default those that the table has.
    duplicates : {"first", "last", "mean", "repetition", "error"}
        Which of several ratings of an item in a dimension by a rater counts: the first in table order; the last by
        the times in the column `rated_at`, of equal ones and where times have no order by table order (see
        `mos.times.order_times`); or their mean, in the place of the first. "repetition" numbers them in table order
        and keeps all; "error" raises UserError with the first five.
    missing : {"reject", "drop"}
        "drop" leaves out rows with a null, blank or NaN score, or a mark for a missing one such as NA, without a
        rejection, and counts them in `Ratings.dropped`; their items and raters stay listed.

    Returns
    -------
    ratings : Ratings
    rejections : list of Rejection
        In table order: rows with a null or blank field, an unknown dimension, or a score that is not a finite number
        or is out of scale; and ratings that do not count, or count in a mean only.

    Raises
    ------
    UserError
        For a missing column, a column of the wrong type, an empty scale, or duplicates with the policy "error".

    Notes
    -----
    Where the table has a column `repetition`, a rater may rate an item in a dimension once for each of its values.
    They are numbered from 0, in the order of numbers if all of them are numbers, else in the order of text.

    Examples
    --------
    >>> table = pa.table({"item": ["a", "b"], "rater": ["r", "r"], "dimension": ["d", "d"], "score": [3.5, 7.0]})
    >>> ratings, rejections = validate_ratings(table, scale=(1, 5))
    >>> len(ratings), rejections[0].reason, rejections[0].message
    (1, 'out_of_scale', 'the score 7.0 is outside the scale from 1 to 5; correct it')
    """
    require_choice("duplicates", duplicates, get_args(DuplicateHandling))
    if duplicates == "repetition" and "repetition" in table.column_names:
        raise UserError(
            "The table already has a column 'repetition', so repeated ratings cannot be numbered; choose another "
            "option for duplicates, or leave the column out."
        )
    judged = validate_rows(table, scale, dimensions, missing)
    rejections = judged.rejections
    ratings, again = order_ratings(judged)
    if again is not None:
        settled = resolve_duplicates(duplicates, table, ratings.index, again, ratings.score)
        rejections = sorted(rejections + settled.rejections, key=lambda rejection: rejection.row)
        repetition = ratings.repetition if settled.repetition is None else settled.repetition
        ratings = replace(ratings, score=settled.score, repetition=repetition).select(settled.kept)
    low, high = scale or _score_range(ratings.score)
    return replace(ratings, scale=(float(low), float(high)), dropped=judged.dropped), rejections


class ValidatedRows(NamedTuple):
    """The rows of a table after the checks of single rows, before duplicates are resolved.

    columns: as they were coded; known: the dimensions that there are; dimension: [rows] int16 position in them, -1 for
    another or none; good: [rows] bool, None where all rows are; rejections: in table order; dropped: see `Ratings`
    """

    columns: EncodedColumns
    known: list[str]
    dimension: NDArray[Any]
    good: NDArray[Any] | None
    rejections: list[Rejection]
    dropped: int


def validate_rows(
    table: pa.Table,
    scale: tuple[float, float] | None,
    dimensions: Sequence[str] | None = None,
    missing: MissingHandling = "reject",
) -> ValidatedRows:
    """Check every row of a table on its own, without a search for duplicates.

    Parameters are those of `validate_ratings`.

    Returns
    -------
    ValidatedRows
    """
    _check_table(table, scale)
    require_choice("missing", missing, get_args(MissingHandling))
    columns = encode_columns(table)
    known = find_dimension_names(columns.dimension.labels, dimensions)
    require_likely_dimensions("items", len(columns.item.labels), len(known), len(table))
    require_likely_dimensions("raters", len(columns.rater.labels), len(known), len(table))
    dimension = _dimension_positions(columns.dimension.labels, known)[columns.dimension.codes]
    faults = find_row_reasons(columns, dimension, scale)
    good = None if not faults.any() else faults == 0
    dropped = 0
    if missing == "drop":
        no_rating = np.isin(faults, [ROW_REASONS.index(name) + 1 for name in NO_RATING_REASONS])
        dropped = int(np.count_nonzero(no_rating))
        faults[no_rating] = 0
    return ValidatedRows(
        columns, known, dimension, good, describe_rejections(table, faults, columns.dimension, known, scale), dropped
    )


def rejections_error(rejections: Sequence[Rejection], path: Path, limit: int = 5) -> UserError:
    """One error for all rejections of a file: it names the first `limit` rows and the number of the others.

    rejections: one or more, whose `row` counts as the file does; see `locate_rejections`
    """
    messages = "; ".join(
        f"row {rejection.row}: {rejection.message}"
        for rejection in sorted(rejections, key=lambda rejection: rejection.row)[:limit]
    )
    more = f"; and {len(rejections) - limit} more" if len(rejections) > limit else ""
    rows = (
        "1 row cannot be used as it is"
        if len(rejections) == 1
        else f"{len(rejections)} rows cannot be used as they are"
    )
    return UserError(f"{path}: {rows}: {messages}{more}.")


def locate_rejections(rejections: Sequence[Rejection], table: pa.Table) -> list[Rejection]:
    """Replace the row numbers of rejections by those of the file.

    Parameters
    ----------
    rejections : sequence of Rejection
        As of `validate_ratings`.
    table : pyarrow.Table
        Its column `row` holds the row numbers of the file; without it, rows are counted from 1.

    Returns
    -------
    list of Rejection
    """
    if "row" not in table.column_names:
        return [replace(rejection, row=rejection.row + 1) for rejection in rejections]
    lines = table["row"].take(number_array(np.array([rejection.row for rejection in rejections], np.int64))).to_pylist()
    return [replace(rejection, row=line) for rejection, line in zip(rejections, lines, strict=True)]


def _check_table(table: pa.Table, scale: tuple[float, float] | None) -> None:
    lacking = [name for name in _NEEDED_COLUMNS if name not in table.column_names]
    if lacking:
        raise UserError(f"The table of ratings lacks {', '.join(lacking)}; it has {', '.join(table.column_names)}.")
    if scale is None:
        return
    if not isinstance(scale, Sequence) or len(scale) != 2 or not all(isinstance(end, Real) for end in scale):
        raise UserError(f"The scale must be two numbers, the lowest and the highest rating; got {repr(scale)[:60]}.")
    if not (scale[0] < scale[1] and all(map(math.isfinite, scale))):
        raise UserError(
            f"The scale must go from a lower to a higher number, not infinite; got {scale[0]:g} to {scale[1]:g}."
        )


def order_ratings(judged: ValidatedRows) -> tuple[Ratings, NDArray[Any] | None]:
    """Order the valid rows by item, dimension, rater and repetition.

    Parameters
    ----------
    judged : ValidatedRows

    Returns
    -------
    ratings : Ratings
    again : ndarray of bool, or None
        Whether a rating is a duplicate of the one before it; None where there are none.
    """
    columns, known, dimension = judged.columns, judged.known, judged.dimension
    item, rater, repetition = columns.item, columns.rater, columns.repetition
    parts = [
        KeyPart(item.codes, len(item.labels)),
        KeyPart(dimension, len(known)),
        KeyPart(rater.codes, len(rater.labels)),
    ]
    if repetition is not None:
        parts.append(KeyPart(repetition.codes, len(repetition.labels)))
    found = order_rows(parts, judged.good)
    codes = reorder_codes(parts, found)
    ratings = Ratings(
        items=item.labels,
        raters=rater.labels,
        dimensions=text_array(known),
        item=codes[0],
        rater=codes[2],
        dimension=codes[1],
        score=take_unchecked(columns.scores.values, found.rows),
        index=found.rows,
        scale=(np.nan, np.nan),
        repetition=codes[3] if repetition is not None else np.zeros(len(found.rows), np.int32),
    )
    return ratings, found.again


def _score_range(score: NDArray[Any]) -> tuple[float, float]:
    return (float(score.min()), float(score.max())) if len(score) else (np.nan, np.nan)


def find_dimension_names(found: pa.StringArray, dimensions: Sequence[str] | None) -> list[str]:
    """The dimensions there are, sorted: those that were given, else those found; UserError for too many."""
    known = sorted(set(found.to_pylist() if dimensions is None else dimensions))
    if len(known) > MAX_DIMENSIONS:
        raise UserError(
            f"The column 'dimension' has {len(known)} different values; expected a few, such as 'overall': "
            "check which column holds the dimension."
        )
    return known


def require_likely_dimensions(what: str, names: int, dimensions: int, rows: int) -> None:
    """UserError where the table of items, or raters, by dimension would be out of proportion to the ratings.

    what, names: "items" or "raters", and how many of them there are
    """
    if names * dimensions > _MAX_CELLS_PER_ROW * rows + _FREE_CELLS:
        raise UserError(
            f"The column 'dimension' has {dimensions} different values for {names:,} {what} and {rows:,} ratings; "
            "expected a few, such as 'overall': check which column holds the dimension."
        )


def _dimension_positions(labels: pa.StringArray, known: Sequence[str]) -> NDArray[Any]:
    """From the code of a label to its position in `known`, -1 where it is not there; the last entry is for code -1."""
    position = {name: at for at, name in enumerate(known)}
    return np.array([position.get(label, -1) for label in labels.to_pylist()] + [-1], np.int16)
