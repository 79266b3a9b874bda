"""The plan of a study: number of raters that the targets need, from known figures or from a pilot study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mos._arrow import number_array, repeat_text
from mos.display import convert_to_pandas, render_html_table
from mos.errors import UserError, require_count, require_number
from mos.planning.pilot import PilotEstimate, estimate_pilot
from mos.planning.plan import (
    compute_half_width,
    compute_reliability,
    raters_for_half_width,
    raters_for_reliability,
    require_between,
    require_positive,
)
from mos.planning.power import ItemComparison, compute_power, find_detectable_difference, raters_for_power

if TYPE_CHECKING:
    import pandas as pd

    from mos.ratings import Ratings

PLANNED_COUNTS = (3, 5, 8, 10, 12, 15, 20, 24, 30, 40, 60)
"""Numbers of raters in the table of a plan, unless others are given."""

_FIGURE_NAMES = {"sd": "SD", "sd_difference": "SD of differences", "icc": "ICC of one rater"}


@dataclass(frozen=True, slots=True)
class PlanTargets:
    """The targets of a plan; None for a target that is not set.

    Attributes
    ----------
    half_width
        Half-width of the interval of a score, in the unit of the ratings, at confidence `level`.
    difference
        Difference between two items that is to be found, in the unit of the ratings.
    reliability
        Reliability of the mean score, between 0 and 1.
    power
        Probability of finding `difference`, between `alpha` and 1.
    alpha
        Significance level over all `comparisons` together, between 0 and 1.
    comparisons
        Number of comparisons of two items.
    unpaired
        Whether different raters rate the two items.
    level
        Confidence level of the interval, between 0 and 1.
    assurance
        Probability with which `half_width` is not exceeded, see `compute_half_width`.
    """

    half_width: float | None = None
    difference: float | None = None
    reliability: float | None = None
    power: float = 0.8
    alpha: float = 0.05
    comparisons: int = 1
    unpaired: bool = False
    level: float = 0.95
    assurance: float | None = None

    def __post_init__(self) -> None:
        for name in ("half_width", "difference", "reliability", "assurance"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name))
        for name in ("power", "alpha", "level"):
            require_number(name, getattr(self, name))
        require_count("comparisons", self.comparisons, 1)


@dataclass(frozen=True, slots=True)
class DimensionPlan:
    """The plan of one dimension.

    Attributes
    ----------
    dimension
        Name of the dimension; None for a plan from figures alone.
    sd, sd_difference, icc
        The figures that the plan is based on, see `plan_study`; None if unknown.
    needs
        For each target, the number of raters of each item, and the target in words.
    table
        What each number of raters gives, see `tabulate_plan`; None if no standard deviation is known.
    """

    dimension: str | None
    sd: float | None
    sd_difference: float | None
    icc: float | None
    needs: tuple[tuple[int, str], ...]
    table: pa.Table | None

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        plan: dict[str, Any] = {name: getattr(self, name) for name in ("dimension", *_FIGURE_NAMES)}
        plan["needs"] = [{"raters": raters, "for": target} for raters, target in self.needs]
        return plan if self.table is None else plan | {"table": self.table.to_pylist()}

    def sentences(self) -> list[str]:
        """The figures, then one sentence for each target."""
        prefix = f"{self.dimension}: " if self.dimension else ""
        figures = [
            f"{name} {value:.3g}" for key, name in _FIGURE_NAMES.items() if (value := getattr(self, key)) is not None
        ]
        needs = [f"{prefix}{raters} raters for each item: {target}." for raters, target in self.needs]
        return [f"{prefix}{', '.join(figures)}", *needs]


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Number of raters that a study needs, for each dimension of the pilot study.

    `print(plan)` prints the sentences; `table` has the figures for different numbers of raters.

    Attributes
    ----------
    dimensions
        The plan of each dimension.
    """

    dimensions: tuple[DimensionPlan, ...]

    @property
    def table(self) -> pa.Table:
        """What each number of raters gives: dimension (if there is one), and the columns of `tabulate_plan`."""
        tables = []
        for plan in self.dimensions:
            if plan.table is None:
                continue
            column = [] if plan.dimension is None else [("dimension", repeat_text(plan.dimension, len(plan.table)))]
            tables.append(pa.table(dict(column) | {name: plan.table[name] for name in plan.table.column_names}))
        return pa.concat_tables(tables) if tables else pa.table({"raters": pa.array([], pa.int32())})

    def to_pandas(self) -> pd.DataFrame:
        """`table` as a DataFrame."""
        return convert_to_pandas(self.table)

    def __str__(self) -> str:
        return "\n".join(sentence for plan in self.dimensions for sentence in plan.sentences())

    def __repr__(self) -> str:
        needs = [
            f"{plan.dimension}: {need}" if plan.dimension else need
            for plan in self.dimensions
            if (need := ", ".join(f"{raters} raters for {target}" for raters, target in plan.needs))
        ]
        return f"StudyPlan({'; '.join(needs) or 'no target'})"

    def _repr_html_(self) -> str:
        return render_html_table(self.table, "Number of raters", str(self).splitlines(), rows=len(PLANNED_COUNTS))


def plan_study(
    ratings: Ratings | None,
    targets: PlanTargets,
    *,
    sd: float | None = None,
    sd_difference: float | None = None,
    icc: float | None = None,
    counts: Sequence[int] = PLANNED_COUNTS,
) -> StudyPlan:
    """Plan the number of raters of a study.

    Parameters
    ----------
    ratings
        A pilot study, from which unknown figures are estimated for each dimension; None plans from figures alone.
    targets
        What the study has to reach.
    sd
        Standard deviation of the ratings of one item, in the unit of the ratings.
    sd_difference
        Standard deviation of the difference between one rater's ratings of two items.
    icc
        Reliability of a single rating, between 0 and 1.
    counts
        Numbers of raters in the table.

    Returns
    -------
    StudyPlan

    Raises
    ------
    UserError
        If nothing is known, a target lacks its figure, or a figure is out of range.
    """
    if ratings is None and sd is None and sd_difference is None and icc is None:
        raise UserError("Expected the ratings of a pilot study, or one of the figures sd, sd_difference and icc.")
    for name, value in (("sd", sd), ("sd_difference", sd_difference)):
        if value is not None:
            require_positive(name, value)
    if icc is not None:
        require_between("icc", icc, 0, 1)
    if not isinstance(counts, Iterable) or isinstance(counts, str):
        raise UserError(f"Expected a list of numbers of raters, such as [5, 10, 15]; got {repr(counts)[:60]}.")
    counts = list(counts)
    for count in counts:
        require_count("raters", count, 2)
    pilots: list[PilotEstimate | None] = [None]
    if ratings is not None:
        pilots = [estimate_pilot(ratings, name) for name in ratings.dimensions.to_pylist()]
    counts = sorted(set(counts))
    return StudyPlan(tuple(_plan_dimension(pilot, targets, sd, sd_difference, icc, counts) for pilot in pilots))


def _plan_dimension(
    pilot: PilotEstimate | None,
    targets: PlanTargets,
    sd: float | None,
    sd_difference: float | None,
    icc: float | None,
    counts: Sequence[int],
) -> DimensionPlan:
    """The plan from the given figures, and from the pilot for the others."""
    if pilot is not None:
        _require_spread(pilot, targets, sd, sd_difference)
        sd = pilot.sd if sd is None else sd
        sd_difference = pilot.sd_difference if sd_difference is None else sd_difference
        icc = pilot.consistency if icc is None and pilot.consistency > 0 else icc
    between = sd if targets.unpaired else sd_difference
    if between is None and sd is not None:
        between = sd * 2**0.5  # an upper limit: two independent ratings
    compared = ItemComparison(between, not targets.unpaired, targets.alpha, targets.comparisons) if between else None
    table = None
    needs = tuple(_find_needs(targets, sd, compared, icc))
    if sd and compared is not None:
        table = tabulate_plan(
            counts,
            sd,
            compared,
            difference=targets.difference,
            single=icc,
            level=targets.level,
            target=targets.power,
        )
    return DimensionPlan(None if pilot is None else pilot.dimension, sd, sd_difference, icc, needs, table)


def _require_spread(pilot: PilotEstimate, targets: PlanTargets, sd: float | None, sd_difference: float | None) -> None:
    """UserError where a target needs a standard deviation that is 0 in the pilot study."""
    for target, value, name in (
        (targets.half_width, sd if sd is not None else pilot.sd, "sd"),
        (
            targets.difference,
            (sd if sd is not None else pilot.sd)
            if targets.unpaired
            else (sd_difference if sd_difference is not None else pilot.sd_difference),
            "sd" if targets.unpaired else "sd_difference",
        ),
    ):
        if target is not None and value == 0:
            raise UserError(
                f"In {pilot.dimension} the raters of the pilot study do not differ ({name} is 0), so that it does not "
                f"say how many are needed; give {name} from another study."
            )


def _find_needs(
    targets: PlanTargets, sd: float | None, compared: ItemComparison | None, icc: float | None
) -> Iterator[tuple[int, str]]:
    """For each target, the number of raters and the target in words."""
    if (width := targets.half_width) is not None:
        if sd is None:
            raise _unknown_figure_error("half_width", "sd")
        sure = "" if targets.assurance is None else f" with probability {targets.assurance:g}"
        raters = raters_for_half_width(sd, width, targets.level, targets.assurance)
        yield raters, f"intervals of +-{width:g} at {100 * targets.level:g} % confidence{sure}"
    if (difference := targets.difference) is not None:
        if compared is None:
            raise _unknown_figure_error("difference", "sd_difference", "sd")
        raters = raters_for_power(compared, difference, targets.power)
        yield raters, f"finding a difference of {difference:g} between two items with power {targets.power:g}"
    if (reliability := targets.reliability) is not None:
        if icc is None:
            raise _unknown_figure_error("reliability", "icc")
        yield raters_for_reliability(icc, reliability), f"a reliability of {reliability:g} of the mean score"


def _unknown_figure_error(target: str, *figures: str) -> UserError:
    return UserError(
        f"The target {target} needs {' or '.join(figures)}, or a pilot study in which raters agree better than by "
        "chance."
    )


def tabulate_plan(
    counts: Sequence[int],
    sd: float,
    comparison: ItemComparison,
    *,
    difference: float | None = None,
    single: float | None = None,
    level: float = 0.95,
    target: float = 0.8,
) -> pa.Table:
    """Tabulate what each number of raters gives.

    Parameters
    ----------
    counts
        Numbers of raters, 2 or more each; one row each, in this order.
    sd
        Standard deviation of the ratings of one item, for the intervals.
    comparison
        The comparison of two items.
    difference
        The difference between two items whose power is computed.
    single
        Reliability of a single rating, between 0 and 1.
    level
        Confidence level of the intervals.
    target
        Power of the detectable difference.

    Returns
    -------
    pa.Table
        Columns raters (int32), half_width, detectable_difference, power (null without `difference`) and reliability
        (null without `single`).

    Raises
    ------
    UserError
        If a parameter is out of range.

    Examples
    --------
    >>> plan = tabulate_plan([15, 30], sd=0.8, comparison=ItemComparison(sd=0.9), single=0.57)
    >>> [round(value, 2) for value in plan["reliability"].to_pylist()]
    [0.95, 0.98]
    """
    for count in counts:
        require_count("raters", count, 2)
    columns = {
        "half_width": _nullable_column(compute_half_width(sd, count, level) for count in counts),
        "detectable_difference": _nullable_column(
            find_detectable_difference(comparison, count, target) for count in counts
        ),
        "power": _nullable_column(
            None if difference is None else compute_power(comparison, difference, count) for count in counts
        ),
        "reliability": _nullable_column(
            None if single is None else compute_reliability(single, count) for count in counts
        ),
    }
    return pa.table({"raters": number_array(np.array(counts, np.int32)), **columns})


def _nullable_column(values: Iterable[float | None]) -> pa.Array:
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    return number_array(numbers, ~np.isnan(numbers))
