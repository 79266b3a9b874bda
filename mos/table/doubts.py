"""What a table of ratings may not have meant: sentences for a person to check, from values that look odd."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from mos.ratings import Ratings

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
_MARKS_BELOW = (-1.0, -9.0, -99.0, -999.0)
_MARKS_ABOVE = (99.0, 999.0)


def doubtful_ids(ratings: Ratings) -> list[str]:
    """Ids that are the same number written differently, such as 9001 and 9001.0: as many raters or items as it looks?

    Numbers become 9001.0 where a spreadsheet or a data frame had a blank in the column.
    """
    kinds = (("items", ratings.items), ("raters", ratings.raters))
    return [
        f"{count} ids of {what} are the same number as another one, written differently (as 7, 007 and 7.0); they "
        "count as different: write them one way."
        for what, labels in kinds
        if (count := _written_again(labels))
    ]


def doubtful_extremes(ratings: Ratings) -> list[str]:
    """Scores that look like marks for a missing answer, for when nobody said what the scale is."""
    distinct = np.unique(ratings.score)
    if len(distinct) < 3:
        return []
    odd = []
    if distinct[0] in _MARKS_BELOW and distinct[1] >= 0:
        odd.append(distinct[0])
    if distinct[-1] in _MARKS_ABOVE and 2 * distinct[-2] < distinct[-1]:
        odd.append(distinct[-1])
    return [
        f"{np.count_nonzero(ratings.score == mark)} ratings are {mark:g} and no other is near; if that is a mark for a "
        "missing answer, name the scale so that they are set aside."
        for mark in odd
    ]


def _written_again(labels: pa.StringArray) -> int:
    numbers = [float(label) for label in labels.to_pylist() if _DECIMAL.fullmatch(label)]
    return len(numbers) - len(set(numbers))
