"""Several ratings of the same thing by the same rater: which of them counts."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from mos.arrow import numbers
from mos.errors import UserError
from mos.table.problem import Problem

Duplicates = Literal["error", "first", "last", "mean", "repetition"]
_SHOWN = 5


class Settled(NamedTuple):
    """What counts of rows in canonical order, and the problems of those that do not.

    kept: [ordered] bool; score: [ordered] float64; repetition: [ordered] int32, None when rows are not numbered
    """

    kept: np.ndarray
    score: np.ndarray
    repetition: np.ndarray | None
    problems: list[Problem]


def settle(policy: Duplicates, table: pa.Table, rows: np.ndarray, again: np.ndarray, score: np.ndarray) -> Settled:
    """Choose among rows that rate the same.

    table: what the rows are of; its columns `file` and `row`, where it has them, name rows in messages
    rows: [ordered] positions in the table, in table order among rows that rate the same
    again: [ordered] bool, whether a row rates the same as the one before it
    score: [ordered] float64
    Raises UserError for the policy "error".
    """
    what = "dimension and repetition" if "repetition" in table.column_names else "dimension"
    first, last = _ends(again)
    if policy == "error":
        raise _refused(table, rows, first, again, what)
    if policy == "repetition":
        return Settled(np.ones(len(rows), bool), score, (np.arange(len(rows)) - first).astype(np.int32), [])
    if policy == "last":
        kept, counting = last == np.arange(len(rows)), last
        text = f"the same rater rated this item in this {what} again ({{}}); only that rating counts: keep one"
    else:
        kept, counting = ~again, first
        text = f"the same rater rated this item in this {what} before ({{}}); only that rating counts: keep one"
    reason = "duplicate_rating"
    if policy == "mean":
        score, reason = _means(score, first), "averaged_rating"
        text = f"the same rater rated this item in this {what} before ({{}}); the mean of these ratings counts"
    places = _places(table, rows[counting[~kept]])
    problems = [
        Problem(row, reason, text.format(place)) for row, place in zip(rows[~kept].tolist(), places, strict=True)
    ]
    return Settled(kept, score, None, sorted(problems, key=lambda problem: problem.row))


def _ends(again: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[ordered] position of the first and of the last row that rates the same as each row."""
    starts = np.flatnonzero(~again)
    sizes = np.diff(starts, append=len(again))
    return np.repeat(starts, sizes), np.repeat(starts + sizes - 1, sizes)


def _means(score: np.ndarray, first: np.ndarray) -> np.ndarray:
    """[ordered] the mean of the ratings of the same thing; the same for any order of rows, and of equal ones exact."""
    ascending = score[np.lexsort((score, first))]
    starts, sizes = np.unique(first, return_counts=True)
    mean = np.add.reduceat(ascending, starts) / sizes
    return np.repeat(np.clip(mean, ascending[starts], ascending[starts + sizes - 1]), sizes)


def _refused(table: pa.Table, rows: np.ndarray, first: np.ndarray, again: np.ndarray, what: str) -> UserError:
    repeated = np.flatnonzero(again)
    repeated = repeated[np.argsort(rows[repeated])]
    shown = repeated[:_SHOWN]
    here, before = _places(table, rows[shown]), _places(table, rows[first[shown]])
    told = "; ".join(f"{one} rates the same as {other}" for one, other in zip(here, before, strict=True))
    more = f"; and {len(repeated) - _SHOWN} more" if len(repeated) > _SHOWN else ""
    return UserError(
        f"Expected one rating of an item by a rater in a {what}, but {len(repeated)} repeat "
        f"another: {told}{more}. Keep one of each, or choose what counts: the first, the last, the mean, or each as a "
        "repetition."
    )


def _places(table: pa.Table, rows: np.ndarray) -> list[str]:
    taken = table.select([name for name in ("file", "row") if name in table.column_names]).take(numbers(rows))
    lines = taken["row"].to_pylist() if "row" in taken.column_names else (rows + 1).tolist()
    files = taken["file"].to_pylist() if "file" in taken.column_names else [None] * len(rows)
    return [f"{file}, row {line}" if file else f"row {line}" for file, line in zip(files, lines, strict=True)]
