"""When every rating was given, as far as the table says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mos.arrow import nulls, numbers, plain
from mos.ratings import Ratings


def given_at(ratings: Ratings, table: pa.Table) -> tuple[np.ndarray | None, str]:
    """[N] int64 microseconds from the column `rated_at` of the table that was coded, and a sentence about it.

    None where the column is absent, empty anywhere, or holds anything but ISO 8601 times: then the order of the rows
    is all there is to go by.
    """
    order = "Drift and straight-lining go by the order of the rows"
    if "rated_at" not in table.column_names:
        return None, f"{order}: there is no column rated_at."
    column = table["rated_at"].take(numbers(ratings.index))
    if column.null_count:
        return None, f"{order}: {column.null_count} of {len(ratings)} ratings have no time."
    text = pc.cast(column, pa.string())
    for kind in (pa.timestamp("us", tz="UTC"), pa.timestamp("us")):
        try:
            found = pc.cast(text, kind)
        except pa.ArrowInvalid:
            continue
        if not nulls(found).any():
            return plain(pc.cast(found, pa.int64())), "Drift and straight-lining go by the times in rated_at."
    return None, f"{order}: the times in rated_at are not ISO 8601, such as 2026-03-01T09:30:00Z."
