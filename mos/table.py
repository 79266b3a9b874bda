"""The long table of ratings, checked row by row and coded as integers."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mos.arrow import numbers, texts
from mos.coding import Coded, Scores, code_labels, code_repetitions, code_scores
from mos.errors import UserError
from mos.problem import Problem
from mos.ratings import Ratings
from mos.reading import read_columns

__all__ = ["Problem", "Ratings", "code", "read_columns"]

_COLUMNS = ("item", "rater", "dimension", "score")
_MAX_DIMENSIONS = 1000
_SENTINELS = (-1.0, -9.0, -99.0, -999.0, 99.0, 999.0)


def code(
    table: pa.Table, scale: tuple[float, float] | None, dimensions: Sequence[str] | None = None
) -> tuple[Ratings, list[Problem]]:
    """Check every row of a table with columns item, rater, dimension and score, and code the good ones.

    scale: lowest and highest possible score; None accepts any number
    dimensions: the dimensions there are; None accepts the ones found
    Bad rows are set aside as problems, in table order: a null or blank field, an unknown dimension, a score that is
    not a finite number or is out of scale, and any but the first rating of an item by a rater in a dimension.
    Where the table has a column `repetition`, a rater may rate an item in a dimension once for each value of it;
    the values are counted from 0 in the order of numbers if all of them are numbers, else in that of text.
    Where the table has columns `file` and `row`, messages name other rows by them.
    Raises UserError for a missing column, a column of a type that cannot hold what it should, or an empty scale.

    >>> table = pa.table({"item": ["a", "b"], "rater": ["r", "r"], "dimension": ["d", "d"], "score": [3.5, 7.0]})
    >>> ratings, problems = code(table, scale=(1, 5))
    >>> len(ratings), problems[0].reason, problems[0].message
    (1, 'out_of_scale', 'the score 7.0 is outside the scale from 1 to 5; correct it')
    """
    _check(table, scale)
    item, rater, found, scores = _columns(table)
    repetition = code_repetitions(table["repetition"]) if "repetition" in table.column_names else None
    known = _known_dimensions(found, dimensions)
    translation = _translation(found.labels, known)
    dimension = translation[found.codes]
    reasons = _reasons(
        {
            "missing_item": None if item.complete else item.codes < 0,
            "missing_rater": None if rater.complete else rater.codes < 0,
            "missing_dimension": None if found.complete else found.codes < 0,
            "missing_repetition": None if repetition is None or repetition.complete else repetition.codes < 0,
            "unknown_dimension": None if found.complete and (translation[:-1] >= 0).all() else dimension < 0,
            "missing_score": scores.missing,
            "not_a_number": scores.unreadable,
            **_beyond(scores.values, scale),
        },
        len(table),
    )
    problems = _problems(table, np.flatnonzero(reasons.codes), reasons, found, known, scale)

    parts = [(item.codes, len(item.labels)), (dimension, len(known)), (rater.codes, len(rater.labels))]
    if repetition is not None:
        parts.append((repetition.codes, len(repetition.labels)))
    key, keys = _keys(*parts)
    rows, again = _ordered(key, keys, None if not reasons.codes.any() else np.flatnonzero(reasons.codes == 0))
    if again is not None:
        problems = sorted(problems + _duplicates(table, rows, again), key=lambda problem: problem.row)
        rows = rows[~again]
    score = scores.values[rows]
    if scale is None:
        scale = (score.min(), score.max()) if len(score) else (np.nan, np.nan)
    ratings = Ratings(
        items=item.labels,
        raters=rater.labels,
        dimensions=texts(known),
        item=item.codes[rows],
        rater=rater.codes[rows],
        dimension=dimension[rows],
        score=score,
        index=rows.astype(np.int64, copy=False),
        scale=(float(scale[0]), float(scale[1])),
        repetition=np.zeros(len(rows), np.int32) if repetition is None else repetition.codes[rows],
    )
    return ratings, problems


def _check(table: pa.Table, scale: tuple[float, float] | None) -> None:
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise UserError(f"The table of ratings lacks {', '.join(missing)}; it has {', '.join(table.column_names)}.")
    if scale is not None and not scale[0] < scale[1]:
        raise UserError(f"The scale must go from a lower to a higher number; got {scale[0]:g} to {scale[1]:g}.")


def _columns(table: pa.Table) -> tuple[Coded, Coded, Coded, Scores]:
    """Items, raters, dimensions and scores.  Arrow lets go of the interpreter, so two columns are read at a time."""
    with ThreadPoolExecutor(2) as pool:
        # Items first: they take longest.
        item, rater, found = (pool.submit(code_labels, table[name], name) for name in ("item", "rater", "dimension"))
        scores = pool.submit(code_scores, table["score"])
        return item.result(), rater.result(), found.result(), scores.result()


def _beyond(values: np.ndarray, scale: tuple[float, float] | None) -> dict[str, np.ndarray | None]:
    """Where a score is no number that the scale has."""
    low, high = scale or (-np.finfo(np.float64).max, np.finfo(np.float64).max)
    if not len(values) or (values.min() >= low and values.max() <= high):  # false where there is a NaN
        return {"nan_score": None, "infinite_score": None, "out_of_scale": None}
    return {
        "nan_score": np.isnan(values),
        "infinite_score": np.isinf(values),
        "out_of_scale": (values < low) | (values > high) if scale else None,
    }


def _keys(*parts: tuple[np.ndarray, int]) -> tuple[np.ndarray, int]:
    """One number for the codes of each row, ordered as they are, and how many numbers there can be.

    parts: codes [rows] of a part and how many there are; a row with a negative code gets an arbitrary number.
    """
    bound = math.prod(size for _, size in parts)
    key = np.zeros(len(parts[0][0]), np.int32 if bound < 2**31 else np.int64)
    for codes, size in parts:
        np.multiply(key, size, out=key)
        np.add(key, codes, out=key)
    return key, bound


def _ordered(key: np.ndarray, keys: int, rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """`rows`, all where None, by ascending key (below `keys`), in table order where keys are equal.

    And whether each repeats the key before it; None when no key is repeated.
    """
    if rows is None:
        rows = np.arange(len(key))
    else:
        key = key[rows]
    if keys <= 4 * len(key) + 1_000_000:  # nearly every key is there: no need to sort
        at = np.full(keys, -1, np.int64)
        at[key] = rows
        ordered = at if keys == len(key) and at.min(initial=0) >= 0 else at[at >= 0]
        if len(ordered) == len(rows):
            return ordered, None
    order = _stable_order(key)
    key = key[order]
    again = np.zeros(len(key), bool)
    again[1:] = key[1:] == key[:-1]
    return rows[order], again if again.any() else None


def _known_dimensions(found: Coded, dimensions: Sequence[str] | None) -> list[str]:
    known = sorted(set(dimensions)) if dimensions is not None else found.labels.to_pylist()
    if len(known) > _MAX_DIMENSIONS:
        raise UserError(
            f"The column 'dimension' has {len(known)} different values; expected a few, such as 'overall': "
            "check which column holds the dimension."
        )
    return known


def _translation(labels: pa.StringArray, known: Sequence[str]) -> np.ndarray:
    """From the code of a label to its position in `known`, -1 where it is not there; the last entry is for code -1."""
    position = {name: at for at, name in enumerate(known)}
    return np.array([position.get(label, -1) for label in labels.to_pylist()] + [-1], np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class _Reasons:
    names: tuple[str, ...]
    codes: np.ndarray  # [rows] uint8: 0 for a good row, else 1 + position in `names` of the first reason that holds


def _reasons(masks: dict[str, np.ndarray | None], rows: int) -> _Reasons:
    codes = np.zeros(rows, np.uint8)
    for number, mask in reversed(list(enumerate(masks.values(), start=1))):
        if mask is not None:
            codes[mask] = number
    return _Reasons(tuple(masks), codes)


def _problems(
    table: pa.Table,
    bad: np.ndarray,
    reasons: _Reasons,
    found: Coded,
    known: Sequence[str],
    scale: tuple[float, float] | None,
) -> list[Problem]:
    if not len(bad):
        return []
    scores = table["score"].take(numbers(bad)).to_pylist()
    labels = [*found.labels.to_pylist(), None]
    rows = zip(bad.tolist(), reasons.codes[bad].tolist(), scores, found.codes[bad].tolist(), strict=True)
    low, high = scale or (None, None)
    explain: dict[str, Callable[[object, str | None], str]] = {
        "missing_item": lambda _s, _d: "the item is blank; write the id of what was rated",
        "missing_rater": lambda _s, _d: "the rater is blank; write who rated",
        "missing_dimension": lambda _s, _d: "the dimension is blank; write what was rated",
        "missing_repetition": lambda _s, _d: "the repetition is blank; number the ratings of the same item",
        "unknown_dimension": lambda _s, d: _unknown(d or "", known),
        "missing_score": lambda _s, _d: "the score is blank; leave the row out when there is no rating",
        "not_a_number": lambda s, _d: _not_a_number(s),
        "nan_score": lambda _s, _d: "the score is not a number (NaN); leave the row out when there is no rating",
        "infinite_score": lambda _s, _d: "the score is infinite; correct it",
        "out_of_scale": lambda s, _d: _out_of_scale(s, low, high),
    }
    return [
        Problem(row, name := reasons.names[reason - 1], explain[name](score, labels[label]))
        for row, reason, score, label in rows
    ]


def _excerpt(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _unknown(dimension: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(dimension, known, n=1)
    meant = f"; did you mean '{close[0]}'?" if close else ";"
    return f"unknown dimension '{_excerpt(dimension)}'{meant} expected one of {', '.join(known)}"


def _not_a_number(score: object) -> str:
    hint = "write decimals with a point" if isinstance(score, str) and "," in score else "correct it"
    return f"the score '{_excerpt(score)}' is not a number; {hint}"


def _out_of_scale(score: object, low: float | None, high: float | None) -> str:
    message = f"the score {_excerpt(score)} is outside the scale from {low:g} to {high:g}"
    if float(str(score)) in _SENTINELS:
        return f"{message}; it looks like a mark for a missing answer: leave such rows out"
    return f"{message}; correct it"


def _stable_order(key: np.ndarray) -> np.ndarray:
    """The stable sorting permutation of non-negative keys; numpy sorts 16-bit digits in linear time."""
    if len(key) < 2 or (key[1:] >= key[:-1]).all():
        return np.arange(len(key))
    order = np.argsort(key.astype(np.uint16), kind="stable")
    shift = 16
    while int(key.max()) >> shift:
        digit = (key[order] >> shift).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
        shift += 16
    return order


def _duplicates(table: pa.Table, rows: np.ndarray, again: np.ndarray) -> list[Problem]:
    """rows: table rows grouped by what they rate, in table order inside a group; again: all but a group's first."""
    first = rows[np.maximum.accumulate(np.where(again, 0, np.arange(len(rows))))]
    places = _places(table, first[again])
    again_in = "dimension and repetition" if "repetition" in table.column_names else "dimension"
    text = f"the same rater rated this item in this {again_in} before ({{}}); only that rating counts: keep one"
    return [
        Problem(row, "duplicate_rating", text.format(place))
        for row, place in zip(rows[again].tolist(), places, strict=True)
    ]


def _places(table: pa.Table, rows: np.ndarray) -> list[str]:
    taken = table.select([name for name in ("file", "row") if name in table.column_names]).take(numbers(rows))
    lines = taken["row"].to_pylist() if "row" in taken.column_names else (rows + 1).tolist()
    files = taken["file"].to_pylist() if "file" in taken.column_names else [None] * len(rows)
    return [f"{file}, row {line}" if file else f"row {line}" for file, line in zip(files, lines, strict=True)]
