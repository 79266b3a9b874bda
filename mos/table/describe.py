"""Describe a table of ratings: completeness of the design, times of the ratings, and heuristic warnings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mos._arrow import column_values, null_mask, number_array
from mos.ratings import Ratings
from mos.spellings import describe_difference, find_other_spellings, fold_spelling
from mos.table.encode import MISSING_CODES_ABOVE, MISSING_CODES_BELOW
from mos.times import read_time


def design_completeness(ratings: Ratings) -> pa.Table:
    """Describe how complete the design is.

    Parameters
    ----------
    ratings : Ratings

    Returns
    -------
    pyarrow.Table
        A row for each dimension: dimension, items (all items), items_rated, raters (with ratings in the dimension),
        ratings, and fill: ratings / (items * raters * repetitions), null where that is 0 / 0.
    """
    dimensions, items = len(ratings.dimensions), len(ratings.items)
    given = np.bincount(ratings.dimension, minlength=dimensions)
    items_rated = _count_rated(ratings.groups(), items, dimensions)
    raters = _count_rated(ratings.rater_keys(), len(ratings.raters), dimensions)
    possible = items * raters * ratings.repetitions
    return pa.table(
        {
            "dimension": ratings.dimensions,
            "items": number_array(np.full(dimensions, items)),
            "items_rated": number_array(items_rated),
            "raters": number_array(raters),
            "ratings": number_array(given),
            "fill": number_array(given / np.maximum(possible, 1), possible > 0),
        }
    )


def _count_rated(key: NDArray[Any], size: int, dimensions: int) -> NDArray[Any]:
    """[dimensions] number of the `size` codes with a rating in a dimension; key: [N] code * dimensions + dimension."""
    there = np.zeros(size * dimensions, bool)
    there[key] = True
    values: NDArray[Any] = there.reshape(size, dimensions).sum(axis=0)
    return values


def rating_times(ratings: Ratings, table: pa.Table) -> tuple[NDArray[Any] | None, str]:
    """Read the times of the ratings.

    Parameters
    ----------
    ratings : Ratings
    table : pyarrow.Table
        The table from which `ratings` was made; its column `rated_at` is read.

    Returns
    -------
    times : ndarray of int64, shape (N,), or None
        Microseconds. None where the column is absent, has an empty value, or holds anything but ISO 8601 times; use
        the order of the rows then.
    sentence : str
        Says which order is used, and why.
    """
    order = "Drift and straight-lining go by the order of the rows"
    in_time = "Drift and straight-lining go by the times in rated_at."
    if "rated_at" not in table.column_names:
        return None, f"{order}: there is no column rated_at."
    column = table["rated_at"].take(number_array(ratings.index))
    if column.null_count:
        return None, f"{order}: {column.null_count} of {len(ratings)} ratings have no time."
    text = pc.cast(column, pa.string())
    for kind in (pa.timestamp("us", tz="UTC"), pa.timestamp("us")):  # much faster than `read_time`
        try:
            times = pc.cast(text, kind)
        except pa.ArrowInvalid:
            continue
        if not null_mask(times).any():
            return column_values(pc.cast(times, pa.int64())), in_time
    coded = text.combine_chunks().dictionary_encode()
    read = [read_time(each) for each in coded.dictionary.to_pylist()]
    if any(each.moment is None for each in read):
        return None, f"{order}: the times in rated_at are not ISO 8601, such as 2026-03-01T09:30:00Z."
    moments = [int(each.moment.timestamp()) * 10**6 + int(each.value * 10**6) for each in read if each.moment]
    return np.array(moments, np.int64)[column_values(coded.indices)], in_time


_ODD_NUMBER = r"^([+-]|0[0-9]|[0-9]+[.eE])"
"""How a number begins that is not its digits alone."""


def id_warnings(ratings: Ratings) -> list[str]:
    """Warn of ids that are written in more than one way: the same number, or the same text in two Unicode forms.

    Parameters
    ----------
    ratings : Ratings

    Returns
    -------
    list of str
        A sentence for numbers and one for texts, of items, raters and dimensions, where there are such ids.

    Notes
    -----
    Numbers become 9001.0 where a spreadsheet or a data frame has a blank in the column, and 1E+05 where a spreadsheet
    shortens them. macOS writes decomposed letters in file names.
    """
    warnings = []
    for what, labels in (("items", ratings.items), ("raters", ratings.raters), ("dimensions", ratings.dimensions)):
        odd = pc.or_(pc.invert(pc.string_is_ascii(labels)), pc.match_substring_regex(labels, _ODD_NUMBER))
        if not pc.any(odd).as_py():  # much faster for a million ids, of which none is odd
            continue
        found = find_other_spellings(labels.to_pylist())
        texts = [pair for pair in found if not isinstance(fold_spelling(pair[0]), Decimal)]
        if len(found) > len(texts):
            warnings.append(
                f"{len(found) - len(texts)} ids of {what} are the same number as another one, written differently (as "
                "7, 007, 7.0 and 7E+00); they count as different: write them one way."
            )
        if texts:
            warnings.append(
                f"{len(texts)} ids of {what} are the same text as another one in another Unicode form (such as "
                f"{texts[0][0][:40]!r}: {describe_difference(*texts[0])}); they count as different: write them one way."
            )
    return warnings


_HIGHEST_CATEGORY = 10
"""Highest score of usual scales of categories that begin at 1, on which 0 is no score."""


def score_warnings(ratings: Ratings) -> list[str]:
    """Warn of scores that look like codes for a missing answer; for ratings without a known scale.

    Parameters
    ----------
    ratings : Ratings

    Returns
    -------
    list of str
    """
    distinct = np.unique(ratings.score)
    if len(distinct) < 3:
        return []
    odd = []
    if distinct[0] in MISSING_CODES_BELOW and distinct[1] >= 0:
        odd.append(distinct[0])
    if distinct[0] == 0 and distinct[1] >= 1 and distinct[-1] <= _HIGHEST_CATEGORY:
        odd.append(distinct[0])
    if distinct[-1] in MISSING_CODES_ABOVE and 2 * distinct[-2] < distinct[-1]:
        odd.append(distinct[-1])
    return [
        f"{np.count_nonzero(ratings.score == code)} ratings are {code:g} and "
        f"{'the others 1 or more' if code == 0 else 'no other is near'}; if that is a code for a missing answer, name "
        "the scale so that they are rejected."
        for code in odd
    ]
