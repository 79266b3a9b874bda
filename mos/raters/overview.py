"""How did every rater rate?  One row each."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mos.arrow import numbers, texts
from mos.errors import UserError
from mos.raters.closeness import closeness
from mos.raters.columns import COLUMNS
from mos.raters.distinct import distinct
from mos.raters.drift import drift
from mos.raters.flagging import flagging, sides
from mos.raters.influence import influence
from mos.raters.retest import retest
from mos.raters.scale_use import scale_use
from mos.raters.sheet import Sheet, checked_times, make_sheet
from mos.raters.straight_lining import straight_lining

if TYPE_CHECKING:
    from mos.ratings import Ratings
    from mos.scoring.result import Result

_COUNTS = frozenset(
    ["n", "items", "alone", "screened", "flagged", "bt500_p", "bt500_q", "levels", "longest_run", "retests"]
)


def report(
    ratings: Ratings,
    *,
    result: Result | None = None,
    times: np.ndarray | None = None,
    dimension: str | None = None,
) -> pa.Table:
    """The table of raters, in the order of `ratings.raters`, with the columns of `COLUMNS`; null where unknown.

    result: whose flags and exclusions to show, from any method, of these raters; None flags what is more than two
        sample standard deviations from the mean of its item and dimension, and excludes nobody.  It stands for all
        dimensions that were scored, also where one `dimension` is asked for
    times: [N] numbers or datetime64, when each of the ratings was given; None takes the order of the table's rows
    dimension: look at the ratings of this dimension alone; None looks at all of them together: means and counts
        are over all ratings, and spreads, ranks, runs and slopes are taken within each dimension and then pooled, so
        that a difference between dimensions which everyone makes is nobody's inconsistency, agreement or drift
    All figures are of the ratings as given, nothing removed.  The schema's metadata say whether the sequence of a
    rater's ratings is that of `times` or of `rows`.
    Raises UserError for an unknown dimension, times that do not fit, or a result of other raters.
    """
    times = None if times is None else checked_times(times, len(ratings))
    if dimension is not None:
        rows = np.flatnonzero(ratings.dimension == _position(ratings, dimension))
        times = None if times is None else times[rows]
        ratings = ratings.select(rows)
    sheet = make_sheet(ratings, times)
    found = {"n": sheet.count(), "items": _items(sheet)} | flagging(ratings, result) | sides(ratings)
    for part in (closeness, scale_use, straight_lining, drift, retest, influence):
        found |= part(sheet)
    made = {name: _column(name, values) for name, values in found.items()}
    made |= {
        "rater": ratings.raters,
        "excluded": pa.nulls(sheet.raters, pa.bool_()),
        "reason": _no_reason(sheet.raters),
    }
    if result is not None:
        made |= {name: result.raters[name] for name in ("excluded", "reason")}
    order = "rows" if times is None else "times"
    return pa.table({name: made[name] for name in COLUMNS}).replace_schema_metadata({"sequence": order})


def _position(ratings: Ratings, dimension: str) -> int:
    known = ratings.dimensions.to_pylist()
    if dimension in known:
        return known.index(dimension)
    close = difflib.get_close_matches(dimension, known, n=1)
    meant = f"; did you mean '{close[0]}'?" if close else ";"
    raise UserError(f"unknown dimension '{dimension}'{meant} expected one of {', '.join(known)}.")


def _items(sheet: Sheet) -> np.ndarray:
    ratings = sheet.ratings
    items = max(len(ratings.items), 1)
    found = distinct(ratings.rater.astype(np.int64) * items + ratings.item, sheet.raters * items)
    return np.bincount(found.key // items, minlength=sheet.raters)


def _column(name: str, values: np.ndarray) -> pa.Array:
    known = ~np.isnan(values)
    values = np.where(known, values, 0)
    return numbers(values.astype(np.int64 if name in _COUNTS else np.float64), known)


def _no_reason(size: int) -> pa.StringArray:
    return texts([""]).take(numbers(np.zeros(size, np.int32), np.zeros(size, bool)))
