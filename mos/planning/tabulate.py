"""What every number of raters would give, as a table to print and to plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from mos.arrow import numbers
from mos.planning.inputs import demand_count
from mos.planning.power import Comparison, detectable_difference, power
from mos.planning.precision import half_width
from mos.planning.reliability import reliability


def table(
    counts: Sequence[int],
    sd: float,
    comparison: Comparison,
    *,
    difference: float | None = None,
    single: float | None = None,
    level: float = 0.95,
    target: float = 0.8,
) -> pa.Table:
    """One row for each number of raters in `counts`, in that order.

    sd: of the ratings of one item, for the intervals; comparison: of two items
    difference: the one whose power is asked for; single: reliability of a single rating; level: of the intervals
    target: power of the detectable difference
    Columns: raters (int32), half_width, detectable_difference, and power and reliability, null where `difference` or
    `single` is not given.  Raises UserError for a count below two or figures that no plan can be made for.

    >>> plan = table([15, 30], sd=0.8, comparison=Comparison(sd=0.9), single=0.57)
    >>> [round(value, 2) for value in plan["reliability"].to_pylist()]
    [0.95, 0.98]
    """
    for count in counts:
        demand_count("raters", count, 2)
    columns = {
        "half_width": _column(half_width(sd, count, level) for count in counts),
        "detectable_difference": _column(detectable_difference(comparison, count, target) for count in counts),
        "power": _column(None if difference is None else power(comparison, difference, count) for count in counts),
        "reliability": _column(None if single is None else reliability(single, count) for count in counts),
    }
    return pa.table({"raters": numbers(np.array(counts, np.int32)), **columns})


def _column(values: Iterable[float | None]) -> pa.Array:
    found = np.array([np.nan if value is None else value for value in values], np.float64)
    return numbers(found, ~np.isnan(found))
