"""Resolve repeated ratings of the same item and dimension by the same rater."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mos._arrow import number_array
from mos.errors import UserError
from mos.rejections import Rejection
from mos.times import order_times

DuplicateHandling = Literal["error", "first", "last", "mean", "repetition"]


_MOST_SHOWN = 5

UNORDERED_REASON = "duplicate_unordered"
"""Reason of a repeated rating that does not count although it may be the latest: its time cannot be compared."""

RESOLVED_REASONS = frozenset({"duplicate_rating", UNORDERED_REASON, "averaged_rating"})
"""Reasons of the ratings that do not count because of the chosen handling of duplicates."""


class ResolvedDuplicates(NamedTuple):
    """The rows in canonical order that count, and the rejections of the others.

    kept: [ordered] bool; score: [ordered] float64; repetition: [ordered] int32, None when rows are not numbered
    """

    kept: NDArray[Any]
    score: NDArray[Any]
    repetition: NDArray[Any] | None
    rejections: list[Rejection]


def resolve_duplicates(
    policy: DuplicateHandling, table: pa.Table, rows: NDArray[Any], again: NDArray[Any], score: NDArray[Any]
) -> ResolvedDuplicates:
    """Choose among rows with the same item, dimension, rater and repetition.

    Parameters
    ----------
    policy : {"error", "first", "last", "mean", "repetition"}
        See `validate_ratings`.
    table : pyarrow.Table
        Its columns `file` and `row`, where it has them, name rows in messages. The times in `rated_at`, see
        `mos.times.order_times`, decide which rating is the "last"; of equal times, without times, and where the times
        of the same rating have no order, the last row is.
    rows : ndarray of int, shape (ordered,)
        Positions in the table, in table order among duplicates.
    again : ndarray of bool, shape (ordered,)
        Whether a row is a duplicate of the one before it.
    score : ndarray of float64, shape (ordered,)

    Returns
    -------
    ResolvedDuplicates

    Raises
    ------
    UserError
        For the policy "error".
    """
    what = "dimension and repetition" if "repetition" in table.column_names else "dimension"
    first, last = _duplicate_bounds(again)
    if policy == "error":
        raise _duplicates_error(table, rows, first, again, what)
    if policy == "repetition":
        return ResolvedDuplicates(np.ones(len(rows), bool), score, (np.arange(len(rows)) - first).astype(np.int32), [])
    unordered: NDArray[Any] = np.zeros(len(rows), bool)
    if policy == "last":
        counting, unordered = _latest(table, rows, first, last)
        kept = counting == np.arange(len(rows))
        text = f"the same rater rated this item in this {what} again ({{}}); only that rating counts: keep one"
    else:
        kept, counting = ~again, first
        text = f"the same rater rated this item in this {what} before ({{}}); only that rating counts: keep one"
    reason = "duplicate_rating"
    if policy == "mean":
        score, reason = _duplicate_means(score, first), "averaged_rating"
        text = f"the same rater rated this item in this {what} before ({{}}); the mean of these ratings counts"
    places = _describe_rows(table, rows[counting[~kept]])
    rejections = [
        Rejection("rating", "", row, reason, text.format(place))
        if sure
        else Rejection("rating", "", row, UNORDERED_REASON, f"{text.format(place)}. {_explain_order(table, row)}")
        for row, place, sure in zip(rows[~kept].tolist(), places, ~unordered[~kept], strict=True)
    ]
    return ResolvedDuplicates(kept, score, None, sorted(rejections, key=lambda rejection: rejection.row))


def _duplicate_bounds(again: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """[ordered] position of the first and of the last row that rates the same as each row."""
    starts = np.flatnonzero(~again)
    sizes = np.diff(starts, append=len(again))
    return np.repeat(starts, sizes), np.repeat(starts + sizes - 1, sizes)


def _latest(
    table: pa.Table, rows: NDArray[Any], first: NDArray[Any], last: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """[ordered] position of the latest row that rates the same as each row, and whether their times have no order."""
    repeated = np.flatnonzero(first != last)
    unordered = np.zeros(len(rows), bool)
    if "rated_at" not in table.column_names:
        return last, unordered
    texts = pc.cast(table["rated_at"].take(number_array(rows[repeated])), pa.string()).to_pylist()
    starts = np.flatnonzero(np.diff(first[repeated], prepend=-1))
    rank, ordered = order_times(texts, starts)
    unordered[repeated] = np.repeat(~ordered, np.diff(starts, append=len(repeated)))
    # Rows that rate the same are neighbours, and still are when each group is brought into the order of its times.
    in_time = repeated[np.lexsort((repeated, rank, first[repeated]))]
    latest = last.copy()
    latest[repeated] = in_time[np.searchsorted(repeated, last[repeated])]
    return latest, unordered


def _explain_order(table: pa.Table, row: int) -> str:
    time = pc.cast(table["rated_at"].slice(row, 1), pa.string())[0].as_py() or ""
    return f"The last row counts, since their times have no order ({time[:40]!r}): write them as 2026-03-01T09:30:00Z"


def _duplicate_means(score: NDArray[Any], first: NDArray[Any]) -> NDArray[Any]:
    """[ordered] the mean of the ratings of the same thing; the same for any order of rows, and of equal ones exact."""
    ascending = score[np.lexsort((score, first))]
    starts, sizes = np.unique(first, return_counts=True)
    mean = np.add.reduceat(ascending, starts) / sizes
    return np.repeat(np.clip(mean, ascending[starts], ascending[starts + sizes - 1]), sizes)


def _duplicates_error(
    table: pa.Table, rows: NDArray[Any], first: NDArray[Any], again: NDArray[Any], what: str
) -> UserError:
    repeated = np.flatnonzero(again)
    repeated = repeated[np.argsort(rows[repeated])]
    shown = repeated[:_MOST_SHOWN]
    here, before = _describe_rows(table, rows[shown]), _describe_rows(table, rows[first[shown]])
    pairs = "; ".join(f"{row} rates the same as {earlier}" for row, earlier in zip(here, before, strict=True))
    more = f"; and {len(repeated) - _MOST_SHOWN} more" if len(repeated) > _MOST_SHOWN else ""
    return UserError(
        f"Expected one rating of an item by a rater in a {what}, but {len(repeated)} repeat "
        f"another: {pairs}{more}. Keep one of each, or choose what counts: the first, the last, the mean, or each as a "
        "repetition."
    )


def _describe_rows(table: pa.Table, rows: NDArray[Any]) -> list[str]:
    taken = table.select([name for name in ("file", "row") if name in table.column_names]).take(number_array(rows))
    lines = taken["row"].to_pylist() if "row" in taken.column_names else (rows + 1).tolist()
    files = taken["file"].to_pylist() if "file" in taken.column_names else [None] * len(rows)
    return [f"{file}, row {line}" if file else f"row {line}" for file, line in zip(files, lines, strict=True)]
