"""What can be wrong with a row of ratings, found for all rows at once, and said of each."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from mos.arrow import numbers
from mos.table.coding import Coded, Columns
from mos.table.problem import Problem

# In the order in which they are looked for: a row is told the first that holds.
FAULTS = (
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
NO_RATING = ("missing_score", "nan_score")
_SENTINELS = (-1.0, -9.0, -99.0, -999.0, 99.0, 999.0)


def find_faults(columns: Columns, dimension: np.ndarray, scale: tuple[float, float] | None) -> np.ndarray:
    """[rows] uint8: 0 for a good row, else 1 + position in `FAULTS`.

    dimension: [rows] position in the dimensions that there are, -1 for another or none
    """
    scores = columns.scores
    masks = {
        "missing_item": _blank(columns.item),
        "missing_rater": _blank(columns.rater),
        "missing_dimension": _blank(columns.dimension),
        "missing_repetition": None if columns.repetition is None else _blank(columns.repetition),
        "unknown_dimension": dimension < 0,
        "missing_score": scores.missing,
        "not_a_number": scores.unreadable,
        **_beyond(scores.values, scale),
    }
    faults = np.zeros(len(dimension), np.uint8)
    for number, name in reversed(list(enumerate(FAULTS, start=1))):
        mask = masks[name]
        if mask is not None:
            faults[mask] = number
    return faults


def _blank(coded: Coded) -> np.ndarray | None:
    return None if coded.complete else coded.codes < 0


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


def tell(
    table: pa.Table,
    faults: np.ndarray,
    dimension: Coded,
    known: Sequence[str],
    scale: tuple[float, float] | None,
) -> list[Problem]:
    """A problem for every row with a fault, in table order.

    faults: see `find_faults`; dimension: that column; known: the dimensions that there are
    """
    bad = np.flatnonzero(faults)
    if not len(bad):
        return []
    scores = table["score"].take(numbers(bad)).to_pylist()
    labels = [*dimension.labels.to_pylist(), None]
    rows = zip(bad.tolist(), faults[bad].tolist(), scores, dimension.codes[bad].tolist(), strict=True)
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
        Problem(row, name := FAULTS[fault - 1], explain[name](score, labels[label]))
        for row, fault, score, label in rows
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
